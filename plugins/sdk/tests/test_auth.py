"""The authorization code grant, from our side."""

from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from assay_sdk import NeedsReconnect, OAuth, PluginError, Refused, Tokens, TryLater
from assay_sdk.testing import SetClock

APP = {"client_id": "me", "client_secret": "app-secret", "login": "https://acme.example/token"}
CODE = "code-4711"


def http(status: int, body: Any, seen: list[httpx.Request] | None = None) -> httpx.Client:
    def answer(request: httpx.Request) -> httpx.Response:
        if seen is not None:
            seen.append(request)
        if isinstance(body, Exception):
            raise body
        return httpx.Response(status, content=body) if isinstance(body, bytes) else httpx.Response(status, json=body)

    return httpx.Client(transport=httpx.MockTransport(answer))


def exchange(oauth: OAuth, client: httpx.Client) -> Tokens:
    given = {"answer": {"code": CODE}, "redirect_uri": "https://a.example/back", "verifier": "v" * 43, "settings": {}}
    return oauth.exchange(client, APP, SetClock(), **given)  # type: ignore[arg-type] # keywords in a dictionary


@pytest.mark.parametrize(
    ("pkce", "challenged"), [pytest.param(True, True, id="with a challenge"), pytest.param(False, False, id="without")]
)
def test_the_address_of_the_consent_page(pkce: bool, challenged: bool) -> None:
    oauth = OAuth("https://acme.example/authorize", "login", {"contacts": "to read"}, pkce=pkce)
    url = oauth.authorize_url(APP, redirect_uri="https://a.example/back", state="s", verifier="v" * 43, settings={})
    query = parse_qs(urlsplit(url).query)
    assert (query["state"], query["scope"], query["client_id"]) == (["s"], ["contacts"], ["me"])
    assert ("code_challenge" in query) is challenged
    assert "v" * 43 not in url


@pytest.mark.parametrize(
    ("client_auth", "in_body"),
    [pytest.param("post", True, id="in the form"), pytest.param("basic", False, id="header")],
)
def test_the_app_proves_itself(client_auth: Any, in_body: bool) -> None:
    seen: list[httpx.Request] = []
    oauth = OAuth("https://acme.example/authorize", "login", client_auth=client_auth)
    exchange(oauth, http(200, {"access_token": "a"}, seen))
    assert (b"app-secret" in seen[0].content) is in_body
    assert ("Authorization" in seen[0].headers) is not in_body
    assert b"code_verifier" in seen[0].content


@pytest.mark.parametrize(
    ("body", "tokens"),
    [
        pytest.param({"access_token": "a"}, (None, None, ()), id="the least"),
        pytest.param(
            {"access_token": "a", "refresh_token": "r", "expires_in": 60, "scope": "x y"},
            ("r", timedelta(minutes=1), ("x", "y")),
            id="all of it",
        ),
        pytest.param(
            {"access_token": "a", "scope": "x,y", "expires_in": "60"},
            (None, timedelta(minutes=1), ("x", "y")),
            id="commas",
        ),
        pytest.param({"access_token": "a", "scopes": ["x"]}, (None, None, ("x",)), id="a list"),
    ],
)
def test_what_is_read_of_an_answer(body: dict[str, Any], tokens: tuple[Any, ...]) -> None:
    found = exchange(OAuth("x", "login"), http(200, body))
    left = found.expires_at - SetClock().now() if found.expires_at else None
    assert (found.refresh_token, left, tuple(found.scopes)) == tokens
    assert "access_token" not in repr(found)
    assert "'a'" not in repr(found)


@pytest.mark.parametrize(
    ("status", "body", "error", "words"),
    [
        pytest.param(400, {"error": "invalid_grant"}, NeedsReconnect, "no longer accepts", id="over"),
        pytest.param(401, {"error": "invalid_token"}, NeedsReconnect, "no longer accepts", id="over too"),
        pytest.param(401, {"error": "invalid_client"}, Refused, "refused this app: invalid_client", id="wrong app"),
        pytest.param(400, {"error": "x" * 500}, Refused, "x" * 60 + r"\.$", id="a long word"),
        pytest.param(500, {"error": "oops"}, TryLater, "answered 500", id="broken"),
        pytest.param(200, b"<html>", TryLater, "answered 200 without", id="a page"),
        pytest.param(200, {"access_token": ""}, TryLater, "without an access token", id="nothing in it"),
        pytest.param(200, [], TryLater, "answered 200 without", id="a list"),
        pytest.param(0, httpx.ConnectError(CODE), TryLater, "could not be reached", id="away"),
    ],
)
def test_errors_of_the_token_endpoint(status: int, body: Any, error: type[PluginError], words: str) -> None:
    with pytest.raises(error, match=words) as raised:
        exchange(OAuth("x", "login"), http(status, body))
    assert CODE not in repr(raised.value)
    assert "app-secret" not in repr(raised.value)


def test_renewing() -> None:
    seen: list[httpx.Request] = []
    client = http(200, {"access_token": "b"}, seen)
    assert OAuth("x", "login").renew(client, APP, SetClock(), {"refresh_token": "r"}).access_token == "b"
    assert b"refresh_token=r" in seen[0].content
    for oauth, held in ((OAuth("x", "login"), {}), (OAuth("x", "login", refreshes=False), {"refresh_token": "r"})):
        with pytest.raises(NeedsReconnect):
            oauth.renew(client, APP, SetClock(), held)


@pytest.mark.parametrize(
    ("held", "token"),
    [
        pytest.param({"access_token": "a", "refresh_token": "r"}, b"token=r", id="the refresh token"),
        pytest.param({"access_token": "a"}, b"token=a", id="the other"),
        pytest.param({}, None, id="none"),
    ],
)
def test_taking_back(held: dict[str, str], token: bytes | None) -> None:
    seen: list[httpx.Request] = []
    OAuth("x", "login", revocation="https://acme.example/revoke").revoke(http(200, b"", seen), APP, held)
    assert [each.content for each in seen if token and token in each.content] == [each.content for each in seen]
    assert bool(seen) is (token is not None)
