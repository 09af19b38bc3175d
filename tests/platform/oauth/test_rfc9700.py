"""The security best current practice for OAuth 2.0, line by line, as far as it speaks to an authorization server."""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
import time_machine

from assay.settings import Settings
from assay_tenants.access.service import SignedUp
from assay_tenants.errors import NotSignedIn
from assay_tenants.oauth import apps, codes, families, issuer
from assay_tenants.oauth.tokens import read_access_token
from tests.platform.oauth.conftest import BACK, Browser, Client, query_of

API = {"grant_type": "client_credentials", "scope": "leads:read"}


@pytest.mark.parametrize(
    "asked",
    [
        pytest.param(f"{BACK}/", id="a slash more"),
        pytest.param(f"{BACK}?x=1", id="a query more"),
        pytest.param(BACK.replace("callback", "Callback"), id="another case"),
        pytest.param(BACK.replace("https", "http"), id="without TLS"),
        pytest.param(BACK.replace("reports", "evil"), id="another host"),
        pytest.param(BACK.replace(".test", ".test:8443"), id="a port, not on loopback"),
        pytest.param("https://reports.example.test/callback/../evil", id="a path that leads elsewhere"),
        pytest.param('https://reports.example.test/"<script>', id="a quotation mark"),
        pytest.param(None, id="none"),
    ],
)
def test_2_1_redirect_addresses_match_letter_by_letter(browser: Browser, partner: Client, asked: str | None) -> None:
    answer = browser.opens(partner.asks(redirect_uri=asked))
    assert answer.status_code == 400
    assert "The app that sent you here made a mistake" in answer.text
    assert "Location" not in answer.headers


@pytest.mark.parametrize(
    ("asked", "fits"),
    [
        pytest.param("http://127.0.0.1:51234/callback", True, id="any port"),
        pytest.param("http://127.0.0.1/callback", True, id="no port"),
        pytest.param("http://127.0.0.1:51234/other", False, id="another path"),
        pytest.param("http://localhost:51234/callback", False, id="another name"),
        pytest.param("http://127.0.0.1.evil.test:51234/callback", False, id="another host"),
        pytest.param("http://127.0.0.1:80@evil.test/callback", False, id="a user"),
    ],
)
def test_2_1_ports_differ_on_loopback_alone(
    browser: Browser, make_app: Callable[..., Client], asked: str, fits: bool
) -> None:
    native = make_app(kind="public", redirect_uris=["http://127.0.0.1/callback"])
    assert browser.opens(native.asks(redirect_uri=asked)).status_code == (200 if fits else 400)


def test_2_1_confidential_apps_have_no_loose_port(browser: Browser, make_app: Callable[..., Client]) -> None:
    server = make_app(redirect_uris=["http://127.0.0.1:8000/callback"])
    assert browser.opens(server.asks(redirect_uri="http://127.0.0.1:8001/callback")).status_code == 400


@pytest.mark.parametrize("kind", ["public", "confidential"])
@pytest.mark.parametrize(
    "less",
    [
        pytest.param({"code_challenge": None, "code_challenge_method": None}, id="no challenge"),
        pytest.param({"code_challenge_method": None}, id="no method, which would be plain"),
        pytest.param({"code_challenge_method": "plain"}, id="plain"),
        pytest.param({"code_challenge": "short"}, id="no hash"),
        pytest.param({"code_challenge": "a" * 43 + "\n"}, id="a line more"),
    ],
)
def test_2_1_1_pkce_by_s256_is_required_of_every_client(
    maker: Browser, make_app: Callable[..., Client], kind: str, less: dict[str, str | None]
) -> None:
    answer = maker.opens(make_app(kind=kind).asks(**less))
    if answer.status_code == 303:
        assert query_of(answer)["error"] == "invalid_request"
    else:
        assert answer.status_code == 400


@pytest.mark.parametrize(
    "verifier", [pytest.param(None, id="none"), pytest.param("a" * 43, id="another"), pytest.param("é" * 43, id="odd")]
)
def test_2_1_1_the_verifier_is_enforced(browser: Browser, partner: Client, verifier: str | None) -> None:
    code = partner.code_from(browser)
    answer = partner.exchanges(code, code_verifier=verifier)
    assert answer.status_code == 400
    assert answer.json["error"] in ("invalid_grant", "invalid_request")
    assert partner.exchanges(code).status_code == 200, "a wrong try by somebody else must not use the code up"


def test_2_1_1_support_for_pkce_can_be_detected(stranger: Browser) -> None:
    said = stranger.opens("/.well-known/oauth-authorization-server").json
    assert said["code_challenge_methods_supported"] == ["S256"]


@pytest.mark.parametrize("response_type", ["token", "id_token", "code token", "code id_token", "none", "", "code code"])
def test_2_1_2_no_token_comes_by_the_browser(maker: Browser, partner: Client, response_type: str) -> None:
    answer = maker.opens(partner.asks(response_type=response_type))
    assert query_of(answer)["error"] == ("unsupported_response_type" if response_type else "invalid_request")
    assert "#" not in answer.location


def test_2_2_1_access_tokens_live_five_minutes(browser: Browser, partner: Client) -> None:
    """They are bound to no key of the client's: they die soon instead, and can be cut before."""
    got = partner.tokens_from(browser)
    bearer = read_access_token(got["access_token"])
    assert bearer.expires_at - bearer.issued_at == got["expires_in"] == 300
    with time_machine.travel(time.time() + 301), pytest.raises(NotSignedIn):
        read_access_token(got["access_token"])


@pytest.mark.parametrize("kind", ["public", "confidential"])
def test_2_2_2_refresh_tokens_are_rotated(browser: Browser, make_app: Callable[..., Client], kind: str) -> None:
    app = make_app(kind=kind)
    first = app.tokens_from(browser)
    second = app.refreshes(first["refresh_token"]).json
    assert second["refresh_token"] != first["refresh_token"]
    third = app.refreshes(second["refresh_token"]).json
    assert third["refresh_token"] not in (first["refresh_token"], second["refresh_token"])


def test_2_3_tokens_are_for_the_api_alone_and_for_what_was_granted(browser: Browser, partner: Client) -> None:
    got = partner.tokens_from(browser, scope="leads:read")
    assert read_access_token(got["access_token"]).scopes == {"leads:read"}
    answer = browser.opens(partner.asks(resource="https://elsewhere.example.test"))
    assert query_of(answer)["error"] == "invalid_target"
    assert partner.refreshes(got["refresh_token"], resource="https://elsewhere.example.test").json == {
        "error": "invalid_target",
        "error_description": f"There is no such resource here. Tokens are for {issuer.issuer().api}",
    }
    assert partner.refreshes(got["refresh_token"], scope="leads:read models:read").json["error"] == "invalid_scope"
    narrowed = partner.tokens_from(browser, scope="leads:read models:read")
    less = partner.refreshes(narrowed["refresh_token"], scope="leads:read").json
    assert read_access_token(less["access_token"]).scopes == {"leads:read"}


def test_2_3_scopes_that_an_app_did_not_register_are_refused(maker: Browser, partner: Client) -> None:
    assert query_of(maker.opens(partner.asks(scope="leads:read keys:manage")))["error"] == "invalid_scope"


def test_2_4_there_is_no_password_grant(partner: Client) -> None:
    answer = partner.posts("/oauth/token", grant_type="password", username="ada", password="pw")
    assert (answer.status_code, answer.json["error"]) == (400, "unsupported_grant_type")
    said = partner.http.get("/.well-known/oauth-authorization-server").json
    assert not {"password", "implicit"} & set(said["grant_types_supported"])


def test_2_5_confidential_clients_prove_themselves(browser: Browser, partner: Client) -> None:
    code = partner.code_from(browser)
    unproven = replace(partner, secret=None)
    assert unproven.exchanges(code).json["error"] == "invalid_client"
    wrong = replace(partner, secret="assay_cs_1_wrong")
    answer = wrong.exchanges(code)
    assert (answer.status_code, answer.json["error"]) == (401, "invalid_client")
    assert answer.headers["WWW-Authenticate"].startswith("Basic ")
    assert partner.exchanges(code).status_code == 200


def test_2_6_metadata_is_published_and_true(stranger: Browser, app) -> None:  # type: ignore[no-untyped-def] # a Flask
    said = stranger.opens("/.well-known/oauth-authorization-server").json
    assert said == stranger.opens("/.well-known/openid-configuration").json
    assert said["issuer"] == issuer.issuer().address
    served = {rule.rule for rule in app.url_map.iter_rules()}
    for name, address in said.items():
        if name.endswith(("_endpoint", "_uri")):
            assert address.removeprefix(said["issuer"]) in served


@pytest.mark.parametrize(
    ("path", "open_to_all"),
    [
        ("/oauth/token", True),
        ("/oauth/userinfo", True),
        ("/oauth/jwks", True),
        ("/.well-known/oauth-authorization-server", True),
        ("/.well-known/openid-configuration", True),
        ("/oauth/authorize", False),
        ("/oauth/introspect", False),
        ("/oauth/register", False),
        ("/device", False),
    ],
)
def test_2_6_other_sites_may_read_what_browser_apps_need(stranger: Browser, path: str, open_to_all: bool) -> None:
    asked = {"Origin": "https://spa.example.test", "Access-Control-Request-Method": "POST"}
    answer = stranger.http.options(path, headers=asked)
    assert answer.headers.get("Access-Control-Allow-Origin") == ("*" if open_to_all else None)
    assert "Access-Control-Allow-Credentials" not in answer.headers


def test_4_2_a_code_works_once_and_its_second_use_ends_the_tokens(browser: Browser, partner: Client) -> None:
    code = partner.code_from(browser)
    got = partner.exchanges(code).json
    assert partner.exchanges(code).json["error"] == "invalid_grant"
    with pytest.raises(NotSignedIn):
        read_access_token(got["access_token"])
    assert partner.refreshes(got["refresh_token"]).json["error"] == "invalid_grant"


def test_4_2_a_code_lives_a_minute(browser: Browser, partner: Client) -> None:
    code = partner.code_from(browser)
    assert timedelta(minutes=1) >= codes.LIFETIME
    with time_machine.travel(time.time() + 61):
        assert "expired" in partner.exchanges(code).json["error_description"]


def test_4_2_pages_tell_no_other_site_where_somebody_was(browser: Browser, partner: Client) -> None:
    page = browser.opens(partner.asks())
    assert page.headers["Referrer-Policy"] == "same-origin"
    assert "img-src 'self' data:" in page.headers["Content-Security-Policy"]


def test_4_3_no_token_is_taken_from_an_address(partner: Client, browser: Browser) -> None:
    token = partner.tokens_from(browser)["access_token"]
    assert partner.http.get(f"/oauth/userinfo?access_token={token}").status_code == 401
    answer = partner.http.post("/oauth/token?grant_type=client_credentials", data={"client_id": partner.client_id})
    assert answer.json["error"] == "invalid_request"


@pytest.mark.parametrize("more", [{}, {"scope": "no:such"}, {"prompt": "none"}], ids=["code", "error", "silent"])
def test_4_4_every_answer_says_whose_it_is(browser: Browser, partner: Client, more: dict[str, str]) -> None:
    if more:
        partner.tokens_from(browser, scope="openid")
    answer = browser.allows(partner.asks(**more))
    assert query_of(answer)["iss"] == issuer.issuer().address
    assert browser.opens("/.well-known/oauth-authorization-server").json[
        "authorization_response_iss_parameter_supported"
    ]


def test_4_5_a_code_is_bound_to_client_address_and_verifier(
    browser: Browser, make_app: Callable[..., Client], partner: Client
) -> None:
    code = partner.code_from(browser)
    other = replace(make_app(), verifier=partner.verifier)
    assert other.exchanges(code).json["error"] == "invalid_grant"
    assert partner.exchanges(code, redirect_uri="https://reports.example.test/other").json["error"] == "invalid_grant"
    assert partner.exchanges(code, redirect_uri=None).json["error"] == "invalid_grant"
    assert partner.exchanges(code).status_code == 200


def test_4_7_state_comes_back_as_it_was(browser: Browser, partner: Client) -> None:
    state = "a/b+c=d&e ~%20"
    assert query_of(browser.allows(partner.asks(state=state)))["state"] == state
    assert query_of(browser.opens(partner.asks(state=state, scope="no:such")))["state"] == state


def test_4_11_nobody_is_sent_on_who_is_not_logged_in(stranger: Browser, partner: Client) -> None:
    """An erroneous request must not make us a springboard for phishing."""
    answer = stranger.opens(partner.asks(scope="no:such"))
    assert answer.location.startswith("/log-in?next=")


def test_4_11_nobody_is_sent_unasked_to_an_app_that_no_company_answers_for(
    browser: Browser, stranger: Browser, make_app: Callable[..., Client]
) -> None:
    class Nobody:
        tenant_id = 0

    unknown = make_app(Nobody())
    for who, path in (
        (browser, unknown.asks(scope="no:such")),
        (browser, unknown.asks(prompt="none")),
        (stranger, unknown.asks(prompt="none")),
    ):
        page = who.opens(path)
        assert page.status_code == 200
        assert "This leads away from Assay" in page.text
        assert "http-equiv" not in page.text
    refused = browser.sends(unknown.asks(), on=unknown.asks(), decision="deny")
    assert "This leads away from Assay" in refused.text


@pytest.mark.parametrize("more", [{"scope": "no:such"}, {"prompt": "none"}], ids=["an error", "silence"])
def test_4_11_nobody_is_sent_unasked_to_an_app_that_their_company_did_not_let_in(
    browser: Browser, maker: Browser, partner: Client, more: dict[str, str]
) -> None:
    """Anybody may sign up and register one; it is nobody's here until somebody who may has installed it."""
    page = browser.opens(partner.asks(**more))
    assert (page.status_code, "Your company has not let this app in" in page.text) == (200, True)
    assert f"{BACK}?error=" in page.text
    assert "http-equiv" not in page.text
    assert maker.opens(partner.asks(**more)).location.startswith(f"{BACK}?error="), "its own company"
    partner.tokens_from(browser, scope="openid")
    assert browser.opens(partner.asks(**more)).location.startswith(f"{BACK}?error=")


def test_4_11_a_silent_question_about_a_stranger_is_answered_once_somebody_let_the_app_in(
    browser: Browser, maker: Browser, stranger: Browser, partner: Client, public: Client
) -> None:
    page = stranger.opens(partner.asks(prompt="none"))
    assert (page.status_code, "Nobody has let this app in yet" in page.text) == (200, True)
    public.tokens_from(maker, scope="openid")
    assert query_of(stranger.opens(public.asks(prompt="none")))["error"] == "login_required", "a company's own app"
    partner.tokens_from(browser)
    assert query_of(stranger.opens(partner.asks(prompt="none")))["error"] == "login_required"


def test_4_12_a_redirect_never_repeats_a_form(browser: Browser, partner: Client) -> None:
    answer = browser.sends(partner.asks(), on=partner.asks(), decision="allow")
    assert answer.status_code == 303


def test_4_13_the_issuer_is_what_was_configured_whatever_headers_say(stranger: Browser, settings: Settings) -> None:
    said = stranger.opens(
        "/.well-known/openid-configuration", **{"X-Forwarded-Host": "evil.test", "X-Forwarded-Proto": "https"}
    ).json
    assert said["issuer"] == settings.address


@pytest.mark.parametrize(
    ("address", "error"),
    [
        pytest.param("http://leads.example.com", "insecure_transport", id="plain http"),
        pytest.param("https://leads.example.com", "invalid_client", id="https"),
        pytest.param("http://127.0.0.1:8000", "invalid_client", id="this very machine"),
    ],
)
def test_2_6_tokens_are_given_out_over_tls_alone(stranger: Browser, address: str, error: str) -> None:
    issuer.configure(address)
    assert stranger.http.post("/oauth/token", data=API | {"client_id": "nobody"}).json["error"] == error


def test_4_14_a_refresh_token_is_bound_to_its_client(
    browser: Browser, make_app: Callable[..., Client], partner: Client
) -> None:
    got = partner.tokens_from(browser)
    assert make_app().refreshes(got["refresh_token"]).json["error"] == "invalid_grant"
    assert partner.refreshes(got["refresh_token"]).status_code == 200


def test_4_14_reuse_ends_the_family(browser: Browser, public: Client) -> None:
    first = public.tokens_from(browser)
    second = public.refreshes(first["refresh_token"]).json
    third = public.refreshes(second["refresh_token"]).json
    assert public.refreshes(first["refresh_token"]).json["error"] == "invalid_grant"
    assert public.refreshes(third["refresh_token"]).json["error"] == "invalid_grant"
    with pytest.raises(NotSignedIn):
        read_access_token(third["access_token"])


def test_4_14_refresh_tokens_end_unused_and_at_last_in_any_case(browser: Browser, partner: Client) -> None:
    assert (timedelta(days=30), timedelta(days=90)) == (families.IDLE, families.LONGEST)
    start = time.time()
    token = partner.tokens_from(browser)["refresh_token"]
    for day in (29, 58, 87):
        with time_machine.travel(start + day * 86_400):
            token = partner.refreshes(token).json["refresh_token"]
    with time_machine.travel(start + 91 * 86_400):
        assert partner.refreshes(token).json["error"] == "invalid_grant"
    idle = partner.tokens_from(browser)["refresh_token"]
    with time_machine.travel(start + 31 * 86_400):
        assert "expired" in partner.refreshes(idle).json["error_description"]


def test_4_15_no_client_is_taken_for_a_person(tenant: SignedUp, make_app: Callable[..., Client]) -> None:
    """Clients choose no id of theirs, and ours look like no person's."""
    own = make_app(tenant, grant_types=[apps.CREDENTIALS])
    bearer = read_access_token(own.posts("/oauth/token", **API).json["access_token"])
    assert bearer.person_id is None
    assert own.client_id.startswith("app_")


def test_4_16_no_page_of_ours_stands_in_a_frame(browser: Browser, partner: Client) -> None:
    for path in (partner.asks(), partner.asks(redirect_uri="https://evil.test"), "/device"):
        page = browser.opens(path)
        assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
        assert page.headers["X-Frame-Options"] == "DENY"
