"""Acceptance cases that expect what the model cannot say, or bear one name."""

from collections.abc import Collection, Mapping
from typing import Any

from assay.scoring.language.shapes import Errors, as_list, as_mapping
from assay.scoring.language.words import unknown_name

#: Events that all examples may give, counted once for each instant at which something is expected.
MOST_EVENTS = 200_000


def check_examples(document: Mapping[str, Any]) -> Errors:
    """Messages at their places in `examples`, from the raw document."""
    stages = [stage.get("name") for stage in as_list(document.get("stages")) if isinstance(stage, Mapping)]
    overrides = [override for override in as_list(document.get("overrides")) if isinstance(override, Mapping)]
    known: dict[str, list[str]] = {
        "stage": _texts(stages),
        "override": _texts(override.get("id") for override in overrides if "set" in override),
        "disqualified": _texts(override.get("id") for override in overrides if "disqualify" in override),
    }
    dimensions = as_mapping(document.get("dimensions"))
    graded = bool(document.get("grades"))
    errors: Errors = {}
    names: dict[str, int] = {}
    for index, example in enumerate(as_list(document.get("examples"))):
        if not isinstance(example, Mapping):
            continue
        found: Errors = {}
        name = example.get("name")
        if isinstance(name, str):
            if name in names:
                found["name"] = [f"{name!r} is the name of examples[{names[name]}] already"]
            names.setdefault(name, index)
        if expect := _check_expect(example.get("expect"), known, dimensions, graded):
            found["expect"] = expect
        if found:
            errors[index] = found
    return errors


def events_given(document: Mapping[str, Any]) -> int:
    """How many events the engine would be given to try all examples."""
    total = 0
    for example in as_list(document.get("examples")):
        words = as_mapping(example)
        expect = words.get("expect")
        times = (as_mapping(fact).get("times", 1) for fact in as_list(words.get("given")))
        given = sum(number for number in times if isinstance(number, int))
        total += given * (len(expect) if isinstance(expect, list) else 1)
    return total


def _check_expect(expect: object, known: Mapping[str, list[str]], dimensions: Collection[str], graded: bool) -> Errors:
    if isinstance(expect, list):
        listed = {index: _check_expect(part, known, dimensions, graded) for index, part in enumerate(expect)}
        return {index: found for index, found in listed.items() if found}
    errors: Errors = {}
    words = as_mapping(expect)
    for word, declared in known.items():
        value = words.get(word)
        if isinstance(value, str) and value.strip() and value not in declared:
            errors[word] = [unknown_name(_KINDS[word], value, declared)]
    if words.get("grade") is not None and not graded:
        errors["grade"] = ["cannot come out: the model declares no grades"]
    undeclared = {
        name: [unknown_name("dimension", name, list(dimensions))]
        for name in as_mapping(words.get("dimensions"))
        if name not in dimensions
    }
    if undeclared:
        errors["dimensions"] = undeclared
    return errors


_KINDS = {"stage": "stage", "override": "override with set", "disqualified": "override with disqualify"}


def _texts(values: Any) -> list[str]:
    return [value for value in values if isinstance(value, str)]
