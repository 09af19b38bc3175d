"""The words of a comparison: how the operand of each is read, what it means, and its JSON Schema."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import polars as pl
from marshmallow import ValidationError

from assay.scoring.language.fields import FORMULA, Duration, JsonSchema
from assay.scoring.language.model import Scalar
from assay.scoring.language.quantities import microseconds

MOST_PATTERN = 500
MOST_LISTED = 10_000


@dataclass(frozen=True)
class Word:
    """`read` raises ValueError or ValidationError; `doc` completes «true when the value …»."""

    read: Callable[[object], Scalar | tuple[Scalar, ...]]
    takes: str
    schema: JsonSchema
    doc: str
    example: str


def scalar(value: object) -> Scalar:
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        raise ValueError("must be a finite number, text, true or false")
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    if isinstance(value, str) and not value.strip():
        raise ValueError("must not be empty: a missing or empty value is asked for with exists: false")
    if value is None:
        raise ValueError("must have a value: a missing one is asked for with exists: false")
    if isinstance(value, (str, int, float)):
        return value
    raise ValueError("must be one text, number, true or false; several belong under 'in'")


def _several(value: object) -> tuple[Scalar, ...]:
    if not isinstance(value, list) or not value:
        raise ValueError("must be a list of at least one value")
    if len(value) > MOST_LISTED:
        raise ValueError(f"lists {len(value):,} values; at most {MOST_LISTED:,} are accepted")
    found: list[Scalar] = []
    errors: dict[int, Any] = {}
    for index, item in enumerate(value):
        try:
            found.append(scalar(item))
        except ValueError as error:
            errors[index] = [str(error)]
    if errors:
        raise ValidationError(errors)
    return tuple(found)


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("must be text of at least one character")
    return value


def _number(value: object) -> int | float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError("must be a number")
    if value != value or abs(value) > 1e300:
        raise ValueError("must be a finite number")
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value


def _range(value: object) -> tuple[Scalar, ...]:
    if not isinstance(value, list) or len(value) != 2:
        raise ValueError("must be two numbers [lowest, highest], both included")
    low, high = _number(value[0]), _number(value[1])
    if low > high:
        raise ValueError(f"the lowest ({low}) is above the highest ({high})")
    return low, high


def flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def _pattern(value: object) -> str:
    pattern = _text(value)
    if len(pattern) > MOST_PATTERN:
        raise ValueError(f"has {len(pattern)} characters; a pattern may have at most {MOST_PATTERN}")
    _compile(pattern)
    return pattern


# Ten thousand rules often share a handful of patterns.
@lru_cache(maxsize=1000)
def _compile(pattern: str) -> None:
    try:
        # The engine's own matcher decides; it is linear in the text, so a pattern it takes can't stall it.
        pl.Series([""]).str.contains(pattern, strict=True)
    except pl.exceptions.ComputeError as error:
        text = str(error)
        if "size limit" in text:
            raise ValueError("is a pattern that needs too much memory; write fewer repetitions") from None
        last = next((line for line in text.splitlines() if line.startswith("error:")), text.splitlines()[0])
        raise ValueError(f"is not a pattern this engine can match: {last.removeprefix('error: ')}") from None


_TEXT: JsonSchema = {"type": "string", "minLength": 1}
_SCALAR: JsonSchema = {"type": ["string", "number", "boolean"], "minLength": 1}
_LIST: JsonSchema = {"type": "array", "minItems": 1, "maxItems": MOST_LISTED, "items": _SCALAR}
_NUMBER: JsonSchema = {"type": ["number", "string"], "pattern": FORMULA}
_PAIR: JsonSchema = {"type": "array", "minItems": 2, "maxItems": 2, "items": _NUMBER}
_DURATION: JsonSchema = Duration().json_schema()
_FLAG: JsonSchema = {"type": "boolean"}
_PATTERN: JsonSchema = {"type": "string", "minLength": 1, "maxLength": MOST_PATTERN + 1}

#: Each word of a comparison.
WORDS: dict[str, Word] = {
    "is": Word(scalar, "value", _SCALAR, "is this text, number, `true` or `false`", "{trait: title, is: Owner}"),
    "is_not": Word(scalar, "value", _SCALAR, "is known and is something else", "{trait: title, is_not: Student}"),
    "in": Word(_several, "list of values", _LIST, "is one of the list", "{trait: country, in: [CH, VN]}"),
    "not_in": Word(
        _several, "list of values", _LIST, "is known and is none of the list", "{trait: country, not_in: [US]}"
    ),
    "contains": Word(scalar, "value", _SCALAR, "has this text in it", "{trait: title, contains: finance}"),
    "starts_with": Word(_text, "text", _TEXT, "begins with this text", "{trait: website, starts_with: https}"),
    "ends_with": Word(_text, "text", _TEXT, "ends with this text", "{trait: website, ends_with: .vn}"),
    "matches": Word(
        _pattern,
        "pattern",
        _PATTERN,
        "has a part that this regular expression describes",
        '{trait: title, matches: "^C[EF]O$"}',
    ),
    "gt": Word(_number, "number", _NUMBER, "is above this number", "{trait: company.employees, gt: 25}"),
    "gte": Word(_number, "number", _NUMBER, "is this number or above", "{trait: company.employees, gte: 25}"),
    "lt": Word(_number, "number", _NUMBER, "is below this number", "{trait: company.employees, lt: 5}"),
    "lte": Word(_number, "number", _NUMBER, "is this number or below", "{trait: company.employees, lte: 5}"),
    "between": Word(
        _range, "two numbers", _PAIR, "lies between two numbers, both included", "{trait: age, between: [25, 45]}"
    ),
    "exists": Word(
        flag, "`true` or `false`", _FLAG, "is known (`true`) or missing (`false`)", "{trait: phone, exists: true}"
    ),
    "within": Word(
        microseconds,
        "duration",
        _DURATION,
        "is a date less than this long ago, and not in the future",
        "{trait: trial_started_at, within: 14d}",
    ),
    "older_than": Word(
        microseconds,
        "duration",
        _DURATION,
        "is a date at least this long ago",
        "{trait: last_order_at, older_than: 60d}",
    ),
    "is_valid_email": Word(
        flag,
        "`true` or `false`",
        _FLAG,
        "could be an e-mail address (`qwqwqw@k.c` could not)",
        "{trait: email, is_valid_email: false}",
    ),
    "is_free_email": Word(
        flag,
        "`true` or `false`",
        _FLAG,
        "is an address at a provider anybody can join",
        "{trait: email, is_free_email: true}",
    ),
    "is_disposable_email": Word(
        flag,
        "`true` or `false`",
        _FLAG,
        "is an address thrown away after one message",
        "{trait: email, is_disposable_email: true}",
    ),
    "looks_fake": Word(
        flag,
        "`true` or `false`",
        _FLAG,
        "looks made up: `asdf`, `test`, `n/a`, `xxx`, `qwqwqw`, `---`; of an address, its part before the @",
        "{trait: company.name, looks_fake: true}",
    ),
}
