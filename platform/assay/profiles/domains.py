"""Which company's domain an e-mail address or a web site tells: the one that was registered, never a provider's."""

import re
import unicodedata
from collections.abc import Mapping
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

from publicsuffixlist import PublicSuffixList

from assay import mail

#: The traits of a company that tell its domain; the first of them that names one stands.
TELLING_DOMAIN = ("domain", "website", "url")

_LONGEST = 253
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://")
# Names of examples and of no network: whoever writes them works nowhere.
_NOBODYS = frozenset({"example", "invalid", "localhost"})


def of_address(address: str) -> str | None:
    """None where an e-mail address tells no company: a free or disposable mailbox, or no address at all."""
    mailbox, at, host = address.strip().rpartition("@")
    return registrable(host) if at and mailbox else None


def of_site(site: str) -> str | None:
    """From a domain or the address of a web site, such as ``https://www.acme.co.uk/about``."""
    rest = site.strip().casefold()
    rest = rest[match.end() :] if (match := _SCHEME.match(rest)) else rest.removeprefix("//")
    host = re.split(r"[/?#\\\s]", rest, maxsplit=1)[0].rpartition("@")[2]
    domain = registrable(host.partition(":")[0])
    # Their own people write from there, yet a page there is anybody's.
    return None if domain in _shared_sites() else domain


def of_company(traits: Mapping[str, Any]) -> str | None:
    """What a company's own traits say."""
    for name in TELLING_DOMAIN:
        value = traits.get(name)
        if isinstance(value, str) and (domain := of_site(value)):
            return domain
    return None


def shown(domain: str) -> str:
    """As people write it: ``bücher.de`` for ``xn--bcher-kva.de``."""
    if "xn--" not in domain:
        return domain
    import idna  # here: its tables take 2 MB, and few processes ever meet such a name

    try:
        return idna.decode(domain)
    except idna.IDNAError:
        return domain


@lru_cache(maxsize=4096)
def registrable(host: str) -> str | None:
    """The domain below which a host lies and that one owner registered, in lower case and ASCII.

    None for what tells no owner: providers of mailboxes, public suffixes, IP addresses, reserved names.
    Suffixes that a company opened to its customers count as public: ``a.github.io`` and ``b.github.io`` are two.
    """
    name = _ascii(host.strip().rstrip("."))
    if name is None:
        return None
    domain = _suffixes().privatesuffix(name)
    if domain is None or mail.is_free(name) or mail.is_disposable(name):
        return None
    labels = domain.split(".")
    return None if labels[0] in _NOBODYS or labels[-1] in _NOBODYS else domain


def _ascii(host: str) -> str | None:
    """A name as the network knows it; None for what can be none."""
    name = host.lower()
    if not name.isascii():
        import idna  # as above

        try:
            name = idna.encode(unicodedata.normalize("NFC", name), uts46=True).decode()
        except (idna.IDNAError, UnicodeError):
            return None
    labels = name.split(".")
    if len(name) > _LONGEST or len(labels) < 2 or labels[-1].isdigit():
        return None
    return name if all(map(_LABEL.fullmatch, labels)) else None


@cache
def _suffixes() -> PublicSuffixList:
    # The list that came with the package: nothing is fetched.
    return PublicSuffixList()


@cache
def _shared_sites() -> frozenset[str]:
    lines = (files("assay.profiles") / "shared_sites.txt").read_text("utf-8").splitlines()
    return frozenset(line for line in lines if line and not line.startswith("#"))
