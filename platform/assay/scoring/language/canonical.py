"""One spelling for each model, and its hash: equal meaning, equal text, equal hash."""

import hashlib
import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from assay.scoring.language.model import (
    ByKind,
    Comparison,
    Condition,
    Count,
    Dimension,
    EventCount,
    Every,
    Example,
    Expected,
    Fading,
    GivenEvent,
    GivenTraits,
    Group,
    Judgements,
    Model,
    Not,
    OfModel,
    OnEvents,
    Override,
    Parameter,
    Rule,
    Some,
    WhenHolds,
)
from assay.scoring.language.quantities import duration, number

_DURATIONS = ("within", "older_than")


def content_hash(model: Model, references: Mapping[str, str] | None = None) -> str:
    """SHA-256 (hex) of the canonical JSON of the document, and of the hashes of the models it refers to by name."""
    document = dump(model)
    if model.dimensions:
        # The order of keys is no meaning, but here: parts are rounded and listed in it.
        document["dimensions"] = [[name, _in_order(words)] for name, words in document["dimensions"].items()]
    if references:
        document["references"] = dict(references)
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _in_order(dimension: Mapping[str, Any]) -> dict[str, Any]:
    return {word: [*value.items()] if word == "groups" else value for word, value in dimension.items()}


def dump(model: Model) -> dict[str, Any]:
    """The document again, in one spelling: defaults left away, durations in their largest unit, formulas worked out."""
    document = _present(
        model=model.name,
        title=model.title,
        description=model.description,
        persona=model.persona,
        product_line=model.product_line,
        business_unit=model.business_unit,
        precedence=model.precedence or None,
        parameters={parameter.name: _parameter(parameter) for parameter in model.parameters} or None,
        audience=None if model.audience is None else _condition(model.audience),
        dimensions={dimension.name: _dimension(dimension) for dimension in model.dimensions} or None,
        split=None if model.split is None else {"points": number(model.split.points), "over": sorted(model.split.over)},
        judgements=_judgements(model.judgements),
    )
    document["rules"] = [_rule(rule) for rule in model.rules]
    if model.overrides:
        document["overrides"] = [_override(override) for override in model.overrides]
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
    if model.examples:
        document["examples"] = [_example(example) for example in model.examples]
    return document


def _parameter(parameter: Parameter) -> Any:
    said = _present(title=parameter.title, min=parameter.min, max=parameter.max)
    return {"value": parameter.value, **said} if said else parameter.value


def _judgements(judgements: Judgements) -> Any:
    if not judgements.counted:
        return False
    return _present(dimension=judgements.dimension) | _bounds(judgements.min, judgements.max) or None


def _rule(rule: Rule) -> dict[str, Any]:
    found = _present(id=rule.id, title=rule.title, dimension=rule.dimension, group=rule.group)
    trigger = rule.trigger
    by_count = False
    if isinstance(trigger, WhenHolds):
        found["when"] = _condition(trigger.condition)
    elif isinstance(trigger, OnEvents):
        found["on"] = _types(trigger.types)
        if trigger.where is not None:
            found["where"] = _condition(trigger.where)
        if trigger.count != Count():
            found["count"] = _count(trigger.count)
        by_count = trigger.count.word == "first_points"
    elif isinstance(trigger, ByKind):
        found["kind"] = trigger.kind
        if parameters := json.loads(trigger.parameters):
            found["with"] = parameters
    else:
        of = trigger.of or ()
        found["idle"] = _present(
            **{"for": duration(trigger.length)},
            of=_types(of) if of else None,
            kept=trigger.kept or None,
            tiers="replace" if trigger.replaces else None,
        )
    if rule.worth == "share":
        found["share"] = rule.points
    elif not by_count:
        found[rule.worth] = number(rule.points)
    if not isinstance(trigger, WhenHolds) and trigger.fading is not None:
        found["fades"] = _fading(trigger.fading)
    return found | _bounds(rule.min, rule.max)


def _types(types: tuple[str, ...]) -> Any:
    return types[0] if len(types) == 1 else sorted(types)


def _fading(fading: Fading) -> dict[str, Any]:
    found: dict[str, Any] = {fading.kind: duration(fading.length)}
    return found | {"by": f"{number(fading.by)}%"} if fading.kind == "every" else found


def _count(count: Count) -> Any:
    if count.word == "once_per":
        return {"once_per": count.property}
    if count.word in ("first", "from"):
        return {count.word: count.number}
    if count.word == "first_points":
        return {"first_points": number(count.number), "then": number(count.then)}
    return count.word


def _condition(condition: Condition) -> dict[str, Any]:
    match condition:
        case Every():
            return {"all": [_condition(part) for part in condition.conditions]}
        case Some():
            return {"any": [_condition(part) for part in condition.conditions]}
        case Not():
            return {"not": _condition(condition.condition)}
        case EventCount():
            return _event_count(condition)
        case OfModel():
            return _of_model(condition)
    return {condition.subject: condition.name, condition.word: _operand(condition)}


def _event_count(condition: EventCount) -> dict[str, Any]:
    operand = condition.operand
    return _present(
        event="any" if condition.types is None else _types(condition.types),
        where=None if condition.where is None else _condition(condition.where),
        distinct=condition.distinct,
        within=None if condition.within is None else duration(condition.within),
        count=None
        if (condition.word, operand) == ("gte", 1)
        else {condition.word: list(operand) if isinstance(operand, tuple) else operand},
    )


def _of_model(condition: OfModel) -> dict[str, Any]:
    operand = condition.operand
    if condition.aspect == "score":
        shown: Any = [number(value) for value in operand] if isinstance(operand, tuple) else number(operand)  # type: ignore[arg-type] # scores compare as thousandths
        asked: Any = {condition.word: shown}
    elif condition.aspect in ("stage", "grade"):
        asked = {condition.word: list(operand) if isinstance(operand, tuple) else _literal(operand)}
    else:
        asked = operand
    return _present(model=condition.model, dimension=condition.dimension, **{condition.aspect: asked})


def _operand(comparison: Comparison) -> Any:
    operand = comparison.operand
    if isinstance(operand, tuple):
        return [_literal(value) for value in operand]
    if comparison.word in _DURATIONS and isinstance(operand, int):
        return duration(operand)
    return _literal(operand)


def _literal(value: Any) -> Any:
    """A value as written: text that begins with `=` would otherwise be read as a formula."""
    if isinstance(value, str) and value.startswith("="):
        return f"={value}"
    if isinstance(value, (list, tuple)):
        return [_literal(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _literal(item) for key, item in value.items()}
    return value


def _dimension(dimension: Dimension) -> dict[str, Any]:
    found: dict[str, Any] = _bounds(dimension.min, dimension.max)
    if dimension.groups:
        found["groups"] = {group.name: _group(group) for group in dimension.groups}
    return found


def _group(group: Group) -> dict[str, Any]:
    return _bounds(group.min, group.max) | ({"first_match": True} if group.first_match else {})


def _override(override: Override) -> dict[str, Any]:
    found: dict[str, Any] = {"id": override.id, "when": _condition(override.condition), "reason": override.reason}
    if override.disqualify:
        found["disqualify"] = True
    if override.set is not None:
        found["set"] = number(override.set)
    return found


def _example(example: Example) -> dict[str, Any]:
    return _present(
        name=example.name,
        first_seen=duration(example.first_seen) if example.first_seen else None,
        given=[_given(fact) for fact in example.given] or None,
        expect=[_expected(expected) for expected in example.expect],
    )


def _given(fact: GivenEvent | GivenTraits) -> dict[str, Any]:
    if isinstance(fact, GivenTraits):
        return {"traits": {name: _literal(value) for name, value in fact.traits}, "at": duration(fact.at)}
    return _present(
        on=fact.type,
        at=duration(fact.at),
        times=None if fact.times == 1 else fact.times,
        properties={name: _literal(value) for name, value in fact.properties} or None,
    )


def _expected(expected: Expected) -> dict[str, Any]:
    found: dict[str, Any] = {"at": duration(expected.at)}
    for word, value in expected.words:
        found[word] = _written(value) if word in ("total", "raw") else _literal(value)
    if expected.dimensions:
        found["dimensions"] = {name: _written(value) for name, value in expected.dimensions}
    return found


def _written(text: Any) -> Any:
    """The number whose text this is; the text itself where a number would lose its last zeros."""
    exact = Decimal(text)
    plain = int(exact) if exact == exact.to_integral_value() else float(exact)
    return plain if str(plain) == text else text


def _bounds(low: int | None, high: int | None) -> dict[str, Any]:
    return _present(min=None if low is None else number(low), max=None if high is None else number(high))


def _present(**words: Any) -> dict[str, Any]:
    return {word: value for word, value in words.items() if value is not None}
