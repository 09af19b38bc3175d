"""Where drills are held: a simulator of its own for each, served over loopback, and a connection to it."""

import dataclasses
import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property, partial
from typing import Any, TypeVar

import httpx

from assay_sdk.destination import Destination, ScoreUpdate
from assay_sdk.errors import Misunderstood, TryLater
from assay_sdk.http import Http
from assay_sdk.limits import LocalLimiter
from assay_sdk.link import Link
from assay_sdk.paging import chunked
from assay_sdk.records import (
    Alias,
    Company,
    Deletion,
    Event,
    Fetch,
    Identifiers,
    Identify,
    Outcome,
    Record,
    Restoration,
)
from assay_sdk.service import Service
from assay_sdk.source import Cursor, Message, Page, Request, Source
from assay_sdk.testing.clock import SetClock
from assay_sdk.testing.examination.examinable import Examinable, NotOffered
from assay_sdk.testing.local import connect
from assay_sdk.testing.serving import running
from assay_sdk.testing.simulator import Posted, Simulator

T = TypeVar("T")
Item = Record | Misunderstood
Maker = Callable[..., Simulator]

ADDRESS = "https://assay.example.test"
RECORDS = (Identify, Event, Company, Alias, Outcome, Deletion, Restoration, Fetch)
#: Pages of a stream beyond which it has no end.
_MOST_PAGES = 500
#: People for drills that need messages and not pages.
FEW = 12
_MOST_WAITS = 50


class _Timed(deque[str]):
    """A simulator's list of calls that also knows when each was made."""

    def __init__(self, clock: SetClock) -> None:
        super().__init__(maxlen=10_000)
        self.clock = clock
        self.at: list[datetime] = []

    def append(self, call: str) -> None:
        self.at.append(self.clock.now())
        super().append(call)


@dataclass
class Desk:
    """A running simulator and a connection to it."""

    service: Service
    simulator: Simulator
    link: Link
    clock: SetClock
    calls: _Timed
    _read: int = field(default=0, init=False)

    @property
    def offers(self) -> Examinable:
        if not isinstance(self.simulator, Examinable):
            raise NotOffered("The simulator is not Examinable.")
        return self.simulator

    @property
    def source(self) -> Source:
        if self.service.source is None:
            raise NotOffered("The service has no source.")
        return self.service.source

    @property
    def destination(self) -> Destination:
        if self.service.destination is None:
            raise NotOffered("The service has no destination.")
        return self.service.destination

    @property
    def app(self) -> Mapping[str, str]:
        return self.simulator.app_settings()

    @property
    def account(self) -> str:
        return next(iter(self.simulator.accounts()))

    @property
    def streams(self) -> Sequence[str]:
        """Those that are loaded with what was granted."""
        names = [each.name for each in self.source.streams if each.scope is None or each.scope in self.link.scopes]
        if not names:
            raise NotOffered("The source pulls nothing.")
        return names

    def use(self, client: httpx.Client) -> None:
        """From here on the connection asks with this client."""
        self.link.http.close()
        self.link.http = Http(
            self.service, self.link, LocalLimiter(self.clock.seconds), client=client, chance=lambda: 0.5
        )

    def patiently(self, act: Callable[[], T]) -> T:
        """As the platform does it: waits as long as it was told, and tries again."""
        for _ in range(_MOST_WAITS):
            try:
                return act()
            except TryLater as error:
                self.clock.turn((error.after or timedelta(seconds=1)) + timedelta(milliseconds=1))
        return act()

    # Pulling.

    def pull(self, stream: str, cursor: Cursor | None) -> Page:
        return self.patiently(lambda: self.source.pull(self.link, stream, cursor))

    def pages(self, stream: str, cursor: Cursor | None = None) -> Iterator[Page]:
        """Pages until there are no more for now."""
        for _ in range(_MOST_PAGES):
            page = self.pull(stream, cursor)
            yield page
            cursor = page.cursor
            if not page.more:
                return
        raise AssertionError(f"The stream {stream!r} has no end: {_MOST_PAGES} pages, and still more.")

    def load(self, cursors: dict[str, Cursor | None] | None = None) -> list[Message]:
        """What all streams hold, on from ``cursors``, which are moved."""
        cursors = {} if cursors is None else cursors
        found = []
        for stream in self.streams:
            for page in self.pages(stream, cursors.get(stream)):
                found += self.messages(page, stream)
                cursors[stream] = page.cursor
        return found

    def messages(self, page: Page, stream: str) -> list[Message]:
        return [Message(f"pull/{stream}", body, self.clock.now()) for body in page.bodies]

    def fetched(self, items: Iterable[Item]) -> list[Message]:
        """What the records that only name others stand for."""
        wanted: dict[str, dict[str, None]] = {}
        for item in items:
            if isinstance(item, Fetch):
                wanted.setdefault(item.kind, {})[item.id] = None
        found = []
        for kind, ids in wanted.items():
            for some in chunked(list(ids), self.source.fetch_batch):
                page = self.patiently(partial(self.source.fetch, self.link, kind, some))
                found += [Message(f"fetch/{kind}", body, self.clock.now()) for body in page.bodies]
        return found

    def understood(self, messages: Iterable[Message]) -> list[Item]:
        """Their items, with what was to be fetched."""
        items = [item for message in messages for item in read(self.source, message)]
        items += [item for message in self.fetched(items) for item in read(self.source, message)]
        return items

    # Webhooks.

    @property
    def url(self) -> str:
        return f"{ADDRESS}/hooks/{self.service.name}" + ("" if self.source.shared_address else "/k4q7")

    @property
    def hook_secrets(self) -> Mapping[str, Any]:
        return {} if self.source.shared_address else self.link.secrets

    def subscribe(self) -> None:
        if not self.source.has_hooks:
            raise NotOffered("Nothing is ever posted to this source.")
        self.offers.point_hooks_at(self.url)
        self.patiently(lambda: self.source.subscribe(self.link, self.url))

    def hooks(self, account: str | None = None, signed_at: datetime | None = None) -> Sequence[Request]:
        if not self.source.has_hooks:
            raise NotOffered("Nothing is ever posted to this source.")
        return self.offers.hooks(account or self.account, url=self.url, signed_at=signed_at or self.clock.now())

    def accepted(self, request: Request) -> list[Message]:
        """The parts of a request, as they are kept."""
        self.source.verify(request, self.app, self.hook_secrets)
        found = []
        for delivery in self.source.split(request):
            if delivery.learned:
                self.source.confirm(self.link, delivery.learned)
            found.append(Message(delivery.call, delivery.body, request.received_at))
        return found

    def arrived(self) -> list[Message]:
        """What the simulator posted to our address since this was asked last."""
        self.offers.settle()
        posted = list(self.simulator.posted)[self._read :]
        self._read += len(posted)
        found = []
        for one in posted:
            if one.url.partition("?")[0] == self.url and one.body:
                headers = {name.lower(): value for name, value in one.headers.items()}
                found += self.accepted(Request("POST", one.url, headers, one.body, self.clock.now()))
        return found

    # Scores.

    def updates(self, count: int = 3, score: int = 40) -> list[ScoreUpdate]:
        """For the first few people; each with sentences of its own."""
        found = []
        for number, ids in enumerate(self.offers.people()[:count]):
            vendor_id = ids.vendor.get(self.service.name, "")
            if "vendor_id" in self.destination.known_by and not vendor_id:
                raise NotOffered("The simulator doesn't tell the vendor's ids of people.")
            found.append(self.update(ids, key=f"k{number}", score=score + number))
        if not found:
            raise NotOffered("The simulator knows nobody.")
        return found

    def update(self, ids: Identifiers, *, key: str, score: int) -> ScoreUpdate:
        return ScoreUpdate(
            key=key,
            vendor_id=ids.vendor.get(self.service.name, ""),
            user_id=ids.user_id,
            anonymous_id=ids.anonymous_id,
            email=ids.email,
            model="Examination",
            score=score,
            grade="A1",
            stage="MQL",
            reasons=(f"Examined for {score} points.",),
            scored_at=self.clock.now().replace(microsecond=0),
            url=f"{ADDRESS}/leads/{key}",
            version=f"{key}-{score}",
        )


@dataclass
class Bench:
    """What all drills of an examination share."""

    service: Service
    make: Maker

    @contextmanager
    def desk(self, people: int = FEW) -> Iterator[Desk]:
        clock = SetClock()
        simulator = self.make(clock=clock)
        calls = _Timed(clock)
        simulator.calls = calls
        _collect(simulator)
        with running(simulator):
            simulator.fill(people)
            link = connect(self.service, simulator, clock=clock, limiter=LocalLimiter(clock.seconds))
            try:
                yield Desk(self.service, simulator, link, clock, calls)
            finally:
                simulator.faults.clear()
                link.http.close()

    @property
    def enough(self) -> int:
        return getattr(self.make, "enough_people", Examinable.enough_people)

    @cached_property
    def samples(self) -> "Samples":
        """Messages of every kind, which several drills look at."""
        with self.desk() as desk:
            pulled, hooked = _or_none(lambda: desk.load()), []
            for request in _or_none(lambda: list(desk.hooks())):
                hooked += desk.accepted(request)
            hooked += _or_none(lambda: _happenings(desk))
            items = [item for message in (*pulled, *hooked) for item in read(desk.source, message)]
            fetched = desk.fetched(items)
            items += [item for message in fetched for item in read(desk.source, message)]
            return Samples(desk.source, pulled, hooked, fetched, items)


@dataclass(frozen=True)
class Samples:
    source: Source
    pulled: Sequence[Message]
    hooked: Sequence[Message]
    fetched: Sequence[Message]
    items: Sequence[Item]

    @property
    def messages(self) -> list[Message]:
        found = [*self.pulled, *self.hooked, *self.fetched]
        if not found:
            raise NotOffered("The simulator gave no message to look at.")
        return found


def read(source: Source, message: Message) -> list[Item]:
    """What the source makes of a message; a Misunderstood that was raised is like one that was yielded."""
    found: list[Item] = []
    try:
        found.extend(source.normalise(message))
    except Misunderstood as error:
        found.append(error)
    return found


def fact(item: Item) -> str:
    """An item as text: equal for equal ones."""
    if isinstance(item, Misunderstood):
        return f"Misunderstood {item.field} {item.reason}"
    content = json.dumps(dataclasses.asdict(item), sort_keys=True, default=str, ensure_ascii=False)
    return f"{type(item).__name__} {content}"


def facts(items: Iterable[Item]) -> set[str]:
    return {fact(item) for item in items}


def names_of(ids: Identifiers) -> set[str]:
    """All by which somebody may be known, for telling whether two are the same."""
    found = {f"{vendor}:{id}" for vendor, id in ids.vendor.items()}
    if ids.email:
        found.add(f"email:{ids.email.lower()}")
    if ids.user_id:
        found.add(f"user:{ids.user_id}")
    return found


def events(items: Iterable[Item]) -> list[Event]:
    return [item for item in items if isinstance(item, Event)]


def at_once(message: Message, at: datetime) -> Message:
    """The same message as if it had been received then."""
    return replace(message, received_at=at)


def _collect(simulator: Simulator) -> None:
    """Webhooks are kept instead of sent."""

    def post(url: str, body: bytes, headers: Mapping[str, str]) -> Posted:
        posted = Posted(url, body, dict(headers), 200, 0.0)
        simulator.posted.append(posted)
        return posted

    simulator.post = post  # type: ignore[method-assign] # this one instance's, for one drill


def _happenings(desk: Desk) -> list[Message]:
    """What is posted when somebody comes and somebody changes."""
    desk.subscribe()
    for happens in (desk.offers.add_someone, desk.offers.change_someone):
        with suppress(NotOffered):
            happens()
    return desk.arrived()


def _or_none(act: Callable[[], list[T]]) -> list[T]:
    try:
        return act()
    except NotOffered:
        return []
