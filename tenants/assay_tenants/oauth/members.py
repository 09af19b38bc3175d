"""Whoever granted something, as they are at this moment."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from assay_tenants.models import Membership, Role


def role_of(session: Session, tenant_id: int, person_id: int) -> Role | None:
    """None for who is no member, or is suspended."""
    return session.scalars(
        select(Membership.role).where(
            Membership.tenant_id == tenant_id, Membership.person_id == person_id, Membership.suspended_at.is_(None)
        )
    ).one_or_none()
