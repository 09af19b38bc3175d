"""Visitors of a site, as tracking calls: who comes, what they do, and a sender that keeps a pace."""

import random
import selectors
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from uuid import UUID

import msgspec

from tests.bench.bench_accept import Client

BATCH = 100
PAGES = ("/", "/pricing", "/docs/start", "/docs/api", "/blog/why", "/about")
DEEDS = ("Offer Downloaded", "Demo Requested", "Feature Used")

#: Two models: one whose points fade smoothly, one that watches for silence.
MODELS = {
    "interest": """
model: interest
rules:
  - {id: owner, when: {trait: title, in: [CFO, Owner]}, points: 20}
  - {id: pricing, on: page.viewed, where: {property: path, starts_with: /pricing}, points: 15, count: once}
  - {id: views, on: page.viewed, points: 1, count: {first: 20}, fades: {half_life: 14d}}
stages: [{name: Warm, from: 10}, {name: Hot, from: 40}]
""",
    "usage": """
model: usage
rules:
  - {id: plan, when: {trait: plan, is: pro}, points: 10}
  - {id: docs, on: page.viewed, where: {property: path, starts_with: /docs}, points: 2, count: {first: 10}}
  - {id: offers, on: offer_downloaded, count: {once_per: offer_id}, points: 5}
  - {id: silent, idle: {for: 30d, of: any}, points: -15}
stages: [{name: Trying, from: 10}, {name: Using, from: 20}]
""",
}


@dataclass(frozen=True)
class Crowd:
    """``people`` known by number; a share ``new`` of all events is the only one of somebody who never came before."""

    people: int
    new: float = 0.0
    seed: int = 7
    _drawn: random.Random = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_drawn", random.Random(self.seed))

    def events(self) -> Iterator[dict[str, object]]:
        """Three in four are page views, one in twenty an identify; without a timestamp: they happen as they come."""
        drawn, encode = self._drawn, UUID
        while True:
            chance, number = drawn.random(), drawn.randrange(self.people)
            who = f"n{drawn.getrandbits(48):x}" if drawn.random() < self.new else f"u{number}"
            base: dict[str, object] = {"userId": who, "messageId": str(encode(int=drawn.getrandbits(128)))}
            if chance < 0.05:
                yield base | {"type": "identify", "traits": self._traits(who, number)}
            elif chance < 0.8:
                page = {"path": drawn.choice(PAGES), "url": "https://quartz.example/", "title": "Quartz"}
                context = {"library": {"name": "analytics.js", "version": "1.84.3"}, "userAgent": "Mozilla/5.0"}
                yield base | {"type": "page", "anonymousId": f"a-{who}", "properties": page, "context": context}
            else:
                properties = {"offer_id": f"offer-{drawn.randrange(7)}", "value": 12.5}
                yield base | {"type": "track", "event": drawn.choice(DEEDS), "properties": properties}

    def _traits(self, who: str, number: int) -> dict[str, object]:
        return {
            "email": f"{who}@firm{number % 500}.example.com",
            "name": f"Visitor {who}",
            "title": self._drawn.choice(["CFO", "Owner", "Developer", "Student"]),
            "plan": self._drawn.choice(["pro", "free"]),
        }

    def requests(self, count: int, key: str, *, events: int = BATCH) -> list[bytes]:
        """Whole requests, written beforehand: the sender is to cost as little as can be."""
        stream = self.events()
        return [request({"batch": [next(stream) for _ in range(events)], "writeKey": key}) for _ in range(count)]


def request(document: object, path: str = "/v1/batch") -> bytes:
    body = msgspec.json.encode(document)
    return f"POST {path} HTTP/1.1\r\nHost: bench.test\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


@dataclass
class Sent:
    accepted: int = 0
    #: By status.
    refused: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    #: The longest that a request was sent after its time.
    late: float = 0.0


def send_at_pace(port: int, requests: list[bytes], per_second: float, connections: int = 8) -> Sent:
    """Sends each request at its time, whether or not those before it were answered."""
    # In turns, for the server closes connections that nobody uses for half a minute.
    sent, idle, selector = Sent(), deque(Client(port) for _ in range(connections)), selectors.DefaultSelector()
    for client in idle:
        selector.register(client.socket, selectors.EVENT_READ, client)
    waiting, busy = iter(enumerate(requests)), 0
    following = next(waiting, None)
    begun = time.perf_counter()
    while following is not None or busy:
        now = time.perf_counter() - begun
        while following is not None and idle and following[0] / per_second <= now:
            sent.late = max(sent.late, now - following[0] / per_second)
            idle.popleft().send(following[1])
            busy += 1
            following = next(waiting, None)
        pause = max(0.0, following[0] / per_second - now) if following is not None and idle else 1.0
        for key, _ in selector.select(timeout=pause):
            client = key.data
            if client.is_answered():
                idle.append(client)
                busy -= 1
                count(sent, client)
    sent.seconds = time.perf_counter() - begun
    return sent


def send_at_once(port: int, requests: list[bytes], seconds: float, *, patient: bool, connections: int = 4) -> Sent:
    """As fast as it goes, round and round; ``patient`` senders wait as long as a refusal asks them to."""
    sent, selector = Sent(), selectors.DefaultSelector()
    following: Callable[[], bytes] = _round(requests)
    begun = time.perf_counter()
    resting: list[tuple[float, Client]] = []
    for _ in range(connections):
        client = Client(port)
        selector.register(client.socket, selectors.EVENT_READ, client)
        client.send(following())
    while (now := time.perf_counter()) - begun < seconds:
        for until, client in [one for one in resting if one[0] <= now]:
            resting.remove((until, client))
            client.send(following())
        for key, _ in selector.select(timeout=0.02):
            client = key.data
            if not client.is_answered():
                continue
            pause = count(sent, client)
            if pause and patient:
                resting.append((time.perf_counter() + pause, client))
            else:
                client.send(following())
    sent.seconds = time.perf_counter() - begun
    return sent


def _round(requests: list[bytes]) -> Callable[[], bytes]:
    place = -1

    def following() -> bytes:
        nonlocal place
        place = (place + 1) % len(requests)
        return requests[place]

    return following


def count(sent: Sent, client: Client) -> float:
    """Counts an answer; tells how many seconds it asks its sender to wait."""
    if client.answer.startswith(b"HTTP/1.1 200"):
        sent.accepted += 1
        return 0.0
    status = client.answer[9:12].decode(errors="replace") or "none"
    sent.refused[status] = sent.refused.get(status, 0) + 1
    head = client.answer.lower().partition(b"retry-after:")[2].partition(b"\r\n")[0].strip()
    return float(head) if head.isdigit() else 0.0
