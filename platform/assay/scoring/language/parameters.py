"""The words of parameters: numbers and durations that formulas read."""

import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from marshmallow import ValidationError

from assay.scoring.language.fields import JsonSchema, Spoken, Text, Told, told
from assay.scoring.language.model import Parameter
from assay.scoring.language.quantities import MOST_SUM, duration, microseconds, number, thousandths
from assay.scoring.language.shapes import Errors, Words

MOST_PARAMETERS = 100
#: Whatever the language of the name; a formula reads it as one word.
PARAMETER_NAME = r"[^\W\d]\w{0,49}"

Value = int | float | str


class Quantity(Told):
    """A number or a duration, in its one spelling."""

    takes = "number or duration"

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Value:
        return quantity(value)

    def json_schema(self) -> JsonSchema:
        return {
            "type": ["number", "string"],
            "minimum": -MOST_SUM,
            "maximum": MOST_SUM,
            "pattern": "^[0-9]{1,9}[mhdw]$",
        }


def quantity(value: object) -> Value:
    try:
        if isinstance(value, str):
            return duration(microseconds(value))
        return number(thousandths(value, most=MOST_SUM))
    except ValueError as error:
        hint = " (a formula may not stand here)" if isinstance(value, str) and value.startswith("=") else ""
        told = str(error) if not isinstance(value, str) else f"{error}, or a number{hint}"
        raise ValidationError(told) from None


class ParameterWords(Words):
    value = Quantity(required=True, metadata=told("what formulas read", "{offers: {value: 5}}"))
    min = Quantity(
        load_default=None, metadata=told("the lowest value it may be set to", "{offers: {value: 5, min: 1}}")
    )
    max = Quantity(
        load_default=None, metadata=told("the highest value it may be set to", "{offers: {value: 5, max: 20}}")
    )
    title = Text(
        most=200, load_default=None, metadata=told("what people read", "{offers: {value: 5, title: Free offers}}")
    )

    def contradictions(self, data: Mapping[str, Any], original: Mapping[str, Any]) -> Errors:
        value, low, high = data.get("value"), data.get("min"), data.get("max")
        if value is None:
            return {}
        errors: Errors = {}
        for word, bound in (("min", low), ("max", high)):
            if bound is not None and isinstance(bound, str) != isinstance(value, str):
                errors[word] = ["must be of the same kind as the value: both numbers, or both durations"]
        if errors:
            return errors
        if low is not None and high is not None and size(low) > size(high):
            return {"min": [f"({low}) is above max ({high})"]}
        return {"value": [problem]} if (problem := outside(value, low, high)) else {}


def outside(value: Value, low: Value | None, high: Value | None) -> str | None:
    if low is not None and size(value) < size(low):
        return f"({value}) is below min ({low})"
    if high is not None and size(value) > size(high):
        return f"({value}) is above max ({high})"
    return None


def size(value: Value) -> Fraction:
    return Fraction(microseconds(value)) if isinstance(value, str) else Fraction(str(value))


class ParametersField(Spoken):
    """Names with numbers or durations, or with words about one."""

    takes = "mapping of names"
    words = ParameterWords
    short = Quantity()

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> tuple[Parameter, ...]:
        found, errors = read_parameters(value)
        if errors:
            raise ValidationError(errors)
        return found


def read_parameters(value: object) -> tuple[tuple[Parameter, ...], Any]:
    """Those that are right, and what is wrong with the others."""
    if not isinstance(value, Mapping):
        return (), ["must be a mapping of names to numbers or durations, such as {offers: 5, expiry: 60d}"]
    if len(value) > MOST_PARAMETERS:
        return (), [f"has {len(value):,} parameters; at most {MOST_PARAMETERS} are accepted"]
    found: list[Parameter] = []
    errors: Errors = {}
    schema = ParameterWords()
    for key, item in value.items():
        try:
            if not re.fullmatch(PARAMETER_NAME, key):
                raise ValidationError("must be a name of letters, digits and '_', beginning with a letter")
            words = schema.load(item if isinstance(item, Mapping) else {"value": item})
            found.append(Parameter(name=key, **words))
        except ValidationError as error:
            messages: Any = error.messages
            short = not isinstance(item, Mapping) and isinstance(messages, dict)
            errors[key] = messages["value"] if short else messages
    return tuple(found), errors
