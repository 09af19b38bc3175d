"""HubSpot's webhooks: whether they are HubSpot's, whose they are, and what they say.

They carry no properties of a contact but the one that changed, so most of them name what is to be fetched.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from assay_hubspot.properties import CONTACT, OWN, instant, traits_of
from assay_hubspot.records import VENDOR, contact
from assay_sdk import (
    Alias,
    Deletion,
    Delivery,
    Fetch,
    Identifiers,
    Identify,
    Misunderstood,
    Record,
    Refused,
    Request,
    Restoration,
)
from assay_sdk.signatures import require, require_recent
from assay_sdk.values import mail_address

TOLERANCE = timedelta(minutes=5)
SIGNATURE, TIMESTAMP = "x-hubspot-signature-v3", "x-hubspot-request-timestamp"
#: What HubSpot decodes in an address before it signs it, and nothing else.
_DECODED = {
    "%3A": ":",
    "%2F": "/",
    "%3F": "?",
    "%40": "@",
    "%21": "!",
    "%24": "$",
    "%27": "'",
    "%28": "(",
    "%29": ")",
    "%2A": "*",
    "%2C": ",",
    "%3B": ";",
}
#: Kinds that are fetched, by the word before the dot, and by the number of the generic ``object.…`` events.
_KINDS = {"contact": "contact", "company": "company", "deal": "deal"}
_NUMBERS = {"0-1": "contact", "0-2": "company", "0-3": "deal", "0-47": "meeting"}


def signed_url(url: str) -> str:
    for encoded, plain in _DECODED.items():
        url = url.replace(encoded, plain).replace(encoded.lower(), plain)
    return url


def verify(request: Request, secret: str) -> None:
    """Raises Refused, or Stale for what was signed too long ago."""
    stamp = request.headers.get(TIMESTAMP, "")
    message = f"{request.method}{signed_url(request.url)}".encode() + request.body + stamp.encode(errors="replace")
    require(request.headers.get(SIGNATURE, ""), message, [secret], encoding="base64")
    signed_at = instant(stamp) if stamp.isdecimal() else None
    if signed_at is None:
        raise Refused("The request does not say when it was signed.")
    require_recent(signed_at, request.received_at, tolerance=TOLERANCE)


def split(body: bytes) -> Iterator[Delivery]:
    """A part for each portal: one address serves all of them, and nothing says that a batch is of one alone."""
    try:
        events: object = json.loads(body)
    except (ValueError, RecursionError):
        raise Refused("The body is no JSON.", status=400) from None
    by_portal: dict[str, list[Any]] = {}
    listed = events if isinstance(events, list) else [events]
    for event in listed:
        if isinstance(event, dict) and event.get("portalId") is not None:
            by_portal.setdefault(str(event["portalId"]), []).append(event)
    for portal, theirs in by_portal.items():
        whole = len(theirs) == len(listed)
        yield Delivery(portal, body if whole else json.dumps(theirs, separators=(",", ":")).encode())


def records_of(events: Iterable[Any]) -> Iterator[Record | Misunderstood]:
    """``eventId`` is not unique and ``attemptNumber`` changes with each try: neither says anything here."""
    for position, event in enumerate(events):
        try:
            yield from _records(event)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            reason = f"HubSpot's event can't be read ({type(error).__name__}: {error})."
            yield Misunderstood(reason, field=f"[{position}]", position=position, excerpt=str(event)[:200])


def _records(event: Mapping[str, Any]) -> Iterator[Record]:
    # The documentation's table calls it eventType, its examples subscriptionType.
    word = str(event.get("subscriptionType") or event.get("eventType") or "")
    family, _, what = word.partition(".")
    if str(event.get("propertyName") or "").startswith(OWN):
        # We wrote it ourselves.
        return
    if family == "conversation":
        yield from _conversation(event, what)
        return
    kind = _NUMBERS.get(str(event.get("objectTypeId"))) if family == "object" else _KINDS.get(family)
    if kind is None:
        return
    if what == "associationChange":
        yield from _association(event, kind)
    elif kind == "contact":
        yield from _contact(event, what)
    elif what not in ("deletion", "privacyDeletion"):
        yield Fetch(kind, _id(event))


def _contact(event: Mapping[str, Any], what: str) -> Iterator[Record]:
    at = _at(event)
    if what == "merge":
        yield from _merge(event, at)
        return
    ids = contact(_id(event))
    if what == "privacyDeletion":
        yield Deletion(ids, VENDOR, at, erased=True)
        return
    if what == "restore":
        yield Restoration(ids, VENDOR, at)
    name, value = str(event.get("propertyName")), event.get("propertyValue")
    # Without a value it is one that webhooks don't tell; one that was emptied comes as an empty text.
    if what == "propertyChange" and name in CONTACT and isinstance(value, str):
        traits = traits_of({name: value}, CONTACT, {})
        yield Identify(Identifiers(email=mail_address(traits.get("email")), vendor=ids.vendor), traits, at)
    # A creation too: the record states the instant of its creation exactly, and the notice nearly. And a deletion:
    # one that was merged into another is told as deleted as well, and that person is still there.
    yield Fetch("contact", _id(event), ids)


def _merge(event: Mapping[str, Any], at: datetime) -> Iterator[Record]:
    """All ids of a merge are one person; the new one survives where there is a new one."""
    primary = str(event.get("primaryObjectId") or event["objectId"])
    surviving = str(event.get("newObjectId") or primary)
    former = {primary, *(str(merged) for merged in event.get("mergedObjectIds") or ())} - {surviving}
    for id_ in sorted(former):
        yield Alias(contact(surviving), contact(id_), at)
    yield Fetch("contact", surviving, contact(surviving))


def _association(event: Mapping[str, Any], kind: str) -> Iterator[Record]:
    """Who belongs to a deal or a company: told by the record that is asked for its associations."""
    sides = str(event.get("associationType") or "").lower().split("_to_")
    ends = zip(sides, (event.get("fromObjectId"), event.get("toObjectId")), strict=False)
    wanted = next((side for side in ("deal", "contact") if side in sides), kind)
    for side, id_ in ends:
        if side == wanted and id_ is not None:
            yield Fetch(wanted, str(id_), contact(id_) if wanted == "contact" else Identifiers())


def _conversation(event: Mapping[str, Any], what: str) -> Iterator[Record]:
    if what == "creation":
        yield Fetch("conversation", _id(event))
    elif what == "newMessage" and event.get("messageType") == "MESSAGE" and event.get("messageId"):
        yield Fetch("conversation", f"{_id(event)}/{event['messageId']}")


def _id(event: Mapping[str, Any]) -> str:
    found = event["objectId"]
    if isinstance(found, bool) or not isinstance(found, int | str) or not str(found):
        raise ValueError("objectId is no id")
    return str(found)


def _at(event: Mapping[str, Any]) -> datetime:
    at = instant(event["occurredAt"])
    if at is None:
        raise ValueError("occurredAt is no instant")
    return at
