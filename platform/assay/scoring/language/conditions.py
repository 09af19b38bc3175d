"""Reads a condition: `all` `any` `not` around comparisons of one trait or property."""

from collections.abc import Callable, Mapping
from typing import Any

import polars as pl
from marshmallow import ValidationError

from assay.scoring.language.model import Comparison, Condition, Every, Not, Scalar, Some, Subject
from assay.scoring.language.quantities import microseconds
from assay.scoring.language.words import LATER_IN_CONDITION, unknown_word

Errors = dict[str | int, Any]

MOST_PATTERN = 500
MOST_LISTED = 10_000
MOST_NAME = 200
_JOINTS = ("all", "any", "not")


def read_condition(value: object, subject: Subject) -> Condition:
    """The condition, or a ValidationError whose messages stand at their places in the document."""
    if not isinstance(value, Mapping):
        hint = "; put several into {all: […]} or {any: […]}" if isinstance(value, list) else ""
        raise ValidationError(f"must be a condition such as {{{subject}: name, is: value}}{hint}")
    joints = [word for word in value if word in _JOINTS]
    if not joints:
        return _read_comparisons(value, subject)
    if len(value) > 1:
        raise ValidationError(
            {word: ["'all', 'any' and 'not' stand alone; nest one condition in another"] for word in value}
        )
    (joint,) = joints
    return _read_joint(joint, value[joint], subject)


def _read_joint(joint: str, value: object, subject: Subject) -> Condition:
    if joint == "not":
        return Not(_at(joint, lambda: read_condition(value, subject)))
    if not isinstance(value, list) or not value:
        raise ValidationError({joint: ["must be a list of at least one condition"]})
    parts: list[Condition] = []
    errors: Errors = {}
    for index, part in enumerate(value):
        try:
            parts.append(read_condition(part, subject))
        except ValidationError as error:
            errors[index] = error.messages
    if errors:
        raise ValidationError({joint: errors})
    return Every(tuple(parts)) if joint == "all" else Some(tuple(parts))


def _read_comparisons(value: Mapping[str, Any], subject: Subject) -> Condition:
    errors: Errors = {}
    other: Subject = "property" if subject == "trait" else "trait"
    if other in value:
        place = "'when' reads traits of the lead" if subject == "trait" else "'where' reads properties of the event"
        errors[other] = [f"{place}: write {subject!r}"]
    elif subject not in value and not any(word in LATER_IN_CONDITION for word in value):
        errors[subject] = [f"is missing: name the {subject} to compare"]
    name = value.get(subject)
    if subject in value and not (isinstance(name, str) and name.strip() and len(name) <= MOST_NAME):
        errors[subject] = [f"must be the name of a {subject}, at most {MOST_NAME} characters"]
    found: list[Comparison] = []
    for word, operand in value.items():
        if word in ("trait", "property"):
            continue
        if word not in WORDS:
            errors[word] = [unknown_word(word, [subject, *WORDS, *_JOINTS], LATER_IN_CONDITION)]
            continue
        try:
            found.append(Comparison(subject, str(name), word, WORDS[word](operand)))
        except ValidationError as error:
            errors[word] = error.messages
        except ValueError as error:
            errors[word] = [str(error)]
    if errors:
        raise ValidationError(errors)
    if not found:
        raise ValidationError(f"compares nothing: add one of {', '.join(WORDS)}")
    return found[0] if len(found) == 1 else Every(tuple(found))


def _at(key: str, read: Callable[[], Condition]) -> Condition:
    try:
        return read()
    except ValidationError as error:
        raise ValidationError({key: error.messages}) from None


def _scalar(value: object) -> Scalar:
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
    errors: Errors = {}
    for index, item in enumerate(value):
        try:
            found.append(_scalar(item))
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


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def _pattern(value: object) -> str:
    pattern = _text(value)
    if len(pattern) > MOST_PATTERN:
        raise ValueError(f"has {len(pattern)} characters; a pattern may have at most {MOST_PATTERN}")
    try:
        # The engine's own matcher decides; it is linear in the text, so a pattern it takes can't stall it.
        pl.Series([""]).str.contains(pattern, strict=True)
    except pl.exceptions.ComputeError as error:
        text = str(error)
        if "size limit" in text:
            raise ValueError("is a pattern that needs too much memory; write fewer repetitions") from None
        last = next((line for line in text.splitlines() if line.startswith("error:")), text.splitlines()[0])
        raise ValueError(f"is not a pattern this engine can match: {last.removeprefix('error: ')}") from None
    return pattern


#: Each word of a comparison and how its operand is read.
WORDS: dict[str, Callable[[object], Scalar | tuple[Scalar, ...]]] = {
    "is": _scalar,
    "is_not": _scalar,
    "in": _several,
    "not_in": _several,
    "contains": _scalar,
    "starts_with": _text,
    "ends_with": _text,
    "matches": _pattern,
    "gt": _number,
    "gte": _number,
    "lt": _number,
    "lte": _number,
    "between": _range,
    "exists": _flag,
    "within": microseconds,
    "older_than": microseconds,
    "is_valid_email": _flag,
    "is_free_email": _flag,
    "is_disposable_email": _flag,
    "looks_fake": _flag,
}
