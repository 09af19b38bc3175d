"""What every answer of every door tells a browser, and what no request can do."""

import dataclasses
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import update_wrapper
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from flask import Flask, g
from flask.testing import FlaskClient
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from assay.settings import Settings
from assay.web import security
from assay.web.security import Hardened, address_here, may_lead_to, public_address
from assay.web.visitors import safe_next
from assay_tenants.access.service import SignedUp
from assay_tenants.keys import issue_key

ROOT = Path(__file__).parents[3]
TEMPLATES = sorted(
    [*(ROOT / "platform/assay/web/templates").rglob("*.html"), *(ROOT / "platform").rglob("api/templates/**/*.html")]
)
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
#: Doors whose callers prove themselves by a key, a token or a signature in the request: no cookie lets them in.
WITHOUT_COOKIES = re.compile(r"/(api|oauth|scim|hooks|v1|\.well-known)/")


def addresses(app: Flask) -> Iterator[tuple[Rule, str]]:
    """Each rule once, with something made up in its gaps."""
    adapter = app.url_map.bind("localhost")
    for rule in app.url_map.iter_rules():
        made_up = {name: _made_up(converter) for name, converter in rule._converters.items()}
        yield rule, adapter.build(rule.endpoint, made_up, method=_method(rule), append_unknown=False)


def _made_up(converter: Any) -> Any:
    kind = type(converter).__name__
    if kind == "AnyConverter":
        return min(converter.items)
    return {"UUIDConverter": UUID(int=1), "IntegerConverter": 999_999, "Id": 999_999}.get(kind, "x")


def _method(rule: Rule) -> str:
    return next(method for method in METHODS if method in (rule.methods or ()))


def judge(answer: TestResponse, name: str) -> None:
    for header, value in ALWAYS.items():
        assert answer.headers.get(header) == value, (name, header)
    policy = answer.headers.get("Content-Security-Policy", "")
    assert "unsafe" not in policy, name
    for word in ("default-src", "base-uri 'none'", "form-action", "frame-ancestors 'none'"):
        assert word in policy, (name, policy)
    assert "camera=()" in answer.headers["Permissions-Policy"], name
    assert answer.headers["Cross-Origin-Resource-Policy"] in ("same-origin", "cross-origin"), name
    if answer.mimetype == "text/html":
        assert "no-store" in answer.headers["Cache-Control"] or answer.status_code == 200, name


class TestHeaders:
    def test_every_route_of_every_door(self, app: Flask, person: Any, client: FlaskClient) -> None:
        asked = 0
        for rule, address in addresses(app):
            for method in sorted((rule.methods or set()) - {"OPTIONS", "HEAD"}):
                for who in (client, person.client):
                    if rule.endpoint.endswith("log_out"):
                        continue
                    answer = who.open(address, method=method)
                    judge(answer, f"{method} {address} → {answer.status}")
                    assert answer.status_code != 500, address
                    answer.close()
                    asked += 1
        assert asked > 250

    @pytest.mark.parametrize(
        ("method", "path", "status"),
        [
            pytest.param("GET", "/nowhere", 404, id="no such page"),
            pytest.param("DELETE", "/log-in", 405, id="no such method"),
            pytest.param("GET", "/static/nowhere.js", 404, id="no such file"),
            pytest.param("GET", "/api/nowhere", 404, id="nothing in the API"),
            pytest.param("GET", "/api/v1/leads", 401, id="no key"),
            pytest.param("GET", "/healthz", 200, id="health"),
            pytest.param("GET", "/api/v1/docs", 200, id="reference"),
            pytest.param("GET", "/api/v1/openapi.json", 200, id="its document"),
            pytest.param("GET", "/leads", 303, id="to log in"),
            pytest.param("POST", "/log-in", 400, id="no form token"),
            pytest.param("GET", "/v1/track", 405, id="tracking"),
            pytest.param("OPTIONS", "/v1/track", 204, id="tracking asked first"),
            pytest.param("GET", "/v1/nothing", 404, id="no such call"),
            pytest.param("GET", "/%00", 404, id="no character"),
        ],
    )
    def test_errors_too(self, client: FlaskClient, method: str, path: str, status: int) -> None:
        answer = client.open(path, method=method, data=b"{}" if method == "POST" else None)
        assert answer.status_code == status
        judge(answer, path)

    def test_what_breaks(self, app: Flask, person: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        broken = update_wrapper(lambda: 1 / 0, app.view_functions["web.leads.index"])
        monkeypatch.setitem(app.view_functions, "web.leads.index", broken)
        monkeypatch.setitem(app.config, "PROPAGATE_EXCEPTIONS", False)
        answer = person.opens("/leads")
        assert answer.status_code == 500
        assert "division" not in answer.text
        judge(answer, "500")

    def test_other_sites_may_read_what_tracks_them_alone(self, client: FlaskClient) -> None:
        assert client.post("/v1/track").headers["Cross-Origin-Resource-Policy"] == "cross-origin"
        for path in ("/log-in", "/api/v1/openapi.json", "/healthz"):
            assert client.get(path).headers["Cross-Origin-Resource-Policy"] == "same-origin"

    @pytest.mark.parametrize(
        ("changed", "base", "expected"),
        [
            pytest.param({}, "http://localhost", None, id="http"),
            pytest.param({}, "https://localhost", "max-age=63072000; includeSubDomains", id="https"),
            pytest.param(
                {"public_url": "https://leads.example.com"},
                "http://leads.example.com",
                "max-age=63072000; includeSubDomains",
                id="https in front",
            ),
            pytest.param({"hsts_subdomains": False}, "https://localhost", "max-age=63072000", id="this name alone"),
        ],
    )
    def test_https_stays_https(
        self, app: Flask, settings: Settings, changed: dict[str, Any], base: str, expected: str | None
    ) -> None:
        answer = _around(app, dataclasses.replace(settings, **changed)).get("/healthz", base_url=base)
        assert answer.headers.get("Strict-Transport-Security") == expected

    def test_cookies_are_for_us_alone(self, stranger: Any) -> None:
        stranger.sends(
            "/sign-up",
            on="/sign-up",
            company="Feldspar Ltd",
            name="Grace",
            email=f"cookies-{id(stranger)}@feldspar.example.test",
            password="open sesame please",
        )
        answer = stranger.sends("/log-in", on="/models", email="x", password="y")
        cookies = stranger.client._cookies.values()
        assert {cookie.key for cookie in cookies} >= {"assay_session", "assay_form"}
        for cookie in cookies:
            assert cookie.http_only, cookie.key
            assert cookie.same_site in ("Lax", "Strict"), cookie.key
            assert cookie.path == "/", cookie.key
            assert cookie.domain in ("localhost", None), cookie.key
        assert answer.status_code in (303, 401, 422)

    def test_a_page_may_name_where_its_form_ends(self, app: Flask) -> None:
        with app.test_request_context():
            may_lead_to("https://partner.example:8443/callback?x=1")
            may_lead_to("com.example.app:/callback")
            g.style_nonce = "abc"
            policy = security._policy()
        assert "form-action 'self' https://partner.example:8443 com.example.app:;" in policy
        assert "style-src 'self' 'nonce-abc';" in policy

    @pytest.mark.parametrize("address", ["https://a;b/", "https://a b/", "x y:/", "", "*://*"])
    def test_nothing_else_gets_into_a_policy(self, app: Flask, address: str) -> None:
        with app.test_request_context(), pytest.raises(ValueError, match="policy"):
            may_lead_to(address)


class TestTemplates:
    @pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: f"{path.parent.name}/{path.name}")
    def test_nothing_is_inline_and_nothing_from_elsewhere(self, template: Path) -> None:
        text = re.sub(r"\{#.*?#\}", "", template.read_text(), flags=re.DOTALL)
        assert not re.search(r"\son[a-z]+\s*=", text), "a handler"
        assert not re.search(r"\sstyle\s*=|<style", text), "a style"
        assert not re.search(r"<script(?![^>]*\ssrc=)", text), "a script"
        assert not re.search(r"javascript:|hx-on|data:text", text)
        for address in re.findall(r"\s(?:src|action|srcset|formaction)=\"([^\"]*)\"", text):
            assert not re.match(r"[a-z]+:|//", address), address
        for link in re.findall(r"<link[^>]*href=\"([^\"]*)\"", text):
            assert not re.match(r"[a-z]+:|//", link), link

    @pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: f"{path.parent.name}/{path.name}")
    def test_every_form_that_changes_something_has_its_token(self, template: Path) -> None:
        text = template.read_text()
        for form in re.findall(r"<form\b[^>]*method=\"post\".*?</form>", text, re.DOTALL | re.IGNORECASE):
            assert re.search(r"csrf_token|form_token|token\(\)", form), form[:200]

    def test_nothing_is_marked_safe_without_a_reason(self) -> None:
        for template in TEMPLATES:
            assert "|safe" not in template.read_text().replace(" ", ""), template
            assert "autoescapefalse" not in template.read_text().replace(" ", ""), template


class TestForms:
    def test_no_page_takes_a_form_without_its_token(self, app: Flask, person: Any, client: FlaskClient) -> None:
        asked = 0
        for rule, address in addresses(app):
            for method in sorted((rule.methods or set()) & {"POST", "PUT", "PATCH", "DELETE"}):
                if WITHOUT_COOKIES.match(address):
                    continue
                for who, token in ((person.client, None), (person.client, "made-up"), (client, None)):
                    answer = who.open(address, method=method, data={"csrf_token": token} if token else {})
                    assert answer.status_code == 400, f"{method} {address} → {answer.status}"
                    asked += 1
        assert asked > 100

    def test_a_token_of_another_session_is_none(self, person: Any, stranger: Any) -> None:
        token = re.search(r'name="csrf_token" value="([^"]+)"', stranger.opens("/log-in").text)
        assert token
        assert person.client.post("/settings/keys/write", data={"csrf_token": token[1], "name": "x"}).status_code == 400

    @pytest.mark.parametrize("header", ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"])
    def test_a_method_is_what_it_is(self, person: Any, header: str) -> None:
        answer = person.client.get("/settings/keys/write?_method=POST", headers={header: "POST"})
        assert answer.status_code == 405

    def test_doors_without_cookies_know_none(self, app: Flask, person: Any) -> None:
        """What needs no form token lets nobody in by a cookie."""
        for rule, address in addresses(app):
            if address.startswith("/api/v1/") and "docs" not in address and "openapi" not in address:
                assert person.client.open(address, method=_method(rule)).status_code in (401, 404), address


class TestSizes:
    """Every route reads so much and no more; only those that take files read much."""

    def test_whatever_is_no_file_is_small(self, app: Flask, person: Any) -> None:
        form = "application/x-www-form-urlencoded"
        for rule, address in addresses(app):
            method = next((one for one in ("POST", "PUT", "PATCH", "DELETE") if one in (rule.methods or ())), None)
            if method is None or rule.endpoint in security.TAKE_FILES:
                continue
            answer = person.client.open(
                address, method=method, input_stream=Endless(), content_length=10**9, content_type=form
            )
            assert answer.status_code in (400, 401, 403, 404, 405, 413, 415, 422, 503), (address, answer.status)
            assert Endless.given < 5_000_000, address

    def test_routes_that_take_files_exist(self, app: Flask) -> None:
        assert set(app.view_functions) >= security.TAKE_FILES

    def test_a_stranger_sends_little(self, client: FlaskClient) -> None:
        for path in ("/log-in", "/imports", "/sign-up"):
            assert client.post(path, data={"x": "y" * 60_000}).status_code == 413

    def test_a_viewer_leaves_no_file_behind(self, app: Flask, person: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("assay.web.visitors.may", lambda _: False)
        answer = person.client.post("/imports", data={"file": (BytesIO(b"x" * 4_100_000), "a.csv")})
        assert answer.status_code == 413
        judge(answer, "413")


class Endless:
    """A body that never ends, and counts what was taken of it."""

    given = 0

    def __init__(self) -> None:
        Endless.given = 0

    def read(self, size: int = -1) -> bytes:
        size = 65_536 if size is None or size < 0 else min(size, 65_536)
        Endless.given += size
        if Endless.given > 10_000_000:
            raise AssertionError("read without an end")
        return b"x" * size

    readline = read

    def readinto(self, buffer: bytearray) -> int:
        part = self.read(len(buffer))
        buffer[: len(part)] = part
        return len(part)

    def tell(self) -> int:
        return Endless.given

    def seek(self, *_: object) -> None:
        pass

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("asked", "goes_on"),
    [
        pytest.param("/leads?page=2", True, id="a page"),
        pytest.param("/leads#top", True, id="a place on a page"),
        pytest.param("/%2f%2fevil.example", True, id="encoded slashes stay in the path"),
        pytest.param("/@evil.example", True, id="an @ in the path"),
        pytest.param("//evil.example", False, id="two slashes"),
        pytest.param("///evil.example", False, id="three slashes"),
        pytest.param("/\\evil.example", False, id="slash, backslash"),
        pytest.param("\\\\evil.example", False, id="backslashes"),
        pytest.param("https://evil.example", False, id="scheme"),
        pytest.param("https:evil.example", False, id="scheme without slashes"),
        pytest.param("javascript:alert(1)", False, id="script"),
        pytest.param("JaVaScRiPt:alert(1)", False, id="script in capitals"),
        pytest.param("data:text/html,x", False, id="data"),
        pytest.param("/\t/evil.example", False, id="tab"),
        pytest.param("/\n/evil.example", False, id="line break"),
        pytest.param("\t//evil.example", False, id="tab in front"),
        pytest.param(" //evil.example", False, id="blank in front"),
        pytest.param("evil.example", False, id="bare name"),
        pytest.param("@evil.example", False, id="bare @"),
        pytest.param("/\x00/evil.example", False, id="zero"),
        pytest.param("/\u2028/evil.example", False, id="line separator"),
        pytest.param("", False, id="nothing"),
    ],
)
def test_after_logging_in_one_stays_with_us(asked: str, goes_on: bool) -> None:
    assert safe_next(asked) == (asked if goes_on else None)


class TestNames:
    @pytest.fixture
    def at_home(self, app: Flask, settings: Settings) -> FlaskClient:
        return _around(
            app,
            dataclasses.replace(
                settings, public_url="https://leads.example.com", allowed_hosts="in.example.com,[fd00::1]"
            ),
        )

    @pytest.mark.parametrize(
        "host",
        [
            *("leads.example.com", "LEADS.example.com:443", "leads.example.com.", "in.example.com", "localhost:8000"),
            *("127.0.0.1", "[::1]:8000", "[fd00::1]"),
        ],
    )
    def test_ours(self, at_home: FlaskClient, host: str) -> None:
        assert at_home.get("/log-in", headers={"Host": host}).status_code == 200

    @pytest.mark.parametrize(
        "host",
        [
            *("evil.example", "leads.example.com.evil.example", "evil.example:443", "leads.example.com@evil.example"),
            *("leads.example.com evil.example", "leads.example.com/evil", "a" * 300, "127.0.0.1.evil.example", ""),
        ],
    )
    def test_others(self, at_home: FlaskClient, host: str) -> None:
        answer = at_home.get("/log-in", headers={"Host": host})
        assert answer.status_code == 400
        assert "evil" not in answer.text
        judge(answer, host)

    def test_senders_and_whoever_looks_after_us_ask_by_other_names(self, at_home: FlaskClient) -> None:
        for path, status in (("/healthz", 200), ("/v1/track", 405)):
            assert at_home.get(path, headers={"Host": "10.0.0.7:8000"}).status_code == status

    def test_without_a_public_name_any_that_is_one(self, client: FlaskClient) -> None:
        assert client.get("/log-in", headers={"Host": "box.lan:8000"}).status_code == 200
        assert client.get("/log-in", headers={"Host": "<script>"}).status_code == 400

    @pytest.mark.parametrize(
        ("configured", "listens_at", "host", "expected"),
        [
            pytest.param("https://a.example", "127.0.0.1", "evil.example", "https://a.example", id="configured"),
            pytest.param("https://a.example/", "127.0.0.1", "localhost", "https://a.example", id="configured, here"),
            pytest.param("", "127.0.0.1", "localhost:8123", "http://localhost:8123", id="this machine"),
            pytest.param("", "127.0.0.1", "evil.example", "http://127.0.0.1:8000", id="stated by the request"),
            pytest.param("", "0.0.0.0", "evil.example", "http://127.0.0.1:8000", id="listens everywhere"),
            pytest.param("", "::", "evil.example", "http://[::1]:8000", id="everywhere by IPv6"),
            pytest.param("", "10.0.0.7", "evil.example", "http://10.0.0.7:8000", id="listens at one address"),
            pytest.param("", "10.0.0.7", "localhost.evil.example", "http://10.0.0.7:8000", id="looks like here"),
        ],
    )
    def test_links_that_leave_us_have_our_name(
        self, settings: Settings, configured: str, listens_at: str, host: str, expected: str
    ) -> None:
        bare = Flask("bare")
        security.register(bare, dataclasses.replace(settings, public_url=configured, host=listens_at, port=8000))
        with bare.test_request_context(headers={"Host": host}):
            assert public_address() == expected
            assert address_here() == (configured.rstrip("/") or f"http://{host}")

    def test_no_link_of_a_page_is_made_of_the_name_that_was_asked_for(self, client: FlaskClient) -> None:
        page = client.get("/log-in", headers={"Host": "evil.example"})
        assert "evil.example" not in page.text
        assert "evil.example" not in str(client.get("/leads", headers={"Host": "evil.example"}).headers)


class TestRedisAway:
    """What is limited there fails shut where guessing would pay, and open where work would be lost."""

    @pytest.fixture(scope="class")
    def lonely(self, serve: Callable[..., AbstractContextManager[int]], connected: None) -> Iterator[httpx.Client]:
        with (
            serve(ASSAY_REDIS_URL="redis://127.0.0.1:1/0") as port,
            httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client,
        ):
            yield client

    @pytest.mark.parametrize("path", ["/log-in", "/sign-up", "/forgotten"])
    def test_nobody_is_let_in_uncounted(self, lonely: httpx.Client, path: str) -> None:
        token = re.search(r'name="csrf_token" value="([^"]+)"', lonely.get(path).text)
        assert token
        fields = {"email": "ada@quartz.example.test", "password": "open sesame please", "company": "A", "name": "Ada"}
        answer = lonely.post(path, data={"csrf_token": token[1], **fields})
        assert answer.status_code == 503
        assert "assay_session" not in str(answer.headers)

    def test_who_has_a_key_is_served(self, lonely: httpx.Client, tenant: SignedUp) -> None:
        key = issue_key(tenant.tenant_id, kind="api", name="Lonely").secret
        assert lonely.get("/api/v1/leads", headers={"Authorization": f"Bearer {key}"}).status_code == 200
        event = {"userId": "u", "event": "Opened", "messageId": "lonely"}
        assert lonely.post("/v1/track", json=event, auth=(tenant.write_key, "")).status_code == 200
        assert lonely.get("/healthz").status_code == 200


def _around(app: Flask, settings: Settings) -> FlaskClient:
    """The tests' application behind another name."""
    client = app.test_client()
    inner = app.wsgi_app
    while not isinstance(inner, Hardened):
        inner = inner.app  # type: ignore[attr-defined] # a proxy's
    outer = Hardened(inner.rest, settings)
    client.application = _Wsgi(outer, app)  # type: ignore[assignment] # what of it a client uses
    return client


class _Wsgi:
    def __init__(self, outer: Callable[..., Any], app: Flask) -> None:
        self._outer = outer
        self._app = app

    def __getattr__(self, name: str) -> Any:
        return getattr(self._app, name)

    def __call__(self, environ: Any, start_response: Any) -> Any:
        return self._outer(environ, start_response)
