"""Leads and their events, for those who look at them. ``read_facts`` reads them for the engine."""

import base64
import binascii
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, Select, func, select, tuple_
from sqlalchemy.orm import Session

from assay.normalise import OURS
from assay.profiles import machines, merges
from assay.profiles.frames import Snapshot, last_news, read_facts, snapshot
from assay.profiles.marks import NONE, Marks, read_marks
from assay.profiles.merging import MOST_FIELDS, instant, micros
from assay.profiles.models import Company, ImportStatement, KeptEvent, KnownAs, Lead
from assay.profiles.naming import company_name, named_by, shown_key
from assay_tenants.database import LARGEST_ID, tenant_session
from assay_tenants.errors import BadInput, NotFound
from assay_tenants.models import Source

__all__ = [
    "DetailedLead",
    "LeadEvent",
    "LeadIdentity",
    "Snapshot",
    "Timeline",
    "get_event",
    "get_lead",
    "last_news",
    "list_events",
    "read_facts",
    "snapshot",
    "timeline",
]

PAGE = 50


@dataclass(frozen=True)
class LeadIdentity:
    kind: str
    value: str
    first_seen_at: datetime
    last_seen_at: datetime


@dataclass(frozen=True)
class DetailedLead:
    id: int
    name: str | None
    email: str | None
    #: The company's name, or its sender's id for it; without a company, what the lead's traits call it.
    company: str | None
    company_id: int | None
    #: As many traits as are kept of one lead: there may have been more.
    is_full: bool
    #: With those of its company, which are named ``company.…``.
    traits: dict[str, Any]
    identities: list[LeadIdentity]
    first_seen_at: datetime
    last_seen_at: datetime


@dataclass(frozen=True)
class LeadEvent:
    id: UUID
    type: str
    occurred_at: datetime
    received_at: datetime
    properties: dict[str, Any]
    #: The name of the source it came from.
    source: str | None
    #: The sender's id of it.
    sender_id: str
    #: The raw message that brought it; None for a row of an import.
    message_id: UUID | None
    #: Why it counts nothing (see `machines`); None: it counts.
    discounted: str | None = None


@dataclass(frozen=True)
class Timeline:
    """Newest first."""

    items: list[LeadEvent]
    next_cursor: str | None


def get_lead(tenant_id: int, lead_id: int, *, revealed: bool = False) -> DetailedLead:
    """What is kept out of sight is masked, unless somebody wants it ``revealed``: that is to be written down."""
    with tenant_session(tenant_id) as session:
        lead = _read_lead(session, tenant_id, lead_id)
        company = session.get(Company, (tenant_id, lead.company_id)) if lead.company_id is not None else None
        known = _read_identities(session, tenant_id, lead_id)
        marks = NONE if revealed else read_marks(session, tenant_id)
    traits = dict(lead.traits)
    if company is not None:
        traits |= {f"company.{name}": value for name, value in company.traits.items() if value is not None}
    return DetailedLead(
        id=lead.id,
        name=lead.name,
        email=lead.email,
        company=(company_name(company.traits) or shown_key(company.key)) if company else named_by(lead.traits),
        company_id=company.id if company else None,
        is_full=len(lead.traits) >= MOST_FIELDS,
        traits=marks.masked(traits),
        identities=known,
        first_seen_at=lead.first_seen_at,
        last_seen_at=lead.last_seen_at,
    )


def timeline(
    tenant_id: int, lead_id: int, *, cursor: str | None = None, limit: int = PAGE, revealed: bool = False
) -> Timeline:
    """What a lead did, newest first; ``cursor`` is the ``next_cursor`` of the page before."""
    query = _events(tenant_id, lead_id).order_by(KeptEvent.occurred_at.desc(), KeptEvent.id.desc()).limit(limit + 1)
    if cursor is not None:
        query = query.where(tuple_(KeptEvent.occurred_at, KeptEvent.id) < tuple_(*_place(cursor)))
    with tenant_session(tenant_id) as session:
        _read_lead(session, tenant_id, lead_id)
        rows = session.execute(query).all()
        marks = NONE if revealed else read_marks(session, tenant_id)
    events = _judged(tenant_id, lead_id, [_event(row[0], row[1], marks) for row in rows[:limit]])
    more = len(rows) > limit
    return Timeline(events, _cursor(events[-1]) if more else None)


def list_events(tenant_id: int, lead_id: int, types: Collection[str]) -> list[LeadEvent]:
    """All of these types, oldest first."""
    with tenant_session(tenant_id) as session:
        _read_lead(session, tenant_id, lead_id)
        rows = session.execute(
            _events(tenant_id, lead_id).where(KeptEvent.type.in_(types)).order_by(KeptEvent.occurred_at, KeptEvent.id)
        ).all()
        marks = read_marks(session, tenant_id)
    return _judged(tenant_id, lead_id, [_event(row[0], row[1], marks) for row in rows])


def get_event(tenant_id: int, lead_id: int, event_id: UUID) -> LeadEvent:
    with tenant_session(tenant_id) as session:
        row = session.execute(_events(tenant_id, lead_id).where(KeptEvent.id == event_id)).one_or_none()
        marks = read_marks(session, tenant_id)
    if row is None:
        raise NotFound("event")
    (event,) = _judged(tenant_id, lead_id, [_event(row[0], row[1], marks)])
    return event


def _judged(tenant_id: int, lead_id: int, events: list[LeadEvent]) -> list[LeadEvent]:
    """With why those that a machine did count nothing: what else happened to the mail is looked at for it."""
    if all(event.type not in machines.JUDGED for event in events):
        return events
    _, mails = read_facts(tenant_id, [lead_id], traits=(), properties=(), types=machines.LOOKED_AT)
    why = dict(mails.select("event_id", machines.DISCOUNTED).drop_nulls().iter_rows())
    return [replace(event, discounted=why.get(str(event.id))) for event in events]


def _read_lead(session: Session, tenant_id: int, lead_id: int) -> Lead:
    lead = session.scalars(select(Lead).where(*_is_lead(tenant_id, lead_id))).one_or_none()
    if lead is None:
        raise merges.gone(session, tenant_id, lead_id)
    return lead


def _is_lead(tenant_id: int, lead_id: int) -> Sequence[ColumnElement[bool]]:
    return Lead.tenant_id == tenant_id, Lead.id == min(lead_id, LARGEST_ID)


def _read_identities(session: Session, tenant_id: int, lead_id: int) -> list[LeadIdentity]:
    layer = (ImportStatement.tenant_id == tenant_id) & (ImportStatement.identity_id == KnownAs.id)
    first = func.least(KnownAs.first_seen_at, func.min(ImportStatement.first_seen_at))
    last = func.greatest(KnownAs.last_seen_at, func.max(ImportStatement.last_seen_at))
    rows = session.execute(
        select(KnownAs.kind, KnownAs.value, first, last)
        .outerjoin(ImportStatement, layer)
        .where(KnownAs.tenant_id == tenant_id, KnownAs.lead_id == lead_id)
        .group_by(KnownAs.tenant_id, KnownAs.id)
        .order_by(KnownAs.kind, first, KnownAs.value)
    )
    return [LeadIdentity(*row) for row in rows]


def _events(tenant_id: int, lead_id: int) -> Select[KeptEvent, str | None]:
    return (
        select(KeptEvent, Source.name)
        .outerjoin(Source, (Source.tenant_id == tenant_id) & (Source.id == KeptEvent.source_id))
        .where(KeptEvent.tenant_id == tenant_id, KeptEvent.lead_id == min(lead_id, LARGEST_ID))
    )


def _event(event: KeptEvent, source: str | None, marks: Marks) -> LeadEvent:
    return LeadEvent(
        id=event.id,
        type=event.type,
        occurred_at=event.occurred_at,
        received_at=event.received_at,
        properties=event.properties if event.type.startswith(OURS) else marks.masked(event.properties),
        source=source,
        sender_id=event.sender_id,
        message_id=event.message_id,
    )


def _cursor(event: LeadEvent) -> str:
    place = msgspec.msgpack.encode((micros(event.occurred_at), event.id.bytes))
    return base64.urlsafe_b64encode(place).rstrip(b"=").decode()


def _place(cursor: str) -> tuple[datetime, UUID]:
    try:
        packed = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        microseconds, event_id = msgspec.msgpack.decode(packed, type=tuple[int, bytes])
        return instant(microseconds), UUID(bytes=event_id)
    except (binascii.Error, ValueError, OverflowError, msgspec.DecodeError):
        raise BadInput(
            "This cursor is not one of this list. Accepted is the next_cursor of the page before; leave it out to "
            "start at the newest event.",
            field="cursor",
        ) from None
