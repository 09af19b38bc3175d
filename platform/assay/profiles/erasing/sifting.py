"""What was read of messages, without what is about persons who were erased; their items leave the raw messages too."""

from collections.abc import Collection, Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Row, delete, select, text, update
from sqlalchemy.orm import Session

from assay.intake.models import Message
from assay.intake.retention import classes
from assay.normalise import Named, Normalised, plugin_names, reader
from assay.normalise.models import DeadLetter
from assay.normalise.understanding import Kept
from assay.plugins import NoSuchSourceError
from assay.profiles import knowing
from assay.profiles.erasing import tombstones
from assay.profiles.erasing.models import Tombstone
from assay.profiles.erasing.naming import candidates
from assay.profiles.erasing.scrubbing import Scrubbed, scrub
from assay.profiles.erasing.verdicts import is_theirs, keys_of, spared
from assay.profiles.matching import Key
from assay_sdk import CoreRecord, Fetch, Source
from assay_sdk.reading import read_leniently

log = structlog.get_logger()

_READ = f"""
    SELECT m.id, m.received_at, m.retention, m.source_id, m.call, m.body, m.places
    FROM unnest(CAST(:ids AS uuid[]), CAST(:instants AS timestamptz[])) AS w (id, received_at)
    CROSS JOIN {classes("messages")}
    JOIN intake.messages m ON m.tenant_id = :tenant_id AND m.retention = class.retention AND m.id = w.id
        AND m.received_at = w.received_at
    ORDER BY m.received_at, m.id
"""  # noqa: S608 # of classes that are constants
_LOCK = text(f"{_READ} FOR UPDATE OF m")
_LOOK = text(_READ)


@dataclass(frozen=True)
class Place:
    """Where a raw message is."""

    id: UUID
    received_at: datetime


def sift(
    session: Session, tenant_id: int, records: list[Normalised], refused: Set[UUID], named: list[Named] | None = None
) -> list[Normalised]:
    """Without records about erased persons, which are counted and leave their raw messages in this transaction.

    ``refused`` are messages with dead letters, for those may be about an erased person too; what is ``named`` to be
    fetched and is about one leaves the list. Whoever erases holds the
    lock that is taken here: a person is either known here as erased, or what is kept here is found by the erasure.
    """
    named = [] if named is None else named
    if not records and not refused and not named:
        return records
    knowing.learn(session, tenant_id)
    if not tombstones.are_any(session, tenant_id):
        return records
    told: list[CoreRecord | Fetch] = [*(each.record for each in records), *(each.fetch for each in named)]
    erased = tombstones.find(session, tenant_id, {key for each in told for key in keys_of(each)})
    kept, touched, numbers = _sifted(records, erased)
    touched |= _unnamed(named, erased)
    tombstones.count_turned_away(session, tenant_id, numbers)
    touched |= _with_letters(session, tenant_id, refused)
    if touched:
        _scrub_all(session, tenant_id, touched, erased, refused)
    return kept


def erasure_of(record: CoreRecord, erased: dict[Key, int]) -> int | None:
    """The erasure that a record of an erased person counts for."""
    return next(erased[key] for key in keys_of(record) if key in erased) if is_theirs(record, erased.keys()) else None


def store(session: Session, tenant_id: int, row: Any, found: Scrubbed) -> None:
    """Puts what is left of a message in its place; the row is locked."""
    this = (
        Message.tenant_id == tenant_id,
        Message.id == row.id,
        Message.received_at == row.received_at,
        Message.retention == row.retention,
    )
    if found.body is None:
        session.execute(delete(Message).where(*this))
    else:
        session.execute(update(Message).where(*this).values(body=found.body, places=found.places))
    letters = delete(DeadLetter).where(DeadLetter.tenant_id == tenant_id, DeadLetter.message_id == row.id)
    if found.body is not None:
        letters = letters.where(DeadLetter.excerpt.in_(found.excerpts))
    session.execute(letters)


def messages_at(
    session: Session, tenant_id: int, places: Collection[Place], *, lock: bool = True
) -> Sequence[Row[Any]]:
    """Messages as they are now, with ``lock`` until the end of the transaction; those no longer kept are left out."""
    ids, instants = [each.id for each in places], [each.received_at for each in places]
    return session.execute(_LOCK if lock else _LOOK, {"tenant_id": tenant_id, "ids": ids, "instants": instants}).all()


def kept_of(row: Any) -> Kept:
    return Kept(row.id, row.source_id, row.received_at, row.call, bytes(row.body), row.places)


def source_of(names: dict[int, str], source_id: int) -> Source | None:
    """None for a plugin that is not installed."""
    try:
        return reader(names.get(source_id))
    except NoSuchSourceError:
        return None


def _sifted(records: list[Normalised], erased: dict[Key, int]) -> tuple[list[Normalised], set[Place], dict[int, int]]:
    kept: list[Normalised] = []
    touched: set[Place] = set()
    numbers: dict[int, int] = {}
    for each in records if erased else ():
        erasure_id = erasure_of(each.record, erased)
        if erasure_id is not None:
            numbers[erasure_id] = numbers.get(erasure_id, 0) + 1
        else:
            bared = spared(each.record, erased.keys())
            if bared is each.record:
                kept.append(each)
                continue
            kept.append(replace(each, record=bared))
        if each.message_id is not None:
            touched.add(Place(each.message_id, each.received_at))
    return (kept if erased else records), touched, numbers


def _unnamed(named: list[Named], erased: dict[Key, int]) -> set[Place]:
    """Takes what is about erased persons from the list; tells where it was named."""
    gone = [each for each in named if is_theirs(each.fetch, erased.keys())]
    named[:] = [each for each in named if each not in gone] if gone else named
    return {Place(each.message_id, each.received_at) for each in gone}


def _with_letters(session: Session, tenant_id: int, refused: Set[UUID]) -> set[Place]:
    if not refused:
        return set()
    rows = session.execute(
        select(DeadLetter.message_id, DeadLetter.received_at)
        .where(DeadLetter.tenant_id == tenant_id, DeadLetter.message_id.in_(refused))
        .distinct()
    )
    return {Place(*row) for row in rows}


def _scrub_all(
    session: Session, tenant_id: int, touched: set[Place], erased: dict[Key, int], refused: Set[UUID]
) -> None:
    names = plugin_names(session, tenant_id)
    for row in messages_at(session, tenant_id, touched):
        theirs = set(erased)
        if row.id in refused:
            theirs |= _named_in(session, tenant_id, bytes(row.body))
        found = scrub(kept_of(row), source_of(names, row.source_id), theirs) if theirs else None
        if found is not None:
            store(session, tenant_id, row, found)
    log.info("erasing.turned_away", tenant_id=tenant_id, messages=len(touched))


def _named_in(session: Session, tenant_id: int, body: bytes) -> set[Key]:
    """Whoever was erased and is named in a message of which not everything could be understood."""
    try:
        tree = read_leniently(body)
    except (ValueError, RecursionError):
        return set()
    kinds = set(session.scalars(select(Tombstone.kind).where(Tombstone.tenant_id == tenant_id).distinct()))
    return set(tombstones.find(session, tenant_id, set(candidates(tree, kinds))))
