"""Apps, and what they were given: secrets and tokens as hashes, the signing keys sealed."""

from datetime import datetime
from typing import Any, Literal

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    ForeignKeyConstraint,
    Identity,
    Integer,
    LargeBinary,
    SmallInteger,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from assay_tenants.database import Base
from assay_tenants.models import Instant

AppKind = Literal["public", "confidential"]
DeviceState = Literal["waiting", "approved", "denied", "used"]
KeyState = Literal["next", "current", "retired"]

#: Whose apps are that registered themselves, where the installation lets them.
NOBODY = 0


class App(Base):
    """A program that tenants may let act for them; ``tenant_id`` is who registered it."""

    __tablename__ = "apps"
    __table_args__ = {"schema": "tenancy", "info": {"citus": "local"}}

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    client_id: Mapped[str] = mapped_column(Text, primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    homepage: Mapped[str] = mapped_column(Text, server_default="")
    logo: Mapped[str] = mapped_column(Text, server_default="")
    #: A public app can keep no secret: it runs on somebody's device or in a browser.
    kind: Mapped[AppKind] = mapped_column(Text)
    redirect_uris: Mapped[list[str]] = mapped_column(ARRAY(Text))
    grant_types: Mapped[list[str]] = mapped_column(ARRAY(Text))
    #: The most that it may ask for.
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    #: Public keys of an app that proves itself by a signature instead of a secret.
    jwks: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    #: Shown to every tenant among the apps that can be installed.
    listed: Mapped[bool] = mapped_column(Boolean, server_default="false")
    created_by: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(Instant)
    removed_at: Mapped[datetime | None] = mapped_column(Instant)


class AppSecret(Base):
    __tablename__ = "app_secrets"
    __table_args__ = (
        UniqueConstraint("tenant_id", "secret_hash"),
        ForeignKeyConstraint(["tenant_id", "client_id"], ["tenancy.apps.tenant_id", "tenancy.apps.client_id"]),
        {"schema": "tenancy", "info": {"citus": "local"}},
    )

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    client_id: Mapped[str] = mapped_column(Text)
    hint: Mapped[str] = mapped_column(Text)
    secret_hash: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(Instant)
    #: Set when a newer one takes its place.
    expires_at: Mapped[datetime | None] = mapped_column(Instant)


class RegistrationToken(Base):
    """Lets a program register an app of this tenant by protocol."""

    __tablename__ = "registration_tokens"
    __table_args__ = (
        UniqueConstraint("tenant_id", "token_hash"),
        {"schema": "tenancy", "info": {"citus": "local"}},
    )

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    hint: Mapped[str] = mapped_column(Text)
    token_hash: Mapped[bytes] = mapped_column(LargeBinary)
    created_by: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(Instant)
    expires_at: Mapped[datetime] = mapped_column(Instant)
    uses_left: Mapped[int] = mapped_column(Integer)


class ClientAssertion(Base):
    """The id of a signed assertion that an app proved itself with: taken once."""

    __tablename__ = "client_assertions"
    __table_args__ = {"schema": "tenancy", "info": {"citus": "local"}}

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    client_id: Mapped[str] = mapped_column(Text, primary_key=True)
    jti_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    expires_at: Mapped[datetime] = mapped_column(Instant)


class Installation(Base):
    """An app that somebody let in for the whole tenant: from then on others may use it for themselves."""

    __tablename__ = "installations"
    __table_args__ = {"schema": "tenancy", "info": {"citus": "local"}}

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    client_id: Mapped[str] = mapped_column(Text, primary_key=True)
    app_tenant_id: Mapped[int] = mapped_column(BigInteger)
    installed_by: Mapped[int | None] = mapped_column(BigInteger)
    installed_at: Mapped[datetime] = mapped_column(Instant)


class Grant(Base):
    """What one person let one app do for one tenant."""

    __tablename__ = "grants"
    __table_args__ = {"schema": "tenancy", "info": {"citus": "local"}}

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    client_id: Mapped[str] = mapped_column(Text)
    app_tenant_id: Mapped[int] = mapped_column(BigInteger)
    person_id: Mapped[int] = mapped_column(BigInteger)
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    resource: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Instant)
    last_used_at: Mapped[datetime | None] = mapped_column(Instant)
    revoked_at: Mapped[datetime | None] = mapped_column(Instant)


class TokenFamily(Base):
    """All tokens that came of one authorization: they end together."""

    __tablename__ = "token_families"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "grant_id"], ["tenancy.grants.tenant_id", "tenancy.grants.id"]),
        {"schema": "tenancy", "info": {"citus": "local"}},
    )

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    grant_id: Mapped[int] = mapped_column(BigInteger)
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    resource: Mapped[str] = mapped_column(Text)
    #: When, and by what, the person had proven who they are.
    auth_time: Mapped[datetime] = mapped_column(Instant)
    methods: Mapped[list[str]] = mapped_column(ARRAY(Text))
    started_at: Mapped[datetime] = mapped_column(Instant)
    ends_at: Mapped[datetime] = mapped_column(Instant)
    revoked_at: Mapped[datetime | None] = mapped_column(Instant)


class AuthorizationCode(Base):
    __tablename__ = "authorization_codes"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "grant_id"], ["tenancy.grants.tenant_id", "tenancy.grants.id"]),
        {"schema": "tenancy", "info": {"citus": "local"}},
    )

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    code_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    grant_id: Mapped[int] = mapped_column(BigInteger)
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    resource: Mapped[str] = mapped_column(Text)
    redirect_uri: Mapped[str] = mapped_column(Text)
    code_challenge: Mapped[str] = mapped_column(Text)
    nonce: Mapped[str] = mapped_column(Text)
    auth_time: Mapped[datetime] = mapped_column(Instant)
    methods: Mapped[list[str]] = mapped_column(ARRAY(Text))
    expires_at: Mapped[datetime] = mapped_column(Instant)
    used_at: Mapped[datetime | None] = mapped_column(Instant)
    #: What it was exchanged for, so that a second use can end it.
    family_id: Mapped[int | None] = mapped_column(BigInteger)


class RefreshToken(Base):
    __tablename__ = "refresh_tokens"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "family_id"], ["tenancy.token_families.tenant_id", "tenancy.token_families.id"]
        ),
        {"schema": "tenancy", "info": {"citus": "local"}},
    )

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    token_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    family_id: Mapped[int] = mapped_column(BigInteger)
    #: With the token itself it makes the successor; neither does alone.
    salt: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(Instant)
    expires_at: Mapped[datetime] = mapped_column(Instant)
    used_at: Mapped[datetime | None] = mapped_column(Instant)


class DeviceCode(Base):
    """A device that waits for somebody to type its code; which tenant lets it in is known only then."""

    __tablename__ = "device_codes"
    __table_args__ = {"schema": "tenancy", "info": {"citus": "local"}}

    device_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    user_code_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    client_id: Mapped[str] = mapped_column(Text)
    app_tenant_id: Mapped[int] = mapped_column(BigInteger)
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    resource: Mapped[str] = mapped_column(Text)
    #: Of the network that the device asked from, for the person who is to recognise it.
    address: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Instant)
    expires_at: Mapped[datetime] = mapped_column(Instant)
    #: Least seconds between two questions.
    pause: Mapped[int] = mapped_column(SmallInteger)
    polled_at: Mapped[datetime | None] = mapped_column(Instant)
    state: Mapped[DeviceState] = mapped_column(Text)
    granted_tenant_id: Mapped[int | None] = mapped_column(BigInteger)
    grant_id: Mapped[int | None] = mapped_column(BigInteger)
    auth_time: Mapped[datetime | None] = mapped_column(Instant)
    methods: Mapped[list[str] | None] = mapped_column(ARRAY(Text))


class SigningKey(Base):
    """A key that tokens are signed with; its private part is sealed for the installation."""

    __tablename__ = "signing_keys"
    __table_args__ = {"schema": "tenancy", "info": {"citus": "local"}}

    kid: Mapped[str] = mapped_column(Text, primary_key=True)
    state: Mapped[KeyState] = mapped_column(Text)
    public: Mapped[dict[str, Any]] = mapped_column(JSONB)
    private: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(Instant)
    #: Of its state.
    since: Mapped[datetime] = mapped_column(Instant)
