"""Who has work to do takes one connection at a time, however many have something waiting."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from assay.delivery import jobs, service
from assay.syncing import circuits
from assay.syncing import service as syncing
from assay_sdk import PluginError, Refused, TryLater
from assay_tenants import connections
from assay_tenants.database import tenant_session
from tests.platform.delivery.conftest import KEY, Scores

_LINK = text("""
    INSERT INTO intake.links (tenant_id, connection_id, plugin, account, source_id, notes, created_at)
    VALUES (:t, :c, 'crm', :a, 1, '{}', now())
""")
_DUE = text("UPDATE delivery.targets SET due_at = now(), leased_until = NULL WHERE tenant_id = :t")


@pytest.fixture
def several(house: Any) -> list[int]:
    """Connections of one tenant, all due."""
    made = [house.connection_id]
    for account in ("2", "3", "4"):
        connected = {"plugin": "crm", "name": "CRM", "credentials": {"key": "k"}, "account": account}
        made.append(connections.create(house.tenant_id, **connected))
        with tenant_session(house.tenant_id) as session:
            session.execute(_LINK, {"t": house.tenant_id, "c": made[-1], "a": account})
        service.establish(house.tenant_id, made[-1], "crm")
    with tenant_session(house.tenant_id) as session:
        session.execute(_DUE, {"t": house.tenant_id})
    return made


def test_each_look_takes_one(house: Any, several: list[int]) -> None:
    taken = []
    while (lease := jobs._take(house.tenant_id)) is not None:
        taken.append(lease.connection_id)
    assert sorted(taken) == sorted(several)


class TestGoingOn:
    """Scores that waited because their connection rested go on with it."""

    @pytest.mark.parametrize(
        ("rests", "goes_on"),
        [
            pytest.param(lambda key: syncing.pause(*key), lambda key: syncing.resume(*key), id="a person has it go on"),
            pytest.param(
                lambda key: [circuits.failed(*key, TryLater("Away.")) for _ in range(9)],
                lambda key: syncing.sync_now(*key),
                id="a person has it look at once",
            ),
            pytest.param(
                lambda key: [circuits.failed(*key, TryLater("Away.")) for _ in range(9)],
                lambda key: circuits.succeeded(*key),
                id="the vendor answers",
            ),
        ],
    )
    def test_at_once(self, house: Any, rests: Any, goes_on: Any) -> None:
        key = (house.tenant_id, house.connection_id)
        house.know("c1")
        house.score()
        rests(key)
        house.deliver()
        assert house.told("c1") is None
        goes_on(key)
        house.deliver()
        assert house.told("c1") == 20


class TestConnectedAgain:
    """Scores go on at once, whoever was at it before."""

    @pytest.fixture
    def waiting(self, house: Any) -> Any:
        house.know("c1")
        house.score()
        return house

    def test_after_a_worker_was_killed_in_the_middle(self, waiting: Any) -> None:
        assert jobs._take(waiting.tenant_id) is not None
        assert waiting.deliver() == 0
        service.establish(waiting.tenant_id, waiting.connection_id, "crm")
        waiting.deliver()
        assert waiting.told("c1") == 20

    @pytest.mark.parametrize(
        "ends",
        [
            pytest.param(Refused("This access is not what it was.", status=403), id="refused"),
            pytest.param(TryLater("It answered 500."), id="failing"),
            pytest.param(TryLater("Too often.", after=timedelta(hours=1), overloaded=True), id="too often"),
        ],
    )
    def test_while_the_access_of_before_is_used(
        self, waiting: Any, monkeypatch: pytest.MonkeyPatch, ends: PluginError
    ) -> None:
        def meanwhile(*_: Any) -> Any:
            monkeypatch.setattr(Scores, "push", push)
            connections.replace_credentials(waiting.tenant_id, waiting.connection_id, {"key": KEY})
            service.establish(waiting.tenant_id, waiting.connection_id, "crm")
            raise ends

        push = Scores.push
        monkeypatch.setattr(Scores, "push", meanwhile)
        waiting.deliver()
        assert waiting.target().error == ""
        (link,) = waiting.rows("SELECT * FROM intake.links WHERE tenant_id = :t")
        assert (link.failures, link.open_until, link.error) == (0, None, "")
        assert waiting.told("c1") == 20

    @pytest.mark.parametrize(
        "verb",
        [
            pytest.param(lambda house: service.establish(house.tenant_id, house.connection_id, "crm"), id="again"),
            pytest.param(lambda house: service.send_all(house.tenant_id, house.connection_id), id="all once more"),
        ],
    )
    def test_leads_that_were_refused_before_wait_no_longer(self, waiting: Any, verb: Any) -> None:
        waiting.vendor.poison.add("c1")
        waiting.deliver()
        waiting.vendor.poison.clear()
        assert waiting.push("c1").attempts == 1
        waiting.deliver()
        assert waiting.told("c1") is None
        verb(waiting)
        waiting.deliver()
        assert waiting.told("c1") == 20
