"""A small service of a vendor that is not there, with its stand-in; also loadable as a plugin (``acme``)."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from secrets import token_hex
from typing import Any
from urllib.parse import urlencode

from marshmallow import Schema, fields, validate
from werkzeug.utils import redirect
from werkzeug.wrappers import Request as Asked
from werkzeug.wrappers import Response

from assay_sdk import (
    AppSetting,
    Cursor,
    Destination,
    EventType,
    Field,
    Identifiers,
    Identify,
    Key,
    Link,
    Message,
    Misunderstood,
    NoAuth,
    OAuth,
    Page,
    Receipt,
    Record,
    Refused,
    Request,
    ScoreUpdate,
    Service,
    Source,
    Stream,
    VendorAccount,
    hookimpl,
)
from assay_sdk.signatures import is_equal
from assay_sdk.testing import Simulator, answer_json, route
from assay_sdk.testing.simulator import Grant

TITLE = "Acme & <script>alert('acme')</script>"
PAGE = 20


class AcmeSettings(Schema):
    region = fields.String(
        load_default="eu",
        validate=validate.OneOf(["eu", "us"], ["Europe", "United States"], error="Choose one of the list."),
        metadata={"title": "Region"},
    )
    folder = fields.String(
        required=True,
        validate=validate.Length(max=40, error="At most {max} characters."),
        metadata={"title": "Folder", "help": "Which folder is read."},
    )
    since = fields.Integer(load_default=0, metadata={"title": "Years back"})
    drafts = fields.Boolean(load_default=False, metadata={"title": "Drafts too"})
    signing = fields.String(load_default="", metadata={"title": "Signing secret", "secret": True})


class AcmeSource(Source):
    name = "acme"
    title = "Acme"
    streams = (
        Stream("contacts", "Contacts", every=timedelta(minutes=5)),
        Stream("orders", "Orders", scope="orders"),
    )
    has_hooks = True

    def normalise(self, message: Message) -> Iterator[Record]:
        for one in json.loads(message.body).get("contacts", []):
            yield Identify(
                ids=Identifiers(vendor={"acme": one["id"]}, email=one["email"]),
                traits={"name": one["name"], "email": one["email"]},
                at=message.received_at,
            )

    def verify(self, request: Request, app: Mapping[str, str], secrets: Mapping[str, Any]) -> None:
        if not is_equal(request.headers.get("x-acme", ""), str(secrets.get("signing") or "none")):
            raise Refused("The signature is not Acme's.")

    def pull(self, link: Link, stream: str, cursor: Cursor | None) -> Page:
        after = int((cursor or {}).get("after", 0))
        answer = link.http.get(f"/{stream}", params={"after": after}).json()
        return Page(
            bodies=[json.dumps({stream: answer["items"]}).encode()] if answer["items"] else [],
            cursor={"after": after + len(answer["items"])},
            more=answer["more"],
            count=len(answer["items"]),
            total=answer["total"],
        )

    def subscribe(self, link: Link, url: str) -> None:
        link.note(hook="made")

    def unsubscribe(self, link: Link) -> None:
        link.http.delete("/hook")


class AcmeScores(Destination):
    fields = (Field("assay_score", "Assay score", "score"), Field("assay_grade", "Assay grade", "grade"))

    def push(self, link: Link, updates: Sequence[ScoreUpdate]) -> Sequence[Receipt]:
        body = {"scores": [{"id": each.vendor_id, "score": each.score} for each in updates]}
        errors = link.http.post("/scores", json=body, safe=True).json()["errors"]
        return [Receipt(each.key, error=errors.get(each.vendor_id, "")) for each in updates]


class Acme(Service):
    name = "acme"
    title = "Acme"
    summary = "Contacts and orders come in; scores go back."
    auth = OAuth(
        authorize="authorize",
        token="token",
        revocation="revoke",
        scopes={"contacts": "to read contacts"},
        optional_scopes={"orders": "to read orders"},
    )
    settings = AcmeSettings
    app = (
        AppSetting("client_id", "Client ID of the app"),
        AppSetting("client_secret", "Client secret of the app", secret=True),
        AppSetting("authorize", "Login", default="https://acme.example.test/oauth/authorize"),
        AppSetting("token", "Tokens", default="https://acme.example.test/oauth/token"),
        AppSetting("revoke", "Revocation", default="https://acme.example.test/oauth/revoke"),
        AppSetting("api", "API", default="https://acme.example.test"),
    )
    vocabulary = (
        EventType("meeting.booked", "Booked a meeting", 25),
        EventType("unsubscribed", "Unsubscribed", -20),
        EventType("contact.created", "Became a contact"),
    )
    source = AcmeSource()
    destination = AcmeScores()

    def account(self, link: Link) -> VendorAccount:
        me = link.http.get("/me").json()
        link.note(plan=me["plan"])
        link.keep(webhook_key="a-key-of-acmes")
        return VendorAccount(me["id"], me["title"])


class KeyedSettings(Schema):
    key = fields.String(required=True, metadata={"title": "API key", "secret": True})


class Keyed(Acme):
    """The same, by a key that somebody pastes."""

    name = "keyed"
    title = "Keyed"
    auth = Key(help="Make a key under Developers.")
    settings = KeyedSettings
    app = (AppSetting("api", "API", default="https://acme.example.test"),)
    source = None
    destination = None

    def authorise(self, call: Any, secrets: Mapping[str, Any]) -> None:
        call.headers["Authorization"] = f"Bearer {secrets['key']}"


class Posted(Service):
    """One that only posts to us."""

    name = "posted"
    title = "Posted"
    auth = NoAuth()


class ToldSource(Source):
    name = "told"
    title = "Told"
    has_hooks = True

    def normalise(self, message: Message) -> Iterator[Record | Misunderstood]:
        yield from ()


class Told(Posted):
    """Its notices come to an address of each connection's own."""

    name = "told"
    title = "Told"
    source = ToldSource()


class Named(Posted):
    """One whose name is made by chance and noted."""

    name = "named"

    def account(self, link: Link) -> VendorAccount:
        name = link.notes.get("account") or token_hex(6)
        link.note(account=name)
        link.keep(unsigned=None if link.secrets.get("unsigned") else True)
        return VendorAccount(name, "Named")


class AcmeSimulator(Simulator):
    name = "acme"
    rotates = True

    def __init__(self, *, people: int = 3, **options: Any) -> None:
        super().__init__(**options)
        self.people = people
        self.titles = {"a1": TITLE, "a2": "Other Acme"}
        #: By contact: what was written, and what is refused.
        self.scores: dict[str, int] = {}
        self.refused: dict[str, str] = {}

    def app_settings(self) -> dict[str, str]:
        there = {
            name: f"{self.address}/oauth/{path}"
            for name, path in (("authorize", "authorize"), ("token", "token"), ("revoke", "revoke"))
        }
        return {**super().app_settings(), **there}

    def accounts(self) -> Mapping[str, str]:
        return self.titles

    def token_body(self, grant: Grant) -> dict[str, Any]:
        return {**super().token_body(grant), "scope": " ".join(grant.scopes)}

    @route("GET", "/oauth/authorize", guarded=False)
    def ask(self, request: Asked) -> Response:
        return self.consent_page(request)

    @route("POST", "/oauth/authorize", guarded=False)
    def allow(self, request: Asked) -> Response:
        given, state = self.consent(request), request.args.get("state", "")
        back = {"error": "access_denied"} if given is None else {"code": given[0]}
        return redirect(f"{request.args['redirect_uri']}?{urlencode({**back, 'state': state})}")

    @route("POST", "/oauth/token", guarded=False)
    def token(self, request: Asked) -> Response:
        form = request.form
        if (form.get("client_id"), form.get("client_secret")) != (self.client_id, self.client_secret):
            return answer_json({"error": "invalid_client"}, 401)
        if form.get("grant_type") == "refresh_token":
            grant = self.redeem_refresh(form["refresh_token"])
        else:
            grant = self.redeem(form["code"], redirect_uri=form["redirect_uri"], verifier=form.get("code_verifier"))
        return answer_json({"error": "invalid_grant"}, 400) if grant is None else answer_json(self.token_body(grant))

    @route("POST", "/oauth/revoke", guarded=False)
    def revoke(self, request: Asked) -> Response:
        for grant in self.grants:
            grant.revoked |= request.form.get("token") in (grant.access_token, grant.refresh_token)
        return answer_json({})

    @route("GET", "/me")
    def me(self, request: Asked, grant: Grant) -> Response:
        return answer_json({"id": grant.account, "title": self.titles[grant.account], "plan": "team"})

    @route("GET", "/contacts")
    def contacts(self, request: Asked, grant: Grant) -> Response:
        after = int(request.args.get("after", 0))
        numbers = range(after, min(after + PAGE, self.people))
        items = [{"id": f"c{n}", "name": f"Contact {n}", "email": f"c{n}@acme.example.test"} for n in numbers]
        return answer_json({"items": items, "more": after + PAGE < self.people, "total": self.people})

    @route("GET", "/orders")
    def orders(self, request: Asked, grant: Grant) -> Response:
        return answer_json({"items": [], "more": False, "total": 0})

    @route("DELETE", "/hook")
    def unhook(self, request: Asked, grant: Grant) -> Response:
        return answer_json({})

    @route("POST", "/scores")
    def write(self, request: Asked, grant: Grant) -> Response:
        for each in request.json["scores"]:
            if each["id"] not in self.refused:
                self.scores[each["id"]] = each["score"]
        return answer_json({"errors": self.refused})


@hookimpl
def register_services(register: Any) -> None:
    register(Acme())
