"""A model made ready for scoring, once per version."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from assay.scoring.engine.conditions import comparisons
from assay.scoring.language import Comparison, Condition, Model, OnEvents, Rule, WhenSilent, WhenTraits, content_hash


@dataclass(frozen=True)
class CompiledModel:
    """What a model reads from the database, worked out once; cache it by `hash`."""

    model: Model
    hash: str
    #: Names of traits, without the `trait:` of the column.
    traits: frozenset[str]
    #: Names of event properties, without the `property:` of the column.
    properties: frozenset[str]
    #: Event types whose events matter, or None for all of them. A caller that reads only these must give every
    #: lead's first_seen_at, for without it silence is measured from the first event of any type.
    event_types: frozenset[str] | None

    @property
    def name(self) -> str:
        return self.model.name

    @cached_property
    def trait_rules(self) -> list[tuple[int, Rule, Condition]]:
        """(place in the document, rule, its condition)."""
        return [
            (place, rule, rule.trigger.condition)
            for place, rule in enumerate(self.model.rules)
            if isinstance(rule.trigger, WhenTraits)
        ]

    @cached_property
    def event_rules(self) -> list[tuple[int, Rule, OnEvents]]:
        return [
            (place, rule, rule.trigger)
            for place, rule in enumerate(self.model.rules)
            if isinstance(rule.trigger, OnEvents)
        ]

    @cached_property
    def silence_rules(self) -> list[tuple[int, Rule, WhenSilent]]:
        return [
            (place, rule, rule.trigger)
            for place, rule in enumerate(self.model.rules)
            if isinstance(rule.trigger, WhenSilent)
        ]


def compile_model(model: Model) -> CompiledModel:
    """Executes nothing in Polars, so it is safe in a process that forks."""
    named = list(_comparisons(model))
    properties = {comparison.name for comparison in named if comparison.subject == "property"}
    types: set[str] = set()
    every_type = False
    for rule in model.rules:
        trigger = rule.trigger
        if isinstance(trigger, OnEvents):
            types.update(trigger.types)
            if trigger.count.word == "once_per":
                properties.add(trigger.count.property)
        elif isinstance(trigger, WhenSilent):
            types.update(trigger.of or ())
            every_type = every_type or trigger.of is None
    return CompiledModel(
        model=model,
        hash=content_hash(model),
        traits=frozenset(comparison.name for comparison in named if comparison.subject == "trait"),
        properties=frozenset(properties),
        event_types=None if every_type else frozenset(types),
    )


def _comparisons(model: Model) -> Iterator[Comparison]:
    for rule in model.rules:
        if isinstance(rule.trigger, WhenTraits):
            yield from comparisons(rule.trigger.condition)
        elif isinstance(rule.trigger, OnEvents):
            yield from comparisons(rule.trigger.where)
