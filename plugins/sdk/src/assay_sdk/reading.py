"""Reading JSON as senders really write it, and saying in words what is wrong with it."""

import json
import math
import re
from typing import NamedTuple

import msgspec

_NAMES = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "object": "an object",
    "array": "a list",
    "null": "null",
}
_EXPECTED = re.compile(r"Expected `(?P<expected>[^`]+)`(?:, got `(?P<got>[^`]+)`)?")
_MISSING = re.compile(r"Object missing required field `(?P<name>[^`]+)`")
_PATH = re.compile(r" - at `\$(?P<path>.*)`\Z", re.DOTALL)
# Longer ones are no numbers that anybody counts with, and reading them takes time that grows with their square.
_LONGEST_NUMBER = 1000


class Fault(NamedTuple):
    """What is wrong with a document.

    Attributes:
        field: the path of the field at fault, such as ``batch[3].userId``; None when it is the document as a whole.
        message: one sentence: what was wrong, and what is accepted.
    """

    field: str | None
    message: str


def explain(error: msgspec.ValidationError, *, at: str = "") -> Fault:
    """Puts msgspec's refusal into words for the sender; ``at`` is the path of the part that was read."""
    text = str(error)
    path = _PATH.search(text)
    field = (at + path["path"] if path else at).lstrip(".")
    what = text[: path.start()] if path else text
    if missing := _MISSING.fullmatch(what):
        field = f"{field}.{missing['name']}".lstrip(".")
        return Fault(field, f"{field} is missing.")
    subject = field or "The document"
    if expected := _EXPECTED.fullmatch(what):
        got = f", not {_named(expected['got'])}" if expected["got"] else ""
        return Fault(field or None, f"{subject} must be {_named(expected['expected'])}{got}.")
    return Fault(field or None, f"{subject} is not accepted: {what[:1].lower()}{what[1:]}.")


def _named(types: str) -> str:
    *others, last = sorted((_NAMES.get(name, name) for name in types.split(" | ")), key=lambda name: name == "null")
    return f"{', '.join(others)} or {last}" if others else last


def read_leniently(body: bytes) -> object:
    """Reads JSON with the mistakes that common libraries make, for a batch of which one item has one.

    NaN, infinities and numbers out of range come as floats that are not finite, and bytes that are not UTF-8 as lone
    surrogates; the platform refuses the records that hold one, and no others.

    Raises:
        ValueError: it is no JSON even so.
        RecursionError: it is nested too deeply.
    """
    return json.loads(body.decode("utf-8", "surrogateescape"), parse_int=_whole_number)


def _whole_number(digits: str) -> int | float:
    return int(digits) if len(digits) <= _LONGEST_NUMBER else math.inf
