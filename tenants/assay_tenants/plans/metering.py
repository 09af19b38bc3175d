"""What was used, counted in the transaction that uses it: a batch that is rolled back and done again counts once."""

from datetime import UTC, date, datetime

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from assay_tenants.database import tenant_session
from assay_tenants.plans.models import Usage

#: Months that the page and the API show.
SHOWN = 13


def month_of(at: datetime) -> date:
    return at.astimezone(UTC).date().replace(day=1)


def count_events(session: Session, tenant_id: int, events: int) -> None:
    """Adds to this month's; for rows that were inserted, never for those that were there."""
    if not events:
        return
    month = month_of(datetime.now(UTC))
    # Those that there were don't go with the month.
    leads = (
        select(Usage.leads)
        .where(Usage.tenant_id == tenant_id, Usage.month < month)
        .order_by(Usage.month.desc())
        .limit(1)
        .scalar_subquery()
    )
    statement = insert(Usage).values(tenant_id=tenant_id, month=month, events=events, leads=func.coalesce(leads, 0))
    session.execute(
        statement.on_conflict_do_update(
            index_elements=[Usage.tenant_id, Usage.month], set_={"events": Usage.events + statement.excluded.events}
        )
    )


def note_leads(session: Session, tenant_id: int, leads: int) -> None:
    """How many there are at this moment."""
    now = datetime.now(UTC)
    values = {"leads": leads, "counted_at": now}
    statement = insert(Usage).values(tenant_id=tenant_id, month=month_of(now), **values)
    session.execute(statement.on_conflict_do_update(index_elements=[Usage.tenant_id, Usage.month], set_=values))


def note_report(session: Session, tenant_id: int, month: date, at: datetime) -> None:
    session.execute(update(Usage).where(Usage.tenant_id == tenant_id, Usage.month == month).values(reported_at=at))


def list_usage(tenant_id: int) -> list[Usage]:
    """By month, the latest first."""
    with tenant_session(tenant_id) as session:
        query = select(Usage).where(Usage.tenant_id == tenant_id).order_by(Usage.month.desc()).limit(SHOWN)
        return list(session.scalars(query))
