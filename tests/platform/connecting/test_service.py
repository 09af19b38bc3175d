"""There and back: what is kept, what is not, and what a second try completes."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import time_machine
from sqlalchemy import select, text

from assay import connecting, plugins
from assay.connecting import attempts
from assay.connecting import service as verbs
from assay.connecting.errors import (
    BadForm,
    ConnectError,
    NotSetUp,
    OtherAccount,
    ReturnUnknown,
    VendorAway,
    VendorRefused,
)
from assay.connecting.models import ConnectAttempt
from assay.syncing import links
from assay_tenants import connections
from assay_tenants.access.service import SignedUp
from assay_tenants.audit.queries import Wanted, list_entries
from assay_tenants.database import tenant_session
from assay_tenants.errors import NotFound
from tests.platform.connecting.acme import TITLE, Acme, AcmeSimulator, AcmeSource
from tests.platform.connecting.desk import CALLBACK, FORM, answer_at

Connect = Callable[..., int]
Leave = Callable[..., str]


def query_of(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query))


def attempts_of(tenant_id: int) -> list[ConnectAttempt]:
    with tenant_session(tenant_id) as session:
        return list(session.scalars(select(ConnectAttempt).where(ConnectAttempt.tenant_id == tenant_id)))


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


class TestBegin:
    def test_the_address_carries_state_and_pkce_and_no_secret(self, tenant: SignedUp, leave: Leave) -> None:
        asked = query_of(leave(tenant, {**FORM, "signing": "very-secret"}))
        assert asked["redirect_uri"] == CALLBACK
        assert asked["code_challenge_method"] == "S256"
        assert asked["scope"] == "contacts"
        (kept,) = attempts_of(tenant.tenant_id)
        stored = repr({**vars(kept), "_sa_instance_state": None})
        assert asked["state"] not in stored
        assert "very-secret" not in stored
        assert kept.settings == {"region": "eu", "folder": "Sales", "since": 0, "drafts": False}
        assert kept.expires_at - kept.created_at == timedelta(minutes=15)

    @pytest.mark.parametrize(
        ("form", "wrong"),
        [
            pytest.param({}, {"folder": "Fill this in."}, id="left empty"),
            pytest.param({"folder": "  "}, {"folder": "Fill this in."}, id="spaces"),
            pytest.param({"folder": "x" * 41}, {"folder": "At most 40 characters."}, id="too long"),
            pytest.param({"folder": 10_001 * "x"}, {"folder": "This is too long: at most 10,000 characters."}, id="long"),
            pytest.param(
                {**FORM, "region": "mars", "since": "ten"},
                {"region": "Choose one of the list.", "since": "This must be a whole number."},
                id="two at once",
            ),
        ],
    )  # fmt: skip
    def test_what_is_wrong_is_told_by_field(
        self, tenant: SignedUp, leave: Leave, form: dict[str, str], wrong: dict[str, str]
    ) -> None:
        with pytest.raises(BadForm) as refused:
            leave(tenant, form)
        assert refused.value.errors == wrong
        assert rows_of(tenant.tenant_id) == NOTHING

    def test_an_installation_without_the_app_says_so(
        self, tenant: SignedUp, leave: Leave, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("ASSAY_PLUGIN_ACME_CLIENT_SECRET")
        with pytest.raises(NotSetUp, match="Acme can't be connected yet"):
            leave(tenant)

    def test_a_service_that_nobody_installed(self, tenant: SignedUp, acme: AcmeSimulator) -> None:
        with pytest.raises(NotFound):
            connecting.begin(tenant.tenant_id, tenant.person_id, "nobodys", {}, redirect_uri=CALLBACK)

    def test_what_others_left_lying_goes(self, tenant: SignedUp, leave: Leave) -> None:
        leave(tenant)
        with time_machine.travel(timedelta(minutes=16)):
            leave(tenant)
            assert len(attempts_of(tenant.tenant_id)) == 1
        with time_machine.travel(timedelta(minutes=32)):
            assert attempts.prune() >= 1
        assert attempts_of(tenant.tenant_id) == []


class TestFinish:
    def test_all_is_there(self, tenant: SignedUp, connect: Connect, acme: AcmeSimulator) -> None:
        connection_id = connect(tenant, form={**FORM, "signing": "very-secret", "region": "us"})
        made = connections.get_connection(tenant.tenant_id, connection_id)
        assert (made.state, made.account, made.name) == ("connected", "a1", TITLE)
        assert made.settings == {"region": "us", "folder": "Sales", "since": 0, "drafts": False}
        held = connections.credentials_of(tenant.tenant_id, connection_id).values
        assert held["access_token"] == acme.grants[0].access_token
        assert held["signing"] == "very-secret"
        assert held["webhook_key"] == "a-key-of-acmes"
        assert len(held[links.HOOK_TOKEN]) >= 43
        overview = connecting.overview(tenant.tenant_id, connection_id)
        assert overview.condition == "loading"
        streams = {each.name: each.phase for each in overview.streams}
        # Orders take a scope that was not asked for as a must, and was not granted.
        assert streams == {"contacts": "waiting", "orders": "left_out"}
        assert overview.push is not None
        with links.opened(tenant.tenant_id, connection_id) as link:
            assert link.notes == {"plan": "team"}
        assert attempts_of(tenant.tenant_id) == []
        told = list_entries(tenant.tenant_id, Wanted()).items
        assert "connection.created" in [each.action for each in told]
        assert "very-secret" not in repr(told)
        assert held["access_token"] not in repr(told)

    def test_a_code_of_thirty_seconds_is_time_enough(
        self, tenant: SignedUp, leave: Leave, acme: AcmeSimulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(AcmeSimulator, "code_lifetime", timedelta(seconds=30))
        monkeypatch.setattr(AcmeSimulator, "access_lifetime", timedelta(seconds=30))
        answer = answer_at(leave(tenant))
        assert connecting.finish(tenant.tenant_id, tenant.person_id, "acme", answer)

    def test_a_state_is_good_once(self, tenant: SignedUp, leave: Leave) -> None:
        answer = answer_at(leave(tenant))
        connecting.finish(tenant.tenant_id, tenant.person_id, "acme", answer)
        before = rows_of(tenant.tenant_id)
        with pytest.raises(ReturnUnknown, match="used already"):
            connecting.finish(tenant.tenant_id, tenant.person_id, "acme", answer)
        assert rows_of(tenant.tenant_id) == before

    @pytest.mark.parametrize(
        "state", ["", "x", "cs_1_" + "a" * 44, "cs_zz", "ss_1_" + "a" * 44, "\u2028" * 40, "é" * 50]
    )
    def test_a_state_that_is_none_of_ours(self, tenant: SignedUp, acme: AcmeSimulator, state: str) -> None:
        with pytest.raises(ReturnUnknown):
            connecting.finish(tenant.tenant_id, tenant.person_id, "acme", {"state": state, "code": "x"})

    def test_what_one_person_began_another_does_not_finish(
        self, tenant: SignedUp, neighbour: SignedUp, leave: Leave
    ) -> None:
        answer = answer_at(leave(tenant))
        with pytest.raises(ReturnUnknown, match="nothing that you have begun"):
            connecting.finish(tenant.tenant_id, neighbour.person_id, "acme", answer)
        with pytest.raises(ReturnUnknown, match="another company's account"):
            connecting.finish(neighbour.tenant_id, neighbour.person_id, "acme", answer)
        assert rows_of(neighbour.tenant_id) == NOTHING
        # It was not spent by them.
        assert connecting.finish(tenant.tenant_id, tenant.person_id, "acme", answer)

    def test_another_service_does_not_finish_it(self, tenant: SignedUp, leave: Leave) -> None:
        answer = answer_at(leave(tenant))
        with pytest.raises(ReturnUnknown):
            connecting.finish(tenant.tenant_id, tenant.person_id, "keyed", answer)

    def test_whoever_stays_away_too_long_begins_again(self, tenant: SignedUp, leave: Leave) -> None:
        answer = answer_at(leave(tenant))
        with time_machine.travel(timedelta(minutes=15, seconds=1)), pytest.raises(ReturnUnknown, match="15 minutes"):
            connecting.finish(tenant.tenant_id, tenant.person_id, "acme", answer)
        assert rows_of(tenant.tenant_id) == NOTHING

    @pytest.mark.parametrize(
        ("answer", "said"),
        [
            pytest.param({"error": "access_denied"}, "Access was refused at Acme", id="refused"),
            pytest.param(
                {"error": "server_error", "error_description": "Out\nof <b>order</b>\u202e"},
                r"It says: “Out of <b>order</b>”",
                id="their words",
            ),
            pytest.param({}, "without a code", id="no code"),
            pytest.param({"code": "c" * 4001}, "without a code", id="a code without end"),
            pytest.param({"code": "unknown"}, "no longer accepts", id="a code of nobody's"),
        ],
    )
    def test_the_vendors_no_is_told_and_nothing_is_kept(
        self, tenant: SignedUp, leave: Leave, answer: dict[str, str], said: str
    ) -> None:
        state = query_of(leave(tenant))["state"]
        with pytest.raises(VendorRefused, match=said):
            connecting.finish(tenant.tenant_id, tenant.person_id, "acme", {**answer, "state": state})
        assert rows_of(tenant.tenant_id) == NOTHING

    @pytest.mark.parametrize(
        ("path", "kind", "error"),
        [
            pytest.param("/oauth/token", 503, VendorAway, id="login is away"),
            pytest.param("/oauth/token", "broken", VendorAway, id="login answers nonsense"),
            pytest.param("/me", 500, VendorAway, id="nobody says whose account"),
            pytest.param("/me", 403, VendorRefused, id="may not ask"),
            pytest.param("/me", "reset", VendorAway, id="cut off"),
            pytest.param("/me", "broken", VendorAway, id="answers nonsense"),
        ],
    )
    def test_a_failure_midway_keeps_nothing_and_the_next_try_works(
        self, tenant: SignedUp, connect: Connect, acme: AcmeSimulator, path: str, kind: Any, error: type[ConnectError]
    ) -> None:
        acme.faults.next(kind, times=-1, path=path)
        with pytest.raises(error) as told:
            connect(tenant)
        assert "Nothing was changed" in told.value.message
        assert rows_of(tenant.tenant_id) == NOTHING
        acme.faults.clear()
        assert connect(tenant)

    def test_a_plugin_that_stumbles_keeps_nothing(
        self, tenant: SignedUp, connect: Connect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Acme, "account", lambda *_: {}["secret"])
        with pytest.raises(VendorRefused, match="The plugin for Acme failed; it has been written down"):
            connect(tenant)
        assert rows_of(tenant.tenant_id) == NOTHING

    @pytest.mark.parametrize("step", ["syncing", "delivery"])
    def test_a_crash_while_it_is_set_up_is_completed_by_the_next_try(
        self, tenant: SignedUp, connect: Connect, monkeypatch: pytest.MonkeyPatch, step: str
    ) -> None:
        def crash(*_: Any, **__: Any) -> None:
            raise RuntimeError("the power went")

        with monkeypatch.context() as patch:
            patch.setattr(getattr(verbs, step), "establish", crash)
            with pytest.raises(RuntimeError):
                connect(tenant)
        (left,) = connections.list_connections(tenant.tenant_id)
        expected = "incomplete" if step == "syncing" else "loading"
        assert connecting.overview(tenant.tenant_id, left.id).condition == expected
        assert connect(tenant) == left.id
        assert connecting.overview(tenant.tenant_id, left.id).push is not None

    def test_a_crash_is_completed_by_a_button_too(
        self, tenant: SignedUp, connect: Connect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(verbs.syncing, "establish", lambda *_, **__: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                connect(tenant)
        (left,) = connections.list_connections(tenant.tenant_id)
        connecting.complete(tenant.tenant_id, left.id)
        assert connecting.overview(tenant.tenant_id, left.id).condition == "loading"
        with pytest.raises(verbs.StillConnected):
            connecting.complete(tenant.tenant_id, left.id)

    def test_somebody_was_faster(self, tenant: SignedUp, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
        first = connect(tenant)
        looked: list[int | None] = [None]
        find = verbs.queries.find_by_account

        def late(*asked: Any) -> int | None:
            return looked.pop() if looked else find(*asked)

        monkeypatch.setattr(verbs.queries, "find_by_account", late)
        assert connect(tenant) == first

    @pytest.mark.parametrize(
        ("id_", "title", "shown"),
        [
            pytest.param("a1", "x" * 300, "x" * 79 + "…", id="a title without end"),
            pytest.param("a1", "A\u202eb\u0000c\n d", "Abc d", id="letters that can't be seen"),
            pytest.param("a1", "", "a1", id="no title"),
        ],
    )
    def test_what_the_vendor_calls_itself_is_tidied(
        self, tenant: SignedUp, connect: Connect, acme: AcmeSimulator, id_: str, title: str, shown: str
    ) -> None:
        acme.titles[id_] = title
        assert connections.get_connection(tenant.tenant_id, connect(tenant)).name == shown


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


class TestDisconnect:
    def test_says_farewell_and_wipes(self, tenant: SignedUp, connect: Connect, acme: AcmeSimulator) -> None:
        first = connect(tenant)
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
