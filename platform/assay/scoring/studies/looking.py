"""One range of a study: its facts read, looked at, and told in a summary that adds up with the others'."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from io import BytesIO
from typing import Any, cast

import polars as pl
from sqlalchemy import ColumnElement, any_, between, literal, null, select, union_all
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session
from sqlalchemy.types import BigInteger

from assay.profiles.frames import Leads, read_facts
from assay.scoring import engine
from assay.scoring.jobs import wanted
from assay.scoring.models import ModelRow, Score, ScoreHistory, Study, StudyRange
from assay.scoring.studies import previewing, replaying
from assay.scoring.studies.cutting import leads_of
from assay.scoring.studies.previewing import OUTSIDE, Neighbour, place_of


@dataclass(frozen=True)
class Looked:
    summary: dict[str, Any]
    #: A compressed Arrow file.
    changes: bytes | None = None


def look(
    session: Session,
    study: Study,
    range_: StudyRange,
    draft: engine.CompiledModel,
    live: engine.CompiledModel | None,
) -> Looked:
    chosen = leads_of(session, study, range_)
    return (_preview if study.kind == "preview" else _replay)(session, study, chosen, draft, live)


def add_up(
    session: Session,
    study: Study,
    summaries: Sequence[dict[str, Any]],
    draft: engine.CompiledModel,
    live: engine.CompiledModel | None,
) -> dict[str, Any]:
    written = None if live is None else live.model
    if study.kind == "preview":
        return previewing.conclude(summaries, draft.model, written, _neighbours(session, study))
    return replaying.conclude(summaries, instants_of(study), draft.model, written, outcomes_of(study))


def instants_of(study: Study) -> list[datetime]:
    return [datetime.fromisoformat(instant) for instant in study.options["instants"]]


def outcomes_of(study: Study) -> replaying.Outcomes:
    chosen = study.options
    return replaying.Outcomes(chosen["won"], chosen["lost"], timedelta(days=chosen["days_before"]))


def unpacked(changes: bytes) -> pl.DataFrame:
    return pl.read_ipc(BytesIO(changes))


def packed(changes: pl.DataFrame) -> bytes:
    file = BytesIO()
    changes.write_ipc(file, compression="zstd")
    return file.getvalue()


def _preview(
    session: Session,
    study: Study,
    chosen: Leads,
    draft: engine.CompiledModel,
    live: engine.CompiledModel | None,
) -> Looked:
    models = [draft] if live is None else [live, draft]
    leads, events = read_facts(study.tenant_id, chosen, event_ids=False, **wanted(models))
    examined = previewing.examine(draft, live, leads, events, study.at, others=_others(session, study, chosen))
    return Looked(examined.summary, packed(examined.changes))


def _others(session: Session, study: Study, chosen: Leads) -> pl.DataFrame:
    """Which of these leads other live models score now."""
    rows = session.execute(
        select(Score.lead_id, Score.model_id).where(
            Score.tenant_id == study.tenant_id, _among(Score.lead_id, chosen), Score.model_id != study.model_id
        )
    ).all()
    return _frame(rows, {"lead_id": pl.Int64(), "model_id": pl.Int64()})


def _neighbours(session: Session, study: Study) -> list[Neighbour]:
    rows = session.execute(
        select(ModelRow.id, ModelRow.name, ModelRow.title, ModelRow.precedence)
        .where(
            ModelRow.tenant_id == study.tenant_id,
            ModelRow.id != study.model_id,
            ModelRow.published_version.is_not(None),
        )
        .order_by(ModelRow.precedence.desc(), ModelRow.id)
    )
    return [Neighbour(*row) for row in rows]


def _replay(
    session: Session,
    study: Study,
    chosen: Leads,
    draft: engine.CompiledModel,
    live: engine.CompiledModel | None,
) -> Looked:
    instants = instants_of(study)
    models = [draft] if live is None else [live, draft]
    seen = []
    for place, at in enumerate(instants):
        leads, events = read_facts(study.tenant_id, chosen, known_at=at, event_ids=False, **wanted(models))
        *before, after = engine.outcomes(models, leads, events, at, distinct=True)
        stood = leads.select(pl.lit(place, pl.Int64).alias("instant"), "lead_id").hstack(
            [after.scores.select(place_of().alias("draft")).to_series()]
        )
        lived = before[0].scores.select(place_of()).to_series() if before else pl.lit(OUTSIDE)
        seen.append(stood.with_columns(lived.alias("live")))
    places = _with_recorded(pl.concat(seen), _recorded(session, study, chosen), instants)
    endings = _endings(study, chosen)
    written = None if live is None else live.model
    return Looked(replaying.look_back(places, endings, instants, draft.model, written, outcomes_of(study)))


def _with_recorded(places: pl.DataFrame, recorded: pl.DataFrame, instants: Sequence[datetime]) -> pl.DataFrame:
    """With where each lead stood in the scores of the model as they could be read at each instant."""
    found = [
        recorded.filter(pl.col("recorded_at") <= at, pl.col("replaced_at").is_null() | (pl.col("replaced_at") > at))
        .sort("at")
        .unique("lead_id", keep="last")
        .select(pl.lit(instant, pl.Int64).alias("instant"), "lead_id", pl.col("place").alias("recorded"))
        for instant, at in enumerate(instants)
    ]
    return places.join(pl.concat(found), on=["instant", "lead_id"], how="left").with_columns(
        pl.col("recorded").fill_null(OUTSIDE)
    )


def _recorded(session: Session, study: Study, chosen: Leads) -> pl.DataFrame:
    """Every place that was written down, with when it could be read."""
    past = select(
        ScoreHistory.lead_id,
        ScoreHistory.at,
        ScoreHistory.recorded_at,
        ScoreHistory.replaced_at,
        ScoreHistory.stage,
        ScoreHistory.disqualified,
    ).where(
        ScoreHistory.tenant_id == study.tenant_id,
        ScoreHistory.model_id == study.model_id,
        _among(ScoreHistory.lead_id, chosen),
    )
    present = select(Score.lead_id, Score.scored_at, Score.recorded_at, null(), Score.stage, Score.disqualified).where(
        Score.tenant_id == study.tenant_id, Score.model_id == study.model_id, _among(Score.lead_id, chosen)
    )
    columns = {
        "lead_id": pl.Int64(),
        "at": replaying.INSTANT,
        "recorded_at": replaying.INSTANT,
        "replaced_at": replaying.INSTANT,
        "stage": pl.String(),
        "disqualified": pl.String(),
    }
    rows: Sequence[Any] = session.execute(union_all(past, present)).all()
    return _frame(rows, columns).with_columns(applies=True).with_columns(place=place_of())


def _endings(study: Study, chosen: Leads) -> pl.DataFrame:
    """Deals that were won or lost, as far as they are known today."""
    types = outcomes_of(study).types
    if not types:
        return pl.DataFrame(schema={"lead_id": pl.Int64, "outcome": pl.String, "ended_at": replaying.INSTANT})
    _, events = read_facts(study.tenant_id, chosen, traits=[], properties=[], types=sorted(set(types.values())))
    return pl.concat(
        events.filter(pl.col("type") == type_).select(
            "lead_id", pl.lit(name).alias("outcome"), pl.col("occurred_at").alias("ended_at")
        )
        for name, type_ in types.items()
    )


def _frame(rows: Sequence[Any], columns: Mapping[str, pl.DataType]) -> pl.DataFrame:
    return pl.DataFrame([tuple(row) for row in rows], schema=dict(columns), orient="row")


def _among(lead_id: Any, chosen: Leads) -> ColumnElement[bool]:
    if isinstance(chosen, range):
        return between(lead_id, chosen.start, chosen.stop - 1)
    return cast("ColumnElement[bool]", lead_id == any_(literal(list(chosen), ARRAY(BigInteger))))
