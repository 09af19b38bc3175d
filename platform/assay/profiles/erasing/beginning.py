"""Erasures begin: written down in the transaction that asks for one, and gone on with in the background."""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import structlog
from sqlalchemy import Text, column, select, tuple_, values
from sqlalchemy.orm import Session

from assay.facts import ErasureRequested, tell_after_commit
from assay.normalise import ErasureWish, Normalised
from assay.profiles import knowing
from assay.profiles.erasing.models import PERSON_PURPOSE, Erasure
from assay.profiles.matching import Key, persona
from assay.profiles.models import KnownAs
from assay_tenants import audit, sealing
from assay_tenants.models import Source

#: What is done first.
FIRST = "begin"

log = structlog.get_logger()


def begin(
    session: Session,
    tenant_id: int,
    *,
    lead_id: int | None,
    keys: Collection[Key],
    by: str,
    told: Mapping[str, Any] | None = None,
) -> Erasure:
    """Has a person erased, or gives the erasure of the lead that is under way; ``told`` stands in the audit log too."""
    # Whoever asks twice asks for one thing.
    knowing.learn(session, tenant_id)
    known = _under_way(session, tenant_id, lead_id)
    if known is not None:
        return known
    now = datetime.now(UTC)
    row = Erasure(
        tenant_id=tenant_id,
        lead_id=lead_id,
        state="waiting",
        step=FIRST,
        due_at=now,
        requested_at=now,
        requested_by=by,
        sealed=sealing.seal(tenant_id, PERSON_PURPOSE, packed(keys)),
        lead_ids=[],
        identity_ids=[],
        identifiers=0,
        counts={},
        scanned={},
        found=[],
        turned_away=0,
    )
    session.add(row)
    session.flush()
    audit.record(session, tenant_id, "person.erasure_requested", row.id, after={"lead_id": lead_id, **(told or {})})
    tell_after_commit(session, ErasureRequested(tenant_id))
    return row


def wishes_in(records: Sequence[Normalised]) -> tuple[list[Normalised], list[Normalised]]:
    """The others, and the wishes of persons to be erased."""
    wishes = [each for each in records if isinstance(each.record, ErasureWish)]
    return ([each for each in records if not isinstance(each.record, ErasureWish)] if wishes else list(records)), wishes


def heed(session: Session, tenant_id: int, wishes: Sequence[Normalised]) -> None:
    """Begins the erasure of each who wishes it, as part of the transaction that understood it.

    Who is not known is nobody to erase: of them nothing is kept, not even that they were deleted.
    """
    for each in wishes:
        keys = persona(each.record.ids).strong
        leads = leads_of(session, tenant_id, keys)
        if not leads:
            log.info("erasing.wish_of_a_stranger", tenant_id=tenant_id)
            continue
        name = session.scalar(select(Source.name).where(Source.tenant_id == tenant_id, Source.id == each.source_id))
        by = f"{name or 'A connection'}, at the person's own wish"
        begin(session, tenant_id, lead_id=min(leads), keys=keys, by=by, told={"by": by})


def leads_of(session: Session, tenant_id: int, keys: Collection[Key]) -> set[int]:
    """Who has one of these identifiers."""
    if not keys:
        return set()
    told = values(column("kind", Text), column("value", Text), name="told").data(sorted(keys))
    query = select(KnownAs.lead_id).where(
        KnownAs.tenant_id == tenant_id, tuple_(KnownAs.kind, KnownAs.value).in_(select(told.c.kind, told.c.value))
    )
    return set(session.scalars(query))


def packed(keys: Collection[Key]) -> bytes:
    return msgspec.msgpack.encode(sorted(keys))


def _under_way(session: Session, tenant_id: int, lead_id: int | None) -> Erasure | None:
    if lead_id is None:
        return None
    query = select(Erasure).where(
        Erasure.tenant_id == tenant_id, Erasure.lead_id == lead_id, Erasure.state.in_(("waiting", "running"))
    )
    return session.scalars(query.limit(1)).one_or_none()
