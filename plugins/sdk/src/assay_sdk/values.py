"""Values as vendors write them, each in its own way and all of them alike: addresses, instants, names, objects."""

import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")
_BETWEEN_WORDS = re.compile(r"[^a-z0-9]+")


def mail_address(value: object) -> str | None:
    """An e-mail address in lower case; None for what does not look like one.

    ``n/a`` for an address would make strangers one person.
    """
    address = value.strip().lower() if isinstance(value, str) else ""
    return address if _EMAIL.fullmatch(address) else None


def instant(value: object) -> datetime | None:
    """A text in ISO 8601 as an instant in UTC, which also stands for a missing time zone; None for what is none."""
    if not isinstance(value, str):
        return None
    try:
        found = datetime.fromisoformat(value.strip())
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def words(name: str) -> list[str]:
    """A name's words in small ASCII letters and digits, for types of events and names of traits.

    Accents go (``Ofertă``: ``oferta``), and letters of other scripts are spelled by their numbers (``预约``: ``u9884``,
    ``u7ea6``), so that different names stay different. None for what has neither letters nor digits.
    """
    plain = unicodedata.normalize("NFKD", name.lower().replace("đ", "d"))
    spelled = "".join(
        letter if letter.isascii() else f" u{ord(letter):04x} " if letter.isalnum() else " "
        for letter in plain
        if not unicodedata.combining(letter)
    )
    return [word for word in _BETWEEN_WORDS.split(spelled) if word]


def part(parent: object, name: str) -> Mapping[str, Any]:
    """The object of this name in an object; an empty one where there is none."""
    found = parent.get(name) if isinstance(parent, Mapping) else None
    return found if isinstance(found, Mapping) else {}
