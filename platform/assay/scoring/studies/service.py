"""Studies of a draft, worked off in the background: what it would change, what it would have said.

A study is cut into ranges of leads. Each range is looked at in a transaction of its own, by whichever worker takes it,
and leaves a summary; whoever finishes the last range adds them up.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import adbc_driver_postgresql.dbapi as adbc  # type: ignore[import-untyped] # published without types
import structlog
from sqlalchemy import delete, func, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from assay.facts import StudyStarted, tell_after_commit
from assay.scoring import engine, language, referring
from assay.scoring.compiled import compiled_draft, compiled_version
from assay.scoring.errors import TooManyStudies
from assay.scoring.models import ModelRow, Study, StudyRange
from assay.scoring.queries import read_live_versions, read_model, read_version
from assay.scoring.studies import cutting, looking
from assay.scoring.studies.queries import read_study
from assay_tenants.database import tenant_session

log = structlog.get_logger()

Kind = Literal["preview", "replay"]

#: Of a tenant, at one time.
MOST_RUNNING = 4
#: Of a model; older ones go when a new one is started.
KEPT = 20
# A worker may still hold a range of a study that was cancelled; by then it has long let go.
_SETTLED = timedelta(minutes=10)

FAILED = "Something broke on our side while this was worked out; it has been written down. Start it again."


def start(
    tenant_id: int, name: str, kind: Kind, options: Mapping[str, Any], *, by: str, at: datetime | None = None
) -> int:
    """A study of the model's draft as it is saved now; raises InvalidModel for one that could not be published."""
    now = datetime.now(UTC)
    with tenant_session(tenant_id) as session:
        row = read_model(session, tenant_id, name, lock=True)
        draft, pins = _compile(session, tenant_id, row)
        running = select(func.count()).where(Study.tenant_id == tenant_id, Study.state == "running")
        if session.execute(running).scalar_one() >= MOST_RUNNING:
            raise TooManyStudies(MOST_RUNNING)
        _forget_old(session, tenant_id, row.id, now)
        study = Study(
            tenant_id=tenant_id,
            model_id=row.id,
            kind=kind,
            source=row.draft,
            hash=draft.hash,
            pins=pins,
            live_version=row.published_version,
            options=dict(options),
            at=at or now,
            state="running",
            started_by=by,
            created_at=now,
        )
        session.add(study)
        session.flush()
        tell_after_commit(session, StudyStarted(tenant_id))
    return study.id


def _compile(session: Session, tenant_id: int, row: ModelRow) -> tuple[engine.CompiledModel, dict[str, str]]:
    model = language.parse(row.draft)
    live = {version.name: version for version in read_live_versions(session, tenant_id)}
    problems = referring.kept_out(session, tenant_id, row.draft)
    problems += referring.find_problems(session, tenant_id, model, live)
    if problems:
        raise language.InvalidModel(problems)
    asked = sorted(language.references(model))
    draft = engine.compile_model(model, {name: compiled_version(session, tenant_id, live[name]) for name in asked})
    return draft, {name: live[name].hash for name in asked}


def _forget_old(session: Session, tenant_id: int, model_id: int, now: datetime) -> None:
    of_model = (Study.tenant_id == tenant_id, Study.model_id == model_id)
    kept = select(Study.id).where(*of_model).order_by(Study.id.desc()).limit(KEPT - 1)
    session.execute(delete(Study).where(*of_model, Study.finished_at < now - _SETTLED, Study.id.not_in(kept)))


def cancel(tenant_id: int, name: str, kind: Kind, study_id: int) -> None:
    """Ends it at once; one that has ended already stays as it is."""
    with tenant_session(tenant_id) as session:
        study = read_study(session, tenant_id, name, kind, study_id, lock=True)
        if study.state == "running":
            study.state, study.finished_at = "cancelled", datetime.now(UTC)


def drain_studies(tenant_id: int) -> int:
    """Cuts one study, or looks at one range of one; how many it took."""
    taken: list[int] = []
    try:
        with tenant_session(tenant_id) as session:
            return _take(session, tenant_id, taken)
    except (OperationalError, adbc.OperationalError):
        # The database is away, or two waited for each other: the work is still there.
        raise
    except Exception:
        if not taken:
            raise
        log.exception("study.failed", tenant_id=tenant_id, study_id=taken[0])
    _fail(tenant_id, taken[0])
    return 1


def _take(session: Session, tenant_id: int, taken: list[int]) -> int:
    uncut = cutting.lock_uncut(session, tenant_id)
    if uncut is not None:
        taken.append(uncut.id)
        cutting.cut(session, uncut, *_models(session, uncut))
        _finish(session, uncut)
        return 1
    range_ = cutting.lock_range(session, tenant_id)
    if range_ is None:
        return 0
    taken.append(range_.study_id)
    study = session.get_one(Study, (tenant_id, range_.study_id))
    looked = looking.look(session, study, range_, *_models(session, study))
    session.refresh(study, with_for_update=True)
    if study.state == "running":
        range_.summary, range_.changes = looked.summary, looked.changes
        session.flush()
        _finish(session, study)
    return 1


def _models(session: Session, study: Study) -> tuple[engine.CompiledModel, engine.CompiledModel | None]:
    draft = compiled_draft(session, study.tenant_id, study.source, study.hash, study.pins)
    if study.live_version is None:
        return draft, None
    version = read_version(session, study.tenant_id, study.model_id, study.live_version)
    return draft, compiled_version(session, study.tenant_id, version)


def _finish(session: Session, study: Study) -> None:
    """Adds the ranges up, once none is left. The study is locked, so that of two last ones one finds that out."""
    of_study = (StudyRange.tenant_id == study.tenant_id, StudyRange.study_id == study.id)
    if session.execute(select(func.count()).where(*of_study, StudyRange.summary.is_(None))).scalar_one():
        return
    found = session.scalars(select(StudyRange.summary).where(*of_study).order_by(StudyRange.position))
    summaries = [summary for summary in found if summary is not None]
    study.result = looking.add_up(session, study, summaries, *_models(session, study))
    study.state, study.finished_at = "done", datetime.now(UTC)


def _fail(tenant_id: int, study_id: int) -> None:
    with tenant_session(tenant_id) as session:
        study = session.get(Study, (tenant_id, study_id), with_for_update=True)
        if study is not None and study.state == "running":
            study.state, study.error, study.finished_at = "failed", FAILED, datetime.now(UTC)
