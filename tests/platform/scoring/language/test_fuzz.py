"""Whatever stands in a document, the answer is a model or InvalidModel, and a model dumps to itself."""

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.scoring.language import InvalidModel, content_hash, dump, load, parse

DOCUMENT: dict[str, Any] = {
    "model": "m",
    "title": "t",
    "dimensions": {"fit": {"max": 5, "groups": {"g": {"first_match": True}}}, "interest": {}, "block": {}},
    "rules": [
        {"id": "a", "dimension": "fit", "group": "g", "when": {"all": [{"trait": "x", "in": [1, "y"]}]}, "points": 2.5},
        {
            "id": "b",
            "on": ["a.done"],
            "where": {"property": "p", "between": [1, 2]},
            "count": {"first": 2},
            "points": 1,
        },
        {"id": "c", "on": "b.done", "count": {"first_points": 1, "then": 2}, "fades": {"after": "60d"}},
        {"id": "d", "idle": {"for": "30d", "of": "any", "kept": True, "tiers": "replace"}, "points": -1, "min": -5},
        {"id": "e", "when": {"not": {"trait": "y", "matches": "^a"}}, "points": 1},
        {
            "id": "f",
            "dimension": "block",
            "when": {"model": "n", "stage": {"in": ["x"]}, "score": {"gt": 1}},
            "share": 1,
        },
        {
            "id": "g",
            "when": {"event": "any", "where": {"property": "p", "is": 1}, "within": "3d", "count": {"between": [1, 2]}},
            "milestone": "= a * 2",
        },
        {"id": "h", "on": "a.done", "points": 1, "fades": {"every": "3d", "by": "15%"}},
        {"id": "i", "on": "a.done", "points": 1, "fades": {"half_life": "= b"}},
    ],
    "parameters": {"a": {"value": 5, "min": 1, "max": 9, "title": "A"}, "b": "14d"},
    "split": {"points": 100, "over": ["block"]},
    "audience": {"trait": "x", "exists": True},
    "judgements": {"max": 5, "min": -5, "dimension": "fit"},
    "overrides": [
        {"id": "o", "when": {"trait": "x", "is": "==1"}, "set": 0, "reason": "r"},
        {"id": "n", "when": {"trait": "x", "is": 2}, "disqualify": True, "reason": "r"},
    ],
    "precedence": 3,
    "examples": [
        {
            "name": "e",
            "traits": {"x": 1},
            "given": [{"on": "a.done", "at": "1d", "times": 2, "properties": {"p": [1]}}, {"traits": {"x": None}}],
            "expect": [{"total": "1.50", "stage": None, "dimensions": {"fit": 1}}, {"applies": False}],
        }
    ],
    "scale": {"min": 0, "max": 100},
    "stages": [{"name": "Lead", "from": 1}, {"name": "Hot", "above": 2}],
    "grades": {"fit": {"A": 2, "B": 1}, "interest": {"1": 2, "2": 1}},
}


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [path, *(found for key, value in items for found in places(value, (*path, key)))]


PLACES = [path for path in places(DOCUMENT) if path]
words = st.sampled_from(
    [
        "all",
        "any",
        "not",
        "trait",
        "on",
        "idle",
        "count",
        "first",
        "from",
        "then",
        "linear",
        "share",
        "event",
        "model",
        "= a / 0",
        "==",
        "max",
        "A",
        "1",
        "60d",
        "once",
        "{name}",
        "",
    ]
)
junk = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), words, st.text(max_size=5), st.binary(max_size=1)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.one_of(words, st.integers()), inner, max_size=3)
    ),
    max_leaves=5,
)


def test_the_document_is_a_model() -> None:
    load(DOCUMENT)


@settings(max_examples=400, deadline=None)
@given(changes=st.lists(st.tuples(st.sampled_from(PLACES), junk), min_size=1, max_size=3))
def test_any_change_is_accepted_or_refused(changes: list[tuple[tuple[Any, ...], Any]]) -> None:
    document = copy.deepcopy(DOCUMENT)
    for path, value in changes:
        node: Any = document
        try:
            for key in path[:-1]:
                node = node[key]
            node[path[-1]] = value
        except (KeyError, IndexError, TypeError):
            continue
    try:
        model = load(document)
    except InvalidModel:
        return
    assert content_hash(load(dump(model))) == content_hash(model)


@settings(max_examples=300, deadline=None)
@given(text=st.one_of(st.text(), st.text("{}[]:-*&!?'\"#|>%@,\n \tab1~", max_size=40)))
def test_any_text_is_refused_in_words(text: str) -> None:
    with pytest.raises(InvalidModel) as refused:
        parse(text)
    assert refused.value.problems
