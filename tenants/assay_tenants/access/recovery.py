"""A new password: chosen in place of the present one, or of a forgotten one."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from assay_tenants import audit, secrets, sso
from assay_tenants.access import letters, people
from assay_tenants.access.errors import LinkOver, LogInElsewhere, WrongCredentials
from assay_tenants.access.passwords import check_strength, hash_password, is_password
from assay_tenants.access.sessions import Visitor
from assay_tenants.access.verification import find_link, make_link, use_link
from assay_tenants.context import Actor, acting
from assay_tenants.database import directory_session
from assay_tenants.errors import BadInput
from assay_tenants.mailing import send
from assay_tenants.models import Person, ResetRequest, Tenant

RESET_PREFIX = "rl"
RESET_LIFETIME = timedelta(hours=1)


def ask_for_reset(email: str, *, address: str = "") -> None:
    """Takes the request down, in the same time whether or not anybody has this address: ``send_links`` looks."""
    email = people.read_address(email)
    with directory_session() as session:
        session.execute(insert(ResetRequest).values(email=email, address=address, created_at=datetime.now(UTC)))


def send_links() -> int:
    """Writes to those who asked for a new password and have an account; tells how many requests there were."""
    with directory_session() as session:
        asked = session.scalars(
            select(ResetRequest).order_by(ResetRequest.id).limit(100).with_for_update(skip_locked=True)
        ).all()
        if not asked:
            return 0
        for email, address in {request.email: request.address for request in asked}.items():
            person = people.find_person(session, email)
            # Whoever has no password of ours may choose one, unless their company's provider is to say who they are.
            if person is not None and sso.refuses_password(session, person.id, person.email) is None:
                key = make_link(session, person.id, "reset", person.email, prefix=RESET_PREFIX, lifetime=RESET_LIFETIME)
                letter = letters.reset(person.name, key, address)
                send(session, to=person.email, subject=letter.subject, text=letter.text)
                for tenant_id in people.tenants_of(session, person.id):
                    audit.record(session, tenant_id, "password.reset_asked", person.id)
        session.execute(delete(ResetRequest).where(ResetRequest.id.in_([request.id for request in asked])))
    return len(asked)


def find_reset(key: str) -> str | None:
    """Whose password the link is for; None when it is over."""
    sent = find_link(key, "reset", prefix=RESET_PREFIX)
    return sent.email if sent is not None else None


def reset(key: str, password: str, *, address: str = "") -> str:
    """A new password by a link from a mail; ends all sessions. Tells the address. Raises LinkOver or BadInput."""
    # Judged before the link is used up.
    email = find_reset(key)
    if email is not None:
        with directory_session() as session:
            person = people.find_person(session, email)
            about = _about(session, person) if person else ()
        check_strength(password, about=about)
    password_hash = hash_password(password) if email is not None else ""
    with directory_session() as session:
        person, sent_to = use_link(session, key, "reset", prefix=RESET_PREFIX)
        if person.email != sent_to:
            # Whoever reads mail at a former address has no say any more.
            raise LinkOver
        if elsewhere := sso.refuses_password(session, person.id, person.email):
            raise LogInElsewhere(elsewhere, field="password")
        if person.email_verified_at is None:
            people.mark_verified(session, person, datetime.now(UTC))
        with acting(Actor("person", str(person.id), person.name)):
            _change(session, person, password_hash, address, action="password.reset")
        people.end_sessions_of(session, person.id)
    return sent_to


def change_password(visitor: Visitor, token: str, *, present: str, password: str, address: str = "") -> None:
    """In place of the present one; ends all other sessions."""
    parsed = secrets.parse(token)
    with directory_session() as session:
        person = session.scalars(select(Person).where(Person.id == visitor.person_id)).one()
        about = _about(session, person)
    if person.password_hash is None:
        raise BadInput("You log in through your company, without a password of ours.", field="present")
    if not is_password(present, person.password_hash):
        raise WrongCredentials("This is not your present password.", field="present")
    check_strength(password, about=about)
    if password == present:
        raise BadInput("This is your present password; choose another.", field="password")
    password_hash = hash_password(password)
    with directory_session() as session:
        person = session.scalars(select(Person).where(Person.id == visitor.person_id).with_for_update()).one()
        _change(session, person, password_hash, address, action="password.changed")
        people.end_sessions_of(session, person.id, but=parsed.hash if parsed else None)


def confirm_password(visitor: Visitor, password: str) -> None:
    """Raises WrongCredentials unless it is the visitor's."""
    with directory_session() as session:
        person = session.scalars(select(Person).where(Person.id == visitor.person_id)).one()
    if not is_password(password, person.password_hash):
        raise WrongCredentials("This is not your present password.")


def has_password(visitor: Visitor) -> bool:
    with directory_session() as session:
        query = select(Person.password_hash).where(Person.id == visitor.person_id)
        return session.scalars(query).one() is not None


def change_name(visitor: Visitor, name: str) -> None:
    name = people.read_name("name", name)
    with directory_session() as session:
        person = session.scalars(select(Person).where(Person.id == visitor.person_id).with_for_update()).one()
        former, person.name = person.name, name
        session.flush()
        people.rename_memberships(session, person.id, name)
        for tenant_id in people.tenants_of(session, person.id):
            audit.record(session, tenant_id, "member.renamed", person.id, before={"name": former}, after={"name": name})


def _change(session: Session, person: Person, password_hash: str, address: str, *, action: str) -> None:
    person.password_hash = password_hash
    session.flush()
    people.drop_links_of(session, person.id)
    letter = letters.password_changed(person.name, address)
    send(session, to=person.email, subject=letter.subject, text=letter.text)
    for tenant_id in people.tenants_of(session, person.id):
        audit.record(session, tenant_id, action, person.id)


def _about(session: Session, person: Person) -> tuple[str, ...]:
    companies = session.scalars(select(Tenant.name).where(Tenant.id.in_(people.tenants_of(session, person.id))))
    return (person.name, person.email, *companies)
