"""Requests as they come in, checked before Authlib sees them; answers as they go out.

Authlib takes what a framework hands it. Some of it would come back as an error of ours: descriptions may not hold
quotation marks, parameters may come twice or in the query, an Authorization header may be no text. So a request gets
here with each parameter once, from where it belongs, in plain ASCII.
"""

import base64
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from authlib.oauth2.rfc6749 import InvalidClientError, InvalidRequestError, OAuth2Payload, OAuth2Request

from assay_tenants.oauth.issuer import issuer

LONGEST_VALUE = 4_000
MOST_PARAMETERS = 60

#: May come several times (RFC 8707).
_SEVERAL = frozenset({"resource"})
#: People's own words, which we don't read.
_FREE = frozenset({"login_hint", "ui_locales", "claims_locales", "display", "acr_values", "claims", "id_token_hint"})


class InvalidTarget(InvalidRequestError):  # type: ignore[misc] # untyped
    error = "invalid_target"


class _Payload(OAuth2Payload):  # type: ignore[misc] # untyped
    def __init__(self, values: Mapping[str, list[str]]) -> None:
        self._data = {name: given[0] for name, given in values.items()}
        self._datalist: defaultdict[str, list[str]] = defaultdict(list, values)

    @property
    def data(self) -> dict[str, str]:
        return self._data

    @property
    def datalist(self) -> defaultdict[str, list[str]]:
        return self._datalist


class Request(OAuth2Request):  # type: ignore[misc] # untyped
    """A request for Authlib: what came where it belongs, in the query of a GET and the form of a POST."""

    def __init__(
        self, method: str, path: str, parameters: Iterable[tuple[str, str]], headers: Mapping[str, str], address: str
    ) -> None:
        # Our address, not the one that a proxy let the request have: whether that is https is what counts.
        super().__init__(method, issuer().address + path)
        self.payload = _Payload(_checked(parameters))
        #: Of the network that it came from.
        self.address = address
        if method == "POST":
            self.headers = _credentials(self.payload.data, headers.get("Authorization", ""))

    @property
    def args(self) -> dict[str, str]:
        return dict(self.payload.data) if self.method == "GET" else {}

    @property
    def form(self) -> dict[str, str]:
        return dict(self.payload.data) if self.method == "POST" else {}

    @property
    def resources(self) -> list[str]:
        named: list[str] = self.payload.datalist.get("resource", [])
        return named

    def audience(self) -> str:
        """What the token is to be for; the API unless told otherwise. Raises InvalidTarget for what is not ours."""
        for resource in self.resources:
            if issuer().audience_of(resource) is None:
                raise InvalidTarget(f"There is no such resource here. Tokens are for {issuer().api}")
        return issuer().api


@dataclass
class Answer:
    status: int
    body: dict[str, Any] | str
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def location(self) -> str | None:
        return self.headers.get("Location")

    @location.setter
    def location(self, address: str) -> None:
        self.headers["Location"] = address


def _checked(parameters: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    values: dict[str, list[str]] = {}
    for number, (name, value) in enumerate(parameters, 1):
        if number > MOST_PARAMETERS:
            raise InvalidRequestError("There are too many parameters.")
        # RFC 6749 3.1: a parameter without a value is as good as none.
        if value:
            values.setdefault(name, []).append(value)
    for name, given in values.items():
        shown = "".join(letter for letter in name[:40] if letter.isascii() and (letter.isalnum() or letter in "_-."))
        if len(given) > 1 and name not in _SEVERAL:
            raise InvalidRequestError(f"The parameter {shown} came more than once.")
        if any(len(value) > LONGEST_VALUE for value in given):
            raise InvalidRequestError(f"The parameter {shown} is longer than {LONGEST_VALUE} characters.")
        if name not in _FREE and not all(value.isascii() and value.isprintable() for value in given):
            raise InvalidRequestError(f"The parameter {shown} holds characters that it can not have.")
    return values


def _credentials(form: Mapping[str, str], authorization: str) -> dict[str, str]:
    """The header that proves a client, if it can be read; one way at a time (RFC 6749 2.3)."""
    scheme, _, encoded = authorization.partition(" ")
    basic = _user_of(encoded.strip()) if scheme.lower() == "basic" else None
    if (basic is not None) + ("client_secret" in form) + ("client_assertion" in form) > 1:
        raise InvalidRequestError("The client proves itself in more than one way.")
    if basic is None:
        return {}
    if form.get("client_id", basic) != basic:
        raise InvalidRequestError("The header names another client than the form.")
    return {"Authorization": f"Basic {encoded.strip()}"}


def _user_of(encoded: str) -> str:
    try:
        user, colon, _ = base64.b64decode(encoded, validate=True).decode("ascii").partition(":")
    except ValueError:  # of the encoding, or of letters that no encoding has
        user = colon = ""
    if not colon:
        raise InvalidClientError(description="The Authorization header can not be read.", status_code=401)
    return user
