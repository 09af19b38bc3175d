"""Members as a provisioning client keeps them: made, changed, switched off and removed, within the tenant's domains.

Whoever has an address of another domain is nobody here: not listed, not found, not changed.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from assay_tenants import audit
from assay_tenants.access import members, people
from assay_tenants.database import LARGEST_ID, directory_session, enter_directory, enter_tenant, tenant_session
from assay_tenants.errors import AssayError, BadInput, Conflict, NotFound
from assay_tenants.mailing import is_address
from assay_tenants.models import Membership, Person, Role
from assay_tenants.permissions import PERMISSIONS
from assay_tenants.sso.domains import verified_domains
from assay_tenants.sso.enforcing import domain_of
from assay_tenants.sso.joining import GRANTABLE, give_role, join, read_role
from assay_tenants.sso.models import Provider, ScimUser

BY = "provisioning"
LARGEST_DOCUMENT = 60_000
_LONGEST_NAME = 200


class Taken(Conflict):
    """Somebody else has this ``userName`` or address, or has an entry already."""

    code = "uniqueness"


class Changed(AssayError):
    """The entry is not what the client last saw."""

    status = 412
    code = "version_mismatch"

    def __init__(self, version: int) -> None:
        super().__init__(f"This user was changed in the meantime: the version is {version}. Read it again.")


@dataclass(frozen=True)
class Wanted:
    """A user as the client describes them."""

    user_name: str
    #: Their login address.
    email: str
    name: str
    active: bool
    #: Of which the highest counts; none: the usual role for a new member, and for others the one they have.
    role_words: tuple[str, ...]
    external_id: str | None
    #: What is kept and told again, word for word.
    document: Mapping[str, Any]


@dataclass(frozen=True)
class Provisioned:
    """A member, with what the client has said of them; None: nothing yet."""

    person_id: int
    email: str
    name: str
    role: Role
    is_active: bool
    document: Mapping[str, Any] | None
    #: 0: the client has said nothing.
    version: int
    created_at: datetime
    changed_at: datetime


@dataclass(frozen=True)
class Narrowing:
    """What everybody who is asked for certainly has; None: nothing in particular."""

    user_name: str | None = None
    external_id: str | None = None


def list_users(tenant_id: int, narrowing: Narrowing | None = None) -> list[Provisioned]:
    """In the order in which they became members."""
    wanted = narrowing or Narrowing()
    with tenant_session(tenant_id) as session:
        query = _users(session, tenant_id).order_by(Membership.created_at, Membership.person_id)
        if wanted.user_name is not None:
            query = query.where(func.coalesce(ScimUser.user_key, Membership.email) == wanted.user_name.lower())
        if wanted.external_id is not None:
            query = query.where(ScimUser.external_id == wanted.external_id)
        return [_provisioned(*row) for row in session.execute(query).all()]


def get_user(tenant_id: int, user_id: str) -> Provisioned:
    """Raises NotFound, also for members outside the verified domains."""
    with tenant_session(tenant_id) as session:
        return _get(session, tenant_id, user_id)


def create_user(tenant_id: int, wanted: Wanted) -> Provisioned:
    """Raises BadInput, Taken or PlanLimit."""
    with _unique(), directory_session() as session:
        enter_tenant(session, tenant_id)
        _check(session, tenant_id, wanted)
        role = _role(session, tenant_id, wanted) or _usual_role(session, tenant_id)
        enter_directory(session)
        person = people.find_person(session, wanted.email)
        if person is not None and session.get(Membership, (tenant_id, person.id)) is not None:
            raise Taken(f"{wanted.email} is a member already; find the user by userName and change it.")
        person = people.find_or_make(session, email=wanted.email, name=wanted.name)
        enter_tenant(session, tenant_id)
        join(
            session,
            tenant_id,
            person.id,
            name=person.name,
            email=wanted.email,
            role=role,
            active=wanted.active,
            by=BY,
        )
        _keep(session, tenant_id, person.id, wanted)
        return _get(session, tenant_id, str(person.id))


def change_user(tenant_id: int, user_id: str, wanted: Wanted, *, version: int | None = None) -> Provisioned:
    """``version``: what the client last saw; None: whatever it is.

    Raises NotFound, BadInput, Taken, Changed, and Conflict where the account would be left without an owner.
    """
    with _unique(), directory_session() as session:
        enter_tenant(session, tenant_id)
        before = _get(session, tenant_id, user_id, lock=True)
        if version is not None and version != before.version:
            raise Changed(before.version)
        _check(session, tenant_id, wanted)
        person_id = before.person_id
        enter_directory(session)
        _change_person(session, before, wanted)
        enter_tenant(session, tenant_id)
        if before.is_active and not wanted.active:
            _keep_the_spare(session, tenant_id, person_id)
            members.suspend_member(session, tenant_id, person_id)
        elif wanted.active and not before.is_active:
            members.resume_member(session, tenant_id, person_id)
        if (role := _role(session, tenant_id, wanted)) is not None:
            give_role(session, tenant_id, person_id, role, by=BY)
        _keep(session, tenant_id, person_id, wanted)
        return _get(session, tenant_id, user_id)


def remove_user(tenant_id: int, user_id: str, *, version: int | None = None) -> None:
    """They are no member any more. Raises NotFound, Changed, and Conflict for the last owner."""
    with tenant_session(tenant_id) as session:
        before = _get(session, tenant_id, user_id, lock=True)
        if version is not None and version != before.version:
            raise Changed(before.version)
        _keep_the_spare(session, tenant_id, before.person_id)
    members.remove_member(tenant_id, before.person_id, may=PERMISSIONS)


@contextmanager
def _unique() -> Iterator[None]:
    try:
        yield
    except IntegrityError as error:
        raise Taken("Another user has this userName or this address.") from error


def _users(session: Session, tenant_id: int) -> Any:
    domains: Sequence[str] = sorted(verified_domains(session, tenant_id))
    return (
        select(Membership, ScimUser)
        .outerjoin(
            ScimUser, (ScimUser.tenant_id == Membership.tenant_id) & (ScimUser.person_id == Membership.person_id)
        )
        .where(Membership.tenant_id == tenant_id, func.split_part(Membership.email, "@", 2).in_(domains))
        .execution_options(populate_existing=True)
    )


def _get(session: Session, tenant_id: int, user_id: str, *, lock: bool = False) -> Provisioned:
    person_id = int(user_id) if user_id.isascii() and user_id.isdecimal() and len(user_id) < 20 else 0
    query = _users(session, tenant_id).where(Membership.person_id == min(person_id, LARGEST_ID))
    row = session.execute(query.with_for_update(of=Membership) if lock else query).one_or_none()
    if row is None:
        raise NotFound("user")
    return _provisioned(*row)


def _provisioned(member: Membership, said: ScimUser | None) -> Provisioned:
    return Provisioned(
        person_id=member.person_id,
        email=member.email,
        name=member.name,
        role=member.role,
        is_active=member.suspended_at is None,
        document=said.document if said else None,
        version=said.version if said else 0,
        created_at=member.created_at,
        changed_at=said.changed_at if said else member.created_at,
    )


def _check(session: Session, tenant_id: int, wanted: Wanted) -> None:
    if not is_address(wanted.email):
        raise BadInput(
            f"{wanted.email[:100]!r} is no e-mail address. userName has to be one, unless emails has one.",
            field="userName",
        )
    domains = verified_domains(session, tenant_id)
    if domain_of(wanted.email) not in domains:
        known = ", ".join(sorted(domains)[:10]) or "none so far"
        raise BadInput(
            f"{wanted.email} is outside the domains that this account has verified ({known}).", field="userName"
        )


def _role(session: Session, tenant_id: int, wanted: Wanted) -> Role | None:
    """By the mapping of the provider, or by a role's own name; raises BadInput."""
    mapping = session.scalars(select(Provider.roles).where(Provider.tenant_id == tenant_id)).one_or_none() or {}
    # A member who was shown to the client as the owner that they are may come back so.
    words = [word for word in wanted.role_words if word.lower() != "owner"]
    given = {mapping.get(word) or read_role(word, field="roles") for word in words}
    return next((role for role in GRANTABLE if role in given), None)


def _usual_role(session: Session, tenant_id: int) -> Role:
    usual = session.scalars(select(Provider.default_role).where(Provider.tenant_id == tenant_id)).one_or_none()
    return usual or "viewer"


def _change_person(session: Session, before: Provisioned, wanted: Wanted) -> None:
    """Through the directory: name and address are the person's, wherever they work."""
    person = session.scalars(select(Person).where(Person.id == before.person_id).with_for_update()).one()
    name = wanted.name[:_LONGEST_NAME]
    if wanted.email == person.email and name == person.name:
        return
    companies = session.scalars(select(Membership.tenant_id).where(Membership.person_id == person.id)).all()
    if wanted.email != person.email:
        if len(companies) > 1:
            raise Conflict(
                f"{person.email} works for other companies too, so their address can't be changed from here; they "
                "change it themselves."
            )
        if before.role == "owner":
            # Admins make provisioning's tokens: by an address of theirs they could choose the owner's next password.
            raise Conflict(f"{person.email} is an owner, so their address can't be changed from here; they change it.")
        if people.find_person(session, wanted.email) is not None:
            raise Taken(f"{wanted.email} is another person's address.")
        audit.record(
            session,
            companies[0],
            "email.changed",
            person.id,
            before={"email": person.email},
            after={"email": wanted.email, "by": BY},
        )
        person.email = wanted.email
        session.flush()
        session.execute(update(Membership).where(Membership.person_id == person.id).values(email=wanted.email))
        people.drop_links_of(session, person.id)
    if len(companies) == 1 and name and name != person.name:
        person.name = name
        session.flush()
        people.rename_memberships(session, person.id, name)


def _keep_the_spare(session: Session, tenant_id: int, person_id: int) -> None:
    spare = session.scalars(
        select(Provider.spare_person_id).where(Provider.tenant_id == tenant_id, Provider.enforced)
    ).one_or_none()
    if spare == person_id:
        raise Conflict(
            "This is the owner who may log in when the provider is away. First name another one under Settings, Single "
            "sign-on."
        )


def _keep(session: Session, tenant_id: int, person_id: int, wanted: Wanted) -> None:
    now = datetime.now(UTC)
    said = {
        "user_key": wanted.user_name.lower(),
        "external_id": wanted.external_id,
        "document": dict(wanted.document),
        "changed_at": now,
    }
    statement = insert(ScimUser).values(tenant_id=tenant_id, person_id=person_id, version=1, created_at=now, **said)
    session.execute(
        statement.on_conflict_do_update(
            index_elements=[ScimUser.tenant_id, ScimUser.person_id], set_={**said, "version": ScimUser.version + 1}
        )
    )
    audit.record(session, tenant_id, "member.provisioned", person_id, after={"active": wanted.active})
