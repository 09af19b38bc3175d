"""For whoever lost phone, passkeys and recovery codes: somebody who knows them takes all factors away."""

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from assay_tenants.access import people
from assay_tenants.database import directory_session
from assay_tenants.errors import Conflict, Forbidden, NotFound
from assay_tenants.factors.models import Passkey, Totp
from assay_tenants.factors.queries import lock_person, methods_of, role_in, tenants_of
from assay_tenants.factors.recovery import forget
from assay_tenants.factors.telling import tell
from assay_tenants.models import Person


def reset_member(tenant_id: int, person_id: int, *, by: int) -> str:
    """Takes a member's factors away, who is logged out, and logs in by the password alone. Returns the member's name.

    ``by`` is the person who asks: nobody resets their own, and an owner's only an owner. Whoever works for another
    company too is refused: its doors would stand open by the password as well.
    """
    with directory_session() as session:
        role = role_in(session, tenant_id, person_id)
        if by == person_id:
            raise Forbidden("Your own second factors are on the page of your account: remove or replace them there.")
        if role == "owner" and role_in(session, tenant_id, by) != "owner":
            raise Forbidden("An owner's second factors can be reset by another owner alone.")
        person = lock_person(session, person_id)
        if tenants_of(session, person_id) != [tenant_id]:
            raise Conflict(
                f"{person.name} logs in to another company with the same factors. Ask whoever operates this "
                "installation to reset them."
            )
        _reset(session, person, "An owner or admin of your company")
        return person.name


def reset_person(email: str) -> str:
    """For the operator: the last owner of a company has nobody else to ask. Returns the person's name."""
    with directory_session() as session:
        person_id = session.scalars(select(Person.id).where(Person.email == email.strip().lower())).one_or_none()
        if person_id is None:
            raise NotFound("person")
        person = lock_person(session, person_id)
        _reset(session, person, "The operator of this installation")
        return person.name


def _reset(session: Session, person: Person, who: str) -> None:
    methods = methods_of(session, person.id)
    if not methods:
        raise Conflict(f"{person.name} has no second factor: there is nothing to reset.")
    for factor in (Passkey, Totp):
        session.execute(delete(factor).where(factor.person_id == person.id))
    forget(session, person.id)
    people.end_sessions_of(session, person.id)
    tell(
        session,
        person,
        "second_factors.reset",
        f"{who} has removed all second factors from your login to Assay.",
        before={"kinds": list(methods)},
    )
