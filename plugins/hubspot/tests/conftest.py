"""A running stand-in, and connections to it."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from assay_hubspot.service import HubSpot
from assay_hubspot.simulator import HubSpotSimulator
from assay_sdk import Link, LocalLimiter, Message, Misunderstood, Page, Record, egress
from assay_sdk.testing import SetClock, connect, running

HOOKS = "https://assay.example.test/hooks/hubspot"


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def simulator(clock: SetClock) -> Iterator[HubSpotSimulator]:
    simulator = HubSpotSimulator(clock=clock)
    egress.configure(["127.0.0.1"])
    try:
        with running(simulator):
            yield simulator
    finally:
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
