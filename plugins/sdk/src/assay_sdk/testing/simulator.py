"""A stand-in of a vendor: its logins, lists, limits and faults, in memory and over WSGI.

Subclass ``Simulator`` and mark its views with ``route``. Every call goes through the faults that were asked for, and
is written down in ``calls``.
"""

import json
import random
import re
import secrets as randomness
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from html import escape
from threading import RLock
from typing import Any, ClassVar, TypeVar

import httpx
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from assay_sdk import egress
from assay_sdk.clock import Clock, SystemClock

View = TypeVar("View", bound=Callable[..., Response])

#: How a fault is asked for: a status, or one of these words.
HANG, RESET, DRIP, BROKEN, HUGE = "hang", "reset", "drip", "broken", "huge"
_CALLS_KEPT = 10_000
#: Where tests are led back to.
REDIRECT_URI = "https://assay.example.test/connect/back"


def route(method: str, path: str, *, guarded: bool = True) -> Callable[[View], View]:
    """Marks a method of a simulator as the view of a path, in Werkzeug's notation: ``/contacts/<id>``.

    ``guarded`` views need an access token, are counted against the limits and meet the faults.
    """

    def mark(view: View) -> View:
        marks: list[tuple[str, str, bool]] = getattr(view, "_routes", [])
        view._routes = [*marks, (method, path, guarded)]  # type: ignore[attr-defined] # functions carry what is put on them
        return view

    return mark


def answer_json(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return Response(text, status, headers=dict(headers or {}), content_type="application/json")


@dataclass
class _Fault:
    kind: int | str
    left: int
    path: re.Pattern[str] | None
    headers: Mapping[str, str]
    seconds: float


class Faults:
    """What goes wrong next, on demand."""

    def __init__(self) -> None:
        self._faults: list[_Fault] = []
        self._lock = RLock()

    def next(
        self,
        kind: int | str,
        *,
        times: int = 1,
        path: str | None = None,
        headers: Mapping[str, str] | None = None,
        seconds: float = 30.0,
    ) -> None:
        """The next calls fail.

        Args:
            kind: a status such as 429 or 503; or ``hang`` (answers after ``seconds``), ``reset`` (cuts the connection),
                ``drip`` (a byte at a time), ``broken`` (JSON that ends early), ``huge`` (an answer without end).
            times: how many; -1 for all until ``clear``.
            path: a regular expression that a call's path has to match; None: any.
        """
        with self._lock:
            pattern = re.compile(path) if path else None
            self._faults.append(_Fault(kind, times, pattern, headers or {}, seconds))

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()

    def take(self, path: str) -> _Fault | None:
        with self._lock:
            for fault in self._faults:
                if fault.left and (fault.path is None or fault.path.search(path)):
                    fault.left -= 1
                    return fault
        return None


@dataclass(frozen=True)
class Posted:
    """A webhook that the stand-in sent, and what became of it."""

    url: str
    body: bytes
    headers: Mapping[str, str]
    #: 0: nobody answered.
    status: int
    seconds: float


@dataclass
class Grant:
    """What one consent gave; tokens are good while they stand here."""

    account: str
    scopes: tuple[str, ...]
    access_token: str = ""
    refresh_token: str = ""
    expires_at: datetime | None = None
    #: Refresh tokens that were good once.
    spent: set[str] = field(default_factory=set)
    revoked: bool = False


class Simulator:
    """A vendor's stand-in. One instance is one vendor, with one or several accounts."""

    #: The service's name.
    name: ClassVar[str]
    #: What its login issues: lifetimes of access tokens and codes; None: for ever.
    access_lifetime: ClassVar[timedelta | None] = timedelta(hours=1)
    code_lifetime: ClassVar[timedelta] = timedelta(minutes=10)
    #: Whether each refresh gives a new refresh token and spends the old one.
    rotates: ClassVar[bool] = False

    def __init__(self, *, clock: Clock | None = None, seed: int = 7) -> None:
        self.clock: Clock = clock or SystemClock()
        self.dice = random.Random(seed)  # noqa: S311 # a stand-in's story, not a secret
        self.faults = Faults()
        self.lock = RLock()
        self.client_id = f"{self.name}-app"
        self.client_secret = f"{self.name}-{randomness.token_hex(16)}"
        #: Codes: (grant, redirect_uri, challenge, until).
        self.codes: dict[str, tuple[Grant, str, str, datetime]] = {}
        self.grants: list[Grant] = []
        #: Method and path with query, newest last.
        self.calls: deque[str] = deque(maxlen=_CALLS_KEPT)
        self.posted: deque[Posted] = deque(maxlen=_CALLS_KEPT)
        #: Where it is served, once it is: ``http://127.0.0.1:PORT``.
        self.address = ""
        #: For vendors whose login leads back to an address that a person typed at their site.
        self.redirect_uri = REDIRECT_URI
        self._views: dict[str, tuple[Callable[..., Response], bool]] = {}
        rules = []
        for attribute in dir(type(self)):
            view = getattr(type(self), attribute, None)
            for method, path, guarded in getattr(view, "_routes", []):
                endpoint = f"{method} {path}"
                rules.append(Rule(path, methods=[method], endpoint=endpoint))
                self._views[endpoint] = (getattr(self, attribute), guarded)
        self._map = Map(rules, strict_slashes=False)

    # What a subclass says.

    def app_settings(self) -> dict[str, str]:
        """The installation's settings that lead the plugin here, by name; ``address`` is known by now."""
        return {"client_id": self.client_id, "client_secret": self.client_secret, "api": self.address}

    def form(self) -> dict[str, str]:
        """What whoever connects fills in, for the demonstration's account."""
        return {}

    def accounts(self) -> Mapping[str, str]:
        """Ids of the accounts there are, with their titles: what the consent page offers."""
        return {"1": "Demonstration"}

    def fill(self, people: int) -> None:
        """Puts so many people into the first account, with their past."""

    def point_hooks_at(self, url: str) -> None:
        """For vendors at whose site a person types where webhooks go: that page."""

    @route("POST", "/stand-in/hooks", guarded=False)
    def take_hook_address(self, request: Request) -> Response:
        """The same over HTTP: the address is the body."""
        self.point_hooks_at(request.get_data(as_text=True))
        return answer_json({"ok": True})

    def live(self) -> None:
        """Lets something happen now, as it would in a working day, webhooks included; called again and again."""

    def refuse_unauthorised(self) -> Response:
        """What a call without a good token gets."""
        return answer_json({"error": "unauthorized", "message": "The access token is missing or no longer good."}, 401)

    def limit(self, request: Request, grant: Grant) -> Response | None:
        """An answer to a call that is one too many; None lets it through."""
        return None

    def token_body(self, grant: Grant) -> dict[str, Any]:
        """What the token endpoint answers with."""
        body: dict[str, Any] = {"access_token": grant.access_token, "token_type": "bearer"}
        if grant.refresh_token:
            body["refresh_token"] = grant.refresh_token
        if self.access_lifetime is not None:
            body["expires_in"] = int(self.access_lifetime.total_seconds())
        return body

    # What every vendor has.

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        return self._answer(Request(environ))(environ, start_response)

    def _answer(self, request: Request) -> Response:
        self.calls.append(f"{request.method} {request.full_path.rstrip('?')}")
        try:
            endpoint, arguments = self._map.bind_to_environ(request.environ).match()
        except HTTPException as error:
            return answer_json({"message": "There is nothing here."}, error.code or 404)
        view, guarded = self._views[str(endpoint)]
        if not guarded:
            if request.path.startswith("/oauth") and (failed := self._fail(request)) is not None:
                return failed
            return view(request, **arguments)
        failed = self._fail(request)
        if failed is not None:
            return failed
        grant = self.grant_of(request)
        if grant is None:
            return self.refuse_unauthorised()
        refused = self.limit(request, grant)
        return refused if refused is not None else view(request, grant, **arguments)

    def _fail(self, request: Request) -> Response | None:
        fault = self.faults.take(request.path)
        if fault is None:
            return None
        if isinstance(fault.kind, int):
            return answer_json({"message": "asked to fail", "error": "asked_to_fail"}, fault.kind, fault.headers)
        if fault.kind == BROKEN:
            return Response('{"results": [{"id": "1", "prop', 200, content_type="application/json")
        if fault.kind == HUGE:
            return Response((b"x" * 65536 for _ in range(1_000_000)), 200, content_type="application/json")
        if fault.kind == DRIP:
            return Response(_dripping(fault.seconds), 200, content_type="application/json")
        if fault.kind == RESET:
            raise ConnectionResetError
        time.sleep(fault.seconds)
        return answer_json({"message": "late"}, 504)

    def token_of(self, request: Request) -> str:
        """The access token that a call carries: by default in the header."""
        return request.headers.get("Authorization", "").removeprefix("Bearer ").strip()

    def grant_of(self, request: Request) -> Grant | None:
        token = self.token_of(request)
        with self.lock:
            for grant in self.grants:
                if token and grant.access_token == token and not grant.revoked:
                    alive = grant.expires_at is None or self.clock.now() < grant.expires_at
                    return grant if alive else None
        return None

    def expire_access(self) -> None:
        """Every access token is too old from now on."""
        with self.lock:
            for grant in self.grants:
                grant.expires_at = self.clock.now() - timedelta(seconds=1)

    def consent_page(self, request: Request) -> Response:
        """A page with a button for each account: what a person sees at the vendor's."""
        rows = "".join(
            f'<form method="post"><input type="hidden" name="account" value="{escape(id_)}">'
            f'<button name="allow" value="yes">Allow for {escape(title)}</button></form>'
            for id_, title in self.accounts().items()
        )
        scope = escape(request.args.get("scope", ""))
        page = (
            "<!doctype html><html lang=en><meta name=viewport content='width=device-width'>"
            f"<title>{escape(self.name)} (stand-in)</title>"
            f"<main style='font:16px system-ui;max-width:32rem;margin:4rem auto'><h1>{escape(self.name.title())}</h1>"
            "<p>This is a stand-in for trying things out, on this machine alone.</p>"
            f"<p>The app <b>{escape(request.args.get('client_id', ''))}</b> asks for: "
            f"<code>{scope or 'access'}</code></p>{rows}"
            f'<form method="post"><button name="deny" value="yes">Refuse</button></form></main></html>'
        )
        return Response(page, content_type="text/html; charset=utf-8")

    def consent(self, request: Request) -> tuple[str, Grant] | None:
        """The account that was allowed, as a code and its grant; None when the person refused."""
        if request.form.get("deny"):
            return None
        account = request.form.get("account") or next(iter(self.accounts()))
        scopes = tuple(request.args.get("scope", "").split())
        return self.issue_code(
            Grant(account, scopes), request.args.get("redirect_uri", ""), request.args.get("code_challenge", "")
        )

    def issue_code(self, grant: Grant, redirect_uri: str = "", challenge: str = "") -> tuple[str, Grant]:
        code = randomness.token_urlsafe(24)
        with self.lock:
            self.codes[code] = (grant, redirect_uri, challenge, self.clock.now() + self.code_lifetime)
        return code, grant

    def redeem(self, code: str, *, redirect_uri: str | None = None, verifier: str | None = None) -> Grant | None:
        """The grant behind a code, with fresh tokens; None for one that is unknown, spent, too old or another app's."""
        from authlib.oauth2.rfc7636 import create_s256_code_challenge

        with self.lock:
            grant, expected, challenge, until = self.codes.pop(code, (None, "", "", self.clock.now()))
            if grant is None or self.clock.now() >= until:
                return None
            if redirect_uri is not None and expected and redirect_uri != expected:
                return None
            if challenge and create_s256_code_challenge(verifier or "") != challenge:
                return None
            self.refresh(grant)
            self.grants.append(grant)
            return grant

    def refresh(self, grant: Grant) -> None:
        """New tokens for a grant."""
        grant.access_token = randomness.token_urlsafe(30)
        grant.expires_at = None if self.access_lifetime is None else self.clock.now() + self.access_lifetime
        if self.access_lifetime is not None and (self.rotates or not grant.refresh_token):
            if grant.refresh_token:
                grant.spent.add(grant.refresh_token)
            grant.refresh_token = randomness.token_urlsafe(30)

    def redeem_refresh(self, token: str) -> Grant | None:
        """The grant of a refresh token, with fresh tokens; None for one that is unknown, spent or revoked."""
        with self.lock:
            for grant in self.grants:
                if token and grant.refresh_token == token and not grant.revoked:
                    self.refresh(grant)
                    return grant
        return None

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Posted:
        """Sends a webhook."""
        began = time.monotonic()
        try:
            with egress.client() as client:
                status = client.post(url, content=body, headers=dict(headers)).status_code
        except httpx.HTTPError:
            status = 0
        posted = Posted(url, body, headers, status, time.monotonic() - began)
        self.posted.append(posted)
        return posted


def _dripping(seconds: float) -> Iterable[bytes]:
    until = time.monotonic() + seconds
    yield b'{"results": ["'
    while time.monotonic() < until:
        time.sleep(1)
        yield b"x"
