"""Parameters and formulas: exact results in place, precise refusals, and values set from outside."""

import json
from decimal import Decimal
from typing import Any

import pytest

from assay.scoring.language import (
    Comparison,
    Fading,
    InvalidModel,
    OnEvents,
    WhenHolds,
    content_hash,
    dump,
    load,
    parameters,
    parse,
    with_parameters,
)

DAY = 86_400_000_000
PARAMETERS: dict[str, Any] = {"offers": 5, "step": 2.5, "zero": 0, "expiry": "60d", "größe": 3}


def model(rule: dict[str, Any], **words: Any) -> dict[str, Any]:
    base = {"id": "r", "on": "a.done", "points": 1}
    return {"model": "m", "parameters": PARAMETERS, "rules": [base | rule]} | words


def problems(document: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(InvalidModel) as refused:
        load(document)
    return {problem.path: problem.message for problem in refused.value.problems}


@pytest.mark.parametrize(
    ("formula", "thousandths"),
    [
        ("= offers", 5000),
        ("=offers*10+25", 75_000),
        ("= (offers + 1) * -2", -12_000),
        ("= offers - step", 2500),
        ("= offers − 1 × 2 ÷ 4", 4500),
        ("= 10 / 4 / 5", 500),
        ("= 0.1 + 0.2", 300),
        ("= 1 / 3 * 3", 1000),
        ("= --offers", 5000),
        ("= größe", 3000),
        ("= ((((1))))", 1000),
    ],
)
def test_results_are_exact(formula: str, thousandths: int) -> None:
    assert load(model({"points": formula})).rules[0].points == thousandths


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("= ofers", "the parameter 'ofers' is not declared; did you mean 'offers'?"),
        ("= offers / zero", "divides by zero"),
        ("= offers / (step - 2.5)", "divides by zero"),
        ("= 10 / 3", "gives 10/3 (3.33333…), and numbers have at most three decimal places"),
        ("= 0.0001", "at most three decimal places"),
        ("= 1000000 * 1000000", "gives a number that does not lie between"),
        ("=", "is a formula of nothing; text that begins with '=' is written with two"),
        ("= offers +", "a number or a parameter is missing at the end"),
        ("= * 3", "a number or a parameter is missing before '*'"),
        ("= (offers", "a bracket is not closed"),
        ("= offers)", "')' is not expected"),
        ("= offers 3", "'3' is not expected"),
        ("= offers ** 2", "is missing before '*'"),
        ("= offers % 2", "'%' is not expected"),
        ("= __import__('os')", "is not expected in"),
        ("= offers.real", "'.' is not expected"),
        ("= 1e9", "'e9' is not expected"),
        ("= expiry * 2", "reckons with 'expiry', which is a duration; a duration stands alone"),
        ("= " + "1+" * 150 + "1", "is a formula of 303 characters; at most 200"),
        ("= " + "(" * 50 + "1" + ")" * 50, "has more than 20 brackets"),
        ("= " + "9" * 190, "gives a number that does not lie between"),
    ],
)
def test_mistakes_in_formulas(formula: str, message: str) -> None:
    found = problems(model({"points": formula}))
    assert list(found) == ["rules[0].points"]
    assert message in found["rules[0].points"]


@pytest.mark.parametrize(
    ("declared", "path", "message"),
    [
        ([1], "parameters", "must be a mapping of names to numbers or durations"),
        ({"a b": 1}, "parameters.a b", "must be a name of letters, digits and '_'"),
        ({"a-b": 1}, "parameters.a-b", "must be a name of letters, digits and '_'"),
        ({"2a": 1}, "parameters.2a", "beginning with a letter"),
        ({"a": True}, "parameters.a", "must be a number"),
        ({"a": [1]}, "parameters.a", "must be a number"),
        ({"a": None}, "parameters.a", "must have a value"),
        ({"a": "60"}, "parameters.a", "must be a duration such as 60d"),
        ({"a": "= 3"}, "parameters.a", "a formula may not stand here"),
        ({"a": 0.00001}, "parameters.a", "at most three decimal places"),
        ({"a": {"min": 1}}, "parameters.a.value", "is missing"),
        ({"a": {"value": 1, "mim": 1}}, "parameters.a.mim", "did you mean 'min'?"),
        ({"a": {"value": 1, "min": 2}}, "parameters.a.value", "(1) is below min (2)"),
        ({"a": {"value": 3, "max": 2}}, "parameters.a.value", "(3) is above max (2)"),
        ({"a": {"value": 3, "min": 4, "max": 2}}, "parameters.a.min", "(4) is above max (2)"),
        ({"a": {"value": "3d", "max": 2}}, "parameters.a.max", "must be of the same kind as the value"),
        ({"a": {"value": "3d", "max": "2d"}}, "parameters.a.value", "(3d) is above max (2d)"),
        ({f"p{place}": place for place in range(101)}, "parameters", "has 101 parameters; at most 100"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_mistakes_in_parameters(declared: Any, path: str, message: str) -> None:
    found = problems(model({}, parameters=declared))
    assert path in found, found
    assert message in found[path]


def test_a_wrong_parameter_is_told_where_it_is_declared_alone() -> None:
    assert list(problems(model({"points": "= a + 1"}, parameters={"a": "wrong"}))) == ["parameters.a"]


def test_formulas_stand_anywhere_a_value_may() -> None:
    found = load(
        model(
            {
                "fades": {"after": "= expiry"},
                "count": {"first": "= offers"},
                "where": {"property": "p", "in": ["= offers", "==x"]},
                "max": "= offers * 2",
            },
            stages=[{"name": "= Lead", "from": "= offers"}],
            title="= not a formula",
            scale={"max": "= 10 * offers"},
            dimensions={"fit": {"max": "= step"}},
            examples=[{"name": "= e", "traits": {"title": "= offers"}, "expect": {"total": "= step"}}],
        )
    )
    trigger = found.rules[0].trigger
    assert isinstance(trigger, OnEvents)
    assert trigger.fading == Fading("after", 60 * DAY)
    assert trigger.count.number == 5
    assert trigger.where == Comparison("property", "p", "in", (5, "=x"))
    assert (found.rules[0].max, found.scale.max, found.dimensions[0].max) == (10_000, 50_000, 2500)
    assert (found.title, found.stages[0].name, found.examples[0].name) == ("= not a formula", "= Lead", "= e")
    assert found.examples[0].expect[0].words == (("total", "2.5"),)
    assert content_hash(load(dump(found))) == content_hash(found)


def test_two_equals_signs_are_text() -> None:
    found = load(
        model({"on": ..., "when": {"trait": "x", "is": "==A1"}} | {}, parameters={})
        | {"rules": [{"id": "r", "when": {"trait": "x", "is": "==A1"}, "points": 1}]}
    )
    trigger = found.rules[0].trigger
    assert isinstance(trigger, WhenHolds)
    assert trigger.condition == Comparison("trait", "x", "is", "=A1")
    assert dump(found)["rules"][0]["when"] == {"trait": "x", "is": "==A1"}


@pytest.mark.parametrize(
    "rule",
    [
        {"on": ..., "when": {"trait": "= x", "is": 1}},
        {"on": ..., "when": {"event": "any", "distinct": "==", "where": {"property": "=p", "is": "==p"}}},
        {"count": {"once_per": "= p"}},
    ],
    ids=["a trait", "a property", "once for each"],
)
def test_names_are_no_formulas(rule: dict[str, Any]) -> None:
    words = model(rule)["rules"][0]
    found = load(model({}) | {"rules": [{word: value for word, value in words.items() if value is not ...}]})
    assert content_hash(load(dump(found))) == content_hash(found)
    written = {"traits": {"trait": "==x"}, "given": [{"on": "a.done", "properties": {"property": "==x"}}]}
    found = load(model({}, examples=[written | {"name": "e", "expect": {"total": 1}}]))
    assert content_hash(load(dump(found))) == content_hash(found)


def test_the_hash_carries_results_and_parameters() -> None:
    written, reckoned, other = (
        load(model({"points": points}, parameters={"a": value}))
        for points, value in ((7, 7), ("= a", 7), ("= a - 1", 8))
    )
    assert content_hash(written) == content_hash(reckoned) != content_hash(other)


TEXT = """\
# Ours. 🙂 Do not touch.
model: m
parameters:
  offers: 5            # how many
  step: {value: 2.5, min: 1, max: 20, title: "Größe: {x}"}
  expiry:
    title: Ablauf
    value: "60d"       # quoted
rules:
  - {id: r, on: a.done, points: "= offers * step", fades: {after: "= expiry"}}  # offers: 5
"""


class TestSetting:
    def test_the_text_around_stays(self) -> None:
        changed = with_parameters(TEXT, {"offers": 6, "expiry": "90d", "step": Decimal("1.5")})
        assert changed == TEXT.replace("offers: 5  ", "offers: 6  ").replace('"60d"', "90d").replace(
            "value: 2.5", "value: 1.5"
        )
        assert [(each.name, each.value) for each in parameters(changed)] == [
            ("offers", 6),
            ("step", 1.5),
            ("expiry", "90d"),
        ]
        assert parse(changed).rules[0].points == 9000

    @pytest.mark.parametrize(
        "text",
        [
            pytest.param('{"model": "m", "parameters": {"a": 1, "b": {"value": 2}}, "rules": []}', id="JSON"),
            pytest.param('{\n\t"model": "m",\n\t"parameters": {"a": 1, "b": {"value": 2}}}', id="JSON with tabs"),
            pytest.param(
                '{"x": "\\ud83d\\ude00 \\/", "parameters": {"a": 1, "b": {"value": 2}}}', id="escapes of JSON"
            ),
            pytest.param("parameters: {a: 1, b: {value: 2}}", id="flow"),
            pytest.param("\ufeffx: 🙂\nparameters:\n  a: 1\n  b:\n    value: 2\n", id="byte order mark"),
            pytest.param("x: {parameters: {a: 8}}\r\nparameters:\r\n  a: 1\r\n  b: {value: 2}\r\n", id="line ends"),
            pytest.param("a: 8\nparameters: {'a': '1d', \"b\": {value: 2}}", id="quoted keys"),
        ],
    )
    def test_in_any_spelling(self, text: str) -> None:
        first = "7d" if "1d" in text else 7
        found = parameters(with_parameters(text, {"a": first, "b": 9}))
        assert [each.value for each in found] == [first, 9]

    def test_nothing_set_changes_nothing(self) -> None:
        assert with_parameters(TEXT, {}) == TEXT

    def test_text_from_a_form_is_a_number(self) -> None:
        assert parameters(with_parameters(TEXT, {"offers": "7"}))[0].value == 7

    @pytest.mark.parametrize(
        ("values", "path", "message"),
        [
            ({"offer": 3}, "parameters.offer", "did you mean 'offers'?"),
            ({"offers": "3d"}, "parameters.offers", "must be a number, as it is now (5)"),
            ({"expiry": 3}, "parameters.expiry", "must be a duration such as 60d, as it is now (60d)"),
            ({"step": 21}, "parameters.step", "(21) is above max (20)"),
            ({"step": 0.5}, "parameters.step", "(0.5) is below min (1)"),
            ({"offers": "5 # x"}, "parameters.offers", "must be a duration"),
            ({"offers": None}, "parameters.offers", "must be a number"),
            ({"offers": True}, "parameters.offers", "must be a number"),
        ],
    )
    def test_refusals(self, values: dict[str, object], path: str, message: str) -> None:
        with pytest.raises(InvalidModel) as refused:
            with_parameters(TEXT, values)
        (problem,) = refused.value.problems
        assert problem.path == path
        assert message in problem.message

    def test_a_value_others_stand_for_is_refused(self) -> None:
        with pytest.raises(InvalidModel, match="without & and"):
            with_parameters("model: m\nparameters: {a: &x 1, b: *x}", {"a": 2})

    def test_what_is_declared_can_be_listed(self) -> None:
        offers, step, _ = parameters(TEXT)
        assert (offers.title, offers.min, step.title, step.min, step.max) == (None, None, "Größe: {x}", 1, 20)
        assert parameters(json.dumps({"model": "m"})) == []
