"""Forms and documents nobody would send, at the doors of OAuth: never a 500, and each error in the RFCs' shape."""

import base64
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from assay_tenants.oauth import apps, issuer, registration
from tests.fuzz.amount import EXAMPLES, SEED

FORMS = ("/oauth/token", "/oauth/introspect", "/oauth/revoke", "/oauth/device_authorization")
#: Of RFC 6749 5.2, 7009, 7591, 8628, 8707, and what we add for methods and floods.
ERRORS = {
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "unauthorized_client",
    "unsupported_grant_type",
    "unsupported_token_type",
    "invalid_scope",
    "invalid_target",
    "invalid_token",
    "invalid_redirect_uri",
    "invalid_client_metadata",
    "invalid_software_statement",
    "unapproved_software_statement",
    "authorization_pending",
    "slow_down",
    "expired_token",
    "access_denied",
    "temporarily_unavailable",
}
#: What an error may say (RFC 6749 5.2): no quotes, no backslashes, ASCII alone.
SAYABLE = re.compile(r"[\x20-\x21\x23-\x5B\x5D-\x7E]*")
GRANTS = (
    "authorization_code",
    "refresh_token",
    "client_credentials",
    "urn:ietf:params:oauth:grant-type:device_code",
    "password",
    "implicit",
)
NAMES = (
    "code",
    "code_verifier",
    "redirect_uri",
    "refresh_token",
    "token",
    "token_type_hint",
    "scope",
    "resource",
    "device_code",
    "client_assertion",
    "client_assertion_type",
    "username",
    "state",
)
MEMBERS = (
    "redirect_uris",
    "token_endpoint_auth_method",
    "grant_types",
    "response_types",
    "client_name",
    "scope",
    "contacts",
    "jwks",
    "jwks_uri",
    "logo_uri",
    "client_uri",
    "policy_uri",
    "tos_uri",
    "software_id",
    "software_statement",
)

anything = st.text(max_size=60)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | anything | st.just("https://a.test/cb"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(anything, inner, max_size=4),
    max_leaves=12,
)
within = settings(max_examples=EXAMPLES or 15, deadline=None, database=None, suppress_health_check=list(HealthCheck))


@dataclass
class Door:
    http: FlaskClient
    client_id: str
    secret: str
    registration_token: str

    def post(self, path: str, **options: Any) -> TestResponse:
        # Each from a place of its own: those who guess are slowed down, which is tried elsewhere.
        options["environ_base"] = {"REMOTE_ADDR": str(ip_address(secrets.randbits(128)))}
        return self.http.post(path, **options)


@pytest.fixture
def door(app, tenant, settings, monkeypatch) -> Iterator[Door]:
    monkeypatch.setattr(issuer, "_issuer", None)
    issuer.configure(settings.address, registration="token")
    made = apps.register_app(
        tenant.tenant_id,
        name="Fuzz",
        redirect_uris=["https://a.test/cb"],
        scopes=["leads:read"],
        grant_types=[apps.CODE, apps.REFRESH, apps.CREDENTIALS, apps.DEVICE],
    )
    token = registration.make_token(tenant.tenant_id, name="Fuzz", uses=100)
    return Door(app.test_client(), made.client_id, made.secret, token)


def assert_answered(answer: TestResponse) -> None:
    assert answer.status_code < 500, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    if answer.status_code < 400:
        return
    assert answer.mimetype == "application/json"
    told = answer.json
    assert told["error"] in ERRORS, told
    assert SAYABLE.fullmatch(told.get("error_description", "")), told
    if answer.status_code == 401:
        assert answer.headers["WWW-Authenticate"]


@pytest.mark.parametrize("path", FORMS)
@pytest.mark.parametrize("proof", ["basic", "form", "wrong", "none"])
def test_forms(door, path, proof) -> None:
    known = {"client_id": door.client_id, "client_secret": door.secret} if proof == "form" else {}
    secret = door.secret if proof == "basic" else "wrong"
    encoded = base64.b64encode(f"{door.client_id}:{secret}".encode()).decode()
    headers = {"Authorization": f"Basic {encoded}"} if proof in ("basic", "wrong") else {}

    @seed(SEED)
    @within
    @given(
        st.sampled_from([*GRANTS, None]) | anything,
        st.dictionaries(st.sampled_from(NAMES) | anything, anything | st.lists(anything, max_size=2), max_size=6),
    )
    def send(grant: str | None, form: dict[str, Any]) -> None:
        given = {"grant_type": grant} if grant is not None else {}
        assert_answered(door.post(path, data=form | given | known, headers=headers))

    send()


@pytest.mark.parametrize("path", [*FORMS, "/oauth/register"])
def test_bodies_of_any_kind(door, path) -> None:
    kinds = st.sampled_from(
        ["application/x-www-form-urlencoded", "application/json", "multipart/form-data", "text/plain", ""]
    )

    @seed(SEED)
    @within
    @given(
        st.binary(max_size=200), kinds | anything.map(lambda text: text.encode("latin-1", "replace").decode("latin-1"))
    )
    def send(body: bytes, kind: str) -> None:
        kind = re.sub(r"[\x00-\x1f\x7f]", "", kind)
        assert_answered(door.post(path, data=body, content_type=kind))

    send()


@pytest.mark.parametrize("path", FORMS)
def test_headers_of_any_kind(door, path) -> None:
    @seed(SEED)
    @within
    @given(st.sampled_from(["Basic ", "basic ", "Bearer ", ""]), st.binary(max_size=60), st.booleans())
    def send(scheme: str, raw: bytes, encoded: bool) -> None:
        shown = base64.b64encode(raw).decode() if encoded else re.sub(r"[^\x20-\xff]", "", raw.decode("latin-1"))
        assert_answered(
            door.post(path, data={"grant_type": "refresh_token"}, headers={"Authorization": scheme + shown})
        )

    send()


def test_registrations(door) -> None:
    @seed(SEED)
    @within
    @given(st.dictionaries(st.sampled_from(MEMBERS) | anything, json_values, max_size=6) | json_values)
    def send(document: Any) -> None:
        headers = {"Authorization": f"Bearer {door.registration_token}"}
        assert_answered(door.post("/oauth/register", json=document, headers=headers))

    send()
