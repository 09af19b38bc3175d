"""A tenant's connection to a vendor that is served on this machine."""

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from assay import plugins
from assay.syncing import jobs, limiter, links, service
from assay_sdk import LocalLimiter, egress
from assay_sdk.testing import running
from assay_tenants import connections
from assay_tenants.access.service import SignedUp
from assay_tenants.database import tenant_session
from tests.vendors.quarry import Gravel, Quarry, QuarrySimulator


@pytest.fixture
def vendor() -> Iterator[QuarrySimulator]:
    simulator = QuarrySimulator()
    with running(simulator):
        yield simulator


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch, vendor: QuarrySimulator) -> Iterator[Any]:
    """Quarry and Gravel as if they were installed, and nothing between this process and the vendor."""
    found = plugins.Plugins()
    services = {"quarry": Quarry(), "gravel": Gravel()}
    monkeypatch.setattr(found, "services", services, raising=False)
    for each in services.values():
        found.sources[each.name] = each.source
    found.sources |= plugins.installed().sources
    settings = vendor.app_settings()
    monkeypatch.setattr(plugins, "installed", lambda: found)
    monkeypatch.setattr(plugins, "app_settings", lambda _: dict(settings), raising=False)
    monkeypatch.setattr(limiter, "_current", LocalLimiter())
    monkeypatch.setattr("assay_sdk.http.BACKOFF", timedelta(seconds=0.01))
    egress.configure(["127.0.0.1"])
    yield settings
    egress.configure([])


class Connected:
    """A connection at work, and what is in its rows."""

    def __init__(self, tenant_id: int, connection_id: int, grant: Any) -> None:
        self.tenant_id = tenant_id
        self.id = connection_id
        self.grant = grant

    @property
    def key(self) -> tuple[int, int]:
        return self.tenant_id, self.id

    def one(self, query: str, **values: Any) -> Any:
        with tenant_session(self.tenant_id) as session:
            return session.execute(text(query), {"t": self.tenant_id, "c": self.id, **values}).one()

    def value(self, query: str, **values: Any) -> Any:
        return self.one(query, **values)[0]

    def do(self, statement: str, **values: Any) -> None:
        with tenant_session(self.tenant_id) as session:
            session.execute(text(statement), {"t": self.tenant_id, "c": self.id, **values})

    def stream(self, name: str = "stones") -> Any:
        return self.one(
            "SELECT * FROM intake.streams WHERE tenant_id = :t AND connection_id = :c AND name = :name", name=name
        )

    def link(self) -> Any:
        return self.one("SELECT * FROM intake.links WHERE tenant_id = :t AND connection_id = :c")

    def make_due(self, name: str = "stones") -> None:
        self.do(
            "UPDATE intake.streams SET due_at = now(), leased_until = NULL"
            " WHERE tenant_id = :t AND connection_id = :c AND name = :name",
            name=name,
        )

    def pass_time(self) -> None:
        """Whatever is waited for is over."""
        for table in ("links", "streams", "wanted"):
            self.do(
                f"UPDATE intake.{table} SET due_at = now() WHERE tenant_id = :t AND connection_id = :c"
                " AND due_at IS NOT NULL"
            )
        self.do(
            "UPDATE intake.links SET open_until = now() WHERE tenant_id = :t AND connection_id = :c"
            " AND open_until IS NOT NULL"
        )

    def work(self) -> int:
        """All that is due, here and now."""
        rows = 0
        while taken := jobs.drain_links(self.tenant_id):
            rows += taken
        return rows

    def messages(self, call: str) -> int:
        return int(self.value("SELECT count(*) FROM intake.messages WHERE tenant_id = :t AND call = :call", call=call))

    def ids(self, call: str = "pull/stones") -> list[int]:
        """Of all records that were kept, in their order, as often as they were."""
        query = "SELECT body FROM intake.messages WHERE tenant_id = :t AND call = :call ORDER BY received_at, id"
        with tenant_session(self.tenant_id) as session:
            bodies = session.scalars(text(query), {"t": self.tenant_id, "call": call}).all()
        return [record["id"] for body in bodies for record in json.loads(body)["records"]]


@pytest.fixture
def connect(make_tenant: Callable[[], SignedUp], vendor: QuarrySimulator) -> Callable[..., Connected]:
    def make(
        *,
        tenant_id: int | None = None,
        account: str = "",
        scopes: tuple[str, ...] = ("stones.read", "deals.read"),
        expires_at: datetime | None = None,
        token: str = "",
    ) -> Connected:
        grant = vendor.granted(account or uuid4().hex, scopes)
        whose = tenant_id if tenant_id is not None else make_tenant().tenant_id
        connection_id = connections.create(
            whose,
            plugin="quarry",
            name="Acme's quarry",
            account=grant.account,
            credentials={
                "access_token": grant.access_token,
                "refresh_token": grant.refresh_token,
                "scopes": list(scopes),
            },
            expires_at=expires_at or datetime.now(UTC) + timedelta(hours=1),
        )
        service.establish(whose, connection_id, "quarry", grant.account, title="Acme", hook_token=token)
        return Connected(whose, connection_id, grant)

    return make


@pytest.fixture
def connection(connect: Callable[..., Connected]) -> Connected:
    return connect()


@pytest.fixture
def connect_gravel(make_tenant: Callable[[], SignedUp], vendor: QuarrySimulator) -> Callable[..., Any]:
    """With the token of its address."""

    def make(*, host: str = "", tenant_id: int | None = None, **secrets: str) -> tuple[Connected, str]:
        grant = vendor.granted()
        whose = tenant_id if tenant_id is not None else make_tenant().tenant_id
        token = links.new_hook_token()
        connection_id = connections.create(
            whose,
            plugin="gravel",
            name="Acme's gravel",
            credentials={"key": grant.access_token, links.HOOK_TOKEN: token, **secrets},
            settings={"host": host or vendor.address},
        )
        service.establish(whose, connection_id, "gravel", "", title="Acme", hook_token=token)
        return Connected(whose, connection_id, grant), token

    return make


@pytest.fixture
def dies() -> Callable[[Callable[[], Any]], None]:
    """Does something that ends in the middle."""

    def do(action: Callable[[], Any]) -> None:
        with suppress(KeyboardInterrupt):
            action()

    return do
