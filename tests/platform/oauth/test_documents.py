"""What we say of ourselves, and apps that register by protocol."""

from collections.abc import Iterator
from typing import Any

import pytest
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from flask import Flask
from flask.testing import FlaskClient

from assay.settings import Settings
from assay_tenants.access.service import SignedUp
from assay_tenants.oauth import apps, issuer, registration
from tests.platform.oauth.conftest import BACK, Browser, Client, client_elsewhere

GIVEN = {"client_name": "Registers itself", "redirect_uris": [BACK], "token_endpoint_auth_method": "none"}


def test_the_metadata_is_valid(client: FlaskClient) -> None:
    answer = client.get("/.well-known/oauth-authorization-server")
    AuthorizationServerMetadata(answer.json).validate()
    assert answer.headers["Cache-Control"] == "public, max-age=3600"
    assert "registration_endpoint" not in answer.json


@pytest.mark.parametrize("path", ["", "/api/v1"])
def test_the_api_says_who_grants_tokens_for_it(client: FlaskClient, path: str) -> None:
    said = client.get(f"/.well-known/oauth-protected-resource{path}").json
    assert said["resource"] == issuer.issuer().address + path
    assert said["authorization_servers"] == [issuer.issuer().address]


@pytest.mark.parametrize("path", ["/oauth/token", "/oauth/revoke", "/oauth/introspect", "/oauth/register"])
def test_errors_have_the_protocols_shape(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.json["error"]) == (405, "invalid_request")
    too_large = client.post(path, data={"x": "y" * 100_000})
    assert too_large.status_code in (404, 413)
    assert "error" in too_large.json


def test_registration_is_off(client: FlaskClient) -> None:
    assert client.post("/oauth/register", json=GIVEN).status_code == 404


@pytest.fixture
def opened(settings: Settings) -> Iterator[None]:
    issuer.configure(settings.address, registration="open")
    yield
    issuer.configure(settings.address)


def test_an_app_registers_itself(opened: None, app: Flask, browser: Browser) -> None:
    http = client_elsewhere(app)
    answer = http.post("/oauth/register", json=GIVEN)
    assert answer.status_code == 201, answer.text
    made = answer.json
    assert made["client_id"].startswith("app_0_")
    assert "client_secret" not in made
    client = Client(http, made["client_id"], None)
    page = browser.opens(client.asks())
    assert "Nobody answers for this app" in page.text
    assert client.tokens_from(browser)["access_token"]


def test_one_with_a_secret(opened: None, client: FlaskClient) -> None:
    made = client.post("/oauth/register", json=GIVEN | {"token_endpoint_auth_method": "client_secret_post"}).json
    assert made["client_secret"].startswith("assay_cs_0_")
    assert made["client_secret_expires_at"] == 0


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        pytest.param({"redirect_uris": ["http://evil.test/x"]}, "invalid_redirect_uri", id="no TLS"),
        pytest.param({"redirect_uris": ["javascript:alert(1)"]}, "invalid_redirect_uri", id="a script"),
        pytest.param({"redirect_uris": []}, "invalid_redirect_uri", id="no address"),
        pytest.param({"redirect_uris": "https://x.test"}, "invalid_client_metadata", id="no list"),
        pytest.param({"redirect_uris": [7]}, "invalid_client_metadata", id="a number"),
        pytest.param({"client_name": ["x"]}, "invalid_client_metadata", id="a name that is none"),
        pytest.param({"client_name": "x" * 200}, "invalid_client_metadata", id="a long name"),
        pytest.param({"grant_types": ["password"]}, "invalid_client_metadata", id="the password grant"),
        pytest.param({"grant_types": ["client_credentials"]}, "invalid_client_metadata", id="public by itself"),
        pytest.param({"response_types": ["token"]}, "invalid_client_metadata", id="implicit"),
        pytest.param({"scope": "root"}, "invalid_client_metadata", id="an unknown scope"),
        pytest.param({"token_endpoint_auth_method": "x"}, "invalid_client_metadata", id="an unknown method"),
        pytest.param({"jwks_uri": "https://x.test/keys"}, "invalid_client_metadata", id="keys elsewhere"),
        pytest.param(
            {"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": [{"kty": "oct", "k": "eA"}]}},
            "invalid_client_metadata",
            id="a secret for a key",
        ),
    ],
)
def test_what_can_not_be_registered(opened: None, client: FlaskClient, changed: dict[str, Any], error: str) -> None:
    answer = client.post(
        "/oauth/register", json=GIVEN | changed, environ_base={"REMOTE_ADDR": f"192.0.2.{hash(str(changed)) % 250}"}
    )
    assert (answer.status_code, answer.json["error"]) == (400, error), answer.text


@pytest.mark.parametrize("body", ["", "[]", "nonsense", "[" * 60_000], ids=["none", "a list", "no JSON", "deep"])
def test_what_is_no_metadata(opened: None, client: FlaskClient, body: str) -> None:
    answer = client.post(
        "/oauth/register", data=body, content_type="application/json", environ_base={"REMOTE_ADDR": "192.0.2.251"}
    )
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_client_metadata")


def test_a_companys_token_registers_apps_of_that_company(
    app: Flask, tenant: SignedUp, settings: Settings, opened: None
) -> None:
    issuer.configure(settings.address, registration="token")
    http = client_elsewhere(app)
    token = registration.make_token(tenant.tenant_id, name="Pipeline")
    bearer = {"Authorization": f"Bearer {token}"}
    assert http.post("/oauth/register", json=GIVEN).status_code == 401
    wrong = http.post("/oauth/register", json=GIVEN | {"redirect_uris": []}, headers=bearer)
    assert wrong.status_code == 400, "a mistake does not use the token up"
    made = http.post("/oauth/register", json=GIVEN, headers=bearer)
    assert made.status_code == 201
    assert apps.get_app(tenant.tenant_id, made.json["client_id"]).name == "Registers itself"
    again = http.post("/oauth/register", json=GIVEN, headers=bearer)
    assert (again.status_code, again.json["error"]) == (401, "invalid_token")
