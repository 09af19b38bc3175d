"""Numbers and instants as a person reads them; the templates' filters."""

from datetime import UTC, datetime, timedelta

from jinja2 import Environment

from assay.scoring.engine.machines import why
from assay.scoring.engine.reasons import english
from assay.scoring.sentences import Told, say

MINUS = "−"
POINT = 1000

_UNITS = (
    (timedelta(days=365), "year"),
    (timedelta(days=30), "month"),
    (timedelta(days=1), "day"),
    (timedelta(hours=1), "hour"),
    (timedelta(minutes=1), "minute"),
)


def points(thousandths: int | None) -> str:
    """Thousandths as a decimal of at most three places: 12500 is 12.5."""
    if thousandths is None:
        return "–"
    whole, part = divmod(abs(thousandths), POINT)
    decimals = f".{part:03}".rstrip("0") if part else ""
    return f"{MINUS if thousandths < 0 else ''}{whole}{decimals}"


def signed(thousandths: int) -> str:
    return f"+{points(thousandths)}" if thousandths > 0 else points(thousandths)


def sign(thousandths: int) -> str:
    """The class that gives points their colour."""
    return "plus" if thousandths > 0 else "minus" if thousandths < 0 else "zero"


def grouped(number: int) -> str:
    return f"{number:,}"


def ago(instant: datetime, now: datetime | None = None) -> str:
    distance = (now or datetime.now(UTC)) - instant
    future, distance = distance < timedelta(0), abs(distance)
    for size, unit in _UNITS:
        if count := distance // size:
            words = f"{count} {unit}{'s' if count > 1 else ''}"
            return f"in {words}" if future else f"{words} ago"
    return "in a moment" if future else "just now"


def instant(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%-d %b %Y, %H:%M} UTC"


def size(bytes_: int) -> str:
    for unit, power in (("GB", 3), ("MB", 2), ("KB", 1)):
        if bytes_ >= 1000**power:
            return f"{bytes_ / 1000**power:.1f} {unit}"
    return f"{bytes_} bytes"


def shown(value: object) -> str:
    """A trait or property, whatever its type."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(shown(item) for item in value)
    return "–" if value is None or value == "" else str(value)


def capitalised(sentence: str) -> str:
    """A sentence that began inside another; the rest of it stays as it is."""
    return sentence[:1].upper() + sentence[1:]


def said(told: Told) -> str:
    """As the sentence about it, in the pages' language."""
    return say(told, "en")


def machine(discounted: str) -> str:
    """Why an event counts nothing."""
    return english(why(discounted))


def teach(jinja: Environment) -> None:
    jinja.trim_blocks = jinja.lstrip_blocks = True
    for filter_ in (points, signed, sign, grouped, ago, instant, size, shown, capitalised, said, machine):
        jinja.filters[filter_.__name__] = filter_
