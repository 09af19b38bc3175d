"""A person's identifiers, looked for in whatever tables hold."""

import gzip
import json
import re
import zlib
from collections.abc import Sequence
from functools import cached_property
from typing import Any
from urllib.parse import quote

from assay.profiles.erasing.naming import is_telling, names_them
from assay.profiles.matching import Key
from assay_sdk.reading import read_leniently

# From here on all are looked for at once instead of one after the other.
_MANY = 16
_GZIP = b"\x1f\x8b"
_LARGEST_INFLATED = 64 * 1024 * 1024


class Needles:
    """``rough`` passes over most of what has nothing; ``names`` looks at the rest closely."""

    def __init__(self, keys: frozenset[Key]) -> None:
        self.keys = keys

    @cached_property
    def patterns(self) -> list[str]:
        """Ways to write each identifier, in lower case: as it is, escaped in JSON, escaped in an address."""
        found: dict[str, None] = {}
        for _, value in sorted(self.keys):
            for way in (value, json.dumps(value)[1:-1], quote(value, safe="")):
                found[way.lower()] = None
        return list(found)

    @cached_property
    def _telling(self) -> re.Pattern[str] | None:
        ways = [re.escape(way) for _, value in sorted(self.keys) if is_telling(value) for way in _ways(value)]
        if not ways or len(ways) > 4 * _MANY:
            return None
        return re.compile(rf"(?<![0-9a-z])(?:{'|'.join(ways)})(?![0-9a-z])")

    @cached_property
    def _many(self) -> frozenset[str]:
        return frozenset(way for _, value in self.keys if is_telling(value) for way in _ways(value))

    def rough(self, texts: Sequence[str]) -> list[bool]:
        """Whether each may hold one of them. One with a backslash may hold anything, escaped in its own way."""
        lowered = [text.lower() for text in texts]
        if len(self.patterns) <= _MANY:
            return [any(pattern in text for pattern in self.patterns) or "\\u" in text for text in lowered]
        import polars as pl

        found = pl.Series(lowered, dtype=pl.String).str.contains_any(self.patterns).to_list()
        return [hit or "\\u" in text for hit, text in zip(found, lowered, strict=True)]

    def names(self, value: Any) -> bool:
        """Of a text, bytes or a tree of JSON."""
        if value is None:
            return False
        if isinstance(value, bytes | memoryview):
            return self._in_bytes(bytes(value))
        if isinstance(value, str):
            return self._in_text(value)
        return names_them(value, self.keys) or self._in_text(json.dumps(value, ensure_ascii=False))

    def _in_bytes(self, body: bytes) -> bool:
        body = inflated(body)
        if body[:1] in (b"{", b"["):
            try:
                return self.names(read_leniently(body))
            except (ValueError, RecursionError):
                pass
        return self._in_text(body.decode(errors="replace"))

    def _in_text(self, text: str) -> bool:
        text = text.lower()
        if self._telling is not None:
            return self._telling.search(text) is not None
        return bool(self._many) and not self._many.isdisjoint(re.findall(r"[^\s\"'<>,;()\[\]{}=&?]+", text))


def inflated(body: bytes) -> bytes:
    """As it reads where it is packed with gzip; of a part of a packed file, as it is."""
    if body[:2] != _GZIP:
        return body
    try:
        return gzip.decompress(body) if len(body) < _LARGEST_INFLATED else body
    except (OSError, EOFError, zlib.error):
        return body


def _ways(value: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys((value.lower(), quote(value, safe="").lower())))
