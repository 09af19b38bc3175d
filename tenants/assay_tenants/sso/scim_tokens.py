"""What a provisioning client shows: shown once when it is made, stored hashed, expiring, rotated without a gap."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, func, insert, or_, select, update
from sqlalchemy.orm import Session

from assay_tenants import audit, secrets
from assay_tenants.database import tenant_session
from assay_tenants.errors import BadInput, NotFound
from assay_tenants.sso.models import ScimToken

PREFIX = "sc"
LIFETIMES: Final = (90, 180, 365)
#: For so long the old one stays good beside the new one.
OVERLAP = timedelta(days=1)
#: How exactly it is known when one was last used: a write per request would be too dear.
USED_EVERY = timedelta(minutes=10)
MOST = 20
NAME_LENGTH = 80


@dataclass(frozen=True)
class IssuedToken:
    """A token at the one moment when it can be read."""

    id: int
    name: str
    secret: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True)
class Provisioner:
    """Whom a token speaks for."""

    tenant_id: int
    token_id: int
    name: str


def issue(tenant_id: int, *, name: str, days: int) -> IssuedToken:
    name = " ".join(name.split())
    if not 1 <= len(name) <= NAME_LENGTH or not name.isprintable():
        raise BadInput(f"A token needs a name of 1 to {NAME_LENGTH} characters.", field="name")
    if days not in LIFETIMES:
        raise BadInput(f"A token is good for {', '.join(map(str, LIFETIMES))} days.", field="days")
    with tenant_session(tenant_id) as session:
        held = session.scalar(
            select(func.count()).select_from(ScimToken).where(ScimToken.tenant_id == tenant_id, _is_valid())
        )
        if (held or 0) >= MOST:
            raise BadInput(f"An account has at most {MOST} tokens; revoke one that nothing uses.", field="name")
        return _insert(session, tenant_id, name, timedelta(days=days))


def _insert(session: Session, tenant_id: int, name: str, lifetime: timedelta) -> IssuedToken:
    secret = secrets.issue(PREFIX, tenant_id)
    now = datetime.now(UTC)
    token_id = session.execute(
        insert(ScimToken)
        .values(
            tenant_id=tenant_id,
            name=name,
            hint=secret[-4:],
            secret_hash=secrets.digest(secret),
            created_at=now,
            expires_at=now + lifetime,
        )
        .returning(ScimToken.id)
    ).scalar_one()
    audit.record(
        session,
        tenant_id,
        "scim_token.made",
        token_id,
        after={"name": name, "expires_at": (now + lifetime).isoformat()},
    )
    return IssuedToken(token_id, name, secret, now + lifetime)


def list_tokens(tenant_id: int) -> list[ScimToken]:
    """Those that still open something, newest first."""
    with tenant_session(tenant_id) as session:
        query = select(ScimToken).where(ScimToken.tenant_id == tenant_id, _is_valid()).order_by(ScimToken.id.desc())
        return list(session.scalars(query))


def rotate(tenant_id: int, token_id: int) -> IssuedToken:
    """A new token for as long as the old one was made for, which stays good for ``OVERLAP`` at the longest."""
    with tenant_session(tenant_id) as session:
        old = _get(session, tenant_id, token_id)
        made_for = old.expires_at - old.created_at
        days = min((days for days in LIFETIMES if timedelta(days=days) >= made_for), default=LIFETIMES[-1])
        old.expires_at = min(old.expires_at, datetime.now(UTC) + OVERLAP)
        audit.record(
            session, tenant_id, "scim_token.rotated", token_id, after={"expires_at": old.expires_at.isoformat()}
        )
        return _insert(session, tenant_id, old.name, timedelta(days=days))


def revoke(tenant_id: int, token_id: int) -> None:
    """At once: each request asks for its token anew."""
    with tenant_session(tenant_id) as session:
        token = _get(session, tenant_id, token_id)
        token.expires_at = datetime.now(UTC)
        audit.record(session, tenant_id, "scim_token.revoked", token_id, before={"name": token.name})


def find_provisioner(secret: str) -> Provisioner | None:
    """Whom this token speaks for; None when it is malformed, unknown, expired or revoked."""
    parsed = secrets.parse(secret)
    if parsed is None or parsed.prefix != PREFIX:
        return None
    now = datetime.now(UTC)
    with tenant_session(parsed.tenant_id) as session:
        token = session.scalars(
            select(ScimToken).where(
                ScimToken.tenant_id == parsed.tenant_id, ScimToken.secret_hash == parsed.hash, _is_valid()
            )
        ).one_or_none()
        if token is None:
            return None
        session.execute(
            update(ScimToken)
            .where(
                ScimToken.tenant_id == parsed.tenant_id,
                ScimToken.id == token.id,
                or_(ScimToken.last_used_at.is_(None), ScimToken.last_used_at < now - USED_EVERY),
            )
            .values(last_used_at=now)
        )
        return Provisioner(parsed.tenant_id, token.id, token.name)


def _get(session: Session, tenant_id: int, token_id: int) -> ScimToken:
    token = session.scalars(
        select(ScimToken)
        .where(ScimToken.tenant_id == tenant_id, ScimToken.id == token_id, _is_valid())
        .with_for_update()
    ).one_or_none()
    if token is None:
        raise NotFound("token")
    return token


def _is_valid() -> ColumnElement[bool]:
    return ScimToken.expires_at > datetime.now(UTC)
