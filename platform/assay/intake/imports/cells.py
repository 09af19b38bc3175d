"""What a cell says: text, a number, an instant."""

import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Literal

from assay.intake.imports.errors import RowRefused

#: How instants are written; what can be read in two ways is chosen by the sender, never guessed while reading.
Dates = Literal["iso", "dmy", "mdy", "ymd", "epoch_s", "epoch_ms", "epoch_us"]
#: 1.5 or 1,5.
Numbers = Literal["point", "comma"]

WHOLE = re.compile(r"-?[1-9][0-9]{0,17}|0")
DECIMAL = re.compile(r"-?[0-9]{1,15}\.[0-9]{1,15}")
_WITH_COMMA = re.compile(r"-?(?:[0-9]{1,3}(?:\.[0-9]{3})+|[0-9]{1,15})(?:,[0-9]{1,15})?")
_LEADING_ZERO = re.compile(r"-?0[0-9]")
_CALENDAR = re.compile(
    r"([0-9]{1,4})([./-])([0-9]{1,2})\2([0-9]{1,4})"
    r"(?:,?[ T]+([0-9]{1,2}):([0-9]{2})(?::([0-9]{2})(?:[.,]([0-9]{1,6}))?)?(?: ?([AaPp])\.?[Mm]\.?)?)?"
)
_EPOCH_NUMBER = re.compile(r"-?[0-9]{1,17}(?:\.[0-9]{1,9})?")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

#: Where year, month and day stand.
_PLACES: dict[str, tuple[int, int, int]] = {"ymd": (1, 3, 4), "dmy": (4, 3, 1), "mdy": (4, 1, 3)}
_MICROSECONDS = {"epoch_s": 1_000_000, "epoch_ms": 1_000, "epoch_us": 1}
_ACCEPTED: dict[str, str] = {
    "iso": "ISO 8601, such as 2026-05-31T14:00:00Z or 2026-05-31",
    "dmy": "day, month, year, such as 31/05/2026 or 31.5.2026 14:30",
    "mdy": "month, day, year, such as 05/31/2026 or 5/31/2026 2:30 PM",
    "ymd": "year, month, day, such as 2026/05/31 or 2026-5-31 14:30",
    "epoch_s": "seconds since 1970, such as 1780236000",
    "epoch_ms": "milliseconds since 1970, such as 1780236000000",
    "epoch_us": "microseconds since 1970, such as 1780236000000000",
}


def cell_value(text: str, numbers: Numbers = "point") -> str | int | float:
    """A number where the number, written out, is this text again: 007, 1e5 and 1.10 stay text, 1.0 is a number.

    With a decimal comma, 1.234,50 is the number 1234.5: whoever chose the comma said that these are numbers.
    """
    if WHOLE.fullmatch(text):
        return int(text)
    if numbers == "comma":
        return _with_comma(text)
    if DECIMAL.fullmatch(text) and repr(float(text)) == text:
        return float(text)
    return text


def _with_comma(text: str) -> str | int | float:
    if not _WITH_COMMA.fullmatch(text) or _LEADING_ZERO.match(text):
        return text
    plain = text.replace(".", "").replace(",", ".")
    return float(plain) if "." in plain else int(plain)


def parse_instant(text: str, *, column: str, dates: Dates = "iso", zone: tzinfo = UTC) -> datetime:
    """Without a time zone it is in ``zone``, without a time of day it is midnight there."""
    try:
        if dates == "iso":
            instant = datetime.fromisoformat(text)
        elif dates in _MICROSECONDS:
            instant = _since_1970(text, _MICROSECONDS[dates])
        else:
            instant = _on_calendar(text, dates)
        return (instant if instant.tzinfo else instant.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise RowRefused(f"{text[:60]!r} is no date and time. Accepted is {_ACCEPTED[dates]}.", column=column) from None


def _since_1970(text: str, unit: int) -> datetime:
    if not _EPOCH_NUMBER.fullmatch(text):
        raise ValueError
    whole, _, part = text.partition(".")
    fraction = int(part[:6].ljust(6, "0")) * unit // 1_000_000 if part else 0
    return _EPOCH + timedelta(microseconds=int(whole) * unit + (-fraction if text.startswith("-") else fraction))


def _on_calendar(text: str, dates: str) -> datetime:
    found = _CALENDAR.fullmatch(text)
    if found is None:
        raise ValueError
    year, month, day = (found[place] for place in _PLACES[dates])
    if len(year) != 4:
        raise ValueError
    hour, half = int(found[5] or 0), (found[9] or "").lower()
    if half:
        if not 1 <= hour <= 12:
            raise ValueError
        hour = hour % 12 + (12 if half == "p" else 0)
    microsecond = int((found[8] or "").ljust(6, "0"))
    return datetime(int(year), int(month), int(day), hour, int(found[6] or 0), int(found[7] or 0), microsecond)  # noqa: DTZ001 # the zone is put on by the caller
