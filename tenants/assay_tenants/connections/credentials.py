"""Credentials at work: read, renewed by one at a time, replaced.

Many services take a refresh token once. So whoever renews holds the row until the new credentials are committed, and
uses them only then; all others wait, and find them::

    held = credentials_of(tenant_id, connection_id)
    with refreshing(tenant_id, connection_id, since=held.renewal) as refresh:
        if refresh.is_due:
            answer = ask_for_new_ones(refresh.held.values)
            refresh.replace(answer, expires_at=...)
    credentials = refresh.now
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import text, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from assay_tenants import audit
from assay_tenants.connections.models import Connection, State
from assay_tenants.connections.sealed import opened, sealed_for
from assay_tenants.connections.service import Changed, locked
from assay_tenants.database import tenant_session
from assay_tenants.errors import AssayError, Conflict, NotFound

log = structlog.get_logger()

#: Longer than a call may take, so that who waits is still there when it ends.
PATIENCE = timedelta(seconds=30)
_TRIES = 3
_LOCK_NOT_AVAILABLE = "55P03"


class NoCredentials(Conflict):
    """It was disconnected, or has to be connected anew by a person."""

    code = "not_connected"

    def __init__(self, state: State) -> None:
        self.state = state
        super().__init__(
            "This connection has been disconnected."
            if state == "disconnected"
            else "This connection has to be connected anew: the other service no longer accepts what it was given."
        )


class RefreshUnderWay(AssayError):
    """Somebody has been renewing the credentials for longer than is waited for. Try later."""

    status = 503
    code = "refresh_under_way"

    def __init__(self) -> None:
        super().__init__("The connection's credentials are being renewed at this moment. Try again in a minute.")


@dataclass(frozen=True, repr=False)
class Credentials:
    values: Mapping[str, Any]
    #: Which ones they are: grows by one with each renewal.
    renewal: int
    expires_at: datetime | None

    def __repr__(self) -> str:
        return f"Credentials(renewal={self.renewal}, expires_at={self.expires_at})"


def credentials_of(tenant_id: int, connection_id: int) -> Credentials:
    """What to call the other service with. Raises NotFound, NoCredentials, SealingError."""
    with tenant_session(tenant_id) as session:
        row = session.get(Connection, (tenant_id, connection_id))
        if row is None:
            raise NotFound("connection")
        return _held(row)


class Refresh:
    """One holder's turn at a connection's credentials."""

    def __init__(self, held: Credentials, *, is_due: bool) -> None:
        #: What the connection has while this turn lasts.
        self.held = held
        #: False when somebody renewed them while this one waited for its turn: then nothing is to be asked for.
        self.is_due = is_due
        self._new: tuple[Mapping[str, Any], datetime | None] | None = None
        self._refused = ""
        self._now: Credentials | None = None

    def replace(self, values: Mapping[str, Any], *, expires_at: datetime | None = None) -> None:
        """To be committed at the end of the turn."""
        self._new = (values, expires_at)

    def refuse(self, error: str) -> None:
        """The other service takes the old ones no more: a person has to connect anew, and reads ``error``."""
        self._refused = error or "The other service no longer accepts what it was given."

    @property
    def now(self) -> Credentials:
        """The credentials to use, once the turn is over and they are committed. Raises NoCredentials when refused."""
        if self._now is None:
            if self._refused:
                raise NoCredentials("needs_reconnect")
            raise RuntimeError("New credentials may be used only when they are committed: after the with block.")
        return self._now


@contextmanager
def refreshing(tenant_id: int, connection_id: int, *, since: int | None = None) -> Iterator[Refresh]:
    """This one's turn to renew; waits for others' turns to end.

    Args:
        since: the ``renewal`` of the credentials that turned out to be too old; without it they are always due.

    Any error leaves the connection as it was. Raises NotFound, NoCredentials, RefreshUnderWay, SealingError.
    """
    refresh: Refresh | None = None
    try:
        with tenant_session(tenant_id) as session:
            row = _wait_for(session, tenant_id, connection_id)
            held = _held(row)
            refresh = Refresh(held, is_due=since is None or held.renewal == since)
            yield refresh
            _write(session, tenant_id, row, refresh)
    except OperationalError as error:
        if refresh is None or refresh._new is None:
            raise
        # The old ones are spent and the new ones known to nobody else: a database that blinks must not lose them.
        log.warning("connection.kept_late", tenant_id=tenant_id, connection_id=connection_id, error=str(error.orig))
        _keep_late(tenant_id, connection_id, refresh)
    if not refresh._refused:
        values, expires_at = refresh._new or (refresh.held.values, refresh.held.expires_at)
        refresh._now = Credentials(values, refresh.held.renewal + (refresh._new is not None), expires_at)


def replace_credentials(
    tenant_id: int,
    connection_id: int,
    values: Mapping[str, Any],
    *,
    expires_at: datetime | None = None,
    version: int | None = None,
) -> None:
    """A person has connected anew. Raises Changed when ``version`` is given and no longer the one that it has."""
    with tenant_session(tenant_id) as session:
        row = locked(session, tenant_id, connection_id)
        if version is not None and row.version != version:
            raise Changed
        before = {"state": row.state, "error": row.error}
        row.credentials = sealed_for(tenant_id, connection_id, values)
        row.state, row.error, row.expires_at = "connected", "", expires_at
        row.renewal += 1
        row.version += 1
        row.updated_at = datetime.now(UTC)
        audit.record(
            session, tenant_id, "connection.reconnected", connection_id, before=before, after={"state": "connected"}
        )


def add_credentials(tenant_id: int, connection_id: int, values: Mapping[str, Any]) -> None:
    """Puts further ones beside those that it has; None takes one away. Waits for whoever renews them right now.

    They stay the same renewal: who asks for new tokens afterwards must not take them for renewed.
    Raises NotFound, NoCredentials, RefreshUnderWay, SealingError.
    """
    with tenant_session(tenant_id) as session:
        row = _wait_for(session, tenant_id, connection_id)
        held = _held(row).values
        merged = {name: value for name, value in {**held, **values}.items() if value is not None}
        if merged != held:
            row.credentials = sealed_for(tenant_id, connection_id, merged)
            row.updated_at = datetime.now(UTC)


def needs_reconnect(tenant_id: int, connection_id: int, error: str, *, since: int) -> bool:
    """The other service refused the credentials of renewal ``since``; tells whether they are still the ones it has."""
    with tenant_session(tenant_id) as session:
        row = locked(session, tenant_id, connection_id)
        if row.renewal != since or row.state != "connected":
            return False
        _mark(session, tenant_id, row, error)
        return True


def _wait_for(session: Session, tenant_id: int, connection_id: int) -> Connection:
    session.execute(text(f"SET LOCAL lock_timeout = '{int(PATIENCE.total_seconds() * 1000)}ms'"))
    try:
        return locked(session, tenant_id, connection_id)
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", None) == _LOCK_NOT_AVAILABLE:
            raise RefreshUnderWay from None
        raise


def _write(session: Session, tenant_id: int, row: Connection, refresh: Refresh) -> None:
    if refresh._refused:
        _mark(session, tenant_id, row, refresh._refused)
    elif refresh._new is not None:
        values, expires_at = refresh._new
        row.credentials = sealed_for(tenant_id, row.id, values)
        row.expires_at, row.error, row.state = expires_at, "", "connected"
        row.renewal += 1
        row.updated_at = datetime.now(UTC)


def _mark(session: Session, tenant_id: int, row: Connection, error: str) -> None:
    before = {"state": row.state}
    row.state, row.error, row.updated_at = "needs_reconnect", error, datetime.now(UTC)
    row.version += 1
    audit.record(
        session,
        tenant_id,
        "connection.refused",
        row.id,
        before=before,
        after={"state": "needs_reconnect", "error": error},
    )


def _keep_late(tenant_id: int, connection_id: int, refresh: Refresh) -> None:
    values, expires_at = refresh._new or ({}, None)
    sealed = sealed_for(tenant_id, connection_id, values)
    for left in reversed(range(_TRIES)):
        try:
            with tenant_session(tenant_id) as session:
                session.execute(
                    update(Connection)
                    .where(
                        Connection.tenant_id == tenant_id,
                        Connection.id == connection_id,
                        # Did the commit arrive after all, or did somebody connect anew: theirs stay.
                        Connection.renewal == refresh.held.renewal,
                        Connection.state != "disconnected",
                    )
                    .values(
                        credentials=sealed,
                        expires_at=expires_at,
                        state="connected",
                        error="",
                        renewal=refresh.held.renewal + 1,
                        updated_at=datetime.now(UTC),
                    )
                )
        except OperationalError:
            if not left:
                raise
        else:
            return


def _held(row: Connection) -> Credentials:
    if row.state != "connected" or row.credentials is None:
        raise NoCredentials(row.state)
    return Credentials(opened(row.tenant_id, row.id, row.credentials), row.renewal, row.expires_at)
