"""The JSON Schema that editors read: it accepts every model that is one, and knows most mistakes."""

from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assay import scoring
from assay.scoring.language import InvalidModel, json_schema, load, parse
from assay.scoring.language.document import read

RULE: dict[str, Any] = {"id": "r", "when": {"trait": "x", "is": 1}, "points": 1}
EVENT: dict[str, Any] = {"id": "r", "on": "a.done", "points": 1}


@cache
def checker() -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(json_schema())


def shipped() -> list[Path]:
    folder = Path(next(iter(scoring.__path__)))
    return sorted(path for path in folder.rglob("*.yaml") if path.read_text("utf-8").startswith("model:"))


def test_it_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema())


def test_every_word_has_help() -> None:
    def words(schema: Any) -> Any:
        if isinstance(schema, dict):
            for word, inner in schema.get("properties", {}).items():
                if isinstance(inner, dict) and "additionalProperties" in schema:
                    yield word, inner
            for inner in schema.values():
                yield from words(inner)
        elif isinstance(schema, list):
            for inner in schema:
                yield from words(inner)

    unexplained = {word for word, inner in words(json_schema()) if "description" not in inner}
    # Operands of comparisons explain themselves; the marks of a grade and counting words are explained by their owner.
    assert unexplained <= {
        *("is", "is_not", "in", "not_in", "exists", "gt", "gte", "lt", "lte", "between"),
        *("A", "B", "C", "D", "1", "2", "3", "4"),
        *("once_per", "first", "from", "first_points", "then"),
    }


@pytest.mark.parametrize("path", shipped(), ids=lambda path: path.stem)
def test_shipped_models_are_valid(path: Path) -> None:
    parse(path.read_text("utf-8"))
    assert [error.message for error in checker().iter_errors(read(path.read_text("utf-8")))] == []


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_what_the_parser_accepts_is_valid(strategies: ModuleType, data: st.DataObject) -> None:
    document = data.draw(strategies.documents(others=("base",)))
    load(document)
    assert [error.message for error in checker().iter_errors(document)] == []


def model(**words: Any) -> dict[str, Any]:
    return {"model": "m", "rules": [RULE]} | words


def rule(**words: Any) -> dict[str, Any]:
    return model(rules=[{word: value for word, value in (RULE | words).items() if value is not ...}])


def event(**words: Any) -> dict[str, Any]:
    return model(rules=[{word: value for word, value in (EVENT | words).items() if value is not ...}])


WRONG: list[tuple[str, dict[str, Any]]] = [
    ("no rules", {"model": "m"}),
    ("empty rules", model(rules=[])),
    ("unknown word", model(stage=[])),
    ("title a number", model(title=3)),
    ("blank title", model(title="  ")),
    ("precedence negative", model(precedence=-1)),
    ("precedence half", model(precedence=1.5)),
    ("parameter a list", model(parameters={"a": [1]})),
    ("parameter unknown word", model(parameters={"a": {"value": 1, "most": 2}})),
    ("audience a list", model(audience=[])),
    ("audience of properties", model(audience={"property": "x", "is": 1})),
    ("dimension word", model(dimensions={"fit": {"maxx": 1}})),
    ("split without over", model(split={"points": 100})),
    ("split of nothing", model(split={"points": 0, "over": ["fit"]})),
    ("judgements text", model(judgements="no")),
    ("rule without trigger", rule(when=...)),
    ("rule with two triggers", rule(on="a.done")),
    ("rule without points", rule(points=...)),
    ("rule with two worths", rule(milestone=3)),
    ("points text", rule(points="10")),
    ("points too many", rule(points=10**7)),
    ("share 0", rule(points=..., share=0, dimension="d")),
    ("share without dimension", rule(points=..., share=1)),
    ("milestone 0", rule(points=..., milestone=0)),
    ("group without dimension", rule(group="g")),
    ("where without on", rule(where={"property": "x", "is": 1})),
    ("fades of a trait", rule(fades={"after": "1d"})),
    ("count word", event(count="onec")),
    ("count zero", event(count={"first": 0})),
    ("count two words", event(count={"first": 1, "from": 2})),
    ("then missing", event(count={"first_points": 1}, points=...)),
    ("on upper case", event(on="Page Viewed")),
    ("on reserved", event(on="assay.judgement")),
    ("fades nothing", event(fades={})),
    ("fades two ways", event(fades={"after": "1d", "linear": "2d"})),
    ("fades by alone", event(fades={"after": "1d", "by": "5%"})),
    ("fades every alone", event(fades={"every": "1d"})),
    ("fades without unit", event(fades={"after": 60})),
    ("by a number", event(fades={"every": "1d", "by": 15})),
    ("idle without for", model(rules=[{"id": "r", "idle": {}, "points": 1}])),
    ("idle tiers", model(rules=[{"id": "r", "idle": {"for": "1d", "tiers": "both"}, "points": 1}])),
    ("condition word", rule(when={"trait": "x", "start_with": "a"})),
    ("condition of nothing", rule(when={"trait": "x"})),
    ("all empty", rule(when={"all": []})),
    ("all beside", rule(when={"all": [{"trait": "x", "is": 1}], "any": []})),
    ("in a word", rule(when={"trait": "x", "in": "a"})),
    ("between three", rule(when={"trait": "x", "between": [1, 2, 3]})),
    ("within a number", rule(when={"trait": "x", "within": 3})),
    ("exists text", rule(when={"trait": "x", "exists": "yes"})),
    ("event count half", rule(when={"event": "a.b", "count": {"gte": 1.5}})),
    ("event count bare", rule(when={"event": "a.b", "count": 3})),
    ("event of traits", rule(when={"event": "a.b", "where": {"trait": "x", "is": 1}})),
    ("other model alone", rule(when={"model": "base"})),
    ("other model's dimension alone", rule(when={"model": "base", "dimension": "fit", "applies": True})),
    ("other model's grade", rule(when={"model": "base", "grade": "E5"})),
    ("override without reason", model(overrides=[{"id": "o", "when": {"trait": "x", "is": 1}, "set": 0}])),
    ("override does nothing", model(overrides=[{"id": "o", "when": {"trait": "x", "is": 1}, "reason": "r"}])),
    ("stage without edge", model(stages=[{"name": "a"}])),
    ("stage with two edges", model(stages=[{"name": "a", "from": 1, "above": 2}])),
    ("grades of one", model(grades={"d": {"A": 1}})),
    ("grades of a mark", model(grades={"d": {"E": 1}, "e": {"1": 1}})),
    ("example without expect", model(examples=[{"name": "e"}])),
    ("example of neither", model(examples=[{"name": "e", "given": [{"at": "1d"}], "expect": {"total": 1}}])),
    ("example before", model(examples=[{"name": "e", "expect": {"at": "-1d", "total": 1}}])),
]


@pytest.mark.parametrize("document", [pytest.param(document, id=name) for name, document in WRONG])
def test_mistakes_it_knows(document: dict[str, Any]) -> None:
    with pytest.raises(InvalidModel):
        load(document)
    assert not checker().is_valid(document)
