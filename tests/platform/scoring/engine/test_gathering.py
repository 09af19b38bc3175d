"""Receipts of leads with very many awards: by rule and reason, and still exact."""

from collections.abc import Callable
from typing import Any

import pytest

from assay.scoring.engine import Explanation
from assay.scoring.engine.gathering import MOST_AWARDS

Run = Callable[..., Explanation]

DIMENSIONS = {"interest": {"max": 9_000, "groups": {"first": {"first_match": True}}}}
VISIT = {"id": "visit", "dimension": "interest", "on": "page.viewed", "points": 2}
FIRST = {"id": "first", "dimension": "interest", "on": "page.viewed", "count": {"first_points": 9, "then": 2}}
LOSS = {"id": "loss", "on": "page.viewed", "points": -1}


def visits(count: int, *, last: float = 10) -> list[tuple[float, str]]:
    return [(last * place / count, "page.viewed") for place in range(count)]


@pytest.mark.parametrize("extra", [-1, 0, 1])
@pytest.mark.parametrize(
    "rules",
    [
        pytest.param([VISIT], id="the dimension's cap"),
        pytest.param([VISIT | {"max": 77}], id="the rule's cap"),
        pytest.param([VISIT | {"fades": {"linear": "30d"}}], id="fading"),
        pytest.param([VISIT | {"fades": {"half_life": "3d"}, "max": 100}], id="fading under a cap"),
        pytest.param([VISIT | {"fades": {"after": "5d"}}], id="expired and not"),
        pytest.param([FIRST], id="more for the first"),
        pytest.param([VISIT | {"count": "once"}], id="once"),
        pytest.param(
            [VISIT | {"group": "first"}, VISIT | {"id": "other", "group": "first", "points": 5}], id="first match"
        ),
        pytest.param(
            [
                {
                    "id": "lift",
                    "dimension": "interest",
                    "on": "page.viewed",
                    "milestone": 75,
                    "fades": {"linear": "9d"},
                },
                {"id": "trait", "dimension": "interest", "when": {"trait": "n", "is": 1}, "points": 5},
            ],
            id="milestone",
        ),
    ],
)
def test_sums_are_exact_at_the_bound(run: Run, rules: list[dict[str, Any]], extra: int) -> None:
    single = sum(rule.get("on") is not None for rule in rules)
    count = MOST_AWARDS // single + extra
    found = run({"dimensions": DIMENSIONS, "rules": rules}, traits={"n": 1}, events=visits(count), at=10)
    assert sum(part.points for part in found.parts) == found.raw
    is_gathered = count * single > MOST_AWARDS
    assert is_gathered == (len(found.parts) < 10)


def test_what_one_part_tells(run: Run) -> None:
    (part,) = run({"rules": [LOSS | {"min": -40}]}, events=visits(6_000, last=6), at=10).parts
    assert (part.points, part.earned, part.events_behind) == (-40_000, -6_000_000, 6_000)
    assert part.events == tuple(f"e{place}" for place in range(5_980, 6_000))
    assert part.why.startswith("page.viewed 6000 times, the last on 2026-03-06 23:58 UTC; -40 of -6000 points")


def test_each_reason_is_told_by_itself(run: Run) -> None:
    found = run({"rules": [LOSS | {"fades": {"after": "2d"}}]}, events=visits(6_000), at=8)
    told = [(part.counted, [each.code for each in part.because], part.events_behind) for part in found.parts]
    assert sorted(told) == [(False, ["expired"], 3_601), (False, ["future"], 1_199), (True, [], 1_200)]


def test_silences(run: Run) -> None:
    rule = {"id": "idle", "idle": {"for": "1h", "kept": True}, "points": -1}
    found = run({"rules": [rule]}, events=visits(5_002, last=5_002 / 4), at=5_002)
    (part,) = found.parts
    assert (found.raw, part.what.code, part.points) == (-5_002_000, "silences", -5_002_000)
