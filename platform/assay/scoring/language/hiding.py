"""A model as it is where some fields are kept out of scoring: what it asks of them has no answer."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from assay.scoring.language import kinds
from assay.scoring.language.computed import sources
from assay.scoring.language.document import read
from assay.scoring.language.errors import Problem
from assay.scoring.language.model import (
    ByKind,
    Comparison,
    Condition,
    Count,
    EventCount,
    Every,
    Model,
    Not,
    OnEvents,
    Rule,
    Some,
    WhenHolds,
)
from assay.scoring.language.references import conditions, leaves
from assay.scoring.language.shapes import as_list, as_mapping

#: The word of a comparison that is unknown whatever is known; no document has it.
HIDDEN = "hidden"

#: Whether a name is kept out.
Hides = Callable[[str], bool]


def without(model: Model, hides: Hides) -> Model:
    """The model with every question about a hidden field unknown: neither it nor its opposite is ever true.

    A count of events that rests on one is unknown as a whole, for a count that leaves some out would still compare.
    """
    if not any(_is_hidden(name, hides) for name in fields(model)):
        return model
    return replace(
        model,
        audience=None if model.audience is None else _condition(model.audience, hides),
        rules=tuple(_rule(rule, hides) for rule in model.rules),
        overrides=tuple(
            replace(override, condition=_condition(override.condition, hides)) for override in model.overrides
        ),
    )


def problems(text: str, hides: Hides) -> list[Problem]:
    """Where a document that may not be published names a hidden field."""
    return [
        Problem(path, f"{name!r} is kept out of scoring: see Fields. Ask for another field, or unmark it there first.")
        for path, name in _written(read(text))
        if hides(name)
    ]


def _written(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The fields that a document names, each at its path as it was written."""
    yield from _in_condition("audience", document.get("audience"))
    for word in ("rules", "overrides"):
        for index, part in enumerate(as_list(document.get(word))):
            path, told = f"{word}[{index}]", as_mapping(part)
            for place in ("when", "where"):
                yield from _in_condition(f"{path}.{place}", told.get(place))
            per = as_mapping(told.get("count")).get("once_per")
            if isinstance(per, str):
                yield f"{path}.count.once_per", per


def _in_condition(path: str, tree: object) -> Iterator[tuple[str, str]]:
    if isinstance(tree, list):
        for index, part in enumerate(tree):
            yield from _in_condition(f"{path}[{index}]", part)
    if not isinstance(tree, Mapping):
        return
    for word, value in tree.items():
        if word in ("trait", "property", "distinct") and isinstance(value, str):
            yield f"{path}.{word}", value
        elif word in ("all", "any", "not", "where"):
            yield from _in_condition(f"{path}.{word}", value)


def fields(model: Model) -> frozenset[str]:
    """Every trait and property that the model names."""
    found: set[str] = set()
    for rule in model.rules:
        if isinstance(rule.trigger, ByKind):
            found |= frozenset.union(*kinds.fields_of(rule.trigger))
        elif isinstance(rule.trigger, OnEvents):
            found |= {rule.trigger.count.property} - {""}
            found |= _of(rule.trigger.where) if rule.trigger.where is not None else set()
    for condition in conditions(model):
        found |= _of(condition)
    return frozenset(found)


def _of(condition: Condition) -> set[str]:
    found: set[str] = set()
    for leaf in leaves(condition):
        if isinstance(leaf, Comparison):
            found.add(leaf.name)
        elif isinstance(leaf, EventCount):
            found |= _of(leaf.where) if leaf.where is not None else set()
            found |= set() if leaf.distinct is None else {leaf.distinct}
    return found


def _rule(rule: Rule, hides: Hides) -> Rule:
    trigger = rule.trigger
    if isinstance(trigger, WhenHolds):
        return replace(rule, trigger=WhenHolds(_condition(trigger.condition, hides)))
    if isinstance(trigger, ByKind):
        names = frozenset.union(*kinds.fields_of(trigger))
        return replace(rule, trigger=replace(trigger, without=tuple(sorted(filter(hides, names)))))
    if not isinstance(trigger, OnEvents):
        return rule
    where = None if trigger.where is None else _condition(trigger.where, hides)
    count = trigger.count
    if count.property and hides(count.property):
        unknown = _unknown("property", count.property)
        where, count = unknown if where is None else Every((where, unknown)), Count()
    return replace(rule, trigger=replace(trigger, where=where, count=count))


def _condition(condition: Condition, hides: Hides) -> Condition:
    if isinstance(condition, (Every, Some)):
        return replace(condition, conditions=tuple(_condition(part, hides) for part in condition.conditions))
    if isinstance(condition, Not):
        return Not(_condition(condition.condition, hides))
    if isinstance(condition, EventCount):
        hidden = next((name for name in sorted(_of(condition)) if hides(name)), None)
        return condition if hidden is None else _unknown("property", hidden)
    if isinstance(condition, Comparison) and _is_hidden(condition.name, hides):
        return _unknown(condition.subject, condition.name)
    return condition


def _is_hidden(name: str, hides: Hides) -> bool:
    return hides(name) or all(hides(source) for source in sources([name]))


def _unknown(subject: str, name: str) -> Comparison:
    return Comparison("trait" if subject == "trait" else "property", name, HIDDEN, operand=True)
