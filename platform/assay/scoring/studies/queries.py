"""The SELECTs about studies: how far they are, what they found, and each lead that changes."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl
from sqlalchemy import any_, func, literal, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session, load_only
from sqlalchemy.types import BigInteger

from assay.profiles.models import Lead
from assay.scoring.errors import NoSuchStudy
from assay.scoring.models import Study, StudyRange
from assay.scoring.queries import read_model, read_version
from assay.scoring.studies.looking import unpacked
from assay_tenants.database import LARGEST_ID, tenant_session

LATEST = 20


@dataclass(frozen=True)
class StudyReport:
    id: int
    kind: str
    #: running, done, failed or cancelled.
    state: str
    #: Leads looked at and in all; None while they are still to be counted.
    leads_done: int
    leads_total: int | None
    options: dict[str, Any]
    hash: str
    live_version: int | None
    at: datetime
    started_by: str
    created_at: datetime
    finished_at: datetime | None
    error: str | None
    #: None until it is done.
    result: dict[str, Any] | None


def read_study(session: Session, tenant_id: int, name: str, kind: str, study_id: int, *, lock: bool = False) -> Study:
    query = select(Study).where(
        Study.tenant_id == tenant_id,
        Study.model_id == read_model(session, tenant_id, name).id,
        Study.kind == kind,
        Study.id == min(study_id, LARGEST_ID),
    )
    study = session.scalars(query.with_for_update() if lock else query).one_or_none()
    if study is None:
        raise NoSuchStudy(kind)
    return study


def get_study(tenant_id: int, name: str, kind: str, study_id: int) -> StudyReport:
    with tenant_session(tenant_id) as session:
        study = read_study(session, tenant_id, name, kind, study_id)
        done, total = _progress(session, tenant_id, [study.id]).get(study.id, (0, None))
        session.expunge(study)
        return _report(study, done, total, _with_names(session, tenant_id, study.result))


def list_studies(tenant_id: int, name: str, kind: str) -> list[StudyReport]:
    """The latest ones, newest first, without their results."""
    with tenant_session(tenant_id) as session:
        model = read_model(session, tenant_id, name)
        studies = session.scalars(
            select(Study)
            .options(
                load_only(
                    Study.kind,
                    Study.state,
                    Study.options,
                    Study.hash,
                    Study.live_version,
                    Study.at,
                    Study.started_by,
                    Study.created_at,
                    Study.finished_at,
                    Study.error,
                )
            )
            .where(Study.tenant_id == tenant_id, Study.model_id == model.id, Study.kind == kind)
            .order_by(Study.id.desc())
            .limit(LATEST)
        ).all()
        progress = _progress(session, tenant_id, [study.id for study in studies])
        found = []
        for study in studies:
            done, total = progress.get(study.id, (0, None))
            found.append(_report(study, done, total, None))
        return found


def changes_of(tenant_id: int, name: str, study_id: int) -> Iterator[pl.DataFrame]:
    """Every lead that a preview found to change, range by range; raises NoSuchStudy before the first."""
    with tenant_session(tenant_id) as session:
        read_study(session, tenant_id, name, "preview", study_id)
        positions = session.scalars(
            select(StudyRange.position)
            .where(
                StudyRange.tenant_id == tenant_id,
                StudyRange.study_id == study_id,
                StudyRange.changes.is_not(None),
            )
            .order_by(StudyRange.position)
        ).all()
    return (_changes(tenant_id, study_id, position) for position in positions)


def _changes(tenant_id: int, study_id: int, position: int) -> pl.DataFrame:
    with tenant_session(tenant_id) as session:
        packed = session.scalars(
            select(StudyRange.changes).where(
                StudyRange.tenant_id == tenant_id, StudyRange.study_id == study_id, StudyRange.position == position
            )
        ).one_or_none()
    # Gone while it was being read out.
    return unpacked(packed) if packed else pl.DataFrame()


def read_documents(tenant_id: int, study_id: int) -> tuple[str | None, str]:
    """The live version's text that a study compares with, if any, and the draft's."""
    with tenant_session(tenant_id) as session:
        study = session.get_one(Study, (tenant_id, study_id))
        if study.live_version is None:
            return None, study.source
        return read_version(session, tenant_id, study.model_id, study.live_version).source, study.source


def names_of(session: Session, tenant_id: int, lead_ids: Collection[int]) -> dict[int, dict[str, str | None]]:
    """What leads are called; those that are gone are left out."""
    ids = literal(sorted(lead_ids), ARRAY(BigInteger))
    rows = session.execute(
        select(Lead.id, Lead.name, Lead.email).where(Lead.tenant_id == tenant_id, Lead.id == any_(ids))
    )
    return {id_: {"name": name, "email": email} for id_, name, email in rows}


def _with_names(session: Session, tenant_id: int, result: dict[str, Any] | None) -> dict[str, Any] | None:
    """Looked up when it is read, so that a result never holds what somebody had erased."""
    if result is None:
        return None
    lists = [result.get("movers", []), result.get("stage_movers", [])]
    lists += [stage["leads"] for stage in result.get("called", [])]
    names = names_of(session, tenant_id, {lead["lead_id"] for leads in lists for lead in leads})
    for leads in lists:
        for lead in leads:
            lead |= names.get(lead["lead_id"], {"name": None, "email": None})
    return result


def _progress(session: Session, tenant_id: int, study_ids: Collection[int]) -> dict[int, tuple[int, int]]:
    done = func.coalesce(func.sum(StudyRange.leads).filter(StudyRange.summary.is_not(None)), 0)
    rows = session.execute(
        select(StudyRange.study_id, done, func.sum(StudyRange.leads))
        .where(
            StudyRange.tenant_id == tenant_id,
            StudyRange.study_id == any_(literal(list(study_ids), ARRAY(BigInteger))),
        )
        .group_by(StudyRange.study_id)
    )
    return {study_id: (int(finished), int(total)) for study_id, finished, total in rows}


def _report(study: Study, done: int, total: int | None, result: dict[str, Any] | None) -> StudyReport:
    return StudyReport(
        id=study.id,
        kind=study.kind,
        state=study.state,
        leads_done=done,
        leads_total=0 if total is None and study.state == "done" else total,
        options=study.options,
        hash=study.hash,
        live_version=study.live_version,
        at=study.at,
        started_by=study.started_by,
        created_at=study.created_at,
        finished_at=study.finished_at,
        error=study.error,
        result=result,
    )
