"""A tenant chose another class: rows that are there follow it in the background, in small batches.

What is past its new class goes at once. Whoever drops partitions waits for those who move rows into a longer class.
"""

# ruff: noqa: S608 # statements are put together from constants of ours alone

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import Row, select, text, update
from sqlalchemy.orm import Session

from assay import facts
from assay.intake import partitions
from assay.intake.retention import CLASSES, FOREVER, PARENTS, Kind, RetentionMove, is_past
from assay.profiles import knowing
from assay.profiles.service import tell
from assay_tenants.database import tenant_session

ROWS = 1_000
# Bodies are copied from one partition to another.
BYTES = 4 * 1024 * 1024
# Longer than anybody goes on writing rows of the class before.
AFTERGLOW = timedelta(seconds=60)
PAUSE = timedelta(seconds=5)

_NOW = text("SELECT clock_timestamp()")
# What still waits to be understood stays until it was.
_WAITS = """EXISTS (SELECT FROM intake.waiting w
        WHERE w.tenant_id = :tenant_id AND w.message_id = m.id AND w.received_at = m.received_at)"""
_FOUND = {
    "messages": f"""
        SELECT m.id, m.received_at, m.retention, octet_length(m.body) AS size FROM intake.messages m
        WHERE m.tenant_id = :tenant_id AND {{others}} AND (m.received_at > :edge OR NOT {_WAITS})
        ORDER BY m.id LIMIT :rows
    """,
    "events": """
        SELECT m.id, m.received_at, m.retention, 0 AS size FROM profiles.events m
        WHERE m.tenant_id = :tenant_id AND {others} AND (m.received_at > :edge OR true)
        ORDER BY m.id LIMIT :rows
    """,
}
_LEFT = "SELECT EXISTS (SELECT FROM {parent} m WHERE m.tenant_id = :tenant_id AND {others})"
_PICKED = "unnest(CAST(:ids AS uuid[]), CAST(:instants AS timestamptz[])) AS picked (id, received_at)"
_THESE = "m.tenant_id = :tenant_id AND m.retention = :days AND m.id = picked.id AND m.received_at = picked.received_at"
_MOVE = f"UPDATE {{parent}} m SET retention = :into_days FROM {_PICKED} WHERE {_THESE}"
_DELETE = {
    "messages": f"DELETE FROM intake.messages m USING {_PICKED} WHERE {_THESE} AND NOT {_WAITS} RETURNING m.id, 0",
    "events": f"DELETE FROM profiles.events m USING {_PICKED} WHERE {_THESE} RETURNING m.id, m.lead_id",
}
# What is kept about them elsewhere.
_TRACES: dict[Kind, tuple[str, ...]] = {
    "messages": ("DELETE FROM intake.dead_letters d WHERE d.tenant_id = :tenant_id AND d.message_id = ANY(:ids)",),
    "events": (
        "DELETE FROM profiles.past_events p WHERE p.tenant_id = :tenant_id AND p.event_id = ANY(:ids)",
        "DELETE FROM profiles.import_events i WHERE i.tenant_id = :tenant_id AND i.event_id = ANY(:ids)",
    ),
}

log = structlog.get_logger()


@dataclass(frozen=True)
class _Batch:
    kind: Kind
    into_days: int
    now: datetime
    rows: Sequence[Row[Any]]

    @property
    def past(self) -> list[Row[Any]]:
        return [row for row in self.rows if is_past(row.received_at, self.into_days, self.now)]

    @property
    def kept(self) -> list[Row[Any]]:
        return [row for row in self.rows if not is_past(row.received_at, self.into_days, self.now)]


def drain_moves(tenant_id: int, *, alone: bool = False) -> int:
    """One batch of rows of each kind that are not in their tenant's class yet; tells how many it took.

    A batch stays small even if the tenant is ``alone``: others write to the same tables.
    """
    return sum(_drain(tenant_id, kind) for kind in PARENTS)


def _drain(tenant_id: int, kind: Kind) -> int:
    batch = _look(tenant_id, kind)
    if batch is None:
        return 0
    # Before the rows are touched: whoever has looked at a default partition is in the way of a new one.
    if not _make_room(batch):
        _look_again(tenant_id, kind, batch.now + PAUSE)
        return 0
    with tenant_session(tenant_id) as session:
        move = _lock(session, tenant_id, kind)
        # Somebody else is at it, or another class was chosen meanwhile.
        if move is None or move.into_days != batch.into_days:
            return 0
        if not batch.rows:
            _rest(session, tenant_id, move, batch.now)
            return 0
        if kind == "events":
            # A row that moves to another partition under somebody's change would make that change fail.
            knowing.learn(session, tenant_id)
        move.moved += _move(session, tenant_id, batch)
        move.deleted += _delete(session, tenant_id, batch)
    return len(batch.rows)


def _look(tenant_id: int, kind: Kind) -> _Batch | None:
    """What is to be done next; None when nothing is, or not yet."""
    with tenant_session(tenant_id) as session:
        now: datetime = session.execute(_NOW).scalar_one()
        move = session.get(RetentionMove, (tenant_id, kind))
        if move is None or move.due_at is None or move.due_at > now:
            return None
        days = move.into_days
        edge = now - timedelta(days=days) if days != FOREVER else datetime.min.replace(tzinfo=now.tzinfo)
        query = text(_FOUND[kind].format(others=_others(kind, days)))
        found = session.execute(query, {"tenant_id": tenant_id, "edge": edge, "rows": ROWS}).all()
    size = 0
    for count, row in enumerate(found):
        if size > BYTES:
            found = found[:count]
            break
        size += row.size
    return _Batch(kind, days, now, found)


def _others(kind: Kind, days: int) -> str:
    return f"m.retention IN ({', '.join(str(other) for other in CLASSES[kind] if other != days)})"


def _make_room(batch: _Batch) -> bool:
    """False while somebody is in the way of a partition that rows will need."""
    parent, width = PARENTS[batch.kind], CLASSES[batch.kind][batch.into_days]
    instants = [row.received_at for row in batch.kept]
    if not instants:
        return True
    there = [each for each in partitions.partitions() if (each.parent, each.retention) == (parent, batch.into_days)]
    missing = [at for at in instants if not any(each.first <= at < each.last for each in there)]
    starts = {partitions.starts(width, at, 1)[0]: at for at in missing}
    return all(partitions.make(parent, batch.into_days, at) in ("made", "there") for at in starts.values())


def _lock(session: Session, tenant_id: int, kind: Kind) -> RetentionMove | None:
    query = select(RetentionMove).where(RetentionMove.tenant_id == tenant_id, RetentionMove.kind == kind)
    return session.scalars(query.with_for_update(skip_locked=True)).one_or_none()


def _look_again(tenant_id: int, kind: Kind, at: datetime) -> None:
    with tenant_session(tenant_id) as session:
        session.execute(
            update(RetentionMove)
            .where(RetentionMove.tenant_id == tenant_id, RetentionMove.kind == kind, RetentionMove.due_at.is_not(None))
            .values(due_at=at)
        )


def _rest(session: Session, tenant_id: int, move: RetentionMove, now: datetime) -> None:
    """Nothing is left for now: it is over once nobody can add rows of another class any more."""
    query = text(_LEFT.format(parent=PARENTS[move.kind], others=_others(move.kind, move.into_days)))
    left = session.execute(query, {"tenant_id": tenant_id}).scalar_one()
    if left or now < move.started_at + AFTERGLOW:
        move.due_at = max(now, move.started_at) + AFTERGLOW
        return
    move.due_at, move.finished_at = None, now
    log.info(
        "retention.moved",
        tenant_id=tenant_id,
        kind=move.kind,
        into_days=move.into_days,
        moved=move.moved,
        deleted=move.deleted,
    )


def _move(session: Session, tenant_id: int, batch: _Batch) -> int:
    query = text(_MOVE.format(parent=PARENTS[batch.kind]))
    moved = 0
    for days, given in _by_class(batch.kept):
        asked = {"tenant_id": tenant_id, "days": days, "into_days": batch.into_days, **given}
        moved += session.execute(query, asked).rowcount  # type: ignore[attr-defined] # of an UPDATE it is there
    return moved


def _delete(session: Session, tenant_id: int, batch: _Batch) -> int:
    leads: set[int] = set()
    deleted = 0
    for days, given in _by_class(batch.past):
        gone = session.execute(text(_DELETE[batch.kind]), {"tenant_id": tenant_id, "days": days, **given}).all()
        ids = [id_ for id_, _ in gone]
        for trace in _TRACES[batch.kind]:
            session.execute(text(trace), {"tenant_id": tenant_id, "ids": ids})
        leads |= {lead_id for _, lead_id in gone}
        deleted += len(gone)
    if leads and batch.kind == "events":
        tell(session, tenant_id, leads)
        facts.tell_after_commit(session, facts.LeadsChanged(tenant_id))
    return deleted


def _by_class(rows: Sequence[Row[Any]]) -> list[tuple[int, dict[str, Any]]]:
    found = []
    for days in {row.retention for row in rows}:
        chosen = [row for row in rows if row.retention == days]
        found.append((days, {"ids": [row.id for row in chosen], "instants": [row.received_at for row in chosen]}))
    return found
