"""Cursors and pages: what every vendor's paging needs, whatever its own words for it."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, TypeVar

T = TypeVar("T")

#: Of one body of a page: the platform keeps no larger one.
LARGEST_BODY = 1_000_000


def packed(records: Sequence[Mapping[str, Any]], **beside: Any) -> list[bytes]:
    """Records as the bodies of a page: ``{"records": […], **beside}``, cut so that none is too large.

    ``beside`` is what is needed to understand them, and is put into each. A record that is too large by itself makes a
    body by itself, which the platform then refuses by name.
    """
    bodies: list[bytes] = []
    group: list[bytes] = []
    frame = json.dumps({**beside, "records": []}, ensure_ascii=False, separators=(",", ":")).encode()
    size = len(frame)
    for record in records:
        text = json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")
        if group and size + len(text) + 1 > LARGEST_BODY:
            bodies.append(_framed(frame, group))
            group, size = [], len(frame)
        group.append(text)
        size += len(text) + 1
    if group:
        bodies.append(_framed(frame, group))
    return bodies


def _framed(frame: bytes, records: Iterable[bytes]) -> bytes:
    return frame[: frame.rindex(b"[]")] + b"[" + b",".join(records) + b"]}"


def chunked(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """In their order, at most ``size`` at a time."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def unseen(records: Iterable[Mapping[str, Any]], *, id: str, at: str, seen: Iterable[str]) -> list[Mapping[str, Any]]:
    """Those that were not among ``seen``, which are marks (``mark``): for lists that are asked "since" inclusively."""
    known = set(seen)
    return [record for record in records if mark(record[id], record[at]) not in known]


def mark(id: object, at: object) -> str:
    """A record in one state, as a cursor remembers it."""
    return f"{id}@{at}"


def digest(content: Any) -> str:
    """A short name for a JSON value: the same for the same content, whatever the order of its keys.

    For ids of events that say "changed": one that changes nothing has the id of the one before.
    """
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str)
    return blake2b(text.encode(errors="replace"), digest_size=12).hexdigest()


def from_milliseconds(value: int | str) -> datetime:
    """An instant stated as milliseconds since 1970; raises ValueError for what is none."""
    try:
        return datetime.fromtimestamp(int(value) / 1000, UTC)
    except (OverflowError, OSError, TypeError):
        raise ValueError(f"{value!r} is no instant.") from None


def to_milliseconds(instant: datetime) -> int:
    return int(instant.timestamp() * 1000)
