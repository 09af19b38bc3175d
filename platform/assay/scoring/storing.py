"""Writes what scoring found, where it differs from what is stored."""

# ruff: noqa: S608 # statements are put together from constants of this module alone

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import any_, delete, literal, select, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session
from sqlalchemy.types import BigInteger

from assay.scoring.models import Due, Score

#: A model's id and a lead's.
Place = tuple[int, int]

_ROWS = """
    unnest(CAST(:models AS bigint[]), CAST(:leads AS bigint[]), CAST(:versions AS integer[]), CAST(:totals AS bigint[]),
        CAST(:raws AS bigint[]), CAST(:dimensions AS text[]), CAST(:stages AS text[]), CAST(:grades AS text[]),
        CAST(:changes AS timestamptz[]), CAST(:instants AS timestamptz[]))
    AS n (model_id, lead_id, version, total, raw, dimensions, stage, grade, next_change, at)
"""
_UPSERT_SCORES = f"""
INSERT INTO scoring.scores
    (tenant_id, model_id, lead_id, version, total, raw, dimensions, stage, grade, next_change, scored_at)
SELECT :t, n.model_id, n.lead_id, n.version, n.total, n.raw, n.dimensions::jsonb, n.stage, n.grade, n.next_change, n.at
FROM {_ROWS}
ON CONFLICT (tenant_id, model_id, lead_id) DO UPDATE SET
    version = excluded.version, total = excluded.total, raw = excluded.raw, dimensions = excluded.dimensions,
    stage = excluded.stage, grade = excluded.grade, next_change = excluded.next_change, scored_at = excluded.scored_at
"""
_INSERT_HISTORY = f"""
INSERT INTO scoring.score_history
    (tenant_id, recorded_at, model_id, lead_id, at, version, total, raw, dimensions, stage, grade)
SELECT :t, :now, n.model_id, n.lead_id, n.at, n.version, n.total, n.raw, n.dimensions::jsonb, n.stage, n.grade
FROM {_ROWS}
"""
_DELETE_SCORES = """
DELETE FROM scoring.scores s USING unnest(CAST(:models AS bigint[]), CAST(:leads AS bigint[])) AS n (model_id, lead_id)
WHERE s.tenant_id = :t AND s.model_id = n.model_id AND s.lead_id = n.lead_id
"""
_PLAN = """
UPDATE scoring.due d SET due_at = n.due_at
FROM unnest(CAST(:leads AS bigint[]), CAST(:instants AS timestamptz[])) AS n (lead_id, due_at)
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


def store(
    session: Session,
    tenant_id: int,
    lead_ids: Sequence[int],
    results: dict[Place, Result],
    *,
    failed: Collection[int],
    at: datetime,
) -> None:
    """Scores that differ, and history where a person would see a difference.

    A stored score that was not found again goes, except under the models in ``failed``, which could not tell.
    """
    stored, since = _stored(session, tenant_id, lead_ids)
    changed = sorted(place for place, result in results.items() if stored.get(place) != result)
    seen = {place for place in changed if place not in stored or stored[place].shown != results[place].shown}
    if changed:
        rows = _columns(changed, results, [at if place in seen else since[place] for place in changed])
        session.execute(text(_UPSERT_SCORES), {"t": tenant_id, **rows})
    if seen:
        rows = _columns(sorted(seen), results, [at] * len(seen))
        session.execute(text(_INSERT_HISTORY), {"t": tenant_id, "now": datetime.now(UTC), **rows})
    gone = sorted(place for place in stored if place not in results and place[0] not in failed)
    if gone:
        models, leads = zip(*gone, strict=True)
        session.execute(text(_DELETE_SCORES), {"t": tenant_id, "models": list(models), "leads": list(leads)})


def forget(session: Session, tenant_id: int, lead_ids: Collection[int]) -> None:
    """Scores of leads that no longer exist; what became of them stays in history."""
    if lead_ids:
        session.execute(delete(Score).where(Score.tenant_id == tenant_id, Score.lead_id == _any(lead_ids)))


def plan(session: Session, tenant_id: int, lead_ids: Sequence[int], due: dict[int, datetime]) -> None:
    """When each of these leads has to be scored next; not at all when ``due`` does not name it."""
    done = [lead_id for lead_id in lead_ids if lead_id not in due]
    if done:
        session.execute(delete(Due).where(Due.tenant_id == tenant_id, Due.lead_id == _any(done)))
    if due:
        session.execute(text(_PLAN), {"t": tenant_id, "leads": list(due), "instants": list(due.values())})


def _stored(
    session: Session, tenant_id: int, lead_ids: Sequence[int]
) -> tuple[dict[Place, Result], dict[Place, datetime]]:
    rows = session.execute(
        select(
            Score.model_id,
            Score.lead_id,
            Score.scored_at,
            Score.version,
            Score.total,
            Score.raw,
            Score.dimensions,
            Score.stage,
            Score.grade,
            Score.next_change,
        ).where(Score.tenant_id == tenant_id, Score.lead_id == _any(lead_ids))
    ).all()
    return {(row[0], row[1]): Result(*tuple[Any, ...](row)[3:]) for row in rows}, {
        (row[0], row[1]): row[2] for row in rows
    }


def _columns(
    places: Sequence[Place], results: dict[Place, Result], instants: Sequence[datetime]
) -> dict[str, Sequence[Any]]:
    """One array for each column, as unnest() takes them."""
    found = [results[place] for place in places]
    return {
        "models": [model for model, _ in places],
        "leads": [lead for _, lead in places],
        "versions": [result.version for result in found],
        "totals": [result.total for result in found],
        "raws": [result.raw for result in found],
        "dimensions": [msgspec.json.encode(result.dimensions).decode() for result in found],
        "stages": [result.stage for result in found],
        "grades": [result.grade for result in found],
        "changes": [result.next_change for result in found],
        "instants": instants,
    }


def _any(lead_ids: Collection[int]) -> Any:
    return any_(literal(list(lead_ids), ARRAY(BigInteger)))
