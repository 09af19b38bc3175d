"""What somebody invited ends with their right to invite: else a second address of theirs would bring them back."""

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from assay_tenants import audit
from assay_tenants.models import Invitation, Role
from assay_tenants.permissions import OF_ROLES


def withdraw_invitations_of(session: Session, tenant_id: int, person_id: int, role: Role | None = None) -> int:
    """Those that this person may not give any more, now that their role is ``role``; None: they have none.

    In the tenant's session; tells how many.
    """
    may = OF_ROLES[role] if role is not None else frozenset()
    invited = session.scalars(
        select(Invitation)
        .where(Invitation.tenant_id == tenant_id, Invitation.invited_by == person_id)
        .with_for_update()
    ).all()
    over = [row for row in invited if "members:manage" not in may or not OF_ROLES[row.role] <= may]
    for row in over:
        before = {"email": row.email, "role": row.role, "by": person_id}
        session.execute(delete(Invitation).where(Invitation.tenant_id == tenant_id, Invitation.id == row.id))
        audit.record(session, tenant_id, "member.invitation_withdrawn", row.id, before=before)
    return len(over)
