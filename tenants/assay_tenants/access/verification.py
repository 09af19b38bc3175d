"""Showing that an e-mail address is one's own, and changing it to another."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from assay_tenants import audit, secrets, sso
from assay_tenants.access import letters, people
from assay_tenants.access.errors import LinkOver, NotLoggedInHere, WrongCredentials
from assay_tenants.access.passwords import is_password
from assay_tenants.access.sessions import Visitor
from assay_tenants.context import Actor, acting
from assay_tenants.database import directory_session
from assay_tenants.errors import BadInput, Conflict
from assay_tenants.mailing import send
from assay_tenants.models import LinkPurpose, Membership, Person, PersonLink

VERIFY_PREFIX = "vl"
VERIFY_LIFETIME = timedelta(hours=24)
_KEPT = "Your address is kept by your company's own login; have it changed there."


@dataclass(frozen=True)
class Sent:
    """A link that is still good: whose it is, and where it was sent."""

    person_id: int
    email: str


def send_link(session: Session, person: Person, email: str) -> None:
    """Through the directory: writes to ``email``; links that were sent before are void from here on."""
    key = make_link(session, person.id, "verify", email, prefix=VERIFY_PREFIX, lifetime=VERIFY_LIFETIME)
    letter = letters.verify(person.name, key)
    send(session, to=email, subject=letter.subject, text=letter.text)


def make_link(
    session: Session, person_id: int, purpose: LinkPurpose, email: str, *, prefix: str, lifetime: timedelta
) -> str:
    """The secret of a link that is good once, in place of earlier ones for the same."""
    now = datetime.now(UTC)
    key = secrets.issue(prefix, 0)
    session.execute(delete(PersonLink).where(PersonLink.person_id == person_id, PersonLink.purpose == purpose))
    session.execute(
        insert(PersonLink).values(
            token_hash=secrets.digest(key),
            person_id=person_id,
            purpose=purpose,
            email=email,
            created_at=now,
            expires_at=now + lifetime,
        )
    )
    return key


def use_link(session: Session, key: str, purpose: LinkPurpose, *, prefix: str) -> tuple[Person, str]:
    """Whose link this is and where it was sent; it is void from here on. Raises LinkOver."""
    parsed = secrets.parse(key)
    if parsed is None or parsed.prefix != prefix:
        raise LinkOver
    row = session.execute(
        delete(PersonLink)
        .where(
            PersonLink.token_hash == parsed.hash,
            PersonLink.purpose == purpose,
            PersonLink.expires_at > datetime.now(UTC),
        )
        .returning(PersonLink.person_id, PersonLink.email)
    ).one_or_none()
    if row is None:
        raise LinkOver
    return session.scalars(select(Person).where(Person.id == row.person_id).with_for_update()).one(), row.email


def find_link(key: str, purpose: LinkPurpose, *, prefix: str) -> Sent | None:
    """None when it is over. Looking does not use it up, for mail programs look too."""
    parsed = secrets.parse(key)
    if parsed is None or parsed.prefix != prefix:
        return None
    with directory_session() as session:
        row = session.execute(
            select(PersonLink.person_id, PersonLink.email).where(
                PersonLink.token_hash == parsed.hash,
                PersonLink.purpose == purpose,
                PersonLink.expires_at > datetime.now(UTC),
            )
        ).one_or_none()
    return Sent(row.person_id, row.email) if row is not None else None


def find_verification(key: str) -> Sent | None:
    return find_link(key, "verify", prefix=VERIFY_PREFIX)


def verify(key: str, *, by: int | None) -> str:
    """The address that is verified now; ``by``: who is logged in where the link was opened.

    Raises LinkOver, Conflict when somebody else has the address by now, and NotLoggedInHere for anybody but the link's
    person: who only reads mail there may not know whose account it is, and whose password would open it from then on.
    """
    try:
        with directory_session() as session:
            person, email = use_link(session, key, "verify", prefix=VERIFY_PREFIX)
            if by != person.id:
                raise NotLoggedInHere
            former = person.email
            if email != former:
                # Since the link was asked for the company may have begun to keep it.
                if _is_kept(session, person, email):
                    raise Conflict(_KEPT)
                _change_address(session, person, email)
            people.mark_verified(session, person, datetime.now(UTC))
            with acting(Actor("person", str(person.id), person.name)):
                for tenant_id in people.tenants_of(session, person.id):
                    if email == former:
                        audit.record(session, tenant_id, "email.verified", person.id, after={"email": email})
                    else:
                        told = {"before": {"email": former}, "after": {"email": email}}
                        audit.record(session, tenant_id, "email.changed", person.id, **told)
    except IntegrityError as error:
        raise Conflict("Somebody else has an account with this e-mail address by now.") from error
    return email


def _is_kept(session: Session, person: Person, new: str) -> bool:
    """Else an address of another domain would be a way round single sign-on, and out of provisioning's sight."""
    demanded = bool(sso.demanding(session, person.id, person.email))
    return demanded or sso.provisioning_loses(session, person.id, person.email, new)


def _change_address(session: Session, person: Person, email: str) -> None:
    letter = letters.address_changed(person.name, email)
    send(session, to=person.email, subject=letter.subject, text=letter.text)
    person.email = email
    session.flush()
    session.execute(update(Membership).where(Membership.person_id == person.id).values(email=email))
    # A link for a new password that went to the former address would open the account to whoever reads mail there.
    people.drop_links_of(session, person.id)


def send_again(visitor: Visitor) -> None:
    """A new link to the address that is still to be verified. The former one is void."""
    with directory_session() as session:
        person = session.scalars(select(Person).where(Person.id == visitor.person_id)).one()
        if person.email_verified_at is None:
            send_link(session, person, person.email)


def ask_for_address(visitor: Visitor, *, email: str, password: str) -> None:
    """Sends a link to a new address, which becomes the person's once it is opened."""
    email = people.read_address(email)
    with directory_session() as session:
        person = session.scalars(select(Person).where(Person.id == visitor.person_id)).one()
        is_kept = _is_kept(session, person, email)
    if person.password_hash is None or is_kept:
        raise BadInput(_KEPT, field="email")
    if not is_password(password, person.password_hash):
        raise WrongCredentials("This is not your present password.", field="address_password")
    if email == person.email:
        raise BadInput("This is your address already.", field="email")
    with directory_session() as session:
        # Whether somebody has it is told by nobody here: the link's page says so to whoever reads mail there.
        send_link(session, person, email)
        for tenant_id in people.tenants_of(session, person.id):
            audit.record(session, tenant_id, "email.change_asked", person.id, after={"email": email})
