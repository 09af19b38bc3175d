"""What comes with a first factor, and keeps the last one."""

from sqlalchemy.orm import Session

from assay_tenants.access import people
from assay_tenants.errors import Conflict, Forbidden
from assay_tenants.factors import recovery
from assay_tenants.factors.queries import methods_of
from assay_tenants.factors.rules import companies_that_ask
from assay_tenants.models import Person
from assay_tenants.secrets import digest


def refuse_unverified(person: Person) -> None:
    """Whoever signed up with somebody else's address could lock its owner out, or stay in by a passkey."""
    if person.email_verified_at is None:
        raise Forbidden(
            "First verify your e-mail address: a second factor is for an address that is known to be yours."
        )


def welcome(session: Session, person: Person, token: str) -> tuple[str, ...]:
    """Before a factor is kept. With a first one come recovery codes, and all sessions but ``token``'s end: they were
    opened without."""
    if methods_of(session, person.id):
        return ()
    people.end_sessions_of(session, person.id, but=digest(token))
    return recovery.make(session, person.id)


def part(session: Session, person: Person) -> None:
    """After a factor was removed. Recovery codes go with the last one, as there is nothing they could stand in for."""
    if methods_of(session, person.id):
        return
    if names := companies_that_ask(session, person.id):
        raise Conflict(f"{names[0]} asks you for a second factor: add another one first, then remove this one.")
    recovery.forget(session, person.id)
