"""A partner's own kind of rule: it looks at a lead's facts and awards points."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from marshmallow import Schema

from assay_sdk.records import Value


@dataclass(frozen=True)
class Fact:
    """An event of a lead's, as a rule sees it."""

    type: str
    at: datetime
    properties: Mapping[str, Value]


@dataclass(frozen=True)
class LeadFacts:
    """What is known of one lead."""

    traits: Mapping[str, Value]
    #: Oldest first; only of the types that the kind asked for.
    events: Sequence[Fact]


@dataclass(frozen=True)
class Award:
    """Points from an instant on. How they fade, and which caps hold for them, the rule itself says in the model."""

    at: datetime
    #: A multiple of the rule's points: 1 is all of them, 0.5 half of them.
    times: float = 1.0
    #: The place in ``LeadFacts.events`` of the event behind it; None: no single one.
    event: int | None = None


class RuleKind:
    """Subclass this and register an instance with ``register_rule_kinds``.

    In a model: ``{id: autumn, dimension: interest, kind: acme.seasonal, with: {months: [11, 12]}, points: 10}``.
    It can be previewed, replayed and explained like any other rule.

    ``awards`` is a pure function of its arguments: it reads neither clock, network, files nor chance. The present is
    not among its arguments: an award lies at an instant, and counts from then on.
    """

    #: The plugin's name, a dot and a word: ``acme.seasonal``.
    name: ClassVar[str]
    title: ClassVar[str]
    #: What stands under ``with:``; None: nothing does. Errors name the path in the model.
    parameters: ClassVar[type[Schema] | None] = None

    def event_types(self, parameters: Mapping[str, Any]) -> Sequence[str] | None:
        """Events it looks at; None: all of them."""
        return ()

    def traits(self, parameters: Mapping[str, Any]) -> Sequence[str]:
        """Traits it looks at."""
        return ()

    def properties(self, parameters: Mapping[str, Any]) -> Sequence[str]:
        """Properties of events that it looks at."""
        return ()

    def awards(self, lead: LeadFacts, parameters: Mapping[str, Any]) -> Iterable[Award]:
        """The awards of one lead; the order makes no difference."""
        raise NotImplementedError

    def reason(self, parameters: Mapping[str, Any]) -> str:
        """The rule in words, for explanations."""
        return self.title
