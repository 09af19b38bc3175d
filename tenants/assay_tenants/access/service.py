"""Sign-up and login: what a stranger can do."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from assay_tenants import audit, factors, plans, secrets, sso
from assay_tenants.access import people, verification
from assay_tenants.access.errors import AddressTaken, ChallengeOver, LogInElsewhere, OwnLoginNeeded, WrongCredentials
from assay_tenants.access.passwords import check_strength, hash_password, is_outdated, is_password
from assay_tenants.access.sessions import (
    SESSION_LIFETIME,
    Visitor,
    find_visitor,
    insert_session,
    log_out,
)
from assay_tenants.context import Actor, acting
from assay_tenants.database import directory_session, enter_directory, enter_tenant
from assay_tenants.keys import insert_key
from assay_tenants.models import Membership, PendingLogin, Person, Source, Tenant

__all__ = [
    "SESSION_LIFETIME",
    "SignedUp",
    "Visitor",
    "WrongCredentials",
    "find_visitor",
    "log_in",
    "log_out",
    "sign_up",
]

PENDING_PREFIX = "pl"
PENDING_LIFETIME = timedelta(minutes=10)
#: Into so many companies' audit logs a refused login goes.
_TENANTS_TOLD = 10


@dataclass(frozen=True)
class SignedUp:
    tenant_id: int
    person_id: int
    write_key: str = field(repr=False)


@dataclass(frozen=True)
class Entrance:
    """Where a right password leads: in, or to a second proof."""

    person_id: int
    #: Of the new session; None while a second factor is still to be proven.
    token: str | None = field(default=None, repr=False)
    #: The secret of a login under way: for ``complete``, once a second factor was proven.
    challenge: str | None = field(default=None, repr=False)
    methods: tuple[factors.Method, ...] = ()


@dataclass(frozen=True)
class Pending:
    """A login under way: whose password was right."""

    person_id: int
    email: str
    name: str
    methods: tuple[factors.Method, ...]


def sign_up(*, company: str, name: str, email: str, password: str, plugin: str, verified: bool = False) -> SignedUp:
    """A new tenant with its first owner, and a write key for a first source that ``plugin`` understands.

    Somebody who was removed from their last company keeps their account: with its password they make a new company.
    ``verified`` is for whoever knows by other means that the address is theirs; otherwise a mail asks for it.
    """
    company, name = people.read_name("company", company), people.read_name("name", name)
    email = people.read_address(email)
    check_strength(password, about=(company, name, email))
    with directory_session() as session:
        known = people.find_person(session, email)
        is_free = known is not None and not _is_member(session, known.id)
    if known is not None and not (is_free and is_password(password, known.password_hash)):
        raise AddressTaken
    password_hash = hash_password(password) if known is None else None
    now = datetime.now(UTC)
    try:
        with directory_session() as session:
            person_id = (
                people.make_person(
                    session, email=email, name=name, password_hash=password_hash, verified=verified, at=now
                )
                if known is None
                else known.id
            )
            made = insert_company(session, session.get_one(Person, person_id), company=company, plugin=plugin)
            if known is None and not verified:
                verification.send_link(session, session.get_one(Person, person_id), email)
    except IntegrityError as error:
        raise AddressTaken from error
    return made


def make_company(visitor: Visitor, *, company: str, plugin: str) -> SignedUp:
    """A further company of somebody who has an account; they are its first owner."""
    company = people.read_name("company", company)
    if sso.PROOF in visitor.proven_by:
        raise OwnLoginNeeded(sso.COUNTS_HERE_ALONE)
    with directory_session() as session:
        person = session.scalars(select(Person).where(Person.id == visitor.person_id)).one()
        return insert_company(session, person, company=company, plugin=plugin)


def insert_company(session: Session, person: Person, *, company: str, plugin: str) -> SignedUp:
    """Begins in the directory and ends there."""
    now = datetime.now(UTC)
    tenant_id = session.execute(insert(Tenant).values(name=company, created_at=now).returning(Tenant.id)).scalar_one()
    plans.begin(session, tenant_id)
    session.execute(
        insert(Membership).values(
            tenant_id=tenant_id,
            person_id=person.id,
            name=person.name,
            email=person.email,
            role="owner",
            created_at=now,
            verified=person.email_verified_at is not None,
        )
    )
    enter_tenant(session, tenant_id)
    source_id = session.execute(
        insert(Source)
        .values(tenant_id=tenant_id, name="Website and apps", plugin=plugin, created_at=now)
        .returning(Source.id)
    ).scalar_one()
    with acting(Actor("person", str(person.id), person.name)):
        audit.record(session, tenant_id, "tenant.created", tenant_id, after={"name": company, "owner": person.id})
        key = insert_key(session, tenant_id, kind="write", name="First write key", source_id=source_id)
    enter_directory(session)
    return SignedUp(tenant_id, person.id, key.secret)


def enter(*, email: str, password: str, address: str = "", agent: str = "") -> Entrance:
    """The first step of a login. Raises WrongCredentials, LogInElsewhere or NotAMember.

    Whoever asks again and again is slowed down by the door, which knows the network addresses.
    """
    with directory_session() as session:
        person = people.find_person(session, email)
    is_right = is_password(password, person.password_hash if person else None)
    if person is None:
        raise WrongCredentials
    from assay_tenants.sso import refuses_password

    with directory_session() as session:
        elsewhere = refuses_password(session, person.id, person.email) if is_right or not person.password_hash else None
        if not is_right and not elsewhere:
            _tell_of_failure(session, person, agent)
    if elsewhere:
        raise LogInElsewhere(elsewhere, field="password")
    if not is_right:
        raise WrongCredentials
    if person.password_hash and is_outdated(person.password_hash):
        _hash_anew(person, password)
    with directory_session() as session:
        _check_again(session, person, password)
        methods = factors.methods_of(session, person.id)
        if methods:
            challenge = _begin(session, person.id, address=address, agent=agent)
            return Entrance(person.id, challenge=challenge, methods=methods)
        token = insert_session(
            session, person.id, tenant_id=None, proven_by=("password",), address=address, agent=agent
        )
        return Entrance(person.id, token=token)


def _check_again(session: Session, person: Person, password: str) -> None:
    """Comparing takes a while, in which the password may have been changed and all sessions ended: not this one, yet.

    Whoever changes it waits from here on. Raises WrongCredentials.
    """
    known = session.scalars(select(Person.password_hash).where(Person.id == person.id).with_for_update()).one()
    if known != person.password_hash and not is_password(password, known):
        raise WrongCredentials


def find_pending(challenge: str) -> Pending | None:
    """Whose login is under way; None when it is over, unknown or malformed."""
    parsed = secrets.parse(challenge)
    if parsed is None or parsed.prefix != PENDING_PREFIX:
        return None
    with directory_session() as session:
        person = session.scalars(
            select(Person)
            .join(PendingLogin, PendingLogin.person_id == Person.id)
            .where(PendingLogin.token_hash == parsed.hash, PendingLogin.expires_at > datetime.now(UTC))
        ).one_or_none()
        if person is None:
            return None
        return Pending(person.id, person.email, person.name, factors.methods_of(session, person.id))


def complete(challenge: str, *, proven_by: str) -> str:
    """The token of the session that this login was for, now that a second factor was proven. Once for each challenge.

    Raises ChallengeOver.
    """
    parsed = secrets.parse(challenge)
    if parsed is None or parsed.prefix != PENDING_PREFIX:
        raise ChallengeOver
    with directory_session() as session:
        # Of two that come with the same challenge, the second finds no row.
        pending = session.execute(
            delete(PendingLogin)
            .where(PendingLogin.token_hash == parsed.hash, PendingLogin.expires_at > datetime.now(UTC))
            .returning(PendingLogin.person_id, PendingLogin.proven_by, PendingLogin.address, PendingLogin.agent)
        ).one_or_none()
        if pending is None:
            raise ChallengeOver
        return insert_session(
            session,
            pending.person_id,
            tenant_id=None,
            proven_by=(*pending.proven_by, proven_by),
            address=pending.address,
            agent=pending.agent,
        )


def log_in(*, email: str, password: str, address: str = "", agent: str = "") -> str:
    """The token of a new session for somebody without a second factor; ChallengeOver is raised for others."""
    entrance = enter(email=email, password=password, address=address, agent=agent)
    if entrance.token is None:
        raise ChallengeOver
    return entrance.token


def tell_of_failed_factor(person_id: int, method: str) -> None:
    """A second factor was wrong: their companies' audit logs say so."""
    with directory_session() as session:
        person = session.scalars(select(Person).where(Person.id == person_id)).one()
        _tell_of_failure(session, person, "", method=method)


def _begin(session: Session, person_id: int, *, address: str, agent: str) -> str:
    challenge = secrets.issue(PENDING_PREFIX, 0)
    now = datetime.now(UTC)
    session.execute(delete(PendingLogin).where(PendingLogin.expires_at < now))
    session.execute(
        insert(PendingLogin).values(
            token_hash=secrets.digest(challenge),
            person_id=person_id,
            proven_by=["password"],
            address=address,
            agent=agent,
            created_at=now,
            expires_at=now + PENDING_LIFETIME,
        )
    )
    return challenge


def _tell_of_failure(session: Session, person: Person, agent: str, *, method: str = "password") -> None:
    for tenant_id in people.tenants_of(session, person.id)[:_TENANTS_TOLD]:
        told = {"method": method, **({"agent": agent[:200]} if agent else {})}
        audit.record(session, tenant_id, "login.failed", person.id, after=told)


def _hash_anew(person: Person, password: str) -> None:
    password_hash = hash_password(password)
    with directory_session() as session:
        session.execute(
            # Unless it was changed in the meantime.
            update(Person)
            .where(Person.id == person.id, Person.password_hash == person.password_hash)
            .values(password_hash=password_hash)
        )


def _is_member(session: Session, person_id: int) -> bool:
    query = select(Membership.tenant_id).where(Membership.person_id == person_id).limit(1)
    return session.scalars(query).one_or_none() is not None
