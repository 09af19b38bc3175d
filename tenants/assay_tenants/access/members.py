"""Who works for a tenant and as what: changing it never gives more than the giver has, nor leaves nobody in charge.

Whatever changes who the owners are first locks the tenant's row, so that two owners who remove each other at the same
moment come one after the other.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import delete, func, insert, select
from sqlalchemy.orm import Session

from assay_tenants import audit, cuts
from assay_tenants.access import letters
from assay_tenants.access.inviters import withdraw_invitations_of
from assay_tenants.database import tenant_session
from assay_tenants.errors import BadInput, Conflict, Forbidden, NotFound
from assay_tenants.mailing import send
from assay_tenants.models import LoginSession, Membership, Person, Role, Tenant
from assay_tenants.permissions import OF_ROLES, Permission
from assay_tenants.sso import ranks

ROLES: tuple[Role, ...] = ("owner", "admin", "editor", "viewer")


class LastOwner(Conflict):
    code = "last_owner"

    def __init__(self) -> None:
        super().__init__("This is the only owner. Make somebody else an owner first.")


class BeyondYou(Forbidden):
    code = "beyond_your_role"

    def __init__(self, role: Role) -> None:
        super().__init__(f"You can't give, change or take the role {role}: it may do more than you may.")


@dataclass(frozen=True)
class Member:
    person_id: int
    name: str
    email: str
    role: Role
    verified: bool
    created_at: datetime
    #: Since when they may not come in; None: they may.
    suspended_at: datetime | None
    #: To within some minutes, of a session that is still open.
    last_seen_at: datetime | None


def read_role(typed: str) -> Role:
    for role in ROLES:
        if typed == role:
            return role
    raise BadInput(f"There is no such role. Accepted: {', '.join(ROLES)}.", field="role")


def check_reach(role: Role, may: Collection[Permission]) -> None:
    """Raises BeyondYou where a role has a permission that is not among those of whoever gives or takes it."""
    if not OF_ROLES[role] <= frozenset(may):
        raise BeyondYou(role)


def list_members(tenant_id: int) -> list[Member]:
    """By name."""
    seen = (
        select(func.max(LoginSession.last_seen_at))
        .where(LoginSession.tenant_id == tenant_id, LoginSession.person_id == Membership.person_id)
        .correlate(Membership)
        .scalar_subquery()
    )
    with tenant_session(tenant_id) as session:
        rows = session.execute(
            select(Membership, seen.label("seen"))
            .where(Membership.tenant_id == tenant_id)
            .order_by(func.lower(Membership.name), Membership.person_id)
        ).all()
    return [_member(row[0], row.seen) for row in rows]


def get_member(tenant_id: int, person_id: int) -> Member:
    for member in list_members(tenant_id):
        if member.person_id == person_id:
            return member
    raise NotFound("member")


def add_member(session: Session, tenant_id: int, person: Person, role: Role) -> None:
    """In the directory's session. Raises IntegrityError when they are one already."""
    session.execute(
        insert(Membership).values(
            tenant_id=tenant_id,
            person_id=person.id,
            name=person.name,
            email=person.email,
            role=role,
            created_at=datetime.now(UTC),
            verified=person.email_verified_at is not None,
        )
    )
    audit.record(session, tenant_id, "member.added", person.id, after={"email": person.email, "role": role})


def change_role(tenant_id: int, person_id: int, role: Role, *, may: Collection[Permission]) -> Member:
    """``may``: what whoever asks may do themselves."""
    with tenant_session(tenant_id) as session:
        company = _lock(session, tenant_id)
        member = _get(session, tenant_id, person_id)
        former = member.role
        check_reach(former, may)
        check_reach(role, may)
        if former != role:
            if former == "owner":
                _keep_an_owner(session, tenant_id, person_id)
            if role == "owner":
                ranks.check_new_owner(session, tenant_id, member.email)
            member.role = role
            session.flush()
            withdraw_invitations_of(session, tenant_id, person_id, role)
            before_after = {"before": {"role": former}, "after": {"role": role}}
            audit.record(session, tenant_id, "member.role_changed", person_id, **before_after)
            cuts.cut_member(session, tenant_id, person_id)
            letter = letters.role_changed(company, member.name, role)
            send(session, to=member.email, subject=letter.subject, text=letter.text, tenant_id=tenant_id)
        return _member(member, None)


def transfer_ownership(tenant_id: int, *, giver_id: int, taker_id: int) -> None:
    """One owner makes another member an owner and becomes an admin, in one step."""
    if giver_id == taker_id:
        raise BadInput("Choose somebody else to be the owner.", field="person_id")
    with tenant_session(tenant_id) as session:
        company = _lock(session, tenant_id)
        giver, taker = _get(session, tenant_id, giver_id), _get(session, tenant_id, taker_id)
        if giver.role != "owner":
            raise BeyondYou("owner")
        if taker.suspended_at is not None:
            raise Conflict("A suspended member can't be an owner.")
        if not taker.verified:
            raise Conflict("Only somebody with a verified e-mail address can be given the company.")
        ranks.check_new_owner(session, tenant_id, taker.email)
        former = taker.role
        taker.role, giver.role = "owner", "admin"
        session.flush()
        withdraw_invitations_of(session, tenant_id, giver_id, "admin")
        for member, before in ((taker, former), (giver, "owner")):
            audit.record(
                session,
                tenant_id,
                "member.role_changed",
                member.person_id,
                before={"role": before},
                after={"role": member.role},
            )
            cuts.cut_member(session, tenant_id, member.person_id)
        letter = letters.role_changed(company, taker.name, "owner")
        send(session, to=taker.email, subject=letter.subject, text=letter.text, tenant_id=tenant_id)


def remove_member(tenant_id: int, person_id: int, *, may: Collection[Permission]) -> None:
    """Their sessions here and the tokens in their name end with it; what they made stays."""
    with tenant_session(tenant_id) as session:
        company = _lock(session, tenant_id)
        member = _get(session, tenant_id, person_id)
        check_reach(member.role, may)
        _remove(session, member, "member.removed")
        letter = letters.removed(company, member.name)
        send(session, to=member.email, subject=letter.subject, text=letter.text, tenant_id=tenant_id)


def leave(tenant_id: int, person_id: int) -> None:
    """One's own membership ends."""
    with tenant_session(tenant_id) as session:
        _lock(session, tenant_id)
        _remove(session, _get(session, tenant_id, person_id), "member.left")


def suspend_member(session: Session, tenant_id: int, person_id: int) -> None:
    """In the tenant's session: they stay a member and can't come in."""
    _lock(session, tenant_id)
    member = _get(session, tenant_id, person_id)
    if member.suspended_at is None:
        if member.role == "owner":
            _keep_an_owner(session, tenant_id, person_id)
        member.suspended_at = datetime.now(UTC)
        session.flush()
        _end_sessions(session, tenant_id, person_id)
        cuts.cut_member(session, tenant_id, person_id)
        withdraw_invitations_of(session, tenant_id, person_id)
        audit.record(session, tenant_id, "member.suspended", person_id)


def resume_member(session: Session, tenant_id: int, person_id: int) -> None:
    """In the tenant's session."""
    member = _get(session, tenant_id, person_id)
    if member.suspended_at is not None:
        member.suspended_at = None
        session.flush()
        audit.record(session, tenant_id, "member.resumed", person_id)


def _remove(session: Session, member: Membership, action: str) -> None:
    from assay_tenants.oauth import grants  # here: most who read members never need Authlib

    tenant_id, person_id = member.tenant_id, member.person_id
    if member.role == "owner":
        _keep_an_owner(session, tenant_id, person_id)
    _end_sessions(session, tenant_id, person_id)
    cuts.cut_member(session, tenant_id, person_id)
    withdraw_invitations_of(session, tenant_id, person_id)
    # Else the apps would be back in their name as soon as they are invited anew.
    grants.revoke_grants_of(session, tenant_id, person_id)
    session.execute(delete(Membership).where(Membership.tenant_id == tenant_id, Membership.person_id == person_id))
    audit.record(session, tenant_id, action, person_id, before={"email": member.email, "role": member.role})


def _lock(session: Session, tenant_id: int) -> str:
    """The company's name; whoever else changes its members waits for this transaction."""
    return session.scalars(select(Tenant.name).where(Tenant.id == tenant_id).with_for_update()).one()


def _get(session: Session, tenant_id: int, person_id: int) -> Membership:
    member = session.scalars(
        select(Membership).where(Membership.tenant_id == tenant_id, Membership.person_id == person_id).with_for_update()
    ).one_or_none()
    if member is None:
        raise NotFound("member")
    return member


def _keep_an_owner(session: Session, tenant_id: int, person_id: int) -> None:
    others = session.execute(
        select(func.count())
        .select_from(Membership)
        .where(
            Membership.tenant_id == tenant_id,
            Membership.role == "owner",
            Membership.person_id != person_id,
            Membership.suspended_at.is_(None),
        )
    ).scalar_one()
    if not others:
        raise LastOwner


def _end_sessions(session: Session, tenant_id: int, person_id: int) -> None:
    session.execute(
        delete(LoginSession).where(LoginSession.tenant_id == tenant_id, LoginSession.person_id == person_id)
    )


def _member(member: Membership, last_seen_at: datetime | None) -> Member:
    return Member(
        member.person_id,
        member.name,
        member.email,
        member.role,
        member.verified,
        member.created_at,
        member.suspended_at,
        last_seen_at,
    )
