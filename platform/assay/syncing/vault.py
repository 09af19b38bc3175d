"""A connection's secrets and notes as a plugin sees them: in the database, the secrets sealed."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from threading import Lock
from time import monotonic
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from assay.syncing.models import LinkRow
from assay_sdk import Held, NeedsReconnect, Tokens, TryLater
from assay_tenants import connections
from assay_tenants.database import tenant_session

# Secrets that were read are believed for this long: somebody who disconnects waits no longer for it to hold everywhere.
BELIEVED = timedelta(seconds=4)


class SealedVault:
    """Of one connection, for one piece of work."""

    def __init__(self, tenant_id: int, connection_id: int, *, before_call: Callable[[], None] = lambda: None) -> None:
        """``before_call`` is done before each call to the vendor, for which the secrets are read, and before others
        are kept."""
        self._tenant_id = tenant_id
        self._connection_id = connection_id
        self._before_call = before_call
        self._held: Held | None = None
        self._until = 0.0
        self._lock = Lock()

    @property
    def renewal(self) -> int:
        """Of the secrets that were read last; 0: none were."""
        return self._held.renewal if self._held else 0

    def read(self) -> Held:
        self._before_call()
        with self._lock:
            if self._held is None or monotonic() >= self._until:
                self._remember(self._read())
            assert self._held is not None  # noqa: S101 # just remembered
            return self._held

    def renew(self, since: int, ask: Callable[[Mapping[str, Any]], Tokens]) -> Held:
        """One at a time holds the connection's row, so that a refresh token is spent once and its answer is kept."""
        self._before_call()
        refused: NeedsReconnect | None = None
        try:
            with connections.refreshing(self._tenant_id, self._connection_id, since=since) as refresh:
                if refresh.is_due:
                    try:
                        tokens = ask(refresh.held.values)
                    except NeedsReconnect as error:
                        refused = error
                        refresh.refuse(error.reason)
                    else:
                        refresh.replace({**refresh.held.values, **tokens.secrets()}, expires_at=tokens.expires_at)
        except connections.NoCredentials as error:
            raise NeedsReconnect(error.message) from None
        except connections.RefreshUnderWay as error:
            raise TryLater(error.message, after=timedelta(seconds=30), overloaded=True) from None
        except OperationalError:
            # The row was let go by a database that blinked: whoever held it next may have renewed them.
            held = self._read()
            if held.renewal == since:
                raise TryLater("The database did not answer while the access was being renewed.") from None
            return self._remember(held)
        if refused is not None:
            raise refused
        now = refresh.now
        return self._remember(Held(now.values, now.renewal, now.expires_at))

    def keep(self, values: Mapping[str, Any]) -> None:
        self._before_call()
        try:
            connections.add_credentials(self._tenant_id, self._connection_id, values)
        except connections.NoCredentials as error:
            raise NeedsReconnect(error.message) from None
        except connections.RefreshUnderWay as error:
            raise TryLater(error.message) from None
        with self._lock:
            self._until = 0.0

    def _read(self) -> Held:
        try:
            found = connections.credentials_of(self._tenant_id, self._connection_id)
        except connections.NoCredentials as error:
            raise NeedsReconnect(error.message) from None
        return Held(found.values, found.renewal, found.expires_at)

    def _remember(self, held: Held) -> Held:
        self._held, self._until = held, monotonic() + BELIEVED.total_seconds()
        return held


class LinkNotebook:
    """Notes in the link's row."""

    def __init__(
        self,
        tenant_id: int,
        connection_id: int,
        notes: Mapping[str, Any],
        *,
        before_write: Callable[[], None] = lambda: None,
    ) -> None:
        self._tenant_id = tenant_id
        self._connection_id = connection_id
        self._notes = dict(notes)
        self._before_write = before_write

    def read(self) -> Mapping[str, Any]:
        return dict(self._notes)

    def write(self, values: Mapping[str, Any]) -> None:
        self._before_write()
        with tenant_session(self._tenant_id) as session:
            self._notes = note(session, self._tenant_id, self._connection_id, values)


def note(session: Session, tenant_id: int, connection_id: int, values: Mapping[str, Any]) -> dict[str, Any]:
    """Puts notes over those that are there; None takes one away. Gives all of them."""
    link = session.scalars(
        select(LinkRow)
        .where(LinkRow.tenant_id == tenant_id, LinkRow.connection_id == connection_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    ).one_or_none()
    before = {} if link is None else link.notes
    notes = {name: value for name, value in {**before, **values}.items() if value is not None}
    if link is not None and notes != before:
        link.notes = notes
    return notes


class Draft:
    """Secrets and notes of a connection that is not one yet: in memory, until it is known which account it is of."""

    def __init__(self, values: Mapping[str, Any], held: Tokens | None = None) -> None:
        self.values: dict[str, Any] = {**values, **(held.secrets() if held else {})}
        self.expires_at = held.expires_at if held else None
        self.notes: dict[str, Any] = {}
        self._renewal = 1

    def read(self) -> Held:
        return Held(dict(self.values), self._renewal, self.expires_at)

    def renew(self, since: int, ask: Callable[[Mapping[str, Any]], Tokens]) -> Held:
        if self._renewal == since:
            tokens = ask(dict(self.values))
            self.values |= tokens.secrets()
            self.expires_at = tokens.expires_at
            self._renewal += 1
        return self.read()

    def keep(self, values: Mapping[str, Any]) -> None:
        self.values = {name: value for name, value in {**self.values, **values}.items() if value is not None}


class DraftNotebook:
    def __init__(self, draft: Draft) -> None:
        self._draft = draft

    def read(self) -> Mapping[str, Any]:
        return dict(self._draft.notes)

    def write(self, values: Mapping[str, Any]) -> None:
        notes = {**self._draft.notes, **values}
        self._draft.notes = {name: value for name, value in notes.items() if value is not None}
