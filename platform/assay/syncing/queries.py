"""How connections at work are doing, as people see it."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from assay import plugins
from assay.syncing.circuits import TOLERATED
from assay.syncing.models import LinkRow, StreamRow, Wanted
from assay_tenants.connections.models import Connection, State
from assay_tenants.database import tenant_session
from assay_tenants.errors import NotFound

Phase = Literal["waiting", "loading", "following", "failing", "paused", "left_out"]


@dataclass(frozen=True)
class StreamHealth:
    name: str
    title: str
    #: ``loading``: the first load; ``following``: that is done, changes come in; ``left_out``: a permission is missing.
    phase: Phase
    records: int
    #: In the first load; None: nobody knows.
    total: int | None
    loaded_at: datetime | None
    last_run_at: datetime | None
    last_success_at: datetime | None
    #: Until when everything is known.
    newest_at: datetime | None
    #: How far it is behind the vendor; None until the first load is done.
    lag: timedelta | None
    next_run_at: datetime | None
    failures: int
    error: str


@dataclass(frozen=True)
class Health:
    connection_id: int
    plugin: str
    account: str
    source_id: int
    state: State
    #: Why it has to be connected anew; empty when it has not.
    reconnect_reason: str
    paused_at: datetime | None
    #: How often in a row the vendor failed, since when, and until when it is left alone.
    failures: int
    failing_since: datetime | None
    left_alone_until: datetime | None
    is_circuit_open: bool
    error: str
    error_at: datetime | None
    subscribed_at: datetime | None
    subscribe_error: str
    last_hook_at: datetime | None
    wanted_waiting: int
    wanted_dead: int
    #: Why the latest of the dead ones was given up.
    wanted_error: str
    streams: tuple[StreamHealth, ...]


def health(tenant_id: int, connection_id: int) -> Health:
    """Raises NotFound where it is not at work."""
    with tenant_session(tenant_id) as session:
        found = _links(session, tenant_id, connection_id)
        if not found:
            raise NotFound("connection")
        return found[0]


def list_links(tenant_id: int) -> list[Health]:
    """All that are at work, oldest first."""
    with tenant_session(tenant_id) as session:
        return _links(session, tenant_id, None)


def _links(session: Session, tenant_id: int, connection_id: int | None) -> list[Health]:
    def of(query: Any, table: Any) -> Any:
        query = query.where(table.tenant_id == tenant_id)
        return query if connection_id is None else query.where(table.connection_id == connection_id)

    rows = session.execute(
        of(
            select(LinkRow, Connection.state, Connection.error).join(
                Connection, (Connection.tenant_id == tenant_id) & (Connection.id == LinkRow.connection_id)
            ),
            LinkRow,
        ).order_by(LinkRow.connection_id)
    ).all()
    streams: dict[int, list[StreamRow]] = {}
    for stream in session.scalars(of(select(StreamRow), StreamRow)):
        streams.setdefault(stream.connection_id, []).append(stream)
    dead = func.count().filter(Wanted.due_at.is_(None))
    wanted = {
        row.connection_id: row
        for row in session.execute(
            of(
                select(
                    Wanted.connection_id,
                    func.count().label("all"),
                    dead.label("dead"),
                    func.max(Wanted.error).filter(Wanted.due_at.is_(None)).label("error"),
                ),
                Wanted,
            ).group_by(Wanted.connection_id)
        )
    }
    now = datetime.now(UTC)
    return [
        _health(link, state, error, streams.get(link.connection_id, []), wanted.get(link.connection_id), now)
        for link, state, error in rows
    ]


def _health(link: LinkRow, state: State, error: str, streams: list[StreamRow], wanted: Any, now: datetime) -> Health:
    titles = _titles(link.plugin)
    order = list(titles)
    shown = sorted(streams, key=lambda row: (order.index(row.name) if row.name in titles else len(order), row.name))
    return Health(
        connection_id=link.connection_id,
        plugin=link.plugin,
        account=link.account,
        source_id=link.source_id,
        state=state,
        reconnect_reason=error,
        paused_at=link.paused_at,
        failures=link.failures,
        failing_since=link.failing_since,
        left_alone_until=link.open_until,
        is_circuit_open=link.failures >= TOLERATED,
        error=link.error,
        error_at=link.error_at,
        subscribed_at=link.subscribed_at,
        subscribe_error=link.subscribe_error,
        last_hook_at=link.last_hook_at,
        wanted_waiting=wanted.all - wanted.dead if wanted else 0,
        wanted_dead=wanted.dead if wanted else 0,
        wanted_error=(wanted.error or "") if wanted else "",
        streams=tuple(_stream(row, titles.get(row.name, row.name), link, now) for row in shown),
    )


def _stream(row: StreamRow, title: str, link: LinkRow, now: datetime) -> StreamHealth:
    return StreamHealth(
        name=row.name,
        title=title,
        phase=_phase(row, link),
        records=row.records,
        total=row.total,
        loaded_at=row.loaded_at,
        last_run_at=row.last_run_at,
        last_success_at=row.last_success_at,
        newest_at=row.newest_at,
        lag=max(now - row.newest_at, timedelta(0)) if row.loaded_at and row.newest_at else None,
        next_run_at=row.due_at,
        failures=row.failures,
        error=row.error,
    )


def _phase(row: StreamRow, link: LinkRow) -> Phase:
    if link.paused_at is not None:
        return "paused"
    if row.due_at is None:
        return "left_out"
    if row.failures:
        return "failing"
    if row.loaded_at is not None:
        return "following"
    return "loading" if row.last_run_at is not None else "waiting"


def _titles(plugin: str) -> dict[str, str]:
    service = plugins.installed().services.get(plugin)
    return {stream.name: stream.title for stream in service.source.streams} if service and service.source else {}
