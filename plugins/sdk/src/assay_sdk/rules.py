"""A partner's own kind of rule: it looks at a lead's facts and awards points."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from marshmallow import Schema

#: A value as scoring sees it: numbers and truth values are text too (``"12.5"``, ``"true"``). ``number`` reads one.
Told = str | list[str]


def number(value: Told | None) -> float | None:
    """The number that a text is; None for what is none."""
    try:
        found = float(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return found if found is not None and math.isfinite(found) else None


@dataclass(frozen=True)
class Fact:
    """An event of a lead's, as a rule sees it."""

    type: str
    at: datetime
    properties: Mapping[str, Told]


@dataclass(frozen=True)
class LeadFacts:
    """What is known of one lead. Blank text counts as unknown, and is left out."""

    traits: Mapping[str, Told]
    #: Oldest first; only of the types that the kind asked for.
    events: Sequence[Fact]


@dataclass(frozen=True)
class Award:
    """The rule's points, from an instant on. How they fade, and which caps hold for them, the model says."""

    at: datetime
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
        raise NotImplementedError(f"{type(self).__name__} has no awards.")

    def reason(self, parameters: Mapping[str, Any]) -> str:
        """The rule in words, for explanations."""
        return self.title
