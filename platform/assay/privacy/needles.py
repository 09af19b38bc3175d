"""A person's identifiers, looked for in whatever tables hold."""

import gzip
import json
import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
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
# In lower case. JSON may write any letter as a number, and a slash with a backslash; JSON in a text of JSON has more.
_ESCAPED = re.compile(r"\\+(?:u([0-9a-f]{4})|/)")
# Of JSON that was cut off: what is whole of it.
_PAIR = re.compile(r'("(?:[^"\\]|\\.)*+")\s*:\s*("(?:[^"\\]|\\.)*+"|-?\d+)')


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
        """Whether each may hold one of them. One with an escaped letter may hold anything."""
        lowered = [text.lower() for text in texts]
        if len(self.patterns) <= _MANY:
            return [any(pattern in text for pattern in self.patterns) or _is_escaped(text) for text in lowered]
        import polars as pl

        found = pl.Series(lowered, dtype=pl.String).str.contains_any(self.patterns).to_list()
        return [hit or _is_escaped(text) for hit, text in zip(found, lowered, strict=True)]

    def names(self, value: Any) -> bool:
        """Of a text, bytes or a tree of JSON."""
        if value is None:
            return False
        if isinstance(value, bytes | memoryview):
            return self.names(inflated(bytes(value)).decode(errors="replace"))
        if isinstance(value, str):
            return self._in_text(value) or self._in_json(value)
        return names_them(value, self.keys) or self._in_text(json.dumps(value, ensure_ascii=False))

    def _in_json(self, text: str) -> bool:
        """What a text says that is JSON, or its beginning: there a short identifier stands behind its name."""
        if text.lstrip()[:1] not in ("{", "["):
            return False
        try:
            told: Any = [read_leniently(text.encode(errors="surrogatepass"))]
        except (ValueError, RecursionError):
            told = list(_pairs(text))
        return names_them(told, self.keys)

    def _in_text(self, text: str) -> bool:
        text = unescaped(text.lower())
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


def unescaped(text: str) -> str:
    """Of a text in lower case: letters that JSON wrote as numbers as they are."""
    if "\\" not in text:
        return text
    plain = _ESCAPED.sub(lambda found: chr(int(found[1], 16)) if found[1] else "/", text)
    # What lies above the sixteenth bit comes as two halves.
    return plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace").lower()


def _is_escaped(text: str) -> bool:
    return "\\u" in text or "\\/" in text


def _pairs(text: str) -> Iterator[dict[str, Any]]:
    for name, value in _PAIR.findall(text):
        with suppress(ValueError):
            yield {json.loads(name, strict=False): json.loads(value, strict=False)}


def _ways(value: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys((value.lower(), quote(value, safe="").lower())))
