"""The HTTP client of a connection: patience, limits, credentials, and what its errors say."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from assay_sdk import (
    AppSetting,
    Http,
    Link,
    LocalLimiter,
    NeedsReconnect,
    OAuth,
    PluginError,
    RateLimit,
    Refused,
    Service,
    Source,
    Tokens,
    TryLater,
)
from assay_sdk.testing import SetClock, local_link

TOKEN, REFRESH = "first-access-token-4711", "first-refresh-token-4711"
APP = {"client_id": "me", "client_secret": "app-secret-4711", "api": "https://api.acme.example"}
Answer = Callable[[httpx.Request], httpx.Response]


class Acme(Service):
    name = "acme"
    title = "Acme"
    auth = OAuth(authorize="https://acme.example/authorize", token="https://acme.example/token")
    app = (AppSetting("client_id", "Id"), AppSetting("client_secret", "Secret", secret=True))
    limits = (RateLimit("api", 1000, 1), RateLimit("search", 2, 10, burst=2))
    source = Source()


class Keyed(Acme):
    auth = None  # type: ignore[assignment] # neither OAuth nor anything that could be renewed


class Vendor:
    """Answers one call after another, and writes down when it was asked for what."""

    def __init__(self, clock: SetClock, *answers: Any) -> None:
        self.clock = clock
        self.answers = list(answers)
        self.asked: list[httpx.Request] = []
        self.at: list[float] = []
        self.renewals = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/token":
            self.renewals += 1
            return httpx.Response(200, json={"access_token": f"renewed-{self.renewals}", "expires_in": 3600})
        self.asked.append(request)
        self.at.append(self.clock.seconds())
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, int):
            return httpx.Response(answer, json={"said": answer})
        return answer if isinstance(answer, httpx.Response) else httpx.Response(*answer)


def connection(
    *answers: Any, service: Service | None = None, lives: timedelta | None = None, limiter: LocalLimiter | None = None
) -> tuple[Link, Vendor, SetClock]:
    clock = SetClock()
    vendor = Vendor(clock, *answers)
    until = clock.now() + lives if lives is not None else None
    link = local_link(service or Acme(), APP, tokens=Tokens(TOKEN, REFRESH, expires_at=until), account="7", clock=clock)
    client = httpx.Client(transport=httpx.MockTransport(vendor))
    limiter = limiter or LocalLimiter(clock.seconds)
    link.http = Http(service or Acme(), link, limiter, client=client, chance=lambda: 0.5)
    return link, vendor, clock


def slow(status: int, seconds: str) -> httpx.Response:
    return httpx.Response(status, headers={"Retry-After": seconds}, json={})


class TestTrying:
    @pytest.mark.parametrize(
        ("method", "options", "answers", "asked", "is_good"),
        [
            pytest.param("GET", {}, [500, 200], 2, True, id="once more"),
            pytest.param("GET", {}, [500, 502, 200], 3, True, id="twice more"),
            pytest.param("GET", {}, [500], 3, False, id="and no more"),
            pytest.param("GET", {}, [httpx.ReadTimeout("late"), 200], 2, True, id="too late"),
            pytest.param("GET", {}, [httpx.ConnectError("away"), 200], 2, True, id="away"),
            pytest.param("GET", {}, [408, 425, 200], 3, True, id="asked to try again"),
            pytest.param("PUT", {}, [503, 200], 2, True, id="put"),
            pytest.param("DELETE", {}, [503, 200], 2, True, id="delete"),
            pytest.param("POST", {}, [500, 200], 1, False, id="post may have arrived"),
            pytest.param("PATCH", {}, [500, 200], 1, False, id="patch may have arrived"),
            pytest.param("POST", {"safe": True}, [500, 200], 2, True, id="a search by post"),
            pytest.param("GET", {"safe": False}, [500, 200], 1, False, id="a get that does something"),
        ],
    )
    def test_what_is_tried_again(
        self, method: str, options: dict[str, Any], answers: list[Any], asked: int, is_good: bool
    ) -> None:
        link, vendor, _ = connection(*answers)
        if is_good:
            assert link.http.request(method, "/x", **options).status_code == 200
        else:
            with pytest.raises(TryLater):
                link.http.request(method, "/x", **options)
        assert len(vendor.asked) == asked

    def test_waits_grow_and_differ(self) -> None:
        link, _, clock = connection(500)
        with pytest.raises(TryLater):
            link.http.get("/x")
        assert clock.slept == [0.5, 1.0]
        chances = iter([0.0, 1.0])
        link, _, clock = connection(500)
        link.http._chance = lambda: next(chances)
        with pytest.raises(TryLater):
            link.http.get("/x")
        assert clock.slept == [0.25, 1.5]

    @pytest.mark.parametrize(
        ("status", "error", "stated"),
        [
            pytest.param(301, Refused, "redirect", id="redirect"),
            pytest.param(400, Refused, "Acme answered 400.", id="bad request"),
            pytest.param(403, Refused, "Acme answered 403.", id="forbidden"),
            pytest.param(404, Refused, "Acme answered 404.", id="not there"),
            pytest.param(409, Refused, "Acme answered 409.", id="conflict"),
            pytest.param(410, Refused, "Acme answered 410.", id="gone"),
            pytest.param(429, TryLater, "asks us to wait", id="too many"),
            pytest.param(501, TryLater, "Acme answered 501.", id="broken"),
        ],
    )
    def test_families(self, status: int, error: type[PluginError], stated: str) -> None:
        link, _, _ = connection(status)
        with pytest.raises(error, match=stated) as raised:
            link.http.get("/x")
        if isinstance(raised.value, Refused):
            assert raised.value.status == status
            assert raised.value.answer == (None if status == 301 else {"said": status})

    @pytest.mark.parametrize(
        ("body", "kind", "is_good"),
        [
            pytest.param(b'{"results": [', "application/json", False, id="cut short"),
            pytest.param(b"\xff", "application/json", False, id="no text"),
            pytest.param(b"[" * 50_000, "application/json; charset=utf-8", False, id="deep"),
            pytest.param(b"", "application/json", True, id="nothing"),
            pytest.param(b"<html>", "text/html", True, id="no JSON, and says so"),
        ],
    )
    def test_json_that_is_none_is_a_failure(self, body: bytes, kind: str, is_good: bool) -> None:
        link, vendor, _ = connection(httpx.Response(200, content=body, headers={"Content-Type": kind}))
        if is_good:
            assert link.http.get("/x").content == body
            return
        with pytest.raises(TryLater, match="JSON that can't be read"):
            link.http.get("/x")
        assert len(vendor.asked) == 3

    def test_an_address_of_ours_is_refused(self) -> None:
        link, _, _ = connection(200)
        link.http = Http(Acme(), link, LocalLimiter())
        with pytest.raises(Refused):
            link.http.get("http://127.0.0.1:1/x")


class TestWaiting:
    @pytest.mark.parametrize(
        ("answer", "after", "overloaded"),
        [
            pytest.param(slow(429, "30"), 30, True, id="half a minute"),
            pytest.param(slow(503, "30"), 30, True, id="away for half a minute"),
            pytest.param(slow(429, "99999999999999999999"), 7200, True, id="for ever is two hours"),
            pytest.param(slow(429, "Wed, 21 Oct"), 10, True, id="a date is not read"),
            pytest.param(slow(429, "-5"), 10, True, id="less than nothing"),
            pytest.param(429, 10, True, id="it does not say"),
        ],
    )
    def test_long_waits_are_raised_at_once(self, answer: Any, after: int, overloaded: bool) -> None:
        link, vendor, clock = connection(answer)
        with pytest.raises(TryLater) as raised:
            link.http.get("/x")
        assert raised.value.after == timedelta(seconds=after)
        assert raised.value.overloaded is overloaded
        assert (len(vendor.asked), clock.slept) == (1, [])

    def test_a_wait_is_raised_however_short(self) -> None:
        link, vendor, clock = connection(slow(429, "1"), 200)
        with pytest.raises(TryLater) as raised:
            link.http.post("/x")
        assert raised.value.after == timedelta(seconds=1)
        assert (len(vendor.asked), clock.slept) == (1, [])

    def test_everybody_who_shares_the_limit_waits(self) -> None:
        clock = SetClock()
        shared = LocalLimiter(clock.seconds)
        link, _, _ = connection(slow(429, "60"), limiter=shared)
        other, vendor, _ = connection(200, limiter=shared)
        with pytest.raises(TryLater):
            link.http.get("/x")
        with pytest.raises(TryLater) as raised:
            other.http.get("/x")
        assert raised.value.overloaded
        assert vendor.asked == []
        clock.turn(timedelta(seconds=70))
        assert other.http.get("/x").status_code == 200

    def test_another_account_does_not_wait(self) -> None:
        clock = SetClock()
        shared = LocalLimiter(clock.seconds)
        link, _, _ = connection(slow(429, "60"), limiter=shared)
        with pytest.raises(TryLater):
            link.http.get("/x")
        other, _, _ = connection(200, limiter=shared)
        other.account = "8"
        assert other.http.get("/x").status_code == 200

    def test_limits_are_kept_before_the_vendor_complains(self) -> None:
        link, vendor, clock = connection(200)
        for _ in range(2):
            link.http.get("/x", limits=["search"])
        with pytest.raises(TryLater, match="2 requests in 10 seconds") as raised:
            link.http.get("/x", limits=["search"])
        assert raised.value.after is not None
        assert len(vendor.asked) == 2
        clock.turn(raised.value.after)
        link.http.get("/x", limits=["search"])


class TestCredentials:
    def test_a_refused_token_is_renewed_once(self) -> None:
        link, vendor, _ = connection(401, 200)
        assert link.http.get("/x").status_code == 200
        assert vendor.renewals == 1
        assert [each.headers["Authorization"] for each in vendor.asked] == [f"Bearer {TOKEN}", "Bearer renewed-1"]

    def test_one_that_is_refused_again_needs_a_person(self) -> None:
        link, vendor, _ = connection(401)
        with pytest.raises(NeedsReconnect):
            link.http.get("/x")
        assert (vendor.renewals, len(vendor.asked)) == (1, 2)

    def test_a_post_is_repeated_with_the_new_token(self) -> None:
        link, vendor, _ = connection(401, 200)
        body = {"a": 1}
        assert link.http.post("/x", json=body).status_code == 200
        assert vendor.asked[0].content == vendor.asked[1].content
        assert body == {"a": 1}

    @pytest.mark.parametrize(
        ("lives", "renewals"),
        [
            pytest.param(timedelta(minutes=30), 0, id="young"),
            pytest.param(timedelta(minutes=2), 1, id="two minutes left"),
            pytest.param(timedelta(seconds=-5), 1, id="old"),
            pytest.param(None, 0, id="without an end"),
        ],
    )
    def test_an_old_token_is_renewed_in_time(self, lives: timedelta | None, renewals: int) -> None:
        link, vendor, _ = connection(200, lives=lives)
        for _ in range(3):
            link.http.get("/x")
        assert vendor.renewals == renewals
        assert len(vendor.asked) == 3

    def test_what_cannot_be_renewed_needs_a_person(self) -> None:
        link, vendor, _ = connection(401, service=Keyed())
        with pytest.raises(NeedsReconnect):
            link.http.get("/x")
        assert vendor.renewals == 0

    @pytest.mark.parametrize(
        "answer",
        [
            pytest.param((400, None, None, None, {"message": "bad"}), id="refused"),
            pytest.param(500, id="failed"),
            pytest.param(429, id="too many"),
            pytest.param(401, id="unauthorised"),
            pytest.param(httpx.ConnectError(f"no way to https://api.acme.example/?token={TOKEN}"), id="away"),
        ],
    )
    def test_errors_tell_no_secret(self, answer: Any) -> None:
        answer = httpx.Response(400, json={"message": "bad"}) if isinstance(answer, tuple) else answer
        link, _, _ = connection(answer)
        with pytest.raises(PluginError) as raised:
            link.http.get("/x", params={"token": TOKEN})
        told = f"{raised.value} {raised.value!r} {vars(raised.value)}"
        assert not [secret for secret in (TOKEN, REFRESH, APP["client_secret"]) if secret in told]
