"""What a model becomes where fields are kept out: what it asks of them is unknown, and nothing else changes."""

from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest

from assay.scoring.engine import compile_model, explain
from assay.scoring.language import COMPUTED, describe, fields, load, without
from assay.scoring.language.computed import sources
from assay.scoring.language.hiding import problems

AT = datetime(2026, 3, 1, tzinfo=UTC)
SALARY = {"trait": "salary", "gt": 10}
BY_SALARY = {"property": "salary", "gt": 10}


def hides(name: str) -> bool:
    return name == "salary"


def compiled(**parts: Any) -> Any:
    return compile_model(without(load({"model": "m", **parts}), hides))


def total(rule: dict[str, Any]) -> int | None:
    """Of a lead that has a salary of 99, and two events that state one."""
    leads = pl.DataFrame({"lead_id": ["ada"], "trait:salary": ["99"], "trait:title": ["CFO"]})
    events = pl.DataFrame(
        {
            "lead_id": ["ada"] * 2,
            "event_id": ["a", "b"],
            "type": ["pay.stated"] * 2,
            "occurred_at": [AT] * 2,
            "property:salary": ["99", "7"],
        },
        schema_overrides={"occurred_at": pl.Datetime("us", "UTC")},
    )
    (explanation,) = explain(compiled(rules=[{"id": "r", "points": 1, **rule}]), leads, events, AT)
    return explanation.total


@pytest.mark.parametrize(
    "rule",
    [
        pytest.param({"when": SALARY}, id="a comparison"),
        pytest.param({"when": {"not": SALARY}}, id="its opposite"),
        pytest.param({"when": {"trait": "salary", "exists": True}}, id="known"),
        pytest.param({"when": {"trait": "salary", "exists": False}}, id="not known"),
        pytest.param({"when": {"all": [SALARY, {"trait": "title", "is": "CFO"}]}}, id="with another"),
        pytest.param({"on": "pay.stated", "where": BY_SALARY}, id="events where"),
        pytest.param({"on": "pay.stated", "where": {"not": BY_SALARY}}, id="events where not"),
        pytest.param({"on": "pay.stated", "count": {"once_per": "salary"}}, id="events by value"),
        pytest.param({"when": {"event": "pay.stated", "where": BY_SALARY, "count": {"gte": 1}}}, id="a count"),
        pytest.param({"when": {"event": "pay.stated", "where": BY_SALARY, "count": {"is": 0}}}, id="a count of none"),
        pytest.param({"when": {"event": "pay.stated", "distinct": "salary", "count": {"lt": 9}}}, id="values"),
        pytest.param({"when": {"not": {"event": "pay.stated", "distinct": "salary"}}}, id="not of values"),
    ],
)
def test_what_is_asked_of_a_hidden_field_never_holds(rule: dict[str, Any]) -> None:
    assert total(rule) == 0


@pytest.mark.parametrize(
    "rule",
    [
        pytest.param({"when": {"any": [SALARY, {"trait": "title", "is": "CFO"}]}}, id="or another"),
        pytest.param({"on": "pay.stated", "count": "once"}, id="an event that happens to have it"),
        pytest.param({"when": {"event": "pay.stated", "count": {"is": 2}}}, id="a count of such events"),
    ],
)
def test_the_rest_counts(rule: dict[str, Any]) -> None:
    assert total(rule) == 1000


def test_hidden_fields_are_not_even_read() -> None:
    rules = [
        {"id": "a", "when": {"any": [SALARY, {"trait": "title", "is": "CFO"}]}, "points": 1},
        {"id": "b", "on": "pay.stated", "where": BY_SALARY, "points": 1},
        {"id": "c", "on": "pay.stated", "count": {"once_per": "salary"}, "points": 1},
        {"id": "d", "when": {"event": "pay.stated", "distinct": "salary"}, "points": 1},
    ]
    model = compiled(rules=rules)
    assert (model.traits, "salary" in model.properties) == ({"title"}, False)


def test_a_lead_whose_audience_rests_on_one_is_in_no_audience() -> None:
    model = compiled(audience=SALARY, rules=[{"id": "a", "when": {"trait": "title", "exists": True}, "points": 1}])
    leads = pl.DataFrame({"lead_id": ["ada"], "trait:title": ["CFO"]})
    events = pl.DataFrame(
        schema={"lead_id": pl.String, "event_id": pl.String, "type": pl.String, "occurred_at": pl.Datetime("us", "UTC")}
    )
    (explanation,) = explain(model, leads, events, AT)
    assert not explanation.applies
    assert (
        explanation.parts[0].why
        == "this model is only for leads where something about salary; kept out of scoring: salary"
    )


def test_a_model_that_asks_of_none_stays_as_it_is() -> None:
    model = load({"model": "m", "rules": [{"id": "a", "when": {"trait": "title", "is": "CFO"}, "points": 1}]})
    assert without(model, hides) is model


@pytest.mark.parametrize(
    ("document", "path"),
    [
        pytest.param({"audience": SALARY}, "audience.trait", id="audience"),
        pytest.param(
            {"rules": [{"when": {"trait": "salary", "gt": 1, "lt": 9}}]}, "rules[0].when.trait", id="two words"
        ),
        pytest.param(
            {"rules": [{"when": {"all": [{"not": {"any": [SALARY]}}]}}]},
            "rules[0].when.all[0].not.any[0].trait",
            id="deep",
        ),
        pytest.param({"rules": [{"on": "a.b", "where": BY_SALARY}]}, "rules[0].where.property", id="where"),
        pytest.param(
            {"rules": [{"on": "a.b", "count": {"once_per": "salary"}}]}, "rules[0].count.once_per", id="once per"
        ),
        pytest.param(
            {"rules": [{"when": {"event": "a.b", "where": BY_SALARY, "count": {"gt": 1, "lt": 9}}}]},
            "rules[0].when.where.property",
            id="counted events",
        ),
        pytest.param(
            {"rules": [{"when": {"event": "a.b", "distinct": "salary"}}]},
            "rules[0].when.distinct",
            id="different values",
        ),
        pytest.param(
            {"overrides": [{"id": "o", "when": SALARY, "set": 0, "reason": "r"}]},
            "overrides[0].when.trait",
            id="override",
        ),
    ],
)
def test_the_place_of_each_question_is_told(document: dict[str, Any], path: str) -> None:
    import json

    (problem,) = problems(json.dumps({"model": "m", **document}), hides)
    assert problem.path == path
    assert problem.message == (
        "'salary' is kept out of scoring: see Fields. Ask for another field, or unmark it there first."
    )


def test_every_field_is_named() -> None:
    rules = [
        {"id": "a", "when": {"all": [{"trait": "t", "is": 1}, {"event": "x.y", "where": {"property": "w", "is": 1}}]}},
        {"id": "b", "on": "x.y", "where": {"not": {"property": "p", "is": 1}}, "count": {"once_per": "o"}},
        {"id": "c", "when": {"event": "x.y", "distinct": "d"}},
    ]
    assert fields(load({"model": "m", "rules": [{"points": 1, **rule} for rule in rules]})) == set("twpod")


def test_a_computed_trait_is_hidden_by_its_own_name_alone_or_with_all_it_is_worked_out_of() -> None:
    model = load(
        {"model": "m", "rules": [{"id": "a", "when": {"trait": "quality.fake_name", "is": True}, "points": 1}]}
    )
    assert compile_model(without(model, lambda name: name == "first_name")).computed == {"quality.fake_name"}
    assert compile_model(without(model, lambda name: name.startswith("quality."))).asked == set()
    every = sources(["quality.fake_name"])
    assert compile_model(without(model, lambda name: name in every)).asked == set()
    assert COMPUTED["quality.fake_name"].doc


def test_described() -> None:
    (rule,) = without(load({"model": "m", "rules": [{"id": "a", "when": SALARY, "points": 1}]}), hides).rules
    assert describe(rule.trigger.condition) == "something about salary"  # type: ignore[union-attr] # it has one
