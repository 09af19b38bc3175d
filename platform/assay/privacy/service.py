"""Erasures: asked for, looked at, looked through again, and lifted when a person comes back."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from assay.facts import ErasureRequested, tell_after_commit
from assay.privacy.errors import ErasedAlready, NoSuchErasure, NotConfirmed, StillRunning
from assay.profiles import knowing, merges
from assay.profiles.erasing import tombstones
from assay.profiles.erasing.beginning import FIRST, begin, leads_of, packed
from assay.profiles.erasing.models import PERSON_PURPOSE, Erasure, State
from assay.profiles.matching import Key
from assay.profiles.models import Lead
from assay_tenants import audit, sealing
from assay_tenants.database import LARGEST_ID, tenant_session
from assay_tenants.errors import BadInput

PAGE = 50
#: What is done last.
VERIFY = "verify"


@dataclass(frozen=True)
class Certificate:
    """What was erased, and that nothing of it was found afterwards; nothing in it says who it was."""

    id: int
    lead_id: int | None
    state: State
    requested_at: datetime
    requested_by: str
    started_at: datetime | None
    erased_at: datetime | None
    verified_at: datetime | None
    #: Leads that were the person; how many identifiers they had, and a keyed hash of all of those.
    lead_ids: list[int]
    identifiers: int
    identifiers_hash: str | None
    #: Rows that went or were changed, by table.
    counts: dict[str, int]
    #: Rows that were looked through afterwards, by table.
    scanned: dict[str, int | None]
    #: Where something names the person still: table, column, how many rows, and the ids of some.
    found: list[dict[str, Any]]
    #: Records that came later and were turned away.
    turned_away: int
    lifted_at: datetime | None
    lifted_by: str | None


def request(
    tenant_id: int,
    *,
    by: str,
    lead_id: int | None = None,
    keys: Collection[Key] = (),
    confirmed: bool,
) -> Certificate:
    """Has a person erased: a lead, or whoever has these identifiers; without a lead what names them is erased too.

    Raises NotConfirmed, NotFound, BadInput, and ErasedAlready for somebody whose erasure holds.
    """
    if lead_id is None and not keys:
        raise BadInput("Say who: lead_id, email, user_id, anonymous_id or vendor_ids.", field="lead_id")
    with tenant_session(tenant_id) as session:
        if lead_id is not None:
            _require_lead(session, tenant_id, lead_id)
        elif not (leads := leads_of(session, tenant_id, keys)):
            if erased := tombstones.find(session, tenant_id, keys):
                raise ErasedAlready(max(erased.values()))
        elif len(leads) == 1:
            lead_id = leads.pop()
        if not confirmed:
            raise NotConfirmed
        row = begin(session, tenant_id, lead_id=lead_id, keys=keys, by=by)
        return _certificate(row)


def list_erasures(tenant_id: int, *, limit: int = PAGE) -> list[Certificate]:
    """The latest ones, newest first."""
    query = select(Erasure).where(Erasure.tenant_id == tenant_id).order_by(Erasure.id.desc()).limit(limit)
    with tenant_session(tenant_id) as session:
        return [_certificate(row) for row in session.scalars(query)]


def get_erasure(tenant_id: int, erasure_id: int) -> Certificate:
    """Raises NoSuchErasure."""
    with tenant_session(tenant_id) as session:
        return _certificate(_read(session, tenant_id, erasure_id))


def look_again(tenant_id: int, erasure_id: int, *, keys: Collection[Key] = ()) -> Certificate:
    """Erases what is there by now, and looks through all tables once more.

    Of an erasure that is done the identifiers are not kept, so the person has to be named by ``keys``. Raises
    NoSuchErasure, StillRunning, and BadInput for identifiers that are not this person's.
    """
    with tenant_session(tenant_id) as session:
        knowing.learn(session, tenant_id)
        row = _read(session, tenant_id, erasure_id, lock=True)
        if row.state in ("waiting", "running"):
            raise StillRunning
        if row.sealed is None:
            if not keys or set(tombstones.find(session, tenant_id, keys).values()) != {row.id}:
                raise BadInput(
                    "Name the person by identifiers that were erased: they are not kept, so nobody could look for "
                    "them otherwise.",
                    field="email",
                )
            row.sealed = sealing.seal(tenant_id, PERSON_PURPOSE, packed(keys))
        row.state, row.step, row.place, row.due_at = "waiting", FIRST, None, datetime.now(UTC)
        audit.record(session, tenant_id, "person.erasure_repeated", row.id)
        tell_after_commit(session, ErasureRequested(tenant_id))
        return _certificate(row)


def lift(tenant_id: int, erasure_id: int, *, by: str) -> Certificate:
    """The person came back and agreed: what names them is taken in again. What was erased stays so."""
    with tenant_session(tenant_id) as session:
        knowing.learn(session, tenant_id)
        row = _read(session, tenant_id, erasure_id, lock=True)
        if row.state in ("waiting", "running"):
            raise StillRunning
        gone = tombstones.lift(session, tenant_id, row.id)
        if row.lifted_at is None:
            row.lifted_at, row.lifted_by = datetime.now(UTC), by
            audit.record(session, tenant_id, "person.erasure_lifted", row.id, after={"identifiers": gone})
        return _certificate(row)


def unpacked(row: Erasure) -> frozenset[Key]:
    if row.sealed is None:
        return frozenset()
    plain = sealing.unseal(row.tenant_id, PERSON_PURPOSE, row.sealed)
    return frozenset(msgspec.msgpack.decode(plain, type=list[tuple[str, str]]))


def _require_lead(session: Session, tenant_id: int, lead_id: int) -> None:
    query = select(Lead.id).where(Lead.tenant_id == tenant_id, Lead.id == min(lead_id, LARGEST_ID))
    if session.scalar(query) is None:
        raise merges.gone(session, tenant_id, lead_id)


def _read(session: Session, tenant_id: int, erasure_id: int, *, lock: bool = False) -> Erasure:
    query = select(Erasure).where(Erasure.tenant_id == tenant_id, Erasure.id == min(erasure_id, LARGEST_ID))
    row = session.scalars(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        raise NoSuchErasure
    return row


def _certificate(row: Erasure) -> Certificate:
    told: Sequence[str] = [name for name in Certificate.__dataclass_fields__ if name != "identifiers_hash"]
    fingerprint = row.fingerprint.hex() if row.fingerprint else None
    return Certificate(**{name: getattr(row, name) for name in told}, identifiers_hash=fingerprint)
