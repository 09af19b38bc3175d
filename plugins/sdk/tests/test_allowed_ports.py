"""What an installation allows beside the public internet: a network, an address, or one port of one."""

from collections.abc import Iterator

import pytest

from assay_sdk import egress


@pytest.fixture(autouse=True)
def nothing_allowed() -> Iterator[None]:
    yield
    egress.configure([])


@pytest.mark.parametrize(
    ("allowed", "address", "port", "expected"),
    [
        pytest.param("127.0.0.1:9101", "127.0.0.1", 9101, True, id="the port"),
        pytest.param("127.0.0.1:9101", "127.0.0.1", 9102, False, id="another port"),
        pytest.param("127.0.0.1:9101", "127.0.0.2", 9101, False, id="another address"),
        pytest.param("127.0.0.1:9101", "127.0.0.1", None, True, id="any port at all"),
        pytest.param("127.0.0.1", "127.0.0.1", 9102, True, id="an address as a whole"),
        pytest.param("10.0.0.0/8", "10.2.3.4", 80, True, id="a network"),
        pytest.param("fd00::/8", "fd00::1", 80, True, id="a network of the newer kind"),
        pytest.param("fd00::1", "fd00::2", 80, False, id="an address of the newer kind"),
    ],
)
def test_allowed(allowed: str, address: str, port: int | None, expected: bool) -> None:
    egress.configure([allowed])
    assert egress.is_public(address, port) is expected


@pytest.mark.parametrize(
    "wrong", ["127.0.0.1:", "127.0.0.1:0", "127.0.0.1:70000", "127.0.0.1:x", "host:80", "10.0.0.1/8"]
)
def test_what_is_none_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"port|network|host bits"):
        egress.configure([wrong])


def test_an_address_with_another_port_is_not_typed_either() -> None:
    egress.configure(["127.0.0.1:9101"])
    egress.check_url("http://127.0.0.1:9101/")
    with pytest.raises(egress.AddressRefused):
        egress.check_url("http://127.0.0.1:9102/")
