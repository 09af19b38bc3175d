"""What Segment's libraries send, as records."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import msgspec

from assay_sdk import (
    Alias,
    Company,
    Deletion,
    Delivery,
    Event,
    Identifiers,
    Identify,
    Message,
    Misunderstood,
    Record,
    Request,
    Source,
)
from assay_sdk.flatten import Flat, flatten
from assay_sdk.paging import digest
from assay_sdk.values import instant, mail_address, part
from assay_segment.calls import CALLS, HOOK, Id, Item, excerpt, read_items
from assay_segment.hooks import check, deliveries
from assay_segment.names import event_type, mapping_of
from assay_segment.ours import OWN_TRAITS, is_ours

# A message is under way this long without anybody's clock being wrong. Within it the stated instant stands, so that an
# event that is sent twice happened at one instant, not at two.
UNDER_WAY = timedelta(seconds=5)
#: What differs each time that an event is sent.
_OF_DELIVERY = frozenset({"sentAt", "receivedAt"})
_OF_PAGE = ("path", "url", "title", "referrer", "search")


class Segment(Source):
    """Segment's tracking calls: from any of its libraries, or passed on by Segment's webhooks and functions."""

    name = "segment"
    title = "Segment"
    tracking_calls = True
    has_hooks = True

    def verify(self, request: Request, app: Mapping[str, str], secrets: Mapping[str, Any]) -> None:
        check(request, secrets)

    def split(self, request: Request) -> Iterator[Delivery]:
        return deliveries(request.body)

    def normalise(self, message: Message) -> Iterator[Record | Misunderstood]:
        mapping = _mapping(message.settings)
        is_batch, is_hook = message.call == "batch", message.call == HOOK
        is_list = is_hook and message.body.lstrip()[:1] == b"["
        for position, (item, raw) in enumerate(read_items(message.call, message.body)):
            if isinstance(item, Misunderstood):
                yield item
                continue
            if is_ours(item.messageId, part(item.context, "library").get("name")):
                # Our own scores, on their way back.
                continue
            at = f"batch[{position}]." if is_batch else f"[{position}]." if is_list else ""
            try:
                yield _record(item, message.received_at, mapping, is_hook=is_hook)
            except Misunderstood as error:
                field = f"{at}{error.field}" if error.field else None
                yield Misunderstood(error.reason, field=field, position=position, excerpt=excerpt(raw))
            except RecursionError:
                reason = "The event is nested too deeply."
                yield Misunderstood(reason, position=position, excerpt=excerpt(raw))


def _record(item: Item, received_at: datetime, mapping: Mapping[str, str], *, is_hook: bool) -> Record:
    at = _instant_at_segment(item, received_at) if is_hook else _instant(item, received_at)
    ids = _identifiers(item)
    match item.type:
        case "identify":
            traits = flatten(item.traits or {})
            return Identify(ids, {name: value for name, value in traits.items() if name not in OWN_TRAITS}, at)
        # Write keys lie open in browsers: only Segment itself may have somebody erased.
        case "delete" if is_hook:
            return Deletion(ids, "segment", at, erased=True)
        case "track":
            return Event(ids, _event_type(item, mapping), _properties(item), at, _sender_id(item, is_hook=is_hook))
        case "page":
            return Event(ids, "page.viewed", _page_properties(item), at, _sender_id(item, is_hook=is_hook))
        case "screen":
            properties = _named(item) | _properties(item)
            return Event(ids, "screen.viewed", properties, at, _sender_id(item, is_hook=is_hook))
        case "group":
            return Company(ids, _needed("groupId", _text(item.groupId)), flatten(item.traits or {}), at)
        case "alias":
            return _alias(item, ids, at)
        case _:
            raise Misunderstood(f"type is {item.type!r}; accepted are {', '.join(CALLS)}.", field="type")


def _sender_id(item: Item, *, is_hook: bool) -> str:
    """What Segment passes on has a ``messageId``; what a function posts, and posts again, may have none.

    Then all that it says is its name, if it says when that was: nobody does the same twice at one instant.
    """
    if item.messageId or not is_hook or not (item.timestamp or item.originalTimestamp):
        return item.messageId or ""
    stated = msgspec.structs.asdict(item)
    return f"stated/{digest({name: stated[name] for name in stated if name not in _OF_DELIVERY})}"


def _alias(item: Item, ids: Identifiers, at: datetime) -> Record:
    previous = _needed("previousId", _text(item.previousId))
    if previous == ids.user_id:
        return Identify(ids, {}, at)
    # Whether the old name was a browser's or a person's can't be told from the call alone, nor from what came before
    # it, which may come after it. So it stands for both; of the two, only the one that is ever used matters.
    return Alias(ids, Identifiers(user_id=previous, email=mail_address(previous), anonymous_id=previous), at)


def _identifiers(item: Item) -> Identifiers:
    user_id, anonymous_id = _text(item.userId), _text(item.anonymousId)
    if user_id is None and anonymous_id is None:
        raise Misunderstood("The call names nobody: userId or anonymousId is needed, as text.", field="userId")
    stated = (item.traits or {}).get("email") if item.type == "identify" else None
    return Identifiers(user_id=user_id, email=mail_address(stated) or mail_address(user_id), anonymous_id=anonymous_id)


def _text(value: Id) -> str | None:
    return (str(value).strip() or None) if value is not None else None


def _needed(name: str, value: str | None) -> str:
    if value is None:
        raise Misunderstood(f"{name} is missing; it is needed, as text.", field=name)
    return value


def _mapping(settings: Mapping[str, Any]) -> Mapping[str, str]:
    """The connection's own words for its events; what can't be read was refused when it was filled in."""
    try:
        return mapping_of(str(settings.get("mapping") or ""))
    except ValueError:
        return {}


def _event_type(item: Item, mapping: Mapping[str, str]) -> str:
    name = _needed("event", _text(item.event))
    found = event_type(name)
    if not found:
        raise Misunderstood(f"The event's name {name!r} has no letter and no digit.", field="event")
    return mapping.get(found, found)


def _properties(item: Item) -> Flat:
    campaign = part(item.context, "campaign")
    return flatten({"campaign": campaign}) | flatten(item.properties or {})


def _page_properties(item: Item) -> Flat:
    page = part(item.context, "page")
    properties = _named(item) | _properties(item)
    # A path that belongs to another address would be worse than none.
    address, other = properties.get("url"), flatten({name: page[name] for name in _OF_PAGE if name in page})
    properties = (other if address in (None, other.get("url")) else {}) | properties
    url = properties.get("url")
    if "path" not in properties and isinstance(url, str):
        with suppress(ValueError):
            properties["path"] = urlsplit(url).path or "/"
    return properties


def _named(item: Item) -> Flat:
    return flatten({"name": item.name, "category": item.category})


def _instant_at_segment(item: Item, received_at: datetime) -> datetime:
    """Segment has put wrong clocks right in ``timestamp``, and may pass an event on hours later.

    So neither the client's clock nor our own receipt says more; without ``timestamp``, its own receipt stands for ours.
    """
    if item.timestamp:
        item.originalTimestamp = item.sentAt = None
    elif item.receivedAt and (received := instant(item.receivedAt)) is not None:
        received_at = received
    return _instant(item, received_at)


def _instant(item: Item, received_at: datetime) -> datetime:
    """When it happened by our clock: as long before its receipt as, by the sender's clock, before it was sent."""
    name = "originalTimestamp" if item.originalTimestamp else "timestamp"
    stated_text = item.originalTimestamp or item.timestamp
    if not stated_text:
        return received_at
    stated = instant(stated_text)
    if stated is None:
        raise Misunderstood(
            f"{name} {stated_text[:60]!r} is not an instant; accepted is ISO 8601, such as 2026-09-21T12:00:00.000Z.",
            field=name,
        )
    sent = instant(item.sentAt) if item.sentAt else None
    if sent is None or abs(received_at - sent) <= UNDER_WAY:
        return stated
    try:
        return stated + (received_at - sent)
    except OverflowError:
        raise Misunderstood(f"{name} {stated_text[:60]!r} is beyond the calendar.", field=name) from None
