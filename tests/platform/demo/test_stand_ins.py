"""The demonstration's connections: made as by a browser, and made again when their stand-ins began anew."""

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from assay import plugins
from assay.demo import connections as demo
from assay.demo import led, stand_ins, traffic
from assay.demo.account import Account
from assay_tenants import connections
from assay_tenants.access import members
from assay_tenants.access.service import SignedUp
from tests.platform.connecting.acme import Acme, AcmeSimulator
from tests.platform.connecting.desk import FORM, acme_installed

AT = "http://localhost"


@pytest.fixture
def acme(connected: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[AcmeSimulator]:
    with acme_installed(monkeypatch) as stand_in:
        stand_in.redirect_uri = f"{AT}/connections/callback/acme"
        yield stand_in


def test_a_second_run_connects_the_same_again(tenant: SignedUp, acme: AcmeSimulator, tmp_path: Path) -> None:
    port = int(acme.address.rpartition(":")[2])
    led.write(tmp_path, {"acme": led.StandIn(port, {}, FORM), "told": led.StandIn(port, {}, {})})
    [owner] = members.list_members(tenant.tenant_id)
    account = Account(owner.email, "", "", tenant.tenant_id, since=datetime.now(UTC))
    for _ in range(2):
        assert demo.connect_all(account, tmp_path, AT) == ["Acme", "Told"]
    assert [each.plugin for each in connections.list_connections(tenant.tenant_id)] == ["acme", "told"]


def test_stand_ins_that_begin_anew_are_found_where_they_were(
    acme: AcmeSimulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All other processes hold the ports and secrets of those that were killed."""
    told: list[dict[str, led.StandIn]] = []
    monkeypatch.setattr(stand_ins, "wanted", lambda: [plugins.installed().services["acme"]])
    monkeypatch.setattr(stand_ins, "live", lambda *_: told.append(led.read(tmp_path)))
    monkeypatch.setattr(Acme, "simulator", "tests.platform.connecting.acme:AcmeSimulator")
    for _ in range(2):
        stand_ins.serve(tmp_path, address=AT, per_minute=0)
    assert told[0] == told[1]
    assert told[0]["acme"].environ["ASSAY_PLUGIN_ACME_CLIENT_SECRET"]


def test_whoever_trickles_connects_them_again_when_they_began_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    led.write(tmp_path, {})
    began = led.written_at(tmp_path)

    class Over(Exception):
        pass

    def begun_anew(_: str, arguments: list[str]) -> Any:
        raise Over(arguments)

    monkeypatch.setattr(os, "execv", begun_anew)
    traffic.connect_again_if_needed(tmp_path, began)
    time.sleep(0.01)
    led.write(tmp_path, {})
    with pytest.raises(Over, match="demo"):
        traffic.connect_again_if_needed(tmp_path, began)
