"""What is done with a connection at work: by people, and by whoever connects and disconnects it."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import delete, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from assay import facts, plugins
from assay.syncing import circuits, fetching, leases, links, routes, vault
from assay.syncing.models import LinkRow, StreamRow
from assay_sdk import Link, NeedsReconnect, OAuth, PluginError, Service, Source, egress
from assay_tenants import audit, connections
from assay_tenants.connections.models import Connection
from assay_tenants.database import after_commit, tenant_session
from assay_tenants.errors import NotFound
from assay_tenants.models import Source as SourceRow

#: A name of a source.
NAME_LENGTH = 80
NOT_GRANTED = "Not read: the permission {scope} was not granted. Connect again and allow it."

_ROUTE = text("""
    INSERT INTO tenancy.hook_routes (tenant_id, connection_id, plugin, account, token_hash, source_id)
    VALUES (:tenant_id, :connection_id, :plugin, :account, :token_hash, :source_id)
    ON CONFLICT (tenant_id, connection_id) DO UPDATE
       SET plugin = excluded.plugin, account = excluded.account, token_hash = excluded.token_hash,
           source_id = excluded.source_id
""")
_NO_ROUTE = text("DELETE FROM tenancy.hook_routes WHERE tenant_id = :tenant_id AND connection_id = :connection_id")
_WANTED_NOW = text("""
    UPDATE intake.wanted SET due_at = now(), leased_until = NULL
     WHERE tenant_id = :tenant_id AND connection_id = :connection_id AND due_at IS NOT NULL
""")
# What was given up, or tried one by one, was so with the access of before.
_WANTED_ANEW = text("""
    UPDATE intake.wanted SET due_at = now(), leased_until = NULL, attempts = 0, error = ''
     WHERE tenant_id = :tenant_id AND connection_id = :connection_id
""")
# Should we be interrupted, it goes on when this time is over.
_LEFT_ALONE = tuple(
    text(f"""
    UPDATE intake.{table} SET due_at = now() + CAST(:pause AS interval), leased_until = NULL
     WHERE tenant_id = :tenant_id AND connection_id = :connection_id AND due_at IS NOT NULL
    """)  # noqa: S608 # of constants
    for table in ("links", "streams", "wanted")
)


def establish(
    tenant_id: int,
    connection_id: int,
    plugin: str,
    account: str,
    *,
    title: str,
    hook_token: str,
    notes: Mapping[str, Any] | None = None,
) -> None:
    """A connection goes to work, or does so again: where it was before, it goes on. Twice is once.

    Raises PluginMissing, NotFound.
    """
    service = links.service_of(plugin)
    scopes = _scopes(tenant_id, connection_id)
    with tenant_session(tenant_id) as session:
        source_id = _source(session, tenant_id, connection_id, service, title)
        now = datetime.now(UTC)
        source = service.source
        due_at = now if source is not None and source.has_hooks else None
        values: dict[str, Any] = {
            "plugin": plugin,
            "account": account,
            "source_id": source_id,
            "paused_at": None,
            "failures": 0,
            "open_until": None,
            "failing_since": None,
            "told_at": None,
            "error": "",
            "error_at": None,
            "subscribe_error": "",
            "due_at": due_at,
            "leased_until": None,
        }
        whose = {"tenant_id": tenant_id, "connection_id": connection_id}
        session.execute(
            insert(LinkRow)
            .values(**whose, **values, notes={}, created_at=now)
            .on_conflict_do_update(index_elements=list(whose), set_=values)
        )
        if notes:
            vault.note(session, tenant_id, connection_id, notes)
        token_hash = hashlib.sha256(hook_token.encode()).digest() if hook_token else b""
        session.execute(
            _ROUTE, {**whose, "plugin": plugin, "account": account, "token_hash": token_hash, "source_id": source_id}
        )
        for stream in source.streams if source is not None else ():
            _establish_stream(session, whose, stream.name, _missing(stream.scope, scopes), now)
        session.execute(_WANTED_ANEW, whose)
        after_commit(session, lambda: facts.tell(facts.SyncDue(tenant_id)))


def pause(tenant_id: int, connection_id: int) -> None:
    """Brings in nothing until it is resumed; what the vendor posts is still kept."""
    with tenant_session(tenant_id) as session:
        link = _locked(session, tenant_id, connection_id)
        if link.paused_at is not None:
            return
        link.paused_at = datetime.now(UTC)
        # Whoever is at it has lost their lease, and writes nothing more.
        session.execute(_streams(tenant_id, connection_id).values(due_at=None, leased_until=None))
        audit.record(session, tenant_id, "connection.paused", connection_id)


def resume(tenant_id: int, connection_id: int) -> None:
    """Goes on where it was."""
    with tenant_session(tenant_id) as session:
        link = _locked(session, tenant_id, connection_id)
        if link.paused_at is None:
            return
        link.paused_at, link.open_until = None, None
        if link.due_at is not None and link.leased_until is None:
            # Put off while it was paused.
            link.due_at = datetime.now(UTC)
        _make_due(session, tenant_id, connection_id, link)
        circuits.tell_going_on(session, tenant_id, connection_id)
        audit.record(session, tenant_id, "connection.resumed", connection_id)


def sync_now(tenant_id: int, connection_id: int) -> None:
    """Looks at once, whatever the timetable says; not while it is paused, and not while its vendor asked us to wait."""
    with tenant_session(tenant_id) as session:
        link = _locked(session, tenant_id, connection_id)
        if link.paused_at is None:
            if link.failures:
                link.open_until = None
                circuits.tell_going_on(session, tenant_id, connection_id)
            _make_due(session, tenant_id, connection_id, link)
            audit.record(session, tenant_id, "connection.synced", connection_id)


def reload(tenant_id: int, connection_id: int, stream: str) -> None:
    """The first load once more: what is known already is recognised by its ids, and changes nothing.

    Raises NotFound.
    """
    with tenant_session(tenant_id) as session:
        link = _locked(session, tenant_id, connection_id)
        row = session.scalars(
            select(StreamRow)
            .where(
                StreamRow.tenant_id == tenant_id,
                StreamRow.connection_id == connection_id,
                StreamRow.name == stream,
            )
            .with_for_update()
        ).one_or_none()
        if row is None:
            raise NotFound("stream")
        row.cursor, row.loaded_at, row.records, row.total, row.newest_at = None, None, 0, None, None
        row.leased_until = None
        if link.paused_at is None and row.due_at is not None:
            row.due_at = datetime.now(UTC)
        audit.record(session, tenant_id, "connection.reloaded", connection_id, after={"stream": stream})
        after_commit(session, lambda: facts.tell(facts.SyncDue(tenant_id)))


def retry_dead(tenant_id: int, connection_id: int) -> int:
    """Has records tried again that were given up; tells how many there are."""
    with tenant_session(tenant_id) as session:
        _locked(session, tenant_id, connection_id)
        revived = fetching.retry_dead(session, tenant_id, connection_id)
        if revived:
            audit.record(session, tenant_id, "connection.retried", connection_id, after={"records": revived})
        return revived


def leave_alone(tenant_id: int, connection_id: int) -> None:
    """Nobody begins anything for a while, and whoever is at it asks no more: somebody is about to end it."""
    with tenant_session(tenant_id) as session:
        for statement in _LEFT_ALONE:
            session.execute(statement, {"tenant_id": tenant_id, "connection_id": connection_id, "pause": leases.LEASE})


def farewell(tenant_id: int, connection_id: int) -> list[str]:
    """Tells the vendor that we are gone, as well as that goes; what did not work, in words."""
    failed = []
    try:
        with links.opened(tenant_id, connection_id) as link:
            service = plugins.installed().services[_plugin(tenant_id, connection_id)]
            acts = []
            # Some vendors take the app out of the whole account, where others may go on using it; and what is posted to
            # one address for all is for others of the account too.
            shared = routes.has_others(tenant_id, connection_id, service.name, link.account)
            if not shared or service.source is None or not service.source.shared_address:
                acts.append(("stop its notices", _unsubscribe))
            if not shared:
                acts.append(("take our access back", _revoke))
            for what, act in acts:
                try:
                    act(service, link)
                except NeedsReconnect:
                    failed.append(f"{service.title} could not be asked to {what}: it takes our access no more.")
                except PluginError as error:
                    failed.append(f"{service.title} could not be asked to {what}: {error}")
                except Exception as error:  # noqa: BLE001 # whatever a plugin does, people may disconnect
                    link.log.warning("farewell.failed", error=error)
                    failed.append(f"{service.title} could not be asked to {what} ({type(error).__name__}).")
    except NeedsReconnect:
        failed.append("The vendor could not be told: it takes our access no more.")
    except (NotFound, KeyError):
        failed.append("The vendor could not be told: its plugin is not installed.")
    return failed


def end(tenant_id: int, connection_id: int) -> None:
    """It is at work no more; its source and what it brought stay. Twice is once."""
    with tenant_session(tenant_id) as session:
        session.execute(_NO_ROUTE, {"tenant_id": tenant_id, "connection_id": connection_id})
        session.execute(delete(LinkRow).where(LinkRow.tenant_id == tenant_id, LinkRow.connection_id == connection_id))


def _unsubscribe(service: Service, link: Link) -> None:
    if service.source is not None:
        service.source.unsubscribe(link)


def _revoke(service: Service, link: Link) -> None:
    if isinstance(service.auth, OAuth):
        with egress.client(deadline=links.DEADLINE) as http:
            service.auth.revoke(http, link.app, link.secrets)


def _plugin(tenant_id: int, connection_id: int) -> str:
    return connections.get_connection(tenant_id, connection_id).plugin


def _scopes(tenant_id: int, connection_id: int) -> frozenset[str]:
    try:
        held = connections.credentials_of(tenant_id, connection_id).values
    except connections.NoCredentials:
        return frozenset()
    return frozenset(str(scope) for scope in held.get("scopes") or ())


def _missing(scope: str | None, granted: frozenset[str]) -> str | None:
    """The scope that a stream lacks; a vendor that does not tell what it granted is believed to have granted all."""
    return scope if scope is not None and granted and scope not in granted else None


def _establish_stream(
    session: Session, whose: Mapping[str, int], name: str, missing: str | None, now: datetime
) -> None:
    values = {
        "error": NOT_GRANTED.format(scope=missing) if missing else "",
        "failures": 0,
        "due_at": None if missing else now,
        "leased_until": None,
    }
    session.execute(
        insert(StreamRow)
        .values(**whose, name=name, **values)
        .on_conflict_do_update(index_elements=[*whose, "name"], set_=values)
    )


def _source(session: Session, tenant_id: int, connection_id: int, service: Service, title: str) -> int:
    """The connection's own source: the same as before, if it had one."""
    found = session.scalars(
        select(SourceRow.id).where(SourceRow.tenant_id == tenant_id, SourceRow.connection_id == connection_id)
    ).one_or_none()
    if found is not None:
        return found
    if session.get(Connection, (tenant_id, connection_id)) is None:
        raise NotFound("connection")
    name = f"{service.title} · {title}" if title else service.title
    taken = set(session.scalars(select(SourceRow.name).where(SourceRow.tenant_id == tenant_id)))
    name = name[:NAME_LENGTH]
    if name in taken:
        ending = f" ({connection_id})"
        name = name[: NAME_LENGTH - len(ending)] + ending
    made: int = session.execute(
        insert(SourceRow)
        .values(
            tenant_id=tenant_id,
            name=name,
            plugin=_reader(service.source, service),
            created_at=datetime.now(UTC),
            connection_id=connection_id,
        )
        .returning(SourceRow.id)
    ).scalar_one()
    return made


def _reader(source: Source | None, service: Service) -> str:
    return source.name if source is not None else service.name


def _locked(session: Session, tenant_id: int, connection_id: int) -> LinkRow:
    link = session.scalars(
        select(LinkRow).where(LinkRow.tenant_id == tenant_id, LinkRow.connection_id == connection_id).with_for_update()
    ).one_or_none()
    if link is None:
        raise NotFound("connection")
    return link


def _streams(tenant_id: int, connection_id: int) -> Any:
    return update(StreamRow).where(StreamRow.tenant_id == tenant_id, StreamRow.connection_id == connection_id)


def _make_due(session: Session, tenant_id: int, connection_id: int, link: LinkRow) -> None:
    """All that may be read: not what lacks a permission, nor what somebody is at."""
    now = datetime.now(UTC)
    source = links.service_of(link.plugin).source
    scopes = _scopes(tenant_id, connection_id)
    names = [stream.name for stream in source.streams if not _missing(stream.scope, scopes)] if source else []
    session.execute(
        _streams(tenant_id, connection_id)
        .where(StreamRow.name.in_(names), (StreamRow.leased_until.is_(None)) | (StreamRow.leased_until < now))
        .values(due_at=now)
    )
    session.execute(_WANTED_NOW, {"tenant_id": tenant_id, "connection_id": connection_id})
    after_commit(session, lambda: facts.tell(facts.SyncDue(tenant_id)))
