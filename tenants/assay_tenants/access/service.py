"""Sign-up, login, logout."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from assay_tenants import secrets
from assay_tenants.access.passwords import hash_password, is_password
from assay_tenants.database import directory_session, enter_tenant, tenant_session
from assay_tenants.errors import BadInput, Conflict, NotSignedIn
from assay_tenants.keys import insert_key
from assay_tenants.models import LoginSession, Membership, Person, Role, Source, Tenant

SESSION_PREFIX = "ss"
SESSION_LIFETIME = timedelta(days=14)
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")


class WrongCredentials(NotSignedIn):
    code = "wrong_credentials"

    def __init__(self) -> None:
        super().__init__("The e-mail address or the password is wrong.", field="password")


@dataclass(frozen=True)
class SignedUp:
    tenant_id: int
    person_id: int
    write_key: str


@dataclass(frozen=True)
class Visitor:
    """A person at work for one tenant."""

    tenant_id: int
    person_id: int
    name: str
    email: str
    company: str
    role: Role


def sign_up(*, company: str, name: str, email: str, password: str, plugin: str) -> SignedUp:
    """A new tenant with its first owner, and a write key for a first source that ``plugin`` understands."""
    company, name, email = _named("company", company), _named("name", name), _address(email)
    password_hash = hash_password(password)
    now = datetime.now(UTC)
    try:
        with directory_session() as session:
            tenant_id = session.execute(
                insert(Tenant).values(name=company, created_at=now).returning(Tenant.id)
            ).scalar_one()
            person_id = session.execute(
                insert(Person)
                .values(email=email, name=name, password_hash=password_hash, created_at=now)
                .returning(Person.id)
            ).scalar_one()
            session.execute(
                insert(Membership).values(
                    tenant_id=tenant_id, person_id=person_id, name=name, email=email, role="owner", created_at=now
                )
            )
            enter_tenant(session, tenant_id)
            source_id = session.execute(
                insert(Source)
                .values(tenant_id=tenant_id, name="Website and apps", plugin=plugin, created_at=now)
                .returning(Source.id)
            ).scalar_one()
            key = insert_key(session, tenant_id, kind="write", name="First write key", source_id=source_id)
    except IntegrityError as error:
        raise Conflict(
            "There is already an account with this e-mail address. Log in instead.", field="email"
        ) from error
    return SignedUp(tenant_id, person_id, key.secret)


def log_in(*, email: str, password: str) -> str:
    """The token of a new session, to be kept in a cookie. A person of several tenants enters the first."""
    with directory_session() as session:
        person = session.scalars(select(Person).where(Person.email == email.strip().lower())).one_or_none()
    if not is_password(password, person.password_hash if person else None) or person is None:
        raise WrongCredentials
    with directory_session() as session:
        tenant_id = session.scalars(
            select(Membership.tenant_id)
            .where(Membership.person_id == person.id)
            .order_by(Membership.created_at, Membership.tenant_id)
            .limit(1)
        ).one_or_none()
        if tenant_id is None:
            raise WrongCredentials
        return _open_session(session, tenant_id, person.id)


def _open_session(session: Session, tenant_id: int, person_id: int) -> str:
    token = secrets.issue(SESSION_PREFIX, tenant_id)
    now = datetime.now(UTC)
    enter_tenant(session, tenant_id)
    session.execute(delete(LoginSession).where(LoginSession.tenant_id == tenant_id, LoginSession.expires_at < now))
    session.execute(
        insert(LoginSession).values(
            tenant_id=tenant_id,
            token_hash=secrets.digest(token),
            person_id=person_id,
            created_at=now,
            expires_at=now + SESSION_LIFETIME,
        )
    )
    return token


def log_out(token: str) -> None:
    parsed = secrets.parse(token)
    if parsed is None or parsed.prefix != SESSION_PREFIX:
        return
    with tenant_session(parsed.tenant_id) as session:
        session.execute(
            delete(LoginSession).where(
                LoginSession.tenant_id == parsed.tenant_id, LoginSession.token_hash == parsed.hash
            )
        )


def find_visitor(token: str) -> Visitor | None:
    """Who holds this session token; None when it is malformed, unknown or expired."""
    parsed = secrets.parse(token)
    if parsed is None or parsed.prefix != SESSION_PREFIX:
        return None
    with tenant_session(parsed.tenant_id) as session:
        row = session.execute(
            select(Membership, Tenant.name)
            .join(LoginSession, LoginSession.person_id == Membership.person_id)
            .join(Tenant, Tenant.id == Membership.tenant_id)
            .where(
                Membership.tenant_id == parsed.tenant_id,
                LoginSession.tenant_id == parsed.tenant_id,
                LoginSession.token_hash == parsed.hash,
                LoginSession.expires_at > datetime.now(UTC),
            )
        ).one_or_none()
    if row is None:
        return None
    member, company = row
    return Visitor(member.tenant_id, member.person_id, member.name, member.email, company, member.role)


def _named(field: str, value: str) -> str:
    value = " ".join(value.split())
    if not 1 <= len(value) <= 200:
        raise BadInput(f"The {field} needs 1 to 200 characters.", field=field)
    return value


def _address(email: str) -> str:
    email = email.strip().lower()
    if len(email) > 254 or not _EMAIL.fullmatch(email):
        raise BadInput("This is not an e-mail address; accepted is something like ada@example.com.", field="email")
    return email
