"""Connections in plugins' hands: whoever calls a vendor opens the connection's link, and nothing else::

with links.opened(tenant_id, connection_id) as link:
    link.http.get("/contacts")
"""

import hashlib
import secrets as randomness
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from assay import plugins
from assay.syncing import limiter as limiters
from assay.syncing import telling
from assay.syncing.models import LinkRow
from assay.syncing.vault import Draft, DraftNotebook, LinkNotebook, SealedVault
from assay_sdk import Http, Limiter, Link, Log, NeedsReconnect, Service, Tokens, egress
from assay_tenants import connections
from assay_tenants.connections.models import Connection
from assay_tenants.database import tenant_session
from assay_tenants.errors import NotFound
from assay_tenants.mailing import current_post

#: Of a whole call.
DEADLINE = egress.DEADLINE
#: What the secret of a hook's address is called among a connection's credentials.
HOOK_TOKEN = "hook_token"  # noqa: S105 # a name
TOKEN_BYTES = 32


class PluginMissing(NotFound):
    """Its plugin was there once."""

    code = "plugin_missing"

    def __init__(self, plugin: str) -> None:
        super().__init__("plugin")
        self.message = f"The plugin {plugin!r} is not installed. Install it, and this goes on by itself."
        self.args = (self.message,)


@dataclass(frozen=True)
class _Known:
    """What is read of a connection before its link is made."""

    plugin: str
    account: str
    settings: Mapping[str, Any]
    notes: Mapping[str, Any]
    tenant_id: int
    connection_id: int


def service_of(plugin: str) -> Service:
    """Raises PluginMissing."""
    service: Service | None = plugins.installed().services.get(plugin)
    if service is None:
        raise PluginMissing(plugin)
    return service


def hook_url(plugin: str, token: str) -> str:
    """Where the vendor posts to; ``token`` is empty for a vendor that posts to one address for all accounts."""
    address = f"{current_post().address}/hooks/{plugin}"
    return f"{address}/{token}" if token else address


def new_hook_token() -> str:
    """256 bits that nobody guesses, safe in an address."""
    return randomness.token_urlsafe(TOKEN_BYTES)


def hash_of(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="replace")).digest()


@contextmanager
def opened(
    tenant_id: int,
    connection_id: int,
    *,
    limiter: Limiter | None = None,
    before_call: Callable[[], None] = lambda: None,
) -> Iterator[Link]:
    """A connection's link. Holds nothing of the database between calls; ``before_call`` is done before each of them,
    and before anything is kept: whoever is not to go on raises there.

    A NeedsReconnect that leaves the block marks the connection, and its people are told once. Raises NeedsReconnect
    at once where that is so already, NotFound, PluginMissing.
    """
    known = _known(tenant_id, connection_id)
    service = service_of(known.plugin)
    vault = SealedVault(tenant_id, connection_id, before_call=before_call)
    notebook = LinkNotebook(tenant_id, connection_id, known.notes, before_write=before_call)
    link = _linked(service, known, vault, notebook, limiter)
    try:
        vault.read()
        yield link
    except NeedsReconnect as error:
        before_call()
        _mark(known, vault, error)
        raise
    finally:
        link.http.close()


def renewal_of(link: Link | None) -> int:
    """Which credentials it asked its vendor with last; 0: none, or those of what is no connection yet."""
    vault = link.vault if link is not None else None
    return vault.renewal if isinstance(vault, SealedVault) else 0


@contextmanager
def drafted(
    plugin: str,
    *,
    secrets: Mapping[str, Any],
    tokens: Tokens | None = None,
    settings: Mapping[str, Any] | None = None,
    limiter: Limiter | None = None,
) -> Iterator[tuple[Link, Draft]]:
    """A link of what is about to be connected, for ``Service.account``; the draft tells what is to be kept."""
    service, draft = service_of(plugin), Draft(secrets, tokens)
    known = _Known(plugin, "", settings or {}, {}, 0, 0)
    link = _linked(service, known, draft, DraftNotebook(draft), limiter)
    try:
        yield link, draft
    finally:
        link.http.close()


def _linked(
    service: Service,
    known: _Known,
    vault: SealedVault | Draft,
    notebook: LinkNotebook | DraftNotebook,
    limiter: Limiter | None,
) -> Link:
    name = f"{known.tenant_id}-{known.connection_id}"
    link = Link(
        id=name,
        account=known.account,
        settings=known.settings,
        app=plugins.app_settings(service),
        vault=vault,
        notebook=notebook,
        log=Log(f"assay.plugin.{known.plugin}", tenant_id=known.tenant_id, connection_id=known.connection_id),
        address=current_post().address,
    )
    client = egress.client(headers={"User-Agent": "Assay"}, deadline=DEADLINE)
    link.http = Http(service, link, limiter or limiters.current(), client=client)
    return link


def _known(tenant_id: int, connection_id: int) -> _Known:
    with tenant_session(tenant_id) as session:
        row = session.execute(
            select(Connection.plugin, Connection.account, Connection.settings, LinkRow.account, LinkRow.notes)
            .outerjoin(LinkRow, (LinkRow.tenant_id == Connection.tenant_id) & (LinkRow.connection_id == Connection.id))
            .where(Connection.tenant_id == tenant_id, Connection.id == connection_id)
        ).one_or_none()
    if row is None:
        raise NotFound("connection")
    return _Known(row[0], row[3] or row[1], row[2], row[4] or {}, tenant_id, connection_id)


def _mark(known: _Known, vault: SealedVault, error: NeedsReconnect) -> None:
    """Marks it unless somebody has connected it anew meanwhile; whoever renews has marked it already."""
    if vault.renewal:
        connections.needs_reconnect(known.tenant_id, known.connection_id, error.reason, since=vault.renewal)
    telling.tell_of_reconnect(known.tenant_id, known.connection_id)
