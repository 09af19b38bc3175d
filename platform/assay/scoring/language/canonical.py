"""One spelling for each model, and its hash: equal meaning, equal text, equal hash."""

import hashlib
import json
from typing import Any

from assay.scoring.language.model import (
    Comparison,
    Condition,
    Count,
    Dimension,
    Every,
    Group,
    Model,
    OnEvents,
    Rule,
    Some,
    WhenTraits,
)
from assay.scoring.language.quantities import duration, number

_DURATIONS = ("within", "older_than")


def content_hash(model: Model) -> str:
    """SHA-256 (hex) of the canonical JSON of the document."""
    text = json.dumps(dump(model), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def dump(model: Model) -> dict[str, Any]:
    """The document again, in one spelling: defaults left away, durations in their largest unit."""
    document = _present(model=model.name, title=model.title, description=model.description)
    if model.dimensions:
        document["dimensions"] = {dimension.name: _dimension(dimension) for dimension in model.dimensions}
    document["rules"] = [_rule(rule) for rule in model.rules]
    scale = _bounds(model.scale.min, model.scale.max)
    if scale:
        document["scale"] = scale
    if model.stages:
        document["stages"] = [
            {"name": stage.name, "from" if stage.inclusive else "above": number(stage.threshold)}
            for stage in model.stages
        ]
    if model.grades:
        document["grades"] = {
            grade.dimension: {band.mark: number(band.threshold) for band in grade.bands} for grade in model.grades
        }
    return document


def _rule(rule: Rule) -> dict[str, Any]:
    found = _present(id=rule.id, title=rule.title, dimension=rule.dimension, group=rule.group)
    trigger = rule.trigger
    by_count = False
    if isinstance(trigger, WhenTraits):
        found["when"] = _condition(trigger.condition)
    elif isinstance(trigger, OnEvents):
        found["on"] = trigger.types[0] if len(trigger.types) == 1 else sorted(trigger.types)
        if trigger.where is not None:
            found["where"] = _condition(trigger.where)
        if trigger.count != Count():
            found["count"] = _count(trigger.count)
        by_count = trigger.count.word == "first_points"
    else:
        of = trigger.of or ()
        found["idle"] = _present(
            **{"for": duration(trigger.length)},
            of=(of[0] if len(of) == 1 else list(of)) if of else None,
            kept=trigger.kept or None,
            tiers="replace" if trigger.replaces else None,
        )
    if not by_count:
        found["points"] = number(rule.points)
    if not isinstance(trigger, WhenTraits) and trigger.expires_after is not None:
        found["fades"] = {"after": duration(trigger.expires_after)}
    return found | _bounds(rule.min, rule.max)


def _count(count: Count) -> Any:
    if count.word == "once_per":
        return {"once_per": count.property}
    if count.word in ("first", "from"):
        return {count.word: count.number}
    if count.word == "first_points":
        return {"first_points": number(count.number), "then": number(count.then)}
    return count.word


def _condition(condition: Condition) -> dict[str, Any]:
    if isinstance(condition, Every):
        return {"all": [_condition(part) for part in condition.conditions]}
    if isinstance(condition, Some):
        return {"any": [_condition(part) for part in condition.conditions]}
    if isinstance(condition, Comparison):
        return {condition.subject: condition.name, condition.word: _operand(condition)}
    return {"not": _condition(condition.condition)}


def _operand(comparison: Comparison) -> Any:
    operand = comparison.operand
    if isinstance(operand, tuple):
        return list(operand)
    if comparison.word in _DURATIONS and isinstance(operand, int):
        return duration(operand)
    return operand


def _dimension(dimension: Dimension) -> dict[str, Any]:
    found: dict[str, Any] = _bounds(dimension.min, dimension.max)
    if dimension.groups:
        found["groups"] = {group.name: _group(group) for group in dimension.groups}
    return found


def _group(group: Group) -> dict[str, Any]:
    return _bounds(group.min, group.max) | ({"first_match": True} if group.first_match else {})


def _bounds(low: int | None, high: int | None) -> dict[str, Any]:
    return _present(min=None if low is None else number(low), max=None if high is None else number(high))


def _present(**words: Any) -> dict[str, Any]:
    return {word: value for word, value in words.items() if value is not None}
