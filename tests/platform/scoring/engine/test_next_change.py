"""`next_change`: nothing changes before it, and what does change does so then, to the microsecond."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import polars as pl
import pytest

from assay.scoring.engine import CompiledModel, compile_model, score
from assay.scoring.language import load

DAY_0 = datetime.fromisoformat("2026-03-01T00:00:00+00:00")
TICK = timedelta(microseconds=1)
STAGES = [{"name": "warm", "from": 3}, {"name": "hot", "above": 7}]
Frame = Callable[..., pl.DataFrame]


def rule(**words: Any) -> dict[str, Any]:
    return {"id": "r", "on": "a.done", "points": 10, **words}


def compiled(document: dict[str, Any], *references: dict[str, Any]) -> CompiledModel:
    others = {one["model"]: compile_model(load(one)) for one in references}
    return compile_model(load({"model": "m", **document}), others)


@pytest.fixture
def at(leads_frame: Frame, events_frame: Frame) -> Callable[..., dict[str, Any]]:
    def row(model: CompiledModel, happened: list[Any], instant: datetime, **traits: Any) -> dict[str, Any]:
        events = [
            {
                "lead_id": "a",
                "event_id": f"e{place}",
                "type": kind,
                "occurred_at": DAY_0 + timedelta(days=day),
                "properties": rest[0] if rest else {},
            }
            for place, (day, kind, *rest) in enumerate(happened)
        ]
        leads = leads_frame([{"lead_id": "a", "traits": traits}])
        return score([model], leads, events_frame(events), instant).row(0, named=True)

    return row


@pytest.mark.parametrize(
    ("document", "happened", "day", "expected"),
    [
        pytest.param({"rules": [rule(fades={"every": "30d", "by": "50%"})]}, [(0, "a.done")], 1, 30, id="a step"),
        pytest.param(
            {"rules": [rule(fades={"every": "30d", "by": "50%"})]}, [(0, "a.done")], 30, 60, id="the last step"
        ),
        pytest.param({"rules": [rule(fades={"every": "30d", "by": "50%"})]}, [(0, "a.done")], 60, None, id="no more"),
        pytest.param(
            {"rules": [rule(fades={"every": "30d", "by": "50%"})]},
            [(0, "a.done"), (20, "a.done")],
            40,
            50,
            id="the step of the newer award",
        ),
        pytest.param({"rules": [rule(fades={"linear": "30d"})]}, [(0, "a.done")], 1, 2, id="drifting: once a day"),
        pytest.param({"rules": [rule(fades={"linear": "30d"})]}, [(0, "a.done")], 29.5, 30, id="drifting: its end"),
        pytest.param({"rules": [rule(fades={"linear": "30d"})]}, [(0, "a.done")], 30, None, id="drifted away"),
        pytest.param(
            {"rules": [rule(fades={"half_life": "1d"})]}, [(0, "a.done")], 60, None, id="nothing left to drift"
        ),
        pytest.param(
            {"rules": [{"id": "r", "when": {"event": "a.done", "within": "10d"}, "points": 1}]},
            [(0, "a.done"), (3, "a.done")],
            5,
            10,
            id="an event leaves the window",
        ),
        pytest.param(
            {"rules": [{"id": "r", "when": {"event": "a.done", "within": "10d"}, "points": 1}]},
            [(7, "a.done")],
            5,
            7,
            id="an event enters the window",
        ),
        pytest.param(
            {"rules": [{"id": "r", "when": {"event": "a.done"}, "points": 1}]}, [(0, "a.done")], 5, None, id="no window"
        ),
        pytest.param(
            {"rules": [rule()], "audience": {"event": "b.done", "within": "10d"}},
            [(0, "b.done"), (3, "a.done")],
            5,
            10,
            id="the audience changes",
        ),
        pytest.param(
            {"rules": [rule(fades={"after": "20d"})], "audience": {"event": "b.done", "within": "10d"}},
            [(0, "b.done"), (3, "a.done")],
            11,
            None,
            id="to whom it does not apply nothing else matters",
        ),
        pytest.param(
            {
                "rules": [rule()],
                "overrides": [{"id": "o", "when": {"event": "a.done", "within": "9d"}, "set": 0, "reason": "new"}],
            },
            [(0, "a.done")],
            5,
            9,
            id="an override ends",
        ),
        pytest.param(
            {"rules": [{"id": "s", "idle": {"for": "30d", "kept": True}, "points": -5, "fades": {"after": "5d"}}]},
            [(0, "a.done")],
            31,
            35,
            id="a kept silence fades",
        ),
        pytest.param(
            {"rules": [{"id": "r", "when": {"trait": "x", "within": "10d"}, "points": 1}]},
            [],
            0,
            5,
            id="a date in a list",
        ),
        pytest.param(
            {"rules": [rule(where={"property": "until", "within": "10d"})]},
            [(0, "a.done", {"until": ["2026-02-24", "2026-02-27"]})],
            0,
            5,
            id="a date in a list of an event",
        ),
    ],
)
def test_discrete(
    at: Callable[..., Any], document: dict[str, Any], happened: list[Any], day: float, expected: float | None
) -> None:
    dates = ["2026-02-24", "2026-02-27"]
    found = at(compiled(document), happened, DAY_0 + timedelta(days=day), x=dates)["next_change"]
    assert found == (None if expected is None else DAY_0 + timedelta(days=expected))


SMOOTH: list[Any] = [
    pytest.param({"rules": [rule(fades={"half_life": "14d"})], "stages": STAGES}, 24.1, id="half-life"),
    pytest.param({"rules": [rule(fades={"linear": "60d"})], "stages": STAGES}, 17.9, id="linear, a stage above"),
    pytest.param(
        {
            "rules": [rule(fades={"linear": "60d"}), rule(id="q", on="b.done", points=-4, fades={"half_life": "3d"})],
            "stages": STAGES,
        },
        17.1,
        id="rising and falling at once, down",
    ),
    pytest.param(
        {
            "rules": [rule(fades={"linear": "60d"}), rule(id="q", on="b.done", points=-4, fades={"half_life": "3d"})],
            "stages": STAGES,
        },
        2.0,
        id="rising and falling at once, up",
    ),
    pytest.param(
        {"rules": [rule(points=20, fades={"linear": "60d"}, max=5)], "stages": [{"name": "warm", "from": 4}]},
        47.3,
        id="under a cap until it sinks",
    ),
    pytest.param(
        {"rules": [{"id": "m", "on": "a.done", "milestone": 10, "fades": {"linear": "60d"}}], "stages": STAGES},
        41.5,
        id="a milestone",
    ),
    pytest.param(
        {
            "dimensions": {"fit": {}, "interest": {}},
            "rules": [
                rule(dimension="fit", fades={"linear": "60d"}),
                rule(id="q", dimension="interest", fades={"half_life": "7d"}),
            ],
            "grades": {"fit": {"A": 8, "B": 6, "C": 3, "D": 0}, "interest": {"1": 8, "2": 5, "3": 2, "4": 0}},
        },
        6.2,
        id="a grade, by the second dimension",
    ),
    pytest.param(
        {
            "rules": [
                {"id": "r", "on": "a.done", "count": {"first_points": 9, "then": -3}, "fades": {"half_life": "5d"}},
            ],
            "stages": [{"name": "warm", "from": 1}],
        },
        14.9,
        id="first and later of two signs",
    ),
]


@pytest.mark.parametrize(("document", "day"), SMOOTH)
def test_a_crossing_to_the_microsecond(at: Callable[..., Any], document: dict[str, Any], day: float) -> None:
    model, happened = compiled(document), [(0, "a.done"), (0.5, "b.done")]
    begin = DAY_0 + timedelta(days=day)
    now = at(model, happened, begin)
    change = now["next_change"]
    assert begin < change < begin + timedelta(days=1)
    before, after = at(model, happened, change - TICK), at(model, happened, change)
    assert (before["stage"], before["grade"]) == (now["stage"], now["grade"])
    assert (after["stage"], after["grade"]) != (now["stage"], now["grade"])
    assert before["next_change"] == change


@pytest.mark.parametrize(
    "condition",
    [
        pytest.param({"score": {"gte": 3.5}}, id="a score that is no stage of its own"),
        pytest.param({"score": {"between": [3.5, 3.6]}}, id="between, from below"),
        pytest.param({"score": {"is": 3.5}}, id="a moment's score"),
        pytest.param({"stage": "warm"}, id="a stage"),
        pytest.param({"dimension": "d", "score": {"lt": 3.5}}, id="a dimension"),
    ],
)
def test_crossings_of_another_model(at: Callable[..., Any], condition: dict[str, Any]) -> None:
    base = {
        "model": "base",
        "dimensions": {"d": {}},
        "rules": [rule(dimension="d", fades={"linear": "60d"})],
        "stages": [{"name": "warm", "from": 3.5}],
    }
    model = compiled({"rules": [{"id": "r", "when": {"model": "base", **condition}, "points": 1}]}, base)
    begin = DAY_0 + timedelta(days=38.2)
    now = at(model, [(0, "a.done")], begin)
    changes = [begin]
    for _ in range(6):
        changes.append(at(model, [(0, "a.done")], changes[-1])["next_change"])
    totals = [at(model, [(0, "a.done")], instant)["total"] for instant in changes]
    assert any(total != now["total"] for total in totals)
    for change, total in zip(changes[1:], totals, strict=False):
        assert at(model, [(0, "a.done")], change - TICK)["total"] == total


def test_each_lead_of_many_has_its_own_crossing(leads_frame: Frame, events_frame: Frame) -> None:
    model = compiled({"rules": [rule(fades={"half_life": "14d"})], "stages": STAGES})
    people = leads_frame([{"lead_id": str(lead)} for lead in range(60)])
    happened = events_frame(
        [
            {"lead_id": str(lead), "event_id": "e", "type": "a.done", "occurred_at": DAY_0 + timedelta(hours=lead)}
            for lead in range(60)
        ]
    )
    instant = DAY_0 + timedelta(days=25)
    together = score([model], people, happened, instant)
    alone = pl.concat([score([model], people[place], happened, instant) for place in range(60)])
    assert together.equals(alone)
    assert together["next_change"].n_unique() > 20
