"""Where answers may be sent: redirect addresses as an app registers them, and as it asks for them."""

import re
from collections.abc import Iterable, Sequence
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from assay_tenants.errors import BadInput
from assay_tenants.oauth.models import AppKind

LONGEST = 500
MOST = 20
_ACCEPTED = (
    "https://app.example.com/callback; for programs on somebody's own device also http://127.0.0.1/callback "
    "and a scheme such as com.example.app:/callback"
)
# RFC 8252 7.1: a domain of the maker's, backwards, so that no other app has it by chance.
_OWN_SCHEME = re.compile(r"[a-z][a-z0-9+-]*(\.[a-z0-9+-]+)+", re.ASCII)
_PRINTABLE = re.compile(r"[!-~]+", re.ASCII)


def read_redirect_uris(typed: Iterable[str], kind: AppKind, *, field: str = "redirect_uris") -> list[str]:
    """Each once, as typed. Raises BadInput that names the first bad one: they are compared letter by letter later."""
    uris = list(dict.fromkeys(uri.strip() for uri in typed if uri.strip()))
    if len(uris) > MOST:
        raise BadInput(f"There are {len(uris)} redirect addresses; at most {MOST} are kept for an app.", field=field)
    for uri in uris:
        wrong = _what_is_wrong(uri, kind)
        if wrong:
            raise BadInput(f"“{uri[:100]}” can't be a redirect address: {wrong}. Accepted: {_ACCEPTED}.", field=field)
    return uris


def read_web_address(typed: str, *, field: str) -> str:
    """An address of a page or picture on the web, or nothing."""
    typed = typed.strip()
    if typed:
        parts = _split(typed)
        if parts is None or parts.scheme != "https" or not parts.hostname or parts.username or len(typed) > LONGEST:
            raise BadInput(f"“{typed[:100]}” is no address that begins with https://.", field=field)
    return typed


def is_among(asked: str, registered: Sequence[str], kind: AppKind) -> bool:
    """Whether an answer may be sent to ``asked``: letter by letter, but for the port on a device's own loopback."""
    if asked in registered:
        return True
    if kind != "public" or not _PRINTABLE.fullmatch(asked) or len(asked) > LONGEST:
        return False
    portless = _without_port(asked)
    return portless is not None and any(portless == _without_port(uri) for uri in registered)


def form_target(uri: str) -> str:
    """As a Content-Security-Policy names what a form may lead to."""
    parts = urlsplit(uri)
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else f"{parts.scheme}:"


def _what_is_wrong(uri: str, kind: AppKind) -> str | None:
    if len(uri) > LONGEST:
        return f"it is longer than {LONGEST} characters"
    parts = _split(uri)
    if parts is None:
        return "it is no address"
    if "#" in uri:
        return "it has a fragment, behind #"
    if "*" in uri:
        return "it holds a star, and addresses are compared letter by letter"
    if "\\" in uri or "@" in parts.netloc:
        return "it holds a user name or a backslash"
    if parts.scheme == "https":
        return None if parts.hostname else "it has no host"
    if parts.scheme == "http":
        return None if _is_loopback(parts) else "without TLS only this very machine can be meant, as in 127.0.0.1"
    if kind != "public":
        return "a program on a server has an address that begins with https://"
    if _OWN_SCHEME.fullmatch(parts.scheme):
        return None
    return "its scheme is no domain of yours backwards"


def _split(uri: str) -> SplitResult | None:
    if not _PRINTABLE.fullmatch(uri):
        return None
    try:
        parts = urlsplit(uri)
        _ = parts.port
    except ValueError:
        return None
    return parts if parts.scheme else None


def _is_loopback(parts: SplitResult) -> bool:
    host = parts.hostname or ""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _without_port(uri: str) -> tuple[str, str, str] | None:
    """Of an address on the loopback interface by its number (RFC 8252 7.3): all that counts; None for all others."""
    parts = _split(uri)
    # As written: other spellings of the same number, or a user in front, are another address.
    host = parts.netloc.partition(":")[0] if parts and not parts.netloc.startswith("[") else ""
    if parts is None or parts.scheme != "http" or "#" in uri:
        return None
    if parts.netloc.startswith("[::1]"):
        host = "[::1]"
    rest = parts.netloc.removeprefix(host)
    if host not in ("127.0.0.1", "[::1]") or not re.fullmatch(r"(:[0-9]{1,5})?", rest, re.ASCII):
        return None
    return host, parts.path, parts.query
