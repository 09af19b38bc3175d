"""Cursors and pages: what every vendor's paging needs, whatever its own words for it."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, TypeVar

import msgspec

from assay_sdk.errors import Misunderstood
from assay_sdk.reading import read_leniently
from assay_sdk.records import Record

T = TypeVar("T")

#: Of one body of a page: the platform keeps no larger one.
LARGEST_BODY = 1_000_000
#: Of a record that can't be read, for recognising it.
_EXCERPT = 400
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)
_START = re.compile(rb'"records"\s*:\s*\[')


class _Packed(msgspec.Struct, gc=False):
    records: list[msgspec.Raw]


_packed = msgspec.json.Decoder(_Packed)
_parts = msgspec.json.Decoder(dict[str, msgspec.Raw])


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


def read_packed(body: bytes, read: Callable[[dict[str, Any]], Iterable[Record]]) -> Iterator[Record | Misunderstood]:
    """What ``read`` makes of each record in a body that ``packed`` made.

    Each is read by itself, and wholly or not at all: one that can't be read takes no other with it, and is told as a
    Misunderstood that names its place. Raises Misunderstood when there are no records to be found.
    """
    for position, raw in enumerate(_raw_records(body)):
        try:
            record = _record(raw)
            found = list(read(record))
        except Misunderstood as error:
            field = f"records[{position}]" + (f".{error.field}" if error.field else "")
            excerpt = error.excerpt or raw[:_EXCERPT].decode(errors="replace")
            yield Misunderstood(error.reason, field=field, position=position, excerpt=excerpt, kind=error.kind)
        else:
            yield from found


def beside(body: bytes) -> dict[str, Any]:
    """What ``packed`` put beside the records of a body, whatever is in them.

    Raises Misunderstood for what is no such body.
    """
    try:
        try:
            parts = _parts.decode(body)
        except msgspec.ValidationError:
            raise
        except (ValueError, RecursionError):
            # A record holds what is no JSON, or is nested too deeply; they stand behind all else.
            start = _START.search(body)
            parts = _parts.decode(body[: start.start()] + b'"records":[]}' if start else body)
        return {name: read_leniently(bytes(part)) for name, part in parts.items() if name != "records"}
    except (ValueError, RecursionError) as error:
        raise _no_page(body, error) from None


def _no_page(body: bytes, error: Exception) -> Misunderstood:
    excerpt = body[:_EXCERPT].decode(errors="replace")
    return Misunderstood(f"The page can't be read: {error}.", field="records", excerpt=excerpt)


def _record(raw: bytes) -> dict[str, Any]:
    try:
        found = read_leniently(raw)
    except (ValueError, RecursionError) as error:
        raise Misunderstood(f"The record can't be read: {str(error)[:200]}.") from None
    if not isinstance(found, dict):
        raise Misunderstood("The record must be an object.")
    return found


def _raw_records(body: bytes) -> list[bytes]:
    try:
        return [bytes(raw) for raw in _packed.decode(body).records]
    except RecursionError:
        return list(_by_brackets(body))
    except ValueError as error:
        if isinstance(error, msgspec.ValidationError) or not _ends_well(body):
            raise _no_page(body, error) from None
        return list(_by_brackets(body))


def _ends_well(body: bytes) -> bool:
    """Whether it is a page but for values such as NaN, which vendors write although JSON has none."""
    try:
        found = read_leniently(body)
    except RecursionError:
        return True
    except ValueError:
        return False
    return isinstance(found, dict) and isinstance(found.get("records"), list)


def _by_brackets(body: bytes) -> Iterator[bytes]:
    """The objects in the list of records, however deeply one of them is nested."""
    start = _START.search(body)
    depth, begins = 0, 0
    for token in _TOKEN.finditer(body, start.end()) if start else ():
        sign = token[0]
        if sign in (b"{", b"["):
            begins = token.start() if depth == 0 else begins
            depth += 1
        elif sign in (b"}", b"]"):
            depth -= 1
            if depth < 0:
                return
            if depth == 0:
                yield body[begins : token.end()]


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
