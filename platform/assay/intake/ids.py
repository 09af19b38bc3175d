"""Ids of messages: UUIDs of version 7, which sort by time."""

from datetime import UTC, datetime, timedelta
from secrets import randbits
from uuid import UUID

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
# What 48 bits of milliseconds can say goes beyond the calendar.
_LATEST = (datetime(9999, 12, 31, tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1)


def message_id(at: datetime) -> UUID:
    """Milliseconds, then twelve bits of the millisecond's fraction, then 62 random ones (RFC 9562, method 3)."""
    milliseconds, microseconds = divmod((at - _EPOCH) // _MICROSECOND, 1000)
    fraction = microseconds * 4096 // 1000
    return UUID(int=milliseconds << 80 | 0x7 << 76 | fraction << 64 | 0b10 << 62 | randbits(62))


def instant_of(id_: UUID) -> datetime:
    """The millisecond in which this id was made; for an id that isn't ours, some instant."""
    return _EPOCH + timedelta(milliseconds=min(id_.int >> 80, _LATEST))
