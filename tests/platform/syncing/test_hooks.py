"""What vendors post: proven before it is kept, kept before it is answered, and nobody else's."""

import gzip
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs
from werkzeug.test import Client, TestResponse

from assay import plugins
from assay.intake.errors import PlanUsedUp, TooFast
from assay.intake.writer import Writer
from assay.syncing import noting, service, subscribing
from assay.syncing.hooks import Hooks
from assay_sdk import Refused
from assay_sdk.signatures import sign
from assay_tenants import connections
from tests.platform.syncing.conftest import Connected
from tests.vendors.quarry import GravelSource, QuarrySource, signed

ADDRESS = "https://assay.example.test"
URL = f"{ADDRESS}/hooks/quarry"


def _rest(environ: Any, start_response: Any) -> list[bytes]:
    start_response("418 I'm a teapot", [])
    return [b"somebody else's"]


@pytest.fixture
def hooks(connected: None) -> Hooks:
    return Hooks(_rest, address=ADDRESS, writer=Writer())


@pytest.fixture
def client(hooks: Hooks) -> Client:
    return Client(hooks)


@pytest.fixture
def account(connect: Callable[..., Connected]) -> Connected:
    """Nothing of it is due but what notices bring."""
    connection = connect()
    for table in ("streams", "links"):
        connection.do(f"UPDATE intake.{table} SET due_at = NULL WHERE tenant_id = :t")
    return connection


@pytest.fixture
def post(client: Client, installed: dict[str, str]) -> Callable[..., TestResponse]:
    """A notice as Quarry sends it, with what is wrong with it."""

    def send(*accounts: str, ago: float = 0, secret: str = "", altered: bool = False, **options: Any) -> TestResponse:
        body = json.dumps({"notices": [{"account": each, "stone": 7} for each in accounts]}).encode()
        headers = signed(body, url=URL, secret=secret or installed["client_secret"], at=time.time() - ago)
        headers |= options.pop("headers", {})
        if altered:
            body = body.replace(b"7", b"8")
        return client.post("/hooks/quarry", data=options.pop("data", body), headers=headers, **options)

    return send


@pytest.mark.parametrize(
    ("how", "status"),
    [
        pytest.param({}, 200, id="now"),
        pytest.param({"ago": 298}, 200, id="just in time"),
        pytest.param({"ago": 302}, 400, id="just too late"),
        pytest.param({"ago": 86_400}, 400, id="a day later"),
        pytest.param({"ago": -120}, 400, id="of the future"),
        pytest.param({"altered": True}, 401, id="altered"),
        pytest.param({"secret": "another"}, 401, id="by a wrong key"),
        pytest.param({"secret": "the-one-before"}, 200, id="by the key before this one"),
        pytest.param({"headers": {"X-Quarry-Signature": ""}}, 401, id="without a signature"),
        pytest.param({"headers": {"X-Quarry-At": str(int(time.time()) - 9)}}, 401, id="with another time"),
        pytest.param({"headers": {"X-Forwarded-Host": "evil.example", "Host": "evil.example"}}, 200, id="by a proxy"),
    ],
)
def test_what_is_proven_is_kept_and_nothing_else(
    post: Callable[..., TestResponse],
    account: Connected,
    installed: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    how: dict[str, Any],
    status: int,
) -> None:
    monkeypatch.setattr(plugins, "app_settings", lambda _: {**installed, "old_secret": "the-one-before"})
    answer = post(account.grant.account, **how)
    assert answer.status_code == status
    assert account.messages("hook") == (1 if status == 200 else 0)
    if status != 200:
        assert answer.content_type == "application/problem+json"
        assert installed["client_secret"] not in answer.text


def test_a_notice_leads_to_the_record(
    post: Callable[..., TestResponse], account: Connected, work_off: Callable[[int], int]
) -> None:
    assert post(account.grant.account).status_code == 200
    work_off(account.tenant_id)
    account.pass_time()
    work_off(account.tenant_id)
    assert account.ids("fetch/stone") == [7]
    assert account.value("SELECT count(*) FROM profiles.leads WHERE tenant_id = :t") == 1


def test_each_tenant_of_an_account_gets_it_and_no_other(
    post: Callable[..., TestResponse], connect: Callable[..., Connected], account: Connected
) -> None:
    other = connect(account=account.grant.account)
    stranger = connect()
    assert post(account.grant.account).status_code == 200
    assert [each.messages("hook") for each in (account, other, stranger)] == [1, 1, 0]
    assert post(account.grant.account, stranger.grant.account).status_code == 200
    assert [each.messages("hook") for each in (account, other, stranger)] == [2, 2, 1]


def test_an_account_that_nobody_connected_is_answered_and_forgotten(
    post: Callable[..., TestResponse], hooks: Hooks, account: Connected
) -> None:
    assert post(uuid4().hex).status_code == 200
    assert hooks.counts["nobody"] == 1
    assert account.messages("hook") == 0


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param("a\0b", id="with a zero"),
        pytest.param("\ud800", id="half a character"),
        pytest.param("a" * 600, id="long"),
    ],
)
def test_what_cannot_be_an_account_is_nobody(
    post: Callable[..., TestResponse], hooks: Hooks, account: Connected, odd: str
) -> None:
    assert post(odd, account.grant.account).status_code == 200
    assert (hooks.counts["nobody"], account.messages("hook")) == (1, 1)


def test_a_service_that_is_not_set_up_any_more_is_posted_to_later(
    post: Callable[..., TestResponse],
    account: Connected,
    installed: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    secret = installed["client_secret"]
    monkeypatch.setattr(plugins, "app_settings", lambda *_: {"client_id": "one"})
    answer = post(account.grant.account, secret=secret)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "300")
    assert account.messages("hook") == 0


def test_a_connection_that_ended_is_posted_to_no_more(
    post: Callable[..., TestResponse], hooks: Hooks, account: Connected
) -> None:
    service.end(*account.key)
    hooks.routes.forget()
    assert post(account.grant.account).status_code == 200
    assert hooks.counts["nobody"] == 1


def test_a_paused_one_still_keeps_what_comes(post: Callable[..., TestResponse], account: Connected) -> None:
    service.pause(*account.key)
    assert post(account.grant.account).status_code == 200
    assert account.messages("hook") == 1


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        pytest.param("HEAD", "/hooks/quarry", 200, id="looking whether it is there"),
        pytest.param("GET", "/hooks/quarry", 405, id="reading"),
        pytest.param("DELETE", "/hooks/quarry", 405, id="deleting"),
        pytest.param("POST", "/hooks/unheard-of", 404, id="a plugin that is not there"),
        pytest.param("POST", "/hooks/segment", 404, id="one without notices"),
        pytest.param("POST", "/hooks/gravel", 404, id="one with an address for each, without it"),
        pytest.param("POST", "/hooks/gravel/nobody", 404, id="a secret that is nobody's"),
        pytest.param("HEAD", "/hooks/gravel/nobody", 404, id="looking with it"),
        pytest.param("POST", "/hooks/quarry/nobody", 404, id="a secret where there are none"),
        pytest.param("POST", "/hooks/gravel/../quarry", 404, id="going astray"),
        pytest.param("POST", "/hooks/", 404, id="no plugin"),
        pytest.param("POST", "/hooks/billing", 418, id="billing"),
        pytest.param("POST", "/elsewhere", 418, id="elsewhere"),
        pytest.param("POST", "/hooks/gravel/" + "x" * 500, 404, id="a long secret"),
        pytest.param("POST", "/hooks/\x00", 404, id="no letters"),
    ],
)
def test_other_ways_to_ask(client: Client, method: str, path: str, status: int) -> None:
    answer = client.open(path, method=method, data=b"{}")
    assert answer.status_code == status
    if method == "HEAD":
        assert answer.data == b""


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        pytest.param(b"x" * 600_000, {}, id="large"),
        pytest.param(gzip.compress(b"x" * 50_000_000), {"Content-Encoding": "gzip"}, id="large once inflated"),
        pytest.param(b"no gzip", {"Content-Encoding": "gzip"}, id="no gzip"),
    ],
)
def test_bodies_are_bounded(client: Client, body: bytes, headers: dict[str, str]) -> None:
    began = time.monotonic()
    assert client.post("/hooks/quarry", data=body, headers=headers).status_code == 400
    assert time.monotonic() - began < 2


def test_a_body_that_is_no_list_is_refused(client: Client, installed: dict[str, str], account: Connected) -> None:
    headers = signed(b"[]", url=URL, secret=installed["client_secret"], at=time.time())
    assert client.post("/hooks/quarry", data=b"[]", headers=headers).status_code == 400


def test_a_plugin_that_fails_is_an_error_of_ours(
    post: Callable[..., TestResponse], account: Connected, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(QuarrySource, "split", lambda *_: 1 / 0)
    assert post(account.grant.account).status_code == 500
    assert account.messages("hook") == 0


def test_a_plugin_that_always_fails_does_not_fill_the_log(
    post: Callable[..., TestResponse], account: Connected, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(QuarrySource, "verify", lambda *_: 1 / 0)
    with capture_logs() as logs:
        assert [post(account.grant.account).status_code for _ in range(5)] == [500] * 5
    told = [entry for entry in logs if entry["event"] == "hooks.failed"]
    assert len(told) == 1
    assert isinstance(told[0]["exc_info"], ZeroDivisionError)


def test_no_plugin_ends_its_vendors_notices(
    post: Callable[..., TestResponse], account: Connected, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Gone(Refused):
        http_status = 410

    def verify(*_: Any) -> None:
        raise Gone("This is over.")

    monkeypatch.setattr(QuarrySource, "verify", verify)
    assert post(account.grant.account).status_code == 401


def test_with_the_database_away_it_is_to_be_sent_again(
    post: Callable[..., TestResponse], account: Connected, hooks: Hooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> None:
        raise OperationalError("", {}, Exception())

    monkeypatch.setattr(hooks.routes, "by_account", away)
    answer = post(account.grant.account)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")


class TestRoom:
    """A tenant that has no room left keeps no other from being told."""

    @pytest.fixture
    def full(self, hooks: Hooks, account: Connected, monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
        def fill(error: Any) -> None:
            class Admission:
                def admit(self, tenant_id: int, *_: Any) -> None:
                    if tenant_id == account.tenant_id:
                        raise error

            monkeypatch.setattr(hooks, "admission", Admission())

        return fill

    @pytest.mark.parametrize(
        "error",
        [
            pytest.param(TooFast("Too fast", after=timedelta(seconds=3)), id="too fast"),
            pytest.param(PlanUsedUp("Used up", after=timedelta(seconds=30)), id="used up"),
        ],
    )
    def test_alone_it_is_to_be_sent_again(
        self, post: Callable[..., TestResponse], full: Any, account: Connected, error: Any
    ) -> None:
        full(error)
        answer = post(account.grant.account)
        assert answer.status_code == 429
        assert int(answer.headers["Retry-After"]) >= 3
        assert account.messages("hook") == 0

    def test_others_get_theirs(
        self, post: Callable[..., TestResponse], full: Any, account: Connected, connect: Callable[..., Connected]
    ) -> None:
        full(TooFast("Too fast", after=timedelta(seconds=3)))
        other = connect(account=account.grant.account)
        assert post(account.grant.account).status_code == 200
        assert (account.messages("hook"), other.messages("hook")) == (0, 1)


class TestOwnAddress:
    """One for each connection, known to its vendor alone."""

    def test_its_secrets_prove_who_posts(self, client: Client, connect_gravel: Any) -> None:
        connection, token = connect_gravel(signing="abcdef")
        other, _ = connect_gravel(signing="ghijkl")
        body = b'{"notices": []}'
        for secret, status in (("abcdef", 200), ("ghijkl", 401)):
            headers = {"X-Gravel-Signature": sign(secret, body)}
            assert client.post(f"/hooks/gravel/{token}", data=body, headers=headers).status_code == status
        assert (connection.messages("hook"), other.messages("hook")) == (1, 0)

    def test_one_that_needs_a_person_is_to_be_sent_again(self, client: Client, connect_gravel: Any) -> None:
        connection, token = connect_gravel(signing="abcdef")
        connections.needs_reconnect(*connection.key, "Over.", since=1)
        answer = client.post(f"/hooks/gravel/{token}", data=b"{}")
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "300")

    def test_another_account_of_the_vendors_is_nobody(
        self, client: Client, connect_gravel: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from assay_sdk import Delivery

        connection, token = connect_gravel(signing="abcdef")
        monkeypatch.setattr(GravelSource, "split", lambda _, request: iter([Delivery("another", request.body)]))
        headers = {"X-Gravel-Signature": sign("abcdef", b"{}")}
        assert client.post(f"/hooks/gravel/{token}", data=b"{}", headers=headers).status_code == 200
        assert connection.messages("hook") == 0

    @pytest.mark.parametrize(("said", "believed"), [("true", True), ("false", False)], ids=["true", "not true"])
    def test_what_a_notice_teaches_is_sealed_and_confirmed(
        self, client: Client, hooks: Hooks, connect_gravel: Any, said: str, believed: bool
    ) -> None:
        connection, token = connect_gravel(signing="abcdef")
        body = json.dumps({"notices": [], "learned": {"signing": said}}).encode()
        headers = {"X-Gravel-Signature": sign("abcdef", body)}
        for _ in range(2):
            assert client.post(f"/hooks/gravel/{token}", data=body, headers=headers).status_code == 200
        hooks.noter.settle()
        link = connection.link()
        assert link.last_hook_at is not None
        assert said.encode() not in bytes(link.learned)
        connection.pass_time()
        connection.work()
        assert connection.link().learned is None
        assert (connections.credentials_of(*connection.key).values["signing"] == "true") is believed

    def test_what_is_known_is_not_learned_again(self, client: Client, hooks: Hooks, connect_gravel: Any) -> None:
        connection, token = connect_gravel(signing="abcdef")
        body = json.dumps({"notices": [], "learned": {"signing": "abcdef", "live": "token"}}).encode()
        headers = {"X-Gravel-Signature": sign("abcdef", body)}
        assert client.post(f"/hooks/gravel/{token}", data=body, headers=headers).status_code == 200
        hooks.noter.settle()
        assert connection.link().last_hook_at is not None
        assert connection.link().learned is None


def test_that_one_came_is_noted_at_most_every_ten_seconds(
    post: Callable[..., TestResponse], hooks: Hooks, account: Connected, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[Any] = []
    real = noting._write
    monkeypatch.setattr(noting, "_write", lambda note: (written.append(note), real(note)))
    for _ in range(5):
        post(account.grant.account)
    hooks.noter.settle()
    assert len(written) == 1
    assert account.link().last_hook_at > datetime.now(UTC) - timedelta(seconds=30)


def test_no_secret_is_logged(
    post: Callable[..., TestResponse],
    client: Client,
    connect_gravel: Any,
    installed: dict[str, str],
    account: Connected,
    capfd: pytest.CaptureFixture[str],
) -> None:
    _, token = connect_gravel(signing="abcdef-signing")
    client.post(f"/hooks/gravel/{token}", data=b"{}", headers={"X-Gravel-Signature": "0" * 64})
    post(account.grant.account, secret="wrong")
    printed = "".join(capfd.readouterr())
    assert token not in printed
    assert "abcdef-signing" not in printed
    assert installed["client_secret"] not in printed


def test_the_application_has_the_door(app: Flask, account: Connected, installed: dict[str, str]) -> None:
    body = json.dumps({"notices": [{"account": account.grant.account, "stone": 7}]}).encode()
    url = f"{app.extensions['hooks'].address}/hooks/quarry"
    headers = signed(body, url=url, secret=installed["client_secret"], at=time.time())
    assert app.test_client().post("/hooks/quarry", data=body, headers=headers).status_code == 200
    assert account.messages("hook") == 1
    assert app.test_client().post("/hooks/billing", data=b"").status_code == 404


class TestSubscription:
    def test_it_is_seen_to_after_connecting_and_hourly(self, connection: Connected, vendor: Any) -> None:
        connection.work()
        link = connection.link()
        assert vendor.subscription.endswith("/hooks/quarry")
        assert link.subscribed_at is not None
        wait = (link.due_at - link.subscribed_at).total_seconds()
        assert 3600 * 0.89 < wait < 3600 * 1.11

    def test_it_fails_in_words(self, connection: Connected, vendor: Any) -> None:
        vendor.faults.next(403, path="/subscription", times=1)
        connection.work()
        assert connection.link().subscribe_error == "Quarry answered 403: asked to fail."
        connection.pass_time()
        connection.work()
        assert connection.link().subscribe_error == ""
        assert vendor.subscription

    def test_another_tenant_of_the_account_keeps_it(
        self, connection: Connected, connect: Callable[..., Connected], vendor: Any
    ) -> None:
        other = connect(account=connection.grant.account)
        for each in (connection, other):
            each.work()
        assert service.farewell(*connection.key) == []
        service.end(*connection.key)
        assert vendor.subscription
        assert service.farewell(*other.key) == []
        assert not vendor.subscription

    def test_what_was_learned_is_sealed_for_its_own_row(self, connection: Connected) -> None:
        from assay_tenants import sealing

        sealed = subscribing.sealed(connection.tenant_id, connection.id, {"a": "b"})
        with pytest.raises(sealing.SealingError):
            sealing.unseal(connection.tenant_id, "learned", sealed, row=connection.id + 1)
