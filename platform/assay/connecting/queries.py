"""Connections as they are looked for: by their account, their secrets, what was refused."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, tuple_

from assay.delivery.models import Push
from assay.delivery.queries import read_target
from assay.profiles.models import Lead
from assay.scoring import cursors
from assay.syncing.models import LinkRow
from assay_tenants.connections.models import Connection
from assay_tenants.connections.sealed import opened
from assay_tenants.database import tenant_session

#: Disconnected ones that are told of.
MOST_ENDED = 50


@dataclass(frozen=True)
class Ended:
    """A connection that is over."""

    id: int
    plugin: str
    name: str
    updated_at: datetime


@dataclass(frozen=True)
class DeadPush:
    """A lead whose score was refused."""

    lead_id: int
    name: str | None
    attempts: int
    error: str
    error_at: datetime | None


@dataclass(frozen=True)
class DeadPage:
    items: Sequence[DeadPush]
    next_cursor: str | None


def find_by_account(tenant_id: int, plugin: str, account: str) -> int | None:
    """The connection of a vendor's account, whatever its state: there is at most one."""
    with tenant_session(tenant_id) as session:
        return session.scalars(
            select(Connection.id).where(
                Connection.tenant_id == tenant_id, Connection.plugin == plugin, Connection.account == account
            )
        ).one_or_none()


def secrets_of(tenant_id: int, connection_id: int) -> dict[str, Any]:
    """What a connection has, although the vendor may take it no more; none once it is disconnected."""
    with tenant_session(tenant_id) as session:
        sealed = session.scalars(
            select(Connection.credentials).where(Connection.tenant_id == tenant_id, Connection.id == connection_id)
        ).one_or_none()
    return {} if sealed is None else opened(tenant_id, connection_id, sealed)


def notes_of(tenant_id: int, connection_id: int) -> dict[str, Any]:
    """What the plugin has noted about a connection at work."""
    with tenant_session(tenant_id) as session:
        return (
            session.scalars(
                select(LinkRow.notes).where(LinkRow.tenant_id == tenant_id, LinkRow.connection_id == connection_id)
            ).one_or_none()
            or {}
        )


def is_at_work(tenant_id: int, connection_id: int) -> bool:
    with tenant_session(tenant_id) as session:
        return (
            session.scalars(
                select(LinkRow.connection_id).where(
                    LinkRow.tenant_id == tenant_id, LinkRow.connection_id == connection_id
                )
            ).one_or_none()
            is not None
        )


def list_ended(tenant_id: int) -> list[Ended]:
    """The latest that were disconnected, newest first."""
    with tenant_session(tenant_id) as session:
        rows = session.execute(
            select(Connection.id, Connection.plugin, Connection.name, Connection.updated_at)
            .where(Connection.tenant_id == tenant_id, Connection.state == "disconnected")
            .order_by(Connection.updated_at.desc(), Connection.id.desc())
            .limit(MOST_ENDED)
        )
        return [Ended(*row) for row in rows]


def list_dead(tenant_id: int, connection_id: int, *, cursor: str | None = None, limit: int = 50) -> DeadPage:
    """Newest first. Raises NotFound where no score goes back, BadInput for another list's cursor."""
    of = ("dead pushes", tenant_id, connection_id)
    query = (
        select(Push.lead_id, Lead.name, Push.attempts, Push.error, Push.error_at)
        .outerjoin(Lead, (Lead.tenant_id == Push.tenant_id) & (Lead.id == Push.lead_id))
        .where(
            Push.tenant_id == tenant_id,
            Push.connection_id == connection_id,
            Push.state == "dead",
            Push.error_at.is_not(None),
        )
        .order_by(Push.error_at.desc(), Push.lead_id.desc())
        .limit(limit + 1)
    )
    if cursor:
        at, lead_id = cursors.unpack(cursor, tuple[int, int], of=of)
        query = query.where(tuple_(Push.error_at, Push.lead_id) < (cursors.instant(at), lead_id))
    with tenant_session(tenant_id) as session:
        read_target(session, tenant_id, connection_id)
        found = [DeadPush(*row) for row in session.execute(query)]
    last = found[limit - 1] if len(found) > limit else None
    if last is None or last.error_at is None:
        return DeadPage(found, None)
    return DeadPage(found[:limit], cursors.pack((cursors.microseconds(last.error_at), last.lead_id), of=of))
