"""Invitations: an address may become a member, once, within seven days, by a link that only its mailbox gets."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from assay_tenants import audit, secrets
from assay_tenants.access import letters, people
from assay_tenants.access.errors import AddressTaken, LinkOver, NotVerified
from assay_tenants.access.members import add_member, check_reach
from assay_tenants.access.passwords import check_strength, hash_password
from assay_tenants.access.places import require_member_place
from assay_tenants.access.sessions import Visitor
from assay_tenants.context import Actor, acting
from assay_tenants.database import directory_session, enter_directory, enter_tenant, tenant_session
from assay_tenants.errors import Conflict, Forbidden, NotFound, TooManyAttempts
from assay_tenants.mailing import count_since, send
from assay_tenants.models import Invitation, Membership, Person, Role, Tenant
from assay_tenants.permissions import OF_ROLES, Permission
from assay_tenants.sso import ranks

PREFIX = "iv"
LIFETIME = timedelta(days=7)
#: Mails in one tenant's name: nobody may write to the world through us.
MAILS_A_DAY = 200
#: The same address is not written to more often.
RESENT_AFTER = timedelta(minutes=1)


class SomebodyElse(Forbidden):
    code = "invitation_of_another"

    def __init__(self, email: str) -> None:
        super().__init__(f"This invitation is for {email}. Log out, and open it again as that person.")


@dataclass(frozen=True)
class Invited:
    id: int
    email: str
    role: Role
    invited_by: str
    created_at: datetime
    sent_at: datetime
    expires_at: datetime

    @property
    def is_over(self) -> bool:
        return self.expires_at <= datetime.now(UTC)


@dataclass(frozen=True)
class Opened:
    """An invitation that is still good, as its link shows it."""

    tenant_id: int
    company: str
    email: str
    role: Role
    invited_by: str
    #: Whether somebody has an account with this address already.
    is_known: bool


def list_invitations(tenant_id: int) -> list[Invited]:
    """Those that were neither accepted nor withdrawn, newest first."""
    with tenant_session(tenant_id) as session:
        rows = session.scalars(
            select(Invitation).where(Invitation.tenant_id == tenant_id).order_by(Invitation.id.desc())
        ).all()
    return [_invited(row) for row in rows]


def invite(
    tenant_id: int, *, email: str, role: Role, by: str, may: Collection[Permission], by_id: int | None = None
) -> Invited:
    """Writes to the address. ``may``: what whoever invites may do; ``by`` their name, as the mail says it.

    ``by_id``: the member with whose right to invite it ends; None: it is the company's, as its keys and apps are.
    """
    email = people.read_address(email)
    check_reach(role, may)
    with tenant_session(tenant_id) as session:
        company = _lock(session, tenant_id)
        if by_id is not None:
            _check_inviter(session, tenant_id, by_id, role)
        if role == "owner":
            ranks.check_new_owner(session, tenant_id, email)
        if _is_member(session, tenant_id, email):
            raise Conflict("Somebody with this address is a member already.", field="email")
        former = session.scalars(
            select(Invitation).where(Invitation.tenant_id == tenant_id, Invitation.email == email)
        ).one_or_none()
        if former is not None and former.expires_at > datetime.now(UTC):
            raise Conflict(
                "This address is invited already; send that invitation again, or withdraw it.", field="email"
            )
        require_member_place(session, tenant_id)
        key = secrets.issue(PREFIX, tenant_id)
        now = datetime.now(UTC)
        values = {
            "role": role,
            "token_hash": secrets.digest(key),
            "invited_by_name": by,
            "invited_by": by_id,
            "created_at": now,
            "sent_at": now,
            "expires_at": now + LIFETIME,
        }
        row = session.scalars(
            insert(Invitation)
            .values(tenant_id=tenant_id, email=email, **values)
            .on_conflict_do_update(index_elements=[Invitation.tenant_id, Invitation.email], set_=values)
            .returning(Invitation)
        ).one()
        _write(session, tenant_id, company, row, key)
        audit.record(session, tenant_id, "member.invited", row.id, after={"email": email, "role": role})
        return _invited(row)


def send_again(tenant_id: int, invitation_id: int, *, may: Collection[Permission]) -> Invited:
    """A new link, good for another seven days; the former one is void."""
    with tenant_session(tenant_id) as session:
        company = _lock(session, tenant_id)
        row = _get(session, tenant_id, invitation_id)
        check_reach(row.role, may)
        now = datetime.now(UTC)
        if (wait := row.sent_at + RESENT_AFTER - now) > timedelta(0):
            raise TooManyAttempts("It was sent a moment ago. Try again in a minute.", after=wait)
        if row.expires_at <= now:
            require_member_place(session, tenant_id)
        key = secrets.issue(PREFIX, tenant_id)
        row.token_hash, row.sent_at, row.expires_at = secrets.digest(key), now, now + LIFETIME
        session.flush()
        _write(session, tenant_id, company, row, key)
        audit.record(session, tenant_id, "member.invited_again", row.id, after={"email": row.email, "role": row.role})
        return _invited(row)


def withdraw(tenant_id: int, invitation_id: int, *, may: Collection[Permission]) -> Invited:
    with tenant_session(tenant_id) as session:
        row = _get(session, tenant_id, invitation_id)
        check_reach(row.role, may)
        _drop(session, row)
        audit.record(
            session, tenant_id, "member.invitation_withdrawn", row.id, before={"email": row.email, "role": row.role}
        )
        return _invited(row)


def open_invitation(key: str) -> Opened | None:
    """What the link offers; None when it is over. Looking does not use it up."""
    parsed = secrets.parse(key)
    if parsed is None or parsed.prefix != PREFIX:
        return None
    with tenant_session(parsed.tenant_id) as session:
        row = _by_key(session, parsed.tenant_id, parsed.hash)
        if row is None:
            return None
        company = session.scalars(select(Tenant.name).where(Tenant.id == parsed.tenant_id)).one()
        enter_directory(session)
        is_known = people.find_person(session, row.email) is not None
    return Opened(parsed.tenant_id, company, row.email, row.role, row.invited_by_name, is_known)


def accept_as(visitor: Visitor, key: str) -> int:
    """By somebody who is logged in: tells the tenant they are a member of now. Raises LinkOver or SomebodyElse."""
    with directory_session() as session:
        person = session.scalars(select(Person).where(Person.id == visitor.person_id)).one()
        return _accept(session, key, person)


def accept_anew(key: str, *, name: str, password: str) -> tuple[int, int]:
    """By somebody new, whose address the link has shown to be theirs: tells tenant and person. Raises LinkOver."""
    opened = open_invitation(key)
    if opened is None:
        raise LinkOver("invitation")
    name = people.read_name("name", name)
    check_strength(password, about=(opened.company, name, opened.email))
    password_hash = hash_password(password)
    try:
        with directory_session() as session:
            person_id = people.make_person(
                session,
                email=opened.email,
                name=name,
                password_hash=password_hash,
                verified=True,
                at=datetime.now(UTC),
            )
            person = session.scalars(select(Person).where(Person.id == person_id)).one()
            return _accept(session, key, person), person_id
    except IntegrityError as error:
        raise AddressTaken from error


def _accept(session: Session, key: str, person: Person) -> int:
    """Begins and ends in the directory. Of two at the same moment the second finds the invitation used."""
    parsed = secrets.parse(key)
    if parsed is None or parsed.prefix != PREFIX:
        raise LinkOver("invitation")
    tenant_id = parsed.tenant_id
    enter_tenant(session, tenant_id)
    row = _by_key(session, tenant_id, parsed.hash, lock=True)
    if row is None:
        raise LinkOver("invitation")
    if row.email != person.email:
        raise SomebodyElse(row.email)
    is_member = _is_member(session, tenant_id, row.email)
    role = row.role
    if role == "owner":
        ranks.check_new_owner(session, tenant_id, row.email)
    _drop(session, row)
    enter_directory(session)
    if person.email_verified_at is None:
        people.mark_verified(session, person, datetime.now(UTC))
    if not is_member:
        with acting(Actor("person", str(person.id), person.name)):
            add_member(session, tenant_id, person, role)
    return tenant_id


def require_verified_owner(tenant_id: int) -> None:
    """For a key, which is nobody's: raises NotVerified while none of the tenant's owners has verified an address."""
    with tenant_session(tenant_id) as session:
        found = session.scalars(
            select(Membership.person_id)
            .where(Membership.tenant_id == tenant_id, Membership.role == "owner", Membership.verified)
            .limit(1)
        ).one_or_none()
    if found is None:
        raise NotVerified


def _write(session: Session, tenant_id: int, company: str, row: Invitation, key: str) -> None:
    day = timedelta(days=1)
    if count_since(session, tenant_id, datetime.now(UTC) - day) >= MAILS_A_DAY:
        raise TooManyAttempts(
            f"{MAILS_A_DAY} mails were sent in your company's name since yesterday. Go on tomorrow.", after=day
        )
    letter = letters.invitation(company, row.invited_by_name, row.role, key)
    send(session, to=row.email, subject=letter.subject, text=letter.text, tenant_id=tenant_id)


def _check_inviter(session: Session, tenant_id: int, person_id: int, role: Role) -> None:
    """Once more, under the company's lock: they may have been removed at this very moment."""
    standing = session.scalars(
        select(Membership.role).where(
            Membership.tenant_id == tenant_id, Membership.person_id == person_id, Membership.suspended_at.is_(None)
        )
    ).one_or_none()
    check_reach(role, OF_ROLES[standing] if standing is not None else ())


def _lock(session: Session, tenant_id: int) -> str:
    return session.scalars(select(Tenant.name).where(Tenant.id == tenant_id).with_for_update()).one()


def _get(session: Session, tenant_id: int, invitation_id: int) -> Invitation:
    row = session.scalars(
        select(Invitation).where(Invitation.tenant_id == tenant_id, Invitation.id == invitation_id).with_for_update()
    ).one_or_none()
    if row is None:
        raise NotFound("invitation")
    return row


def _by_key(session: Session, tenant_id: int, digest: bytes, *, lock: bool = False) -> Invitation | None:
    query = select(Invitation).where(
        Invitation.tenant_id == tenant_id,
        Invitation.token_hash == digest,
        Invitation.expires_at > datetime.now(UTC),
    )
    return session.scalars(query.with_for_update() if lock else query).one_or_none()


def _drop(session: Session, row: Invitation) -> None:
    session.execute(delete(Invitation).where(Invitation.tenant_id == row.tenant_id, Invitation.id == row.id))


def _is_member(session: Session, tenant_id: int, email: str) -> bool:
    query = select(Membership.person_id).where(Membership.tenant_id == tenant_id, Membership.email == email)
    return session.scalars(query).one_or_none() is not None


def _invited(row: Invitation) -> Invited:
    return Invited(row.id, row.email, row.role, row.invited_by_name, row.created_at, row.sent_at, row.expires_at)
