"""Pages of other origins: leave to send and to read, the settings of their library, and who may use a key."""

import base64
import dataclasses
import json
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select

from assay.app import create_app
from assay.intake.browsers import public_address, settings_document
from assay.intake.models import Message
from assay.intake.wsgi import Tracking
from assay.settings import Settings
from assay_tenants import database, keys
from assay_tenants.access.service import SignedUp
from assay_tenants.database import tenant_session

PAGE = "https://www.quartz.example.test"
STRANGER = "https://elsewhere.example.test"
TRACK = {"userId": "u1", "event": "Demo Requested"}


def basic(key: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{key}:".encode()).decode()}


@pytest.fixture
def tracking(app: Flask) -> Tracking:
    found: Tracking = app.extensions["tracking"]
    return found


@pytest.fixture
def restrict(tracking: Tracking) -> Callable[[SignedUp, str], None]:
    def restrict_to(tenant: SignedUp, typed: str) -> None:
        (key,) = keys.list_keys(tenant.tenant_id, kind="write")
        keys.restrict_key(tenant.tenant_id, key.id, typed)
        tracking.callers.forget()

    return restrict_to


def kept(tenant: SignedUp) -> int:
    with tenant_session(tenant.tenant_id) as session:
        count = select(func.count()).select_from(Message).where(Message.tenant_id == tenant.tenant_id)
        return session.scalars(count).one()


class TestPreflight:
    @pytest.mark.parametrize(
        "path", ["/v1/t", "/v1/b", "/v1/batch", "/v1/m", "/v1/projects/wk/settings", "/v1/nothing"]
    )
    @pytest.mark.parametrize("origin", [PAGE, "null", "http://localhost:3000", "capacitor://localhost"])
    def test_leave_to_send(self, client: FlaskClient, path: str, origin: str) -> None:
        asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
        answer = client.options(path, headers={"Origin": origin, **asked})
        assert (answer.status_code, answer.data) == (204, b"")
        assert answer.headers["Access-Control-Allow-Origin"] == origin
        assert answer.headers["Vary"] == "Origin"
        assert answer.headers["Access-Control-Allow-Methods"] == "POST, GET, OPTIONS"
        assert answer.headers["Access-Control-Allow-Headers"] == "authorization, content-type, x-retry-count"
        assert int(answer.headers["Access-Control-Max-Age"]) >= 600
        assert "Access-Control-Allow-Credentials" not in answer.headers

    def test_question_without_an_origin(self, client: FlaskClient) -> None:
        answer = client.options("/v1/batch")
        assert answer.status_code == 204
        assert "Access-Control-Allow-Origin" not in answer.headers


class TestLeaveToRead:
    @pytest.mark.parametrize(
        ("path", "headers", "body", "status"),
        [
            pytest.param("/v1/t", {}, TRACK, 200, id="accepted"),
            pytest.param("/v1/m", {}, {"series": []}, 200, id="metrics"),
            pytest.param("/v1/t", {}, {"event": "E"}, 400, id="bad input"),
            pytest.param("/v1/t", basic("wk_1_" + "a" * 44), TRACK, 401, id="wrong key"),
            pytest.param("/v1/nothing", {}, TRACK, 404, id="no such call"),
        ],
    )
    def test_answers_to_pages(
        self,
        client: FlaskClient,
        tenant: SignedUp,
        path: str,
        headers: dict[str, str],
        body: dict[str, Any],
        status: int,
    ) -> None:
        answer = client.post(
            path, data=json.dumps(body), headers={**basic(tenant.write_key), **headers, "Origin": PAGE}
        )
        assert answer.status_code == status
        assert answer.headers["Access-Control-Allow-Origin"] == PAGE
        assert answer.headers["Vary"] == "Origin"
        # Otherwise the library could not see how long it is asked to wait.
        assert answer.headers["Access-Control-Expose-Headers"] == "Retry-After"

    def test_answers_while_the_database_is_away(self, client: FlaskClient, tracking: Tracking, servers: Any) -> None:
        tracking.callers.forget()
        key = "wk_1_" + "a" * 44
        try:
            database.configure("postgresql://assay_app@/assay?host=/nowhere")
            for answer in (
                client.post("/v1/t", data=json.dumps(TRACK), headers={**basic(key), "Origin": PAGE}),
                client.get(f"/v1/projects/{key}/settings", headers={"Origin": PAGE}),
            ):
                assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
                assert answer.headers["Access-Control-Allow-Origin"] == PAGE
                assert set(answer.json) == {"code", "message"}
        finally:
            database.configure(servers.database_url)

    def test_servers_are_told_nothing_of_it(self, client: FlaskClient, tenant: SignedUp) -> None:
        answer = client.post("/v1/track", data=json.dumps(TRACK), headers=basic(tenant.write_key))
        assert not [name for name, _ in answer.headers if name.startswith("Access-Control") or name == "Vary"]


class TestOrigins:
    @pytest.mark.parametrize(
        ("typed", "origin", "status"),
        [
            pytest.param("", STRANGER, 200, id="any"),
            pytest.param(PAGE, PAGE, 200, id="the one"),
            pytest.param(f"https://shop.example.test\n{PAGE}", PAGE, 200, id="one of two"),
            pytest.param(PAGE, None, 200, id="a server, which states none"),
            pytest.param(PAGE, STRANGER, 403, id="another"),
            pytest.param(PAGE, "null", 403, id="a page of nobody's"),
            pytest.param(PAGE, f"{PAGE}:8443", 403, id="another port"),
            pytest.param(PAGE, PAGE.replace("https", "http"), 403, id="another scheme"),
            pytest.param("https://*.example.test", STRANGER, 200, id="a subdomain"),
            pytest.param("https://*.example.test", "https://example.test", 403, id="not the domain itself"),
        ],
    )
    @pytest.mark.parametrize("how", ["key in front", "key in the body", "settings"])
    def test_page_that_uses_a_key(
        self,
        client: FlaskClient,
        tenant: SignedUp,
        restrict: Callable[[SignedUp, str], None],
        how: str,
        typed: str,
        origin: str | None,
        status: int,
    ) -> None:
        restrict(tenant, typed)
        headers = {"Origin": origin} if origin else {}
        key = tenant.write_key
        if how == "settings":
            answer = client.get(f"/v1/projects/{key}/settings", headers=headers)
        elif how == "key in front":
            answer = client.post("/v1/t", data=json.dumps(TRACK), headers=headers | basic(key))
        else:
            answer = client.post("/v1/b", data=json.dumps({"batch": [TRACK], "writeKey": key}), headers=headers)
        assert answer.status_code == status
        assert answer.headers.get("Access-Control-Allow-Origin") == (origin if status == 200 else None)
        assert kept(tenant) == (status == 200 and how != "settings")

    def test_refusal_names_the_origin_and_what_to_do(
        self, client: FlaskClient, tenant: SignedUp, restrict: Callable[[SignedUp, str], None]
    ) -> None:
        restrict(tenant, PAGE)
        answer = client.post("/v1/t", data=json.dumps(TRACK), headers={**basic(tenant.write_key), "Origin": STRANGER})
        assert answer.json == {
            "code": "origin_not_allowed",
            "message": f"This write key may not be used by pages of {STRANGER}. Add that origin to the key's allowed "
            "origins on the settings page, or use the key on a page of one that stands there.",
        }


class TestFiles:
    @pytest.mark.parametrize(
        "path",
        [
            "/analytics.js/v1/wk_1_a/analytics.min.js",
            "/analytics-next/bundles/queryString.bundle.js",
            "/next-integrations/integrations/vendor/latest/vendor.dynamic.js.gz",
        ],
    )
    def test_whoever_takes_us_for_the_librarys_home_is_told_where_it_is(self, client: FlaskClient, path: str) -> None:
        answer = client.get(path, headers={"Origin": PAGE})
        assert (answer.status_code, answer.json["code"]) == (404, "no_such_file")
        assert "@segment/analytics-next" in answer.json["message"]
        assert answer.headers["Access-Control-Allow-Origin"] == PAGE


class TestSettings:
    def test_where_to_send(self, client: FlaskClient, tenant: SignedUp) -> None:
        answer = client.get(f"/v1/projects/{tenant.write_key}/settings", headers={"Origin": PAGE})
        assert answer.status_code == 200
        assert answer.headers["Access-Control-Allow-Origin"] == PAGE
        assert answer.headers["Cache-Control"] == "public, max-age=60"
        assert answer.headers.getlist("Vary") == ["Origin"]
        segment = answer.json["integrations"]["Segment.io"]
        assert (segment["apiKey"], segment["protocol"], segment["apiHost"]) == (
            tenant.write_key,
            "http",
            "localhost/v1",
        )

    def test_nothing_else_is_loaded_or_reported(self) -> None:
        document = json.loads(settings_document("wk", "https://in.example.test"))
        assert list(document["integrations"]) == ["Segment.io"]
        assert document["metrics"] == {"sampleRate": 0, "host": "in.example.test/v1"}
        assert document["remotePlugins"] == []

    def test_caches_tell_origins_apart(self, client: FlaskClient, tenant: SignedUp) -> None:
        answer = client.get(f"/v1/projects/{tenant.write_key}/settings")
        assert (answer.status_code, answer.headers.getlist("Vary")) == (200, ["Origin"])

    def test_head(self, client: FlaskClient, tenant: SignedUp) -> None:
        path = f"/v1/projects/{tenant.write_key}/settings"
        answer = client.head(path)
        assert (answer.status_code, answer.data) == (200, b"")
        assert answer.headers["Content-Length"] == str(len(client.get(path).data))

    @pytest.mark.parametrize("kind", ["unknown", "revoked", "api", "endless"])
    def test_key_that_opens_nothing(self, client: FlaskClient, tracking: Tracking, tenant: SignedUp, kind: str) -> None:
        key = {"unknown": "wk_1_" + "a" * 44, "revoked": tenant.write_key, "endless": "x" * 3000}.get(kind, "")
        if kind == "api":
            key = keys.issue_key(tenant.tenant_id, kind="api", name="Reports").secret
        if kind == "revoked":
            keys.revoke_key(tenant.tenant_id, keys.list_keys(tenant.tenant_id, kind="write")[0].id)
            tracking.callers.forget()
        answer = client.get(f"/v1/projects/{key}/settings", headers={"Origin": PAGE})
        assert answer.status_code == 404
        assert answer.json["code"] == "no_such_project"
        assert "unknown or was revoked" in answer.json["message"]
        assert answer.headers["Access-Control-Allow-Origin"] == PAGE
        assert answer.headers["Cache-Control"] == "no-store"

    def test_other_methods(self, client: FlaskClient, tenant: SignedUp) -> None:
        answer = client.post(f"/v1/projects/{tenant.write_key}/settings")
        assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD, OPTIONS")

    @pytest.mark.parametrize(
        ("configured", "environ", "address"),
        [
            pytest.param("", {}, "http://in.example.test", id="as asked"),
            pytest.param("", {"wsgi.url_scheme": "https"}, "https://in.example.test", id="https"),
            pytest.param("", {"HTTP_HOST": "127.0.0.1:8000"}, "http://127.0.0.1:8000", id="port"),
            pytest.param("", {"HTTP_HOST": "[::1]:8000"}, "http://[::1]:8000", id="IPv6"),
            pytest.param("https://x.example.test", {}, "https://x.example.test", id="configured"),
            pytest.param(
                "https://x.example.test/assay", {}, "https://x.example.test/assay", id="configured, with path"
            ),
        ],
    )
    def test_address(self, configured: str, environ: dict[str, Any], address: str) -> None:
        asked = {"wsgi.url_scheme": "http", "HTTP_HOST": "in.example.test", "SERVER_NAME": "a", "SERVER_PORT": "1"}
        assert public_address(asked | environ, configured) == address

    @pytest.mark.parametrize("host", ['in.example.test"', "a b", "in.example.test/x"])
    def test_host_that_is_none(self, client: FlaskClient, tenant: SignedUp, host: str) -> None:
        overrides = {"HTTP_HOST": host}
        answer = client.get(f"/v1/projects/{tenant.write_key}/settings", environ_overrides=overrides)
        assert (answer.status_code, answer.json["code"]) == (400, "bad_input")

    @pytest.mark.parametrize(
        ("changed", "host", "protocol"),
        [
            pytest.param({}, "localhost/v1", "http", id="nobody's word is taken"),
            pytest.param({"trusted_proxies": 1}, "in.quartz.example.test/v1", "https", id="a proxy's word is"),
            pytest.param(
                {"trusted_proxies": 1, "public_url": "https://in.example.test/"},
                "in.example.test/v1",
                "https",
                id="the configuration's first of all",
            ),
        ],
    )
    def test_behind_a_proxy(
        self, settings: Settings, tenant: SignedUp, changed: dict[str, Any], host: str, protocol: str
    ) -> None:
        app = create_app(dataclasses.replace(settings, **changed))
        forwarded = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "in.quartz.example.test"}
        document = app.test_client().get(f"/v1/projects/{tenant.write_key}/settings", headers=forwarded).json
        segment = document["integrations"]["Segment.io"]
        assert (segment["apiHost"], segment["protocol"]) == (host, protocol)
