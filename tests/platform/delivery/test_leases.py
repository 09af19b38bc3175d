"""Who has work to do takes one connection at a time, however many have something waiting."""

from typing import Any

import pytest
from sqlalchemy import text

from assay.delivery import jobs, service
from assay_sdk import Refused
from assay_tenants import connections
from assay_tenants.database import tenant_session
from tests.platform.delivery.conftest import Scores

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

    def test_while_the_vendor_refuses_the_access_of_before(self, waiting: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: Any) -> Any:
            monkeypatch.setattr(Scores, "push", push)
            service.establish(waiting.tenant_id, waiting.connection_id, "crm")
            raise Refused("This access is not what it was.", status=403)

        push = Scores.push
        monkeypatch.setattr(Scores, "push", refuse)
        waiting.deliver()
        assert waiting.target().error == ""
        assert waiting.told("c1") == 20
