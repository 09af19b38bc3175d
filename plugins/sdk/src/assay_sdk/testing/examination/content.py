"""Drills of what is in messages: poison, purity, and the words that events go by."""

import json
import re
import sys
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any
from urllib.parse import parse_qsl, urlencode

from assay_sdk.errors import Misunderstood
from assay_sdk.records import Outcome
from assay_sdk.source import Message, Source
from assay_sdk.testing.examination.bench import RECORDS, Bench, Item, events, fact, facts, read
from assay_sdk.testing.examination.examinable import NotOffered
from assay_sdk.testing.examination.report import Checks, told

_DEEP = 5000
WHOLE: Mapping[str, bytes] = {
    "empty": b"",
    "no JSON": b'{"records": [',
    "not UTF-8": b'{"a": "\xff\xfe"}',
    "null": b"null",
    "a number": b"1e400",
    "a text": b'"records"',
    "an empty list": b"[]",
    "an empty object": b"{}",
    "lists 5,000 deep": b"[" * _DEEP + b"]" * _DEEP,
    "objects 5,000 deep": b'{"records":' * _DEEP + b"1" + b"}" * _DEEP,
    "a megabyte": b'{"records": "' + b"x" * 1_000_000 + b'"}',
}
INSIDE: Mapping[str, str] = {
    "NUL": '"\\u0000"',
    "half a character": '"\\ud800"',
    "NaN": "NaN",
    "1e400": "1e400",
    "10^400": "1" + "0" * 400,
    "10^5000": "1" + "0" * 5000,
    "5,000 deep": "[" * _DEEP + "]" * _DEEP,
    "a long text": '"' + "x" * 100_000 + '"',
    "null": "null",
    "true": "true",
    "a number": "-7",
    "an empty text": '""',
    "an empty list": "[]",
    "an empty object": "{}",
    "a list": '[[1], {"a": null}]',
    "no date": '"2026-99-99T99:99:99Z"',
}
#: No reader of JSON gets past these, so that what stands beside them in one body can't be told from them.
_FOR_ALL = frozenset({"NaN", "half a character", "10^5000", "5,000 deep"})
_TOKEN = "@@poison@@"  # noqa: S105 # a mark in a text, no secret
_ITEMS_KEPT = 3
_PLACES = 30
_POISONS_A_PLACE = 5
_KINDS = 14


def poison(bench: Bench, checks: Checks) -> None:
    """Understands or names what is wrong, whatever a message holds, and lets its other items stand."""
    source = bench.samples.source
    for message in _kinds(bench.samples.messages):
        for name, body in WHOLE.items():
            _taken(checks, f"whole: {name}", source, Message(message.call, body, message.received_at))
        for path, name, body, rest in _poisoned(message):
            poisoned = Message(message.call, body, message.received_at)
            found = _taken(checks, f"inside: {name}", source, poisoned, where=path)
            if found is not None and rest is not None:
                others = facts(each for each in read(source, rest) if not isinstance(each, Misunderstood))
                lost = others - facts(found)
                checks.holds("other items stand", not lost, f"{message.call}: {name} at {path} took others with it.")


def _kinds(messages: list[Message]) -> list[Message]:
    """One message of each kind and shape."""
    found: dict[tuple[str, frozenset[str]], Message] = {}
    for message in messages:
        content = _json(message.body)
        while isinstance(content, list) and content:
            content = content[0]
        shape = frozenset(content) if isinstance(content, dict) else frozenset[str]()
        found.setdefault((message.call, shape), message)
    return list(found.values())[:_KINDS]


def _taken(checks: Checks, name: str, source: Source, message: Message, where: str = "") -> list[Item] | None:
    at = f" at {where}" if where else ""
    try:
        found = read(source, message)
    except Exception as error:  # noqa: BLE001 # whatever a plugin raises is what is being found out
        checks.holds(name, False, f"{message.call}{at}: {told(error)} instead of Misunderstood.")
        return None
    strange = [type(each).__name__ for each in found if not isinstance(each, (*RECORDS, Misunderstood))]
    checks.holds(name, not strange, f"{message.call}{at}: gave {strange[:1]}, which is no record.")
    return found


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _poisoned(message: Message) -> Iterator[tuple[str, str, bytes, Message | None]]:
    """Where, with what, the body, and the same message without the item that is poisoned."""
    content = _json(message.body)
    names = list(INSIDE)
    if content is None:
        fields = parse_qsl(message.body.decode(errors="replace"))
        for number, (field, _) in enumerate(fields[:_PLACES]):
            for name in names[number % 3 :: 3]:
                spoilt = [(key, INSIDE[name] if key == field else value) for key, value in fields]
                yield field, name, urlencode(spoilt).encode(), None
        return
    content, rest = _shortened(content)
    others = None if rest is None else Message(message.call, json.dumps(rest).encode(), message.received_at)
    for number, path in enumerate(_paths(content)):
        if number >= _PLACES:
            return
        marked = json.dumps(_replaced(content, path))
        for turn in range(_POISONS_A_PLACE):
            name = names[(number + turn * (len(names) // _POISONS_A_PLACE)) % len(names)]
            is_first = rest is not None and _is_in_first(content, path) and name not in _FOR_ALL
            body = marked.replace(f'"{_TOKEN}"', INSIDE[name]).encode()
            yield ".".join(map(str, path)), name, body, others if is_first else None


def _shortened(content: Any) -> tuple[Any, Any | None]:
    """With few items; and the same without the first of them, where there are several."""
    if isinstance(content, list):
        return content[:_ITEMS_KEPT], content[1:_ITEMS_KEPT] if len(content) > 1 else None
    records = content.get("records") if isinstance(content, dict) else None
    if not isinstance(records, list):
        return content, None
    shorter = {**content, "records": records[:_ITEMS_KEPT]}
    return shorter, {**content, "records": records[1:_ITEMS_KEPT]} if len(records) > 1 else None


def _is_in_first(content: Any, path: tuple[Any, ...]) -> bool:
    start = (0,) if isinstance(content, list) else ("records", 0)
    return path[: len(start)] == start


def _paths(content: Any) -> Iterator[tuple[Any, ...]]:
    """Every place, the outer ones first; of a list's items the first alone."""
    waiting: deque[tuple[tuple[Any, ...], Any]] = deque([((), content)])
    while waiting:
        path, value = waiting.popleft()
        if path:
            yield path
        if isinstance(value, dict):
            waiting.extend(((*path, key), inner) for key, inner in value.items())
        elif isinstance(value, list) and value:
            waiting.append(((*path, 0), value[0]))


def _replaced(content: Any, path: tuple[Any, ...]) -> Any:
    if not path:
        return _TOKEN
    copy = list(content) if isinstance(content, list) else dict(content)
    copy[path[0]] = _replaced(content[path[0]], path[1:])
    return copy


_IMPURE = (
    (
        "the clock",
        re.compile(r"^(time\.(time|time_ns|monotonic|monotonic_ns|perf_counter)|datetime\.(now|utcnow|today))$"),
    ),
    ("the clock", re.compile(r"^date\.today$|^time\.(localtime|gmtime|sleep)$")),
    ("the network", re.compile(r"^socket\.|^_socket\.|\.(connect|getaddrinfo|sendall|recv)$")),
    ("chance", re.compile(r"^Random\.|^posix\.urandom$|^_random\.")),
    ("files", re.compile(r"^(io|_io)\.open|^posix\.open$")),
)
#: Those that write a log look at the clock for it, and may.
_EXCUSED = ("logging", "importlib", "_frozen_importlib", "linecache", "traceback")


@contextmanager
def watching() -> Iterator[list[str]]:
    """What is used in this thread that is no argument: clocks, sockets, chance and files."""
    used: list[str] = []

    def watch(frame: FrameType, event: str, argument: Any) -> None:
        if event != "c_call":
            return
        name = getattr(argument, "__name__", "")
        owner = getattr(argument, "__self__", None)
        home = getattr(owner, "__name__", None) or type(owner).__name__ if owner is not None else argument.__module__
        for what, pattern in _IMPURE:
            if pattern.search(f"{home}.{name}") and not _is_excused(frame):
                used.append(f"{what} ({home}.{name} in {frame.f_globals.get('__name__')})")

    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        yield used
    finally:
        sys.setprofile(before)


def _is_excused(frame: FrameType | None) -> bool:
    while frame is not None:
        if str(frame.f_globals.get("__name__", "")).startswith(_EXCUSED):
            return True
        frame = frame.f_back if frame.f_code.co_name != "read" else None
    return False


def purity(bench: Bench, checks: Checks) -> None:
    """Reads a message by itself: no clock, no network, no chance, and the same each time."""
    samples = bench.samples
    for message in _kinds(samples.messages):
        first = [fact(item) for item in read(samples.source, message)]
        with watching() as used:
            again = [fact(item) for item in read(samples.source, message)]
        checks.holds("the same each time", first == again, f"{message.call}: other records the second time.")
        checks.holds("by itself", not used, f"{message.call}: uses {', '.join(sorted(set(used))[:3])}.")


def vocabulary(bench: Bench, checks: Checks) -> None:
    """Brings only events that it has told of, under common words."""
    stated = [each.type for each in bench.service.vocabulary]
    found = {event.type for event in events(bench.samples.items)}
    found |= {f"deal.{item.result}" for item in bench.samples.items if isinstance(item, Outcome)}
    if not stated and not found:
        raise NotOffered("The plugin brings no events.")
    untold = sorted(found - set(stated))
    checks.holds("told of before", not untold, f"not in the vocabulary: {', '.join(untold)}.")
    twice = sorted({type for type in stated if stated.count(type) > 1})
    checks.holds("each word once", not twice, f"twice in the vocabulary: {', '.join(twice)}.")
    unfit = [type for type in stated if not re.fullmatch(r"[a-z0-9_]+(\.[a-z0-9_]+)*", type)]
    checks.holds("dotted and lower case", not unfit, f"no words of a vocabulary: {', '.join(unfit)}.")
    untitled = [each.type for each in bench.service.vocabulary if not each.title.strip()]
    checks.holds("titles", not untitled, f"without a title: {', '.join(untitled)}.")
