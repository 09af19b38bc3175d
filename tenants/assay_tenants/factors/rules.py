"""Who needs a second factor: said by each company for those who work for it."""

from datetime import UTC, datetime
from typing import Final, get_args

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from assay_tenants import audit
from assay_tenants.database import enter_directory, enter_tenant, tenant_session
from assay_tenants.errors import BadInput
from assay_tenants.factors.models import LoginRule, WhoNeedsOne
from assay_tenants.models import Membership, Role, Tenant

WHO: Final[tuple[WhoNeedsOne, ...]] = get_args(WhoNeedsOne)


def needs_one(role: Role, who: WhoNeedsOne | None) -> bool:
    """Whether somebody of this role needs a second factor; a company that said nothing asks nobody."""
    return who == "everybody" or (who == "owners_and_admins" and role in ("owner", "admin"))


def rule_of(tenant_id: int) -> WhoNeedsOne:
    with tenant_session(tenant_id) as session:
        said = session.scalars(select(LoginRule.second_factor).where(LoginRule.tenant_id == tenant_id)).one_or_none()
    return said or "nobody"


def companies_that_ask(session: Session, person_id: int) -> list[str]:
    """Names of those who ask this person for a second factor. Begins in the directory and ends there."""
    rows = session.execute(
        select(Membership.tenant_id, Membership.role, Tenant.name)
        .join(Tenant, Tenant.id == Membership.tenant_id)
        .where(Membership.person_id == person_id, Membership.suspended_at.is_(None))
        .order_by(Tenant.name)
    ).all()
    asking = []
    for tenant_id, role, name in rows:
        enter_tenant(session, tenant_id)
        said = session.scalars(select(LoginRule.second_factor).where(LoginRule.tenant_id == tenant_id)).one_or_none()
        if needs_one(role, said):
            asking.append(name)
    enter_directory(session)
    return asking


def change_rule(tenant_id: int, typed: str) -> WhoNeedsOne:
    """Holds from each member's next page on; raises BadInput for a word that is none of ``WHO``."""
    who = next((word for word in WHO if word == typed), None)
    if who is None:
        raise BadInput("Choose one of the list.", field="second_factor")
    said = {"second_factor": who, "changed_at": datetime.now(UTC)}
    with tenant_session(tenant_id) as session:
        before = session.scalars(
            select(LoginRule.second_factor).where(LoginRule.tenant_id == tenant_id).with_for_update()
        ).one_or_none()
        session.execute(
            insert(LoginRule)
            .values(tenant_id=tenant_id, **said)
            .on_conflict_do_update(index_elements=[LoginRule.tenant_id], set_=said)
        )
        if (before or "nobody") != who:
            audit.record(
                session,
                tenant_id,
                "login_rule.changed",
                before={"second_factor": before or "nobody"},
                after={"second_factor": who},
            )
    return who
