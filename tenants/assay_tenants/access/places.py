"""How many people a tenant's plan holds: members, and those who are invited."""

from datetime import UTC, datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from assay_tenants import plans
from assay_tenants.database import tenant_session
from assay_tenants.models import Invitation, Membership


def count_places(tenant_id: int) -> int:
    with tenant_session(tenant_id) as session:
        return _taken(session, tenant_id)


def require_member_place(session: Session, tenant_id: int) -> None:
    """In the tenant's session: raises PlanLimit when the plan holds nobody more."""
    plans.require_place(session, tenant_id, "members", count=lambda: _taken(session, tenant_id))


def _taken(session: Session, tenant_id: int) -> int:
    members = session.scalars(select(func.count()).where(Membership.tenant_id == tenant_id)).one()
    invited = session.scalars(
        select(func.count()).where(Invitation.tenant_id == tenant_id, Invitation.expires_at > datetime.now(UTC))
    ).one()
    return members + invited
