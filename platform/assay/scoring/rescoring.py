"""All leads scored anew under some models, in the background: begun, stopped, gone on with, and how far it is.

The leads are cut into ranges by id. Workers go through them in small steps, each a transaction that notes how far it
came: whoever is killed in the middle loses one step, and the range is free for the next.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Select, func, select, text, update
from sqlalchemy.orm import Session

from assay.facts import RescoreStarted, tell_after_commit
from assay.scoring.errors import NoSuchRescore, RescoreOver, RescoreRunning
from assay.scoring.models import ModelRow, Rescore, RescoreRange
from assay.scoring.queries import read_model
from assay_tenants import audit
from assay_tenants.database import tenant_session

RANGE = 50_000
#: Facts that a worker has in memory are not used any longer.
OLDEST = timedelta(seconds=12)
#: By then whatever was worked out of them is written.
SETTLED = timedelta(seconds=20)
PAGE = 50

State = Literal["waiting", "running", "done", "cancelled"]

_CUT = text("""
    INSERT INTO scoring.rescore_ranges (tenant_id, rescore_id, position, next_lead, last_lead, leads)
    SELECT :tenant_id, :id, part, min(id), max(id), count(*)
    FROM (
        SELECT l.id, (row_number() OVER (ORDER BY l.id) - 1) / :size AS part
        FROM profiles.leads l WHERE l.tenant_id = :tenant_id
    ) leads
    GROUP BY part
""")


@dataclass(frozen=True)
class Progress:
    """How far a rescore is."""

    id: int
    models: list[str]
    reason: str
    started_by: str
    created_at: datetime
    state: State
    leads: int
    leads_done: int
    #: Scores that came out otherwise than they were stored.
    written: int
    percent: int
    leads_per_second: float | None
    #: While it runs.
    seconds_left: int | None
    finished_at: datetime | None


def start(session: Session, tenant_id: int, model_ids: Collection[int], reason: str, by: str) -> int:
    """Part of the transaction that gives these models other versions, or none; tells the rescore's id."""
    row = Rescore(
        tenant_id=tenant_id,
        model_ids=sorted(model_ids),
        reason=reason,
        started_by=by,
        created_at=datetime.now(UTC),
    )
    session.add(row)
    session.flush()
    session.execute(_CUT, {"tenant_id": tenant_id, "id": row.id, "size": RANGE})
    tell_after_commit(session, RescoreStarted(tenant_id))
    return row.id


def start_all(tenant_id: int, *, reason: str, by: str) -> int:
    """Under every published model."""
    with tenant_session(tenant_id) as session:
        models = select(ModelRow.id).where(ModelRow.tenant_id == tenant_id, ModelRow.published_version.is_not(None))
        id_ = start(session, tenant_id, session.scalars(models).all(), reason, by)
        audit.record(session, tenant_id, "rescore.started", id_)
        return id_


def under_way(session: Session, tenant_id: int) -> bool:
    query = select(RescoreRange.position).where(RescoreRange.tenant_id == tenant_id, RescoreRange.open)
    return session.scalar(query.limit(1)) is not None


def cancel(tenant_id: int, rescore_id: int) -> Progress:
    """What is done stays; the rest keeps the scores it has until it is resumed or something happens to a lead."""
    with tenant_session(tenant_id) as session:
        row = _read(session, tenant_id, rescore_id)
        progress = _progress(session, tenant_id, row.id)
        if progress.state == "done":
            raise RescoreOver(rescore_id)
        if row.cancelled_at is None:
            row.cancelled_at = datetime.now(UTC)
            session.execute(_ranges(tenant_id, rescore_id).values(open=False))
            session.flush()
            audit.record(session, tenant_id, "rescore.stopped", rescore_id, after={"percent": progress.percent})
        return _progress(session, tenant_id, rescore_id)


def resume(tenant_id: int, rescore_id: int) -> Progress:
    with tenant_session(tenant_id) as session:
        row = _read(session, tenant_id, rescore_id)
        if row.cancelled_at is None:
            raise RescoreRunning(rescore_id)
        row.cancelled_at = None
        audit.record(session, tenant_id, "rescore.resumed", rescore_id)
        unfinished = RescoreRange.next_lead <= RescoreRange.last_lead
        session.execute(_ranges(tenant_id, rescore_id).where(unfinished).values(open=True, begun_at=None))
        session.flush()
        tell_after_commit(session, RescoreStarted(tenant_id))
        return _progress(session, tenant_id, rescore_id)


def get_rescore(tenant_id: int, rescore_id: int) -> Progress:
    with tenant_session(tenant_id) as session:
        return _progress(session, tenant_id, rescore_id)


def list_rescores(tenant_id: int, *, model: str | None = None, limit: int = PAGE) -> list[Progress]:
    """Newest first."""
    with tenant_session(tenant_id) as session:
        query = _progresses(tenant_id).order_by(Rescore.id.desc()).limit(limit)
        if model is not None:
            query = query.where(Rescore.model_ids.contains([read_model(session, tenant_id, model).id]))
        names = _names(session, tenant_id)
        return [_told(row, names) for row in session.execute(query)]


def _read(session: Session, tenant_id: int, rescore_id: int) -> Rescore:
    row = session.scalars(
        select(Rescore).where(Rescore.tenant_id == tenant_id, Rescore.id == _small(rescore_id)).with_for_update()
    ).one_or_none()
    if row is None:
        raise NoSuchRescore
    return row


def _progress(session: Session, tenant_id: int, rescore_id: int) -> Progress:
    row = session.execute(_progresses(tenant_id).where(Rescore.id == _small(rescore_id))).one_or_none()
    if row is None:
        raise NoSuchRescore
    return _told(row, _names(session, tenant_id))


def _progresses(tenant_id: int) -> Select[*tuple[Any, ...]]:
    ranges = (
        select(
            RescoreRange.rescore_id.label("id"),
            func.sum(RescoreRange.leads).label("leads"),
            func.sum(RescoreRange.leads_done).label("leads_done"),
            func.sum(RescoreRange.written).label("written"),
            func.bool_or(RescoreRange.open).label("open"),
            # A range that was stopped tells nothing of the pace: how long the others took does.
            func.sum(RescoreRange.leads_done).filter(RescoreRange.begun_at.is_not(None)).label("paced"),
            func.min(RescoreRange.begun_at).label("begun_at"),
            func.max(RescoreRange.looked_at).label("looked_at"),
        )
        .where(RescoreRange.tenant_id == tenant_id)
        .group_by(RescoreRange.rescore_id)
        .subquery()
    )
    return (
        select(Rescore, *(column for column in ranges.c if column.name != "id"))
        .outerjoin(ranges, ranges.c.id == Rescore.id)
        .where(Rescore.tenant_id == tenant_id)
    )


def _told(row: Any, names: Mapping[int, str]) -> Progress:
    rescore: Rescore = row[0]
    leads, leads_done = int(row.leads or 0), int(row.leads_done or 0)
    state: State = "done"
    if rescore.cancelled_at is not None:
        state = "cancelled"
    elif row.open:
        state = "running" if leads_done else "waiting"
    took = (row.looked_at - row.begun_at).total_seconds() if row.begun_at and row.looked_at else 0.0
    pace = int(row.paced or 0) / took if took > 0 else None
    return Progress(
        id=rescore.id,
        models=[names[model_id] for model_id in rescore.model_ids if model_id in names],
        reason=rescore.reason,
        started_by=rescore.started_by,
        created_at=rescore.created_at,
        state=state,
        leads=leads,
        leads_done=leads_done,
        written=int(row.written or 0),
        percent=100 if state == "done" else min(99, 100 * leads_done // (leads or 1)),
        leads_per_second=round(pace, 1) if pace else None,
        seconds_left=round((leads - leads_done) / pace) if pace and state == "running" else None,
        finished_at=(row.looked_at or rescore.created_at) if state == "done" else None,
    )


def _names(session: Session, tenant_id: int) -> dict[int, str]:
    rows = session.execute(select(ModelRow.id, ModelRow.name).where(ModelRow.tenant_id == tenant_id))
    return {row[0]: row[1] for row in rows}


def _ranges(tenant_id: int, rescore_id: int) -> Any:
    return update(RescoreRange).where(RescoreRange.tenant_id == tenant_id, RescoreRange.rescore_id == rescore_id)


def _small(rescore_id: int) -> int:
    return min(rescore_id, 2**63 - 1)
