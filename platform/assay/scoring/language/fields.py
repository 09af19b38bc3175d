"""marshmallow fields that speak of models: points, durations, names, event types.

Each tells its own JSON Schema, and in a few words what it takes, for the reference page.
"""

import re
from abc import abstractmethod
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar

from marshmallow import ValidationError, fields

from assay.scoring.language.quantities import (
    DURATION,
    LONGEST,
    MOST_POINTS,
    MOST_SUM,
    microseconds,
    thousandths,
)
from assay.scoring.language.words import listed, unknown_word

MISSING: dict[str, Any] = {"required": "is missing", "null": "must have a value"}
MOST_TYPES = 1000
#: Event types of ours, such as what people adjust; no model reads them directly.
RESERVED = "assay."
#: Those an example may tell of.
JUDGED = ("assay.judgement", "assay.judgement_withdrawn")

_NAME = r"[^\W_][\w.-]{0,99}"
_EVENT_TYPE = r"[^\sA-Z*\[\]{},]{1,200}"
_PERCENTAGE = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,3})?)%")
_NUMERAL = r"-?[0-9]{1,10}(\.[0-9]{1,3})?"
FORMULA = "^="

JsonSchema = dict[str, Any]


def told(doc: str, example: str) -> dict[str, str]:
    """The metadata of a word: what it means, and a part of a document that uses it."""
    return {"doc": doc, "example": example}


class Spoken(fields.Field[Any]):
    """A field that says in words what it takes."""

    default_error_messages = MISSING
    takes: ClassVar[str] = ""

    def in_words(self) -> str:
        return self.takes


class Told(Spoken):
    """A field that tells its JSON Schema too."""

    @abstractmethod
    def json_schema(self) -> JsonSchema:
        """What of its values an editor can know."""


class Points(Told):
    takes = "number"
    most = MOST_POINTS

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> int:
        try:
            return thousandths(value, most=self.most)
        except ValueError as error:
            raise ValidationError(str(error)) from None

    def json_schema(self) -> JsonSchema:
        return {"type": ["number", "string"], "minimum": -self.most, "maximum": self.most, "pattern": FORMULA}


class Sum(Points):
    """A cap, a bound of the scale, a threshold."""

    most = MOST_SUM


class Positive(Points):
    most = MOST_SUM

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> int:
        found = super()._deserialize(value, attr, data, **kwargs)
        if found <= 0:
            raise ValidationError("must be above 0")
        return found

    def json_schema(self) -> JsonSchema:
        schema = super().json_schema()
        del schema["minimum"]
        return schema | {"exclusiveMinimum": 0}


class Milestone(Positive):
    most = MOST_POINTS


class Duration(Told):
    takes = "duration"

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> int:
        try:
            return microseconds(value)
        except ValueError as error:
            raise ValidationError(str(error)) from None

    def json_schema(self) -> JsonSchema:
        return {"type": "string", "pattern": f"^({DURATION.pattern}|=.*)$"}


class Moment(Duration):
    """Time since day 0 of an example; `0d` is day 0 itself."""

    takes = "time since day 0"

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> int:
        match = DURATION.fullmatch(value) if isinstance(value, str) else None
        if match and int(match[1]) == 0:
            return 0
        if isinstance(value, str) and value.startswith("-"):
            raise ValidationError("must not lie before day 0; let 'first_seen' and everything else begin later")
        return super()._deserialize(value, attr, data, **kwargs)


class Percentage(Told):
    """Thousandths of a percent."""

    takes = "percentage"

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> int:
        match = _PERCENTAGE.fullmatch(value) if isinstance(value, str) else None
        found = int(Decimal(match[1]).scaleb(3)) if match else 0
        if not 0 < found <= 100_000:
            raise ValidationError("must be a percentage above 0% and at most 100%, such as 15%")
        return found

    def json_schema(self) -> JsonSchema:
        return {"type": "string", "pattern": f"^({_PERCENTAGE.pattern}|=.*)$"}


class Numeral(Told):
    """The text of a number as it was written: its decimal places tell how precisely to compare."""

    takes = "number"

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        if isinstance(value, str) and re.fullmatch(_NUMERAL, value):
            return value
        try:
            exact = thousandths(value, most=MOST_SUM)
        except ValueError as error:
            raise ValidationError(str(error)) from None
        return str(value) if re.fullmatch(_NUMERAL, str(value)) else str(Decimal(exact).scaleb(-3))

    def json_schema(self) -> JsonSchema:
        bounds = {"minimum": -MOST_SUM, "maximum": MOST_SUM}
        return {"type": ["number", "string"], **bounds, "pattern": f"^({_NUMERAL}|=.*)$"}


class Name(Told):
    """An id: it is stored, linked and shown, so it keeps to letters, digits, `_`, `-` and `.`."""

    takes = "name"

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        return name(value)

    def json_schema(self) -> JsonSchema:
        return {"type": "string", "minLength": 1, "maxLength": 100}


def name(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(_NAME, value):
        raise ValidationError(
            "must be a name of letters, digits, '_', '-' and '.', beginning with a letter or digit, "
            "at most 100 characters"
        )
    return value


class Names(Told):
    """A list of names, each once."""

    takes = "list of names"

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> tuple[str, ...]:
        if not isinstance(value, list) or not value:
            raise ValidationError("must be a list of at least one name")
        found: list[str] = []
        errors: dict[int, list[Any]] = {}
        for index, item in enumerate(value):
            try:
                found.append(name(item))
            except ValidationError as error:
                errors[index] = [*error.messages]
                continue
            if item in found[:-1]:
                errors[index] = [f"{item} is listed twice"]
        if errors:
            raise ValidationError(errors)
        return tuple(found)

    def json_schema(self) -> JsonSchema:
        return {"type": "array", "minItems": 1, "uniqueItems": True, "items": Name().json_schema()}


class Text(Told):
    takes = "text"

    def __init__(self, *, most: int, **kwargs: Any) -> None:
        self.most = most
        super().__init__(**kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        if not isinstance(value, str) or not value.strip():
            raise ValidationError("must be text")
        if len(value) > self.most:
            raise ValidationError(f"has {len(value)} characters; at most {self.most} are accepted")
        return value

    def json_schema(self) -> JsonSchema:
        return {"type": "string", "pattern": r"\S", "maxLength": self.most}


class OneOf(Told):
    """One of a few words."""

    def __init__(self, *words: str, **kwargs: Any) -> None:
        self.words = words
        super().__init__(**kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        if value not in self.words:
            raise ValidationError(
                unknown_word(value, self.words) if isinstance(value, str) else f"must be {listed(self.words)}"
            )
        return str(value)

    def in_words(self) -> str:
        return listed([f"`{word}`" for word in self.words])

    def json_schema(self) -> JsonSchema:
        return {"enum": list(self.words)}


class Flag(Told):
    takes = "`true` or `false`"

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> bool:
        if not isinstance(value, bool):
            raise ValidationError("must be true or false")
        return value

    def json_schema(self) -> JsonSchema:
        return {"type": "boolean"}


class Whole(Told):
    takes = "whole number"

    def __init__(self, *, least: int = 1, most: int = 1_000_000, **kwargs: Any) -> None:
        self.least, self.most = least, most
        super().__init__(**kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not self.least <= value <= self.most:
            raise ValidationError(f"must be a whole number from {self.least:,} to {self.most:,}")
        return value

    def json_schema(self) -> JsonSchema:
        return {"type": ["integer", "string"], "minimum": self.least, "maximum": self.most, "pattern": FORMULA}


class Share(Whole):
    """How many equal parts of the dimension's block; below 0 it takes them away."""

    takes = "whole number, not 0"

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(least=-1000, most=1000, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> int:
        if value == 0 and not isinstance(value, bool):
            raise ValidationError("must not be 0: a share of nothing gives nothing")
        return super()._deserialize(value, attr, data, **kwargs)

    def json_schema(self) -> JsonSchema:
        return super().json_schema() | {"not": {"const": 0}}


class EventTypes(Told):
    """One event type or a list of them; each once, in the order given."""

    takes = "event type, or a list of them"
    takes_any: ClassVar[bool] = False

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> tuple[str, ...]:
        if not self.takes_any and (value == "any" or (isinstance(value, list) and "any" in value)):
            raise ValidationError("'any' is no event type here: list the types that count")
        if isinstance(value, str):
            return (event_type(value),)
        if not isinstance(value, list) or not value:
            raise ValidationError("must be an event type such as page.viewed, or a list of them")
        if len(value) > MOST_TYPES:
            raise ValidationError(f"lists {len(value):,} event types; at most {MOST_TYPES:,} are accepted")
        found: list[str] = []
        errors: dict[int, list[str]] = {}
        for index, item in enumerate(value):
            try:
                read = event_type(item)
                if read in found:
                    errors[index] = [f"{read} is listed twice"]
                found.append(read)
            except ValidationError as error:
                errors[index] = error.messages  # type: ignore[assignment] # lists, as raised
        if errors:
            raise ValidationError(errors)
        return tuple(found)

    def json_schema(self) -> JsonSchema:
        one = {"type": "string", "pattern": f"^(?!{re.escape(RESERVED)}){_EVENT_TYPE}$"}
        several = {"type": "array", "minItems": 1, "maxItems": MOST_TYPES, "uniqueItems": True, "items": one}
        return {"anyOf": [one, several]}


class AnyOrTypes(EventTypes):
    """None for `any`."""

    takes = "`any`, event type, or a list of them"
    takes_any = True

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        types = super()._deserialize(value, attr, data, **kwargs)
        if "any" in types and len(types) > 1:
            raise ValidationError("'any' stands alone: it already means every type")
        return None if types == ("any",) else tuple(sorted(types))


class EventType(EventTypes):
    """What happens in an example: an event, or an adjustment by a person."""

    takes = "event type"

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        return value if value in JUDGED else event_type(value)

    def json_schema(self) -> JsonSchema:
        return {"anyOf": [super().json_schema()["anyOf"][0], {"enum": list(JUDGED)}]}


def event_type(value: object) -> str:
    if isinstance(value, str) and value.startswith(RESERVED):
        raise ValidationError(
            f"{value!r} is one of the types kept for what this system records itself; models do not read them"
        )
    if isinstance(value, str) and re.fullmatch(_EVENT_TYPE, value):
        return value
    hint = ""
    if isinstance(value, str) and value.split() and "*" not in value:
        hint = f"; did you mean {'.'.join(value.lower().split())!r}?"
    raise ValidationError(f"must be an event type in lower case with dots, such as page.viewed{hint}")


#: How long any duration may be, for the page.
LONGEST_DAYS = LONGEST // microseconds("1d")
