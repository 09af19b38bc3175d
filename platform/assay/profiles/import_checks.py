"""What a file would bring, counted without keeping anything of it."""

from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from uuid import UUID

from sqlalchemy import bindparam, select, text
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.orm import Session
from sqlalchemy.types import Uuid

from assay.intake import imports
from assay.intake.imports.models import ImportCheck
from assay.normalise import Normalised
from assay.profiles import identities
from assay.profiles.matching import Key, persona
from assay_sdk import Identifiers

_SEEN = text("""
    SELECT s.event_id FROM profiles.seen s
    WHERE s.tenant_id = :tenant_id AND s.event_id = ANY(:ids)
""").bindparams(bindparam("ids", type_=ARRAY(Uuid())))
#: Inserted at a time.
_PART = 10_000


def count(session: Session, batch: imports.Batch, good: Sequence[Normalised]) -> dict[str, int]:
    """New and known people and events of a batch.

    A person is new when no identifier is known, to us or from an earlier row of the file. Whom only a later row shows
    to be one person is counted as two, so there may be fewer new leads than this, never more.
    """
    people = {**dict.fromkeys(_of_frame(batch)), **dict.fromkeys(_of_records(good))}
    events = [*_frame_ids(batch), *(each.event_id for each in good if each.event_id is not None)]
    new_events = _new_events(session, batch, events)
    return {
        **_people(session, batch, list(people)),
        "events": len(events),
        "events_new": new_events,
        "events_known": len(events) - new_events,
    }


def _of_frame(batch: imports.Batch) -> Iterator[tuple[Key, ...]]:
    if batch.frame is None:
        return
    vendors = batch.frame.vendors
    names = ["user_id", "email", "anonymous_id", *vendors]
    prefix = len("vendor:")
    for row in batch.frame.rows.select(names).unique(maintain_order=True).iter_rows(named=True):
        ids = {name[prefix:]: row[name] for name in vendors if row[name] is not None}
        yield _keys(Identifiers(row["user_id"], row["email"], row["anonymous_id"], ids))


def _of_records(good: Iterable[Normalised]) -> Iterator[tuple[Key, ...]]:
    for each in good:
        yield _keys(each.record.ids)


def _keys(ids: Identifiers) -> tuple[Key, ...]:
    """Of those that tell who it is, or else the one that stands for the record."""
    who = persona(ids)
    return who.strong or ((who.primary,) if who.primary else ())


def _frame_ids(batch: imports.Batch) -> Iterator[UUID]:
    if batch.frame is not None:
        yield from map(UUID, batch.frame.rows["event_id"])


def _people(session: Session, batch: imports.Batch, people: list[tuple[Key, ...]]) -> dict[str, int]:
    tenant_id = batch.row.tenant_id
    keys = {key for who in people for key in who}
    known = identities.find(session, tenant_id, keys) if keys else {}
    hashes = {key: _hash(*key) for key in keys}
    met = _met(session, batch, [hashes[key] for key in keys])
    leads: set[int] = set()
    fresh: set[int] = set()
    new = 0
    for who in people:
        ours = [hashes[key] for key in who]
        homes = [known[key].lead_id for key in who if key in known]
        if homes:
            leads.update(homes)
        elif ours and not any(each in met or each in fresh for each in ours):
            new += 1
        fresh.update(ours)
    # A lead is counted once, whatever the number of batches it comes in.
    first_met = {lead_id: _hash("lead", str(lead_id)) for lead_id in leads}
    before = _met(session, batch, list(first_met.values()))
    _meet(session, batch, (fresh - met) | (set(first_met.values()) - before))
    return {"leads_new": new, "leads_known": len(set(first_met.values()) - before)}


def _new_events(session: Session, batch: imports.Batch, ids: list[UUID]) -> int:
    """Those that are not kept and that no earlier row of the file had."""
    different = set(ids)
    if not different:
        return 0
    seen = set(session.scalars(_SEEN, {"tenant_id": batch.row.tenant_id, "ids": list(different)}))
    hashes = {_hash("event", id_.hex) for id_ in different - seen}
    fresh = hashes - _met(session, batch, list(hashes))
    _meet(session, batch, fresh)
    return len(fresh)


def _met(session: Session, batch: imports.Batch, hashes: list[int]) -> set[int]:
    if not hashes:
        return set()
    found = session.scalars(
        select(ImportCheck.key).where(
            ImportCheck.tenant_id == batch.row.tenant_id,
            ImportCheck.import_id == batch.row.id,
            ImportCheck.key == text("ANY(:hashes)").bindparams(hashes=hashes),
        )
    )
    return set(found)


def _meet(session: Session, batch: imports.Batch, hashes: Iterable[int]) -> None:
    rows = [{"tenant_id": batch.row.tenant_id, "import_id": batch.row.id, "key": key} for key in sorted(hashes)]
    for start in range(0, len(rows), _PART):
        session.execute(insert(ImportCheck).on_conflict_do_nothing(), rows[start : start + _PART])


def _hash(kind: str, value: str) -> int:
    digest = blake2b(f"{kind}\0{value}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, signed=True)
