"""What our own API takes in: each record is checked before it is accepted, and refused by its place and field.

What passes here is understood later without a fault (``normalise.own``). Well-formed records cost about two
microseconds each; only a refused one is looked at twice, to say what is wrong with it.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, TypeVar

import msgspec

from assay.intake.bodies import MAX_EVENT
from assay.normalise.checking import (
    ADDRESS,
    EARLIEST,
    MAX_AHEAD,
    MAX_IDENTIFIER,
    MAX_SENDER_ID,
    MAX_SIZE,
    MAX_TRAITS,
    MAX_TYPE,
    OURS,
)
from assay.normalise.refusals import Refusal, explained

MAX_RECORDS = 2_500
MAX_DEPTH = 8
MAX_DOMAIN = 253
_SMALLEST, _LARGEST = -(2**63), 2**64 - 1
_EPOCH = "1970-01-01T00:00:00Z"

_TYPE = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)*")
_VENDOR = re.compile(r"[a-z][a-z0-9_-]{0,39}")
_DOMAIN = re.compile(r"[^\s/:@.]+(\.[^\s/:@.]+)+")
# A text that never ends is one token too: looked for its end at each of its quotes, it would take the square of time.
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*+\\?(?:"|\Z)|[\[\]{},]', re.DOTALL)


def _said(description: str, **limits: Any) -> msgspec.Meta:
    return msgspec.Meta(description=description, **limits)


Identifier = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_IDENTIFIER)]
Vendors = Annotated[
    dict[str, Identifier],
    _said('A vendor\'s id of the person, by the vendor\'s name, such as `{"hubspot": "51"}`'),
]
Instant = Annotated[datetime, msgspec.Meta(tz=True)]
UserId = Annotated[Identifier, _said("Your own stable id of the person")]
Email = Annotated[Identifier, _said("The person's e-mail address")]
Device = Annotated[Identifier, _said("A browser or device; it follows the person who identifies on it")]


class Who(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """Whom a record is about: at least one of these."""

    user_id: UserId | None = None
    email: Email | None = None
    anonymous_id: Device | None = None
    vendor_ids: Vendors | None = None


class StatedEvent(Who, kw_only=True, forbid_unknown_fields=True, gc=False):
    """Something a person did."""

    type: Annotated[
        str,
        _said("Dotted, lower case, past tense, such as `page.viewed`", min_length=1, max_length=MAX_TYPE,
              extra_json_schema={"pattern": f"^{_TYPE.pattern}$"}),
    ]  # fmt: skip
    occurred_at: Annotated[Instant, _said("RFC 3339 with its offset; default: when it is received")] | None = None
    properties: Annotated[dict[str, Any], _said("What else is known of it; null says nothing")] | None = None
    id: (
        Annotated[
            str, _said("Your id of the event: sent again, it counts once", min_length=1, max_length=MAX_SENDER_ID)
        ]
        | None
    ) = None


class StatedCompany(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """The person's company: ``id``, ``domain`` or both name it."""

    id: Annotated[Identifier, _said("Your own stable id of the company")] | None = None
    domain: (
        Annotated[str, _said("Such as `example.com`; names the company where no id does", max_length=MAX_DOMAIN)] | None
    ) = None
    traits: Annotated[dict[str, Any], _said("As a lead's own")] | None = None


class StatedLead(Who, kw_only=True, forbid_unknown_fields=True, gc=False):
    """What is known of a person."""

    traits: (
        Annotated[dict[str, Any], _said("By name; each keeps its type. What is left out stays, null clears it")] | None
    ) = None
    company: StatedCompany | None = None
    stated_at: (
        Annotated[Instant, _said("As of when; of two statements the later one holds. Default: when it is received")]
        | None
    ) = None


Stated = TypeVar("Stated", StatedEvent, StatedLead)
#: What is wrong with a record of the right shape: its field, a code, and the sentence.
Wrong = tuple[str | None, str, str]


@dataclass(frozen=True)
class Shape(Generic[Stated]):
    """A kind of record: the name of its list, how one is read, and what must hold beside."""

    name: str
    type: type[Stated]
    decoder: msgspec.json.Decoder[Stated]
    wrong_with: Callable[[Stated, datetime, bool], Wrong | None]


@dataclass(frozen=True)
class Checked:
    """A request's records: the places and the bytes of the good ones, and why the others are refused."""

    places: list[int]
    records: list[msgspec.Raw]
    refused: list[Refusal]


class Unreadable(ValueError):
    """The body as a whole is not what it has to be; ``field`` is None where it is no JSON object at all."""

    def __init__(self, message: str, *, field: str | None = None) -> None:
        self.message = message
        self.field = field
        super().__init__(message)


def check(shape: Shape[Any], body: bytes, *, received_at: datetime) -> Checked:
    """Raises Unreadable when there is no list of records to be found."""
    found = _records(shape.name, body)
    if not found:
        raise Unreadable(f"{shape.name} is empty; send at least one.", field=shape.name)
    if len(found) > MAX_RECORDS:
        raise Unreadable(
            f"{shape.name} has {len(found):,} records; at most {MAX_RECORDS:,} are accepted in a request.",
            field=shape.name,
        )
    checked = Checked([], [], [])
    # The one character that JSON can say and PostgreSQL can't store is always written as an escape.
    has_nulls = b"\\u0000" in body
    latest = received_at + MAX_AHEAD
    for place, raw in enumerate(found):
        try:
            wrong = _wrong_with_size(raw) or shape.wrong_with(shape.decoder.decode(raw), latest, has_nulls)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            checked.refused.append(explained(raw, error, shape.type, place))
            continue
        if wrong is None:
            checked.places.append(place)
            checked.records.append(raw)
        else:
            checked.refused.append(Refusal(place, *wrong))
    return checked


def _wrong_with_size(raw: msgspec.Raw) -> Wrong | None:
    size = len(memoryview(raw))
    if size <= MAX_EVENT:
        return None
    return None, "too_large", f"The record of {size:,} bytes is over the limit: {MAX_EVENT:,} bytes (32 KB)."


def wrong_with_event(event: StatedEvent, latest: datetime, has_nulls: bool) -> Wrong | None:
    type_ = event.type
    if not _TYPE.fullmatch(type_):
        return "type", "bad_format", f"type must be dotted lower-case words, such as page.viewed, not {type_[:60]!r}."
    if type_.startswith(OURS):
        return "type", "reserved", f"Only Assay states events of types beginning with {OURS}; rename it."
    if event.id is not None and (wrong := _wrong_with_text("id", event.id, has_nulls)):
        return wrong
    return (
        _wrong_with_who(event, has_nulls)
        or (event.occurred_at and _wrong_with_instant("occurred_at", event.occurred_at, latest))
        or (event.properties and wrong_with_bag("properties", event.properties, has_nulls))
        or None
    )


def wrong_with_lead(lead: StatedLead, latest: datetime, has_nulls: bool) -> Wrong | None:
    return (
        _wrong_with_who(lead, has_nulls)
        or (lead.stated_at and _wrong_with_instant("stated_at", lead.stated_at, latest))
        or (lead.traits and wrong_with_bag("traits", lead.traits, has_nulls))
        or (lead.company and _wrong_with_company(lead.company, has_nulls))
        or None
    )


def _wrong_with_company(company: StatedCompany, has_nulls: bool) -> Wrong | None:
    if company.id is None and company.domain is None:
        return "company", "missing", "The company is not named: id or domain is needed, as text."
    if company.id is not None and (wrong := _wrong_with_text("company.id", company.id, has_nulls)):
        return wrong
    domain = company.domain
    if domain is not None and (not _DOMAIN.fullmatch(domain) or "\0" in domain):
        return "company.domain", "bad_format", f"company.domain must be like example.com, not {domain[:60]!r}."
    return wrong_with_bag("company.traits", company.traits, has_nulls) if company.traits else None


def _wrong_with_who(who: Who, has_nulls: bool) -> Wrong | None:
    user_id, email, device, vendors = who.user_id, who.email, who.anonymous_id, who.vendor_ids
    if user_id is None and email is None and device is None and not vendors:
        return (
            None,
            "nobody",
            "The record names nobody: user_id, email, anonymous_id or vendor_ids is needed.",
        )
    if user_id is not None and (wrong := _wrong_with_text("user_id", user_id, has_nulls)):
        return wrong
    if device is not None and (wrong := _wrong_with_text("anonymous_id", device, has_nulls)):
        return wrong
    if email is not None and (not ADDRESS.fullmatch(email) or "\0" in email):
        return "email", "bad_format", f"email must be an address such as ada@example.com, not {email[:60]!r}."
    for name, value in vendors.items() if vendors else ():
        if not _VENDOR.fullmatch(name):
            return (
                "vendor_ids",
                "bad_format",
                f"A vendor's name is at most 40 lower-case letters, digits, dashes or underscores; not {name[:60]!r}.",
            )
        if wrong := _wrong_with_text(f"vendor_ids.{name}", value, has_nulls):
            return wrong
    return None


def _wrong_with_text(field: str, text: str, has_nulls: bool) -> Wrong | None:
    if text.isspace():
        return field, "empty", f"{field} is blank; send a text, or leave it out."
    if has_nulls and "\0" in text:
        return _null_character(field)
    return None


def _null_character(field: str) -> Wrong:
    return field, "bad_character", f"{field} holds the character U+0000, which can't be stored; leave it out."


def _wrong_with_instant(field: str, at: datetime, latest: datetime) -> Wrong | None:
    if at > latest:
        stated = at.astimezone(UTC) if at.year < 9999 else at
        return (
            field,
            "too_far_ahead",
            f"{field} {stated.isoformat()} is more than 24 hours ahead; at most {latest.isoformat()} is accepted.",
        )
    if at < EARLIEST:
        return field, "too_early", f"{field} {at.isoformat()} is before 1970; {_EPOCH} or later is accepted."
    return None


def wrong_with_bag(field: str, bag: Mapping[str, Any], has_nulls: bool) -> Wrong | None:
    """Of properties or traits."""
    if field != "properties" and (names := _names(bag)) > MAX_TRAITS:
        return field, "too_many", f"There are {names:,} {field}; at most {MAX_TRAITS:,} are accepted in a record."
    if not has_nulls:
        # Nearly all hold plain values only.
        for value in bag.values():
            kind = type(value)
            if kind is str or kind is float or kind is bool or value is None:
                continue
            if kind is not int or not _SMALLEST <= value <= _LARGEST:
                break
        else:
            return None
    size = 0
    for path, name, value, depth in _walk(bag, "", 1):
        here = f"{field}.{path}"[:200]
        if "\0" in name or (isinstance(value, str) and "\0" in value):
            return _null_character(here.replace("\0", "\N{SYMBOL FOR NULL}"))
        if type(value) is int and not _SMALLEST <= value <= _LARGEST:
            return here, "bad_number", f"{here} is a whole number beyond 64 bits; send it as text."
        if depth > MAX_DEPTH:
            return here, "too_deep", f"{here} is nested more than {MAX_DEPTH} levels deep, which is not accepted."
        size += len(path.encode()) + 8 + (len(value.encode()) if isinstance(value, str) else 0)
    if size > MAX_SIZE:
        return field, "too_large", f"{field} take {size:,} bytes with their full names; {MAX_SIZE:,} are accepted."
    return None


def _names(bag: Mapping[str, Any]) -> int:
    """Once inner names are joined to them."""
    return sum(_names(value) if isinstance(value, dict) else 1 for value in bag.values())


def _walk(value: Any, path: str, depth: int) -> Iterator[tuple[str, str, Any, int]]:
    """Each value inside with its dotted path, its own name, and how deep it lies."""
    if isinstance(value, dict):
        for name, inner in value.items():
            here = f"{path}.{name}" if path else name
            yield here, name, inner, depth
            if depth <= MAX_DEPTH and isinstance(inner, dict | list):
                yield from _walk(inner, here, depth + 1)
    else:
        for place, inner in enumerate(value):
            yield f"{path}[{place}]", "", inner, depth
            if depth <= MAX_DEPTH and isinstance(inner, dict | list):
                yield from _walk(inner, f"{path}[{place}]", depth + 1)


def _records(name: str, body: bytes) -> list[msgspec.Raw]:
    if not body.strip():
        raise Unreadable(f'The body is empty; send a JSON object such as {{"{name}": […]}}.')
    reason = f"{name} comes twice"
    if body.count(b'"%s"' % name.encode()) <= 1:
        try:
            return _listed(name, body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            reason = str(error).removeprefix("JSON is malformed: ")
    # A mistake in one record, or its depth, must not sink the others.
    found = _split(name, body)
    if found is None:
        raise Unreadable(f"The body is not valid JSON: {reason}.")
    return found


_document = msgspec.json.Decoder(dict[str, msgspec.Raw])
_list = msgspec.json.Decoder(list[msgspec.Raw])


def _listed(name: str, body: bytes) -> list[msgspec.Raw]:
    try:
        document = _document.decode(body)
    except msgspec.ValidationError:
        raise Unreadable(f'The body must be a JSON object such as {{"{name}": […]}}.') from None
    for other in document:
        if other != name:
            raise Unreadable(f"There is no field {other[:60]!r}; accepted is {name}.", field=other[:60])
    if name not in document:
        raise Unreadable(f"{name} is missing: the list of what is sent.", field=name)
    try:
        return _list.decode(document[name])
    except msgspec.ValidationError:
        raise Unreadable(f"{name} must be a list.", field=name) from None


def _split(name: str, body: bytes) -> list[msgspec.Raw] | None:
    """The records of a body of which one, or more, are no JSON: cut by brackets and commas, each then read alone.

    None when what is around them is not whole either.
    """
    depth, begin, found = 0, 0, []
    opened = closed = -1
    for token in _TOKEN.finditer(body):
        sign = token[0]
        if sign in b"[{":
            depth += 1
            if depth == 2 and opened < 0:
                opened = begin = token.end()
        elif sign in b"]}":
            depth -= 1
            if depth == 1:
                closed = token.start()
                found.append(body[begin:closed])
                break
        elif sign == b"," and depth == 2:
            found.append(body[begin : token.start()])
            begin = token.end()
    around = re.compile(rb'\s*\{\s*"%s"\s*:\s*\[\]\s*\}\s*' % name.encode())
    if closed < 0 or not around.fullmatch(body[:opened] + body[closed:]):
        return None
    return [] if len(found) == 1 and not found[0].strip() else [msgspec.Raw(each.strip()) for each in found]


EVENTS = Shape("events", StatedEvent, msgspec.json.Decoder(StatedEvent), wrong_with_event)
LEADS = Shape("leads", StatedLead, msgspec.json.Decoder(StatedLead), wrong_with_lead)
