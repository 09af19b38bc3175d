"""What mentions a person elsewhere: answers that are remembered for repeated requests, and studies of models."""

from typing import Any

from sqlalchemy import delete, select, update

from assay.intake.idempotency import RememberedAnswer
from assay.privacy.steps import Erasing
from assay.scoring.models import Study, StudyRange
from assay.scoring.studies.looking import packed, unpacked

ANSWERS = 500
STUDIES = 20
#: The request was done, and is not done again; what it was answered is gone.
GONE = b'{"erased":true}'


def answers(erasing: Erasing) -> None:
    """They live for a day."""
    row = RememberedAnswer
    query = select(row).where(row.tenant_id == erasing.tenant_id).order_by(row.key).limit(ANSWERS)
    if erasing.place is not None:
        query = query.where(row.key > erasing.place)
    found = erasing.session.scalars(query).all()
    names = erasing.needles.names
    for each in found:
        this = (row.tenant_id == erasing.tenant_id, row.key == each.key)
        if names(each.key):
            erasing.session.execute(delete(row).where(*this))
        elif names(each.body) or names(each.headers):
            erasing.session.execute(update(row).where(*this).values(body=GONE, headers=[]))
        else:
            continue
        erasing.count("intake.idempotency_keys", 1)
    erasing.place = found[-1].key if len(found) == ANSWERS else None


def studies(erasing: Erasing) -> None:
    """Results name leads by their ids alone; those of the person go all the same."""
    leads = set(erasing.row.lead_ids)
    query = select(Study).where(Study.tenant_id == erasing.tenant_id, Study.id > (erasing.place or 0))
    found = erasing.session.scalars(query.order_by(Study.id).limit(STUDIES)).all() if leads else []
    for study in found:
        bared = _without(study.result, leads)
        if bared != study.result:
            study.result = bared
            erasing.count("scoring.studies", 1)
        _ranges(erasing, study, leads)
    erasing.place = found[-1].id if len(found) == STUDIES else None


def _ranges(erasing: Erasing, study: Study, leads: set[int]) -> None:
    query = select(StudyRange).where(
        StudyRange.tenant_id == erasing.tenant_id,
        StudyRange.study_id == study.id,
        StudyRange.first_lead <= max(leads),
        StudyRange.last_lead >= min(leads),
    )
    for row in erasing.session.scalars(query):
        if not any(row.first_lead <= lead_id <= row.last_lead for lead_id in leads):
            continue
        if row.changes is not None:
            changes = unpacked(row.changes)
            kept = changes.filter(~changes["lead_id"].is_in(list(leads))) if "lead_id" in changes.columns else changes
            if kept.height < changes.height:
                row.changes = packed(kept)
                erasing.count("scoring.study_ranges", 1)
        if row.summary and study.state != "running":
            # It was added up; of a study that is under way it is done so once more.
            row.summary = {}


def _without(tree: Any, leads: set[int]) -> Any:
    if isinstance(tree, dict):
        return {name: _without(value, leads) for name, value in tree.items()}
    if isinstance(tree, list):
        return [
            _without(value, leads) for value in tree if not (isinstance(value, dict) and value.get("lead_id") in leads)
        ]
    return tree
