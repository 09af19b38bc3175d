"""Origins of web pages, as a tenant types them and as a browser states them: ``https://www.example.com``."""

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

import idna

from assay_tenants.errors import BadInput

#: Pages on the web, and apps and extensions that are pages inside.
SCHEMES = ("https", "http", "capacitor", "ionic", "chrome-extension", "moz-extension")
MOST = 50
_SHOWN = 100
_USUAL_PORTS = {"http": 80, "https": 443}
_LABELS = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")
_ANY_SUBDOMAIN = "*."


def read_origins(text: str) -> list[str]:
    """The origins in ``text``, one a line, as browsers write them; raises BadInput that names the first bad one."""
    typed = [line for line in (line.strip() for line in re.split(r"[\s,;]+", text)) if line]
    origins = list(dict.fromkeys(_read(origin) for origin in typed))
    if len(origins) > MOST:
        raise BadInput(f"There are {len(origins)} origins; at most {MOST} are kept for a key.", field="origins")
    return origins


def is_among(origin: str, allowed: Iterable[str]) -> bool:
    """Whether ``origin``, as a browser states it, is one of those that were read."""
    return any(_matches(one, origin) for one in allowed)


def _matches(allowed: str, origin: str) -> bool:
    scheme, is_pattern, end = allowed.partition("://*")
    if not is_pattern:
        return origin == allowed
    return origin.startswith(f"{scheme}://") and origin.endswith(end)


def _read(typed: str) -> str:
    if typed == "*":
        raise _wrong(typed, "to let any page use the key, leave the list empty")
    scheme, has_scheme, rest = typed.partition("://")
    scheme = scheme.lower()
    if not has_scheme:
        raise _wrong(typed, f"it needs its scheme, as in https://{typed}")
    if scheme not in SCHEMES:
        raise _wrong(typed, f"its scheme is not one of {', '.join(SCHEMES)}")
    try:
        parts = urlsplit(f"//{rest}")
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise _wrong(typed, f"it can't be read: {error}") from None
    if "@" in parts.netloc or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise _wrong(typed, f"an origin ends after the host; write {scheme}://{parts.netloc.rpartition('@')[2]}")
    if port == _USUAL_PORTS.get(scheme):
        port = None
    return f"{scheme}://{_read_host(typed, host)}" + (f":{port}" if port is not None else "")


def _read_host(typed: str, host: str) -> str:
    if ":" in host:
        return f"[{host}]"
    star = _ANY_SUBDOMAIN if host.startswith(_ANY_SUBDOMAIN) else ""
    host = host.removeprefix(star)
    if "*" in host:
        raise _wrong(typed, "a star may stand only in front, for any subdomain, as in https://*.example.com")
    if star and "." not in host:
        raise _wrong(typed, "a star needs a domain of your own behind it, as in https://*.example.com")
    try:
        # Browsers state international names in their ASCII form.
        host = host if host.isascii() else idna.encode(host, uts46=True).decode()
    except idna.IDNAError as error:
        raise _wrong(typed, f"its host is no domain name: {error}") from None
    if not _LABELS.fullmatch(host):
        raise _wrong(typed, "its host is no domain name")
    return star + host


def _wrong(typed: str, why: str) -> BadInput:
    return BadInput(f"“{typed[:_SHOWN]}” is no origin: {why}.", field="origins")
