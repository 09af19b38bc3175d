"""How apps prove themselves, act by themselves, revoke and introspect."""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from joserfc import jwt
from joserfc.jwk import ECKey

from assay.oauth import pace
from assay_tenants import sealing
from assay_tenants.access.service import SignedUp
from assay_tenants.errors import NotSignedIn
from assay_tenants.oauth import apps, issuer, signing
from assay_tenants.oauth.tokens import read_access_token
from tests.platform.oauth.conftest import Browser, Client, basic, client_elsewhere

API = {"grant_type": "client_credentials", "scope": "leads:read"}
BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@pytest.fixture
def server(make_app: Callable[..., Client], tenant: SignedUp) -> Client:
    return make_app(tenant, grant_types=[apps.CREDENTIALS], redirect_uris=[], name="Quartz at night")


def test_an_app_acts_for_its_own_company(server: Client, tenant: SignedUp) -> None:
    got = server.posts("/oauth/token", **API).json
    assert got.keys() == {"access_token", "token_type", "expires_in", "scope"}
    bearer = read_access_token(got["access_token"])
    assert (bearer.tenant_id, bearer.person_id, bearer.scopes) == (tenant.tenant_id, None, {"leads:read"})


def test_without_a_scope_it_has_all_of_its_own(server: Client) -> None:
    assert server.posts("/oauth/token", grant_type="client_credentials").json["scope"] == "leads:read models:read"


@pytest.mark.parametrize("scope", ["keys:manage", "openid", "no:such", "leads:read  keys:manage"])
def test_for_other_scopes_it_has_nothing(server: Client, scope: str) -> None:
    assert server.posts("/oauth/token", **(API | {"scope": scope})).json["error"] == "invalid_scope"


def test_a_secret_may_come_in_the_form(server: Client) -> None:
    answer = server.http.post(
        "/oauth/token", data=API | {"client_id": server.client_id, "client_secret": server.secret or ""}
    )
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("form", "headers", "status", "error"),
    [
        pytest.param({}, {}, 401, "invalid_client", id="nothing"),
        pytest.param({"client_id": "app_1_x"}, {}, 401, "invalid_client", id="an id alone"),
        pytest.param({}, basic("app_1_none", "x"), 401, "invalid_client", id="unknown"),
        pytest.param({}, {"Authorization": "Basic %%%"}, 401, "invalid_client", id="not base64"),
        pytest.param({}, {"Authorization": "Basic //79"}, 401, "invalid_client", id="not text"),
        pytest.param({}, {"Authorization": "Basic"}, 401, "invalid_client", id="an empty header"),
        pytest.param({"client_secret": "x"}, basic("app_1_none", "x"), 400, "invalid_request", id="two ways"),
        pytest.param({"client_id": "app_2"}, basic("app_1_none", "x"), 400, "invalid_request", id="two clients"),
        pytest.param({"client_id": "é"}, {}, 400, "invalid_request", id="not ASCII"),
        pytest.param({"client_assertion": "a.b.c", "client_assertion_type": BEARER}, {}, 400, None, id="no assertion"),
        pytest.param({"scope": "x" * 5_000}, {}, 400, "invalid_request", id="too long"),
    ],
)
def test_who_does_not_prove_itself_gets_nothing(
    app: Flask, form: dict[str, str], headers: dict[str, str], status: int, error: str | None
) -> None:
    answer = client_elsewhere(app).post("/oauth/token", data=API | form, headers=headers)
    assert answer.json["error"] in (error, "invalid_client")
    assert answer.status_code == status
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_rotated_secret_overlaps(server: Client, tenant: SignedUp) -> None:
    second = replace(server, secret=apps.rotate_secret(tenant.tenant_id, server.client_id))
    assert [one.posts("/oauth/token", **API).status_code for one in (server, second)] == [200, 200]
    third = replace(server, secret=apps.rotate_secret(tenant.tenant_id, server.client_id, overlap=timedelta(0)))
    assert [one.posts("/oauth/token", **API).status_code for one in (server, second, third)] == [401, 401, 200]
    (only,) = apps.list_secrets(tenant.tenant_id, server.client_id)
    apps.revoke_secret(tenant.tenant_id, server.client_id, only.id)
    assert third.posts("/oauth/token", **API).status_code == 401


def test_wrong_secrets_are_counted_where_they_come_from(server: Client) -> None:
    wrong, there = replace(server, secret="wrong"), {"REMOTE_ADDR": "198.51.100.7"}
    headers = basic(wrong.client_id, wrong.secret)

    def knock(place: dict[str, str]) -> int:
        return wrong.http.post("/oauth/token", data=API, headers=headers, environ_base=place).status_code

    assert [knock(there) for _ in range(21)] == [401] * 20 + [429]
    right = basic(server.client_id, server.secret)
    held_up = server.http.post("/oauth/token", data=API, headers=right, environ_base=there)
    assert held_up.status_code == 429
    assert int(held_up.headers["Retry-After"]) > 0
    assert server.posts("/oauth/token", **API).status_code == 200, "from elsewhere nobody is locked out"


def test_secrets_are_refused_while_nobody_can_count(
    server: Client, monkeypatch: pytest.MonkeyPatch, browser: Browser, public: Client
) -> None:
    code = public.code_from(browser)

    def away(*_: object) -> None:
        raise pace.CannotCount

    monkeypatch.setattr(pace, "_first_over", away)
    answer = server.posts("/oauth/token", **API)
    assert (answer.status_code, answer.json["error"]) == (503, "temporarily_unavailable")
    assert public.exchanges(code).status_code == 200


@pytest.fixture
def key() -> ECKey:
    return ECKey.generate_key("P-256", auto_kid=True)


@pytest.fixture
def signer(make_app: Callable[..., Client], tenant: SignedUp, key: ECKey) -> Client:
    jwks = {"keys": [key.as_dict(private=False)]}
    return make_app(tenant, grant_types=[apps.CREDENTIALS], redirect_uris=[], jwks=jwks)


def assertion(client: Client, key: ECKey, **claims: Any) -> dict[str, str]:
    now = int(time.time())
    said = {
        "iss": client.client_id,
        "sub": client.client_id,
        "aud": issuer.issuer().address,
        "exp": now + 60,
        "jti": str(time.monotonic_ns()),
    }
    made = jwt.encode({"alg": "ES256", "kid": key.kid}, said | claims, key)
    return {"client_assertion_type": BEARER, "client_assertion": made}


def test_an_app_may_sign_instead(signer: Client, key: ECKey) -> None:
    assert signer.secret is None
    proof = assertion(signer, key)
    assert signer.http.post("/oauth/token", data=API | proof).status_code == 200
    again = signer.http.post("/oauth/token", data=API | proof)
    assert again.json["error"] == "invalid_client", "an assertion is taken once"


@pytest.mark.parametrize(
    "claims",
    [
        pytest.param({"aud": "https://elsewhere.test"}, id="for another"),
        pytest.param({"exp": 1}, id="expired"),
        pytest.param({"exp": 10**11}, id="for ever"),
        pytest.param({"exp": "soon"}, id="no time"),
        pytest.param({"iss": "app_1_x"}, id="of another"),
        pytest.param({"sub": 7}, id="no client"),
        pytest.param({"jti": ""}, id="no id"),
        pytest.param({"jti": ["x"]}, id="an odd id"),
        pytest.param({"aud": {"a": 1}}, id="an odd audience"),
    ],
)
def test_an_assertion_that_is_not_in_order(signer: Client, key: ECKey, claims: dict[str, Any]) -> None:
    answer = signer.http.post("/oauth/token", data=API | assertion(signer, key, **claims))
    assert answer.status_code in (400, 401)
    assert answer.json["error"] == "invalid_client"


def test_an_assertion_by_another_key(signer: Client, server: Client) -> None:
    other = ECKey.generate_key("P-256", auto_kid=True)
    for client in (signer, server):
        answer = client.http.post("/oauth/token", data=API | assertion(client, other))
        assert answer.json["error"] == "invalid_client"


def test_a_client_revokes_its_tokens(browser: Browser, partner: Client, make_app: Callable[..., Client]) -> None:
    got = partner.tokens_from(browser)
    assert make_app().posts("/oauth/revoke", token=got["access_token"]).status_code == 200
    read_access_token(got["access_token"])
    assert partner.posts("/oauth/revoke", token=got["access_token"], token_type_hint="x").status_code == 200
    with pytest.raises(NotSignedIn):
        read_access_token(got["access_token"])
    again = partner.refreshes(got["refresh_token"]).json
    assert partner.posts("/oauth/revoke", token=again["refresh_token"]).status_code == 200
    with pytest.raises(NotSignedIn):
        read_access_token(again["access_token"])
    assert partner.refreshes(again["refresh_token"]).json["error"] == "invalid_grant"
    assert partner.posts("/oauth/revoke", token="nonsense").status_code == 200
    assert partner.posts("/oauth/revoke").json["error"] == "invalid_request"


def test_a_client_introspects_its_own_tokens_alone(
    browser: Browser, partner: Client, public: Client, make_app: Callable[..., Client], tenant: SignedUp
) -> None:
    got = partner.tokens_from(browser)
    said = partner.posts("/oauth/introspect", token=got["access_token"]).json
    assert said["active"] is True
    assert (said["client_id"], said["sub"]) == (partner.client_id, str(tenant.person_id))
    assert said["aud"] == issuer.issuer().api
    assert partner.posts("/oauth/introspect", token=got["refresh_token"]).json["active"] is True
    for token in (*(got[name] for name in ("access_token", "refresh_token")), "nonsense"):
        assert make_app().posts("/oauth/introspect", token=token).json == {"active": False}
    assert public.posts("/oauth/introspect", token=got["access_token"]).json["error"] == "invalid_client"
    partner.posts("/oauth/revoke", token=got["refresh_token"])
    for name in ("access_token", "refresh_token"):
        assert partner.posts("/oauth/introspect", token=got[name]).json == {"active": False}


def test_keys_turn_and_old_tokens_stay_good(server: Client, app: Flask) -> None:
    before = server.posts("/oauth/token", **API).json["access_token"]
    old = signing.keys().current.kid
    ahead = {key["kid"] for key in server.http.get("/oauth/jwks").json["keys"]}
    new = signing.rotate(at_once=True)
    assert new in ahead - {old}, "verifiers saw the key before it was used"
    shown = server.http.get("/oauth/jwks")
    assert {old, new} < {key["kid"] for key in shown.json["keys"]}
    assert not any("d" in key for key in shown.json["keys"])
    assert shown.headers["Content-Type"] == "application/jwk-set+json"
    read_access_token(before)
    read_access_token(server.posts("/oauth/token", **API).json["access_token"])
    assert signing.rotate() == new, "a key in use stays for a month"


def test_private_keys_are_sealed(app: Flask) -> None:
    assert "tenancy.signing_keys.private" in {column.name for column in sealing.columns()}
