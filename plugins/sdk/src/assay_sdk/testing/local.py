"""A connection without Assay: for tests of plugins, and for trying them out."""

import secrets as randomness
from collections.abc import Callable, Mapping
from threading import RLock
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx

from assay_sdk import egress
from assay_sdk.auth import Key, OAuth, Tokens
from assay_sdk.clock import Clock, SystemClock
from assay_sdk.errors import NeedsReconnect
from assay_sdk.http import Http
from assay_sdk.limits import Limiter, LocalLimiter
from assay_sdk.link import Held, Link
from assay_sdk.logs import Log
from assay_sdk.service import Service
from assay_sdk.testing.simulator import REDIRECT_URI, Simulator


class LocalVault:
    """Secrets in memory."""

    def __init__(self, values: Mapping[str, Any], tokens: Tokens | None = None) -> None:
        self._values = dict(values)
        self._renewal = 1
        self._expires_at = tokens.expires_at if tokens else None
        self._over = ""
        self._lock = RLock()
        if tokens is not None:
            self._values |= tokens.secrets()

    def read(self) -> Held:
        with self._lock:
            if self._over:
                raise NeedsReconnect(self._over)
            return Held(dict(self._values), self._renewal, self._expires_at)

    def renew(self, since: int, ask: Callable[[Mapping[str, Any]], Tokens]) -> Held:
        with self._lock:
            if self._renewal == since:
                try:
                    tokens = ask(dict(self._values))
                except NeedsReconnect as error:
                    self._over = error.reason
                    raise
                self._values |= tokens.secrets()
                self._expires_at = tokens.expires_at
                self._renewal += 1
            return self.read()

    def keep(self, values: Mapping[str, Any]) -> None:
        with self._lock:
            self._values = {name: value for name, value in {**self._values, **values}.items() if value is not None}


class LocalNotebook:
    """Notes in memory."""

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}

    def read(self) -> Mapping[str, Any]:
        return dict(self._values)

    def write(self, values: Mapping[str, Any]) -> None:
        self._values = {name: value for name, value in {**self._values, **values}.items() if value is not None}


def local_link(
    service: Service,
    app: Mapping[str, str],
    *,
    secrets: Mapping[str, Any] | None = None,
    tokens: Tokens | None = None,
    settings: Mapping[str, Any] | None = None,
    account: str = "",
    clock: Clock | None = None,
    limiter: Limiter | None = None,
    client: httpx.Client | None = None,
) -> Link:
    """A connection whose secrets and notes lie in memory."""
    link = Link(
        id="1",
        account=account,
        settings=settings or {},
        app=app,
        vault=LocalVault(secrets or {}, tokens),
        notebook=LocalNotebook(),
        clock=clock or SystemClock(),
        log=Log(f"assay_sdk.{service.name}", connection="1"),
        address="https://assay.example.test",
    )
    link.http = Http(service, link, limiter or LocalLimiter(), client=client)
    return link


def connect(
    service: Service,
    simulator: Simulator,
    *,
    clock: Clock | None = None,
    limiter: Limiter | None = None,
    form: Mapping[str, Any] | None = None,
) -> Link:
    """A link to a running simulator, after the whole dance: consent page, redirect, code, tokens, account."""
    app, clock = simulator.app_settings(), clock or SystemClock()
    filled = dict(simulator.form() if form is None else form)
    fields = service.settings().fields if service.settings else {}
    hidden = {name: value for name, value in filled.items() if name in fields and fields[name].metadata.get("secret")}
    shown = {name: value for name, value in filled.items() if name not in hidden}
    tokens = None
    if isinstance(service.auth, OAuth):
        tokens = dance(service.auth, app, clock, settings=shown)
    elif isinstance(service.auth, Key) and service.auth.field not in hidden:
        raise ValueError(f"The simulator's form() lacks the key, {service.auth.field!r}.")
    link = local_link(service, app, secrets=hidden, tokens=tokens, settings=shown, clock=clock, limiter=limiter)
    link.account = service.account(link).id
    return link


def dance(auth: OAuth, app: Mapping[str, str], clock: Clock, *, settings: Mapping[str, Any]) -> Tokens:
    """As a person's browser and the platform do it together."""
    state, verifier = randomness.token_urlsafe(16), randomness.token_urlsafe(48)
    url = auth.authorize_url(app, redirect_uri=REDIRECT_URI, state=state, verifier=verifier, settings=settings)
    with egress.client() as http:
        page = http.get(url)
        page.raise_for_status()
        back = http.post(url, data={"allow": "yes"})
        answer = dict(parse_qsl(urlsplit(back.headers.get("Location", "")).query))
        if answer.get("state") != state or "code" not in answer:
            raise AssertionError(f"The consent page led back with {sorted(answer)} and status {back.status_code}.")
        return auth.exchange(
            http, app, clock, answer=answer, redirect_uri=REDIRECT_URI, verifier=verifier, settings=settings
        )
