"""Mistakes between distant parts of a model: names used twice, names never declared, stages out of order."""

from collections.abc import Mapping
from typing import Any

from assay.scoring.language.quantities import MOST_SUM, thousandths
from assay.scoring.language.words import unknown_name

Errors = dict[Any, Any]

MOST_STAGES = 100


def check_model(document: Mapping[str, Any]) -> Errors:
    """Messages at their places. Reads the raw document, so that one mistake hides no other."""
    errors: Errors = {}
    dimensions = _mapping(document.get("dimensions"))
    rules = _check_rules(_list(document.get("rules")), dimensions)
    if rules:
        errors["rules"] = rules
    if isinstance(document.get("rules"), list) and not document["rules"]:
        errors["rules"] = ["must hold at least one rule"]
    steps = _list(document.get("stages"))
    stages = _check_stages(steps)
    if len(steps) > MOST_STAGES:
        errors["stages"] = [f"has {len(steps):,} stages; at most {MOST_STAGES} are accepted"]
    elif stages:
        errors["stages"] = stages
    grades = {
        name: [unknown_name("dimension", name, list(dimensions))]
        for name in _mapping(document.get("grades"))
        if name not in dimensions
    }
    if grades:
        errors["grades"] = grades
    return errors


def _check_rules(rules: list[Any], dimensions: Mapping[str, Any]) -> Errors:
    errors: Errors = {}
    first: dict[str, int] = {}
    for index, rule in enumerate(rules):
        if not isinstance(rule, Mapping):
            continue
        found: Errors = {}
        rule_id = rule.get("id")
        if isinstance(rule_id, str):
            if rule_id in first:
                found["id"] = [f"{rule_id!r} is used by rules[{first[rule_id]}] already"]
            first.setdefault(rule_id, index)
        found.update(_check_place(rule, dimensions))
        if found:
            errors[index] = found
    return errors


def _check_place(rule: Mapping[str, Any], dimensions: Mapping[str, Any]) -> Errors:
    dimension, group = rule.get("dimension"), rule.get("group")
    if not isinstance(dimension, str):
        return {}
    if dimension not in dimensions:
        return {"dimension": [unknown_name("dimension", dimension, list(dimensions))]}
    groups = _mapping(_mapping(dimensions[dimension]).get("groups"))
    if isinstance(group, str) and group not in groups:
        return {"group": [unknown_name(f"group of {dimension}", group, list(groups))]}
    return {}


def _check_stages(stages: list[Any]) -> Errors:
    errors: Errors = {}
    names: dict[str, int] = {}
    previous: tuple[int, int] | None = None
    for index, stage in enumerate(stages):
        if not isinstance(stage, Mapping):
            continue
        name = stage.get("name")
        if isinstance(name, str):
            key = name.strip().casefold()
            if key in names:
                errors.setdefault(index, {})["name"] = [f"{name!r} is the name of stages[{names[key]}] already"]
            names.setdefault(key, index)
        word = "from" if "from" in stage else "above"
        try:
            # `above 10` begins later than `from 10`.
            edge = (thousandths(stage.get(word), most=MOST_SUM), 0 if word == "from" else 1)
        except ValueError:
            continue
        if previous is not None and edge <= previous:
            errors.setdefault(index, {})[word] = ["must be higher than the stage before it: stages stand lowest first"]
        previous = edge
    return errors


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
