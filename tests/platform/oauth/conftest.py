"""An app of a company, and a browser whose person lets it in."""

import base64
import hashlib
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import insert, select, update
from werkzeug.test import TestResponse

from assay.settings import Settings
from assay_tenants.access import open_session
from assay_tenants.access.service import SignedUp, sign_up
from assay_tenants.database import tenant_session
from assay_tenants.models import Membership
from assay_tenants.oauth import apps, issuer

PASSWORD = "a long enough password"  # the same as the tenants of the tests are made with
BACK = "https://reports.example.test/callback"
#: Of everything that an app can ask for: the widest that a test needs.
SCOPES = "openid profile email offline_access leads:read models:read"


def client_elsewhere(app: Flask) -> FlaskClient:
    """One from a network of its own: wrong secrets are counted by where they come from."""
    client = app.test_client()
    client.environ_base["REMOTE_ADDR"] = str(ip_address(secrets.randbits(128)))
    return client


def basic(client_id: str, secret: str | None) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()}


def challenge_of(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


@dataclass
class Client:
    """An app, its secret and what it does over HTTP."""

    http: FlaskClient
    client_id: str
    secret: str | None
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))

    def asks(self, **more: str | None) -> str:
        """The address that it sends people to; ``None`` leaves a parameter out."""
        asked: dict[str, str | None] = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": BACK,
            "scope": SCOPES,
            "state": "st4te",
            "nonce": "n0nce",
            "code_challenge": challenge_of(self.verifier),
            "code_challenge_method": "S256",
        }
        given = {name: value for name, value in (asked | more).items() if value is not None}
        return "/oauth/authorize?" + urlencode(given)

    def posts(self, path: str, **form: str | None) -> TestResponse:
        """As itself: with its secret, or named if it has none."""
        given = {name: value for name, value in form.items() if value is not None}
        if self.secret is None:
            return self.http.post(path, data={"client_id": self.client_id} | given)
        return self.http.post(path, data=given, headers=basic(self.client_id, self.secret))

    def exchanges(self, code: str, **more: str | None) -> TestResponse:
        form: dict[str, str | None] = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": BACK,
            "code_verifier": self.verifier,
        }
        return self.posts("/oauth/token", **(form | more))

    def refreshes(self, token: str, **more: str | None) -> TestResponse:
        return self.posts("/oauth/token", grant_type="refresh_token", refresh_token=token, **more)

    def code_from(self, browser: "Browser", **more: str | None) -> str:
        """What comes of somebody saying yes."""
        answer = browser.allows(self.asks(**more))
        assert answer.status_code == 303, answer.text
        return query_of(answer)["code"]

    def tokens_from(self, browser: "Browser", **more: str | None) -> dict[str, Any]:
        back = more.get("redirect_uri", BACK)
        answer = self.exchanges(self.code_from(browser, **more), redirect_uri=back)
        assert answer.status_code == 200, answer.text
        got: dict[str, Any] = answer.json
        return got


@dataclass
class Browser:
    http: FlaskClient

    def opens(self, path: str, **headers: str) -> TestResponse:
        return self.http.get(path, headers=headers)

    def sends(self, path: str, *, on: str, **fields: str) -> TestResponse:
        page = self.http.get(on)
        token = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
        assert token, page.text
        tenant = re.search(r'name="tenant" value="([^"]+)"', page.text)
        known = {"csrf_token": token[1]} | ({"tenant": tenant[1]} if tenant else {})
        return self.http.post(path, data=known | fields)

    def allows(self, path: str) -> TestResponse:
        """Says yes, where it has to be said at all."""
        page = self.http.get(path)
        return page if page.status_code != 200 else self.sends(path, on=path, decision="allow")


def query_of(answer: TestResponse) -> dict[str, str]:
    """What a redirect tells the app."""
    assert answer.location, answer.text
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.location).query).items()}


@pytest.fixture(autouse=True)
def provider(settings: Settings, app: Flask, monkeypatch: pytest.MonkeyPatch) -> issuer.Issuer:
    monkeypatch.setattr(issuer, "_issuer", None)
    return issuer.configure(settings.address)


def _signed_up(name: str) -> SignedUp:
    return sign_up(
        company=f"Quartz & Co {name}",
        name="Ada Example",
        email=f"ada-{secrets.token_hex(6)}@quartz.example.test",
        password=PASSWORD,
        plugin="segment",
        verified=True,
    )


def _logged_in(tenant: SignedUp) -> str:
    return open_session(tenant.person_id, tenant_id=tenant.tenant_id, proven_by=("password",))


@pytest.fixture(scope="module")
def tenant(connected: None) -> SignedUp:
    """Of a whole module: signing up takes longer than most of these tests, which have apps of their own."""
    return _signed_up("Here")


@pytest.fixture(scope="module")
def neighbour(connected: None) -> SignedUp:
    return _signed_up("Next Door")


@pytest.fixture
def browser_of(app: Flask) -> Callable[[SignedUp], Browser]:
    def browser(tenant: SignedUp) -> Browser:
        client = client_elsewhere(app)
        client.set_cookie("assay_session", _logged_in(tenant))
        return Browser(client)

    return browser


@pytest.fixture
def browser(browser_of: Callable[[SignedUp], Browser], tenant: SignedUp) -> Browser:
    return browser_of(tenant)


@pytest.fixture
def maker(browser_of: Callable[[SignedUp], Browser], neighbour: SignedUp) -> Browser:
    """At the company that registered the apps: to it errors lead at once."""
    return browser_of(neighbour)


@pytest.fixture
def own(connected: None) -> SignedUp:
    """A tenant of one test alone."""
    return _signed_up("Alone")


@pytest.fixture
def own_browser(browser_of: Callable[[SignedUp], Browser], own: SignedUp) -> Browser:
    return browser_of(own)


@pytest.fixture
def stranger(app: Flask) -> Browser:
    return Browser(client_elsewhere(app))


@pytest.fixture
def make_app(app: Flask, neighbour: SignedUp) -> Callable[..., Client]:
    """An app that the neighbour registered, so that to the tenant it is a partner's."""

    def make(owner: SignedUp = neighbour, **more: Any) -> Client:
        given: dict[str, Any] = {
            "name": "Quartz Reports",
            "redirect_uris": [BACK],
            "scopes": SCOPES.split(),
            "grant_types": [apps.CODE, apps.REFRESH],
        }
        made = apps.register_app(owner.tenant_id, **(given | more))
        return Client(client_elsewhere(app), made.client_id, made.secret)

    return make


@pytest.fixture
def partner(make_app: Callable[..., Client]) -> Client:
    return make_app()


@pytest.fixture
def public(make_app: Callable[..., Client]) -> Client:
    return make_app(kind="public", name="Quartz in a browser")


@pytest.fixture
def set_role() -> Callable[[SignedUp, str], None]:
    def change(tenant: SignedUp, role: str) -> None:
        with tenant_session(tenant.tenant_id) as session:
            session.execute(
                update(Membership)
                .where(Membership.tenant_id == tenant.tenant_id, Membership.person_id == tenant.person_id)
                .values(role=role)
            )

    return change


@pytest.fixture
def join() -> Callable[[SignedUp, SignedUp], None]:
    """Makes the first one's person a member of the second's company as well."""

    def add(who: SignedUp, company: SignedUp) -> None:
        with tenant_session(who.tenant_id) as session:
            here = session.scalars(
                select(Membership).where(Membership.tenant_id == who.tenant_id, Membership.person_id == who.person_id)
            ).one()
        values = {"name": here.name, "email": here.email, "created_at": here.created_at, "verified": True}
        with tenant_session(company.tenant_id) as session:
            session.execute(
                insert(Membership).values(tenant_id=company.tenant_id, person_id=who.person_id, role="admin", **values)
            )

    return add


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return client_elsewhere(app)
