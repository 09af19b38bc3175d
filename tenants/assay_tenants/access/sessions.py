"""Sessions: a browser that is logged in to one tenant, known by a token of which only the hash is stored."""

from dataclasses import KW_ONLY, dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from assay_tenants import audit, secrets, sso
from assay_tenants.access import people
from assay_tenants.access.errors import NotAMember, NotVerified, OwnLoginNeeded
from assay_tenants.context import Actor, acting
from assay_tenants.database import directory_session, enter_directory, enter_tenant, tenant_session
from assay_tenants.errors import NotFound
from assay_tenants.factors.models import LoginRule, WhoNeedsOne
from assay_tenants.models import LoginSession, Membership, Person, Role, Tenant

SESSION_PREFIX = "ss"
#: However busy; and with nobody there. A weekend fits.
SESSION_LIFETIME = timedelta(days=14)
SESSION_IDLE = timedelta(days=3)
#: How exactly it is known when a session was last used: a write per request would be too dear.
SEEN_EVERY = timedelta(minutes=10)
#: For this long a proof counts where a page asks for one anew.
FRESH_FOR = timedelta(minutes=15)
_LONGEST_AGENT = 400
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Visitor:
    """A person at work for one tenant."""

    tenant_id: int
    person_id: int
    name: str
    email: str
    company: str
    role: Role
    _: KW_ONLY
    #: Whether they showed that the address is theirs.
    verified: bool = False
    session_id: int = 0
    #: When they last proved who they are, and by what.
    proven_at: datetime = _LONG_AGO
    proven_by: tuple[str, ...] = ()
    #: Whom of its members the company asks for a second factor; None: it said nothing.
    second_factor: WhoNeedsOne | None = None

    def is_fresh(self) -> bool:
        return datetime.now(UTC) - self.proven_at < FRESH_FOR


@dataclass(frozen=True)
class OwnSession:
    """One of a person's sessions, as they see it."""

    id: int
    company: str
    agent: str
    address: str
    created_at: datetime
    last_seen_at: datetime
    proven_by: tuple[str, ...]
    is_this: bool


def require_verified(visitor: Visitor) -> None:
    """Raises NotVerified for whatever reaches beyond one's own work: inviting, apps, single sign-on, persons' data."""
    if not visitor.verified:
        raise NotVerified


def open_session(
    person_id: int,
    *,
    tenant_id: int | None = None,
    proven_by: tuple[str, ...],
    address: str = "",
    agent: str = "",
) -> str:
    """The token of a new session, for somebody who has proven who they are.

    Without ``tenant_id`` they come in where they were last, or at their first company. Raises NotAMember.
    """
    with directory_session() as session:
        return insert_session(
            session, person_id, tenant_id=tenant_id, proven_by=proven_by, address=address, agent=agent
        )


def insert_session(
    session: Session,
    person_id: int,
    *,
    tenant_id: int | None,
    proven_by: tuple[str, ...],
    address: str,
    agent: str,
    former: LoginSession | None = None,
) -> str:
    """Begins in the directory and ends there. In place of a ``former`` one, it lasts no longer and is no fresher."""
    person = session.scalars(select(Person).where(Person.id == person_id)).one()
    may_enter = _may_enter(session, person, proven_by)
    if tenant_id is None:
        tenant_id = person.last_tenant_id if person.last_tenant_id in may_enter else next(iter(may_enter), None)
    if tenant_id is None or tenant_id not in may_enter:
        raise NotAMember
    person.last_tenant_id = tenant_id
    session.flush()
    token = secrets.issue(SESSION_PREFIX, tenant_id)
    now = datetime.now(UTC)
    enter_tenant(session, tenant_id)
    session.execute(delete(LoginSession).where(LoginSession.tenant_id == tenant_id, _is_over(now)))
    expires_at = now + (sso.SESSION_LIFETIME if sso.PROOF in proven_by else SESSION_LIFETIME)
    try:
        session.execute(
            insert(LoginSession).values(
                tenant_id=tenant_id,
                token_hash=secrets.digest(token),
                person_id=person_id,
                created_at=now,
                expires_at=min(expires_at, former.expires_at) if former else expires_at,
                last_seen_at=now,
                proven_at=former.proven_at if former else now,
                proven_by=list(proven_by),
                address=address,
                agent=agent[:_LONGEST_AGENT],
            )
        )
    except IntegrityError as error:
        # Removed between the look and this row.
        raise NotAMember from error
    with acting(Actor("person", str(person_id), person.name, address)):
        audit.record(session, tenant_id, "login.succeeded", person_id, after={"proven_by": list(proven_by)})
    enter_directory(session)
    return token


def _may_enter(session: Session, person: Person, proven_by: tuple[str, ...]) -> list[int]:
    """Where this person may come in with what they have proven: some companies ask for their own provider's word."""
    from assay_tenants.sso import demanding

    mine = people.tenants_of(session, person.id)
    if "sso" in proven_by:
        return mine
    demanded = demanding(session, person.id, person.email)
    return [tenant_id for tenant_id in mine if tenant_id not in demanded]


def find_visitor(token: str) -> Visitor | None:
    """Who holds this session token; None when it is malformed, unknown, expired, idle or its member is suspended."""
    parsed = secrets.parse(token)
    if parsed is None or parsed.prefix != SESSION_PREFIX:
        return None
    now = datetime.now(UTC)
    with tenant_session(parsed.tenant_id) as session:
        row = session.execute(
            select(Membership, Tenant.name, LoginSession, LoginRule.second_factor)
            .join(LoginSession, LoginSession.person_id == Membership.person_id)
            .join(Tenant, Tenant.id == Membership.tenant_id)
            .outerjoin(LoginRule, LoginRule.tenant_id == Membership.tenant_id)
            .where(
                Membership.tenant_id == parsed.tenant_id,
                Membership.suspended_at.is_(None),
                LoginSession.tenant_id == parsed.tenant_id,
                LoginSession.token_hash == parsed.hash,
                LoginSession.expires_at > now,
                LoginSession.last_seen_at > now - SESSION_IDLE,
            )
        ).one_or_none()
        if row is None:
            return None
        member, company, login, second_factor = row
        if now - login.last_seen_at > SEEN_EVERY:
            session.execute(
                update(LoginSession)
                .where(LoginSession.tenant_id == parsed.tenant_id, LoginSession.token_hash == parsed.hash)
                .values(last_seen_at=now)
            )
    return Visitor(
        tenant_id=member.tenant_id,
        person_id=member.person_id,
        name=member.name,
        email=member.email,
        company=company,
        role=member.role,
        verified=member.verified,
        session_id=login.id,
        proven_at=login.proven_at,
        proven_by=tuple(login.proven_by),
        second_factor=second_factor,
    )


def log_out(token: str) -> None:
    parsed = secrets.parse(token)
    if parsed is None or parsed.prefix != SESSION_PREFIX:
        return
    with tenant_session(parsed.tenant_id) as session:
        person_id = session.scalars(
            delete(LoginSession)
            .where(LoginSession.tenant_id == parsed.tenant_id, LoginSession.token_hash == parsed.hash)
            .returning(LoginSession.person_id)
        ).one_or_none()
        if person_id is not None:
            audit.record(session, parsed.tenant_id, "session.ended", person_id)


def prove_again(token: str, *, proven_by: str) -> None:
    """The holder of this session has just proven anew who they are."""
    parsed = secrets.parse(token)
    if parsed is None or parsed.prefix != SESSION_PREFIX:
        return
    with tenant_session(parsed.tenant_id) as session:
        login = session.scalars(
            select(LoginSession).where(
                LoginSession.tenant_id == parsed.tenant_id, LoginSession.token_hash == parsed.hash
            )
        ).one_or_none()
        if login is not None:
            login.proven_at = datetime.now(UTC)
            login.proven_by = [*(known for known in login.proven_by if known != proven_by), proven_by]


def switch_tenant(token: str, tenant_id: int, *, address: str = "", agent: str = "") -> str:
    """A session in another company of the same person in place of this one; how and when they proved it goes along.

    Raises NotFound for a company that they are no member of, OwnLoginNeeded for one that asks for another proof.
    """
    visitor = find_visitor(token)
    parsed = secrets.parse(token)
    if visitor is None or parsed is None:
        raise NotFound("session")
    with directory_session() as session:
        if tenant_id not in people.tenants_of(session, visitor.person_id):
            raise NotFound("company")
        former = session.scalars(
            select(LoginSession).where(
                LoginSession.tenant_id == parsed.tenant_id, LoginSession.token_hash == parsed.hash
            )
        ).one_or_none()
        if former is None:
            raise NotFound("session")
        if sso.PROOF in visitor.proven_by and tenant_id != visitor.tenant_id:
            # Else one company's provider could open every other company that its people work for.
            raise OwnLoginNeeded(sso.COUNTS_HERE_ALONE)
        try:
            new = insert_session(
                session,
                visitor.person_id,
                tenant_id=tenant_id,
                proven_by=visitor.proven_by,
                former=former,
                address=address,
                agent=agent,
            )
        except NotAMember:
            raise OwnLoginNeeded(sso.ASKED) from None
        session.delete(former)
    return new


def list_companies(person_id: int) -> list[tuple[int, str, Role]]:
    """Id, name and role of each company where this person may come in, by name."""
    with directory_session() as session:
        rows = session.execute(
            select(Tenant.id, Tenant.name, Membership.role)
            .join(Membership, Membership.tenant_id == Tenant.id)
            .where(Membership.person_id == person_id, Membership.suspended_at.is_(None))
            .order_by(Tenant.name, Tenant.id)
        )
        return [(row.id, row.name, row.role) for row in rows]


def list_sessions(visitor: Visitor) -> list[OwnSession]:
    """All that are open, in all their companies; the latest used first."""
    now = datetime.now(UTC)
    with directory_session() as session:
        rows = session.execute(
            select(LoginSession, Tenant.name)
            .join(Tenant, Tenant.id == LoginSession.tenant_id)
            .where(LoginSession.person_id == visitor.person_id, ~_is_over(now))
            .order_by(LoginSession.last_seen_at.desc(), LoginSession.id.desc())
        ).all()
    return [
        OwnSession(
            id=login.id,
            company=company,
            agent=login.agent,
            address=login.address,
            created_at=login.created_at,
            last_seen_at=login.last_seen_at,
            proven_by=tuple(login.proven_by),
            is_this=login.tenant_id == visitor.tenant_id and login.id == visitor.session_id,
        )
        for login, company in rows
    ]


def revoke_session(visitor: Visitor, session_id: int) -> None:
    """Ends one of one's own. Raises NotFound for anybody else's."""
    with directory_session() as session:
        tenant_id = session.scalars(
            delete(LoginSession)
            .where(LoginSession.person_id == visitor.person_id, LoginSession.id == session_id)
            .returning(LoginSession.tenant_id)
        ).one_or_none()
        if tenant_id is None:
            raise NotFound("session")
        audit.record(session, tenant_id, "session.revoked", visitor.person_id)


def revoke_others(visitor: Visitor) -> int:
    """Ends all of one's own but this one; tells how many."""
    with directory_session() as session:
        tenant_ids = session.scalars(
            delete(LoginSession)
            .where(LoginSession.person_id == visitor.person_id, LoginSession.id != visitor.session_id)
            .returning(LoginSession.tenant_id)
        ).all()
        for tenant_id in sorted(set(tenant_ids)):
            audit.record(
                session,
                tenant_id,
                "session.revoked",
                visitor.person_id,
                after={"sessions": tenant_ids.count(tenant_id)},
            )
    return len(tenant_ids)


def _is_over(now: datetime) -> ColumnElement[bool]:
    return (LoginSession.expires_at < now) | (LoginSession.last_seen_at < now - SESSION_IDLE)
