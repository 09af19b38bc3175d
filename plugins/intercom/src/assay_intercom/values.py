"""Intercom's values as ours: instants in both of its spellings, ids, lists, names."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from assay_sdk import Misunderstood, Value, values
from assay_sdk.paging import digest

_LONGEST_ID = 200
_LONGEST_NAME = 120


def instant(value: object, field: str) -> datetime | None:
    """In UTC and whole seconds, because the API states unix seconds and notifications ISO 8601 with milliseconds.

    None for what is not stated. Raises Misunderstood for what is no instant.
    """
    if value is None or value == "" or isinstance(value, bool):
        return None
    found = values.instant(value)
    if isinstance(value, int | float) or (isinstance(value, str) and value.strip().isdecimal()):
        with suppress(ValueError, OverflowError, OSError):
            found = datetime.fromtimestamp(int(value), UTC)
    if found is None:
        raise Misunderstood(
            f"{field} {str(value)[:60]!r} is no instant; accepted are unix seconds and ISO 8601.", field=field
        )
    return found.replace(microsecond=0)


def seconds(value: object) -> int:
    """The same in unix seconds; 0 for what is not stated or no instant."""
    try:
        found = instant(value, "")
    except Misunderstood:
        return 0
    return int(found.timestamp()) if found else 0


def text(value: object) -> str | None:
    """None for what is empty or neither text nor number."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return str(value).strip() or None


def escaped(id_: object) -> str:
    """An id as one step of a path, whatever is in it."""
    return quote(str(id_), safe="")


def rows(parent: object, name: str) -> list[Mapping[str, Any]]:
    """The objects in the list of this name."""
    found = parent.get(name) if isinstance(parent, Mapping) else None
    return [row for row in found if isinstance(row, Mapping)] if isinstance(found, list) else []


def scalar(value: object) -> Value | None:
    """A value that a trait can hold; None for others."""
    if isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, list) and value and all(isinstance(one, str | bool | int | float) for one in value):
        return list(value)
    return None


def sender_id(*parts: str) -> str:
    """An event's id, made of what tells it from all others."""
    whole = "/".join(parts)
    return whole if len(whole) <= _LONGEST_ID else f"{parts[0][:60]}/{digest(whole)}"


@lru_cache(maxsize=1024)
def slug(name: str) -> str:
    """``Invited Friend`` becomes ``invited_friend``; letters of other scripts are spelled by number, accents go."""
    return "_".join(values.words(name))[:_LONGEST_NAME]
