"""Requests for authorization: what may be asked, of whom, and what an app is told."""

import secrets
import time
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any
from urllib.parse import unquote

import pytest
import time_machine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.datastructures import MultiDict

from assay_tenants.access.service import SignedUp
from tests.platform.oauth.conftest import BACK, Browser, Client, query_of


def test_a_stranger_logs_in_first_and_comes_back(stranger: Browser, partner: Client) -> None:
    answer = stranger.opens(partner.asks())
    assert answer.status_code == 303
    assert answer.location.startswith("/log-in?next=/oauth/authorize")
    assert "login_asked" in answer.location


@pytest.mark.parametrize(
    ("more", "error"),
    [
        pytest.param({"scope": "no:such"}, "invalid_scope", id="an unknown scope"),
        pytest.param({"response_mode": "fragment"}, "invalid_request", id="another response mode"),
        pytest.param({"prompt": "none login"}, "invalid_request", id="none and more"),
        pytest.param({"prompt": "dance"}, "invalid_request", id="an unknown prompt"),
        pytest.param({"max_age": "soon"}, "invalid_request", id="an age in words"),
        pytest.param({"max_age": "9" * 40}, "invalid_request", id="an age too great"),
        pytest.param({"request": "e30.e30."}, "request_not_supported", id="a request object"),
        pytest.param({"request_uri": "https://x.test"}, "request_uri_not_supported", id="a request address"),
        pytest.param({"prompt": "none"}, "consent_required", id="silent before anybody consented"),
    ],
)
def test_an_app_is_told_what_it_did_wrong(maker: Browser, partner: Client, more: dict[str, str], error: str) -> None:
    answer = maker.opens(partner.asks(**more))
    assert answer.location.startswith(BACK)
    assert (query_of(answer)["error"], query_of(answer)["state"]) == (error, "st4te")


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("/oauth/authorize", id="nothing"),
        pytest.param("/oauth/authorize?client_id=app_1_x&response_type=code", id="an unknown client"),
        pytest.param("/oauth/authorize?client_id=a&client_id=b", id="two clients"),
        pytest.param("/oauth/authorize?client_id=%C3%A9&redirect_uri=%22", id="odd letters"),
        pytest.param("/oauth/authorize?" + "&".join(f"p{n}=1" for n in range(70)), id="too many parameters"),
        pytest.param("/oauth/authorize?client_id=" + "x" * 5_000, id="too long"),
    ],
)
def test_what_has_no_way_back_is_a_page(browser: Browser, path: str) -> None:
    answer = browser.opens(path)
    assert answer.status_code == 400
    assert "The app that sent you here made a mistake" in answer.text


def test_silence_is_kept(browser: Browser, stranger: Browser, partner: Client) -> None:
    partner.tokens_from(browser)
    assert query_of(stranger.opens(partner.asks(prompt="none")))["error"] == "login_required"
    assert "code" in query_of(browser.opens(partner.asks(prompt="none")))


@pytest.mark.parametrize("more", [{"prompt": "login"}, {"max_age": "0"}], ids=["prompt", "max_age"])
def test_a_new_login_can_be_asked_for(
    browser: Browser, stranger: Browser, partner: Client, more: dict[str, str], tenant: SignedUp
) -> None:
    partner.tokens_from(browser)
    with time_machine.travel(time.time() + 5):
        page = browser.opens(partner.asks(**more))
        assert "Log in once more" in page.text
        query = page.text.partition('name="request" value="')[2].partition('"')[0].replace("&amp;", "&")
        sent = browser.sends("/oauth/again", on=partner.asks(**more), request=query)
        assert sent.location.startswith("/log-in?next=/oauth/authorize")
        assert browser.opens("/leads").status_code == 303, "the session is over"


def test_after_the_new_login_the_request_goes_on(
    browser_of: Callable[[SignedUp], Browser], partner: Client, tenant: SignedUp, stranger: Browser
) -> None:
    partner.tokens_from(browser_of(tenant))
    asked = stranger.opens(partner.asks(prompt="login")).location.partition("next=")[2]
    with time_machine.travel(time.time() + 2):
        later = browser_of(tenant)
        assert "code" in query_of(later.opens(unquote(asked)))


def test_an_age_that_is_young_enough(browser: Browser, partner: Client) -> None:
    partner.tokens_from(browser)
    assert "code" in query_of(browser.opens(partner.asks(max_age="600")))


def test_a_browser_that_comes_from_our_form_gets_a_page(browser: Browser, partner: Client) -> None:
    """It would not follow a redirect from there: our pages let forms lead to ourselves alone."""
    partner.tokens_from(browser)
    page = browser.opens(partner.asks(), **{"Sec-Fetch-Site": "same-origin"})
    assert page.status_code == 200
    assert f'http-equiv="refresh" content="0; url={BACK}?code=' in page.text


def test_apps_on_somebodys_machine_ask_each_time(browser: Browser, make_app: Callable[..., Client]) -> None:
    """Any program there could pretend to be them."""
    native = make_app(kind="public", redirect_uris=["com.quartz.reports:/back"])
    native.tokens_from(browser, redirect_uri="com.quartz.reports:/back")
    page = browser.opens(native.asks(redirect_uri="com.quartz.reports:/back"))
    assert page.status_code == 200
    assert "form-action 'self' com.quartz.reports:;" in page.headers["Content-Security-Policy"]


def test_what_lets_others_in_takes_a_recent_proof(browser: Browser, make_app: Callable[..., Client]) -> None:
    app = make_app(scopes=["keys:manage"])
    page = browser.opens(app.asks(scope="keys:manage"))
    assert "with this it can let others in" in page.text
    with time_machine.travel(time.time() + 16 * 60):
        assert browser.opens(app.asks(scope="keys:manage")).location.startswith("/account/confirm")


NAMES = (
    *("response_type", "client_id", "redirect_uri", "scope", "state", "prompt", "max_age", "nonce", "code_challenge"),
    *("grant_type", "code", "refresh_token", "client_secret", "resource", "device_code", "token", "client_assertion"),
)
names = st.sampled_from(NAMES)
values = st.text(max_size=40) | st.sampled_from(["code", "openid", "S256", "authorization_code", "a.b.c", BACK])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(names, values), max_size=8), st.text(max_size=30))
def test_nothing_that_is_sent_breaks_us(
    partner: Client, browser: Browser, parameters: list[tuple[str, str]], header: str
) -> None:
    sent: Any = MultiDict(parameters)
    auth = {"Authorization": "Basic " + header.encode("ascii", "ignore").decode().replace("\r", "").replace("\n", "")}
    for path in ("/oauth/token", "/oauth/revoke", "/oauth/introspect", "/oauth/device_authorization"):
        for headers in ({}, auth):
            place = {"REMOTE_ADDR": str(ip_address(secrets.randbits(128)))}
            answer = partner.http.post(path, data=sent, headers=headers, environ_base=place)
            assert answer.status_code < 500, answer.text
            assert "error" in answer.json
    mixed = MultiDict([("client_id", partner.client_id), ("redirect_uri", BACK), *parameters])
    assert browser.http.get("/oauth/authorize", query_string=mixed).status_code < 500
