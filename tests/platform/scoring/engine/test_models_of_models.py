"""Conditions on what another model says of the lead."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import polars as pl
import pytest

from assay.scoring.engine import Explanation, compile_model, score
from assay.scoring.language import load

Run = Callable[..., Explanation]
BASE: dict[str, Any] = {
    "model": "base",
    "dimensions": {"fit": {}, "interest": {}},
    "audience": {"trait": "country", "is": "CH"},
    "rules": [
        {"id": "a", "dimension": "fit", "when": {"trait": "x", "is": 1}, "points": 45},
        {"id": "b", "dimension": "interest", "on": "a.done", "points": 10, "fades": {"after": "10d"}},
    ],
    "stages": [{"name": "Lead", "from": 10}, {"name": "MQL", "from": 50}],
    "grades": {"fit": {"A": 40, "B": 25, "C": 10, "D": 0}, "interest": {"1": 45, "2": 30, "3": 15, "4": 0}},
    "overrides": [{"id": "no", "when": {"trait": "banned", "is": True}, "disqualify": True, "reason": "banned"}],
}
SWISS = {"country": "CH", "x": 1}


def asks(condition: dict[str, Any], points: float = 7) -> dict[str, Any]:
    return {"rules": [{"id": "r", "when": {"model": "base", **condition}, "points": points}]}


@pytest.mark.parametrize(
    ("condition", "traits", "expected"),
    [
        pytest.param({"score": {"gte": 55}}, SWISS, True, id="score at its edge"),
        pytest.param({"score": {"gt": 55}}, SWISS, False, id="score not above"),
        pytest.param({"score": {"between": [50, 60]}}, SWISS, True, id="score between"),
        pytest.param({"dimension": "fit", "score": {"is": 45}}, SWISS, True, id="dimension"),
        pytest.param({"dimension": "interest", "score": {"gte": 30}}, SWISS, False, id="other dimension"),
        pytest.param({"stage": "MQL"}, SWISS, True, id="stage"),
        pytest.param({"stage": {"in": ["Lead", "MQL"]}}, SWISS, True, id="stage in"),
        pytest.param({"stage": {"not_in": ["Lead"]}}, SWISS, True, id="stage not in"),
        pytest.param({"stage": {"is_not": "MQL"}}, SWISS, False, id="stage is not"),
        pytest.param({"grade": "A4"}, SWISS, True, id="grade"),
        pytest.param({"disqualified": False}, SWISS, True, id="not disqualified"),
        pytest.param({"disqualified": True}, SWISS | {"banned": True}, True, id="disqualified"),
        pytest.param({"stage": {"exists": False}}, SWISS | {"banned": True}, True, id="disqualified has no stage"),
        pytest.param({"score": {"gte": 55}}, SWISS | {"banned": True}, True, id="disqualified keeps its score"),
        pytest.param({"applies": True}, SWISS, True, id="applies"),
        pytest.param({"applies": False}, {"country": "US"}, True, id="does not apply"),
        pytest.param({"score": {"lt": 55}}, {"country": "US"}, False, id="score unknown where it does not apply"),
        pytest.param({"stage": {"exists": False}}, {"country": "US"}, False, id="so is the stage"),
        pytest.param({"disqualified": False}, {"country": "US"}, False, id="and whether it is disqualified"),
    ],
)
def test_aspects(run: Run, condition: dict[str, Any], traits: dict[str, Any], expected: bool) -> None:
    found = run(asks(condition), references=[BASE], traits=traits, events=[(0, "a.done")])
    assert found.total == (7000 if expected else 0)


def test_not_of_an_unknown_is_unknown(run: Run) -> None:
    rule = {"id": "r", "when": {"not": {"model": "base", "stage": "MQL"}}, "points": 7}
    assert run({"rules": [rule]}, references=[BASE], traits={"country": "US"}).total == 0
    assert run({"rules": [rule]}, references=[BASE], traits=SWISS).total == 7000
    # Without any stage nothing is known of it either.
    assert run({"rules": [rule]}, references=[BASE], traits={"country": "CH"}).total == 0


@pytest.mark.parametrize(("day", "total"), [(0, 7000), (9, 7000), (10, 0)])
def test_its_fading_is_a_change_here(run: Run, day: int, total: int) -> None:
    found = run(asks({"stage": "MQL"}), references=[BASE], traits=SWISS, events=[(0, "a.done")], at=day)
    assert found.total == total
    assert (found.next_change is None) == (day == 10)


def test_a_chain_of_three(run: Run) -> None:
    middle = {"model": "middle", **asks({"score": {"gte": 50}}, 20)}
    top = {
        "rules": [
            {"id": "r", "when": {"model": "middle", "score": {"is": 20}}, "points": 1},
            {"id": "s", "when": {"model": "base", "applies": True}, "points": 2},
        ]
    }
    assert run(top, references=[BASE, middle], traits=SWISS, events=[(0, "a.done")]).total == 3000


def test_returning_customers(run: Run) -> None:
    new = {"model": "new", "rules": [{"id": "r", "on": "a.done", "points": 94}]}
    returning = {
        "audience": {"event": "deal.won"},
        "rules": [
            {"id": "r", "on": "a.done", "points": 94},
            {"id": "more", "when": {"model": "new", "applies": True}, "points": 30},
        ],
    }
    assert run(returning, references=[new], events=[(0, "a.done"), (-90, "deal.won")]).total == 124_000
    assert run(returning, references=[new], events=[(0, "a.done")]).applies is False


def test_two_versions_of_one_name_side_by_side(leads_frame: Callable[..., pl.DataFrame]) -> None:
    versions = [
        compile_model(
            load({"model": "base", "rules": [{"id": "r", "when": {"trait": "x", "is": 1}, "points": points}]})
        )
        for points in (1, 2)
    ]
    asking = load({"model": "top", "rules": [{"id": "r", "when": {"model": "base", "score": {"gte": 2}}, "points": 5}]})
    models = [compile_model(asking, {"base": version}) for version in versions]
    events = pl.DataFrame(
        schema={"lead_id": pl.String, "event_id": pl.String, "type": pl.String, "occurred_at": pl.Datetime("us", "UTC")}
    )
    at = datetime.fromisoformat("2026-03-01T00:00:00+00:00")
    found = score([*models, *versions], leads_frame([{"lead_id": "a", "traits": {"x": 1}}]), events, at)
    assert found["total"].to_list() == [0, 5000, 1000, 2000]
