"""Under which name we give out tokens, and for which resource: set once in each process by its door."""

from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

Registration = Literal["off", "token", "open"]

_API = "/api/v1"


class NotConfigured(RuntimeError):
    def __init__(self) -> None:
        super().__init__("assay_tenants.oauth.issuer.configure(address) was not called in this process.")


@dataclass(frozen=True)
class Issuer:
    """Our address, without a final slash: the ``iss`` of all we sign."""

    address: str
    #: Whether apps may register by protocol: not at all, with a token that a tenant made, or freely.
    registration: Registration = "off"

    @property
    def api(self) -> str:
        """The one resource that tokens are for: their ``aud``."""
        return self.address + _API

    def __post_init__(self) -> None:
        if urlsplit(self.address).query or urlsplit(self.address).fragment:
            raise ValueError(f"An issuer has neither query nor fragment: {self.address}")

    def audience_of(self, resource: str) -> str | None:
        """Of a resource that a client names (RFC 8707): the API or the whole house; None for any other."""
        return self.api if resource.rstrip("/") in (self.address, self.api) else None


_issuer: Issuer | None = None


def configure(address: str, *, registration: Registration = "off") -> Issuer:
    global _issuer
    _issuer = Issuer(address.rstrip("/"), registration)
    return _issuer


def issuer() -> Issuer:
    if _issuer is None:
        raise NotConfigured
    return _issuer
