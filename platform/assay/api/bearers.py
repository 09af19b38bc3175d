"""Whom a bearer speaks for, an API key or an access token, found out once a minute and checked each time.

What was found out is remembered in this process for as long as it takes `cuts` to forget; each request asks there, in
one round trip, whether it was cut since, and is looked up anew when it was.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from threading import Lock
from time import monotonic

from sqlalchemy import select

from assay_tenants import cuts, keys, secrets
from assay_tenants.context import ActorKind
from assay_tenants.database import tenant_session
from assay_tenants.errors import NotSignedIn
from assay_tenants.key_use import uses
from assay_tenants.models import Membership, Role
from assay_tenants.oauth.tokens import TokenRefused, handles_of, read_uncut
from assay_tenants.permissions import Permission, within

SIZE = 10_000
#: No key or token of ours is longer.
LONGEST = 8_192
HOW = (
    'Send an API key as "Authorization: Bearer assay_ak_…", made under Settings, API clients and keys; '
    "or an access token that your app was granted."
)
_ENDED = {"expired": "expired", "revoked": "was revoked"}


@dataclass(frozen=True)
class Caller:
    """A program that asks: with an API key, or with a token that somebody granted to an app."""

    tenant_id: int
    scopes: frozenset[Permission]
    kind: ActorKind
    #: Of the key or the app.
    id: str
    name: str
    #: Of a granted token: whose role limits it.
    person_id: int | None = None


@dataclass(frozen=True)
class Known:
    caller: Caller
    #: Any of them cut: look it up anew.
    handles: tuple[str, ...]
    ends_at: datetime | None = None
    key_id: int | None = None


class KeyRefused(NotSignedIn):
    code = "key_refused"

    def __init__(self, message: str = "") -> None:
        super().__init__(message or f"This API key is unknown, revoked or expired. {HOW}")


class WrongKindOfKey(NotSignedIn):
    code = "wrong_kind_of_key"

    def __init__(self) -> None:
        super().__init__(f"This is a write key, which may only send events. {HOW}")


class Bearers:
    """A bounded memory of those that were good."""

    def __init__(self, *, size: int = SIZE, clock: Callable[[], float] = monotonic) -> None:
        self._size = size
        self._clock = clock
        self._known: dict[bytes, tuple[float, Known]] = {}
        self._lock = Lock()

    def find(self, bearer: str) -> Caller:
        """Raises NotSignedIn, with the reason, for what is no good or not any more."""
        if len(bearer) > LONGEST:
            raise KeyRefused
        mark = sha256(bearer.encode()).digest()
        remembered = self._known.get(mark)
        is_good = remembered is not None and self._is_good(*remembered)
        known = remembered[1] if remembered is not None and is_good else self._look_up(bearer, mark)
        if known.key_id is not None:
            uses.note(known.caller.tenant_id, known.key_id)
        return known.caller

    def _is_good(self, until: float, known: Known) -> bool:
        return (
            self._clock() < until
            and (known.ends_at is None or datetime.now(UTC) < known.ends_at)
            and not cuts.is_cut(known.caller.tenant_id, *known.handles)
        )

    def _look_up(self, bearer: str, mark: bytes) -> Known:
        # Counted from before it is looked up: a cut during that must not be forgotten sooner than this.
        until = self._clock() + keys.REMEMBERED.total_seconds()
        with self._lock:
            self._known.pop(mark, None)
        known = _known_token(bearer) if bearer.count(".") == 2 else _known_key(bearer)
        with self._lock:
            while len(self._known) >= self._size:
                del self._known[next(iter(self._known))]
            self._known[mark] = (until, known)
        return known


def _known_key(secret: str) -> Known:
    found = keys.find_caller(secret, kind="api")
    if found is None:
        raise _refused_key(secret)
    caller = Caller(found.tenant_id, found.scopes, "key", str(found.key_id), f"API key {found.key_id}")
    return Known(caller, (keys.handle(found.key_id),), found.expires_at, found.key_id)


def _refused_key(secret: str) -> NotSignedIn:
    parsed = secrets.parse(secret)
    if parsed is not None and parsed.prefix == keys.PREFIX["write"]:
        return WrongKindOfKey() if keys.find_caller(secret, kind="write") else KeyRefused()
    ended = keys.how_it_ended(secret)
    if ended is None:
        return KeyRefused()
    return KeyRefused(f"This API key {_ENDED[ended.how]} on {ended.at:%Y-%m-%d at %H:%M} UTC. {HOW}")


def _known_token(token: str) -> Known:
    bearer = read_uncut(token)
    if bearer is None:
        raise TokenRefused
    handles = handles_of(bearer)
    # A member's cut says only that they changed: what they are now stands in their membership.
    if cuts.which_are_cut(bearer.tenant_id, *handles) - {f"member:{bearer.person_id}"}:
        raise TokenRefused
    scopes = bearer.scopes
    if bearer.person_id is not None:
        role = _role_now(bearer.tenant_id, bearer.person_id)
        if role is None:
            raise TokenRefused
        scopes = within(role, scopes)
    caller = Caller(bearer.tenant_id, scopes, "app", bearer.client_id, bearer.app_name, bearer.person_id)
    return Known(caller, tuple(handles), datetime.fromtimestamp(bearer.expires_at, UTC))


def _role_now(tenant_id: int, person_id: int) -> Role | None:
    """None: they are no member any more, or may not come in."""
    with tenant_session(tenant_id) as session:
        return session.scalar(
            select(Membership.role).where(
                Membership.tenant_id == tenant_id,
                Membership.person_id == person_id,
                Membership.suspended_at.is_(None),
            )
        )
