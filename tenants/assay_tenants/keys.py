"""Write keys and API keys: shown once, stored hashed, rotated without a gap."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, insert, or_, select, update
from sqlalchemy.orm import Session

from assay_tenants import secrets
from assay_tenants.database import tenant_session
from assay_tenants.errors import BadInput, NotFound
from assay_tenants.models import Key, KeyKind, Source
from assay_tenants.origins import is_among, read_origins
from assay_tenants.permissions import PERMISSIONS, Permission

PREFIX: dict[KeyKind, str] = {"write": "wk", "api": "ak"}
NAME_LENGTH = 80


@dataclass(frozen=True)
class IssuedKey:
    """A key at the one moment when its secret can be read."""

    id: int
    kind: KeyKind
    name: str
    secret: str


@dataclass(frozen=True)
class Caller:
    """Whom a key speaks for."""

    tenant_id: int
    key_id: int
    kind: KeyKind
    source_id: int | None
    #: Pages that may use the key from a browser; none listed: any.
    origins: tuple[str, ...] = ()
    scopes: frozenset[Permission] = PERMISSIONS

    def may_come_from(self, origin: str) -> bool:
        """Whether a page of this origin may use the key, the origin as its browser states it."""
        return not self.origins or is_among(origin, self.origins)


def issue_key(tenant_id: int, *, kind: KeyKind, name: str, source_id: int | None = None) -> IssuedKey:
    """A write key without ``source_id`` sends into the tenant's first source."""
    name = name.strip()
    if not 1 <= len(name) <= NAME_LENGTH:
        raise BadInput(f"A key needs a name of 1 to {NAME_LENGTH} characters.", field="name")
    with tenant_session(tenant_id) as session:
        if kind == "write" and source_id is None:
            source_id = session.scalars(
                select(Source.id).where(Source.tenant_id == tenant_id).order_by(Source.id).limit(1)
            ).one()
        return insert_key(session, tenant_id, kind=kind, name=name, source_id=source_id)


def insert_key(
    session: Session,
    tenant_id: int,
    *,
    kind: KeyKind,
    name: str,
    source_id: int | None,
    origins: Sequence[str] = (),
) -> IssuedKey:
    secret = secrets.issue(PREFIX[kind], tenant_id)
    key_id = session.execute(
        insert(Key)
        .values(
            tenant_id=tenant_id,
            kind=kind,
            name=name,
            source_id=source_id,
            hint=secret[-4:],
            secret_hash=secrets.digest(secret),
            created_at=datetime.now(UTC),
            origins=list(origins),
        )
        .returning(Key.id)
    ).scalar_one()
    return IssuedKey(key_id, kind, name, secret)


def list_keys(tenant_id: int, *, kind: KeyKind | None = None) -> list[Key]:
    """Keys that still open something, newest first."""
    with tenant_session(tenant_id) as session:
        query = select(Key).where(Key.tenant_id == tenant_id, _is_valid()).order_by(Key.id.desc())
        return list(session.scalars(query.where(Key.kind == kind) if kind else query))


def rotate_key(tenant_id: int, key_id: int, *, grace: timedelta = timedelta(days=1)) -> IssuedKey:
    """A new key in place of this one, which stays valid for ``grace`` so that senders can change over."""
    with tenant_session(tenant_id) as session:
        old = _get(session, tenant_id, key_id)
        old.expires_at = datetime.now(UTC) + grace
        return insert_key(
            session, tenant_id, kind=old.kind, name=old.name, source_id=old.source_id, origins=old.origins
        )


def restrict_key(tenant_id: int, key_id: int, typed: str) -> list[str]:
    """Lets only pages of the origins in ``typed``, one a line, use a write key; any page when there are none."""
    allowed = read_origins(typed)
    with tenant_session(tenant_id) as session:
        key = _get(session, tenant_id, key_id)
        if key.kind != "write":
            raise NotFound("write key")
        key.origins = allowed
    return allowed


def revoke_key(tenant_id: int, key_id: int) -> None:
    with tenant_session(tenant_id) as session:
        session.execute(
            update(Key)
            .where(Key.tenant_id == tenant_id, Key.id == _get(session, tenant_id, key_id).id)
            .values(expires_at=datetime.now(UTC))
        )


def find_caller(secret: str, *, kind: KeyKind) -> Caller | None:
    """Whom this secret speaks for; None when it is malformed, unknown, expired, or of the other kind."""
    parsed = secrets.parse(secret)
    if parsed is None or parsed.prefix != PREFIX[kind]:
        return None
    with tenant_session(parsed.tenant_id) as session:
        row = session.execute(
            select(Key.id, Key.source_id, Key.origins).where(
                Key.tenant_id == parsed.tenant_id, Key.secret_hash == parsed.hash, Key.kind == kind, _is_valid()
            )
        ).one_or_none()
    return Caller(parsed.tenant_id, row.id, kind, row.source_id, tuple(row.origins)) if row else None


def _get(session: Session, tenant_id: int, key_id: int) -> Key:
    key = session.scalars(
        select(Key).where(Key.tenant_id == tenant_id, Key.id == key_id, _is_valid()).with_for_update()
    ).one_or_none()
    if key is None:
        raise NotFound("key")
    return key


def _is_valid() -> ColumnElement[bool]:
    return or_(Key.expires_at.is_(None), Key.expires_at > datetime.now(UTC))
