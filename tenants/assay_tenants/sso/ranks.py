"""Whoever chooses the provider chooses who may come in as whom: as an owner, only what an owner chose."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from assay_tenants.sso.enforcing import domain_of
from assay_tenants.sso.errors import OwnersProvider
from assay_tenants.sso.models import Domain, Provider


def check_new_owner(session: Session, tenant_id: int, email: str) -> None:
    """Before somebody with this address becomes an owner. In the tenant's session; raises OwnersProvider."""
    by_owner = session.scalars(select(Provider.by_owner).where(Provider.tenant_id == tenant_id)).one_or_none()
    if by_owner is not False:
        return
    spoken_for = session.scalars(
        select(Domain.domain).where(
            Domain.tenant_id == tenant_id, Domain.domain == domain_of(email), Domain.verified_at.is_not(None)
        )
    ).one_or_none()
    if spoken_for is not None:
        raise OwnersProvider(email)
