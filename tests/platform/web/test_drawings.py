import pytest

from assay.web.drawings import HEIGHT, WIDTH, bins, columns, place_tones, place_words, share

PLACES = ["stage:MQL", "stage:Lead", "none", "disqualified", "outside"]


def totals(*pairs: tuple[int, int]) -> dict[str, object]:
    return {
        "width": 5000,
        "bins": [
            {"from": number * 5000, "before": before, "after": after} for number, (before, after) in enumerate(pairs)
        ],
    }


class TestBins:
    def test_bars_stand_side_by_side_on_one_scale(self) -> None:
        first, second = bins(totals((50, 100), (0, 1)))
        assert (first.before.height, first.after.height) == (HEIGHT / 2, HEIGHT)
        assert first.before.x + first.before.width == pytest.approx(first.after.x)
        assert first.after.x + first.after.width < WIDTH / 2 < second.before.x
        assert first.before.y == HEIGHT / 2
        assert (first.low, first.high, second.low) == (0, 5000, 5000)

    def test_one_lead_of_many_is_still_seen(self) -> None:
        (bin_,) = bins(totals((1_000_000, 1)))
        assert bin_.after.height == 1

    def test_nobody_has_no_bar(self) -> None:
        assert bins(totals((0, 0)))[0].before.height == 0
        assert bins(totals()) == []


class TestPlaces:
    def test_words(self) -> None:
        assert [place_words(place) for place in PLACES] == [
            "MQL",
            "Lead",
            "No stage",
            "Disqualified",
            "Not scored by this model",
        ]

    def test_a_stage_may_be_called_none(self) -> None:
        assert place_words("stage:none") == "none"

    def test_the_best_stage_shines_most(self) -> None:
        assert place_tones(PLACES) == {
            "stage:MQL": "4",
            "stage:Lead": "1",
            "none": "0",
            "disqualified": "out",
            "outside": "0",
        }


class TestColumns:
    def test_stages_stand_on_each_other_with_the_best_on_top(self) -> None:
        stood = [{"at": "2026-03-01T00:00:00+00:00", "draft": {"stood": {"stage:MQL": 1, "none": 3, "outside": 9}}}]
        (column,) = columns(stood, "draft", PLACES)
        assert [(rect.tone, rect.y, rect.height) for rect in column.rects] == [("0", 25.0, 75.0), ("4", 0.0, 25.0)]
        assert column.rects[1].words == "MQL: 1 on 2026-03-01"

    def test_both_sides_are_drawn_on_the_same_scale(self) -> None:
        stood = [{"at": "2026-03-01", "draft": {"stood": {"none": 1}}, "live": {"stood": {"none": 4}}}]
        assert columns(stood, "draft", PLACES)[0].rects[0].height == HEIGHT / 4


def test_a_bar_is_as_long_as_its_share() -> None:
    assert (share(5, 10), share(0, 10), share(1, 10**6)) == (50, 0, 0.5)
