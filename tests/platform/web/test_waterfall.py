import pytest

from assay.web.waterfall import Bar, filled, tone, waterfall


def test_each_bar_begins_where_the_one_before_ended() -> None:
    fall = waterfall([40_000, -10_000, 70_000])
    assert [part.running for part in fall.falls] == [40_000, 30_000, 100_000]
    assert [(part.bar.x, part.bar.width) for part in fall.falls] == [(0, 400), (300, 100), (300, 700)]
    assert (fall.total, fall.bar) == (100_000, Bar(0, 1000, 0))


def test_below_nought_the_axis_moves_in() -> None:
    fall = waterfall([-20_000, 60_000])
    assert fall.falls[0].bar == Bar(0, 333.33, 333.33)
    assert fall.bar == Bar(333.33, 666.67, 333.33)


@pytest.mark.parametrize("points", [pytest.param([], id="no parts"), pytest.param([0, 0], id="parts of nought")])
def test_nothing_is_drawn_of_nothing(points: list[int]) -> None:
    fall = waterfall(points)
    assert (fall.total, fall.bar.width) == (0, 0)


@pytest.mark.parametrize(
    ("total", "hundredths"),
    [
        pytest.param(0, 0, id="empty"),
        pytest.param(12_499, 12, id="rounded"),
        pytest.param(100_000, 100, id="full"),
        pytest.param(-5_000, 0, id="below"),
        pytest.param(250_000, 100, id="above"),
    ],
)
def test_filled(total: int, hundredths: int) -> None:
    assert filled(total, low=0, high=100_000) == hundredths


def test_a_scale_without_length_is_empty() -> None:
    assert filled(5, low=0, high=0) == 0


@pytest.mark.parametrize(
    ("count", "tones"),
    [
        pytest.param(1, [4], id="one"),
        pytest.param(2, [1, 4], id="two"),
        pytest.param(4, [1, 2, 3, 4], id="four"),
        pytest.param(7, [1, 1, 2, 3, 3, 3, 4], id="more than tones"),
    ],
)
def test_the_last_stage_shines_most(count: int, tones: list[int]) -> None:
    assert [tone(position, count) for position in range(count)] == tones
