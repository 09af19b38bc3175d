"""Segment's calls as they come on the wire, one item at a time."""

# The fields are named as they are on the wire.
# ruff: noqa: N815

import json
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from assay_sdk import Misunderstood
from assay_sdk.reading import explain, read_leniently

#: Segment's own limit for one event.
MAX_ITEM = 32 * 1024
#: What was posted to a connection's address, by a webhook or a function.
HOOK = "hook"
CALLS = ("identify", "track", "page", "screen", "group", "alias")

Id = str | int | None
Bag = dict[str, Any] | None


class Item(msgspec.Struct, gc=False):
    """One call. Nulls are as good as nothing."""

    type: str | None = None
    userId: Id = None
    anonymousId: Id = None
    previousId: Id = None
    groupId: Id = None
    messageId: str | None = None
    event: str | None = None
    name: str | None = None
    category: str | None = None
    timestamp: str | None = None
    originalTimestamp: str | None = None
    sentAt: str | None = None
    receivedAt: str | None = None
    traits: Bag = None
    properties: Bag = None
    context: Bag = None


class _Batch(msgspec.Struct, gc=False):
    batch: list[msgspec.Raw]
    sentAt: str | None = None
    context: Bag = None


class _LenientBatch(msgspec.Struct, gc=False):
    batch: list[Any]
    sentAt: str | None = None
    context: Bag = None


class _Shape(msgspec.Struct, gc=False):
    batch: msgspec.Raw = msgspec.field(default_factory=msgspec.Raw)


_item = msgspec.json.Decoder(Item)
_batch = msgspec.json.Decoder(_Batch)
_list = msgspec.json.Decoder(list[msgspec.Raw])
_shape = msgspec.json.Decoder(_Shape)


def read_items(call: str, body: bytes) -> Iterator[tuple[Item | Misunderstood, Any]]:
    """The items of a request in their order, each with its raw form. Raises Misunderstood when none can be found."""
    if call == HOOK:
        yield from _posted(body)
        return
    if call != "batch":
        item = _read_item(body, 0, at="")
        if isinstance(item, Item):
            item.type = call
        yield item, body
        return
    batch = _read_batch(body)
    for position, raw in enumerate(batch.batch):
        item = _read_item(raw, position, at=f"batch[{position}]")
        if isinstance(item, Item):
            item.sentAt = item.sentAt or batch.sentAt
            if batch.context:
                item.context = merge(batch.context, item.context or {})
        yield item, raw


def _posted(body: bytes) -> Iterator[tuple[Item | Misunderstood, Any]]:
    """What a webhook or a function posts: one event, a list of them, or a batch as the libraries send it."""
    kind = _kind_of(body)
    if kind == "batch":
        yield from read_items("batch", body)
        return
    if kind == "list":
        for position, raw in enumerate(_events_of(body)):
            yield _guessed(_read_item(raw, position, at=f"[{position}]")), raw
        return
    yield _guessed(_read_item(body, 0, at="")), body


def _kind_of(body: bytes) -> str:
    if body.lstrip()[:1] == b"[":
        return "list"
    try:
        return "batch" if bytes(_shape.decode(body).batch) not in (b"", b"null") else "event"
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return "event"


def _events_of(body: bytes) -> list[Any]:
    try:
        try:
            return _list.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            # One item holds a NaN or a broken letter; the others are to be read all the same.
            return msgspec.convert(read_leniently(body), list[Any])
    except (ValueError, RecursionError) as error:
        raise Misunderstood(f"The body is not JSON that can be read: {error}.", excerpt=excerpt(body)) from None


def _guessed(item: Item | Misunderstood) -> Item | Misunderstood:
    """Functions post what their author wrote: an event that has a name and no type is one that was tracked."""
    if isinstance(item, Item) and item.type is None and item.event:
        item.type = "track"
    return item


def merge(outer: Mapping[str, Any], inner: Mapping[str, Any]) -> dict[str, Any]:
    """What the batch says of all its items, and over it what the item says of itself; objects are merged within."""
    both = {name: value for name, value in inner.items() if value is not None}
    for name, value in outer.items():
        mine = both.get(name)
        if mine is None:
            both[name] = value
        elif isinstance(mine, dict) and isinstance(value, dict):
            both[name] = {**value, **mine}
    return both


def _read_batch(body: bytes) -> _Batch | _LenientBatch:
    try:
        try:
            return _batch.decode(body)
        except msgspec.ValidationError:
            raise
        except (msgspec.DecodeError, UnicodeDecodeError):
            # One item holds a NaN or a broken letter; the others are to be read all the same.
            return msgspec.convert(read_leniently(body), _LenientBatch)
    except msgspec.ValidationError as error:
        fault = explain(error)
        raise Misunderstood(fault.message, field=fault.field, excerpt=excerpt(body)) from None
    except (ValueError, RecursionError) as error:
        raise Misunderstood(f"The body is not JSON that can be read: {error}.", excerpt=excerpt(body)) from None


def _read_item(raw: Any, position: int, *, at: str) -> Item | Misunderstood:
    try:
        size = _size(raw)
        if size <= MAX_ITEM:
            return _item.decode(raw) if isinstance(raw, msgspec.Raw | bytes) else msgspec.convert(raw, Item)
        field, reason = at or None, f"The event of {size:,} bytes is over the limit: {MAX_ITEM:,} bytes (32 KB)."
    except msgspec.ValidationError as error:
        field, reason = explain(error, at=at)
    except RecursionError:
        field, reason = at or None, "The event is nested too deeply."
    except UnicodeDecodeError:
        field, reason = at or None, "The event holds bytes that are not UTF-8."
    except msgspec.DecodeError as error:
        field, reason = at or None, f"The event is not JSON that can be read: {error}."
    return Misunderstood(reason, field=field, position=position, excerpt=excerpt(raw))


def _size(raw: Any) -> int:
    if isinstance(raw, msgspec.Raw | bytes):
        return len(memoryview(raw))
    return len(_written(raw).encode(errors="surrogatepass"))


def _written(item: Any) -> str:
    return json.dumps(item, ensure_ascii=False, separators=(",", ":"))


def excerpt(raw: Any) -> str:
    """The beginning of an item, for recognising it."""
    if isinstance(raw, msgspec.Raw | bytes):
        return bytes(memoryview(raw)[:400]).decode(errors="replace")
    return _written(raw)[:400]
