"""The records of a page as it was kept, each by itself: one that can't be read takes no other with it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from assay_sdk import Misunderstood
from assay_sdk.reading import read_leniently

_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)
_START = re.compile(rb'"records"\s*:\s*\[')


class _Page(msgspec.Struct):
    records: list[msgspec.Raw]


_page = msgspec.json.Decoder(_Page)


def rows(body: bytes) -> Sequence[bytes]:
    """The records as they are written; raises Misunderstood when there are none to be found."""
    try:
        return [bytes(raw) for raw in _page.decode(body).records]
    except RecursionError:
        return list(_by_brackets(body))
    except ValueError as error:
        raise Misunderstood(f"The page can't be read: {error}.") from None


def _by_brackets(body: bytes) -> Iterator[bytes]:
    """The objects of the list of records, however deeply one of them is nested."""
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


def record(raw: bytes) -> Mapping[str, Any]:
    """One of them, read."""
    try:
        found = read_leniently(raw)
    except (ValueError, RecursionError) as error:
        raise Misunderstood(f"The record can't be read: {error}.") from None
    if not isinstance(found, dict):
        raise Misunderstood("The record is not an object.")
    return found
