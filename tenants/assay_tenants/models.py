"""Tenants, people and keys."""

from datetime import datetime
from typing import Literal

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    DateTime,
    ForeignKeyConstraint,
    Identity,
    Integer,
    LargeBinary,
    SmallInteger,
    Text,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from assay_tenants.database import Base

Role = Literal["owner", "admin", "editor", "viewer"]
KeyKind = Literal["write", "api"]
LinkPurpose = Literal["verify", "reset"]

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
    #: Of the installation's catalogue of plans.
    plan: Mapped[str] = mapped_column(Text, server_default="unlimited")
    plan_since: Mapped[datetime | None] = mapped_column(Instant)
    #: None: the plan does not end.
    trial_ends_at: Mapped[datetime | None] = mapped_column(Instant)


class Person(Base):
    """Somebody who can log in; the same person may work for several tenants."""

    __tablename__ = "people"
    __table_args__ = {"schema": "tenancy", "info": {"citus": "local"}}

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    email: Mapped[str] = mapped_column(Text, unique=True)
    name: Mapped[str] = mapped_column(Text)
    #: None: logs in through their company alone.
    password_hash: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Instant)
    #: When a mail to this address was answered; None: nobody knows yet whose it is.
    email_verified_at: Mapped[datetime | None] = mapped_column(Instant)
    #: Where they were last, and come in next time.
    last_tenant_id: Mapped[int | None] = mapped_column(BigInteger)


class Membership(Base):
    """A person at work for one tenant; name, address and whether it is verified are copies of the person's."""

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
    verified: Mapped[bool] = mapped_column(Boolean, server_default=false())
    #: Set: kept out, by whoever provisions members; the row stays.
    suspended_at: Mapped[datetime | None] = mapped_column(Instant)


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
    id: Mapped[int] = mapped_column(BigInteger, Identity())
    person_id: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(Instant)
    expires_at: Mapped[datetime] = mapped_column(Instant)
    #: To within a few minutes: it is not written at every request.
    last_seen_at: Mapped[datetime] = mapped_column(Instant)
    #: When the person last proved who they are, and how: "password", "totp", "passkey", "sso".
    proven_at: Mapped[datetime] = mapped_column(Instant)
    proven_by: Mapped[list[str]] = mapped_column(ARRAY(Text))
    address: Mapped[str] = mapped_column(Text)
    agent: Mapped[str] = mapped_column(Text)


class PersonLink(Base):
    """A secret that was mailed to a person, good once; only its hash is stored."""

    __tablename__ = "person_links"
    __table_args__ = {"schema": "tenancy", "info": {"citus": "local"}}

    token_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    person_id: Mapped[int] = mapped_column(BigInteger)
    purpose: Mapped[LinkPurpose] = mapped_column(Text)
    #: Where it was sent; verifying it makes this the person's address.
    email: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Instant)
    expires_at: Mapped[datetime] = mapped_column(Instant)


class PendingLogin(Base):
    """Somebody whose password was right and who has yet to prove a second factor."""

    __tablename__ = "pending_logins"
    __table_args__ = {"schema": "tenancy", "info": {"citus": "local"}}

    token_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    person_id: Mapped[int] = mapped_column(BigInteger)
    proven_by: Mapped[list[str]] = mapped_column(ARRAY(Text))
    address: Mapped[str] = mapped_column(Text)
    agent: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Instant)
    expires_at: Mapped[datetime] = mapped_column(Instant)


class ResetRequest(Base):
    """Somebody asked for a new password for an address, whoever has it; looked into in the background."""

    __tablename__ = "reset_requests"
    __table_args__ = {"schema": "tenancy", "info": {"citus": "local"}}

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    email: Mapped[str] = mapped_column(Text)
    address: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Instant)


class Invitation(Base):
    """An address that may become a member; the row goes when it has, or is withdrawn."""

    __tablename__ = "invitations"
    __table_args__ = (
        UniqueConstraint("tenant_id", "email"),
        ForeignKeyConstraint(["tenant_id"], ["tenancy.tenants.id"]),
        {"schema": "tenancy", "info": {"citus": "local"}},
    )

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    email: Mapped[str] = mapped_column(Text)
    role: Mapped[Role] = mapped_column(Text)
    token_hash: Mapped[bytes] = mapped_column(LargeBinary)
    invited_by_name: Mapped[str] = mapped_column(Text)
    #: With whom it ends; None: a key or an app of the company's invited.
    invited_by: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(Instant)
    sent_at: Mapped[datetime] = mapped_column(Instant)
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
    #: Whose own source it is; None: what somebody sends with a write key.
    connection_id: Mapped[int | None] = mapped_column(BigInteger)


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
    #: The key that was made in its place.
    replaced_by_id: Mapped[int | None] = mapped_column(BigInteger)
