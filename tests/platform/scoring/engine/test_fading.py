"""`fades`: how awards lose their worth, at their edges."""

from collections.abc import Callable
from typing import Any

import pytest

from assay.scoring.engine import Explanation

Run = Callable[..., Explanation]
TICK = 1 / 86_400_000_000
#: A microsecond at the far end of a month is lost in a float of days; two are not.
TICKS = 2 * TICK


def rule(points: float = 10, **words: Any) -> dict[str, Any]:
    return {"rules": [{"id": "r", "on": "a.done", "points": points, **words}]}


@pytest.mark.parametrize(
    ("fades", "day", "total"),
    [
        pytest.param({"every": "30d", "by": "50%"}, 0, 10_000, id="steps: fresh"),
        pytest.param({"every": "30d", "by": "50%"}, 30 - TICKS, 10_000, id="steps: just before the first"),
        pytest.param({"every": "30d", "by": "50%"}, 30, 5000, id="steps: half at one month"),
        pytest.param({"every": "30d", "by": "50%"}, 60 - TICKS, 5000, id="steps: just before the last"),
        pytest.param({"every": "30d", "by": "50%"}, 60, 0, id="steps: nothing at two"),
        pytest.param({"every": "30d", "by": "50%"}, 600, 0, id="steps: never below nothing"),
        pytest.param({"every": "45d", "by": "15%"}, 45, 8500, id="steps: 85 % after one"),
        pytest.param({"every": "45d", "by": "15%"}, 270, 1000, id="steps: a tenth after six"),
        pytest.param({"every": "45d", "by": "15%"}, 315, 0, id="steps: the seventh takes the rest"),
        pytest.param({"linear": "60d"}, 0, 10_000, id="linear: fresh"),
        pytest.param({"linear": "60d"}, 15, 7500, id="linear: a quarter"),
        pytest.param({"linear": "60d"}, 30, 5000, id="linear: half"),
        pytest.param({"linear": "60d"}, 60, 0, id="linear: gone"),
        pytest.param({"linear": "60d"}, 90, 0, id="linear: stays gone"),
        pytest.param({"half_life": "14d"}, 14, 5000, id="half-life: exactly half at one"),
        pytest.param({"half_life": "14d"}, 28, 2500, id="half-life: a quarter at two"),
        pytest.param({"half_life": "14d"}, 7, 7071, id="half-life: between"),
        pytest.param({"half_life": "14d"}, -1, 0, id="half-life: not yet"),
        pytest.param({"linear": "60d"}, -TICKS, 0, id="linear: not yet"),
        pytest.param({"after": "60d"}, 59, 10_000, id="after: whole"),
    ],
)
@pytest.mark.parametrize("sign", [1, -1])
def test_one_award(run: Run, fades: dict[str, Any], day: float, total: int, sign: int) -> None:
    assert run(rule(10 * sign, fades=fades), events=[(0, "a.done")], at=day).total == total * sign


@pytest.mark.parametrize(
    ("count", "fades", "totals"),
    [
        pytest.param("each", {"linear": "40d"}, {0: 10, 10: 17.5, 20: 12.5, 45: 1.25, 50: 0}, id="each ages by itself"),
        pytest.param("once", {"linear": "40d"}, {20: 5, 40: 0}, id="once fades once"),
        pytest.param({"first": 1}, {"half_life": "10d"}, {10: 5, 20: 2.5}, id="the first"),
        pytest.param({"from": 2}, {"half_life": "10d"}, {0: 0, 10: 10, 20: 5}, id="from the second on"),
        pytest.param("once_while_active", {"linear": "5d"}, {4: 2, 5: 0, 12: 6}, id="again once it is gone"),
        pytest.param("once_while_active", {"every": "5d", "by": "50%"}, {5: 5, 10: 10, 15: 5}, id="again after steps"),
    ],
)
def test_two_awards(run: Run, count: Any, fades: dict[str, Any], totals: dict[float, float]) -> None:
    events = [(0, "a.done"), (10, "a.done")]
    model = rule(count=count, fades=fades)
    assert {day: run(model, events=events, at=day).total for day in totals} == {
        day: total * 1000 for day, total in totals.items()
    }


@pytest.mark.parametrize(
    ("fades", "totals"),
    [
        pytest.param({"half_life": "10d"}, {0: 4, 10: -3 + 2, 20: -1.5 + 1}, id="half-life"),
        pytest.param({"linear": "20d"}, {0: 4, 10: -3 + 2, 20: -1.5}, id="linear"),
        pytest.param({"after": "20d"}, {0: 4, 10: 1, 20: -3, 30: 0}, id="after"),
        pytest.param({"every": "10d", "by": "50%"}, {0: 4, 10: -3 + 2, 20: -1.5, 30: 0}, id="steps"),
    ],
)
def test_the_first_and_later_ones_fade_by_their_own_worth(
    run: Run, fades: dict[str, Any], totals: dict[int, float]
) -> None:
    model = {
        "rules": [{"id": "r", "on": "a.done", "count": {"first_points": 4, "then": -3}, "fades": fades}],
        "stages": [{"name": "up", "from": 0}],
    }
    events = [(0, "a.done"), (10, "a.done")]
    assert {day: run(model, events=events, at=day).total / 1000 for day in totals} == totals


def test_awards_are_rounded_one_by_one(run: Run) -> None:
    found = run(rule(0.001, fades={"linear": "3d"}), events=[(0, "a.done"), (0, "a.done"), (0, "a.done")], at=1)
    assert found.total == 2


def test_a_kept_silence_fades_smoothly(run: Run) -> None:
    idle = {"id": "s", "idle": {"for": "10d", "kept": True}, "points": -8, "fades": {"half_life": "10d"}}
    events = [(0, "a.done"), (15, "a.done")]
    assert [run({"rules": [idle]}, events=events, at=day).total for day in (10, 20, 24)] == [-8000, -4000, -3031]
    assert run({"rules": [idle]}, events=events, at=25).total == -8000 - 2828


def test_a_cap_bounds_what_is_left(run: Run) -> None:
    model = rule(10, fades={"half_life": "10d"}, max=4)
    assert [run(model, events=[(0, "a.done")], at=day).total for day in (0, 10, 20)] == [4000, 4000, 2500]
