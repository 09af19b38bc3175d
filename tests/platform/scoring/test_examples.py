"""A model's own examples: every expectation beside what comes out."""

from datetime import timedelta
from typing import Any

import pytest

from assay.scoring.engine import CompiledModel, compile_model
from assay.scoring.examples import DAY_0, Check, run_examples
from assay.scoring.language import load

MODEL: dict[str, Any] = {
    "model": "m",
    "dimensions": {"fit": {}, "interest": {}},
    "rules": [
        {"id": "cfo", "dimension": "fit", "when": {"trait": "title", "is": "CFO"}, "points": 20},
        {"id": "size", "dimension": "fit", "when": {"trait": "company.employees", "gte": 50}, "points": 10},
        {"id": "visit", "dimension": "interest", "on": "page.viewed", "points": 3, "fades": {"after": "60d"}},
        {
            "id": "price",
            "dimension": "interest",
            "on": "page.viewed",
            "where": {"property": "path", "is": "/p"},
            "points": 5,
        },
        {"id": "third", "dimension": "interest", "on": "a.done", "points": 6.667},
        {"id": "silent", "idle": {"for": "30d"}, "points": -15},
    ],
    "overrides": [
        {"id": "area", "when": {"trait": "country", "is": "US"}, "set": 0, "reason": "not served"},
        {"id": "student", "when": {"trait": "title", "is": "Student"}, "disqualify": True, "reason": "a student"},
    ],
    "stages": [{"name": "Warm", "from": 10}],
}


def model_of(*examples: dict[str, Any], **changed: Any) -> CompiledModel:
    return compile_model(load({**MODEL, **changed, "examples": list(examples)}))


@pytest.mark.parametrize(
    ("example", "failures"),
    [
        pytest.param({"traits": {"title": "CFO"}, "expect": {"total": 20, "stage": "Warm"}}, [], id="traits"),
        pytest.param({"traits": {"company.employees": 120}, "expect": {"total": 10}}, [], id="traits of a company"),
        pytest.param({"traits": {"title": "CFO"}, "expect": {"total": 25}}, [("total", "25", 20)], id="not so"),
        pytest.param({"expect": {"total": 0, "stage": None, "grade": None, "raw": 0}}, [], id="nothing at all"),
        pytest.param(
            {
                "given": [{"on": "page.viewed", "times": 3}],
                "expect": [{"at": "29d", "total": 9}, {"at": "30d", "total": -6}],
            },
            [],
            id="at several instants",
        ),
        pytest.param(
            {
                "given": [{"on": "page.viewed", "at": "5d"}],
                "expect": [{"at": "4d", "total": 0}, {"at": "5d", "total": 3}],
            },
            [],
            id="an event counts from its instant on",
        ),
        pytest.param(
            {"given": [{"on": "page.viewed", "properties": {"path": "/p"}}], "expect": {"total": 8}},
            [],
            id="properties",
        ),
        pytest.param(
            {
                "traits": {"title": "CFO"},
                "given": [{"traits": {"title": "Clerk"}, "at": "5d"}],
                "expect": [{"at": "4d", "total": 20}, {"at": "5d", "total": 0}],
            },
            [],
            id="a trait that changes",
        ),
        pytest.param(
            {"given": [{"on": "a.done", "times": 10}], "expect": {"total": 66.67}}, [], id="as precise as written"
        ),
        pytest.param(
            {"given": [{"on": "a.done", "times": 10}], "expect": {"total": 66.66}},
            [("total", "66.66", 66.67)],
            id="a cent",
        ),
        pytest.param(
            {"traits": {"title": "CFO"}, "expect": {"dimensions": {"fit": 20, "interest": 1}}},
            [("interest", "1", 0)],
            id="dimensions",
        ),
        pytest.param(
            {
                "traits": {"country": "US", "title": "Student"},
                "expect": {"override": "area", "disqualified": "student"},
            },
            [],
            id="overrides",
        ),
        pytest.param(
            {"first_seen": "10d", "expect": [{"at": "39d", "total": 0}, {"at": "40d", "total": -15}]},
            [],
            id="first seen",
        ),
    ],
)
def test_expectations(example: dict[str, Any], failures: list[tuple[str, object, object]]) -> None:
    (outcome,) = run_examples(model_of({"name": "one", **example}))
    assert [(check.dimension or check.word, check.expected, check.found) for check in outcome.failures] == failures
    assert outcome.holds is (failures == [])


def test_each_example_is_a_lead_of_its_own() -> None:
    given = {"given": [{"on": "a.done"}], "expect": [{"total": 6.667}, {"at": "1d", "total": 1}]}
    outcomes = run_examples(
        model_of({"name": "a", **given}, {"name": "b", "expect": {"total": 0}}, {"name": "c", **given})
    )
    assert [(outcome.example, outcome.holds, len(outcome.checks)) for outcome in outcomes] == [
        ("a", False, 2),
        ("b", True, 1),
        ("c", False, 2),
    ]
    assert outcomes[0].failures == (Check(timedelta(days=1), "total", None, "1", 6.667, holds=False),)


def test_whom_the_model_does_not_score() -> None:
    model = model_of({"name": "a", "expect": {"applies": False}}, audience={"trait": "country", "is": "VN"})
    assert [outcome.holds for outcome in run_examples(model)] == [True]


def test_a_model_without_examples() -> None:
    assert run_examples(compile_model(load(MODEL))) == []


def test_day_0_is_always_the_same() -> None:
    assert DAY_0.isoformat() == "2026-01-01T00:00:00+00:00"
