"""Points as thousandths and durations as microseconds, and back to what a person writes."""

import math
import re
from decimal import Decimal, InvalidOperation

#: One event may give this much; a day of a busy lead stays far inside 64 bits.
MOST_POINTS = 1_000_000
#: Caps, scales and thresholds.
MOST_SUM = 1_000_000_000

MINUTE = 60_000_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
UNITS = {"m": MINUTE, "h": HOUR, "d": DAY, "w": 7 * DAY}
LONGEST = 3650 * DAY

DURATION = re.compile(r"([0-9]{1,9})([mhdw])")


def thousandths(value: object, *, most: int) -> int:
    """The number in thousandths; raises ValueError with a sentence for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError("must be a number, such as 10 or 2.5")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("must be a finite number, such as 10 or 2.5")
    if abs(value) > most:
        raise ValueError(f"must lie between -{most:,} and {most:,}")
    try:
        scaled = Decimal(repr(value)).scaleb(3)
    except InvalidOperation:
        raise ValueError("must be a number, such as 10 or 2.5") from None
    if scaled != scaled.to_integral_value():
        raise ValueError(f"may have at most three decimal places, not {value!r}")
    return int(scaled)


def number(points: int) -> int | float:
    """Thousandths as the number a person wrote, without float noise."""
    return points // 1000 if points % 1000 == 0 else points / 1000


def microseconds(value: object) -> int:
    """The duration in microseconds; raises ValueError with a sentence for anything else."""
    match = DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("must be a duration such as 60d, 12h, 30m or 2w (days, hours, minutes, weeks)")
    length = int(match[1]) * UNITS[match[2]]
    if length == 0:
        raise ValueError("must be longer than nothing, such as 30m")
    if length > LONGEST:
        raise ValueError("must be at most ten years (3650d)")
    return length


def duration(length: int) -> str:
    """The one spelling of a duration: the largest of d, h, m that divides it."""
    for unit in ("d", "h"):
        if length % UNITS[unit] == 0:
            return f"{length // UNITS[unit]}{unit}"
    return f"{length // MINUTE}m"


def spoken(length: int) -> str:
    """`60 days`, `1 hour`: for sentences."""
    for word, unit in (("day", DAY), ("hour", HOUR)):
        if length % unit == 0:
            return f"{length // unit} {word}{'' if length == unit else 's'}"
    minutes = length // MINUTE
    return f"{minutes} minute{'' if minutes == 1 else 's'}"
