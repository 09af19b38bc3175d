"""Writes what scoring found, where it differs from what is stored."""

# ruff: noqa: S608 # statements are put together from constants of this module alone

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any

import msgspec
from sqlalchemy import any_, delete, literal, select, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session
from sqlalchemy.types import BigInteger

from assay.scoring.models import Due, Score

#: A model's id and a lead's.
Place = tuple[int, int]

# One JSON text carries thousands of rows four times faster than an array for each column.
_ROWS = """
    json_to_recordset(CAST(:rows AS json)) AS n (
        model_id bigint, lead_id bigint, version integer, total bigint, raw bigint, dimensions jsonb, stage text,
        grade text, next_change timestamptz, at timestamptz, recorded_at timestamptz)
"""
_UPSERT_SCORES = f"""
INSERT INTO scoring.scores
    (tenant_id, model_id, lead_id, version, total, raw, dimensions, stage, grade, next_change, scored_at, recorded_at)
SELECT :t, n.model_id, n.lead_id, n.version, n.total, n.raw, n.dimensions, n.stage, n.grade, n.next_change, n.at,
    n.recorded_at
FROM {_ROWS}
ON CONFLICT (tenant_id, model_id, lead_id) DO UPDATE SET
    version = excluded.version, total = excluded.total, raw = excluded.raw, dimensions = excluded.dimensions,
    stage = excluded.stage, grade = excluded.grade, next_change = excluded.next_change, scored_at = excluded.scored_at,
    recorded_at = excluded.recorded_at
"""
_INSERT_HISTORY = f"""
INSERT INTO scoring.score_history
    (tenant_id, recorded_at, model_id, lead_id, at, version, total, raw, dimensions, stage, grade)
SELECT :t, n.recorded_at, n.model_id, n.lead_id, n.at, n.version, n.total, n.raw, n.dimensions, n.stage, n.grade
FROM {_ROWS}
"""
_DELETE_SCORES = """
DELETE FROM scoring.scores s
USING json_to_recordset(CAST(:rows AS json)) AS n (model_id bigint, lead_id bigint)
WHERE s.tenant_id = :t AND s.model_id = n.model_id AND s.lead_id = n.lead_id
"""
_PLAN = """
UPDATE scoring.due d SET due_at = n.due_at
FROM json_to_recordset(CAST(:rows AS json)) AS n (lead_id bigint, due_at timestamptz)
WHERE d.tenant_id = :t AND d.lead_id = n.lead_id
"""


@dataclass(frozen=True)
class Result:
    """A lead's score under one version."""

    version: int
    total: int
    raw: int
    dimensions: dict[str, int]
    stage: str | None
    grade: str | None
    next_change: datetime | None

    @property
    def shown(self) -> tuple[object, ...]:
        """What makes a new row of history when it changes."""
        return self.version, self.total, self.raw, self.stage, self.grade


@dataclass(frozen=True)
class Since:
    """When a score became what it is, and when that was written down."""

    at: datetime
    recorded_at: datetime


@dataclass(frozen=True)
class Stored:
    """What is stored of some leads."""

    results: dict[Place, Result]
    since: dict[Place, Since]


@dataclass(frozen=True)
class Step:
    """A score at an instant between two looks."""

    at: datetime
    place: Place
    result: Result


def store(
    session: Session,
    tenant_id: int,
    stored: Stored,
    steps: Iterable[Step],
    results: dict[Place, Result],
    *,
    unknown: Collection[Place],
    at: datetime,
) -> None:
    """Scores that differ, and history where a person would see a difference.

    ``steps``, in their order, tell what came before ``results``, which are the scores ``at`` that instant. A stored
    score that was not found again goes, unless it is ``unknown`` whether it would have been.
    """
    recorded_at = datetime.now(UTC)
    latest, since, history = dict(stored.results), dict(stored.since), []
    for step in (*steps, *(Step(at, place, result) for place, result in sorted(results.items(), key=itemgetter(0)))):
        before = latest.get(step.place)
        if before is None or before.shown != step.result.shown:
            since[step.place] = Since(step.at, recorded_at)
            history.append(_row(step.place, step.result, since[step.place]))
        latest[step.place] = step.result
    changed = sorted(
        place
        for place, result in results.items()
        if stored.results.get(place) != result or stored.since.get(place) != since[place]
    )
    if changed:
        rows = [_row(place, results[place], since[place]) for place in changed]
        session.execute(text(_UPSERT_SCORES), {"t": tenant_id, "rows": _json(rows)})
    if history:
        session.execute(text(_INSERT_HISTORY), {"t": tenant_id, "rows": _json(history)})
    gone = sorted(stored.results.keys() - results.keys() - set(unknown))
    if gone:
        rows = [{"model_id": model_id, "lead_id": lead_id} for model_id, lead_id in gone]
        session.execute(text(_DELETE_SCORES), {"t": tenant_id, "rows": _json(rows)})


def plan(session: Session, tenant_id: int, lead_ids: Sequence[int], due: dict[int, datetime]) -> None:
    """When each of these leads has to be scored next; not at all when ``due`` does not name it."""
    done = [lead_id for lead_id in lead_ids if lead_id not in due]
    if done:
        session.execute(delete(Due).where(Due.tenant_id == tenant_id, Due.lead_id == _any(done)))
    if due:
        rows = [{"lead_id": lead_id, "due_at": due_at} for lead_id, due_at in due.items()]
        session.execute(text(_PLAN), {"t": tenant_id, "rows": _json(rows)})


def read_stored(session: Session, tenant_id: int, lead_ids: Sequence[int]) -> Stored:
    rows = session.execute(
        select(
            Score.model_id,
            Score.lead_id,
            Score.scored_at,
            Score.recorded_at,
            Score.version,
            Score.total,
            Score.raw,
            Score.dimensions,
            Score.stage,
            Score.grade,
            Score.next_change,
        ).where(Score.tenant_id == tenant_id, Score.lead_id == _any(lead_ids))
    )
    stored = Stored({}, {})
    for model_id, lead_id, scored_at, recorded_at, *columns in rows:
        stored.results[model_id, lead_id] = Result(*columns)
        stored.since[model_id, lead_id] = Since(scored_at, recorded_at)
    return stored


def _row(place: Place, result: Result, since: Since) -> dict[str, object]:
    model_id, lead_id = place
    return {"model_id": model_id, "lead_id": lead_id, **vars(since), **vars(result)}


def _json(rows: list[dict[str, object]]) -> str:
    return msgspec.json.encode(rows).decode()


def _any(lead_ids: Collection[int]) -> Any:
    return any_(literal(list(lead_ids), ARRAY(BigInteger)))
