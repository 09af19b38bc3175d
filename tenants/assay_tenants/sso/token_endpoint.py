"""The provider's token endpoint: we show a code there, and prove who we are."""

from base64 import b64encode
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote_plus

import httpx

from assay_sdk import egress
from assay_tenants.sso.discovery import Endpoints
from assay_tenants.sso.errors import ProviderAway

LARGEST_ANSWER = 1_000_000


def ask_for_tokens(
    endpoints: Endpoints, *, client_id: str, client_secret: str, fields: Mapping[str, str]
) -> httpx.Response:
    """Shows a code at the provider's token endpoint; raises ProviderAway."""
    form = {"grant_type": "authorization_code", **fields}
    headers = {"Accept": "application/json"}
    if client_secret and "client_secret_basic" in endpoints.authentication:
        # RFC 6749, 2.3.1: each encoded as a form would, before they are joined.
        pair = f"{quote_plus(client_id)}:{quote_plus(client_secret)}"
        headers["Authorization"] = "Basic " + _basic(pair)
    else:
        form["client_id"] = client_id
        if client_secret:
            form["client_secret"] = client_secret
    try:
        with egress.client(largest=LARGEST_ANSWER) as client:
            return client.post(endpoints.token, data=form, headers=headers)
    except httpx.HTTPError as error:
        raise ProviderAway(away(error)) from error


def json_object(answer: httpx.Response) -> dict[str, Any]:
    try:
        told = answer.json()
    except ValueError:
        told = None
    if not isinstance(told, dict):
        raise ProviderAway("Your company's login service answered something that we can't read.")
    return told


def error_told(answer: httpx.Response) -> str:
    """The error that a token endpoint names, for whoever has to mend it."""
    try:
        told = answer.json()
    except ValueError:
        told = None
    if not isinstance(told, dict) or not isinstance(told.get("error"), str):
        return f"status {answer.status_code}"
    description = told.get("error_description")
    return str(told["error"])[:60] + (f": {description[:200]}" if isinstance(description, str) else "")


def away(error: Exception) -> str:
    """The sentence for whoever waits for the provider."""
    said = f" {error}" if isinstance(error, egress.AddressRefused) else ""
    return f"Your company's login service does not answer at this moment.{said} Try again in a minute."


def _basic(pair: str) -> str:
    return b64encode(pair.encode()).decode()
