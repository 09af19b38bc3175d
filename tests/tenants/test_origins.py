import pytest

from assay_tenants.errors import BadInput
from assay_tenants.origins import is_among, read_origins


class TestRead:
    @pytest.mark.parametrize(
        ("typed", "origins"),
        [
            pytest.param("", [], id="nothing"),
            pytest.param(" \n\r\n ", [], id="blank lines"),
            pytest.param("https://www.example.com", ["https://www.example.com"], id="one"),
            pytest.param("https://a.test\r\nhttps://b.test", ["https://a.test", "https://b.test"], id="a line each"),
            pytest.param("https://a.test, https://b.test", ["https://a.test", "https://b.test"], id="commas"),
            pytest.param("https://a.test\nhttps://A.test/", ["https://a.test"], id="said twice"),
            pytest.param("HTTPS://WWW.Example.COM/", ["https://www.example.com"], id="capitals and a slash"),
            pytest.param("https://a.test:443 http://a.test:80", ["https://a.test", "http://a.test"], id="usual ports"),
            pytest.param("http://localhost:3000", ["http://localhost:3000"], id="another port"),
            pytest.param("http://127.0.0.1:8080", ["http://127.0.0.1:8080"], id="IPv4"),
            pytest.param("http://[::1]:8080", ["http://[::1]:8080"], id="IPv6"),
            pytest.param("https://bücher.example", ["https://xn--bcher-kva.example"], id="another alphabet"),
            pytest.param("https://*.example.com", ["https://*.example.com"], id="any subdomain"),
            pytest.param("capacitor://localhost", ["capacitor://localhost"], id="an app"),
            pytest.param("chrome-extension://abcdef", ["chrome-extension://abcdef"], id="an extension"),
        ],
    )
    def test_as_browsers_state_them(self, typed: str, origins: list[str]) -> None:
        assert read_origins(typed) == origins

    @pytest.mark.parametrize(
        ("typed", "why"),
        [
            pytest.param("www.example.com", "it needs its scheme, as in https://www.example.com", id="no scheme"),
            pytest.param("null", "it needs its scheme", id="null"),
            pytest.param("*", "to let any page use the key, leave the list empty", id="a star alone"),
            pytest.param("htps://a.test", "its scheme is not one of https, http, capacitor", id="misspelt scheme"),
            pytest.param("https://a.test/shop", "an origin ends after the host; write https://a.test", id="path"),
            pytest.param("https://a.test?x=1", "an origin ends after the host; write https://a.test", id="query"),
            pytest.param("https://me:pw@a.test", "an origin ends after the host; write https://a.test", id="user"),
            pytest.param("https://a.test:seven", "it can't be read", id="port"),
            pytest.param("https://a.test:70000", "it can't be read", id="port out of range"),
            pytest.param("https://[::1", "it can't be read", id="half a bracket"),
            pytest.param("https://", "its host is no domain name", id="no host"),
            pytest.param("https://a..test", "its host is no domain name", id="two dots"),
            pytest.param("https://a'b.test", "its host is no domain name", id="a letter no host has"),
            pytest.param("https://ü\u2028.test", "is no origin", id="a letter no alphabet has"),
            pytest.param("https://www.*.com", "a star may stand only in front", id="star inside"),
            pytest.param("https://*.com", "a star needs a domain of your own behind it", id="star for a whole country"),
            pytest.param("https://*", "a star may stand only in front", id="star for everybody"),
        ],
    )
    def test_what_is_no_origin(self, typed: str, why: str) -> None:
        with pytest.raises(BadInput) as refused:
            read_origins(f"https://good.example.com\n{typed}")
        assert refused.value.field == "origins"
        assert why in refused.value.message
        assert "good" not in refused.value.message

    def test_not_too_many(self) -> None:
        with pytest.raises(BadInput, match="There are 51 origins; at most 50"):
            read_origins("\n".join(f"https://a{number}.test" for number in range(51)))


class TestIsAmong:
    @pytest.mark.parametrize(
        ("origin", "allowed", "is_there"),
        [
            pytest.param("https://a.test", ["https://b.test", "https://a.test"], True, id="there"),
            pytest.param("https://a.test", ["https://b.test"], False, id="not there"),
            pytest.param("https://www.a.test", ["https://*.a.test"], True, id="subdomain"),
            pytest.param("https://x.y.a.test", ["https://*.a.test"], True, id="deeper subdomain"),
            pytest.param("https://a.test", ["https://*.a.test"], False, id="the domain itself"),
            pytest.param("https://evila.test", ["https://*.a.test"], False, id="a longer name"),
            pytest.param("http://www.a.test", ["https://*.a.test"], False, id="subdomain, other scheme"),
            pytest.param("https://www.a.test:8443", ["https://*.a.test"], False, id="subdomain, other port"),
            pytest.param("https://www.a.test:8443", ["https://*.a.test:8443"], True, id="subdomain, that port"),
            pytest.param("null", ["https://a.test"], False, id="null"),
        ],
    )
    def test_table(self, origin: str, allowed: list[str], is_there: bool) -> None:
        assert is_among(origin, allowed) is is_there
