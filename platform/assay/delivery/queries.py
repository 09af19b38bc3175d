"""How it stands with the scores that go back: every SELECT that somebody looks at."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from assay.delivery.models import Push, Target
from assay.profiles.models import Lead
from assay.scoring.models import ModelRow
from assay.syncing import links
from assay_sdk import Field
from assay_tenants.database import LARGEST_ID, tenant_session
from assay_tenants.errors import BadInput, NotFound

PAGE = 50


@dataclass(frozen=True)
class Standing:
    """How it stands with one connection."""

    enabled: bool
    #: None: of the models that apply to a lead the one that leads.
    model_id: int | None
    #: Its title.
    model: str | None
    #: What is written where; empty where the plugin is not installed.
    fields: Sequence[Field]
    #: Leads by what became of them.
    waiting: int
    dead: int
    gone: int
    known: int
    #: Since when the one that waits longest is due.
    waiting_since: datetime | None
    #: Writes ever made, and the last one.
    sent: int
    sent_at: datetime | None
    #: What keeps all of it from being sent, for a person; empty: nothing does.
    error: str
    error_at: datetime | None
    #: When something is sent next; None: nothing waits.
    due_at: datetime | None


@dataclass(frozen=True)
class DeadPush:
    """A lead that was given up."""

    lead_id: int
    name: str | None
    email: str | None
    vendor_id: str
    attempts: int
    error: str
    error_at: datetime | None


def find_standing(tenant_id: int, connection_id: int) -> Standing | None:
    """None for a connection that scores do not go back through."""
    try:
        return standing(tenant_id, connection_id)
    except NotFound:
        return None


def standing(tenant_id: int, connection_id: int) -> Standing:
    """Raises NotFound."""
    with tenant_session(tenant_id) as session:
        target = read_target(session, tenant_id, connection_id)
        rows = session.execute(
            select(Push.state, func.count(), func.min(Push.due_at))
            .where(Push.tenant_id == tenant_id, Push.connection_id == target.connection_id)
            .group_by(Push.state)
        ).all()
        model_id = target.model_id
        model = None if model_id is None else named_model(session, tenant_id, model_id, any_=True)
    numbers = {row[0]: row[1] for row in rows}
    return Standing(
        enabled=target.enabled,
        model_id=model_id,
        model=model,
        fields=_fields(target.plugin),
        waiting=numbers.get("waiting", 0),
        dead=numbers.get("dead", 0),
        gone=numbers.get("gone", 0),
        known=sum(numbers.values()),
        waiting_since=next((row[2] for row in rows if row[0] == "waiting"), None),
        sent=target.sent,
        sent_at=target.sent_at,
        error=target.error,
        error_at=target.error_at,
        due_at=target.due_at,
    )


def list_dead(tenant_id: int, connection_id: int, *, limit: int = PAGE) -> list[DeadPush]:
    """The latest first. Raises NotFound."""
    query = (
        select(Push.lead_id, Lead.name, Lead.email, Push.vendor_id, Push.attempts, Push.error, Push.error_at)
        .outerjoin(Lead, (Lead.tenant_id == Push.tenant_id) & (Lead.id == Push.lead_id))
        .where(
            Push.tenant_id == tenant_id,
            Push.connection_id == min(connection_id, LARGEST_ID),
            Push.state == "dead",
        )
        .order_by(Push.error_at.desc(), Push.lead_id)
        .limit(limit)
    )
    with tenant_session(tenant_id) as session:
        read_target(session, tenant_id, connection_id)
        return [DeadPush(*row) for row in session.execute(query)]


def read_target(session: Session, tenant_id: int, connection_id: int, *, lock: bool = False) -> Target:
    """Raises NotFound."""
    query = select(Target).where(Target.tenant_id == tenant_id, Target.connection_id == min(connection_id, LARGEST_ID))
    found = session.scalars(query.with_for_update() if lock else query).one_or_none()
    if found is None:
        raise NotFound("connection that scores go back through")
    return found


def named_model(session: Session, tenant_id: int, model_id: int, *, any_: bool = False) -> str:
    """Its title; raises BadInput for one that there is not, or that is archived and not ``any_`` will do."""
    row = session.execute(
        select(ModelRow.title, ModelRow.archived_at).where(
            ModelRow.tenant_id == tenant_id, ModelRow.id == min(model_id, LARGEST_ID)
        )
    ).one_or_none()
    if row is None or (row.archived_at is not None and not any_):
        raise BadInput("There is no such model, or it is archived. Choose one that is not.", field="model_id")
    return str(row.title)


def _fields(plugin: str) -> Sequence[Field]:
    try:
        destination = links.service_of(plugin).destination
    except NotFound:
        return ()
    return () if destination is None else destination.fields
