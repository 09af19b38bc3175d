"""The keys that tokens are signed with: ES256; one in use, the next published ahead, old ones until their tokens died.

Verifiers see a key at least a rotation's time before the first token of it. A process remembers the keys for a minute;
one that meets an unknown key looks again at once, though not more than once a second.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Lock
from time import monotonic
from typing import Any

from joserfc.jwk import ECKey
from sqlalchemy import delete, select, text, update
from sqlalchemy.orm import Session

from assay_tenants import sealing
from assay_tenants.database import directory_session
from assay_tenants.oauth.models import KeyState, SigningKey

ALGORITHM = "ES256"
PURPOSE = "oauth-key"
IN_USE = timedelta(days=30)
#: Longer than any token lives that was signed with it, even by a process that had not heard of the change.
AFTER_USE = timedelta(hours=2)

_REMEMBERED = 60.0
_LOOK_AGAIN = 1.0
#: One process at a time makes or turns keys.
_TURNING = 4_017_203_501

sealing.register(
    sealing.SealedColumn(
        "tenancy.signing_keys", "private", purpose=PURPOSE, key=("kid",), door="directory", row=("kid",)
    )
)


@dataclass(frozen=True)
class Keys:
    current: ECKey
    #: By key id, public parts.
    known: dict[str, ECKey]

    def as_set(self) -> dict[str, list[dict[str, Any]]]:
        """As a JWKS document has them."""
        return {"keys": [dict(key.as_dict(private=False)) for key in self.known.values()]}


class _Memory:
    def __init__(self) -> None:
        self._keys: Keys | None = None
        self._read_at = 0.0
        self._lock = Lock()

    def get(self, *, older_than: float = _REMEMBERED) -> Keys:
        with self._lock:
            if self._keys is None or monotonic() - self._read_at > older_than:
                self._keys = _read_or_make()
                self._read_at = monotonic()
            return self._keys

    def forget(self) -> None:
        with self._lock:
            self._keys = None


_memory = _Memory()


def keys() -> Keys:
    """Raises SQLAlchemy's errors while the database is away, and SealingError where the key ring lost its key."""
    return _memory.get()


def find(kid: str) -> ECKey | None:
    """The public key of this id; None when no token of it can be alive."""
    found = _memory.get().known.get(kid)
    return found or _memory.get(older_than=_LOOK_AGAIN).known.get(kid)


def forget() -> None:
    """The next question goes to the database."""
    _memory.forget()


def rotate(*, now: datetime | None = None, at_once: bool = False) -> str:
    """Turns the keys when the current one was long enough in use, or ``at_once``; tells the current one's id.

    Safe to run any number of times, at once too.
    """
    now = now or datetime.now(UTC)
    with directory_session() as session:
        _alone(session)
        session.execute(delete(SigningKey).where(SigningKey.state == "retired", SigningKey.since < now - AFTER_USE))
        states = {key.state: key for key in session.scalars(select(SigningKey).where(SigningKey.state != "retired"))}
        current, following = states.get("current"), states.get("next")
        if current is None:
            current = _insert(session, "current", now)
        elif following is not None and (at_once or current.since < now - IN_USE):
            _move(session, current.kid, "retired", now)
            _move(session, following.kid, "current", now)
            current, following = following, None
        if following is None:
            _insert(session, "next", now)
        kid = current.kid
    forget()
    return kid


def _read_or_make() -> Keys:
    rows = _read()
    if not any(row.state == "current" for row in rows):
        with directory_session() as session:
            _alone(session)
            for state in ("current", "next"):
                if not session.scalars(select(SigningKey.kid).where(SigningKey.state == state)).first():
                    _insert(session, state, datetime.now(UTC))
        rows = _read()
    current = next(row for row in rows if row.state == "current")
    private = sealing.unseal(sealing.INSTALLATION, PURPOSE, current.private, row=current.kid)
    return Keys(
        current=ECKey.import_key(private, {"kid": current.kid}),
        known={row.kid: ECKey.import_key(row.public) for row in rows},
    )


def _read() -> list[SigningKey]:
    with directory_session() as session:
        return list(session.scalars(select(SigningKey).order_by(SigningKey.created_at)))


def _alone(session: Session) -> None:
    session.execute(text(f"SELECT pg_advisory_xact_lock({_TURNING})"))


def _insert(session: Session, state: KeyState, now: datetime) -> SigningKey:
    pair = ECKey.generate_key("P-256", {"use": "sig", "alg": ALGORITHM}, auto_kid=True)
    kid = pair.thumbprint()
    public = dict(pair.as_dict(private=False)) | {"kid": kid}
    row = SigningKey(
        kid=kid,
        state=state,
        public=public,
        private=sealing.seal(sealing.INSTALLATION, PURPOSE, pair.as_pem(private=True), row=kid),
        created_at=now,
        since=now,
    )
    session.add(row)
    session.flush()
    return row


def _move(session: Session, kid: str, state: KeyState, now: datetime) -> None:
    session.execute(update(SigningKey).where(SigningKey.kid == kid).values(state=state, since=now))
