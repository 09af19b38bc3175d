"""Members whom the tenant's own directory brings: made, and given a role, never the owner's."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from assay_tenants import audit, cuts
from assay_tenants.access.inviters import withdraw_invitations_of
from assay_tenants.access.places import require_member_place
from assay_tenants.errors import BadInput
from assay_tenants.models import Invitation, Membership, Role

#: Never owner: who owns the account is not for another system to say. The highest first.
GRANTABLE: Final[tuple[Role, ...]] = ("admin", "editor", "viewer")


def read_role(word: str, *, field: str) -> Role:
    """A role that a provider may give; raises BadInput."""
    for role in GRANTABLE:
        if word.strip().lower() == role:
            return role
    raise BadInput(f"“{word[:60]}” is no role to be given; accepted are {', '.join(GRANTABLE)}.", field=field)


def join(
    session: Session, tenant_id: int, person_id: int, *, name: str, email: str, role: Role, active: bool, by: str
) -> None:
    """In the tenant's session: a new member, whose address the tenant's domain proves. Raises PlanLimit."""
    session.execute(delete(Invitation).where(Invitation.tenant_id == tenant_id, Invitation.email == email))
    require_member_place(session, tenant_id)
    now = datetime.now(UTC)
    session.execute(
        insert(Membership).values(
            tenant_id=tenant_id,
            person_id=person_id,
            name=name,
            email=email,
            role=role,
            created_at=now,
            verified=True,
            suspended_at=None if active else now,
        )
    )
    told: Mapping[str, object] = {"email": email, "role": role, "active": active, "by": by}
    audit.record(session, tenant_id, "member.added", person_id, after=told)


def give_role(session: Session, tenant_id: int, person_id: int, role: Role, *, by: str) -> None:
    """In the tenant's session. An owner stays one."""
    before = session.scalars(
        select(Membership.role)
        .where(Membership.tenant_id == tenant_id, Membership.person_id == person_id)
        .with_for_update()
    ).one()
    if before in ("owner", role):
        return
    session.execute(
        update(Membership).where(Membership.tenant_id == tenant_id, Membership.person_id == person_id).values(role=role)
    )
    withdraw_invitations_of(session, tenant_id, person_id, role)
    cuts.cut_member(session, tenant_id, person_id)
    audit.record(
        session, tenant_id, "member.role_changed", person_id, before={"role": before}, after={"role": role, "by": by}
    )
