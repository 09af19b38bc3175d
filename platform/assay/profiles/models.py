"""Leads, their identities and companies, and the events of each; what was known of them before, with its end.

``known_at`` is the instant since which the system knows a row as it is. Rows of the ``past_…`` tables were known from
``known_at`` until ``until``, without the latter; they are only ever added to.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, Identity, Index, SmallInteger, Text, UniqueConstraint, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from assay_tenants.database import Base

Instant = DateTime(timezone=True)
_EMPTY = text("'{}'::jsonb")
_NOW = text("clock_timestamp()")
_LIVE = text("0")
DISTRIBUTED = {"schema": "profiles", "info": {"citus": "distributed"}}


class Lead(Base):
    """A person, as far as is known: traits and company are folded from all identities."""

    __tablename__ = "leads"
    __table_args__ = (
        Index("leads_by_company", "tenant_id", "company_id", postgresql_where=text("company_id IS NOT NULL")),
        {"schema": "profiles", "info": {"citus": "distributed"}},
    )

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    name: Mapped[str | None] = mapped_column(Text)
    email: Mapped[str | None] = mapped_column(Text)
    search_key: Mapped[str] = mapped_column(Text, server_default="")
    traits: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=_EMPTY)
    company_id: Mapped[int | None] = mapped_column(BigInteger)
    first_seen_at: Mapped[datetime] = mapped_column(Instant)
    last_seen_at: Mapped[datetime] = mapped_column(Instant)
    #: Since when traits, company and first sight are known to be these.
    known_at: Mapped[datetime] = mapped_column(Instant, server_default=_NOW)


class Company(Base):
    """A company as one sender names it, or all that is known of a domain; ``stated`` as for identities.

    Rows that state one domain have its row as their home, and leads belong to the home.
    """

    __tablename__ = "companies"
    __table_args__ = (
        UniqueConstraint("tenant_id", "key"),
        Index("companies_by_domain", "tenant_id", "domain", "id", postgresql_where=text("domain IS NOT NULL")),
        Index("companies_by_home", "tenant_id", "home_id", postgresql_where=text("home_id IS NOT NULL")),
        Index("companies_by_name", "tenant_id", "search_key", "id", postgresql_where=text("home_id IS NULL")),
        DISTRIBUTED,
    )

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    #: The sender's id, ``vendor:<name>:<id>`` or ``domain:<domain>``.
    key: Mapped[str] = mapped_column(Text)
    #: With what imports state; of a domain's row, folded from all rows whose home it is.
    traits: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=_EMPTY)
    stated: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=_EMPTY)
    #: What came by itself: instant, source and value of each trait. None: only imports state it, or nobody.
    live: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    #: In ASCII; the one that its traits tell.
    domain: Mapped[str | None] = mapped_column(Text)
    home_id: Mapped[int | None] = mapped_column(BigInteger)
    search_key: Mapped[str] = mapped_column(Text, server_default="")
    #: Since when the traits are known to be these.
    known_at: Mapped[datetime] = mapped_column(Instant, server_default=_NOW)


class Unfolded(Base):
    """Companies and leads of before an upgrade that wait to be folded by the rules of after it."""

    __tablename__ = "unfolded"
    __table_args__ = DISTRIBUTED

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    kind: Mapped[str] = mapped_column(Text, primary_key=True)
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)


class KnownAs(Base):
    """One identifier of one lead; ``stated`` holds for each trait its instant (microseconds) and source.

    What imports state of it is in ``import_statements``, not here; nor are their sights.
    """

    __tablename__ = "identities"
    __table_args__ = (
        UniqueConstraint("tenant_id", "kind", "value"),
        Index("identities_by_lead", "tenant_id", "lead_id"),
        {"schema": "profiles", "info": {"citus": "distributed"}},
    )

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    value: Mapped[str] = mapped_column(Text)
    lead_id: Mapped[int] = mapped_column(BigInteger)
    traits: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=_EMPTY)
    stated: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=_EMPTY)
    company_id: Mapped[int | None] = mapped_column(BigInteger)
    company_at: Mapped[datetime | None] = mapped_column(Instant)
    #: None for one that only imports state.
    first_seen_at: Mapped[datetime | None] = mapped_column(Instant)
    last_seen_at: Mapped[datetime | None] = mapped_column(Instant)
    #: Since when it is known to be of this lead.
    known_at: Mapped[datetime] = mapped_column(Instant, server_default=_NOW)


class Link(Base):
    """Two identities came in one record, first at ``since``; ``left_id`` is the smaller id.

    A row for each import that states it, and one under 0 if it came by itself.
    """

    __tablename__ = "links"
    __table_args__ = (
        Index("links_by_right", "tenant_id", "right_id"),
        {"schema": "profiles", "info": {"citus": "distributed"}},
    )

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    left_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    right_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    import_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False, server_default=_LIVE)
    since: Mapped[datetime] = mapped_column(Instant)
    #: Of the record that tells the earliest.
    source_id: Mapped[int | None] = mapped_column(BigInteger)
    message_id: Mapped[UUID | None] = mapped_column(Uuid)


class KeptEvent(Base):
    """Something a lead did; ``lead_id`` follows its identity whenever leads merge."""

    __tablename__ = "events"
    __table_args__ = (
        Index("events_by_lead", "tenant_id", "lead_id", "occurred_at"),
        Index("events_by_identity", "tenant_id", "identity_id"),
        {
            "schema": "profiles",
            "info": {"citus": "distributed"},
            "postgresql_partition_by": "RANGE (retention, received_at)",
        },
    )

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    received_at: Mapped[datetime] = mapped_column(Instant, primary_key=True)
    #: Days for which it is kept after its receipt; 0 for ever.
    retention: Mapped[int] = mapped_column(
        SmallInteger, primary_key=True, autoincrement=False, default=0, server_default="0"
    )
    lead_id: Mapped[int] = mapped_column(BigInteger)
    identity_id: Mapped[int] = mapped_column(BigInteger)
    type: Mapped[str] = mapped_column(Text)
    occurred_at: Mapped[datetime] = mapped_column(Instant)
    properties: Mapped[dict[str, Any]] = mapped_column(JSONB)
    source_id: Mapped[int] = mapped_column(BigInteger)
    sender_id: Mapped[str] = mapped_column(Text)
    message_id: Mapped[UUID | None] = mapped_column(Uuid)
    known_at: Mapped[datetime] = mapped_column(Instant, server_default=_NOW)
    #: The import that brought it; 0 for what came by itself.
    import_id: Mapped[int] = mapped_column(BigInteger, server_default=_LIVE)


class SeenEvent(Base):
    """Ids of all events ever kept: uniqueness inside a time partition is not enough."""

    __tablename__ = "seen"
    __table_args__ = {"schema": "profiles", "info": {"citus": "distributed"}}

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    event_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    received_at: Mapped[datetime] = mapped_column(Instant)


class ImportStatement(Base):
    """What one import states of an identity."""

    __tablename__ = "import_statements"
    __table_args__ = (Index("import_statements_by_identity", "tenant_id", "identity_id"), DISTRIBUTED)

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    import_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    identity_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    traits: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=_EMPTY)
    stated: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=_EMPTY)
    company_key: Mapped[str | None] = mapped_column(Text)
    company_at: Mapped[datetime | None] = mapped_column(Instant)
    first_seen_at: Mapped[datetime] = mapped_column(Instant)
    last_seen_at: Mapped[datetime] = mapped_column(Instant)


class ImportCompany(Base):
    """What one import states of a company; a row without traits where it only names it."""

    __tablename__ = "import_companies"
    __table_args__ = (Index("import_companies_by_key", "tenant_id", "key"), DISTRIBUTED)

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    import_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    key: Mapped[str] = mapped_column(Text, primary_key=True)
    traits: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=_EMPTY)
    stated: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=_EMPTY)


class ImportEvent(Base):
    """What an import (0: what came by itself) sent under the id of an event that somebody else's row is kept for.

    Of one import the row that precedes; equal to the event that is kept, or preceded by it.
    """

    __tablename__ = "import_events"
    __table_args__ = (
        Index("import_events_by_event", "tenant_id", "event_id"),
        Index("import_events_by_identity", "tenant_id", "identity_id"),
        DISTRIBUTED,
    )

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    import_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    event_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    identity_id: Mapped[int] = mapped_column(BigInteger)
    received_at: Mapped[datetime] = mapped_column(Instant)
    type: Mapped[str] = mapped_column(Text)
    occurred_at: Mapped[datetime] = mapped_column(Instant)
    #: JSON, byte for byte as events are compared by it.
    properties: Mapped[str] = mapped_column(Text)
    source_id: Mapped[int] = mapped_column(BigInteger)
    sender_id: Mapped[str] = mapped_column(Text)
    message_id: Mapped[UUID | None] = mapped_column(Uuid)


class PastLead(Base):
    """What a lead was; also of one that was merged into another since."""

    __tablename__ = "past_leads"
    __table_args__ = DISTRIBUTED

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    lead_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    until: Mapped[datetime] = mapped_column(Instant, primary_key=True)
    known_at: Mapped[datetime] = mapped_column(Instant)
    traits: Mapped[dict[str, Any]] = mapped_column(JSONB)
    company_id: Mapped[int | None] = mapped_column(BigInteger)
    first_seen_at: Mapped[datetime] = mapped_column(Instant)


class PastCompany(Base):
    __tablename__ = "past_companies"
    __table_args__ = DISTRIBUTED

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    company_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    until: Mapped[datetime] = mapped_column(Instant, primary_key=True)
    known_at: Mapped[datetime] = mapped_column(Instant)
    traits: Mapped[dict[str, Any]] = mapped_column(JSONB)


class PastMembership(Base):
    """Which lead an identity belonged to, with all its events."""

    __tablename__ = "past_memberships"
    __table_args__ = (Index("past_memberships_by_lead", "tenant_id", "lead_id"), DISTRIBUTED)

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    identity_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    until: Mapped[datetime] = mapped_column(Instant, primary_key=True)
    known_at: Mapped[datetime] = mapped_column(Instant)
    lead_id: Mapped[int] = mapped_column(BigInteger)


class PastEvent(Base):
    """What was kept under an id before another event that was sent under it took its place."""

    __tablename__ = "past_events"
    __table_args__ = (Index("past_events_by_identity", "tenant_id", "identity_id"), DISTRIBUTED)

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    event_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    until: Mapped[datetime] = mapped_column(Instant, primary_key=True)
    known_at: Mapped[datetime] = mapped_column(Instant)
    identity_id: Mapped[int] = mapped_column(BigInteger)
    type: Mapped[str] = mapped_column(Text)
    occurred_at: Mapped[datetime] = mapped_column(Instant)
    properties: Mapped[dict[str, Any]] = mapped_column(JSONB)
