"""What tenants use, looked at every few minutes: leads are counted, owners and the provider of payments are told."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from assay import billing
from assay.profiles.models import Lead
from assay_tenants import mailing, plans
from assay_tenants.database import tenant_session, timetable_session
from assay_tenants.models import Membership, Tenant
from assay_tenants.plans.models import UsageNotice
from assay_tenants.plans.standing import Standing, read_standing

#: Of what a plan includes, in hundredths: at each, owners are told once a month.
TOLD_AT = (80, 100)
TRIAL_NEAR_ITS_END = timedelta(days=3)

_STOPS = {
    "events": "no more events are accepted this month",
    "leads": "files and the API bring no more people",
}

log = structlog.get_logger()


@dataclass(frozen=True)
class Notice:
    """Something that owners ought to know."""

    key: str
    subject: str
    sentence: str


def measure() -> int:
    """Looks at every tenant, each in a transaction of its own; tells how many there were."""
    tenant_ids = list_tenants()
    for tenant_id in tenant_ids:
        try:
            measure_one(tenant_id, datetime.now(UTC))
        except SQLAlchemyError:
            log.exception("usage.not_measured", tenant_id=tenant_id)
    return len(tenant_ids)


def list_tenants() -> list[int]:
    with timetable_session() as session:
        return list(session.scalars(select(Tenant.id).order_by(Tenant.id)))


def measure_one(tenant_id: int, at: datetime) -> list[Notice]:
    """Gives what the owners are told of now."""
    with tenant_session(tenant_id) as session:
        leads = session.scalars(select(func.count()).select_from(Lead).where(Lead.tenant_id == tenant_id)).one()
        plans.note_leads(session, tenant_id, leads)
        standing = read_standing(session, tenant_id)
        told = [notice for notice in notices(standing) if _is_new(session, tenant_id, notice, at)]
        for notice in told:
            _tell(session, tenant_id, notice)
    billing.report(tenant_id, at)
    return told


def notices(standing: Standing) -> list[Notice]:
    """All that there is to say of how a tenant stands, whether it was said before or not."""
    found = []
    plan = standing.plan
    for what, used, included, most in (
        ("events", standing.events, plan.events_per_month, plan.events_at_most),
        ("leads", standing.leads, plan.leads, plan.leads_at_most),
    ):
        reached = _reached(used, included, most)
        if reached is not None and included:
            found.append(_used(what, used, included, most, reached, standing))
    ends_at = standing.trial_ends_at
    if ends_at is not None and standing.trial_is_over:
        sentence = f"The trial ended on {ends_at:%d %B %Y}. What you have stays; nothing new is accepted."
        found.append(Notice(f"trial {ends_at:%Y-%m-%d} over", "Your trial is over", sentence))
    elif ends_at is not None and ends_at - standing.at <= TRIAL_NEAR_ITS_END:
        sentence = f"The trial ends on {ends_at:%d %B %Y at %H:%M} UTC. From then on nothing new is accepted."
        found.append(Notice(f"trial {ends_at:%Y-%m-%d} ends", "Your trial ends soon", sentence))
    return found


def _reached(used: int, included: int | None, most: int | None) -> str | None:
    """The highest mark that was passed, so that a jump over two of them is one mail."""
    if most is not None and used >= most:
        return "most"
    if not included:
        return None
    return next((str(mark) for mark in sorted(TOLD_AT, reverse=True) if used * 100 >= included * mark), None)


def _used(what: str, used: int, included: int, most: int | None, reached: str, standing: Standing) -> Notice:
    # On another plan the same mark is news.
    month, title = f"{standing.at:%Y-%m} {standing.plan.name}", standing.plan.title
    if reached == "most":
        stops = _STOPS[what]
        sentence = f"{used:,} {what} of the {most:,} that the plan {title} holds are used: {stops}."
        return Notice(f"{what} {month} most", f"Your plan holds no more {what}", sentence)
    sentence = f"{used:,} of the {included:,} {what} that the plan {title} includes are used."
    if most is not None:
        sentence += f" Up to {most:,} are accepted."
    return Notice(f"{what} {month} {reached}", f"{reached} % of your plan's {what} are used", sentence)


def _is_new(session: Session, tenant_id: int, notice: Notice, at: datetime) -> bool:
    inserted = session.execute(
        insert(UsageNotice)
        .values(tenant_id=tenant_id, notice=notice.key, sent_at=at)
        .on_conflict_do_nothing()
        .returning(UsageNotice.notice)
    )
    return inserted.one_or_none() is not None


def _tell(session: Session, tenant_id: int, notice: Notice) -> None:
    company = session.scalars(select(Tenant.name).where(Tenant.id == tenant_id)).one()
    owners = session.scalars(
        select(Membership.email).where(Membership.tenant_id == tenant_id, Membership.role == "owner")
    )
    for email in owners:
        text = (
            f"{notice.sentence}\n\nThis is about {company}. Plan and usage: {mailing.link_to('/settings/usage')}\n\n"
            "You get this mail because you are an owner of this account."
        )
        mailing.send(session, to=email, subject=notice.subject, text=text, tenant_id=tenant_id)
