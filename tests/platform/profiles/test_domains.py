import subprocess
import sys

import pytest

from assay.profiles import domains


class TestOfAddress:
    @pytest.mark.parametrize(
        ("address", "domain"),
        [
            pytest.param("ann@acme.com", "acme.com", id="plain"),
            pytest.param(" Ann@ACME.com ", "acme.com", id="capitals and spaces"),
            pytest.param("ann@mail.acme.co.uk", "acme.co.uk", id="below a suffix of two"),
            pytest.param("ann@acme.com.vn", "acme.com.vn", id="a Vietnamese one"),
            pytest.param("info@acme.com", "acme.com", id="a shared mailbox still tells the company"),
            pytest.param("x@foo.github.io", "foo.github.io", id="below a private suffix"),
            pytest.param("x@github.io", None, id="a private suffix itself"),
            pytest.param("x@acme.uk.com", "acme.uk.com", id="a seller of names"),
            pytest.param("x@com", None, id="a suffix"),
            pytest.param("x@co.uk", None, id="a suffix of two"),
            pytest.param("x@bücher.de", "xn--bcher-kva.de", id="letters beyond ASCII"),
            pytest.param("x@mail.XN--bcher-kva.de", "xn--bcher-kva.de", id="the same in punycode"),
            pytest.param("x@straße.de", "xn--strae-oqa.de", id="sharp s is a letter of its own"),
            pytest.param("x@bu\u0308cher.de", "xn--bcher-kva.de", id="a letter and its accent apart"),
            pytest.param("x@公司.公司.cn", "xn--55qx5d.xn--55qx5d.cn", id="a Chinese suffix"),
            pytest.param("x@acme.test", "acme.test", id="a suffix nobody listed"),
            pytest.param("x@linkedin.com", "linkedin.com", id="who works for a site with pages of strangers"),
            pytest.param("x@gmail.com", None, id="free"),
            pytest.param("x@yahoo.co.uk", None, id="free, of a country"),
            pytest.param("x@mailinator.com", None, id="disposable"),
            pytest.param("x@box.mailinator.com", None, id="below a disposable one"),
            pytest.param("x@quartz.example.test", None, id="an example"),
            pytest.param("x@example.com", None, id="the example"),
            pytest.param("x@acme.invalid", None, id="reserved"),
            pytest.param("x@localhost", None, id="no domain"),
            pytest.param("x@192.168.0.1", None, id="an IP address"),
            pytest.param("x@[192.168.0.1]", None, id="an IP address in brackets"),
            pytest.param("x@-acme.com", None, id="a hyphen in front"),
            pytest.param("x@acme..com", None, id="an empty label"),
            pytest.param("x@" + "a" * 64 + ".com", None, id="a label too long"),
            pytest.param("x@" + "a." * 200 + "com", None, id="a name too long"),
            pytest.param("acme.com", None, id="no mailbox"),
            pytest.param("@acme.com", None, id="an empty mailbox"),
            pytest.param("x@acme.com.", "acme.com", id="a dot at the end"),
            pytest.param("x@\ud800.com", None, id="half a character"),
            pytest.param("", None, id="nothing"),
        ],
    )
    def test_is_the_registered_domain(self, address: str, domain: str | None) -> None:
        assert domains.of_address(address) == domain


class TestOfCompany:
    @pytest.mark.parametrize(
        ("traits", "domain"),
        [
            pytest.param({"domain": "www.Acme.com"}, "acme.com", id="a domain"),
            pytest.param({"website": "https://www.acme.co.uk/about?x=1#y"}, "acme.co.uk", id="a site"),
            pytest.param({"url": "//acme.com:8080/"}, "acme.com", id="without a scheme, with a port"),
            pytest.param({"url": "http://me:secret@acme.com"}, "acme.com", id="with a password"),
            pytest.param({"website": "info@acme.com"}, "acme.com", id="an address in the wrong field"),
            pytest.param({"website": "acme.com and others"}, "acme.com", id="more words"),
            pytest.param({"domain": "acme.com", "website": "byte.com"}, "acme.com", id="the domain goes first"),
            pytest.param({"domain": "gmail.com", "website": "byte.com"}, "byte.com", id="a provider says nothing"),
            pytest.param({"website": "https://www.facebook.com/acme"}, None, id="a page among strangers"),
            pytest.param({"website": "https://sites.google.com/acme"}, None, id="a page of a host"),
            pytest.param({"website": "https://wixsite.com/acme"}, None, id="a builder of sites"),
            pytest.param({"website": "https://acme.blogspot.com"}, "acme.blogspot.com", id="its own below a suffix"),
            pytest.param({"domain": 42, "website": ["acme.com"]}, None, id="no text"),
            pytest.param({"domain": "n/a"}, None, id="no domain"),
            pytest.param({"name": "acme.com"}, None, id="another trait"),
        ],
    )
    def test_reads_what_was_stated(self, traits: dict[str, object], domain: str | None) -> None:
        assert domains.of_company(traits) == domain


class TestShown:
    @pytest.mark.parametrize(
        ("domain", "text"),
        [
            ("acme.com", "acme.com"),
            ("xn--bcher-kva.de", "bücher.de"),
            ("xn--55qx5d.xn--55qx5d.cn", "公司.公司.cn"),
            ("xn--999999999.de", "xn--999999999.de"),
        ],
    )
    def test_is_as_people_write_it(self, domain: str, text: str) -> None:
        assert domains.shown(domain) == text


def test_the_list_is_read_when_first_asked_for_and_no_engine_comes_along() -> None:
    look = (
        "import sys, assay.profiles.domains as d; assert not d._suffixes.cache_info().currsize;"
        "assert d.of_address('a@b.co.uk'); assert 'polars' not in sys.modules and 'idna.uts46data' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", look], check=True)
