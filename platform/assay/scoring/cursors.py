"""Where a list goes on: opaque to the caller, and good for that one list only."""

import base64
import binascii
import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from assay_tenants.errors import BadInput

_DIGEST_SIZE = 6
_LONGEST = 400
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def pack(place: tuple[Any, ...], *, of: object) -> str:
    """``of`` is what the list was asked for: another question's cursor is refused."""
    body = msgspec.msgpack.encode(place)
    return base64.urlsafe_b64encode(_digest(body, of) + body).rstrip(b"=").decode()


def unpack(cursor: str, shape: Any, *, of: object) -> Any:
    """The place as a ``shape``; raises BadInput when the cursor was altered or belongs to another list."""
    if len(cursor) <= _LONGEST:
        try:
            # Decoding skips letters outside the alphabet, so only what we would have written ourselves is believed.
            packed = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
            place = msgspec.msgpack.decode(packed[_DIGEST_SIZE:], type=shape)
            if pack(place, of=of) == cursor:
                return place
        except (binascii.Error, ValueError, msgspec.DecodeError):
            pass
    raise BadInput(
        "This cursor is not one of this list. Accepted is the next_cursor of the page before, asked for with the same "
        "filters; leave it out to start at the top.",
        field="cursor",
    )


def microseconds(instant: datetime) -> int:
    return (instant - _EPOCH) // timedelta(microseconds=1)


def instant(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)


def _digest(body: bytes, of: object) -> bytes:
    return hashlib.blake2b(body + repr(of).encode("utf-8", "surrogatepass"), digest_size=_DIGEST_SIZE).digest()
