"""Where passkeys are good: the name and origin by which browsers reach us."""

from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

import idna

from assay_tenants.factors.errors import NoPasskeysHere

_USUAL_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Site:
    """As a browser states it: the origin in full, the relying party by its host name alone."""

    origin: str
    rp_id: str

    @classmethod
    def of(cls, address: str) -> "Site":
        """Reads our public address; raises NoPasskeysHere when its host is no name."""
        parts = urlsplit(address)
        host = _as_browsers_write(parts.hostname or "")
        if not host or _is_number(host):
            raise NoPasskeysHere(host or "an address without a host")
        port = "" if parts.port in (None, _USUAL_PORTS.get(parts.scheme)) else f":{parts.port}"
        return cls(f"{parts.scheme}://{host}{port}", host)


def _as_browsers_write(host: str) -> str:
    host = host.rstrip(".")
    if host.isascii():
        return host
    try:
        return idna.encode(host, uts46=True).decode()
    except idna.IDNAError:
        return ""


def _is_number(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
