"""There and back: what is kept, what is not, and what a second try completes."""

import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import time_machine
from sqlalchemy import select

from assay import connecting
from assay.connecting import attempts
from assay.connecting import service as verbs
from assay.connecting.errors import (
    BadForm,
    ConnectError,
    NotSetUp,
    ReturnUnknown,
    VendorAway,
    VendorRefused,
)
from assay.connecting.models import ConnectAttempt
from assay.syncing import links
from assay_tenants import connections, resealing, sealing
from assay_tenants.access.service import SignedUp
from assay_tenants.audit.queries import Wanted, list_entries
from assay_tenants.database import tenant_session
from assay_tenants.errors import NotFound
from tests.platform.connecting.acme import TITLE, Acme, AcmeSimulator
from tests.platform.connecting.desk import CALLBACK, FORM, NOTHING, answer_at, rows_of

Connect = Callable[..., int]
Leave = Callable[..., str]


def query_of(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query))


def attempts_of(tenant_id: int) -> list[ConnectAttempt]:
    with tenant_session(tenant_id) as session:
        return list(session.scalars(select(ConnectAttempt).where(ConnectAttempt.tenant_id == tenant_id)))


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
            pytest.param({"folder": 10_001 * "x"}, {"folder": "This is too long: at most 10,000 characters."}, id="2"),
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

    def test_what_was_filled_in_is_sealed_anew_with_all_else(self, tenant: SignedUp, leave: Leave) -> None:
        state = query_of(leave(tenant, {**FORM, "signing": "very-secret"}))["state"]
        (column,) = (each for each in sealing.columns() if each.name == "tenancy.connect_attempts.sealed")
        newer = sealing.Ring({"newer": os.urandom(32), **sealing.ring().keys})
        with sealing.using(newer):
            assert resealing._reseal_rows(column, tenant.tenant_id) == (1, 0)
        with sealing.using(sealing.Ring({"newer": newer.keys["newer"]})):
            taken = attempts.take(tenant.tenant_id, tenant.person_id, "acme", state, title="Acme")
        assert taken.secrets == {"signing": "very-secret"}


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
