import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay_tenants.errors import BadInput
from assay_tenants.oauth.uris import is_among, read_redirect_uris, read_web_address


@pytest.mark.parametrize(
    ("uri", "kind"),
    [
        pytest.param("https://app.example.com/callback", "confidential", id="a server"),
        pytest.param("https://app.example.com:8443/callback?tenant=1", "confidential", id="a port and a query"),
        pytest.param("http://127.0.0.1/callback", "public", id="loopback"),
        pytest.param("http://[::1]:8000/callback", "public", id="loopback, version 6"),
        pytest.param("http://localhost:3000/callback", "confidential", id="localhost, for development"),
        pytest.param("com.example.app:/callback", "public", id="an own scheme"),
    ],
)
def test_accepted(uri: str, kind: str) -> None:
    assert read_redirect_uris([uri, uri, " "], kind) == [uri]  # type: ignore[arg-type] # of the table


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        pytest.param("http://app.example.com/callback", "without TLS", id="no TLS"),
        pytest.param("https://app.example.com/#x", "fragment", id="a fragment"),
        pytest.param("https://*.example.com/callback", "star", id="a star"),
        pytest.param("https://ada@app.example.com/", "user name", id="a user"),
        pytest.param("https://app.example.com\\@evil.test/", "user name or a backslash", id="a backslash"),
        pytest.param("https:///callback", "no host", id="no host"),
        pytest.param("https://app.example.com:99999/", "no address", id="no port"),
        pytest.param("/callback", "no address", id="no scheme"),
        pytest.param("javascript:alert(1)", "no domain of yours", id="a script"),
        pytest.param("data:text/html,x", "no domain of yours", id="data"),
        pytest.param("myapp:/callback", "no domain of yours", id="a scheme that anybody may have"),
        pytest.param("https://app.example.com/ä", "no address", id="not ASCII"),
        pytest.param("https://app.example.com/a b", "no address", id="a space"),
        pytest.param("https://app.example.com/" + "x" * 500, "longer than", id="long"),
        pytest.param("http://127.1/callback", "without TLS", id="loopback, abbreviated"),
    ],
)
def test_refused(uri: str, why: str) -> None:
    with pytest.raises(BadInput, match=why) as refused:
        read_redirect_uris([uri], "public")
    assert refused.value.field == "redirect_uris"


def test_an_own_scheme_is_for_public_apps() -> None:
    with pytest.raises(BadInput, match="begins with https"):
        read_redirect_uris(["com.example.app:/callback"], "confidential")


def test_too_many() -> None:
    with pytest.raises(BadInput, match="at most 20"):
        read_redirect_uris([f"https://app.example.com/{number}" for number in range(21)], "public")


@given(st.text(max_size=60), st.sampled_from(["public", "confidential"]))
def test_nothing_else_is_among_them(asked: str, kind: str) -> None:
    registered = ["https://app.example.com/callback", "http://127.0.0.1/callback"]
    assert not is_among(asked, registered, kind) or asked in registered  # type: ignore[arg-type] # of the table


@given(st.integers(0, 99_999))
def test_a_port_is_all_that_may_differ(port: int) -> None:
    fits = is_among(f"http://127.0.0.1:{port}/callback", ["http://127.0.0.1:1234/callback"], "public")
    assert fits == (port <= 65_535)


@pytest.mark.parametrize("typed", ["http://app.example.com", "javascript:alert(1)", "app", "https://", "https://a@b"])
def test_pages_are_on_the_web(typed: str) -> None:
    with pytest.raises(BadInput):
        read_web_address(typed, field="homepage")
