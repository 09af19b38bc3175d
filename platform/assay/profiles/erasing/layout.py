"""A kept request as a list of items, so that some can go and the others stay byte for byte: pure.

The items of a request are the elements of its lists on the uppermost level: of the body itself, or of an object's
members. What is cut is looked for by brackets and quotation marks alone: an item with a NaN or half a letter in it does
not keep its neighbours from being told apart.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

# A text that never ends is one token too: looked for its end at each of its quotes, it would take the square of time.
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*+\\?(?:"|\Z)|[\[\]{},:]', re.DOTALL)


@dataclass(frozen=True)
class Member:
    """Part of a body: a value, or a list with its items; ``key`` with its quotation marks, None in a bare list."""

    key: bytes | None
    value: bytes
    items: list[bytes] | None = None

    def written(self) -> bytes:
        value = self.value if self.items is None else b"[" + b",".join(self.items) + b"]"
        return value if self.key is None else self.key + b":" + value


@dataclass(frozen=True)
class Layout:
    """``members`` of an object, or the one list that the body is."""

    is_object: bool
    members: list[Member] = field(default_factory=list)

    def written(self) -> bytes:
        inner = b",".join(member.written() for member in self.members)
        return b"{" + inner + b"}" if self.is_object else inner

    def places(self) -> Iterator[tuple[int, int]]:
        """Of each item: its member's number, and its own in it."""
        for number, member in enumerate(self.members):
            for place in range(len(member.items or ())):
                yield number, place

    def having(self, items: Callable[[int], list[bytes] | None]) -> "Layout":
        """With other items in each list; None leaves a list as it is."""
        members = [
            member if member.items is None or (new := items(number)) is None else Member(member.key, b"", new)
            for number, member in enumerate(self.members)
        ]
        return Layout(self.is_object, members)


def layout_of(body: bytes) -> Layout | None:
    """None for what is neither an object nor a list from its beginning to its end."""
    body = body.strip()
    if body[:1] == b"[":
        items = _parts(body)
        return None if items is None else Layout(False, [Member(None, b"", items)])
    if body[:1] != b"{" or (parts := _parts(body)) is None:
        return None
    members = []
    for part in parts:
        key, value = _member(part)
        if key is None:
            return None
        items = _parts(value) if value[:1] == b"[" else None
        members.append(Member(key, value, items))
    return Layout(True, members)


def _parts(body: bytes) -> list[bytes] | None:
    """What stands between the commas of the outermost brackets; None where these do not close at the end."""
    depth, start, end = 0, 1, -1
    parts: list[bytes] = []
    for token in _TOKEN.finditer(body):
        sign = token[0]
        if sign in (b"[", b"{"):
            depth += 1
        elif sign in (b"]", b"}"):
            depth -= 1
            if depth == 0:
                end = token.end()
                break
        elif sign == b"," and depth == 1:
            parts.append(body[start : token.start()].strip())
            start = token.end()
    if end != len(body):
        return None
    last = body[start : end - 1].strip()
    return [*parts, last] if parts or last else []


def _member(part: bytes) -> tuple[bytes | None, bytes]:
    tokens = _TOKEN.finditer(part)
    key, colon = next(tokens, None), next(tokens, None)
    if key is None or colon is None or key.start() != 0 or not key[0].startswith(b'"') or colon[0] != b":":
        return None, b""
    return key[0], part[colon.end() :].strip()
