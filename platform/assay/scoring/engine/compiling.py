"""A model made ready for scoring, once per version."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from assay.scoring.engine.making import Made, made_by, on_made
from assay.scoring.language import (
    COMPUTED,
    HIDDEN,
    Comparison,
    Condition,
    EventCount,
    InvalidModel,
    Model,
    OfModel,
    OnEvents,
    Rule,
    WhenHolds,
    WhenSilent,
    conditions,
    content_hash,
    leaves,
    missing_dimensions,
)
from assay.scoring.language.computed import sources
from assay.scoring.language.worth import fading_of, share_sums, unit, worth

#: Facts made by us: adjustments by people. No activity of the lead.
JUDGEMENT, WITHDRAWN = "assay.judgement", "assay.judgement_withdrawn"
OURS = "assay."
_JUDGED = ("judgement", "points", "model", "expires_at", "reason", "by")

Types = tuple[str, ...] | None


@dataclass(frozen=True, eq=False)
class CompiledModel:
    """What a model and all it refers to read from the database, worked out once; cache it by `hash`."""

    #: With the rules of plugins' kinds as rules on the events that their awards are.
    model: Model
    hash: str
    #: Names of the traits that are asked for, without the `trait:` of the column.
    asked: frozenset[str]
    #: Names of event properties, without the `property:` of the column, and which types each is read of (None: all).
    property_types: Mapping[str, frozenset[str] | None]
    #: Event types whose events matter, or None for all of them. A caller that reads only these must give every
    #: lead's first_seen_at, for without it silence is measured from the first event of any type.
    event_types: frozenset[str] | None
    references: Mapping[str, "CompiledModel"]
    #: How many parts a thousandth of a point is cut into inside the engine.
    unit: int
    #: Each rule's worth in those parts, in the order of the rules.
    worths: tuple[int, ...]
    #: Whether an own or a referenced model's points drift between two instants of change.
    smooth: bool
    #: Its own rules of plugins' kinds.
    made: tuple[Made, ...] = ()

    @property
    def name(self) -> str:
        return self.model.name

    @property
    def properties(self) -> frozenset[str]:
        return frozenset(self.property_types)

    @cached_property
    def traits(self) -> frozenset[str]:
        """Names of the traits to read: in place of computed ones those they are worked out of."""
        return sources(self.asked)

    @cached_property
    def computed(self) -> frozenset[str]:
        return self.asked & COMPUTED.keys()

    @cached_property
    def condition_rules(self) -> list[tuple[int, Rule, Condition]]:
        """(place in the document, rule, its condition)."""
        return [
            (place, rule, rule.trigger.condition)
            for place, rule in enumerate(self.model.rules)
            if isinstance(rule.trigger, WhenHolds)
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

    @cached_property
    def smooth_rules(self) -> frozenset[int]:
        """Places of the rules whose awards lose their worth without steps."""
        return frozenset(place for place, rule in enumerate(self.model.rules) if is_smooth(rule))

    @cached_property
    def first_matches(self) -> frozenset[int]:
        """Places of the rules in groups where only the first match counts."""
        groups = {
            (dimension.name, group.name)
            for dimension in self.model.dimensions
            for group in dimension.groups
            if group.first_match
        }
        return frozenset(place for place, rule in enumerate(self.model.rules) if (rule.dimension, rule.group) in groups)

    @cached_property
    def event_counts(self) -> list[EventCount]:
        """The counts that conditions on the lead ask for, each once."""
        return list(dict.fromkeys(leaf for leaf in self.leaves if isinstance(leaf, EventCount)))

    @cached_property
    def leaves(self) -> list[Comparison | EventCount | OfModel]:
        return list(dict.fromkeys(leaf for condition in conditions(self.model) for leaf in leaves(condition)))

    @cached_property
    def closure(self) -> list["CompiledModel"]:
        """This model and all it refers to, each after those it refers to itself."""
        return in_order([self])


def is_smooth(rule: Rule) -> bool:
    fading = fading_of(rule)
    return fading is not None and fading.kind in ("linear", "half_life")


def in_order(models: Sequence[CompiledModel]) -> list[CompiledModel]:
    """The models and all they refer to, each once, and after those it refers to."""
    found: dict[str, CompiledModel] = {}

    def visit(model: CompiledModel) -> None:
        if model.hash not in found:
            for referenced in model.references.values():
                visit(referenced)
            found[model.hash] = model

    for model in models:
        visit(model)
    return list(found.values())


def compile_model(model: Model, references: Mapping[str, CompiledModel] | None = None) -> CompiledModel:
    """Executes nothing in Polars, so it is safe in a process that forks. Every model referred to must be given.

    Raises InvalidModel where it asks one of them for a dimension that it does not have.
    """
    asked = {leaf.model for condition in conditions(model) for leaf in leaves(condition) if isinstance(leaf, OfModel)}
    missing = sorted(asked - (references or {}).keys())
    if missing:
        raise ValueError(f"{model.name} refers to {', '.join(missing)}, which is not given")
    given = {name: compiled for name, compiled in (references or {}).items() if name in asked}
    problems = missing_dimensions(model, {name: compiled.model for name, compiled in given.items()})
    if problems:
        raise InvalidModel(problems)
    content, made = model, made_by(model)
    model = on_made(model, made)
    types, properties = _read(model)
    for one in made:
        types = None if types is None or one.types is None else types | one.types
        for name in one.properties:
            _widen(properties, name, one.types)
    named = {
        leaf.name
        for condition in conditions(model)
        for leaf in leaves(condition)
        if isinstance(leaf, Comparison) and leaf.word != HIDDEN
    }
    named |= {name for one in made for name in one.traits}
    for other in given.values():
        named |= other.asked
        types = None if types is None or other.event_types is None else types | other.event_types
        for name, read_of in other.property_types.items():
            _widen(properties, name, read_of)
    parts, shares = unit(model), share_sums(model)
    return CompiledModel(
        model=model,
        hash=content_hash(content, {name: compiled.hash for name, compiled in given.items()}),
        asked=frozenset(named),
        property_types=properties,
        event_types=types,
        references=given,
        unit=parts,
        worths=tuple(int(worth(model, rule, shares) * parts) for rule in model.rules),
        smooth=any(is_smooth(rule) for rule in model.rules) or any(other.smooth for other in given.values()),
        made=made,
    )


def _read(model: Model) -> tuple[frozenset[str] | None, dict[str, frozenset[str] | None]]:
    """The event types a model reads (None: all), and its properties with the types each is read of."""
    types: frozenset[str] | None = frozenset()
    properties: dict[str, frozenset[str] | None] = {}
    for asked, names in _asked(model):
        read_of = None if asked is None else frozenset(asked)
        types = None if types is None or read_of is None else types | read_of
        for name in names:
            _widen(properties, name, read_of)
    return types, properties


def _asked(model: Model) -> Iterator[tuple[Types, list[str]]]:
    """Event types, and the properties that are read of them."""
    for rule in model.rules:
        trigger = rule.trigger
        if isinstance(trigger, OnEvents):
            by = [trigger.count.property] if trigger.count.word == "once_per" else []
            yield trigger.types, by + names_in(trigger.where)
        elif isinstance(trigger, WhenSilent):
            yield trigger.of, []
    for condition in conditions(model):
        for leaf in leaves(condition):
            if isinstance(leaf, EventCount):
                yield leaf.types, ([leaf.distinct] if leaf.distinct else []) + names_in(leaf.where)
    if model.judgements.counted:
        yield (JUDGEMENT,), list(_JUDGED)
        yield (WITHDRAWN,), ["judgement"]


def names_in(where: Condition | None) -> list[str]:
    """The properties a condition on an event reads."""
    found = (
        []
        if where is None
        else [leaf.name for leaf in leaves(where) if isinstance(leaf, Comparison) and leaf.word != HIDDEN]
    )
    return list(dict.fromkeys(found))


def _widen(properties: dict[str, frozenset[str] | None], name: str, read_of: frozenset[str] | None) -> None:
    known = properties.get(name, frozenset())
    properties[name] = None if known is None or read_of is None else known | read_of
