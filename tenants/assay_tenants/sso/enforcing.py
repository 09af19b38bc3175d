"""Who can't log in with a password, because their company's own provider says who they are."""

from collections.abc import Collection
from datetime import timedelta
from typing import Final

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from assay_tenants.database import enter_directory, enter_tenant
from assay_tenants.models import Membership
from assay_tenants.sso.models import Domain, Provider, ScimUser

#: How a session was proven by the tenant's provider.
PROOF: Final = "sso"
#: The provider is asked again twice a day: whoever is disabled there is out by then.
SESSION_LIFETIME = timedelta(hours=12)
REFUSED = "Your company logs in with single sign-on: leave the password empty and go on to your company's own login."
ASKED = "This company is entered through its own single sign-on. Log out, and come in through its own login."
COUNTS_HERE_ALONE = (
    "You came in through your company's single sign-on, whose word counts for that company alone. To enter another "
    "one, log out, and log in there."
)


def domain_of(email: str) -> str:
    return email.strip().lower().rpartition("@")[2]


def demanding(session: Session, person_id: int, email: str) -> frozenset[int]:
    """Of the tenants this person works for, those that are entered by single sign-on alone.

    Through the directory's door: ``session`` looks across tenants.
    """
    return frozenset(
        session.scalars(
            select(Domain.tenant_id)
            .join(Provider, Provider.tenant_id == Domain.tenant_id)
            .join(Membership, Membership.tenant_id == Domain.tenant_id)
            .where(
                Domain.domain == domain_of(email),
                Domain.verified_at.is_not(None),
                Provider.enforced,
                Membership.person_id == person_id,
                or_(Provider.spare_person_id.is_(None), Provider.spare_person_id != person_id),
            )
        )
    )


def provisioning_loses(session: Session, person_id: int, former: str, new: str) -> bool:
    """Whether a company's provisioning, which keeps this person, would see them no more: nor could switch them off.

    Begins and ends in the directory.
    """
    works_for = session.scalars(select(Membership.tenant_id).where(Membership.person_id == person_id)).all()
    is_lost = False
    for tenant_id in works_for:
        enter_tenant(session, tenant_id)
        is_kept = session.scalars(
            select(ScimUser.person_id).where(ScimUser.tenant_id == tenant_id, ScimUser.person_id == person_id)
        ).one_or_none()
        theirs = session.scalars(
            select(Domain.domain).where(Domain.tenant_id == tenant_id, Domain.verified_at.is_not(None))
        ).all()
        is_lost |= is_kept is not None and domain_of(former) in theirs and domain_of(new) not in theirs
    enter_directory(session)
    return is_lost


def refuses_password(session: Session, person_id: int, email: str) -> str | None:
    """None: the password will do; else a sentence that says where to log in.

    Whoever works for another tenant too gets in there, with that tenant's own proof. Through the directory's door.
    """
    demanded = demanding(session, person_id, email)
    if not demanded:
        return None
    elsewhere: Collection[int] = session.scalars(
        select(Membership.tenant_id).where(Membership.person_id == person_id, Membership.suspended_at.is_(None))
    ).all()
    return None if set(elsewhere) - demanded else REFUSED
