"""The provider of a tenant, the domains that are its, who logged in through it, and what SCIM keeps."""

from datetime import datetime
from typing import Any, Literal

from sqlalchemy import (
    BigInteger,
    Boolean,
    DateTime,
    ForeignKeyConstraint,
    Identity,
    Integer,
    LargeBinary,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from assay_tenants import sealing
from assay_tenants.database import Base
from assay_tenants.models import Role
from assay_tenants.sealing import SealedColumn

Method = Literal["dns", "file"]

SEALED_FOR = "sso"
sealing.register(SealedColumn("tenancy.sso_providers", "client_secret", purpose=SEALED_FOR, key=("issuer",)))

_Instant = DateTime(timezone=True)


def _of_member(on_delete: str) -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        ["tenant_id", "person_id"],
        ["tenancy.memberships.tenant_id", "tenancy.memberships.person_id"],
        ondelete=on_delete,
    )


class Provider(Base):
    """Who says, for a tenant, that somebody is who they are."""

    __tablename__ = "sso_providers"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id"], ["tenancy.tenants.id"]),
        {"schema": "tenancy", "info": {"citus": "local"}},
    )

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    issuer: Mapped[str] = mapped_column(Text)
    client_id: Mapped[str] = mapped_column(Text)
    #: Sealed; None: the provider knows us by PKCE alone.
    client_secret: Mapped[bytes | None] = mapped_column(LargeBinary)
    #: What its discovery document told, as ``discovery.Endpoints`` writes it.
    endpoints: Mapped[dict[str, Any]] = mapped_column(JSONB)
    discovered_at: Mapped[datetime] = mapped_column(_Instant)
    #: Its addresses count as verified without its saying so.
    vouches: Mapped[bool] = mapped_column(Boolean)
    #: Whoever logs in becomes a member.
    makes_members: Mapped[bool] = mapped_column(Boolean)
    default_role: Mapped[Role] = mapped_column(Text)
    #: The claim that tells the role; empty: none does.
    role_claim: Mapped[str] = mapped_column(Text)
    #: Which of its values is which role.
    roles: Mapped[dict[str, Role]] = mapped_column(JSONB)
    #: Nobody of the tenant's domains logs in otherwise.
    enforced: Mapped[bool] = mapped_column(Boolean)
    #: The owner who may, should the provider be away.
    spare_person_id: Mapped[int | None] = mapped_column(BigInteger)
    #: Whether an owner was the last to save it: else it lets nobody in as an owner.
    by_owner: Mapped[bool] = mapped_column(Boolean, server_default="false")
    #: When somebody last came in through it.
    proven_at: Mapped[datetime | None] = mapped_column(_Instant)
    created_at: Mapped[datetime] = mapped_column(_Instant)
    changed_at: Mapped[datetime] = mapped_column(_Instant)


class Domain(Base):
    """A domain of addresses that a tenant says is its own; verified, it is no other's."""

    __tablename__ = "sso_domains"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id"], ["tenancy.tenants.id"]),
        {"schema": "tenancy", "info": {"citus": "local"}},
    )

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    domain: Mapped[str] = mapped_column(Text, primary_key=True)
    #: What has to stand in the domain's DNS or on its website.
    proof: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(_Instant)
    verified_at: Mapped[datetime | None] = mapped_column(_Instant)
    method: Mapped[Method | None] = mapped_column(Text)


class LinkedIdentity(Base):
    """Whom a provider means by a subject."""

    __tablename__ = "sso_identities"
    __table_args__ = (_of_member("CASCADE"), {"schema": "tenancy", "info": {"citus": "local"}})

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    issuer: Mapped[str] = mapped_column(Text, primary_key=True)
    subject: Mapped[str] = mapped_column(Text, primary_key=True)
    person_id: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(_Instant)
    used_at: Mapped[datetime] = mapped_column(_Instant)


class PendingLogin(Base):
    """Somebody who was sent to the provider and has not come back."""

    __tablename__ = "sso_logins"
    __table_args__ = {"schema": "tenancy", "info": {"citus": "local"}}

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    state_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    browser_hash: Mapped[bytes] = mapped_column(LargeBinary)
    #: Of ours, to go on to.
    page: Mapped[str] = mapped_column(Text)
    #: The provider has to ask for proof anew.
    again: Mapped[bool] = mapped_column(Boolean)
    created_at: Mapped[datetime] = mapped_column(_Instant)
    expires_at: Mapped[datetime] = mapped_column(_Instant)


class ScimToken(Base):
    """What a provisioning client shows us; only its hash is kept."""

    __tablename__ = "scim_tokens"
    __table_args__ = (
        UniqueConstraint("tenant_id", "secret_hash"),
        ForeignKeyConstraint(["tenant_id"], ["tenancy.tenants.id"]),
        {"schema": "tenancy", "info": {"citus": "local"}},
    )

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    hint: Mapped[str] = mapped_column(Text)
    secret_hash: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(_Instant)
    expires_at: Mapped[datetime] = mapped_column(_Instant)
    last_used_at: Mapped[datetime | None] = mapped_column(_Instant)


class ScimUser(Base):
    """What a provisioning client said of a member, as it said it."""

    __tablename__ = "scim_users"
    __table_args__ = (
        UniqueConstraint("tenant_id", "user_key"),
        _of_member("CASCADE"),
        {"schema": "tenancy", "info": {"citus": "local"}},
    )

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    person_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    #: ``userName`` in lower case: it is one member's, whatever its case.
    user_key: Mapped[str] = mapped_column(Text)
    external_id: Mapped[str | None] = mapped_column(Text)
    document: Mapped[dict[str, Any]] = mapped_column(JSONB)
    #: Of the document, counted up at each change.
    version: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[datetime] = mapped_column(_Instant)
    changed_at: Mapped[datetime] = mapped_column(_Instant)
