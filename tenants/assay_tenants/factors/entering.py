"""A login by a passkey alone: the device holds one factor, and has asked its owner for another."""

from sqlalchemy import select

from assay_tenants.access.errors import LogInElsewhere
from assay_tenants.access.sessions import open_session
from assay_tenants.database import directory_session
from assay_tenants.factors.passkeys import find_holder
from assay_tenants.factors.sites import Site
from assay_tenants.models import Person


def enter_by_passkey(*, answer: str, site: Site, browser: str, address: str = "", agent: str = "") -> str:
    """The token of a new session. Raises WrongFactor, LogInElsewhere or NotAMember."""
    from assay_tenants.sso import refuses_password

    holder = find_holder(answer=answer, site=site, browser=browser)
    with directory_session() as session:
        person = session.scalars(select(Person).where(Person.id == holder.person_id)).one()
        # A company that logs in through its provider does so with every proof that is not the provider's.
        elsewhere = refuses_password(session, person.id, person.email)
    if elsewhere:
        raise LogInElsewhere(elsewhere)
    return open_session(holder.person_id, proven_by=("passkey",), address=address, agent=agent)
