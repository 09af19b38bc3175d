"""marshmallow fields that speak of models: points, durations, names, event types, conditions."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from marshmallow import Schema, ValidationError, fields

from assay.scoring.language.conditions import read_condition
from assay.scoring.language.model import Condition, Subject
from assay.scoring.language.quantities import MOST_POINTS, MOST_SUM, microseconds, thousandths

MISSING: dict[str, Any] = {"required": "is missing", "null": "must have a value"}
_NAME = re.compile(r"[^\W_][\w.-]{0,99}")
MOST_TYPES = 1000
_EVENT_TYPE = re.compile(r"[^\sA-Z*\[\]{},]{1,200}")


class Points(fields.Field[int]):
    default_error_messages = MISSING
    most = MOST_POINTS

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> int:
        try:
            return thousandths(value, most=self.most)
        except ValueError as error:
            raise ValidationError(str(error)) from None


class Sum(Points):
    """A cap, a bound of the scale, a threshold."""

    most = MOST_SUM


class Duration(fields.Field[int]):
    default_error_messages = MISSING

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> int:
        try:
            return microseconds(value)
        except ValueError as error:
            raise ValidationError(str(error)) from None


class Name(fields.Field[str]):
    """An id: it is stored, linked and shown, so it keeps to letters, digits, `_`, `-` and `.`."""

    default_error_messages = MISSING

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        return name(value)


def name(value: object) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise ValidationError(
            "must be a name of letters, digits, '_', '-' and '.', beginning with a letter or digit, "
            "at most 100 characters"
        )
    return value


class Text(fields.Field[str]):
    default_error_messages = MISSING

    def __init__(self, *, most: int, **kwargs: Any) -> None:
        self.most = most
        super().__init__(**kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        if not isinstance(value, str) or not value.strip():
            raise ValidationError("must be text")
        if len(value) > self.most:
            raise ValidationError(f"has {len(value)} characters; at most {self.most} are accepted")
        return value


class Flag(fields.Field[bool]):
    default_error_messages = MISSING

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> bool:
        if not isinstance(value, bool):
            raise ValidationError("must be true or false")
        return value


class Whole(fields.Field[int]):
    default_error_messages = MISSING

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 1_000_000:
            raise ValidationError("must be a whole number from 1 to 1,000,000")
        return value


class EventTypes(fields.Field[tuple[str, ...]]):
    """One event type or a list of them; each once, in the order given."""

    default_error_messages = MISSING

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> tuple[str, ...]:
        if isinstance(value, str):
            return (_event_type(value),)
        if not isinstance(value, list) or not value:
            raise ValidationError("must be an event type such as page.viewed, or a list of them")
        if len(value) > MOST_TYPES:
            raise ValidationError(f"lists {len(value):,} event types; at most {MOST_TYPES:,} are accepted")
        found: list[str] = []
        errors: dict[int, list[str]] = {}
        for index, item in enumerate(value):
            try:
                event_type = _event_type(item)
                if event_type in found:
                    errors[index] = [f"{event_type} is listed twice"]
                found.append(event_type)
            except ValidationError as error:
                errors[index] = error.messages  # type: ignore[assignment] # lists, as raised
        if errors:
            raise ValidationError(errors)
        return tuple(found)


def _event_type(value: object) -> str:
    if isinstance(value, str) and _EVENT_TYPE.fullmatch(value):
        return value
    hint = ""
    if isinstance(value, str) and value.split() and "*" not in value:
        hint = f"; did you mean {'.'.join(value.lower().split())!r}?"
    raise ValidationError(f"must be an event type in lower case with dots, such as page.viewed{hint}")


class When(fields.Field[Condition]):
    default_error_messages = MISSING

    def __init__(self, subject: Subject, **kwargs: Any) -> None:
        self.subject = subject
        super().__init__(**kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Condition:
        return read_condition(value, self.subject)


class Named(fields.Field[Any]):
    """A mapping of names to one schema; errors stand at the name itself."""

    default_error_messages = MISSING

    def __init__(self, nested: Callable[[], Schema], make: Callable[..., Any], **kwargs: Any) -> None:
        self.nested = nested
        self.make = make
        super().__init__(**kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        if not isinstance(value, Mapping):
            raise ValidationError("must be a mapping of names")
        schema = self.nested()
        found: list[Any] = []
        errors: dict[str, Any] = {}
        for key, item in value.items():
            try:
                found.append(self.make(name=name(key), **schema.load({} if item is None else item)))
            except ValidationError as error:
                errors[key] = error.messages
        if errors:
            raise ValidationError(errors)
        return tuple(found)
