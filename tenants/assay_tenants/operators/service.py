"""Accesses: opened by an operator, allowed and ended by the tenant, over by themselves."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal, get_args

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from assay_tenants import audit, mailing, secrets
from assay_tenants.context import actor
from assay_tenants.database import LARGEST_ID, tenant_session
from assay_tenants.errors import BadInput, Conflict, NotFound
from assay_tenants.models import Membership, Tenant
from assay_tenants.operators.models import OperatorAccess, OperatorRole, OperatorRule

LINK_PREFIX = "ol"
#: Minutes that an access may last.
LONGEST = 480
#: A tenant that is asked has this long to answer.
PATIENCE = timedelta(days=3)
PAGE = 50
_REASON = range(5, 501)

State = Literal["waiting", "open", "lapsed", "over", "ended"]


class NotOpen(Conflict):
    code = "access_not_open"


@dataclass(frozen=True)
class Access:
    """One operator's look at one tenant."""

    tenant_id: int
    id: int
    operator: str
    reason: str
    role: OperatorRole
    may_write: bool
    minutes: int
    opened_at: datetime
    expires_at: datetime
    allowed_at: datetime | None
    allowed_by: str | None
    entered_at: datetime | None
    ended_at: datetime | None
    ended_by: str | None

    @property
    def reference(self) -> str:
        """What operators call it on the command line."""
        return f"{self.tenant_id}-{self.id}"

    @property
    def state(self) -> State:
        if self.ended_at is not None:
            return "ended"
        if self.expires_at <= datetime.now(UTC):
            return "lapsed" if self.allowed_at is None else "over"
        return "waiting" if self.allowed_at is None else "open"


@dataclass(frozen=True)
class Opened:
    access: Access
    #: Opens one session in one browser; shown once.
    secret: str = field(repr=False)


def open_access(
    tenant_id: int, *, by: str, reason: str, minutes: int = 30, role: OperatorRole = "viewer", may_write: bool = False
) -> Opened:
    """Counts from now on, or from when the tenant allows it where operators have to ask; raises BadInput, NotFound."""
    by, reason = " ".join(by.split()), " ".join(reason.split())
    if not 1 <= len(by) <= audit.LONGEST:
        raise BadInput(f"Say who you are, in 1 to {audit.LONGEST} characters.", field="by")
    if len(reason) not in _REASON:
        raise BadInput(
            f"Say why, in {_REASON.start} to {_REASON.stop - 1} characters: the tenant reads it.", field="reason"
        )
    if not 1 <= minutes <= LONGEST:
        raise BadInput(f"An access lasts 1 to {LONGEST} minutes, not {minutes}.", field="minutes")
    if role not in get_args(OperatorRole):
        raise BadInput(
            f"There is no role {role!r} for operators. Accepted: {', '.join(get_args(OperatorRole))}.", field="role"
        )
    secret = secrets.issue(LINK_PREFIX, tenant_id)
    now = datetime.now(UTC)
    with tenant_session(tenant_id) as session:
        if session.scalar(select(Tenant.id).where(Tenant.id == tenant_id)) is None:
            raise NotFound("tenant")
        asks = _needs_consent(session, tenant_id)
        row = OperatorAccess(
            tenant_id=tenant_id,
            operator=by,
            reason=reason,
            role=role,
            may_write=may_write,
            minutes=minutes,
            opened_at=now,
            expires_at=now + (PATIENCE if asks else timedelta(minutes=minutes)),
            allowed_at=None if asks else now,
            link_hash=secrets.digest(secret),
        )
        session.add(row)
        session.flush()
        told = {"operator": by, "reason": reason, "role": role, "may_write": may_write, "minutes": minutes}
        audit.record(session, tenant_id, "operator.asked" if asks else "operator.opened", row.id, after=told)
        if asks:
            _ask(session, row)
        return Opened(told_of(row), secret)


def _ask(session: Session, row: OperatorAccess) -> None:
    """By mail, those who may answer."""
    addresses = session.scalars(
        select(Membership.email).where(
            Membership.tenant_id == row.tenant_id,
            Membership.role.in_(("owner", "admin")),
            Membership.suspended_at.is_(None),
        )
    ).all()
    what = "look and change things" if row.may_write else "look"
    for address in addresses:
        mailing.send(
            session,
            to=address,
            subject="An operator asks to look at your account",
            text=f"{row.operator} asks to {what}, as {row.role}, for {row.minutes} minutes.\n\nReason: {row.reason}\n\n"
            "Allow or refuse it under Settings, Operators' access. Unanswered, it lapses after three days.\n",
        )


def list_accesses(tenant_id: int, *, limit: int = PAGE) -> list[Access]:
    """Newest first."""
    with tenant_session(tenant_id) as session:
        query = select(OperatorAccess).where(OperatorAccess.tenant_id == tenant_id)
        return [told_of(row) for row in session.scalars(query.order_by(OperatorAccess.id.desc()).limit(limit))]


def get_access(tenant_id: int, access_id: int) -> Access:
    with tenant_session(tenant_id) as session:
        return told_of(_read(session, tenant_id, access_id))


def allow(tenant_id: int, access_id: int) -> Access:
    """Its time begins now. Raises NotFound, and NotOpen for one that does not wait."""
    with tenant_session(tenant_id) as session:
        row = _read(session, tenant_id, access_id)
        if told_of(row).state != "waiting":
            raise NotOpen("This access does not wait to be allowed: it was allowed, ended or has lapsed.")
        now = datetime.now(UTC)
        row.allowed_at, row.allowed_by = now, actor().name
        row.expires_at = now + timedelta(minutes=row.minutes)
        audit.record(session, tenant_id, "operator.allowed", row.id, after={"operator": row.operator})
        return told_of(row)


def end(tenant_id: int, access_id: int) -> Access:
    """From here on no request of it is answered; refuses one that waits. Over already, it stays as it is."""
    with tenant_session(tenant_id) as session:
        row = _read(session, tenant_id, access_id)
        if told_of(row).state in ("waiting", "open"):
            row.ended_at, row.ended_by = datetime.now(UTC), actor().name
            row.link_hash = row.session_hash = None
            audit.record(session, tenant_id, "operator.ended", row.id, after={"operator": row.operator})
        return told_of(row)


def needs_consent(tenant_id: int) -> bool:
    with tenant_session(tenant_id) as session:
        return _needs_consent(session, tenant_id)


def change_rule(tenant_id: int, *, needs_consent: bool) -> None:
    """Whether operators have to ask first, from now on; what is open stays open."""
    with tenant_session(tenant_id) as session:
        before = _needs_consent(session, tenant_id)
        if before == needs_consent:
            return
        values = {"needs_consent": needs_consent, "changed_at": datetime.now(UTC), "changed_by": actor().name}
        statement = insert(OperatorRule).values(tenant_id=tenant_id, **values)
        session.execute(statement.on_conflict_do_update(index_elements=["tenant_id"], set_=values))
        told = ({"needs_consent": each} for each in (before, needs_consent))
        audit.record(session, tenant_id, "operator_rule.changed", before=next(told), after=next(told))


def _needs_consent(session: Session, tenant_id: int) -> bool:
    return bool(session.scalar(select(OperatorRule.needs_consent).where(OperatorRule.tenant_id == tenant_id)))


def _read(session: Session, tenant_id: int, access_id: int) -> OperatorAccess:
    row = session.scalars(
        select(OperatorAccess)
        .where(OperatorAccess.tenant_id == tenant_id, OperatorAccess.id == min(access_id, LARGEST_ID))
        .with_for_update()
    ).one_or_none()
    if row is None:
        raise NotFound("access")
    return row


def told_of(row: OperatorAccess) -> Access:
    return Access(**{name: getattr(row, name) for name in Access.__dataclass_fields__})
