"""Connects the demonstration's tenant to the stand-ins, by the way that a person's browser goes."""

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import structlog

from assay import plugins
from assay.connecting import service as connecting
from assay.demo import led
from assay.demo.account import Account
from assay_sdk import NoAuth, egress
from assay_tenants import connections
from assay_tenants.access import members

log = structlog.get_logger()


def connect_all(account: Account, data_dir: Path, address: str) -> list[str]:
    """Titles of what is connected now. The stand-ins forget all when they end, so each run connects them again."""
    [owner] = [member for member in members.list_members(account.tenant_id) if member.email == account.email]
    connected = []
    for name, stand_in in led.read(data_dir).items():
        service = plugins.installed().services[name]
        try:
            connection_id = _connect(account.tenant_id, owner.person_id, name, stand_in.form, address)
            _type_address(account.tenant_id, connection_id, name, stand_in.port)
        except Exception as error:  # noqa: BLE001 # one that can't be connected stops no other
            log.warning("demo.not_connected", service=name, error=f"{type(error).__name__}: {error}")
            continue
        connected.append(service.title)
    return connected


def _connect(tenant_id: int, person_id: int, name: str, form: Mapping[str, str], address: str) -> int:
    redirect_uri = f"{address}/connections/callback/{name}"
    again = _nameless(tenant_id, name)
    begun = connecting.begin(tenant_id, person_id, name, form, redirect_uri=redirect_uri, connection_id=again)
    if not begun.url:
        return begun.connection_id
    with egress.client() as browser:
        browser.get(begun.url).raise_for_status()
        back = browser.post(begun.url, data={"allow": "yes"})
    answer = dict(parse_qsl(urlsplit(back.headers.get("Location", "")).query))
    return connecting.finish(tenant_id, person_id, name, answer)


def _nameless(tenant_id: int, name: str) -> int | None:
    """The connection of a run before, of a service that can't tell one account from another: it would be made twice."""
    if not isinstance(plugins.installed().services[name].auth, NoAuth):
        return None
    have = (each.id for each in connections.list_connections(tenant_id) if each.plugin == name)
    return min(have, default=None)


def _type_address(tenant_id: int, connection_id: int, name: str, port: int) -> None:
    """Where the vendor has a page of its own for each account's webhooks, somebody has to fill it in."""
    source = plugins.installed().services[name].source
    if source is None or not source.has_hooks or source.shared_address:
        return
    address = connecting.show_address(tenant_id, connection_id)
    with egress.client() as browser:
        browser.post(f"http://127.0.0.1:{port}/stand-in/hooks", content=address)
