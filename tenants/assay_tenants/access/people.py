"""Persons, who may work for several tenants: found by address, made once, kept in step with their memberships."""

from datetime import UTC, datetime

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from assay_tenants.errors import BadInput
from assay_tenants.mailing import is_address
from assay_tenants.models import LoginSession, Membership, PendingLogin, Person, PersonLink

NAME_LENGTH = range(1, 201)


def read_name(field: str, typed: str) -> str:
    name = " ".join(typed.split())
    if len(name) not in NAME_LENGTH or not name.isprintable():
        raise BadInput(
            f"The {field} needs {NAME_LENGTH.start} to {NAME_LENGTH.stop - 1} characters that can be read.", field=field
        )
    return name


def read_address(typed: str) -> str:
    email = typed.strip().lower()
    if not is_address(email):
        raise BadInput("This is not an e-mail address; accepted is something like ada@example.com.", field="email")
    return email


def find_person(session: Session, email: str) -> Person | None:
    """Through the directory; in whatever case and spaces the address was typed."""
    return session.scalars(select(Person).where(Person.email == email.strip().lower())).one_or_none()


def make_person(
    session: Session, *, email: str, name: str, password_hash: str | None, verified: bool, at: datetime
) -> int:
    """Through the directory. Raises IntegrityError when the address has an account already."""
    return session.execute(
        insert(Person)
        .values(
            email=email,
            name=name,
            password_hash=password_hash,
            created_at=at,
            email_verified_at=at if verified else None,
        )
        .returning(Person.id)
    ).scalar_one()


def find_or_make(session: Session, *, email: str, name: str) -> Person:
    """Through the directory: the person whose address somebody we trust vouches for, such as the company's provider.

    An account that never verified the address may be a stranger's, made beforehand: its password and its sessions end,
    and so do its links, of which one may lead to the stranger's own mailbox.
    """
    person = session.scalars(select(Person).where(Person.email == email).with_for_update()).one_or_none()
    now = datetime.now(UTC)
    if person is None:
        person_id = make_person(session, email=email, name=name, password_hash=None, verified=True, at=now)
        return session.get_one(Person, person_id)
    if person.email_verified_at is None:
        person.password_hash = None
        end_sessions_of(session, person.id)
        drop_links_of(session, person.id)
        mark_verified(session, person, now)
    return person


def mark_verified(session: Session, person: Person, at: datetime) -> None:
    """Through the directory."""
    person.email_verified_at = at
    session.flush()
    session.execute(update(Membership).where(Membership.person_id == person.id).values(verified=True))


def end_sessions_of(session: Session, person_id: int, *, but: bytes | None = None) -> int:
    """Through the directory: in all tenants, but for the one with this hash; logins under way end too."""
    session.execute(delete(PendingLogin).where(PendingLogin.person_id == person_id))
    ended = session.execute(
        delete(LoginSession)
        .where(LoginSession.person_id == person_id, LoginSession.token_hash != (but or b""))
        .returning(LoginSession.id)
    )
    return len(ended.all())


def drop_links_of(session: Session, person_id: int) -> None:
    session.execute(delete(PersonLink).where(PersonLink.person_id == person_id))


def tenants_of(session: Session, person_id: int) -> list[int]:
    """Through the directory: where they may come in, longest first."""
    return list(
        session.scalars(
            select(Membership.tenant_id)
            .where(Membership.person_id == person_id, Membership.suspended_at.is_(None))
            .order_by(Membership.created_at, Membership.tenant_id)
        )
    )


def rename_memberships(session: Session, person_id: int, name: str) -> None:
    session.execute(update(Membership).where(Membership.person_id == person_id).values(name=name))
