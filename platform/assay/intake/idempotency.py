"""Requests that carry an idempotency key: each is done once, and its answer repeated to whoever asks again.

A key is claimed before anything is done, in a transaction of its own. A claim ends with the answer, which is then
remembered for a day; with ``release``, when nothing was done; or, should its process die, by itself after a while.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import structlog
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    DateTime,
    LargeBinary,
    SmallInteger,
    Text,
    Uuid,
    delete,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Mapped, mapped_column

from assay_tenants.database import Base, tenant_session, timetable_session
from assay_tenants.errors import AssayError

LIFETIME = timedelta(hours=24)
#: Longer than any request takes; one that died in the middle can be sent again after it.
LEASE = timedelta(minutes=1)
RETRY_AFTER = timedelta(seconds=1)
LONGEST_KEY = 255
#: A longer answer is not remembered, and its request is done again.
LARGEST_ANSWER = 1_000_000
# Of one tenant, in one transaction.
_PRUNED = 5_000

_CLAIM = text("""
    INSERT INTO intake.idempotency_keys (tenant_id, key, fingerprint, claim, claimed_to, created_at)
    VALUES (:tenant_id, :key, :fingerprint, :claim, :claimed_to, :now)
    ON CONFLICT (tenant_id, key) DO UPDATE
    SET fingerprint = excluded.fingerprint, claim = excluded.claim, claimed_to = excluded.claimed_to,
        created_at = excluded.created_at, status = NULL, headers = NULL, body = NULL
    WHERE idempotency_keys.tenant_id = :tenant_id
      AND (idempotency_keys.created_at < :outlived
           OR (idempotency_keys.status IS NULL AND idempotency_keys.claimed_to < :now
               AND idempotency_keys.fingerprint = excluded.fingerprint))
    RETURNING claim
""")
_OUTLIVED = text("SELECT DISTINCT tenant_id FROM intake.idempotency_keys WHERE created_at < :outlived")
_PRUNE = text("""
    DELETE FROM intake.idempotency_keys k
    WHERE k.tenant_id = :tenant_id AND k.key = ANY(ARRAY(
        SELECT o.key FROM intake.idempotency_keys o
        WHERE o.tenant_id = :tenant_id AND o.created_at < :outlived ORDER BY o.created_at LIMIT :most))
    RETURNING k.key
""")

_DISTRIBUTED = {"schema": "intake", "info": {"citus": "distributed"}}

log = structlog.get_logger()


class StillUnderWay(AssayError):
    status = 409
    code = "idempotency_key_in_use"

    def __init__(self) -> None:
        self.after = RETRY_AFTER
        super().__init__(
            "The first request with this Idempotency-Key is still under way. Send this one again in a second; it is "
            "then answered like the first.",
            field="Idempotency-Key",
        )


class AnotherRequest(AssayError):
    status = 422
    code = "idempotency_key_reused"

    def __init__(self) -> None:
        super().__init__(
            "This Idempotency-Key came with another request in the last 24 hours: another method, path, query or body. "
            "Take a new key for a new request.",
            field="Idempotency-Key",
        )


class RememberedAnswer(Base):
    """What a key was answered with; until ``status`` is there, somebody is at it up to ``claimed_to``."""

    __tablename__ = "idempotency_keys"
    __table_args__ = _DISTRIBUTED

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    key: Mapped[str] = mapped_column(Text, primary_key=True)
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary)
    claim: Mapped[UUID] = mapped_column(Uuid)
    claimed_to: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    status: Mapped[int | None] = mapped_column(SmallInteger)
    headers: Mapped[list[list[str]] | None] = mapped_column(JSONB)
    body: Mapped[bytes | None] = mapped_column(LargeBinary)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes


@dataclass(frozen=True)
class Claim:
    """The right to do what a key stands for."""

    tenant_id: int
    key: str
    id: UUID

    def remember(self, answer: Answer) -> None:
        """From now on the key is answered like this; what can't be remembered is done again after the lease."""
        if len(answer.body) > LARGEST_ANSWER:
            log.warning("idempotency.answer_too_large", tenant_id=self.tenant_id, size=len(answer.body))
            return
        try:
            with tenant_session(self.tenant_id) as session:
                session.execute(
                    update(RememberedAnswer)
                    .where(*self._mine())
                    .values(status=answer.status, headers=[list(each) for each in answer.headers], body=answer.body)
                )
        except SQLAlchemyError as error:
            # What was asked for is done: its answer must go out all the same.
            log.warning("idempotency.not_remembered", tenant_id=self.tenant_id, error=str(error))

    def release(self) -> None:
        """Nothing was done: whoever sends the key next begins anew."""
        try:
            with tenant_session(self.tenant_id) as session:
                session.execute(delete(RememberedAnswer).where(*self._mine()))
        except SQLAlchemyError as error:
            log.warning("idempotency.not_released", tenant_id=self.tenant_id, error=str(error))

    def _mine(self) -> tuple[ColumnElement[bool], ...]:
        row = RememberedAnswer
        return row.tenant_id == self.tenant_id, row.key == self.key, row.claim == self.id, row.status.is_(None)


def claim(tenant_id: int, key: str, fingerprint: bytes, *, lease: timedelta = LEASE) -> Claim | Answer:
    """The right to do it, or the answer that the same request was given before.

    Raises:
        StillUnderWay: somebody else is doing it.
        AnotherRequest: the key stands for a request with another fingerprint.
    """
    now = datetime.now(UTC)
    outlived = now - LIFETIME
    mine = Claim(tenant_id, key, uuid4())
    with tenant_session(tenant_id) as session:
        # Lost in a crash of the server, it is lost together with all that would have been done under it.
        session.execute(text("SET LOCAL synchronous_commit = off"))
        claimed = session.execute(
            _CLAIM,
            {
                "tenant_id": tenant_id,
                "key": key,
                "fingerprint": fingerprint,
                "claim": mine.id,
                "claimed_to": now + lease,
                "now": now,
                "outlived": outlived,
            },
        ).scalar_one_or_none()
        if claimed is not None:
            return mine
        found = session.scalars(
            select(RememberedAnswer).where(RememberedAnswer.tenant_id == tenant_id, RememberedAnswer.key == key)
        ).one_or_none()
    # It may just have been released.
    if found is None:
        raise StillUnderWay
    if found.fingerprint != fingerprint:
        raise AnotherRequest
    if found.status is None:
        raise StillUnderWay
    return Answer(found.status, [(name, value) for name, value in found.headers or ()], found.body or b"")


def prune() -> int:
    """Forgets keys that are older than a day; tells how many."""
    outlived = datetime.now(UTC) - LIFETIME
    with timetable_session() as session:
        tenants = session.scalars(_OUTLIVED, {"outlived": outlived}).all()
    return sum(_prune(tenant_id, outlived) for tenant_id in tenants)


def _prune(tenant_id: int, outlived: datetime) -> int:
    forgotten = 0
    while True:
        with tenant_session(tenant_id) as session:
            question = {"tenant_id": tenant_id, "outlived": outlived, "most": _PRUNED}
            gone = len(session.scalars(_PRUNE, question).all())
        forgotten += gone
        if gone < _PRUNED:
            return forgotten
