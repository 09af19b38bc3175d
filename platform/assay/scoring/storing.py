"""Writes what became of scores: in one go, and only over what was read."""

# ruff: noqa: S608 # statements are put together from constants of this module, and ids that are integers

from collections.abc import Collection, Sequence
from typing import Any, cast

import msgspec
import polars as pl
from psycopg.errors import DeadlockDetected
from sqlalchemy import CursorResult, delete, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from assay.profiles import frames
from assay.profiles.bulk import copied
from assay.scoring.ledger import PLACE, SCORES, VALUES, Ledger
from assay.scoring.models import Due
from assay.scoring.news import tell, writing

#: From here on a COPY is faster than one JSON text.
MANY = 2_000

_TYPES = {
    **dict.fromkeys((*PLACE, "total", "raw"), "bigint"),
    "version": "integer",
    **dict.fromkeys(("dimensions", "stage", "grade", "override", "disqualified"), "text"),
    **dict.fromkeys(("next_change", "scored_at", "recorded_at", "seen", "at", "until", "due_at"), "timestamptz"),
}
_TYPES |= {f"was_{name}": _TYPES[name] for name in (*VALUES, "at")}
_VALUES = ", ".join(VALUES)
_NEW_VALUES = ", ".join(f"n.{name}::json" if name == "dimensions" else f"n.{name}" for name in VALUES)
_UPDATE = f"""
UPDATE scoring.scores s
SET ({_VALUES}, next_change, scored_at, recorded_at) = ({_NEW_VALUES}, n.next_change, n.scored_at, :now)
FROM {{rows}}
WHERE s.tenant_id = :t AND s.lead_id = n.lead_id AND s.model_id = n.model_id AND s.recorded_at = n.seen
"""
_INSERT = f"""
INSERT INTO scoring.scores (tenant_id, lead_id, model_id, {_VALUES}, next_change, scored_at, recorded_at)
SELECT :t, n.lead_id, n.model_id, {_NEW_VALUES}, n.next_change, n.scored_at, :now
FROM {{rows}} ORDER BY n.lead_id, n.model_id
ON CONFLICT (tenant_id, lead_id, model_id) DO NOTHING
"""
_DELETE = """
DELETE FROM scoring.scores s USING {rows}
WHERE s.tenant_id = :t AND s.lead_id = n.lead_id AND s.model_id = n.model_id AND s.recorded_at = n.seen
"""
_REMEMBER = f"""
INSERT INTO scoring.score_history (tenant_id, lead_id, model_id, at, replaced_at, until, recorded_at, {_VALUES})
SELECT :t, n.lead_id, n.model_id, n.at, :now, n.until, COALESCE(n.recorded_at, :now), {_NEW_VALUES}
FROM {{rows}}
"""
_WAS = ", ".join(f"n.was_{name}" for name in VALUES)
_REMEMBER_WAS = f"""
INSERT INTO scoring.score_history (tenant_id, lead_id, model_id, at, replaced_at, until, recorded_at, {_VALUES})
SELECT :t, n.lead_id, n.model_id, n.was_at, :now, n.until, n.seen,
    {_WAS.replace("n.was_dimensions", "n.was_dimensions::json")}
FROM done n WHERE n.was_at IS NOT NULL
"""
_DONE = f"n.lead_id, n.model_id, n.until, n.seen, n.was_at, {_WAS}"
_REPLACE = f"WITH done AS ({_UPDATE} RETURNING {_DONE}) {_REMEMBER_WAS}"
_END = f"WITH done AS ({_DELETE} RETURNING {_DONE}) {_REMEMBER_WAS}"
_PLAN = """
UPDATE scoring.due d SET due_at = n.due_at FROM {rows} WHERE d.tenant_id = :t AND d.lead_id = n.lead_id
"""
# In the order in which everybody locks rows of this table.
_SOONER = """
INSERT INTO scoring.due (tenant_id, lead_id, due_at) SELECT :t, n.lead_id, n.due_at FROM {rows} ORDER BY n.lead_id
ON CONFLICT (tenant_id, lead_id) DO UPDATE SET due_at = LEAST(due.due_at, excluded.due_at)
"""


class Overtaken(Exception):
    """A score was written between our look at it and our writing: no mistake, it is done again."""


def read_stored(
    tenant_id: int, lead_ids: Collection[int] | range, model_ids: Collection[int] | None = None
) -> pl.DataFrame:
    """Under all models, or under these."""
    columns = ", ".join(f"s.{name}::text" if name == "dimensions" else f"s.{name}" for name in SCORES)
    if isinstance(lead_ids, range):
        leads = f"BETWEEN {lead_ids.start} AND {lead_ids.stop - 1}"
    else:
        leads = f"= ANY (ARRAY[{','.join(str(int(lead_id)) for lead_id in lead_ids)}]::bigint[])"
    query = f"SELECT {columns} FROM scoring.scores s WHERE s.tenant_id = {int(tenant_id)} AND s.lead_id {leads}"
    if model_ids is not None:
        query += f" AND s.model_id = ANY (ARRAY[{','.join(str(int(id_)) for id_ in model_ids)}]::bigint[])"
    with frames.transaction(tenant_id) as cursor:
        return frames.select(cursor, query, SCORES)


def store(session: Session, tenant_id: int, ledger: Ledger) -> int:
    """Tells how many scores are others now; raises Overtaken when another did the same meanwhile."""
    changed, gone = ledger.changed, ledger.gone
    if changed.is_empty() and gone.is_empty():
        return 0
    now = writing(session, tenant_id)
    known = changed.filter(pl.col("seen").is_not_null())
    new = changed.filter(pl.col("seen").is_null())
    for statement, rows in ((_DELETE, gone), (_UPDATE, known), (_INSERT, new)):
        if rows.height and execute(session, tenant_id, statement, rows, now=now) != rows.height:
            raise Overtaken
    past = ledger.past
    if past.height:
        execute(session, tenant_id, _REMEMBER, past, now=now)
    tell(session, tenant_id, _with_news(new, past))
    return changed.height + gone.height


def store_where_unchanged(session: Session, tenant_id: int, ledger: Ledger) -> int:
    """Like ``store`` for scores looked at once; what another wrote meanwhile, from newer facts, stays as it is."""
    changed, gone = ledger.changed, ledger.gone
    if changed.is_empty() and gone.is_empty():
        return 0
    now = writing(session, tenant_id)
    past = ledger.past.select(
        *PLACE, "until", pl.col("at").alias("was_at"), *(pl.col(name).alias(f"was_{name}") for name in VALUES)
    )
    known = changed.filter(pl.col("seen").is_not_null()).join(past, on=PLACE, how="left")
    new = changed.filter(pl.col("seen").is_null())
    ended = gone.join(past, on=PLACE, how="left")
    for statement, rows in ((_END, ended), (_REPLACE, known), (_INSERT, new)):
        if rows.height:
            execute(session, tenant_id, statement, rows.sort(PLACE), now=now)
    tell(session, tenant_id, _with_news(new, past))
    return changed.height + gone.height


def _with_news(new: pl.DataFrame, past: pl.DataFrame) -> set[int]:
    """Leads with a value that began or ended; for others only the instant of their next change is another."""
    return {*new["lead_id"].to_list(), *past["lead_id"].to_list()}


def is_overtaken(error: Exception) -> bool:
    """Two that write the same scores may also wait for each other; then PostgreSQL chooses one."""
    return isinstance(error, Overtaken) or (
        isinstance(error, OperationalError) and isinstance(error.orig, DeadlockDetected)
    )


def plan(session: Session, tenant_id: int, lead_ids: Sequence[int], due: pl.DataFrame) -> None:
    """When each of these leads, locked by us, has to be scored next; not at all when ``due`` does not name it."""
    named = set(due["lead_id"].to_list())
    done = [lead_id for lead_id in lead_ids if lead_id not in named]
    if done:
        session.execute(delete(Due).where(Due.tenant_id == tenant_id, Due.lead_id.in_(done)))
    if due.height:
        execute(session, tenant_id, _PLAN, due)


def plan_sooner(session: Session, tenant_id: int, due: pl.DataFrame) -> None:
    """These leads have to be scored at the latest then."""
    if due.height:
        execute(session, tenant_id, _SOONER, due)


def execute(session: Session, tenant_id: int, statement: str, rows: pl.DataFrame, **more: object) -> int:
    """Runs a statement over rows, which it calls ``n``; tells how many rows it touched."""
    columns = ", ".join(f"{name} {_TYPES[name]}" for name in rows.columns)
    values: dict[str, object] = {"t": tenant_id, **more}
    if rows.height < MANY:
        source = f"json_to_recordset(CAST(:rows AS json)) AS n ({columns})"
        values["rows"] = _json(rows)
    else:
        lines = rows.write_csv(include_header=False, null_value="\\N", quote_style="non_numeric").encode()
        source = f"{copied(session, columns, [lines], form='csv')} AS n"
    found = cast("CursorResult[Any]", session.execute(text(statement.format(rows=source)), values))
    return found.rowcount


def _json(rows: pl.DataFrame) -> str:
    """One JSON text carries thousands of rows four times faster than an array for each column."""
    return msgspec.json.encode(rows.to_dicts()).decode()
