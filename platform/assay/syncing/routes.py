"""Whose a posted request is: by the account that it names, or by the secret in its address; remembered for seconds."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text

from assay.intake.remembering import Memory
from assay.syncing.links import hash_of
from assay_tenants import connections
from assay_tenants.database import directory_session

_BY_TOKEN = text("""
    SELECT tenant_id, connection_id, plugin, account, source_id FROM tenancy.hook_routes
     WHERE token_hash = :token_hash AND plugin = :plugin
""")
_BY_ACCOUNT = text("""
    SELECT tenant_id, connection_id, plugin, account, source_id FROM tenancy.hook_routes
     WHERE plugin = :plugin AND account = :account ORDER BY tenant_id, connection_id
""")

_OTHERS = text("""
    SELECT EXISTS (
        SELECT FROM tenancy.hook_routes
         WHERE plugin = :plugin AND account = :account
           AND (tenant_id, connection_id) <> (:tenant_id, :connection_id)
    )
""")


@dataclass(frozen=True)
class Route:
    tenant_id: int
    connection_id: int
    plugin: str
    account: str
    source_id: int


def has_others(tenant_id: int, connection_id: int, plugin: str, account: str) -> bool:
    """Whether somebody else has connected the same account too."""
    asked = {"tenant_id": tenant_id, "connection_id": connection_id, "plugin": plugin, "account": account}
    with directory_session() as session:
        return bool(session.execute(_OTHERS, asked).scalar_one())


class Routes:
    """Raises what the database raises."""

    def __init__(self) -> None:
        self._routes: Memory[tuple[Route, ...]] = Memory()
        self._secrets: Memory[Mapping[str, Any] | None] = Memory()

    def by_token(self, plugin: str, token: str) -> Route | None:
        asked = {"plugin": plugin, "token_hash": hash_of(token)}
        found = self._routes.get(("token", plugin, asked["token_hash"]), lambda: _find(_BY_TOKEN, asked))
        return found[0] if found else None

    def by_account(self, plugin: str, account: str) -> tuple[Route, ...]:
        """Every connection of the account: several tenants may have connected the same one."""
        asked = {"plugin": plugin, "account": account}
        return self._routes.get(("account", plugin, account), lambda: _find(_BY_ACCOUNT, asked))

    def secrets(self, route: Route) -> Mapping[str, Any] | None:
        """None while it has to be connected anew."""

        def look() -> Mapping[str, Any] | None:
            try:
                return connections.credentials_of(route.tenant_id, route.connection_id).values
            except connections.NoCredentials:
                return None

        return self._secrets.get((route.tenant_id, route.connection_id), look)

    def forget(self) -> None:
        self._routes.forget()
        self._secrets.forget()


def _find(query: Any, asked: Mapping[str, Any]) -> tuple[Route, ...]:
    with directory_session() as session:
        return tuple(
            Route(row.tenant_id, row.connection_id, row.plugin, row.account, row.source_id)
            for row in session.execute(query, asked)
        )
