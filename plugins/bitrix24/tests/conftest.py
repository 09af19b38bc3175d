"""A portal's stand-in that is really served, and a connection to it."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from assay_bitrix24.service import Bitrix24
from assay_bitrix24.simulator import Bitrix24Simulator
from assay_sdk import Delivery, Link, LocalLimiter, Message, Page, Request, egress
from assay_sdk.testing import SetClock, connect, running

URL = "https://assay.example.test/hooks/bitrix24/c1"


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def service() -> Bitrix24:
    return Bitrix24()


class _Door:
    """One address for all tests, with a stand-in of each test's own behind it: opening a new one takes its time."""

    name = "bitrix24"
    address = ""
    behind: Bitrix24Simulator

    def __call__(self, environ: Any, start_response: Any) -> Any:
        return self.behind(environ, start_response)


@pytest.fixture(scope="session")
def door() -> Iterator[_Door]:
    opened = _Door()
    with running(opened):
        yield opened


@pytest.fixture
def simulator(clock: SetClock, door: _Door) -> Iterator[Bitrix24Simulator]:
    egress.configure(["127.0.0.1", "::1"])
    door.behind = Bitrix24Simulator(clock=clock)
    door.behind.address = door.address
    try:
        yield door.behind
    finally:
        egress.configure([])


@pytest.fixture
def link(service: Bitrix24, simulator: Bitrix24Simulator, clock: SetClock) -> Link:
    return connect(service, simulator, clock=clock, limiter=LocalLimiter(clock.seconds))


@pytest.fixture
def understood(service: Bitrix24, clock: SetClock) -> Callable[[Page], list[Any]]:
    """The records of a page's bodies."""

    def read(page: Page) -> list[Any]:
        return [
            record for body in page.bodies for record in service.source.normalise(Message("pull/x", body, clock.now()))
        ]

    return read


@pytest.fixture
def load(
    service: Bitrix24, link: Link, understood: Callable[[Page], list[Any]]
) -> Callable[..., tuple[list[Any], dict[str, Any]]]:
    """All records of a stream to its end for now, and its cursor."""

    def pull(stream: str, cursor: dict[str, Any] | None = None) -> tuple[list[Any], dict[str, Any]]:
        found: list[Any] = []
        while True:
            page = service.source.pull(link, stream, cursor)
            found += understood(page)
            cursor = dict(page.cursor)
            if not page.more:
                return found, cursor

    return pull


@pytest.fixture
def deliver(service: Bitrix24, link: Link, clock: SetClock) -> Callable[[bytes], list[Delivery]]:
    """A form goes through the hook door."""

    def post(body: bytes) -> list[Delivery]:
        headers = {"content-type": "application/x-www-form-urlencoded"}
        request = Request("POST", URL, headers, body, clock.now())
        service.source.verify(request, link.app, link.secrets)
        return list(service.source.split(request))

    return post
