"""Somebody lets an app in, and it gets tokens: authorization code with PKCE, OpenID Connect on top."""

import base64
import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from assay_tenants.access.service import SignedUp
from assay_tenants.audit.models import AuditEntry
from assay_tenants.database import tenant_session
from assay_tenants.oauth import codes, grants, issuer
from assay_tenants.oauth.tokens import read_access_token
from tests.platform.oauth.conftest import BACK, SCOPES, Browser, Client, query_of


def test_a_partners_app_is_let_in(browser: Browser, partner: Client, tenant: SignedUp) -> None:
    page = browser.opens(partner.asks())
    assert page.status_code == 200
    assert "Let Quartz Reports act for you at Quartz &amp; Co" in page.text
    assert "Made by" in page.text
    assert "See leads, companies, scores and their reasons" in page.text
    back = browser.allows(partner.asks())
    assert back.location.startswith(BACK)
    assert query_of(back).keys() == {"code", "state", "iss"}
    assert (query_of(back)["state"], query_of(back)["iss"]) == ("st4te", issuer.issuer().address)
    answer = partner.exchanges(query_of(back)["code"])
    assert answer.headers["Cache-Control"] == "no-store"
    got = answer.json
    assert (got["token_type"], got["expires_in"], got["scope"]) == ("Bearer", 300, SCOPES)
    bearer = read_access_token(got["access_token"])
    assert (bearer.tenant_id, bearer.person_id) == (tenant.tenant_id, tenant.person_id)
    assert bearer.scopes == {"leads:read", "models:read"}


def test_the_id_token_is_about_this_login(browser: Browser, partner: Client, tenant: SignedUp) -> None:
    got = partner.tokens_from(browser)
    keys = KeySet.import_key_set(partner.http.get("/oauth/jwks").json)
    told = jwt.decode(got["id_token"], keys, algorithms=["ES256"])
    assert told.header["kid"] in {key.kid for key in keys}
    claims = told.claims
    half = hashlib.sha256(got["access_token"].encode()).digest()[:16]
    assert claims["at_hash"] == base64.urlsafe_b64encode(half).rstrip(b"=").decode()
    assert (claims["iss"], claims["aud"], claims["sub"]) == (
        issuer.issuer().address,
        partner.client_id,
        str(tenant.person_id),
    )
    assert (claims["nonce"], claims["name"], claims["email_verified"]) == ("n0nce", "Ada Example", True)
    assert claims["amr"] == ["pwd"]
    assert claims["exp"] - claims["iat"] == 300
    assert 0 <= claims["iat"] - claims["auth_time"] < 60


@pytest.mark.parametrize(
    ("scope", "told"),
    [
        pytest.param("openid", {"sub", "tenant"}, id="openid"),
        pytest.param("openid profile", {"sub", "tenant", "name", "tenant_name"}, id="profile"),
        pytest.param("openid email", {"sub", "tenant", "email", "email_verified"}, id="email"),
    ],
)
def test_userinfo_tells_what_the_scopes_let_it(browser: Browser, partner: Client, scope: str, told: set[str]) -> None:
    token = partner.tokens_from(browser, scope=scope)["access_token"]
    answer = partner.http.get("/oauth/userinfo", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200
    assert answer.json.keys() == told


def test_userinfo_is_for_who_may_know(browser: Browser, partner: Client) -> None:
    token = partner.tokens_from(browser, scope="leads:read")["access_token"]
    answer = partner.http.get("/oauth/userinfo", headers={"Authorization": f"Bearer {token}"})
    assert (answer.status_code, answer.json["error"]) == (403, "insufficient_scope")
    for header in ({}, {"Authorization": "Bearer nonsense"}):
        answer = partner.http.get("/oauth/userinfo", headers=header)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith('Bearer realm="assay"')


def test_without_openid_there_is_no_id_token(browser: Browser, partner: Client) -> None:
    assert "id_token" not in partner.tokens_from(browser, scope="leads:read")


def test_a_public_app_names_itself_alone(browser: Browser, public: Client) -> None:
    assert public.tokens_from(browser)["access_token"]


def test_the_second_time_nobody_is_asked(browser: Browser, partner: Client) -> None:
    partner.tokens_from(browser)
    for more in ({}, {"scope": "openid leads:read"}):
        back = browser.opens(partner.asks(**more))
        assert back.status_code == 303
        assert "code" in query_of(back)
    asked_again = browser.opens(partner.asks(prompt="consent"))
    assert asked_again.status_code == 200


def test_for_more_than_before_one_is_asked(own_browser: Browser, partner: Client, own: SignedUp) -> None:
    partner.tokens_from(own_browser, scope="openid")
    assert own_browser.opens(partner.asks(scope="openid leads:read")).status_code == 200
    partner.tokens_from(own_browser, scope="openid leads:read")
    assert len(grants.list_grants(own.tenant_id)) == 1


def test_a_no_goes_back_to_the_app(browser: Browser, partner: Client) -> None:
    refused = browser.sends(partner.asks(), on=partner.asks(), decision="deny")
    assert "This leads away from Assay" in refused.text, "it is not installed here"
    assert "error=access_denied" in refused.text
    partner.tokens_from(browser, scope="openid")
    answer = browser.sends(partner.asks(), on=partner.asks(), decision="deny")
    assert query_of(answer) | {"error_description": ""} == {
        "error": "access_denied",
        "error_description": "",
        "state": "st4te",
        "iss": issuer.issuer().address,
    }


def test_consent_takes_the_form_of_its_own_page(browser: Browser, partner: Client) -> None:
    """Neither another site's form nor a frame can say yes."""
    answer = browser.http.post(partner.asks(), data={"decision": "allow"})
    assert answer.status_code == 400
    page = browser.opens(partner.asks())
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
    assert "form-action 'self' https://reports.example.test;" in page.headers["Content-Security-Policy"]
    assert page.headers["Cache-Control"] == "no-store"


def test_what_the_role_has_not_is_not_given(
    own_browser: Browser, make_app: Callable[..., Client], own: SignedUp, set_role: Callable[[SignedUp, str], None]
) -> None:
    app = make_app(own, scopes=["openid", "leads:read", "settings:write"])
    set_role(own, "viewer")
    page = own_browser.opens(app.asks(scope="openid leads:read settings:write"))
    assert "which your role has not" in page.text
    got = app.tokens_from(own_browser, scope="openid leads:read settings:write")
    assert got["scope"] == "openid leads:read"


def test_others_may_use_what_somebody_installed(
    own_browser: Browser, partner: Client, own: SignedUp, set_role: Callable[[SignedUp, str], None]
) -> None:
    set_role(own, "viewer")
    page = own_browser.opens(partner.asks())
    assert "is not installed at Quartz" in page.text
    assert 'value="allow"' not in page.text
    refused = own_browser.sends(partner.asks(), on=partner.asks(), decision="allow")
    assert refused.status_code == 403
    set_role(own, "admin")
    partner.tokens_from(own_browser, scope="openid")
    set_role(own, "viewer")
    assert partner.tokens_from(own_browser)["scope"] == SCOPES


def test_consent_and_installation_are_in_the_audit_log(own_browser: Browser, partner: Client, own: SignedUp) -> None:
    partner.tokens_from(own_browser)
    with tenant_session(own.tenant_id) as session:
        entries = session.query(AuditEntry).where(AuditEntry.tenant_id == own.tenant_id).all()
    told = {entry.action: entry for entry in entries}
    assert told["app.installed"].actor_kind == "person"
    assert told["grant.given"].after["app"] == "Quartz Reports"


def test_a_person_of_two_companies_chooses(
    own_browser: Browser, partner: Client, own: SignedUp, join: Callable[[SignedUp, SignedUp], None], make_tenant: Any
) -> None:
    other = make_tenant()
    join(own, other)
    page = own_browser.opens(partner.asks())
    assert page.text.count("<option") == 2
    switched = own_browser.sends(partner.asks(), on=partner.asks(), decision="switch", company=str(other.tenant_id))
    assert switched.status_code == 303
    token = partner.tokens_from(own_browser)["access_token"]
    assert read_access_token(token).tenant_id == other.tenant_id


def test_a_yes_for_a_company_that_one_has_left_meanwhile_counts_nothing(
    browser: Browser, partner: Client, neighbour: SignedUp
) -> None:
    answer = browser.sends(partner.asks(), on=partner.asks(), decision="allow", tenant=str(neighbour.tenant_id))
    assert answer.status_code == 303
    assert answer.location.startswith("/oauth/authorize?")


def test_a_code_is_of_the_tenant_that_was_chosen(browser: Browser, partner: Client, tenant: SignedUp) -> None:
    code = partner.code_from(browser)
    found = codes.find(code, partner.client_id)
    assert found is not None
    assert found.tenant_id == tenant.tenant_id
