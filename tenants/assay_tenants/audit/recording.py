"""Writes entries: last of all in the transaction that makes the change, one tenant's entries one after the other.

An entry takes its number, its instant and its seal when the transaction is about to commit, under a lock of the tenant
that is held for no longer than the commit takes. Since nothing is locked after it, it can't be part of a deadlock.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import BigInteger, bindparam, event, text
from sqlalchemy.orm import Session, SessionTransaction

from assay_tenants.audit.bounding import short, written
from assay_tenants.audit.sealing import NOTHING, Sealed, seal
from assay_tenants.context import actor, arrival
from assay_tenants.database import enter_tenant

log = structlog.get_logger()

_WAITING = "audit"
_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended('assay.audit', :tenant_id))")
_LAST = text("""
    SELECT l.id, l.hash, greatest(l.at, clock_timestamp()) AS at
    FROM (SELECT 1) AS one
    LEFT JOIN LATERAL (
        SELECT a.id, a.hash, a.at FROM tenancy.audit_log a WHERE a.tenant_id = :tenant_id ORDER BY a.id DESC LIMIT 1
    ) l ON true
""")
_COLUMNS = (*Sealed._fields, "hash")
_VALUES = [f"CAST(:{name} AS json)" if name in ("before", "after") else f":{name}" for name in _COLUMNS]
_INSERT = text(
    f"INSERT INTO tenancy.audit_log ({', '.join(_COLUMNS)})"  # noqa: S608 # names of our own
    f" VALUES ({', '.join(_VALUES)})"
).bindparams(bindparam("tenant_id", type_=BigInteger))


@dataclass(frozen=True)
class _Entry:
    """What is known before the commit."""

    tenant_id: int
    told: dict[str, str | None]
    #: The savepoint in which it was done: rolled back, it was not.
    within: SessionTransaction | None


def record(
    session: Session,
    tenant_id: int,
    action: str,
    subject: object = "",
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Writes down, in the transaction that makes the change, what whoever acts has done.

    ``action`` is a dotted word of the past such as ``model.published``; ``subject`` says which model. ``before`` and
    ``after`` are plain JSON values of what changed: never a secret, and of a lead its id alone. Any session will do,
    the directory's too; without the entry the transaction does not commit.
    """
    by, came = actor(), arrival()
    told = {
        "actor_kind": by.kind,
        "actor_id": short(by.id),
        "actor_name": short(by.name),
        "address": short(by.address or came.address),
        "door": short(came.door),
        "request_id": short(came.request_id),
        "action": short(action),
        "subject": short(subject),
        "before": written(before),
        "after": written(after),
    }
    waiting: list[_Entry] | None = session.info.get(_WAITING)
    if waiting is None:
        waiting = session.info[_WAITING] = []
        event.listen(session, "before_commit", _write)
        event.listen(session, "after_soft_rollback", _forget)
    waiting.append(_Entry(tenant_id, told, session.get_nested_transaction()))


def _forget(session: Session, ended: SessionTransaction) -> None:
    """What was done within a savepoint, or at all, was not done."""
    waiting: list[_Entry] = session.info[_WAITING]
    waiting[:] = [entry for entry in waiting if ended.nested and not _is_within(entry.within, ended)]


def _is_within(savepoint: SessionTransaction | None, outer: SessionTransaction) -> bool:
    while savepoint is not None:
        if savepoint is outer:
            return True
        savepoint = savepoint.parent
    return False


def _write(session: Session) -> None:
    waiting: list[_Entry] = session.info[_WAITING]
    if not waiting or session.in_nested_transaction():
        return
    session.flush()
    entries, waiting[:] = list(waiting), []
    # In one order: two transactions that write for the same two tenants must not wait for each other.
    for tenant_id in sorted({entry.tenant_id for entry in entries}):
        enter_tenant(session, tenant_id)
        lock(session, tenant_id)
        _append(session, tenant_id, [entry.told for entry in entries if entry.tenant_id == tenant_id])


def lock(session: Session, tenant_id: int) -> None:
    """Nobody else adds to the tenant's log until this transaction ends."""
    session.execute(_LOCK, {"tenant_id": tenant_id})


def _append(session: Session, tenant_id: int, told: list[dict[str, str | None]]) -> None:
    # A statement of its own: it must see what was committed while we waited for the lock.
    last_id, previous, at = session.execute(_LAST, {"tenant_id": tenant_id}).one()
    rows = []
    for number, each in enumerate(told, start=(last_id or 0) + 1):
        entry = Sealed(tenant_id=tenant_id, id=number, at=at, **each)  # type: ignore[arg-type] # before and after alone may be None
        previous = seal(entry, previous or NOTHING)
        rows.append({**entry._asdict(), "hash": previous})
    session.execute(_INSERT, rows)
    for row in rows:
        # Kept elsewhere, the hash tells even of a log that was written anew as a whole.
        log.info("audit", tenant_id=tenant_id, entry=row["id"], action=row["action"], hash=row["hash"].hex())
