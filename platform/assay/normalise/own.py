"""Understands what our own API kept: the platform's own source, which is no plugin.

A kept request is ``{"events": […]}`` or ``{"leads": […]}`` as it was sent, or, where records were refused or an
idempotency key came with it, the same with the places of those that were kept and a name for the request.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from assay.normalise.checking import MAX_TRAITS
from assay.normalise.refusals import explained
from assay.normalise.strict import EVENTS, LEADS, StatedEvent, StatedLead, Who
from assay_sdk import Company, Event, Identifiers, Identify, Message, Misunderstood, Record, Source
from assay_sdk.flatten import flatten

PLUGIN = "assay"
_EMAIL = "email"


class _Kept(msgspec.Struct, gc=False):
    events: list[msgspec.Raw] = []
    leads: list[msgspec.Raw] = []
    places: list[int] | None = None
    once: str | None = None


_kept = msgspec.json.Decoder(_Kept)


def kept_body(name: str, records: Sequence[msgspec.Raw], places: Sequence[int], *, once: str | None) -> bytes:
    """What is kept of a request of which some records were refused, or that is to be done ``once``."""
    return b'{"once":%s,"places":%s,"%s":[%s]}' % (
        msgspec.json.encode(once),
        msgspec.json.encode(places),
        name.encode(),
        b",".join(map(bytes, records)),
    )


class Own(Source):
    """Events and leads that were sent to our own API, and checked there."""

    name = PLUGIN
    title = "Assay API"

    def normalise(self, message: Message) -> Iterator[Record | Misunderstood]:
        shape = EVENTS if message.call == EVENTS.name else LEADS
        try:
            kept = _kept.decode(message.body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Misunderstood(f"The kept request can't be read: {error}.") from None
        raws = kept.events if shape is EVENTS else kept.leads
        places = kept.places or range(len(raws))
        for position, (place, raw) in enumerate(zip(places, raws, strict=False)):
            try:
                found = shape.decoder.decode(raw)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
                fault = explained(raw, error, shape.type, place)
                field = f"{shape.name}[{place}].{fault.field}" if fault.field else f"{shape.name}[{place}]"
                excerpt = bytes(raw)[:400].decode(errors="replace")
                yield Misunderstood(fault.message, field=field, position=position, excerpt=excerpt)
                continue
            if isinstance(found, StatedEvent):
                yield _event(found, message, f"{kept.once}/{place}" if kept.once else "")
            else:
                yield from _lead(found, message)


def _event(event: StatedEvent, message: Message, sender_id: str) -> Event:
    return Event(
        _identifiers(event),
        event.type,
        flatten(event.properties) if event.properties else {},
        event.occurred_at or message.received_at,
        event.id or sender_id,
    )


def _lead(lead: StatedLead, message: Message) -> Iterator[Record]:
    ids = _identifiers(lead)
    at = lead.stated_at or message.received_at
    traits = _flat(lead.traits or {})
    if ids.email and len(traits) < MAX_TRAITS:
        # Stated like any other trait, so that a new address takes the place of an earlier one.
        traits.setdefault(_EMAIL, ids.email)
    yield Identify(ids, traits, at)
    company = lead.company
    if company is not None:
        domain = company.domain.lower().removeprefix("www.") if company.domain else None
        named = (company.id or "").strip() or domain or ""
        yield Company(ids, named, _flat(company.traits or {}), at, domain=domain)


def _identifiers(who: Who) -> Identifiers:
    return Identifiers(
        user_id=who.user_id.strip() if who.user_id else None,
        email=who.email.lower() if who.email else None,
        anonymous_id=who.anonymous_id.strip() if who.anonymous_id else None,
        vendor={name: value.strip() for name, value in (who.vendor_ids or {}).items()},
    )


def _flat(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """As ``flatten``, with the nulls: they clear what was stated before."""
    found: dict[str, Any] = {}
    nested: dict[str, Any] = {}
    for name, value in mapping.items():
        if isinstance(value, dict):
            nested.update({f"{name}.{rest}": inner for rest, inner in _flat(value).items()})
        else:
            found[name] = value
    return nested | found
