"""Write keys and API keys: shown once, stored hashed, rotated without a gap, revoked at once.

A key belongs to the tenant, not to whoever made it: its scopes stay as they were chosen when that person gets another
role or leaves, so that nothing breaks unseen. The list tells who made each, and what they are now. Nobody comes by more
than they have through a key: not by making one, and not by rotating a mightier one.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from sqlalchemy import ColumnElement, and_, func, insert, or_, select
from sqlalchemy.orm import Session

from assay_tenants import cuts, secrets
from assay_tenants.audit import record
from assay_tenants.context import actor
from assay_tenants.database import tenant_session
from assay_tenants.errors import BadInput, Conflict, Forbidden, NotFound
from assay_tenants.models import Key, KeyKind, Membership, Role, Source
from assay_tenants.origins import is_among, read_origins
from assay_tenants.permissions import PERMISSIONS, Permission

PREFIX: dict[KeyKind, str] = {"write": "wk", "api": "ak"}
NAME_LENGTH = 80
MOST_KEYS = 500
LONGEST_LIFE = timedelta(days=3650)
GRACE = timedelta(days=1)
#: A door may remember for this long whom a key speaks for, as long as it asks `cuts` each time.
REMEMBERED = timedelta(minutes=1)
#: An expired key stays on the list for this long, so that somebody whose program is refused finds out why.
SHOWN_AFTERWARDS = timedelta(days=30)

#: What is usually chosen, each cut down to what its maker has.
PRESETS: Final[Mapping[str, frozenset[Permission]]] = {
    "read": frozenset(permission for permission in PERMISSIONS if permission.endswith(":read")),
    "send": frozenset[Permission]({"events:write", "leads:write"}),
    "everything": PERMISSIONS,
}


@dataclass(frozen=True)
class IssuedKey:
    """A key at the one moment when its secret can be read."""

    id: int
    kind: KeyKind
    name: str
    secret: str = field(repr=False)


@dataclass(frozen=True)
class Caller:
    """Whom a key speaks for."""

    tenant_id: int
    key_id: int
    kind: KeyKind
    source_id: int | None
    #: Pages that may use the key from a browser; none listed: any.
    origins: tuple[str, ...] = ()
    scopes: frozenset[Permission] = frozenset()
    expires_at: datetime | None = None

    def may_come_from(self, origin: str) -> bool:
        """Whether a page of this origin may use the key, the origin as its browser states it."""
        return not self.origins or is_among(origin, self.origins)


@dataclass(frozen=True)
class Ended:
    """A key that was good once."""

    how: Literal["expired", "revoked"]
    at: datetime


class BeyondOwnScopes(Forbidden):
    code = "beyond_own_scopes"

    def __init__(self, missing: Collection[Permission]) -> None:
        super().__init__(
            f"Nobody hands on more than they have, and these you have not: {', '.join(sorted(missing))}.",
            field="scopes",
        )


class KeyReplaced(Conflict):
    code = "key_replaced"

    def __init__(self) -> None:
        super().__init__("This key was already replaced; rotate the key that came in its place.")


def issue_key(
    tenant_id: int,
    *,
    kind: KeyKind,
    name: str,
    source_id: int | None = None,
    scopes: Collection[str] | None = None,
    expires_at: datetime | None = None,
    within: frozenset[Permission] = PERMISSIONS,
) -> IssuedKey:
    """A write key without ``source_id`` sends into the tenant's first source.

    ``scopes`` are an API key's; None: all that its maker has, which is ``within``. Raises BadInput, which names the
    field, and BeyondOwnScopes.
    """
    name = name.strip()
    if not 1 <= len(name) <= NAME_LENGTH or not name.isprintable():
        raise BadInput(f"A key needs a name of 1 to {NAME_LENGTH} characters that can be printed.", field="name")
    given = _scopes(kind, scopes, within)
    _check_expiry(expires_at)
    with tenant_session(tenant_id) as session:
        if kind == "write" and source_id is None:
            source_id = session.scalars(
                select(Source.id).where(Source.tenant_id == tenant_id).order_by(Source.id).limit(1)
            ).one()
        held = session.scalar(select(func.count()).select_from(Key).where(Key.tenant_id == tenant_id, _is_valid()))
        if (held or 0) >= MOST_KEYS:
            raise Conflict(f"There are {MOST_KEYS} keys, and no more are kept. Revoke one that nothing uses.")
        issued = insert_key(
            session, tenant_id, kind=kind, name=name, source_id=source_id, scopes=given, expires_at=expires_at
        )
        after = {"kind": kind, "name": name, "scopes": sorted(given), "expires_at": _told(expires_at)}
        record(session, tenant_id, "key.issued", issued.id, after=after)
        return issued


def _scopes(kind: KeyKind, scopes: Collection[str] | None, within: frozenset[Permission]) -> frozenset[Permission]:
    if kind == "write":
        if scopes:
            raise BadInput("A write key has no scopes: it may send events, and nothing else.", field="scopes")
        given: frozenset[Permission] = frozenset({"events:write"})
    else:
        known = {str(permission): permission for permission in PERMISSIONS}
        if unknown := sorted(set(scopes or ()) - known.keys()):
            raise BadInput(
                f"There is no scope {unknown[0][:NAME_LENGTH]!r}. Accepted: {', '.join(sorted(known))}.",
                field="scopes",
            )
        given = within if scopes is None else frozenset(known[scope] for scope in scopes)
        if not given:
            raise BadInput("A key that may do nothing is of no use: choose at least one scope.", field="scopes")
    if beyond := given - within:
        raise BeyondOwnScopes(beyond)
    return given if kind == "api" else frozenset()


def _check_expiry(expires_at: datetime | None) -> None:
    if expires_at is not None and not timedelta(0) < expires_at - datetime.now(UTC) <= LONGEST_LIFE:
        raise BadInput(
            f"The key must end after now and within {LONGEST_LIFE.days:,} days, or never (null).", field="expires_at"
        )


def insert_key(
    session: Session,
    tenant_id: int,
    *,
    kind: KeyKind,
    name: str,
    source_id: int | None,
    origins: Sequence[str] = (),
    scopes: Collection[Permission] = (),
    expires_at: datetime | None = None,
) -> IssuedKey:
    secret = secrets.issue_pasted(PREFIX[kind], tenant_id)
    by = actor()
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
            expires_at=expires_at,
            origins=list(origins),
            scopes=sorted(scopes),
            made_by=by.name,
            made_by_id=int(by.id) if by.kind == "person" else None,
        )
        .returning(Key.id)
    ).scalar_one()
    return IssuedKey(key_id, kind, name, secret)


def list_keys(tenant_id: int, *, kind: KeyKind | None = None) -> list[Key]:
    """Keys that open something, and for a while those that have expired by themselves; newest first."""
    lately = datetime.now(UTC) - SHOWN_AFTERWARDS
    shown = or_(_is_valid(), and_(_is_listed(), Key.expires_at > lately))
    with tenant_session(tenant_id) as session:
        query = select(Key).where(Key.tenant_id == tenant_id, shown).order_by(Key.id.desc())
        return list(session.scalars(query.where(Key.kind == kind) if kind else query))


def roles_of_makers(tenant_id: int, keys: Collection[Key]) -> dict[int, Role]:
    """By person: what those who made these keys are now; who is no longer a member is not among them."""
    people = {key.made_by_id for key in keys if key.made_by_id is not None}
    with tenant_session(tenant_id) as session:
        rows = session.execute(
            select(Membership.person_id, Membership.role).where(
                Membership.tenant_id == tenant_id, Membership.person_id.in_(people)
            )
        ).all()
    return {row.person_id: row.role for row in rows}


def rotate_key(
    tenant_id: int,
    key_id: int,
    *,
    kind: KeyKind | None = None,
    grace: timedelta = GRACE,
    within: frozenset[Permission] = PERMISSIONS,
) -> IssuedKey:
    """A new key in place of this one, which stays valid for ``grace`` so that senders can change over.

    The new one lives as long as the old one was to. Raises BeyondOwnScopes when the key may more than ``within``.
    """
    now = datetime.now(UTC)
    with tenant_session(tenant_id) as session:
        old = _get(session, tenant_id, key_id, kind)
        if old.replaced_by_id is not None:
            raise KeyReplaced
        allowed: frozenset[str] = frozenset(within)
        needed: set[str] = set(old.scopes) if old.kind == "api" else {"events:write"}
        if needed - allowed:
            raise BeyondOwnScopes([scope for scope in PERMISSIONS if scope in needed - allowed])
        new = insert_key(
            session,
            tenant_id,
            kind=old.kind,
            name=old.name,
            source_id=old.source_id,
            origins=old.origins,
            scopes=[scope for scope in PERMISSIONS if scope in old.scopes],
            expires_at=now + (old.expires_at - old.created_at) if old.expires_at else None,
        )
        old.expires_at = min(now + grace, old.expires_at or now + grace)
        old.replaced_by_id = new.id
        if grace < REMEMBERED:
            cuts.cut(session, tenant_id, handle(key_id), now + 2 * REMEMBERED)
        after = {"replaced_by": new.id, "expires_at": _told(old.expires_at)}
        record(session, tenant_id, "key.rotated", key_id, after=after)
        return new


def restrict_key(tenant_id: int, key_id: int, typed: str) -> list[str]:
    """Lets only pages of the origins in ``typed``, one a line, use a write key; any page when there are none."""
    allowed = read_origins(typed)
    with tenant_session(tenant_id) as session:
        key = _get(session, tenant_id, key_id, "write")
        before = {"origins": key.origins}
        key.origins = allowed
        record(session, tenant_id, "key.restricted", key_id, before=before, after={"origins": allowed})
    return allowed


def revoke_key(tenant_id: int, key_id: int, *, kind: KeyKind | None = None) -> None:
    """An API key is refused from the commit on, in every process; a write key within seconds."""
    now = datetime.now(UTC)
    with tenant_session(tenant_id) as session:
        key = _get(session, tenant_id, key_id, kind, ended=True)
        key.revoked_at = now
        cuts.cut(session, tenant_id, handle(key_id), now + 2 * REMEMBERED)
        record(session, tenant_id, "key.revoked", key_id, before={"kind": key.kind, "name": key.name})


def handle(key_id: int) -> str:
    """What the key is cut by."""
    return f"key:{key_id}"


def find_caller(secret: str, *, kind: KeyKind) -> Caller | None:
    """Whom this secret speaks for; None when it is malformed, unknown, expired, revoked, or of the other kind."""
    parsed = secrets.parse(secret)
    if parsed is None or parsed.prefix != PREFIX[kind]:
        return None
    with tenant_session(parsed.tenant_id) as session:
        row = session.execute(
            select(Key.id, Key.source_id, Key.origins, Key.scopes, Key.expires_at).where(
                Key.tenant_id == parsed.tenant_id, Key.secret_hash == parsed.hash, Key.kind == kind, _is_valid()
            )
        ).one_or_none()
    if row is None:
        return None
    scopes = PERMISSIONS & frozenset(row.scopes)
    return Caller(parsed.tenant_id, row.id, kind, row.source_id, tuple(row.origins), scopes, row.expires_at)


def how_it_ended(secret: str) -> Ended | None:
    """For whoever holds the secret of a key that is refused: why; None when there never was such a key."""
    parsed = secrets.parse(secret)
    if parsed is None:
        return None
    with tenant_session(parsed.tenant_id) as session:
        row = session.execute(
            select(Key.expires_at, Key.revoked_at).where(
                Key.tenant_id == parsed.tenant_id, Key.secret_hash == parsed.hash
            )
        ).one_or_none()
    if row is None:
        return None
    if row.revoked_at is not None:
        return Ended("revoked", row.revoked_at)
    return Ended("expired", row.expires_at) if row.expires_at is not None else None


def _get(session: Session, tenant_id: int, key_id: int, kind: KeyKind | None, *, ended: bool = False) -> Key:
    found = select(Key).where(Key.tenant_id == tenant_id, Key.id == key_id, _is_listed() if ended else _is_valid())
    key = session.scalars((found.where(Key.kind == kind) if kind else found).with_for_update()).one_or_none()
    if key is None:
        raise NotFound("key")
    return key


def _is_valid() -> ColumnElement[bool]:
    return and_(Key.revoked_at.is_(None), or_(Key.expires_at.is_(None), Key.expires_at > datetime.now(UTC)))


def _is_listed() -> ColumnElement[bool]:
    """Valid, or expired by itself: not revoked, and not replaced and over."""
    return or_(_is_valid(), and_(Key.revoked_at.is_(None), Key.replaced_by_id.is_(None)))


def _told(instant: datetime | None) -> str | None:
    return instant.isoformat() if instant else None
