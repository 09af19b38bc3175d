"""An operator in a browser: by a link that works once, then by a session that ends with the access."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import exists, select

from assay_tenants import audit, secrets
from assay_tenants.access import Visitor
from assay_tenants.audit.models import AuditEntry
from assay_tenants.context import Actor, acting
from assay_tenants.database import tenant_session
from assay_tenants.errors import AssayError
from assay_tenants.models import Tenant
from assay_tenants.operators.models import OperatorAccess
from assay_tenants.operators.service import LINK_PREFIX, Access, NotOpen, told_of
from assay_tenants.permissions import Permission, may

SESSION_PREFIX = "os"
#: The same page opened again within it is told once.
LOOK: Final = timedelta(minutes=1)
LOOKED: Final = "operator.looked"

#: What no operator may, whatever the role: see what is kept out of sight, or open a door that stays open.
WITHHELD: Final[frozenset[Permission]] = frozenset(
    {
        "leads:reveal",
        "keys:manage",
        "connections:manage",
        "members:manage",
        "security:manage",
        "apps:manage",
        "privacy:manage",
        "billing:manage",
        "tenant:manage",
    }
)


class LinkSpent(AssayError):
    status = 410
    code = "link_spent"

    def __init__(self) -> None:
        super().__init__("This link was used already, is over, or never was one of ours. Open another access.")


@dataclass(frozen=True, kw_only=True)
class OperatorVisitor(Visitor):
    """An operator at a tenant's pages."""

    access: Access

    @property
    def acts_as(self) -> Actor:
        return Actor("operator", str(self.access.id), self.access.operator)


def allows(visitor: Visitor, permission: Permission) -> bool:
    """Whether this visitor's role has the permission, and it is none that operators never have."""
    return may(visitor.role, permission) and not (isinstance(visitor, OperatorVisitor) and permission in WITHHELD)


def is_operators(token: str) -> bool:
    return token.startswith(f"{SESSION_PREFIX}_")


def link_of(secret: str) -> Access:
    """What a link that was not used yet opens; raises LinkSpent."""
    parsed = secrets.parse(secret)
    if parsed is None or parsed.prefix != LINK_PREFIX:
        raise LinkSpent
    with tenant_session(parsed.tenant_id) as session:
        row = session.scalars(
            select(OperatorAccess).where(
                OperatorAccess.tenant_id == parsed.tenant_id, OperatorAccess.link_hash == parsed.hash
            )
        ).one_or_none()
        if row is None or told_of(row).state not in ("waiting", "open"):
            raise LinkSpent
        return told_of(row)


def enter(secret: str) -> str:
    """The token of the session that the link opens; raises LinkSpent, and NotOpen until the tenant has allowed it."""
    found = link_of(secret)
    with tenant_session(found.tenant_id) as session:
        row = session.scalars(
            select(OperatorAccess)
            .where(
                OperatorAccess.tenant_id == found.tenant_id,
                OperatorAccess.id == found.id,
                OperatorAccess.link_hash == secrets.digest(secret),
            )
            .with_for_update()
        ).one_or_none()
        if row is None or told_of(row).state not in ("waiting", "open"):
            raise LinkSpent
        if row.allowed_at is None:
            raise NotOpen("The tenant has not allowed this access yet. The link works as soon as it has.")
        token = secrets.issue(SESSION_PREFIX, row.tenant_id)
        row.link_hash, row.session_hash, row.entered_at = None, secrets.digest(token), datetime.now(UTC)
        with acting(Actor("operator", str(row.id), row.operator)):
            audit.record(session, row.tenant_id, "operator.entered", row.id)
    return token


def find_operator(token: str) -> OperatorVisitor | None:
    """Who holds this token; None once the access is over, from the very next request on."""
    parsed = secrets.parse(token)
    if parsed is None or parsed.prefix != SESSION_PREFIX:
        return None
    with tenant_session(parsed.tenant_id) as session:
        found = session.execute(
            select(OperatorAccess, Tenant.name)
            .join(Tenant, Tenant.id == OperatorAccess.tenant_id)
            .where(OperatorAccess.tenant_id == parsed.tenant_id, OperatorAccess.session_hash == parsed.hash)
        ).one_or_none()
    if found is None or (access := told_of(found[0])).state != "open":
        return None
    return OperatorVisitor(
        tenant_id=access.tenant_id,
        person_id=0,
        name=f"{access.operator} (operator)",
        email="",
        company=found[1],
        role=access.role,
        verified=True,
        session_id=0,
        proven_at=access.entered_at or access.opened_at,
        proven_by=("link",),
        access=access,
    )


def note_look(access: Access, path: str) -> None:
    """Writes down that this page was opened, once a minute; its address without what was asked of it."""
    path = path[: audit.LONGEST]
    with tenant_session(access.tenant_id) as session:
        audit.lock(session, access.tenant_id)
        lately = exists().where(
            AuditEntry.tenant_id == access.tenant_id,
            AuditEntry.at > datetime.now(UTC) - LOOK,
            AuditEntry.action == LOOKED,
            AuditEntry.subject == path,
            AuditEntry.actor_kind == "operator",
            AuditEntry.actor_id == str(access.id),
        )
        if not session.scalar(select(lately)):
            audit.record(session, access.tenant_id, LOOKED, path)
