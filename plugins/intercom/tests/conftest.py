from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from werkzeug.wrappers import Request as Posted
from werkzeug.wrappers import Response

from assay_intercom.service import Intercom
from assay_intercom.simulator import IntercomSimulator
from assay_sdk import Event, Fetch, Link, LocalLimiter, Message, Misunderstood, Record, Request, egress
from assay_sdk.testing import SetClock, connect, route, running

HOOKS = "https://assay.example.test/hooks/intercom"


class Door(IntercomSimulator):
    """Intercom, and Assay's door for what it posts, behind one address."""

    def __init__(self, clock: SetClock) -> None:
        super().__init__(clock=clock)
        #: What came to the door: method, headers and body.
        self.came: list[Request] = []
        self.answers = 200

    @route("HEAD", "/hooks/intercom", guarded=False)
    def asked(self, request: Posted) -> Response:
        return Response(status=200)

    @route("POST", "/hooks/intercom", guarded=False)
    def taken(self, request: Posted) -> Response:
        headers = {name.lower(): value for name, value in request.headers}
        self.came.append(Request("POST", HOOKS, headers, request.get_data(), self.clock.now()))
        return Response(status=self.answers)


@dataclass
class Platform:
    """Does with a plugin what Assay does: keeps messages and cursors, counts each event once."""

    service: Intercom
    link: Link
    door: Door
    cursors: dict[str, Any] = field(default_factory=dict)
    messages: list[Message] = field(default_factory=list)

    def follow(self, stream: str) -> int:
        """Looks until there is no more; gives how many pages that took."""
        source = self.service.source
        assert source is not None
        for pages in range(1, 100):
            page = source.pull(self.link, stream, self.cursors.get(stream))
            self.cursors[stream] = page.cursor
            now = self.link.clock.now()
            self.messages += [Message(f"pull/{stream}", body, now) for body in page.bodies]
            if not page.more:
                return pages
        raise AssertionError("The stream has no end.")

    def open_the_door(self) -> None:
        """Takes in what was posted since the last time."""
        source = self.service.source
        assert source is not None
        for request in self.door.came:
            source.verify(request, self.link.app, {})
            for delivery in source.split(request):
                if delivery.account == self.link.account:
                    self.messages.append(Message(delivery.call, delivery.body, request.received_at))
        self.door.came.clear()

    def fetch(self, kind: str, *ids: str) -> None:
        source = self.service.source
        assert source is not None
        page = source.fetch(self.link, kind, ids)
        now = self.link.clock.now()
        self.messages += [Message(f"fetch/{kind}", body, now) for body in page.bodies]

    def look_up(self) -> None:
        """Fetches what notices only named."""
        named = {record.id for record in self.records if isinstance(record, Fetch) and record.kind == "contact"}
        self.fetch("contact", *sorted(named))

    @property
    def records(self) -> list[Record]:
        source = self.service.source
        assert source is not None
        found: list[Record] = []
        for message in self.messages:
            for record in source.normalise(message):
                assert not isinstance(record, Misunderstood), record.reason
                found.append(record)
        return found

    @property
    def events(self) -> dict[str, Event]:
        """By their ids: what counts."""
        return {record.sender_id: record for record in self.records if isinstance(record, Event)}

    def counted(self, type_: str) -> int:
        return sum(event.type == type_ for event in self.events.values())


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


class Switch:
    """One server for the whole module; each test has a stand-in of its own behind it."""

    name = "switch"
    address = ""
    behind: Door | None = None

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        assert self.behind is not None
        return self.behind(environ, start_response)


@pytest.fixture(scope="module")
def switch() -> Iterator[Switch]:
    shared = Switch()
    with running(shared):
        yield shared


@pytest.fixture
def door(clock: SetClock, switch: Switch) -> Iterator[Door]:
    egress.configure(["127.0.0.1"])
    switch.behind = Door(clock)
    switch.behind.address = switch.address
    yield switch.behind
    egress.configure([])


@pytest.fixture
def service() -> Intercom:
    return Intercom()


@pytest.fixture
def link(service: Intercom, door: Door, clock: SetClock) -> Link:
    return connect(service, door, clock=clock, limiter=LocalLimiter(clock.seconds))


@pytest.fixture
def platform(service: Intercom, link: Link, door: Door) -> Platform:
    return Platform(service, link, door)


@pytest.fixture
def listening(door: Door) -> Door:
    """Notifications come in."""
    door.listen(f"{door.address}/hooks/intercom")
    return door


@pytest.fixture
def later(clock: SetClock) -> Callable[..., None]:
    def turn(**by: float) -> None:
        clock.turn(timedelta(**by))

    return turn
