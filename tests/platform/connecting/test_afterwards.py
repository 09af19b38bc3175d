"""What is done with a connection once it is there: connected again, changed, ended."""

from collections.abc import Callable

import pytest

from assay import connecting, plugins
from assay.connecting import service as verbs
from assay.connecting.errors import (
    BadForm,
    OtherAccount,
    VendorRefused,
)
from assay.delivery.queries import find_standing
from assay.syncing import links
from assay_sdk import Destination
from assay_tenants import connections
from assay_tenants.access.service import SignedUp
from assay_tenants.errors import NotFound
from tests.platform.connecting.acme import AcmeSimulator, AcmeSource
from tests.platform.connecting.desk import FORM, NOTHING, actions_of, rows_of

Connect = Callable[..., int]
Leave = Callable[..., str]


class TestAgain:
    def test_the_same_account_is_the_same_connection(
        self, tenant: SignedUp, connect: Connect, acme: AcmeSimulator
    ) -> None:
        first = connect(tenant, form={**FORM, "signing": "one"})
        before = connections.credentials_of(tenant.tenant_id, first)
        source = connecting.overview(tenant.tenant_id, first).health
        assert connect(tenant, form={"folder": "Support"}) == first
        after = connections.credentials_of(tenant.tenant_id, first)
        assert after.renewal == before.renewal + 1
        assert after.values["access_token"] == acme.grants[-1].access_token != before.values["access_token"]
        assert after.values[links.HOOK_TOKEN] == before.values[links.HOOK_TOKEN]
        again = connecting.overview(tenant.tenant_id, first)
        assert source is not None
        assert again.health is not None
        assert again.health.source_id == source.source_id
        assert again.connection.settings["folder"] == "Support"

    def test_reconnecting_keeps_secrets_that_are_left_empty(self, tenant: SignedUp, connect: Connect) -> None:
        first = connect(tenant, form={**FORM, "signing": "one"})
        mark = connections.needs_reconnect(
            tenant.tenant_id,
            first,
            "It was revoked.",
            since=connections.credentials_of(tenant.tenant_id, first).renewal,
        )
        assert mark
        assert connecting.overview(tenant.tenant_id, first).condition == "needs_reconnect"
        assert connect(tenant, connection_id=first) == first
        assert connections.credentials_of(tenant.tenant_id, first).values["signing"] == "one"
        assert "connection.reconnected" in actions_of(tenant.tenant_id)

    def test_another_account_is_refused_with_words(self, tenant: SignedUp, connect: Connect) -> None:
        first = connect(tenant)
        held = connections.credentials_of(tenant.tenant_id, first).values
        with pytest.raises(OtherAccount, match="you allowed Other Acme") as told:
            connect(tenant, account="a2", connection_id=first)
        assert "Nothing was changed" in told.value.message
        assert connections.credentials_of(tenant.tenant_id, first).values == held
        assert len(connections.list_connections(tenant.tenant_id)) == 1
        assert connect(tenant, account="a2") != first

    def test_the_neighbours_connection_is_not_there(
        self, tenant: SignedUp, neighbour: SignedUp, connect: Connect, leave: Leave
    ) -> None:
        first = connect(tenant)
        with pytest.raises(NotFound):
            leave(neighbour, connection_id=first)
        assert connect(neighbour) != first


class TestOtherWays:
    def test_by_a_key(self, tenant: SignedUp, connect: Connect, acme: AcmeSimulator) -> None:
        connect(tenant)
        token = acme.grants[0].access_token
        begun = connecting.begin(tenant.tenant_id, tenant.person_id, "keyed", {"key": token}, redirect_uri="")
        made = connections.get_connection(tenant.tenant_id, begun.connection_id)
        assert (made.plugin, made.account, made.settings) == ("keyed", "a1", {})
        with pytest.raises(VendorRefused):
            connecting.begin(tenant.tenant_id, tenant.person_id, "keyed", {"key": "wrong"}, redirect_uri="")
        assert connections.credentials_of(tenant.tenant_id, begun.connection_id).values["key"] == token

    def test_by_nothing_at_all(self, tenant: SignedUp, acme: AcmeSimulator) -> None:
        one, other = (
            connecting.begin(
                tenant.tenant_id, tenant.person_id, "posted", {"connection_name": "  My   shop "}, redirect_uri=""
            ).connection_id
            for _ in range(2)
        )
        assert one != other
        assert connections.get_connection(tenant.tenant_id, one).name == "My shop"

    def test_what_the_plugin_kept_is_its_own_to_change(self, tenant: SignedUp, acme: AcmeSimulator) -> None:
        one, again, other = (
            connecting.begin(tenant.tenant_id, tenant.person_id, "named", {}, redirect_uri="").connection_id
            for _ in range(3)
        )
        assert len({one, again, other}) == 3
        token = connections.credentials_of(tenant.tenant_id, one).values[links.HOOK_TOKEN]
        assert connections.credentials_of(tenant.tenant_id, one).values["unsigned"] is True
        begun = connecting.begin(tenant.tenant_id, tenant.person_id, "named", {}, redirect_uri="", connection_id=one)
        assert begun.connection_id == one
        assert connections.credentials_of(tenant.tenant_id, one).values == {links.HOOK_TOKEN: token}


class TestChange:
    def test_name_and_settings(self, tenant: SignedUp, connect: Connect) -> None:
        made = connections.get_connection(tenant.tenant_id, connect(tenant, form={**FORM, "signing": "one"}))
        form = {"folder": "Support", "drafts": "yes", "signing": ""}
        changed = connecting.change(tenant.tenant_id, made.id, form, version=made.version, name="Ours")
        assert (changed.name, changed.settings["folder"], changed.settings["drafts"]) == ("Ours", "Support", True)
        assert connections.credentials_of(tenant.tenant_id, made.id).values["signing"] == "one"
        with pytest.raises(connections.Changed):
            connecting.change(tenant.tenant_id, made.id, form, version=made.version)
        with pytest.raises(BadForm):
            connecting.change(tenant.tenant_id, made.id, {}, version=changed.version)
        connecting.change(tenant.tenant_id, made.id, {**form, "signing": "two"}, version=changed.version)
        assert connections.credentials_of(tenant.tenant_id, made.id).values["signing"] == "two"

    def test_scores_go_back_once_what_they_need_is_filled_in(
        self, tenant: SignedUp, connect: Connect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Destination, "is_set_up", lambda _, secrets: bool(secrets.get("signing")))
        made = connections.get_connection(tenant.tenant_id, connect(tenant))
        assert find_standing(tenant.tenant_id, made.id) is None
        form = {"folder": "Support", "signing": "one"}
        connecting.change(tenant.tenant_id, made.id, form, version=made.version)
        standing = find_standing(tenant.tenant_id, made.id)
        assert standing is not None
        assert standing.enabled


class TestDisconnect:
    def test_says_farewell_and_wipes(self, tenant: SignedUp, connect: Connect, acme: AcmeSimulator) -> None:
        # Nobody else here has this account, so that our access to it may be taken back.
        acme.titles["alone"] = "Acme alone"
        first = connect(tenant, account="alone")
        assert connecting.disconnect(tenant.tenant_id, first) == []
        assert acme.grants[0].revoked
        assert "DELETE /hook" in acme.calls
        assert rows_of(tenant.tenant_id) == NOTHING | {"tenancy.connections": 1}
        assert connecting.overview(tenant.tenant_id, first).condition == "disconnected"
        assert verbs.queries.secrets_of(tenant.tenant_id, first) == {}
        assert connecting.disconnect(tenant.tenant_id, first) == []
        assert [each.id for each in connecting.list_ended(tenant.tenant_id)] == [first]

    def test_what_the_vendor_does_not_take_back_is_told(
        self, tenant: SignedUp, connect: Connect, acme: AcmeSimulator
    ) -> None:
        first = connect(tenant)
        acme.faults.next(503, times=-1)
        left = connecting.disconnect(tenant.tenant_id, first)
        assert left
        assert all("Acme" in each for each in left)
        assert connections.get_connection(tenant.tenant_id, first).state == "disconnected"

    def test_connected_again_it_is_the_same_with_a_new_address(self, tenant: SignedUp, connect: Connect) -> None:
        first = connect(tenant)
        source = connecting.overview(tenant.tenant_id, first).health
        token = connections.credentials_of(tenant.tenant_id, first).values[links.HOOK_TOKEN]
        connecting.disconnect(tenant.tenant_id, first)
        assert connect(tenant) == first
        again = connecting.overview(tenant.tenant_id, first).health
        assert source is not None
        assert again is not None
        assert again.source_id == source.source_id
        assert connections.credentials_of(tenant.tenant_id, first).values[links.HOOK_TOKEN] != token

    def test_a_crash_midway_is_completed(
        self, tenant: SignedUp, connect: Connect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first = connect(tenant)
        with monkeypatch.context() as patch:
            patch.setattr(verbs.delivery, "end", lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                connecting.disconnect(tenant.tenant_id, first)
        assert verbs.queries.secrets_of(tenant.tenant_id, first) == {}
        assert connecting.overview(tenant.tenant_id, first).is_at_work
        connecting.disconnect(tenant.tenant_id, first)
        assert not connecting.overview(tenant.tenant_id, first).is_at_work


class TestAddress:
    def test_is_shown_on_demand_and_on_record(self, tenant: SignedUp, connect: Connect) -> None:
        first = connect(tenant)
        token = connections.credentials_of(tenant.tenant_id, first).values[links.HOOK_TOKEN]
        assert connecting.show_address(tenant.tenant_id, first).endswith(f"/hooks/acme/{token}")
        assert actions_of(tenant.tenant_id)[0] == "connection.address_shown"

    def test_is_none_where_nothing_is_posted(
        self, tenant: SignedUp, connect: Connect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first = connect(tenant)
        monkeypatch.setattr(AcmeSource, "has_hooks", False)
        with pytest.raises(NotFound):
            connecting.show_address(tenant.tenant_id, first)


def test_a_plugin_that_is_gone_is_told_of(tenant: SignedUp, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    first = connect(tenant)
    have = plugins.installed()
    monkeypatch.setattr(have, "services", {name: each for name, each in have.services.items() if name != "acme"})
    told = connecting.overview(tenant.tenant_id, first)
    assert told.condition == "missing"
    assert connecting.disconnect(tenant.tenant_id, first) != []
    assert connections.get_connection(tenant.tenant_id, first).state == "disconnected"
