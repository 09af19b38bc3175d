"""A stand-in of Segment: its tracking API, which never says that a key is wrong, and its webhook destination."""

import json
import secrets as randomness
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from werkzeug.wrappers import Request as Call
from werkzeug.wrappers import Response

from assay_sdk import Identifiers, Request
from assay_sdk.signatures import sign
from assay_sdk.testing import Examinable, NotOffered, Simulator, answer_json, route
from assay_sdk.testing.simulator import Grant
from assay_segment.destination import stated
from assay_segment.ours import account_of

LARGEST_BATCH, LARGEST_EVENT, MOST_EVENTS = 500_000, 32_768, 2500
GIVE_UP = timedelta(hours=4)
_PAGES = ("/", "/pricing", "/docs", "/customers")
_events = msgspec.json.Decoder(list[msgspec.Raw])

Json = dict[str, Any]


class SegmentSimulator(Examinable, Simulator):
    """One workspace with one source for scores, and one webhook that a person points somewhere."""

    name = "segment"
    access_lifetime = None

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        # The same whenever it is started: it is what tells the account.
        self.write_key = f"{self.dice.getrandbits(128):032x}"
        self.shared_secret = randomness.token_urlsafe(24)
        #: Where the webhook destination posts to, as its settings say; several events in one request, if it batches.
        self.webhook = ""
        #: What arrived, by messageId: a repeated one is dropped.
        self.arrived: dict[str, Json] = {}
        #: Events for a key that is none of this workspace's: answered with 200, and lost.
        self.lost: list[Json] = []
        #: Of everybody, by userId or anonymousId.
        self.traits: dict[str, Json] = {}
        self.users: list[str] = []
        self.waiting: list[tuple[datetime, bytes]] = []
        self._number = 0

    def app_settings(self) -> dict[str, str]:
        return {"api_us": self.address, "api_eu": self.address}

    def form(self) -> dict[str, str]:
        return {"shared_secret": self.shared_secret, "write_key": self.write_key, "region": "us"}

    def accounts(self) -> Mapping[str, str]:
        return {account_of(self.write_key): "Segment"}

    def grant_of(self, request: Call) -> Grant:
        """Whatever the key: Segment lets everybody in, and drops what it can't place."""
        return Grant(request.authorization.username or "" if request.authorization else "", ())

    # The tracking API.

    @route("POST", "/v1/batch")
    def batch(self, request: Call, grant: Grant) -> Response:
        body = request.get_data()
        if len(body) > LARGEST_BATCH:
            return answer_json({"success": False, "message": "The batch is larger than 500 KB."}, 400)
        try:
            read = json.loads(body)
            events = read["batch"]
        except (ValueError, KeyError, TypeError):
            return answer_json({"success": False, "message": "The body is not JSON with a batch."}, 400)
        # Too many, or one too large: told 200 all the same.
        if len(events) <= MOST_EVENTS:
            for event in events:
                if len(json.dumps(event, ensure_ascii=False).encode()) <= LARGEST_EVENT:
                    self._take(event, grant.account or str(read.get("writeKey") or ""))
        return answer_json({"success": True})

    @route("POST", "/v1/identify")
    def identify(self, request: Call, grant: Grant) -> Response:
        event = request.get_json(force=True)
        self._take({**event, "type": "identify"}, grant.account or str(event.get("writeKey") or ""))
        return answer_json({"success": True})

    def _take(self, event: Json, key: str) -> None:
        with self.lock:
            if key != self.write_key:
                self.lost.append(event)
            elif event.get("messageId") not in self.arrived:
                self.arrived[str(event.get("messageId"))] = event
                if event.get("type") == "identify":
                    whose = str(event.get("userId") or event.get("anonymousId"))
                    self.traits.setdefault(whose, {}).update(event.get("traits") or {})

    # The webhook destination.

    @route("POST", "/workspace/webhook", guarded=False)
    def settings_page(self, request: Call) -> Response:
        """What a person fills in at Segment: where events go, and the shared secret."""
        asked = request.get_json(force=True)
        self.webhook = str(asked["url"])
        self.shared_secret = str(asked.get("shared_secret", self.shared_secret))
        return answer_json({"success": True})

    def point_hooks_at(self, url: str) -> None:
        self.webhook = url

    def event(self, kind: str, *, at: datetime | None = None, **fields: Any) -> Json:
        """An event as Segment passes it on: with the source's write key, and with the clocks put right."""
        with self.lock:
            self._number += 1
        instant = stated(at or self.clock.now())
        return {
            "type": kind,
            "messageId": f"ajs-next-{self._number}-{self.dice.getrandbits(64):016x}",
            "context": {"library": {"name": "analytics.js", "version": "npm:next-1.84.3"}},
            "integrations": {},
            "timestamp": instant,
            "originalTimestamp": instant,
            "sentAt": instant,
            "receivedAt": instant,
            "version": 2,
            "writeKey": f"source-{self.write_key[:4]}",
            **fields,
        }

    def signed(self, events: Sequence[Json]) -> tuple[bytes, dict[str, str]]:
        """One event by itself, several as a list; signed over the first one alone."""
        texts = [json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode() for event in events]
        body = texts[0] if len(texts) == 1 else b"[" + b",".join(texts) + b"]"
        return body, self.headers(texts[0])

    def headers(self, first: bytes) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "User-Agent": "Segment.io/1.0"}
        if self.shared_secret:
            headers["X-Signature"] = sign(self.shared_secret, first, digest="sha1")
        return headers

    def deliver(self, *events: Json) -> None:
        if self.webhook:
            self._send(self.clock.now(), self.signed(events)[0])

    def retry(self) -> None:
        """Sends again what failed, for four hours; what was refused with another 4xx is gone."""
        waiting, self.waiting = self.waiting, []
        for since, body in waiting:
            if self.clock.now() - since <= GIVE_UP:
                self._send(since, body)

    def _send(self, since: datetime, body: bytes) -> None:
        first = bytes(_events.decode(body)[0]) if body.startswith(b"[") else body
        posted = self.post(self.webhook, body, self.headers(first))
        if posted.status in (0, 429) or posted.status >= 500:
            self.waiting.append((since, body))

    # What people do.

    def fill(self, people: int) -> None:
        """People; their past is in no list that could be read, so that Segment replays it, when a webhook is set."""
        for start in range(0, people, 100):
            events = [self.newcomer() for _ in range(start, min(start + 100, people))]
            self.deliver(*events)

    def newcomer(self) -> Json:
        with self.lock:
            number = len(self.users)
            self.users.append(f"seg-{number}")
        traits = {"email": f"seg{number}@prospect{number % 50}.example.test", "name": f"Person {number}"}
        self.traits[f"seg-{number}"] = dict(traits)
        return self.event("identify", userId=f"seg-{number}", traits=traits)

    def live(self) -> None:
        """A moment of a working day."""
        self.retry()
        if not self.users or self.dice.random() < 0.2:
            self.deliver(self.newcomer())
        user = self.dice.choice(self.users)
        path = self.dice.choice(_PAGES)
        page = self.event("page", userId=user, properties={"path": path, "url": f"https://quartz.example.test{path}"})
        name = self.dice.choice(
            ("Demo Requested", "Email Opened", "Email Link Clicked", "Live Chat Conversation Started")
        )
        self.deliver(page, self.event("track", userId=user, event=name, properties={}))

    # For the examination.

    def hooks(self, account: str, *, url: str, signed_at: datetime) -> Sequence[Request]:
        who = f"seg-{self.dice.getrandbits(40)}"
        track = self.event("track", at=signed_at, userId=who, event="Email Link Clicked", properties={"value": 12.5})
        page = self.event("page", at=signed_at, userId=who, properties={"path": "/pricing"})
        several = [self.event("track", at=signed_at, userId=who, event="Email Opened"), page]
        return [self._request(url, signed_at, events) for events in ([track], several)]

    def _request(self, url: str, at: datetime, events: Sequence[Json]) -> Request:
        body, headers = self.signed(events)
        return Request("POST", url, {name.lower(): value for name, value in headers.items()}, body, at)

    def tampered(self, request: Request) -> Request:
        """Of a list, the first event: nothing else is signed."""
        changed = request.body.replace(b'"messageId":"a', b'"messageId":"b', 1)
        return Request(request.method, request.url, request.headers, changed, request.received_at)

    def rotate_secret(self) -> Mapping[str, str]:
        self.shared_secret = randomness.token_urlsafe(24)
        return {"shared_secret": self.shared_secret}

    def add_someone(self) -> Identifiers:
        event = self.newcomer()
        self.deliver(event)
        return Identifiers(user_id=event["userId"], email=event["traits"]["email"])

    def people(self) -> Sequence[Identifiers]:
        return [Identifiers(user_id=user, email=self.traits[user].get("email")) for user in self.users]

    def pushed(self, ids: Identifiers) -> Mapping[str, Any]:
        whose = ids.user_id or ids.anonymous_id
        if not whose:
            raise NotOffered("Segment knows people by userId or anonymousId alone.")
        return {name: value for name, value in self.traits.get(whose, {}).items() if name.startswith("assay_")}
