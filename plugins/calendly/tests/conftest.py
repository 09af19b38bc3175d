from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from assay_calendly.service import Calendly
from assay_calendly.simulator import CalendlySimulator
from assay_sdk import Link, LocalLimiter, Page, Record, egress
from assay_sdk.records import Event
from assay_sdk.source import Message
from assay_sdk.testing import SetClock, connect, running


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


class Stage(CalendlySimulator):
    """One server for all tests; each puts a stand-in of its own on it."""

    current: CalendlySimulator

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        return self.current(environ, start_response)


@pytest.fixture(scope="session")
def stage() -> Iterator[Stage]:
    empty = Stage()
    with running(empty):
        yield empty


@pytest.fixture
def simulator(stage: Stage, clock: SetClock) -> Iterator[CalendlySimulator]:
    egress.configure(["127.0.0.1"])
    stage.current = CalendlySimulator(clock=clock)
    stage.current.address = stage.address
    yield stage.current
    egress.configure([])


@pytest.fixture
def service() -> Calendly:
    return Calendly()


@pytest.fixture
def link(service: Calendly, simulator: CalendlySimulator, clock: SetClock) -> Link:
    return connect(service, simulator, clock=clock, limiter=LocalLimiter(clock.seconds))


class Reader:
    """Runs streams as the platform does: page after page, and keeps what comes."""

    def __init__(self, service: Calendly, link: Link, clock: SetClock) -> None:
        self.source, self.link, self.clock = service.source, link, clock
        self.cursors: dict[str, dict[str, object] | None] = {}
        self.records: list[Record] = []

    def run(self, stream: str = "scheduled-events") -> list[Page]:
        assert self.source is not None
        pages: list[Page] = []
        while True:
            page = self.source.pull(self.link, stream, self.cursors.get(stream))
            self.cursors[stream] = dict(page.cursor)
            pages.append(page)
            for body in page.bodies:
                for record in self.source.normalise(Message(f"pull/{stream}", body, self.clock.now())):
                    assert not isinstance(record, Exception), record
                    self.records.append(record)
            if not page.more:
                return pages

    @property
    def events(self) -> dict[str, Event]:
        """Each once, by its id."""
        return {one.sender_id: one for one in self.records if isinstance(one, Event)}

    def types(self) -> list[str]:
        return sorted(one.type for one in self.events.values())


@pytest.fixture
def reader(service: Calendly, link: Link, clock: SetClock) -> Reader:
    clock.turn(timedelta(seconds=1))
    return Reader(service, link, clock)
