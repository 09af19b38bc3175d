"""What workers do while somebody connects again or disconnects is neither lost nor in the way."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from redis import Redis
from sqlalchemy import text

from assay import connecting
from assay.connecting import queries
from assay.delivery import jobs as delivery
from assay.syncing import breakers, jobs, leases, vault
from assay.syncing.slots import Pool
from assay_sdk import Link, VendorAccount
from assay_tenants import connections
from assay_tenants.access.service import SignedUp
from assay_tenants.database import tenant_session
from tests.platform.connecting.acme import Acme, AcmeSimulator, AcmeSource
from tests.platform.connecting.desk import FORM

Connect = Callable[..., int]


class TestAgain:
    @pytest.fixture
    def meanwhile(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Any]], None]:
        """Happens while the vendor is asked whose account it is."""

        def set_up(happens: Callable[[], Any]) -> None:
            def account(self: Acme, link: Link) -> VendorAccount:
                happens()
                return real(self, link)

            monkeypatch.setattr(Acme, "account", account)

        real = Acme.account
        return set_up

    @pytest.mark.parametrize("by_name", [True, False], ids=["this connection", "the same account"])
    def test_what_a_worker_keeps_stays(self, tenant: SignedUp, connect: Connect, meanwhile: Any, by_name: bool) -> None:
        first = connect(tenant, form={**FORM, "signing": "one"})
        whose = (tenant.tenant_id, first)

        def work() -> None:
            connections.add_credentials(*whose, {"learned": "a token", "signing": "by the vendor"})
            with tenant_session(tenant.tenant_id) as session:
                vault.note(session, *whose, {"hook": "made just now", "plan": "small"})

        meanwhile(work)
        before = connections.credentials_of(*whose).values
        assert connect(tenant, **({"connection_id": first} if by_name else {})) == first
        after = connections.credentials_of(*whose).values
        assert after["learned"] == "a token"
        assert after["signing"] == ("by the vendor" if by_name else "")
        assert after["access_token"] != before["access_token"]
        notes = queries.notes_of(*whose)
        assert notes["hook"] == "made just now"
        assert notes["plan"] == ("small" if by_name else "team")

    def test_what_somebody_fills_in_anew_is_what_holds(
        self, tenant: SignedUp, connect: Connect, meanwhile: Any
    ) -> None:
        first = connect(tenant, form={**FORM, "signing": "one"})
        meanwhile(lambda: connections.add_credentials(tenant.tenant_id, first, {"signing": "another"}))
        connect(tenant, form={**FORM, "signing": "two"}, connection_id=first)
        assert connections.credentials_of(tenant.tenant_id, first).values["signing"] == "two"

    def test_disconnected_by_somebody_else_it_is_whole_again(
        self, tenant: SignedUp, connect: Connect, meanwhile: Any
    ) -> None:
        first = connect(tenant, form={**FORM, "signing": "one"})
        meanwhile(lambda: connecting.disconnect(tenant.tenant_id, first))
        assert connect(tenant, connection_id=first) == first
        assert connections.credentials_of(tenant.tenant_id, first).values["signing"] == "one"
        assert queries.notes_of(tenant.tenant_id, first)["plan"] == "team"
        assert connecting.overview(tenant.tenant_id, first).condition == "loading"


class TestBreakers:
    @pytest.fixture
    def shared(self, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> Iterator[breakers.Breakers]:
        """Those of all processes; the vendor fails for everybody."""
        shared = breakers.Breakers(redis)
        monkeypatch.setattr(breakers, "_current", shared)
        for number in range(breakers.CONNECTIONS):
            shared.failed("acme:127.0.0.1", 1, number)
        assert not shared.wait("acme:127.0.0.1")
        assert shared.wait("acme:127.0.0.1")
        yield shared
        shared.succeeded("acme:127.0.0.1")

    def test_a_vendor_that_just_answered_is_waited_for_no_more(
        self, tenant: SignedUp, connect: Connect, shared: breakers.Breakers
    ) -> None:
        connect(tenant)
        assert not shared.wait("acme:127.0.0.1")


class TestDisconnect:
    def test_whoever_is_at_it_asks_no_more(
        self,
        tenant: SignedUp,
        connect: Connect,
        acme: AcmeSimulator,
        monkeypatch: pytest.MonkeyPatch,
        mails_to: Any,
    ) -> None:
        first = connect(tenant)
        errands = leases.claim(tenant.tenant_id, Pool(jobs.run))
        lease = delivery._take(tenant.tenant_id)
        assert (len(errands), lease is not None) == (2, True)
        with tenant_session(tenant.tenant_id) as session:
            email = session.scalars(text("SELECT email FROM tenancy.memberships")).one()
        sent = len(mails_to(email))
        came: list[Any] = []

        def unsubscribe(self: AcmeSource, link: Link) -> None:
            # Our access is being taken back.
            acme.expire_access()
            for grant in acme.grants:
                grant.revoked = True
            before = len(acme.calls)
            for errand in errands:
                jobs.run(errand)
            came.extend([len(acme.calls) - before, leases.claim(tenant.tenant_id, Pool(jobs.run))])
            came.append(delivery._take(tenant.tenant_id))

        monkeypatch.setattr(AcmeSource, "unsubscribe", unsubscribe)
        connecting.disconnect(tenant.tenant_id, first)
        assert came == [0, [], None]
        assert connections.get_connection(tenant.tenant_id, first).state == "disconnected"
        assert len(mails_to(email)) == sent
