"""Why a record sent to our own API is refused: said so that its sender can mend it."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import msgspec

from assay_sdk.reading import explain, read_leniently

_UNKNOWN = re.compile(r"Object contains unknown field `(?P<name>.*?)`", re.DOTALL)
_LENGTH = re.compile(r"Expected `str` of length (?P<sign>[<>]=) (?P<limit>\d+)")
_PATH = re.compile(r" - at `(?:key in )?\$(?P<path>.*)`\Z", re.DOTALL)
_INSTANTS = ("occurred_at", "stated_at")
_LONGEST_FIELD = 200
_SHOWN = 60


@dataclass(frozen=True)
class Refusal:
    """One record that was not accepted."""

    #: Its place in the list, from 0.
    index: int
    #: The path inside the record; None when it is the record as a whole.
    field: str | None
    #: For programs; it stays the same.
    code: str
    message: str


def explained(raw: Any, error: Exception, type_: type[msgspec.Struct], index: int) -> Refusal:
    """Why ``raw`` could not be read as one of ``type_``."""
    field, code, message = _wrong(bytes(raw), error, type_)
    return Refusal(index, field[:_LONGEST_FIELD] if field else None, code, message)


def _wrong(raw: bytes, error: Exception, type_: type[msgspec.Struct]) -> tuple[str | None, str, str]:
    if not raw:
        return None, "malformed", "There is nothing between two commas; each record is a JSON object."
    try:
        found = read_leniently(raw)
    except RecursionError:
        return None, "too_deep", "The record is nested too deeply; at most 8 levels are accepted."
    except ValueError:
        return None, "malformed", f"The record is not valid JSON: {_reason(error)}."
    if poison := next(_poison(found, ""), None):
        return poison
    if isinstance(error, msgspec.ValidationError):
        return _misshapen(error, found, type_)
    return None, "malformed", f"The record can't be read: {_reason(error)}."


def _reason(error: Exception) -> str:
    return str(error).removeprefix("JSON is malformed: ")


def _poison(value: Any, path: str) -> Iterator[tuple[str | None, str, str]]:
    """Values that JSON libraries write although they are no JSON, or that nobody can hold."""
    here = path or "The record"
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _poison(name, path)
            yield from _poison(inner, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from _poison(inner, f"{path}[{place}]")
    elif isinstance(value, float) and not math.isfinite(value):
        yield path or None, "bad_number", f"{here} is NaN, infinite or out of range; send a finite number, or text."
    elif isinstance(value, int) and not -(2**63) <= value < 2**64:
        yield path or None, "bad_number", f"{here} is a whole number beyond 64 bits; send it as text."
    elif isinstance(value, str) and not _is_text(value):
        yield (
            _plain(path) or None,
            "bad_character",
            f"{_plain(here)} holds half a character or bytes that are not UTF-8; send whole Unicode text.",
        )


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _plain(text: str) -> str:
    return text.encode(errors="replace").decode()


def _misshapen(error: msgspec.ValidationError, found: Any, type_: type[msgspec.Struct]) -> tuple[str | None, str, str]:
    text = str(error)
    path = _PATH.search(text)
    field = path["path"].lstrip(".") if path else ""
    if "[...]" in field and isinstance(found, dict):
        field = _of_which(field.partition("[")[0], found)
    if unknown := _UNKNOWN.match(text):
        return _unknown(unknown["name"], field, type_)
    value = _at(found, field)
    if field in _INSTANTS:
        return (
            field,
            "bad_instant",
            f"{field} must be an instant with its offset, such as 2026-03-01T09:30:00Z, not {value!r:.{_SHOWN}}.",
        )
    if length := _LENGTH.match(text):
        if length["sign"] == ">=":
            return field, "empty", f"{field} is empty; send a text, or leave it out."
        return (
            field,
            "too_long",
            f"{field} has {len(value) if isinstance(value, str) else 'too many'} characters; "
            f"at most {length['limit']} are accepted.",
        )
    fault = explain(error)
    if text.startswith("Object missing"):
        return fault.field, "missing", f"{fault.field} is missing; it is needed."
    code = "wrong_type"
    if not field:
        return None, code, f"The record must be a JSON object, not {_kind(found)}."
    return field, code, fault.message.replace(fault.field or field, field)


def _unknown(name: str, within: str, type_: type[msgspec.Struct]) -> tuple[str, str, str]:
    known = _fields(type_, within)
    close = get_close_matches(name, known, 1)
    hint = f"; did you mean {close[0]}?" if close else "."
    field = f"{within}.{name}" if within else name
    return field, "unknown_field", f"There is no field {name[:_SHOWN]!r}. Accepted: {', '.join(known)}{hint}"


def _fields(type_: type[msgspec.Struct], within: str) -> list[str]:
    if within == "company":
        return ["id", "domain", "traits"]
    return [each.encode_name for each in msgspec.structs.fields(type_)]


def _of_which(name: str, found: dict[str, Any]) -> str:
    """Of the values of an object, the first that is no text of a fitting length."""
    inner = found.get(name)
    for key, value in inner.items() if isinstance(inner, dict) else ():
        if not isinstance(value, str) or not 1 <= len(value) <= 512:
            return f"{name}.{key}"
    return name


def _at(value: Any, path: str) -> Any:
    for step in path.split(".") if path else ():
        value = value.get(step) if isinstance(value, dict) else None
    return value


def _kind(value: Any) -> str:
    for type_, words in (
        (bool, "true or false"),
        (str, "text"),
        (int, "a number"),
        (float, "a number"),
        (list, "a list"),
    ):
        if isinstance(value, type_):
            return words
    return "null"
