"""Which addresses may be called for somebody else: those of the public internet, and what the installation allows."""

import ipaddress
import re
import socket
from collections.abc import Iterable
from typing import Final

import httpx

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

NO_ADDRESS = "This is no address; accepted is something like https://example.com/path."
_NOT_PUBLIC: Final[tuple[Network, ...]] = tuple(
    ipaddress.ip_network(network)
    for network in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24"),
        *("203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
        # A public number that one cloud answers inside each of its machines, with what they are told in secret.
        "168.63.129.16/32",
        # Protocol assignments (Teredo among them), documentation, 6to4: the last hide an IPv4 address.
        *("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"),
    )
)
#: All else in IPv6 is loopback, mapped, translated, local, multicast, or nobody's.
_PUBLIC_IPV6 = ipaddress.ip_network("2000::/3")
_WEB_PORTS = frozenset({80, 443})
_OWN_PORTS_FROM = 1024
#: Above 1023 and yet never HTTP: a request there would speak to somebody's database or telephone.
_NEVER_HTTP = frozenset(
    {1433, 1521, 1719, 1720, 1723, 2049, 3306, 3389, 3659, 4045, 4190, 5060, 5061, 5432, 5900, 6000, 6379, 6380, 6566}
    | {6665, 6666, 6667, 6668, 6669, 6697, 9042, 10080, 11211, 27017}
)
#: What the C library takes for an IPv4 address: 127.1, 0x7f.1, 0177.0.0.1, 2130706433.
_NUMBERS = re.compile(r"(0x[0-9a-f]*|[0-9]+)(\.(0x[0-9a-f]*|[0-9]+)){0,3}\.?", re.IGNORECASE | re.ASCII)
_HOST = re.compile(r"[a-z0-9._-]{1,254}|\[?[0-9a-f:.]+\]?", re.IGNORECASE | re.ASCII)
_OWN_NAMES = re.compile(r"(.*\.)?(localhost|localdomain|local|internal)\.?", re.IGNORECASE | re.ASCII)

#: Each with the one port that is allowed of it; None: all.
_allowed: tuple[tuple[Network, int | None], ...] = ()


class AddressRefused(httpx.RequestError):
    """The address is none that we call. Its text is a sentence for its author, and tells nothing of our network."""


def configure(allowed: Iterable[str] = ()) -> None:
    """From here on these addresses (``10.1.0.7``), one port of one (``10.1.0.7:8080``) and networks (``10.1.0.0/16``)
    are called, public or not.

    Raises ValueError, which names the one that is none of them.
    """
    global _allowed
    _allowed = tuple(read_allowed(one.strip()) for one in allowed if one.strip())


def read_allowed(text: str) -> tuple[Network, int | None]:
    """A network, and the port that is meant; raises ValueError."""
    address, colon, port = text.rpartition(":")
    if not colon or "." not in address:
        return ipaddress.ip_network(text), None
    if not port.isdecimal() or not 0 < int(port) < 65_536:
        raise ValueError(f"{text!r} ends in no port")
    return ipaddress.ip_network(address), int(port)


def check_url(url: str) -> None:
    """Raises AddressRefused when nothing at ``url`` could ever be called: for the form in which it is typed.

    It resolves no name: where a name leads is found out, and checked, by each call anew.
    """
    try:
        parsed = httpx.URL(url)
        # A name in letters of its own is read here: "xn--" alone is none.
        _ = parsed.host
    except (httpx.InvalidURL, TypeError, ValueError):
        raise AddressRefused(NO_ADDRESS) from None
    check_parsed(parsed)


def is_public(address: str, port: int | None = None) -> bool:
    """Whether an IP address may be called: it is one of the public internet's, or was allowed by ``configure``.

    Without ``port``, whether any of its ports may.
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if any(parsed in network and (only is None or port in (None, only)) for network, only in _allowed):
        return True
    if isinstance(parsed, ipaddress.IPv6Address) and (parsed.scope_id or parsed not in _PUBLIC_IPV6):
        return False
    return not any(parsed in network for network in _NOT_PUBLIC)


def check_parsed(url: httpx.URL) -> None:
    """The same for an address that is read already."""
    if url.scheme not in ("http", "https"):
        raise AddressRefused("The address has to begin with https:// or http://.")
    if not url.host:
        raise AddressRefused("The address names no host; accepted is something like https://example.com/path.")
    if not _HOST.fullmatch(url.raw_host.decode("ascii", "replace")) or not 0 < (url.port or 80) < 65_536:
        raise AddressRefused(NO_ADDRESS)
    if url.userinfo or "@" in url.netloc.decode("latin-1"):
        raise AddressRefused("The address holds a name or a password; leave away what stands before the @.")
    port = url.port or (443 if url.scheme == "https" else 80)
    if port not in _WEB_PORTS and (port < _OWN_PORTS_FROM or port in _NEVER_HTTP):
        raise AddressRefused(f"Port {port} is not called; accepted are 80, 443 and those from 1024 where HTTP may be.")
    literal = _as_literal(url.host)
    if literal is not None and not is_public(literal, port):
        raise not_public()
    if literal is None and _OWN_NAMES.fullmatch(url.host) and not _allowed:
        raise not_public()


def _as_literal(host: str) -> str | None:
    """The IP address that this host is written as, in any notation that the C library takes; None for a name."""
    if _NUMBERS.fullmatch(host):
        try:
            return socket.inet_ntoa(socket.inet_aton(host.rstrip(".")))
        except OSError:
            return host
    return host.strip("[]") if ":" in host else None


def not_public() -> AddressRefused:
    return AddressRefused("The address does not lead to the public internet, and nothing else is called.")
