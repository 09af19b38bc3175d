"""Leads cut into ranges that one worker looks at in one go, small enough for its memory."""

from sqlalchemy import ColumnElement, Subquery, any_, exists, func, literal, select, union
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session
from sqlalchemy.types import BigInteger

from assay.profiles import frames
from assay.profiles.models import KeptEvent, Lead, PastLead
from assay.scoring import engine
from assay.scoring.models import Study, StudyRange

# At most so many leads, events and, leads times rules, cells. Smaller ranges would be read hardly faster: the events of
# a few leads lie scattered over all those of the tenant.
_MOST_LEADS = 25_000
_MOST_EVENTS = 500_000
_MOST_CELLS = 2_000_000
_FEWEST_LEADS = 50
_PROBED = 500


def lock_uncut(session: Session, tenant_id: int) -> Study | None:
    is_cut = exists().where(StudyRange.tenant_id == tenant_id, StudyRange.study_id == Study.id)
    return session.scalars(
        select(Study)
        .where(Study.tenant_id == tenant_id, Study.state == "running", ~is_cut)
        .order_by(Study.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    ).one_or_none()


def lock_range(session: Session, tenant_id: int) -> StudyRange | None:
    """Of the oldest study that still has one."""
    return session.scalars(
        select(StudyRange)
        .join(Study, (Study.tenant_id == StudyRange.tenant_id) & (Study.id == StudyRange.study_id))
        .where(
            StudyRange.tenant_id == tenant_id,
            Study.tenant_id == tenant_id,
            Study.state == "running",
            StudyRange.summary.is_(None),
        )
        .order_by(StudyRange.study_id, StudyRange.position)
        .limit(1)
        .with_for_update(skip_locked=True, of=StudyRange)
    ).one_or_none()


def cut(session: Session, study: Study, draft: engine.CompiledModel, live: engine.CompiledModel | None) -> None:
    below = _sample_ends(session, study)
    study.options = {**study.options, "below": below}
    size = _size(session, study, sum(len(model.model.rules) for model in (draft, live) if model is not None))
    leads = _leads(study)
    position = ((func.row_number().over(order_by=leads.c.id) - 1) // size).label("position")
    numbered = select(leads.c.id, position).where(*_sampled(leads.c.id, below)).subquery()
    ranges = session.execute(
        select(numbered.c.position, func.min(numbered.c.id), func.max(numbered.c.id), func.count())
        .group_by(numbered.c.position)
        .order_by(numbered.c.position)
    ).all()
    session.add_all(
        StudyRange(
            tenant_id=study.tenant_id,
            study_id=study.id,
            position=position,
            first_lead=first,
            last_lead=last,
            leads=leads,
        )
        for position, first, last, leads in ranges
    )
    session.flush()


def leads_of(session: Session, study: Study, range_: StudyRange) -> frames.Leads:
    """The leads of a range, as facts are read; whoever is gone meanwhile is found to be so there."""
    if study.options["below"] is None:
        return range(range_.first_lead, range_.last_lead + 1)
    leads = _leads(study)
    query = select(leads.c.id).where(
        *_sampled(leads.c.id, study.options["below"]), leads.c.id.between(range_.first_lead, range_.last_lead)
    )
    return list(session.scalars(query.order_by(leads.c.id)))


def _leads(study: Study) -> Subquery:
    """Those that are there; for a replay also those that were, before they were merged into others."""
    present = select(Lead.id).where(Lead.tenant_id == study.tenant_id)
    if study.kind == "preview":
        return present.subquery()
    return union(present, select(PastLead.lead_id).where(PastLead.tenant_id == study.tenant_id)).subquery()


def _size(session: Session, study: Study, rules: int) -> int:
    # A replay reads its leads at each instant, and what was known then takes three times as long to read. Meanwhile
    # others wait for the worker.
    times = 3 * len(study.options.get("instants", ())) or 1
    per_lead = _events_per_lead(session, study.tenant_id)
    return max(
        _FEWEST_LEADS,
        min(_MOST_LEADS, _MOST_EVENTS // (per_lead * times + 1), _MOST_CELLS // (rules * times + 1)),
    )


def _sample_ends(session: Session, study: Study) -> int | None:
    """The first shuffled id that is not in the sample; None: every lead is."""
    if study.options["sample"] is None:
        return None
    shuffled = _shuffled(_leads(study).c.id)
    return session.execute(select(shuffled).order_by(shuffled).offset(study.options["sample"]).limit(1)).scalar()


def _shuffled(id_: ColumnElement[int]) -> ColumnElement[int]:
    """A permutation of the ids: which leads a sample holds depends on nothing else."""
    return (id_ % 2**31) * 2654435761 % 2**32


def _sampled(id_: ColumnElement[int], below: int | None) -> list[ColumnElement[bool]]:
    return [] if below is None else [_shuffled(id_) < below]


def _events_per_lead(session: Session, tenant_id: int) -> int:
    """About how many, from some leads."""
    some = select(Lead.id).where(Lead.tenant_id == tenant_id).order_by(_shuffled(Lead.__table__.c.id)).limit(_PROBED)
    ids = list(session.scalars(some))
    events = select(func.count()).where(
        KeptEvent.tenant_id == tenant_id, KeptEvent.lead_id == any_(literal(ids, ARRAY(BigInteger)))
    )
    return int(session.execute(events).scalar_one() // max(len(ids), 1))
