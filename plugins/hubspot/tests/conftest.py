"""A running stand-in, and connections to it."""

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from assay_hubspot.service import HubSpot
from assay_hubspot.simulator import HubSpotSimulator
from assay_sdk import Link, LocalLimiter, Message, Misunderstood, Page, Record, egress
from assay_sdk.testing import SetClock, connect, running

HOOKS = "https://assay.example.test/hooks/hubspot"


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


class Door:
    """One server for all tests, behind which each finds a stand-in of its own."""

    name = "hubspot"
    address = ""
    behind: HubSpotSimulator

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        return self.behind(environ, start_response)


@pytest.fixture(scope="session")
def door() -> Iterator[Door]:
    door = Door()
    with running(door):  # type: ignore[arg-type] # all that is asked of a simulator there
        yield door


@pytest.fixture
def simulator(clock: SetClock, door: Door) -> Iterator[HubSpotSimulator]:
    door.behind = HubSpotSimulator(clock=clock)
    door.behind.address = door.address
    egress.configure(["127.0.0.1"])
    yield door.behind
    egress.configure([])


@pytest.fixture
def service() -> HubSpot:
    return HubSpot()


@pytest.fixture
def connected(service: HubSpot, simulator: HubSpotSimulator, clock: SetClock) -> Callable[..., Link]:
    def make(**form: str) -> Link:
        return connect(service, simulator, clock=clock, limiter=LocalLimiter(clock.seconds), form=form)

    return make


@pytest.fixture
def link(connected: Callable[..., Link]) -> Link:
    return connected()


@pytest.fixture
def understood(service: HubSpot) -> Callable[[list[bytes], str], list[Record]]:
    """All records in these bodies, of which every one can be read."""

    def read(bodies: list[bytes], call: str) -> list[Record]:
        at = datetime(2026, 9, 21, 12, tzinfo=UTC)
        records = [record for body in bodies for record in service.source.normalise(Message(call, body, at))]
        assert not [record for record in records if isinstance(record, Misunderstood)]
        return records  # type: ignore[return-value] # none is a Misunderstood, as was just looked

    return read


@pytest.fixture
def pulled(
    service: HubSpot, understood: Callable[[list[bytes], str], list[Record]]
) -> Callable[..., tuple[list[Page], list[Record]]]:
    """All pages of a stream from a cursor on, and the records in them."""

    def pull(link: Link, stream: str, cursor: object = None, *, most: int = 2000) -> tuple[list[Page], list[Record]]:
        pages: list[Page] = []
        while len(pages) < most:
            page = service.source.pull(link, stream, cursor)  # type: ignore[arg-type] # what the page before gave
            pages.append(page)
            cursor = page.cursor
            if not page.more:
                break
        bodies = [body for page in pages for body in page.bodies]
        return pages, understood(bodies, f"pull/{stream}")

    return pull
