"""What people do with connections."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from assay_tenants import audit
from assay_tenants.connections.models import Connection, State
from assay_tenants.connections.sealed import sealed_for
from assay_tenants.database import tenant_session
from assay_tenants.errors import BadInput, Conflict, NotFound

NAME_LENGTH = 80


class Changed(Conflict):
    """Somebody else changed the connection since it was read."""

    code = "connection_changed"

    def __init__(self) -> None:
        super().__init__("Somebody changed this connection meanwhile. Load it again, then make your change.")


@dataclass(frozen=True)
class Connected:
    """A connection as it may be shown: without its credentials."""

    id: int
    plugin: str
    name: str
    state: State
    account: str
    settings: Mapping[str, Any]
    expires_at: datetime | None
    error: str
    #: To be given back with a change.
    version: int
    created_at: datetime
    updated_at: datetime


def create(
    tenant_id: int,
    *,
    plugin: str,
    name: str,
    credentials: Mapping[str, Any],
    account: str = "",
    settings: Mapping[str, Any] | None = None,
    expires_at: datetime | None = None,
) -> int:
    """A new connection; tells its id. ``credentials`` and ``settings`` are JSON objects, the latter without secrets."""
    name, now = _named(name), datetime.now(UTC)
    with tenant_session(tenant_id) as session:
        connection_id = session.execute(
            insert(Connection)
            .values(
                tenant_id=tenant_id,
                plugin=plugin,
                name=name,
                # Its credentials are sealed for its row, whose id is not known yet.
                state="needs_reconnect",
                account=account,
                settings=dict(settings or {}),
                renewal=1,
                expires_at=expires_at,
                error="",
                version=1,
                created_at=now,
                updated_at=now,
            )
            .returning(Connection.id)
        ).scalar_one()
        connection = locked(session, tenant_id, connection_id)
        connection.credentials = sealed_for(tenant_id, connection_id, credentials)
        connection.state = "connected"
        audit.record(
            session, tenant_id, "connection.created", connection_id, after=_told(connection) | {"plugin": plugin}
        )
    return connection_id


def list_connections(tenant_id: int) -> list[Connected]:
    """All that are not disconnected, oldest first."""
    with tenant_session(tenant_id) as session:
        rows = session.scalars(
            select(Connection)
            .where(Connection.tenant_id == tenant_id, Connection.state != "disconnected")
            .order_by(Connection.id)
        )
        return [_shown(row) for row in rows]


def get_connection(tenant_id: int, connection_id: int) -> Connected:
    with tenant_session(tenant_id) as session:
        row = session.scalars(
            select(Connection).where(Connection.tenant_id == tenant_id, Connection.id == connection_id)
        ).one_or_none()
        if row is None:
            raise NotFound("connection")
        return _shown(row)


def change(
    tenant_id: int,
    connection_id: int,
    *,
    version: int,
    name: str | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Connected:
    """Renames it, or replaces its settings. Raises Changed unless ``version`` is the one that it has."""
    with tenant_session(tenant_id) as session:
        connection = locked(session, tenant_id, connection_id)
        if connection.state == "disconnected":
            raise NotFound("connection")
        if connection.version != version:
            raise Changed
        before = _told(connection)
        if name is not None:
            connection.name = _named(name)
        if settings is not None:
            connection.settings = dict(settings)
        connection.version += 1
        connection.updated_at = datetime.now(UTC)
        audit.record(session, tenant_id, "connection.changed", connection_id, before=before, after=_told(connection))
        return _shown(connection)


def disconnect(tenant_id: int, connection_id: int) -> None:
    """Wipes its credentials; what it brought stays. Waits for whoever renews them right now. Twice is once."""
    with tenant_session(tenant_id) as session:
        connection = locked(session, tenant_id, connection_id)
        if connection.state == "disconnected":
            return
        before = {"state": connection.state}
        connection.credentials = None
        connection.state, connection.error, connection.expires_at = "disconnected", "", None
        connection.renewal += 1
        connection.version += 1
        connection.updated_at = datetime.now(UTC)
        audit.record(
            session,
            tenant_id,
            "connection.disconnected",
            connection_id,
            before=before,
            after={"state": "disconnected", "plugin": connection.plugin, "account": connection.account},
        )


def locked(session: Session, tenant_id: int, connection_id: int) -> Connection:
    """The row, ours until the transaction ends; raises NotFound."""
    row = session.scalars(
        select(Connection)
        .where(Connection.tenant_id == tenant_id, Connection.id == connection_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one_or_none()
    if row is None:
        raise NotFound("connection")
    return row


def _named(name: str) -> str:
    name = " ".join(name.split())
    if not 1 <= len(name) <= NAME_LENGTH:
        raise BadInput(f"A connection needs a name of 1 to {NAME_LENGTH} characters.", field="name")
    return name


def _told(connection: Connection) -> dict[str, Any]:
    return {"name": connection.name, "account": connection.account, "settings": connection.settings}


def _shown(row: Connection) -> Connected:
    return Connected(
        row.id,
        row.plugin,
        row.name,
        row.state,
        row.account,
        row.settings,
        row.expires_at,
        row.error,
        row.version,
        row.created_at,
        row.updated_at,
    )
