"""`milestone` lifts, `points` add."""

from collections.abc import Callable
from typing import Any

import pytest

from assay.scoring.engine import Explanation

Run = Callable[..., Explanation]
STAGES = [
    {"name": "Prospect", "from": 10},
    {"name": "Lead", "from": 50},
    {"name": "MQL", "from": 75},
    {"name": "SQL", "from": 100},
]


def triggerm(word: str) -> dict[str, Any]:
    worth = {"form.submitted": 50, "meeting.booked": 75, "meeting.attended": 100}
    return {
        "rules": [
            *({"id": kind, "on": kind, "count": "once", word: points} for kind, points in worth.items()),
            {"id": "visit", "on": "page.viewed", "points": 3},
        ],
        "stages": STAGES,
    }


@pytest.mark.parametrize(
    ("word", "happened", "total", "stage"),
    [
        pytest.param("milestone", ["meeting.booked"], 75, "MQL", id="booking only"),
        pytest.param("points", ["meeting.booked", "meeting.attended"], 175, "SQL", id="book then attend, sum"),
        pytest.param("milestone", ["meeting.booked", "meeting.attended"], 100, "SQL", id="book then attend, floor"),
        pytest.param("points", ["form.submitted", "meeting.booked"], 125, "SQL", id="form and booking, sum"),
        pytest.param("milestone", ["form.submitted", "meeting.booked"], 75, "MQL", id="form and booking, floor"),
        pytest.param("milestone", ["meeting.booked", "meeting.booked"], 75, "MQL", id="booked again"),
        pytest.param("milestone", ["form.submitted", *["page.viewed"] * 20], 60, "Lead", id="the rest is more"),
        pytest.param("milestone", ["page.viewed"], 3, None, id="none reached"),
    ],
)
def test_lifting_and_adding(run: Run, word: str, happened: list[str], total: int, stage: str | None) -> None:
    found = run(triggerm(word), events=[(0, kind) for kind in happened], at=1)
    assert (found.total, found.stage) == (total * 1000, stage)


@pytest.mark.parametrize(
    ("dimension", "total"),
    [
        pytest.param({}, 40 + 5, id="lifts its dimension, others add"),
        pytest.param({"max": 30}, 30 + 5, id="within the dimension's cap"),
    ],
)
def test_in_a_dimension(run: Run, dimension: dict[str, Any], total: int) -> None:
    model = {
        "dimensions": {"d": dimension, "e": {}},
        "rules": [
            {"id": "m", "dimension": "d", "on": "a.done", "milestone": 40},
            {"id": "p", "dimension": "d", "when": {"trait": "x", "is": 1}, "points": 10},
            {"id": "q", "dimension": "e", "when": {"trait": "x", "is": 1}, "points": 5},
        ],
    }
    assert run(model, traits={"x": 1}, events=[(0, "a.done")]).total == total * 1000
    assert run(model, traits={"x": 1}).total == 15_000


@pytest.mark.parametrize(
    ("fades", "day", "total"),
    [
        pytest.param({"after": "10d"}, 9, 40, id="holds"),
        pytest.param({"after": "10d"}, 10, 10, id="gone: the rest remains"),
        pytest.param({"linear": "10d"}, 5, 20, id="sinks evenly"),
        pytest.param({"linear": "10d"}, 8, 10, id="below the rest"),
        pytest.param({"every": "5d", "by": "50%"}, 5, 20, id="in steps"),
        pytest.param({"half_life": "5d"}, 5, 20, id="by halves"),
    ],
)
def test_fading(run: Run, fades: dict[str, Any], day: int, total: int) -> None:
    model = {
        "rules": [
            {"id": "m", "on": "a.done", "milestone": 40, "fades": fades},
            {"id": "p", "when": {"trait": "x", "is": 1}, "points": 10},
        ]
    }
    events = [(-3, "a.done"), (0, "a.done"), (200, "a.done")]
    assert run(model, traits={"x": 1}, events=events, at=day).total == total * 1000


def test_of_conditions_and_silences(run: Run) -> None:
    model = {
        "rules": [
            {"id": "w", "when": {"trait": "x", "is": 1}, "milestone": 20},
            {"id": "i", "idle": {"for": "10d"}, "milestone": 30},
            {"id": "k", "idle": {"for": "20d", "kept": True}, "milestone": 40, "fades": {"after": "10d"}},
        ]
    }
    events = [(0, "a.done"), (25, "a.done")]
    assert [run(model, traits={"x": 1}, events=events, at=day).total for day in (9, 10, 20, 25, 30)] == [
        *(20_000, 30_000, 40_000, 40_000, 20_000)
    ]


def test_a_milestone_lifts_out_of_the_red(run: Run) -> None:
    model = {
        "rules": [
            {"id": "m", "on": "a.done", "milestone": 5},
            {"id": "p", "when": {"trait": "x", "is": 1}, "points": -10},
        ]
    }
    assert run(model, traits={"x": 1}, events=[(0, "a.done")]).total == 5000
    assert run(model, traits={"x": 1}).total == -10_000
