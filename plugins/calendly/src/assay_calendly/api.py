"""Calendly's ways: everything is named by a URI, lists come in pages of at most a hundred."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from assay_sdk import Link, Refused, TryLater

LARGEST_PAGE = 100
#: What somebody who isn't an admin may see: their own meetings alone.
ORGANIZATION, USER = "organization", "user"


def uuid_of(uri: str) -> str:
    """The last part of a URI: ``AAAA`` of ``https://api.calendly.com/users/AAAA``."""
    return urlsplit(uri).path.rstrip("/").rpartition("/")[2]


def below(uri: str, collection: str) -> str:
    """A URI's path from ``collection`` on, without its host: ``E/invitees/I`` for ``scheduled_events``.

    URIs come in webhooks too, and nobody's webhook shall tell which host we call with a token.
    """
    return urlsplit(uri).path.strip("/").removeprefix(f"{collection}/")


def stated(instant: datetime) -> str:
    """An instant as Calendly writes it: UTC, microseconds, Z."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def page(
    link: Link, path: str, params: Mapping[str, Any], token: str | None
) -> tuple[list[dict[str, Any]], str | None]:
    """One page of a list, and the token of the next one."""
    asked = {**params, "count": LARGEST_PAGE} | ({"page_token": token} if token else {})
    body = answered(link.http.get(path, params=asked))
    records, pagination = body.get("collection"), body.get("pagination")
    if not isinstance(records, list) or not isinstance(pagination, dict):
        raise TryLater("Calendly answered with something that is no list.")
    following = pagination.get("next_page_token")
    if following and following == token:
        raise TryLater("Calendly's page leads to itself.")
    return [record for record in records if isinstance(record, dict)], str(following) if following else None


def everything(link: Link, path: str, params: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """A list's records, page after page."""
    token = None
    while True:
        records, token = page(link, path, params, token)
        yield from records
        if token is None:
            return


def resource(link: Link, path: str) -> dict[str, Any] | None:
    """One record; None when there is none, or none that we may see."""
    try:
        found = answered(link.http.get(path)).get("resource")
    except Refused as refusal:
        if refusal.status in (403, 404):
            return None
        raise
    return found if isinstance(found, dict) else None


def answered(answer: Any) -> dict[str, Any]:
    """An answer's JSON object; an answer that ends in its middle is asked for again."""
    try:
        body = answer.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise TryLater("Calendly answered with something that is no JSON object.")
    return body


def organization_of(link: Link) -> str:
    """The organization's URI, as the login gave it."""
    return str(link.secrets.get("organization") or link.notes.get("organization") or "")


def owner_of(link: Link) -> str:
    """The URI of whoever connected."""
    return str(link.secrets.get("owner") or link.notes.get("owner") or "")


def reach_of(link: Link) -> str:
    return USER if link.notes.get("reach") == USER else ORGANIZATION


def whose(link: Link) -> dict[str, str]:
    """The filter that every list needs: the whole organization, or the one person who may see no more."""
    return {USER: owner_of(link)} if reach_of(link) == USER else {ORGANIZATION: organization_of(link)}


def number(app: Mapping[str, str], name: str, default: int) -> int:
    """An installation's setting as a whole number; the default for what is none."""
    text = str(app.get(name, "")).strip()
    return int(text) if text.isdecimal() and len(text) < 10 else default
