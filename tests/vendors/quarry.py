"""Vendors that nobody sells, for tests of what the platform does with any: Quarry has a login and one address for all
notices, Gravel takes a key and has an address for each connection.
"""

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from marshmallow import Schema, fields
from werkzeug.wrappers import Request as Asked
from werkzeug.wrappers import Response

from assay_sdk import (
    AppSetting,
    Call,
    Delivery,
    Fetch,
    Identifiers,
    Identify,
    Key,
    Link,
    Message,
    Misunderstood,
    OAuth,
    Page,
    RateLimit,
    Record,
    Refused,
    Request,
    Service,
    Source,
    Stream,
    VendorAccount,
    hookimpl,
)
from assay_sdk.paging import packed
from assay_sdk.signatures import require, require_recent, sign
from assay_sdk.testing import Simulator, answer_json, route

TOLERANCE = timedelta(seconds=300)
PAGE = 100
#: Measurements have no time to wait.
EVERY = timedelta(seconds=float(os.environ.get("QUARRY_EVERY", "300")))


class QuarrySource(Source):
    name = "quarry"
    title = "Quarry"
    streams = (Stream("stones", "Stones", every=EVERY), Stream("deals", "Deals", scope="deals.read"))
    fetch_batch = 10
    shared_address = True
    has_hooks = True

    def normalise(self, message: Message) -> Iterator[Record | Misunderstood]:
        content = json.loads(message.body)
        if message.call.startswith("hook"):
            for notice in content["notices"]:
                yield Fetch("stone", str(notice["stone"]))
            return
        for record in content["records"]:
            ids = Identifiers(vendor={"quarry": str(record["id"])}, email=record.get("email"))
            yield Identify(ids, {"name": record["name"]}, datetime.fromtimestamp(record["at"], UTC))

    def verify(self, request: Request, app: Mapping[str, str], secrets: Mapping[str, Any]) -> None:
        at = request.headers.get("x-quarry-at", "")
        signed = at.encode() + b"." + request.url.encode() + b"." + request.body
        require(request.headers.get("x-quarry-signature", ""), signed, [app["client_secret"], app["old_secret"]])
        require_recent(datetime.fromtimestamp(int(at), UTC), request.received_at, tolerance=TOLERANCE)

    def split(self, request: Request) -> Iterator[Delivery]:
        by_account: dict[str, list[Any]] = {}
        try:
            for notice in json.loads(request.body)["notices"]:
                by_account.setdefault(str(notice["account"]), []).append(notice)
        except (ValueError, KeyError, TypeError):
            raise Refused("This is no list of notices.") from None
        for account, notices in by_account.items():
            yield Delivery(account, json.dumps({"notices": notices}).encode())

    def pull(self, link: Link, stream: str, cursor: Mapping[str, Any] | None) -> Page:
        after = int((cursor or {}).get("after", 0))
        answer = link.http.get(f"/{stream}", params={"after": after, "limit": PAGE}).json()
        records = answer["records"]
        last = records[-1]["id"] if records else after
        return Page(packed(records), {"after": last}, answer["more"], len(records), answer["total"])

    def fetch(self, link: Link, kind: str, ids: Sequence[str]) -> Page:
        answer = link.http.get(f"/{kind}s/named", params={"ids": ",".join(ids)}).json()
        return Page(packed(answer["records"]), count=len(answer["records"]))

    def subscribe(self, link: Link, url: str) -> None:
        if link.notes.get("posts_to") != url:
            link.http.put("/subscription", json={"url": url})
            link.note(posts_to=url)

    def unsubscribe(self, link: Link) -> None:
        link.http.delete("/subscription")


class Quarry(Service):
    name = "quarry"
    title = "Quarry"
    auth = OAuth(authorize="authorize", token="token", revocation="revocation", scopes={"stones.read": "Read stones"})
    app = (
        AppSetting("client_id", "Client ID"),
        AppSetting("client_secret", "Client secret", secret=True),
        AppSetting("old_secret", "The one before", secret=True, default=""),
        AppSetting("api", "API", default="https://api.quarry.example"),
        AppSetting("authorize", "Login", default="https://quarry.example/authorize"),
        AppSetting("token", "Tokens", default="https://quarry.example/oauth/token"),
        AppSetting("revocation", "Farewell", default="https://quarry.example/oauth/revoke"),
    )
    #: The vendor lets 110 pass in any ten seconds.
    limits = (RateLimit("api", 110, 10, per="account"),)
    source = QuarrySource()
    simulator = "tests.vendors.quarry:QuarrySimulator"

    def account(self, link: Link) -> VendorAccount:
        found = link.http.get("/account").json()
        return VendorAccount(found["id"], found["title"])


class GravelSettings(Schema):
    host = fields.Url(required=True, require_tld=False)
    key = fields.Str(required=True, metadata={"secret": True})


class GravelSource(QuarrySource):
    name = "gravel"
    title = "Gravel"
    streams = (Stream("stones", "Stones"),)
    shared_address = False

    def verify(self, request: Request, app: Mapping[str, str], secrets: Mapping[str, Any]) -> None:
        require(request.headers.get("x-gravel-signature", ""), request.body, [secrets.get("signing", "")])

    def split(self, request: Request) -> Iterator[Delivery]:
        content = json.loads(request.body)
        yield Delivery("", request.body, learned=content.get("learned"))

    def confirm(self, link: Link, learned: Mapping[str, str]) -> None:
        if learned["signing"] != "true":
            raise Refused("That is not so.")
        link.keep(**learned)


class Gravel(Service):
    """Each customer has a host of their own."""

    name = "gravel"
    title = "Gravel"
    auth = Key()
    settings = GravelSettings
    source = GravelSource()

    def base_url(self, link: Link) -> str:
        return str(link.settings["host"])

    def authorise(self, call: Call, secrets: Mapping[str, Any]) -> None:
        call.headers["Authorization"] = f"Bearer {secrets['key']}"


class QuarrySimulator(Simulator):
    """Stones have ids from 1; each token is good for the account "1"."""

    name = "quarry"
    rotates = True
    access_lifetime = timedelta(minutes=30)

    def __init__(self, *, stones: int = 0, per_window: int | None = None, delay: float = 0.0, **options: Any) -> None:
        super().__init__(**options)
        self.stones = stones
        self.per_window = per_window
        #: Seconds that each answer takes.
        self.delay = delay
        self.refreshes = 0
        self.asked_at: list[float] = []
        self.refused_at: list[float] = []
        self.renamed: dict[int, str] = {}
        self.subscription = ""
        self.window: list[float] = []

    def app_settings(self) -> dict[str, str]:
        addresses = {"authorize": "authorize", "token": "oauth/token", "revocation": "oauth/revoke"}
        login = {name: f"{self.address}/{path}" for name, path in addresses.items()}
        return super().app_settings() | login | {"old_secret": ""}

    def limit(self, request: Asked, grant: Any) -> Response | None:
        now = time.monotonic()
        with self.lock:
            self.asked_at.append(now)
            if self.per_window is None:
                return None
            self.window = [at for at in self.window if now - at < 10.0]
            if len(self.window) >= self.per_window:
                self.refused_at.append(now)
                return answer_json({"message": "Too many"}, 429, {"Retry-After": "10"})
            self.window.append(now)
        return None

    def stone(self, number: int) -> dict[str, Any]:
        name = self.renamed.get(number, f"Stone {number}")
        return {"id": number, "name": name, "email": f"stone{number}@quarry.example.test", "at": 1_760_000_000}

    @route("GET", "/account")
    def account(self, request: Asked, grant: Any) -> Response:
        return answer_json({"id": grant.account, "title": "Acme"})

    @route("GET", "/stones")
    def list_stones(self, request: Asked, grant: Any) -> Response:
        if self.delay:
            time.sleep(self.delay)
        after, limit = int(request.args["after"]), int(request.args["limit"])
        last = min(after + limit, self.stones)
        records = [self.stone(number) for number in range(after + 1, last + 1)]
        return answer_json({"records": records, "more": last < self.stones, "total": self.stones})

    @route("GET", "/deals")
    def list_deals(self, request: Asked, grant: Any) -> Response:
        return answer_json({"records": [], "more": False, "total": 0})

    @route("GET", "/stones/named")
    def named(self, request: Asked, grant: Any) -> Response:
        return answer_json({"records": [self.stone(int(each)) for each in request.args["ids"].split(",")]})

    @route("PUT", "/subscription")
    def subscribe(self, request: Asked, grant: Any) -> Response:
        self.subscription = json.loads(request.get_data())["url"]
        return answer_json({})

    @route("DELETE", "/subscription")
    def unsubscribe(self, request: Asked, grant: Any) -> Response:
        self.subscription = ""
        return answer_json({})

    @route("POST", "/oauth/revoke", guarded=False)
    def revoke(self, request: Asked) -> Response:
        for grant in self.grants:
            grant.revoked |= request.form.get("token", "") in (grant.refresh_token, grant.access_token)
        return answer_json({})

    @route("POST", "/oauth/token", guarded=False)
    def token(self, request: Asked) -> Response:
        with self.lock:
            self.refreshes += 1
        grant = self.redeem_refresh(request.form.get("refresh_token", ""))
        return answer_json(self.token_body(grant)) if grant else answer_json({"error": "invalid_grant"}, 400)

    def granted(self, account: str = "1", scopes: tuple[str, ...] = ("stones.read", "deals.read")) -> Any:
        """A grant as after the dance, with its tokens."""
        _, grant = self.issue_code(_grant(account, scopes))
        with self.lock:
            self.refresh(grant)
            self.grants.append(grant)
        return grant


def _grant(account: str, scopes: tuple[str, ...]) -> Any:
    from assay_sdk.testing.simulator import Grant

    return Grant(account, scopes)


def signed(body: bytes, *, url: str, secret: str, at: float) -> dict[str, str]:
    """Headers as Quarry puts them on its notices."""
    stamp = str(int(at))
    message = stamp.encode() + b"." + url.encode() + b"." + body
    return {"X-Quarry-At": stamp, "X-Quarry-Signature": sign(secret, message)}


@hookimpl
def register_services(register: Any) -> None:
    register(Quarry())
    register(Gravel())
