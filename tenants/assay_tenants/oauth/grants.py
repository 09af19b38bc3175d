"""What tenants let apps do: installed by somebody who may, granted by each person for themselves.

``standing``  ``give``                                        the consent page
``list_grants``  ``revoke_grant``  ``revoke_own_grant``       who let which app do what
``list_installations``  ``uninstall``                         which apps are in
``revoke_grants_of``                                          when a member leaves or is suspended
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, Select, delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from assay_tenants.audit import record
from assay_tenants.cuts import cut
from assay_tenants.database import directory_session, tenant_session
from assay_tenants.errors import Forbidden, NotFound
from assay_tenants.models import Membership, Role
from assay_tenants.oauth.catalogue import AppView, find_app, owner_of
from assay_tenants.oauth.issuer import issuer
from assay_tenants.oauth.members import role_of
from assay_tenants.oauth.models import Grant, Installation
from assay_tenants.oauth.scopes import for_role, in_order
from assay_tenants.oauth.tokens import last_death
from assay_tenants.permissions import may

_GONE = "A removed app"


class NotInstalled(Forbidden):
    """Nobody who may has let this app in yet."""

    code = "app_not_installed"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name} is not installed at your company. Ask an owner or admin to connect it first; after that you can "
            "let it act for you."
        )


class NothingToGive(Forbidden):
    """The role of this person has none of what the app asks for."""

    code = "nothing_to_grant"

    def __init__(self, name: str, role: Role) -> None:
        super().__init__(f"{name} asks for what your role, {role}, may not do itself.")


class NotAMemberNow(Forbidden):
    code = "not_a_member"

    def __init__(self) -> None:
        super().__init__("You are no member of this company any more, or are suspended there.")


@dataclass(frozen=True)
class Standing:
    """How things are between an app and a person at one tenant."""

    role: Role
    is_installed: bool
    may_install: bool
    #: What was granted before.
    granted: frozenset[str]

    @property
    def may_grant(self) -> bool:
        return self.is_installed or self.may_install


@dataclass(frozen=True)
class GrantView:
    id: int
    client_id: str
    app: str
    #: The company that made the app; empty when it registered itself.
    maker: str
    person_id: int
    person: str
    scopes: tuple[str, ...]
    created_at: datetime
    last_used_at: datetime | None


@dataclass(frozen=True)
class InstallationView:
    client_id: str
    app: str
    maker: str
    homepage: str
    installed_at: datetime
    installed_by: str
    #: How many people let it act for them.
    grants: int


def standing(tenant_id: int, person_id: int, app: AppView) -> Standing:
    """Raises NotAMemberNow."""
    with tenant_session(tenant_id) as session:
        role = role_of(session, tenant_id, person_id)
        if role is None:
            raise NotAMemberNow
        granted = session.scalars(_in_force(tenant_id, person_id, app.client_id)).one_or_none()
        return Standing(
            role=role,
            is_installed=_is_installed(session, tenant_id, app),
            may_install=may(role, "apps:manage"),
            granted=frozenset(granted.scopes) if granted else frozenset(),
        )


def give(tenant_id: int, person_id: int, app: AppView, scopes: Collection[str]) -> tuple[int, list[str]]:
    """Lets the app act for this person: the grant's id, and which of ``scopes`` it got: those that the role has.

    What was granted before stays. Whoever may manage apps installs it by that. Raises NotInstalled, NothingToGive and
    NotAMemberNow.
    """
    now = datetime.now(UTC)
    with tenant_session(tenant_id) as session:
        role = role_of(session, tenant_id, person_id)
        if role is None:
            raise NotAMemberNow
        given = for_role(role, [scope for scope in scopes if scope in app.scopes])
        if not given:
            raise NothingToGive(app.name, role)
        _let_in(session, tenant_id, person_id, role, app, now)
        # The row is locked or made, whichever of two consents comes first.
        session.execute(
            insert(Grant)
            .values(
                tenant_id=tenant_id,
                client_id=app.client_id,
                app_tenant_id=app.tenant_id,
                person_id=person_id,
                scopes=[],
                resource=issuer().api,
                created_at=now,
            )
            .on_conflict_do_nothing()
        )
        grant = session.scalars(_in_force(tenant_id, person_id, app.client_id).with_for_update()).one()
        before, after = list(grant.scopes), in_order({*grant.scopes, *given})
        if after != before:
            grant.scopes = after
            record(
                session,
                tenant_id,
                "grant.given",
                grant.id,
                before={"scopes": before} if before else None,
                after={"app": app.name, "client_id": app.client_id, "person": person_id, "scopes": after},
            )
        return grant.id, given


def list_grants(tenant_id: int, *, person_id: int | None = None) -> list[GrantView]:
    """Those in force, newest first; of one person if told so."""
    query = (
        select(Grant, Membership.name)
        .outerjoin(Membership, (Membership.tenant_id == Grant.tenant_id) & (Membership.person_id == Grant.person_id))
        .where(Grant.tenant_id == tenant_id, Grant.revoked_at.is_(None))
        .order_by(Grant.id.desc())
    )
    with tenant_session(tenant_id) as session:
        rows = session.execute(query.where(Grant.person_id == person_id) if person_id is not None else query).all()
    apps = {client_id: find_app(client_id) for client_id in {grant.client_id for grant, _ in rows}}
    return [
        GrantView(
            id=grant.id,
            client_id=grant.client_id,
            app=app.name if (app := apps[grant.client_id]) else _GONE,
            maker=app.maker if app else "",
            person_id=grant.person_id,
            person=name or "",
            scopes=tuple(grant.scopes),
            created_at=grant.created_at,
            last_used_at=grant.last_used_at,
        )
        for grant, name in rows
    ]


def revoke_grant(tenant_id: int, grant_id: int) -> None:
    """Its tokens are refused from now on. Raises NotFound for one that is another tenant's or was revoked."""
    with tenant_session(tenant_id) as session:
        if not _revoke(session, tenant_id, Grant.id == grant_id):
            raise NotFound("grant")


def revoke_own_grant(tenant_id: int, person_id: int, grant_id: int) -> None:
    """The same, for one that this person gave."""
    with tenant_session(tenant_id) as session:
        if not _revoke(session, tenant_id, (Grant.id == grant_id) & (Grant.person_id == person_id)):
            raise NotFound("grant")


def revoke_grants_of(session: Session, tenant_id: int, person_id: int) -> int:
    """All that a person gave for this tenant, in the transaction in which they leave it; tells how many."""
    return _revoke(session, tenant_id, Grant.person_id == person_id)


def list_installations(tenant_id: int) -> list[InstallationView]:
    """Apps that were let in, newest first."""
    with tenant_session(tenant_id) as session:
        rows = session.execute(
            select(Installation, Membership.name)
            .outerjoin(
                Membership,
                (Membership.tenant_id == Installation.tenant_id) & (Membership.person_id == Installation.installed_by),
            )
            .where(Installation.tenant_id == tenant_id)
            .order_by(Installation.installed_at.desc(), Installation.client_id)
        ).all()
        using = list(
            session.scalars(select(Grant.client_id).where(Grant.tenant_id == tenant_id, Grant.revoked_at.is_(None)))
        )
    apps = {installed.client_id: find_app(installed.client_id) for installed, _ in rows}
    return [
        InstallationView(
            client_id=installed.client_id,
            app=app.name if (app := apps[installed.client_id]) else _GONE,
            maker=app.maker if app else "",
            homepage=app.homepage if app else "",
            installed_at=installed.installed_at,
            installed_by=name or "",
            grants=using.count(installed.client_id),
        )
        for installed, name in rows
    ]


def uninstall(tenant_id: int, client_id: str) -> int:
    """Ends the app at this tenant, for everybody and at once; tells how many grants that were.

    Raises NotFound when it was neither installed nor granted.
    """
    with tenant_session(tenant_id) as session:
        gone = session.execute(
            delete(Installation)
            .where(Installation.tenant_id == tenant_id, Installation.client_id == client_id)
            .returning(Installation.client_id)
        ).one_or_none()
        revoked = _revoke(session, tenant_id, Grant.client_id == client_id)
        if gone is None and not revoked:
            raise NotFound("installed app")
        record(session, tenant_id, "app.uninstalled", client_id, before={"grants": revoked})
    return revoked


def tenants_with(client_id: str) -> list[int]:
    """Who installed this app."""
    with directory_session() as session:
        return list(
            session.scalars(
                select(Installation.tenant_id)
                .where(Installation.client_id == client_id)
                .order_by(Installation.tenant_id)
            )
        )


def _in_force(tenant_id: int, person_id: int, client_id: str) -> Select[Grant]:
    return select(Grant).where(
        Grant.tenant_id == tenant_id,
        Grant.person_id == person_id,
        Grant.client_id == client_id,
        Grant.revoked_at.is_(None),
    )


def _is_installed(session: Session, tenant_id: int, app: AppView) -> bool:
    """A company's own apps need no letting in."""
    return owner_of(app.client_id) == tenant_id or bool(
        session.scalars(
            select(Installation.client_id).where(
                Installation.tenant_id == tenant_id, Installation.client_id == app.client_id
            )
        ).one_or_none()
    )


def _let_in(session: Session, tenant_id: int, person_id: int, role: Role, app: AppView, now: datetime) -> None:
    if not _is_installed(session, tenant_id, app) and not may(role, "apps:manage"):
        raise NotInstalled(app.name)
    made = session.execute(
        insert(Installation)
        .values(
            tenant_id=tenant_id,
            client_id=app.client_id,
            app_tenant_id=app.tenant_id,
            installed_by=person_id,
            installed_at=now,
        )
        .on_conflict_do_nothing()
        .returning(Installation.client_id)
    ).one_or_none()
    if made:
        record(session, tenant_id, "app.installed", app.client_id, after={"name": app.name, "maker": app.maker or None})


def _revoke(session: Session, tenant_id: int, which: ColumnElement[bool]) -> int:
    now = datetime.now(UTC)
    revoked = session.execute(
        update(Grant)
        .where(Grant.tenant_id == tenant_id, Grant.revoked_at.is_(None), which)
        .values(revoked_at=now)
        .returning(Grant.id, Grant.client_id, Grant.person_id, Grant.scopes)
    ).all()
    for row in revoked:
        cut(session, tenant_id, f"grant:{row.id}", last_death(now))
        record(
            session,
            tenant_id,
            "grant.revoked",
            row.id,
            before={"client_id": row.client_id, "person": row.person_id, "scopes": list(row.scopes)},
        )
    return len(revoked)
