"""What was good until a moment ago: keys and tokens that were revoked, grants and clients closed, members changed.

A door may remember for a minute whom a key or a token speaks for, if it asks here each time whether that was cut since.
PostgreSQL holds the cuts; Redis holds copies, so that asking costs one round trip. A mark says that a tenant's copies
are all there: it goes with them when Redis is wiped, and is made anew every half minute in any case. Without Redis each
question goes to PostgreSQL.
"""

import math
from datetime import UTC, datetime, timedelta
from threading import Lock
from time import monotonic
from typing import cast

import structlog
from redis import Redis, RedisError
from sqlalchemy import BigInteger, DateTime, Text, delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from assay_tenants.database import Base, after_commit, tenant_session

#: Tokens that were issued in a member's name live for less.
OF_MEMBERS = timedelta(hours=1)
#: How long the mark is believed. A cut that could not be told to Redis takes effect by then.
MARK_LIFETIME = timedelta(seconds=30)
#: For this long nobody asks a Redis that did not answer.
AWAY = timedelta(seconds=2)

_IS_CUT, _ASK = b"1", b"?"

log = structlog.get_logger()


class Cut(Base):
    __tablename__ = "cuts"
    __table_args__ = {"schema": "tenancy", "info": {"citus": "distributed"}}  # noqa: RUF012 # SQLAlchemy's own way

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    #: What is cut: ``key:12``, ``token:<jti>``, ``grant:7``, ``client:<id>``, ``member:<person id>``.
    handle: Mapped[str] = mapped_column(Text, primary_key=True)
    #: Afterwards it would be refused without this row as well.
    until: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class _Copies:
    """The connection to Redis, and whether it is worth asking."""

    def __init__(self) -> None:
        self.redis: Redis | None = None
        self._away_until = 0.0
        self._lock = Lock()

    def reach(self) -> Redis | None:
        return self.redis if monotonic() >= self._away_until else None

    def give_up(self, error: RedisError) -> None:
        with self._lock:
            if monotonic() >= self._away_until:
                log.warning("cuts.redis_away", error=str(error))
            self._away_until = monotonic() + AWAY.total_seconds()


_copies = _Copies()


def configure(redis: Redis | None) -> None:
    """From here on this process keeps copies there; called by each door. It should give up soon when Redis is away."""
    global _copies
    _copies = _Copies()
    _copies.redis = redis


def cut(session: Session, tenant_id: int, handle: str, until: datetime) -> None:
    """From the commit of this transaction on, ``handle`` is cut, in every process, until ``until``.

    ``until`` is the instant from which whatever the handle stands for is refused anyway: a token's expiry, or a minute
    from now where PostgreSQL is asked anew each minute.
    """
    values = {"tenant_id": tenant_id, "handle": handle, "until": until}
    statement = insert(Cut).values(values)
    session.execute(
        statement.on_conflict_do_update(
            index_elements=[Cut.tenant_id, Cut.handle],
            set_={"until": func.greatest(Cut.until, statement.excluded.until)},
        )
    )
    # A process that dies right after the commit has left word to ask PostgreSQL.
    _tell(tenant_id, handle, until, _ASK)
    after_commit(session, lambda: _tell(tenant_id, handle, until, _IS_CUT))


def cut_member(session: Session, tenant_id: int, person_id: int) -> None:
    """What a person lets programs do here is looked at again: their role changed, or they are a member no more."""
    cut(session, tenant_id, f"member:{person_id}", datetime.now(UTC) + OF_MEMBERS)


def is_cut(tenant_id: int, *handles: str) -> bool:
    """Whether any of them is."""
    return bool(which_are_cut(tenant_id, *handles))


def which_are_cut(tenant_id: int, *handles: str) -> frozenset[str]:
    """Those of ``handles`` that are cut. Raises SQLAlchemy's errors when neither Redis nor PostgreSQL can tell."""
    redis = _copies.reach()
    if redis is None:
        return _ask_database(tenant_id, handles)
    names = [_mark(tenant_id), *(_copy(tenant_id, handle) for handle in handles)]
    try:
        mark, *copies = cast("list[bytes | None]", redis.mget(names))
        if mark is None:
            return _load(redis, tenant_id) & frozenset(handles)
    except RedisError as error:
        _copies.give_up(error)
        return _ask_database(tenant_id, handles)
    if not any(copies):
        return frozenset()
    found = dict(zip(handles, copies, strict=True))
    unsure = [handle for handle, copy in found.items() if copy == _ASK]
    certain = frozenset(handle for handle, copy in found.items() if copy == _IS_CUT)
    return certain | (_ask_database(tenant_id, unsure) if unsure else frozenset())


def _load(redis: Redis, tenant_id: int) -> frozenset[str]:
    """Copies all cuts of the tenant, forgets those that are past, tells which there are."""
    now = datetime.now(UTC)
    with tenant_session(tenant_id) as session:
        session.execute(delete(Cut).where(Cut.tenant_id == tenant_id, Cut.until <= now))
        rows = session.execute(select(Cut.handle, Cut.until).where(Cut.tenant_id == tenant_id)).all()
    with redis.pipeline(transaction=False) as pipe:
        for handle, until in rows:
            # Not over what was told meanwhile, which is newer.
            pipe.set(_copy(tenant_id, handle), _IS_CUT, ex=_seconds(until), nx=True)
        pipe.set(_mark(tenant_id), 1, ex=MARK_LIFETIME)
        pipe.execute()
    return frozenset(handle for handle, _ in rows)


def _ask_database(tenant_id: int, handles: list[str] | tuple[str, ...]) -> frozenset[str]:
    question = select(Cut.handle).where(
        Cut.tenant_id == tenant_id, Cut.handle.in_(handles), Cut.until > datetime.now(UTC)
    )
    with tenant_session(tenant_id) as session:
        return frozenset(session.scalars(question))


def _tell(tenant_id: int, handle: str, until: datetime, word: bytes) -> None:
    redis = _copies.reach()
    if redis is None:
        return
    try:
        redis.set(_copy(tenant_id, handle), word, ex=_seconds(until))
    except RedisError as error:
        _copies.give_up(error)


def _seconds(until: datetime) -> int:
    return max(1, math.ceil((until - datetime.now(UTC)).total_seconds()) + 1)


def _mark(tenant_id: int) -> str:
    # In braces: what a Redis cluster keeps in one place.
    return f"assay:cuts:{{{tenant_id}}}"


def _copy(tenant_id: int, handle: str) -> str:
    return f"assay:cuts:{{{tenant_id}}}:{handle}"
