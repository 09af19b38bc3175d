"""A batch of records, gathered by what they say of each identity: pure, the first half of applying them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, TypeVar
from uuid import UUID

from assay.normalise import Normalised
from assay.profiles.matching import EMAIL, Key, Persona, persona
from assay.profiles.merging import State, canonical, learn, micros
from assay.profiles.naming import company_key
from assay_sdk import Alias, Company, Event, Identify, Value

Named = TypeVar("Named", Key, str)


class Origin(NamedTuple):
    """Who stated something, and when that was so."""

    at: datetime
    source_id: int
    #: None for a row of an import, and for what a person decided.
    message_id: UUID | None


@dataclass(frozen=True, slots=True)
class Happening:
    """An event and the identity that did it."""

    id: UUID
    key: Key
    type: str
    at: datetime
    #: JSON.
    properties: str
    source_id: int
    sender_id: str
    message_id: UUID | None
    received_at: datetime

    @property
    def rank(self) -> tuple[datetime, str, str, Key]:
        """Of two different events sent under one id the lowest one is kept, whichever came first."""
        return self.at, self.type, self.properties, self.key


@dataclass(slots=True)
class Gathered:
    #: The import that states all of it; 0 for what comes by itself.
    import_id: int = 0
    #: First and last sight.
    sights: dict[Key, tuple[datetime, datetime]] = field(default_factory=dict)
    traits: dict[Key, State] = field(default_factory=dict)
    #: Where a person works, by the company's key, and when that was stated.
    employers: dict[Key, tuple[datetime, str]] = field(default_factory=dict)
    companies: dict[str, State] = field(default_factory=dict)
    #: Pairs of strong identities of one person, the smaller first, and where they were first seen together.
    links: dict[tuple[Key, Key], Origin] = field(default_factory=dict)
    #: An anonymous identity and a strong one it came with, and where it first did.
    claims: dict[tuple[Key, Key], Origin] = field(default_factory=dict)
    events: dict[UUID, Happening] = field(default_factory=dict)


def gather(batch: Iterable[Normalised], *, import_id: int = 0) -> Gathered:
    found = Gathered(import_id)
    for each in batch:
        record = each.record
        who = persona(record.ids)
        also = persona(record.previous) if isinstance(record, Alias) else None
        origin = Origin(record.at, each.source_id, each.message_id)
        meet(found, [who, also] if also else [who], origin)
        tell_address(found, who, origin)
        if isinstance(record, Event):
            _happen(found, who, record, each)
        elif isinstance(record, Identify):
            if who.primary:
                _state(found.traits, who.primary, record.traits, origin)
        elif isinstance(record, Company):
            key = company_key(record.company_id, record.vendor)
            traits = {**record.traits, "domain": record.domain} if record.domain else record.traits
            _state(found.companies, key, traits, origin)
            if who.primary:
                employer = (record.at, key)
                found.employers[who.primary] = max(found.employers.get(who.primary, employer), employer)
    return found


def meet(found: Gathered, personas: list[Persona], origin: Origin) -> None:
    """One person shows these identifiers together."""
    at = origin.at
    strong = list(dict.fromkeys(key for who in personas for key in who.strong))
    anonymous = {who.anonymous for who in personas if who.anonymous}
    for key in {*strong, *anonymous, *(who.primary for who in personas if who.primary)}:
        sight = found.sights.get(key)
        if sight is None:
            found.sights[key] = (at, at)
        elif not sight[0] <= at <= sight[1]:
            found.sights[key] = (min(sight[0], at), max(sight[1], at))
    if not strong or len(strong) + len(anonymous) == 1:
        return
    # Each with each: should one of them turn out to join nobody, the others came together all the same.
    for place, one in enumerate(strong):
        for other in strong[place + 1 :]:
            _earliest(found.links, (one, other) if one < other else (other, one), origin)
        for device in anonymous:
            _earliest(found.claims, (device, one), origin)


def tell_address(found: Gathered, who: Persona, origin: Origin) -> None:
    """An address that tells nobody apart is known of who shows it all the same."""
    if who.shared_address and who.primary:
        _state(found.traits, who.primary, {EMAIL: who.shared_address}, origin)


def _earliest(since: dict[tuple[Key, Key], Origin], pair: tuple[Key, Key], origin: Origin) -> None:
    known = since.get(pair)
    if known is None or origin.at < known.at:
        since[pair] = origin


def _state(states: dict[Named, State], name: Named, values: Mapping[str, Value | None], origin: Origin) -> None:
    at, source = micros(origin.at), origin.source_id
    stated = {field: (at, canonical(value), source) for field, value in values.items()}
    learn(states.setdefault(name, {}), stated)


def _happen(found: Gathered, who: Persona, event: Event, each: Normalised) -> None:
    if who.primary is None or each.event_id is None:
        return
    happening = Happening(
        id=each.event_id,
        key=who.primary,
        type=event.type,
        at=event.at,
        properties=canonical(dict(event.properties)),
        source_id=each.source_id,
        sender_id=event.sender_id,
        message_id=each.message_id,
        received_at=each.received_at,
    )
    known = found.events.get(happening.id)
    if known is None or happening.rank < known.rank:
        found.events[happening.id] = happening
