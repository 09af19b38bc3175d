"""Clients that others wrote, against a server of its own process."""

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from joserfc import jwt
from joserfc.jwk import KeySet
from requests_oauthlib import OAuth2Session as RequestsOAuthlib

from assay_tenants.access import open_session
from assay_tenants.access.service import SignedUp
from assay_tenants.oauth import apps

BACK = "http://127.0.0.1:9/callback"
VERIFIER = "v" * 50
SCOPE = "openid email leads:read"


@pytest.fixture(scope="module")
def server(serve: Callable[..., AbstractContextManager[int]]) -> Iterator[str]:
    with serve() as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def person(tenant: SignedUp) -> requests.Session:
    session = requests.Session()
    token = open_session(tenant.person_id, tenant_id=tenant.tenant_id, proven_by=("password",))
    session.cookies.set("assay_session", token)
    return session


def consents(person: requests.Session, address: str) -> str:
    """Where the browser is sent after a yes."""
    page = person.get(address, allow_redirects=False)
    if page.status_code == 200:
        form = {name: re.search(f'name="{name}" value="([^"]+)"', page.text) for name in ("csrf_token", "tenant")}
        sent = {name: found[1] for name, found in form.items() if found}
        page = person.post(address, data=sent | {"decision": "allow"}, allow_redirects=False)
    assert page.status_code == 303, page.text
    return page.headers["Location"]


def test_authlib(server: str, person: requests.Session, neighbour: SignedUp) -> None:
    made = apps.register_app(neighbour.tenant_id, name="By Authlib", redirect_uris=[BACK], scopes=SCOPE.split())
    known = requests.get(f"{server}/.well-known/openid-configuration", timeout=10).json()
    client = OAuth2Session(made.client_id, made.secret, scope=SCOPE, redirect_uri=BACK, code_challenge_method="S256")
    address, state = client.create_authorization_url(known["authorization_endpoint"], code_verifier=VERIFIER)
    answer = consents(person, address)
    token = client.fetch_token(
        known["token_endpoint"], authorization_response=answer, state=state, code_verifier=VERIFIER
    )
    told = jwt.decode(token["id_token"], KeySet.import_key_set(requests.get(known["jwks_uri"], timeout=10).json()))
    assert told.claims["aud"] == made.client_id
    assert client.get(known["userinfo_endpoint"]).json()["sub"] == told.claims["sub"]
    leads = client.get(f"{server}/api/v1/leads")
    assert leads.status_code == 200, leads.text
    again = client.refresh_token(known["token_endpoint"])
    assert again["access_token"] != token["access_token"]
    assert client.introspect_token(known["introspection_endpoint"], token=again["access_token"]).json()["active"]
    assert client.revoke_token(known["revocation_endpoint"], token=again["refresh_token"]).status_code == 200
    assert client.get(f"{server}/api/v1/leads").status_code == 401


def test_requests_oauthlib(
    server: str, person: requests.Session, neighbour: SignedUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    made = apps.register_app(
        neighbour.tenant_id, name="By requests-oauthlib", redirect_uris=[BACK], scopes=SCOPE.split()
    )
    client = RequestsOAuthlib(made.client_id, redirect_uri=BACK, scope=SCOPE.split())
    address, _ = client.authorization_url(
        f"{server}/oauth/authorize",
        code_challenge=create_s256_code_challenge(VERIFIER),
        code_challenge_method="S256",
    )
    answer = consents(person, address)
    assert parse_qs(urlsplit(answer).query)["iss"] == [server]
    token: dict[str, Any] = client.fetch_token(
        f"{server}/oauth/token",
        authorization_response=answer,
        client_secret=made.secret,
        code_verifier=VERIFIER,
    )
    assert token["expires_in"] == 300
    assert client.get(f"{server}/api/v1/leads").status_code == 200
    assert client.get(f"{server}/api/v1/members").status_code == 403
