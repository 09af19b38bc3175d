"""From one raw message to records and dead letters: values in, values out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import count
from typing import Any
from uuid import UUID

import structlog

from assay.normalise.checking import find_fault
from assay.normalise.ids import event_id
from assay.normalise.kinds import LONGEST, kind_of
from assay.normalise.translating import SAYABLE, in_our_terms
from assay_sdk import CoreRecord, Event, Fetch, Message, Misunderstood, Source

EXCERPT = 300
REASON = 500
FIELD = 200

#: What a plugin makes of one thing in a message.
Reading = CoreRecord | Fetch | Misunderstood

log = structlog.get_logger()


@dataclass(frozen=True)
class Kept:
    """A message as intake kept it."""

    id: UUID
    source_id: int
    received_at: datetime
    call: str
    body: bytes
    #: Where each thing that is read of it stood before some were taken out; None: none were.
    places: Sequence[int] | None = None
    #: Of the connection it came through, as they are now.
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Normalised:
    """A record, and where it came from."""

    record: CoreRecord
    source_id: int
    #: None for a row of an import, which is no message.
    message_id: UUID | None
    received_at: datetime
    #: The same however often and in whatever message the event is sent; None for all but events.
    event_id: UUID | None


@dataclass(frozen=True)
class Letter:
    """Why one item of a message could not be understood."""

    position: int
    field: str | None
    reason: str
    excerpt: str
    #: A short name for all that one mend would set right.
    kind: str


@dataclass(frozen=True)
class Understood:
    """All that is in one message."""

    records: list[Normalised]
    letters: list[Letter]
    #: Records at the vendor's that it names without saying what is in them.
    fetches: list[Fetch]


def understand(message: Kept, source: Source) -> Understood:
    records: list[Normalised] = []
    fetches: list[Fetch] = []
    letters: dict[int, Letter] = {}
    places = iter(message.places or ())
    last = -1
    for found in readings(message, source):
        position = last = next(places, last + 1)
        if isinstance(found, Fetch):
            fetches.append(found)
            continue
        if isinstance(found, Misunderstood):
            refused = found
        else:
            fault = find_fault(found, received_at=message.received_at)
            if fault is None:
                records.append(_normalised(message, found, position))
                continue
            refused = Misunderstood(fault.message, field=fault.field, position=position, excerpt=repr(found))
        one = _letter(refused, letters)
        letters[one.position] = one
    return Understood(records, list(letters.values()), fetches)


def readings(message: Kept, source: Source) -> Iterator[Reading]:
    """What the plugin yields; where it fails, that too is a Misunderstood, and what it yielded before stands."""
    position = 0
    try:
        for found in source.normalise(Message(message.call, message.body, message.received_at, message.settings)):
            if isinstance(found, Misunderstood):
                yield found
            elif isinstance(found, SAYABLE):
                yield in_our_terms(found)
            else:
                yield Misunderstood(
                    f"The plugin {source.name} gave {type(found).__name__} instead of a record.",
                    position=position,
                    kind="plugin_failed/no_record",
                )
            position += 1
    except Misunderstood as misunderstood:
        yield misunderstood
    except Exception as error:  # whatever a partner's plugin does, other messages must go on
        log.warning("normalise.plugin_failed", plugin=source.name, message_id=str(message.id), exc_info=error)
        yield Misunderstood(
            f"The plugin {source.name} failed on this message, after {position} items: "
            f"{type(error).__name__}: {error}. Its author has to mend it; the message is kept.",
            position=position,
            excerpt=message.body[:EXCERPT].decode(errors="replace"),
            kind=f"plugin_failed/{type(error).__name__}",
        )


def _normalised(message: Kept, record: CoreRecord, position: int) -> Normalised:
    id_ = None
    if isinstance(record, Event):
        if not record.sender_id:
            record = replace(record, sender_id=f"{message.id}/{position}")
        id_ = event_id(message.source_id, record.sender_id)
    return Normalised(record, message.source_id, message.id, message.received_at, id_)


def _letter(refused: Misunderstood, others: dict[int, Letter]) -> Letter:
    """Two that claim the same place both stay: the second moves to the next free one."""
    position = next(place for place in count(max(refused.position, 0)) if place not in others)
    return letter(refused.reason, position=position, field=refused.field, excerpt=refused.excerpt, kind=refused.kind)


def excerpt_of(found: Reading) -> str:
    """What a dead letter of it would show."""
    return _storable(found.excerpt if isinstance(found, Misunderstood) else repr(found), EXCERPT)


def letter(reason: str, *, position: int, field: str | None = None, excerpt: str, kind: str | None = None) -> Letter:
    """One that the database takes, whatever is in the texts."""
    return Letter(
        position,
        _storable(field, FIELD) if field else None,
        _storable(reason, REASON),
        _storable(excerpt, EXCERPT),
        _storable(kind_of(reason, field=field, stated=kind), LONGEST),
    )


def _storable(text: str, most: int) -> str:
    text = text.encode(errors="replace").decode().replace("\0", "\N{SYMBOL FOR NULL}")
    return text if len(text) <= most else text[: most - 1] + "…"
