"""Resting after a good answer which says that nothing is left: before the vendor has to refuse."""

from datetime import timedelta

import httpx
import pytest
from werkzeug.wrappers import Response

from assay_sdk import Http, Link, LocalLimiter, RateLimit, Service, Source, TryLater
from assay_sdk.testing import SetClock, Simulator, local_link, running

APP = {"api": "https://api.acme.example"}


class Frugal(Service):
    name = "frugal"
    title = "Frugal"
    limits = (RateLimit("api", 1000, 1), RateLimit("search", 1000, 1))
    source = Source()

    def base_url(self, link: Link) -> str:
        return APP["api"]

    def spare(self, answer: httpx.Response) -> timedelta | None:
        left = answer.headers.get("X-Left", "")
        return timedelta(seconds=int(answer.headers["X-Reset"])) if left == "0" else None


class Vendor:
    def __init__(self, status: int = 200, /, **headers: str) -> None:
        self.status = status
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}
        self.asked = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        return httpx.Response(self.status, json={}, headers=self.headers)


def connection(vendor: Vendor, service: Service | None = None) -> tuple[Link, SetClock]:
    clock = SetClock()
    link = local_link(service or Frugal(), APP, account="7", clock=clock)
    client = httpx.Client(transport=httpx.MockTransport(vendor))
    link.http = Http(service or Frugal(), link, LocalLimiter(clock.seconds), client=client)
    return link, clock


def test_nothing_left_makes_the_next_call_wait() -> None:
    vendor = Vendor(X_Left="0", X_Reset="30")
    link, clock = connection(vendor)
    assert link.http.get("/a").status_code == 200
    with pytest.raises(TryLater) as caught:
        link.http.get("/b")
    assert caught.value.overloaded
    assert caught.value.after is not None
    assert timedelta(seconds=30) <= caught.value.after <= timedelta(seconds=33)
    assert vendor.asked == 1
    clock.turn(timedelta(seconds=34))
    assert link.http.get("/b").status_code == 200


def test_short_rest_is_waited_out_within_the_call() -> None:
    vendor = Vendor(X_Left="0", X_Reset="1")
    link, clock = connection(vendor)
    before = clock.now()
    link.http.get("/a")
    link.http.get("/b")
    assert vendor.asked == 2
    assert clock.now() - before >= timedelta(seconds=1)


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"X_Left": "1", "X_Reset": "30"}, id="one left"),
        pytest.param({}, id="it does not say"),
        pytest.param({"X_Left": "0", "X_Reset": "0"}, id="over already"),
    ],
)
def test_otherwise_nobody_waits(headers: dict[str, str]) -> None:
    vendor = Vendor(200, **headers)
    link, clock = connection(vendor)
    before = clock.now()
    for _ in range(3):
        link.http.get("/a")
    assert clock.now() == before


def test_only_limits_that_the_call_took_rest() -> None:
    vendor = Vendor(X_Left="0", X_Reset="30")
    link, _ = connection(vendor)
    link.http.get("/a", limits=("search",))
    assert link.http.get("/b", limits=("api",)).status_code == 200


def test_services_that_do_not_say_rest_never() -> None:
    assert Service().spare(httpx.Response(200, headers={"X-RateLimit-Remaining": "0"})) is None


def test_stand_in_tells_one_date_that_of_its_clock(loopback: None) -> None:
    """Rests are told by instants: this machine's beside the stand-in's could not be read."""
    simulator = type("Acme", (Simulator,), {"name": "acme"})()
    with running(simulator) as address:
        assert len(httpx.get(f"{address}/nowhere").headers.get_list("Date")) <= 1
        dated = Response("", headers={"Date": "Mon, 21 Sep 2026 12:00:00 GMT"})
        simulator._answer = lambda request: dated  # type: ignore[method-assign] # one that states it
        assert httpx.get(f"{address}/nowhere").headers.get_list("Date") == ["Mon, 21 Sep 2026 12:00:00 GMT"]
