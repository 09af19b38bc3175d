"""Which plan a tenant is on."""

from datetime import UTC, datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from assay_tenants import audit
from assay_tenants.database import tenant_session
from assay_tenants.errors import BadInput
from assay_tenants.models import Tenant
from assay_tenants.plans.catalogue import UNLIMITED, Plan, find_plan, plans

#: What a tenant gets that signs up.
_at_sign_up = UNLIMITED


def configure_sign_up(name: str) -> None:
    """Raises BadInput when there is no such plan."""
    global _at_sign_up
    _at_sign_up = _get(name).name


def begin(session: Session, tenant_id: int) -> None:
    """Puts a new tenant on the plan of those who sign up."""
    plan = _get(_at_sign_up)
    now = datetime.now(UTC)
    session.execute(update(Tenant).where(Tenant.id == tenant_id).values(**_values(plan, now)))


def change_plan(tenant_id: int, name: str, *, chosen_by_owner: bool = False, renews_trial: bool = True) -> Plan:
    """Raises BadInput when there is no such plan, or it is not for owners to choose.

    ``renews_trial``: a tenant that is on this trial begins it anew; not so for a word that may come twice.
    """
    plan = _get(name)
    if chosen_by_owner and not plan.offered:
        raise BadInput(f"The plan {plan.title} can't be chosen here; ask whoever runs this Assay.", field="plan")
    with tenant_session(tenant_id) as session:
        before = session.execute(
            select(Tenant.plan, Tenant.trial_ends_at).where(Tenant.id == tenant_id).with_for_update()
        ).one()
        if before.plan == plan.name and (before.trial_ends_at is None or (plan.trial and not renews_trial)):
            return plan
        session.execute(update(Tenant).where(Tenant.id == tenant_id).values(**_values(plan, datetime.now(UTC))))
        audit.record(session, tenant_id, "plan.changed", before={"plan": before.plan}, after={"plan": plan.name})
    return plan


def _values(plan: Plan, now: datetime) -> dict[str, object]:
    return {"plan": plan.name, "plan_since": now, "trial_ends_at": now + plan.trial if plan.trial else None}


def _get(name: str) -> Plan:
    plan = find_plan(name)
    if plan is None:
        raise BadInput(
            f"There is no plan {name!r}; there are {', '.join(plan.name for plan in plans())}.", field="plan"
        )
    return plan
