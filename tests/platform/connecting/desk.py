"""Installs the small service of these tests into this process, led to its stand-in over real HTTP."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from sqlalchemy import insert, text

from assay import plugins
from assay.delivery.models import Push
from assay_sdk import Service, egress
from assay_sdk.testing import running
from assay_tenants.audit.queries import Wanted, list_entries
from assay_tenants.database import tenant_session
from tests.platform.connecting.acme import Acme, AcmeSimulator, Keyed, Named, Posted, Told

CALLBACK = "http://localhost/connections/callback/acme"
FORM = {"folder": "Sales"}


@contextmanager
def acme_installed(patch: pytest.MonkeyPatch, **options: Any) -> Iterator[AcmeSimulator]:
    """The stand-in, running; the services ``acme``, ``keyed`` and ``posted`` for as long."""
    have, stand_in = plugins.installed(), AcmeSimulator(**options)
    services: dict[str, Service] = {each.name: each for each in (Acme(), Keyed(), Named(), Posted(), Told())}
    sources = {service.source.name: service.source for service in services.values() if service.source}
    patch.setattr(have, "services", {**have.services, **services})
    patch.setattr(have, "sources", {**have.sources, **sources})
    egress.configure(["127.0.0.1"])
    try:
        with running(stand_in):
            set_up(patch, stand_in.app_settings())
            yield stand_in
    finally:
        egress.configure([])


def set_up(patch: pytest.MonkeyPatch, settings: Mapping[str, str]) -> None:
    """Makes these the installation's settings of ``acme``, and of those that are led to the same stand-in."""
    for service in ("ACME", "KEYED"):
        for name, value in settings.items():
            patch.setenv(f"ASSAY_PLUGIN_{service}_{name.upper()}", value)


def answer_at(url: str, *, account: str = "a1", deny: bool = False) -> dict[str, str]:
    """What a person's browser comes back with, after they have seen the consent page and pressed a button."""
    with httpx.Client(trust_env=False) as browser:
        browser.get(url).raise_for_status()
        back = browser.post(url, data={"deny": "yes"} if deny else {"account": account, "allow": "yes"})
    return dict(parse_qsl(urlsplit(back.headers["Location"]).query))


def refuse(tenant_id: int, connection_id: int, leads: list[int]) -> None:
    """The vendor took none of these leads' scores."""
    now = datetime.now(UTC)
    with tenant_session(tenant_id) as session:
        session.execute(text("DELETE FROM delivery.pushes WHERE tenant_id = :t"), {"t": tenant_id})
        for place, lead_id in enumerate(leads):
            session.execute(
                insert(Push).values(
                    tenant_id=tenant_id,
                    connection_id=connection_id,
                    lead_id=lead_id,
                    state="dead",
                    error="No such <b>field",
                    error_at=now + timedelta(seconds=place // 2),
                )
            )


def actions_of(tenant_id: int) -> list[str]:
    return [each.action for each in list_entries(tenant_id, Wanted()).items]


def rows_of(tenant_id: int) -> dict[str, int]:
    tables = (
        "tenancy.connections",
        "tenancy.connect_attempts",
        "tenancy.hook_routes",
        "intake.links",
        "intake.streams",
        "delivery.targets",
    )
    with tenant_session(tenant_id) as session:
        return {
            table: session.execute(
                text(f"SELECT count(*) FROM {table} WHERE tenant_id = :t"), {"t": tenant_id}
            ).scalar_one()
            for table in tables
        }


NOTHING = dict.fromkeys(
    (
        "tenancy.connections",
        "tenancy.connect_attempts",
        "tenancy.hook_routes",
        "intake.links",
        "intake.streams",
        "delivery.targets",
    ),
    0,
)
