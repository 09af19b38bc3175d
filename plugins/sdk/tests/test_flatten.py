"""Flat names, and the text form of values that conditions compare."""

import math
from typing import Any

import pytest

from assay_sdk.flatten import as_text, flatten


@pytest.mark.parametrize(
    ("nested", "flat"),
    [
        pytest.param({}, {}, id="nothing"),
        pytest.param({"a": 1, "b": "x"}, {"a": 1, "b": "x"}, id="flat already"),
        pytest.param({"company": {"employees": 40}}, {"company.employees": 40}, id="nested"),
        pytest.param({"a": {"b": {"c": {"d": True}}}}, {"a.b.c.d": True}, id="deeper"),
        pytest.param({"tags": ["a", {"b": 1}]}, {"tags": ["a", {"b": 1}]}, id="lists stay"),
        pytest.param({"a": None, "b": {"c": None}}, {}, id="null is left away"),
        pytest.param({"a": {}}, {}, id="an empty object is nothing"),
        pytest.param({"a.b": 1, "a": {"b": 2}}, {"a.b": 1}, id="a dotted name stands"),
        pytest.param({"a": {"b": 2}, "a.b": 1}, {"a.b": 1}, id="a dotted name stands, in any order"),
        pytest.param(
            {"a": False, "b": 0, "c": ""}, {"a": False, "b": 0, "c": ""}, id="false, 0 and empty text are values"
        ),
    ],
)
def test_flatten(nested: dict[str, Any], flat: dict[str, Any]) -> None:
    assert flatten(nested) == flat


def test_what_is_too_deep_stays_as_text() -> None:
    assert flatten({"a": {"b": {"c": 1}}}, max_depth=2) == {"a.b": '{"c":1}'}


def test_a_hostile_document_ends() -> None:
    nested: dict[str, Any] = {"end": 1}
    for _ in range(500):
        nested = {"a": nested}
    (name,) = flatten(nested)
    assert name == ".".join("a" * 8)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, None),
        ("", ""),
        ("x", "x"),
        (40, "40"),
        (40.0, "40.0"),
        (0.1, "0.1"),
        (1e21, "1000000000000000000000"),
        (1e-7, "0.0000001"),
        (-0.0, "0.0"),
        (12345678901234567890, "12345678901234567890"),
        (True, "true"),
        (False, "false"),
        (math.nan, None),
        (math.inf, None),
        (["a", 1, None, True], '["a",1,null,true]'),
        (["é"], '["é"]'),
        ({"a": [1]}, '{"a":[1]}'),
    ],
)
def test_text(value: object, text: str | None) -> None:
    assert as_text(value) == text
