"""What Segment's webhooks and functions post: proven by its signature, and cut into pieces that can be kept."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from assay_sdk import Delivery, Refused, Request
from assay_sdk.signatures import require

SIGNATURE = "x-signature"
SECRET = "shared_secret"  # noqa: S105 # the name of a setting
#: Kept beside the secrets of a connection for which no shared secret was agreed on.
UNSIGNED = "unsigned"
#: Batches hold up to 4,000 events, of 32 KB each.
LARGEST_DELIVERY = 500_000
# Only a name is followed by a colon: within a text its quotation marks would have backslashes before them.
_WRITE_KEY = re.compile(rb'("writeKey"\s*:\s*)"(?:[^"\\]|\\.)*"')
_events = msgspec.json.Decoder(list[msgspec.Raw])
# Numbers stay text: only where the element ends is asked for, and one of thousands of digits is no reason to fail.
_elements = json.JSONDecoder(parse_int=str, parse_float=str, strict=False)


def check(request: Request, secrets: Mapping[str, Any]) -> None:
    """Checks ``X-Signature``, if a secret was agreed on; without one, the address that nobody can guess is the proof.

    Of a list Segment signs the first event alone, as it stands there; or, as proposed, the whole body. Either will do.
    The other events of a list are proven by the address.
    """
    secret = secrets.get(SECRET)
    if not secret and secrets.get(UNSIGNED):
        return
    given = request.headers.get(SIGNATURE, "").strip()
    try:
        require(given, request.body, [str(secret or "")], digest="sha1")
    except Refused:
        first = first_event(request.body)
        if first is None or not given:
            raise
        require(given, first, [str(secret or "")], digest="sha1")


def first_event(body: bytes) -> bytes | None:
    """A list's first element, byte for byte: written anew, its numbers and letters could look different."""
    try:
        # A letter for each byte, so that bytes which are no UTF-8 further on do not matter.
        text = body.decode("latin-1")
        start = text.index("[") + 1
        if text[: start - 1].strip():
            return None
        start += len(text[start:]) - len(text[start:].lstrip())
        _, end = _elements.raw_decode(text, start)
    except (ValueError, RecursionError):
        return None
    return text[start:end].encode("latin-1")


def deliveries(body: bytes) -> Iterator[Delivery]:
    """The body without its write key; a large list as several smaller ones."""
    body = _WRITE_KEY.sub(rb'\1""', body)
    if len(body) <= LARGEST_DELIVERY or body.lstrip()[:1] != b"[":
        yield Delivery("", body)
        return
    try:
        events = _events.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        yield Delivery("", body)
        return
    group: list[bytes] = []
    size = 0
    for event in map(bytes, events):
        if group and size + len(event) > LARGEST_DELIVERY:
            yield Delivery("", b"[" + b",".join(group) + b"]")
            group, size = [], 0
        group.append(event)
        size += len(event) + 1
    yield Delivery("", b"[" + b",".join(group) + b"]")
