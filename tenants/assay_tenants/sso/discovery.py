"""What a provider says of itself: read from its discovery document, and never believed beyond its own issuer."""

import ipaddress
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from assay_sdk import egress
from assay_tenants.sso.errors import BadProvider

WELL_KNOWN: Final = "/.well-known/openid-configuration"
#: Asymmetric alone: what a provider signs, nobody else can have signed.
ALGORITHMS: Final = ("RS256", "PS256", "ES256", "EdDSA", "Ed25519")
AUTHENTICATION: Final = ("client_secret_basic", "client_secret_post", "none")
LARGEST_DOCUMENT = 500_000
_LONGEST_ISSUER = 500


@dataclass(frozen=True)
class Endpoints:
    """Where a provider's parts are, and what they take."""

    issuer: str
    authorization: str
    token: str
    keys: str
    userinfo: str | None
    #: How we may prove who we are at ``token``.
    authentication: tuple[str, ...]
    #: It names itself when it sends somebody back (RFC 9207).
    names_itself: bool

    @classmethod
    def from_row(cls, stored: Mapping[str, Any]) -> "Endpoints":
        return cls(**{**stored, "authentication": tuple(stored["authentication"])})

    def as_row(self) -> dict[str, Any]:
        return {**asdict(self), "authentication": list(self.authentication)}


def read_issuer(typed: str) -> str:
    """The issuer that somebody typed, or of whose document they copied the address; raises BadProvider."""
    issuer = typed.strip().removesuffix(WELL_KNOWN)
    if len(issuer) > _LONGEST_ISSUER:
        raise _bad(f"The address is longer than {_LONGEST_ISSUER} characters")
    check_address("The issuer", issuer)
    parts = urlsplit(issuer)
    if parts.query or parts.fragment:
        raise _bad("An issuer's address ends before any ? or #")
    return issuer


def check_address(what: str, url: object) -> str:
    """``url``, if it is one that we call: https, or plain http to an address that this installation allows."""
    if not isinstance(url, str):
        raise _bad(f"{what} is no address")
    try:
        egress.check_url(url)
        parts = urlsplit(url)
    except (egress.AddressRefused, ValueError) as refused:
        raise _bad(f"{what} can't be used: {str(refused).removesuffix('.')}") from None
    if parts.scheme != "https" and not _is_allowed_inside(parts.hostname or ""):
        raise _bad(f"{what} has to begin with https://")
    return url


def discover(issuer: str) -> Endpoints:
    """Asks the provider; raises BadProvider, for the field ``issuer``, that says what its document lacks."""
    document = fetch_document(f"{issuer.rstrip('/')}{WELL_KNOWN}", "The discovery document")
    named = document.get("issuer")
    if not isinstance(named, str) or named.rstrip("/") != issuer.rstrip("/"):
        raise _bad(
            f"The discovery document names another issuer, {str(named)[:200]!r}; fill in that one if it is yours"
        )
    missing = [name for name in ("authorization_endpoint", "token_endpoint", "jwks_uri") if not document.get(name)]
    if missing:
        raise _bad(f"The discovery document lacks {', '.join(missing)}")
    _check_ways(document)
    return Endpoints(
        issuer=named,
        authorization=check_address("Its authorization_endpoint", document["authorization_endpoint"]),
        token=check_address("Its token_endpoint", document["token_endpoint"]),
        keys=check_address("Its jwks_uri", document["jwks_uri"]),
        userinfo=check_address("Its userinfo_endpoint", url) if (url := document.get("userinfo_endpoint")) else None,
        authentication=tuple(
            way for way in AUTHENTICATION if way in _listed(document, "token_endpoint_auth_methods_supported")
        ),
        names_itself=document.get("authorization_response_iss_parameter_supported") is True,
    )


def fetch_document(url: str, what: str) -> dict[str, Any]:
    """A JSON object of the provider's; raises BadProvider."""
    try:
        with egress.client(largest=LARGEST_DOCUMENT, redirects=2, headers={"Accept": "application/json"}) as client:
            answer = client.get(url)
    except httpx.HTTPError as error:
        raise _bad(f"{what} could not be fetched from {url}: {_told(error)}") from None
    if answer.status_code != 200:
        raise _bad(f"{what} is not at {url}: the answer was {answer.status_code}")
    try:
        document = answer.json()
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise _bad(f"{what} at {url} is no JSON object")
    return document


def _check_ways(document: Mapping[str, Any]) -> None:
    """Raises BadProvider where the provider says that it can't do what we ask for."""
    for name, needed in (
        ("response_types_supported", ("code",)),
        ("code_challenge_methods_supported", ("S256",)),
        ("id_token_signing_alg_values_supported", ALGORITHMS),
        ("token_endpoint_auth_methods_supported", AUTHENTICATION),
    ):
        if not set(_listed(document, name)) & set(needed):
            raise _bad(f"The provider's {name} holds none of {', '.join(needed)}")


def _listed(document: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """What the document lists; where it is silent, what its absence stands for."""
    usual = {
        "response_types_supported": ("code",),
        # Some that do PKCE don't say so.
        "code_challenge_methods_supported": ("S256",),
        "id_token_signing_alg_values_supported": ("RS256",),
        "token_endpoint_auth_methods_supported": ("client_secret_basic",),
    }
    listed = document.get(name)
    return tuple(one for one in listed if isinstance(one, str)) if isinstance(listed, list) else usual[name]


def _is_allowed_inside(host: str) -> bool:
    """Whether it is an IP address of a network of one's own, which whoever runs this installation has allowed."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return not address.is_global and egress.is_public(host)


def _told(error: httpx.HTTPError) -> str:
    """The guard's own sentences are for people; the others are a library's."""
    if isinstance(error, egress.AddressRefused | egress.AnswerTooLarge | egress.DeadlinePassed):
        return str(error).removesuffix(".")
    if isinstance(error, httpx.TimeoutException):
        return "it took too long"
    return "it does not answer" if isinstance(error, httpx.TransportError) else "it redirects too often"


def _bad(why: str) -> BadProvider:
    return BadProvider(f"{why}.", field="issuer")
