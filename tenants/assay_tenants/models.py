"""Tenants, people and keys."""

from datetime import datetime
from typing import Literal

from sqlalchemy import (
    ARRAY,
    BigInteger,
    DateTime,
    ForeignKeyConstraint,
    Identity,
    Integer,
    LargeBinary,
    SmallInteger,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from assay_tenants.database import Base

Role = Literal["owner", "admin", "editor", "viewer"]
KeyKind = Literal["write", "api"]

Instant = DateTime(timezone=True)


class Tenant(Base):
    __tablename__ = "tenants"
    __table_args__ = {"schema": "tenancy", "info": {"citus": "local"}}

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Instant)
    #: Days for which raw messages and events are kept; 0 for ever.
    keep_messages: Mapped[int] = mapped_column(SmallInteger, server_default="365")
    keep_events: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    #: None: as many as everybody may send; 0: no limit.
    events_per_second: Mapped[int | None] = mapped_column(Integer)


class Person(Base):
    """Somebody who can log in; the same person may work for several tenants."""

    __tablename__ = "people"
    __table_args__ = {"schema": "tenancy", "info": {"citus": "local"}}

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    email: Mapped[str] = mapped_column(Text, unique=True)
    name: Mapped[str] = mapped_column(Text)
    password_hash: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Instant)


class Membership(Base):
    __tablename__ = "memberships"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id"], ["tenancy.tenants.id"]),
        ForeignKeyConstraint(["person_id"], ["tenancy.people.id"]),
        {"schema": "tenancy", "info": {"citus": "local"}},
    )

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    person_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    email: Mapped[str] = mapped_column(Text)
    role: Mapped[Role] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Instant)


class LoginSession(Base):
    """A browser that is logged in to one tenant; only the hash of its token is stored."""

    __tablename__ = "sessions"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "person_id"], ["tenancy.memberships.tenant_id", "tenancy.memberships.person_id"]
        ),
        {"schema": "tenancy", "info": {"citus": "local"}},
    )

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    token_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    person_id: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(Instant)
    expires_at: Mapped[datetime] = mapped_column(Instant)


class Source(Base):
    """Where messages come from: one connection of a tenant to one plugin."""

    __tablename__ = "sources"
    __table_args__ = (
        UniqueConstraint("tenant_id", "name"),
        ForeignKeyConstraint(["tenant_id"], ["tenancy.tenants.id"]),
        {"schema": "tenancy", "info": {"citus": "local"}},
    )

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    plugin: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Instant)


class Key(Base):
    """A key we issued. Write keys may send events and nothing else; API keys may read and configure."""

    __tablename__ = "keys"
    __table_args__ = (
        UniqueConstraint("tenant_id", "secret_hash"),
        ForeignKeyConstraint(["tenant_id", "source_id"], ["tenancy.sources.tenant_id", "tenancy.sources.id"]),
        {"schema": "tenancy", "info": {"citus": "local"}},
    )

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    kind: Mapped[KeyKind] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    source_id: Mapped[int | None] = mapped_column(BigInteger)
    hint: Mapped[str] = mapped_column(Text)
    secret_hash: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(Instant)
    expires_at: Mapped[datetime | None] = mapped_column(Instant)
    #: Of pages that may use a write key; none: any page, and every server.
    origins: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    #: Of an API key: permissions.
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    #: Who made it: a name as it was then; the person's id, unless a program made it.
    made_by: Mapped[str] = mapped_column(Text, server_default="")
    made_by_id: Mapped[int | None] = mapped_column(BigInteger)
    #: To within a minute or so.
    last_used_at: Mapped[datetime | None] = mapped_column(Instant)
    revoked_at: Mapped[datetime | None] = mapped_column(Instant)
