"""`idle`: silences, their tiers, and what stays when the lead returns."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, ClassVar

import pytest

from assay.scoring.engine import Explanation

Run = Callable[..., Explanation]
DAY_0 = datetime.fromisoformat("2026-03-01T00:00:00+00:00")
TICK = 1 / 86_400_000_000


def silent(length: str = "30d", points: float = -15, **words: Any) -> dict[str, Any]:
    rest = {name: words.pop(name) for name in ("fades", "dimension", "group") if name in words}
    return {
        "id": f"silent{length}{'-'.join(map(str, words.values()))}",
        "points": points,
        "idle": {"for": length, **words},
        **rest,
    }


class TestWhileSilent:
    model: ClassVar[dict[str, Any]] = {"rules": [silent()]}

    @pytest.mark.parametrize(
        ("events", "first_seen", "at", "points"),
        [
            pytest.param([(0, "a.done")], None, 30 - TICK, 0, id="a tick before"),
            pytest.param([(0, "a.done")], None, 30, -15, id="at its length"),
            pytest.param([(0, "a.done"), (40, "a.done")], None, 35, -15, id="until the lead returns"),
            pytest.param([(0, "a.done"), (40, "a.done")], None, 40, 0, id="gone when it returns"),
            pytest.param([(0, "a.done"), (30, "a.done")], None, 30, 0, id="returns at the very instant"),
            pytest.param([], 0, 30, -15, id="never active: since first sight"),
            pytest.param([], 0, 29, 0, id="never active: not yet"),
            pytest.param([], None, 3000, 0, id="nothing known never holds"),
            pytest.param([(50, "a.done")], None, 40, 0, id="only a future event: nothing known yet"),
            pytest.param([(0, "a.done")], 20, 30, -15, id="an event before first sight counts"),
            pytest.param([], 40, 30, 0, id="first sight in the future"),
        ],
    )
    def test_reach(self, run: Run, events: list[Any], first_seen: float | None, at: float, points: int) -> None:
        assert run(self.model, events=events, first_seen=first_seen, at=at).raw == points * 1000

    @pytest.mark.parametrize(
        ("events", "first_seen", "at", "points"),
        [
            pytest.param([(0, "a.done"), (20, "c.done")], None, 45, 0, id="since the newest matching event"),
            pytest.param([(0, "a.done"), (20, "c.done")], None, 50, -15, id="whatever else happened"),
            pytest.param(
                [(0, "b.done"), (20, "b.done")], None, 30, -15, id="none matching: since the first of any type"
            ),
            pytest.param([(0, "b.done")], 10, 35, 0, id="none matching: first sight goes before other types"),
        ],
    )
    def test_of_a_type(self, run: Run, events: list[Any], first_seen: float | None, at: float, points: int) -> None:
        model = {"rules": [silent(of="c.done")]}
        assert run(model, events=events, first_seen=first_seen, at=at).raw == points * 1000

    def test_why_and_which_event(self, run: Run) -> None:
        (part,) = run(self.model, events=[(0, "a.done")], at=40).parts
        assert part.why == "no activity for 30 days since 2026-03-01 00:00 UTC"
        assert (part.events, part.at) == (("e0",), DAY_0 + timedelta(days=30))

    @pytest.mark.parametrize(
        ("events", "first_seen", "at", "expected"),
        [
            pytest.param([(0, "a.done")], None, 3, 30, id="the tier"),
            pytest.param([(0, "a.done")], None, 30, None, id="reached"),
            pytest.param([(0, "a.done"), (50, "a.done")], None, 40, 50, id="a future event ends it"),
            pytest.param([(50, "a.done")], None, 3, 50, id="a future event brings it into sight"),
            pytest.param([], 10, 3, 40, id="a future first sight"),
        ],
    )
    def test_next_change(
        self, run: Run, events: list[Any], first_seen: float | None, at: float, expected: int | None
    ) -> None:
        found = run(self.model, events=events, first_seen=first_seen, at=at).next_change
        assert found == (None if expected is None else DAY_0 + timedelta(days=expected))

    def test_a_future_event_of_another_type_begins_a_silence(self, run: Run) -> None:
        model = {"rules": [silent(of="c.done")]}
        events = [(50, "b.done")]
        change = run(model, events=events, at=3).next_change
        assert change is not None
        assert change <= DAY_0 + timedelta(days=80)
        assert run(model, events=events, at=80).raw == -15_000


class TestTiers:
    @staticmethod
    def model(**words: Any) -> dict[str, Any]:
        return {"rules": [silent("30d", -15, **words), silent("60d", -30, **words), silent("90d", -50, **words)]}

    @pytest.mark.parametrize(("day", "points"), [(29, 0), (30, -15), (60, -45), (90, -95)])
    def test_cumulative(self, run: Run, day: int, points: int) -> None:
        assert run(self.model(), events=[(0, "a.done")], at=day).raw == points * 1000

    @pytest.mark.parametrize("kept", [False, True])
    @pytest.mark.parametrize(("day", "points"), [(29, 0), (30, -15), (60, -30), (90, -50)])
    def test_replace(self, run: Run, day: int, points: int, kept: bool) -> None:
        assert run(self.model(tiers="replace", kept=kept), events=[(0, "a.done")], at=day).raw == points * 1000

    def test_replaced_tiers_are_listed(self, run: Run) -> None:
        found = run(self.model(tiers="replace"), events=[(0, "a.done")], at=70)
        assert [(part.points, part.counted) for part in found.parts[:2]] == [(0, False), (-30_000, True)]
        assert found.parts[0].why.endswith("; replaced by a longer silence")

    def test_only_tiers_of_the_same_activity_replace(self, run: Run) -> None:
        model = {"rules": [silent("30d", -1, tiers="replace"), silent("60d", -2, tiers="replace", of="a.done")]}
        assert run(model, events=[(0, "a.done")], at=70).raw == -3000

    def test_only_tiers_of_the_same_dimension_replace(self, run: Run) -> None:
        model = {
            "dimensions": {"fit": {}, "interest": {}},
            "rules": [
                silent("30d", -1, tiers="replace", dimension="fit"),
                silent("60d", -2, tiers="replace", dimension="interest"),
            ],
        }
        assert run(model, events=[(0, "a.done")], at=70).raw == -3000

    def test_only_tiers_of_the_same_group_replace(self, run: Run) -> None:
        model = {
            "dimensions": {"d": {"groups": {"g": {}, "h": {}}}},
            "rules": [
                silent("30d", -1, tiers="replace", dimension="d", group="g"),
                silent("60d", -2, tiers="replace", dimension="d", group="h"),
            ],
        }
        assert run(model, events=[(0, "a.done")], at=70).raw == -3000

    @pytest.mark.parametrize(
        ("day", "points"),
        [
            pytest.param(65, -7, id="both deeper ones reached"),
            pytest.param(75, -3, id="returned: the kept one stays"),
            pytest.param(101, -4, id="silent again: the shallow one beside what was kept"),
        ],
    )
    def test_a_kept_tier_and_a_passing_one_replace_the_same(self, run: Run, day: int, points: int) -> None:
        model = {
            "rules": [
                silent("30d", -1, tiers="replace"),
                silent("50d", -3, tiers="replace", kept=True),
                silent("60d", -4, tiers="cumulative"),
            ]
        }
        assert run(model, events=[(0, "a.done"), (70, "a.done")], at=day).raw == points * 1000


class TestKept:
    @pytest.mark.parametrize(
        ("events", "first_seen", "at", "awards"),
        [
            pytest.param([(0, "a.done")], None, 29, [], id="too short"),
            pytest.param([(0, "a.done"), (40, "a.done")], None, 50, [30], id="stays when the lead returns"),
            pytest.param([(0, "a.done"), (40, "a.done")], None, 70, [30, 70], id="each silence once"),
            pytest.param([(0, "a.done"), (30, "a.done")], None, 50, [], id="ended at the very instant"),
            pytest.param([(0, "a.done"), (30 + TICK, "a.done")], None, 50, [30], id="ended a tick later"),
            pytest.param([(40, "a.done")], 0, 50, [30], id="before the first event: since first sight"),
            pytest.param([(0, "a.done"), (0, "a.done")], None, 50, [30], id="two events at one instant"),
        ],
    )
    def test_awards(
        self, run: Run, events: list[Any], first_seen: float | None, at: float, awards: list[float]
    ) -> None:
        found = run({"rules": [silent(kept=True)]}, events=events, first_seen=first_seen, at=at)
        counted = [part.at for part in found.parts if part.counted]
        assert counted == [DAY_0 + timedelta(days=day) for day in awards]
        assert found.raw == -15_000 * len(awards)

    def test_kept_awards_may_fade(self, run: Run) -> None:
        model = {"rules": [silent(kept=True, fades={"after": "60d"})]}
        events = [(0, "a.done"), (40, "a.done")]
        assert [run(model, events=events, at=day).raw for day in (50, 89, 90)] == [-15_000, -30_000, -15_000]
        assert run(model, events=events, at=75).next_change == DAY_0 + timedelta(days=90)

    def test_each_silence_keeps_its_deepest_tier(self, run: Run) -> None:
        model = {
            "rules": [silent("30d", -15, kept=True, tiers="replace"), silent("60d", -30, kept=True, tiers="replace")]
        }
        assert run(model, events=[(0, "a.done"), (70, "a.done"), (110, "a.done")], at=111).raw == -45_000
