"""Rules of a kind that a plugin brings: found among those installed, their parameters read by the plugin's schema."""

import json
from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError

from assay.plugins import installed
from assay.scoring.language.fields import JsonSchema, Told
from assay.scoring.language.model import ByKind
from assay.scoring.language.shapes import Errors
from assay.scoring.language.words import unknown_word
from assay_sdk import RuleKind

#: Of the text of all of a rule's parameters.
MOST_PARAMETERS = 10_000


class KindName(Told):
    """The name of an installed kind."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> RuleKind:
        kinds = installed().rule_kinds
        if not isinstance(value, str):
            raise ValidationError("must be the name of a kind of rule, such as acme.seasonal")
        if value not in kinds:
            if not kinds:
                raise ValidationError(f"{value!r} is not known: no installed plugin brings kinds of rules")
            raise ValidationError(unknown_word(value, list(kinds)))
        return kinds[value]

    def in_words(self) -> str:
        return "the name of an installed kind"

    def json_schema(self) -> JsonSchema:
        return {"type": "string", "minLength": 1}


class Parameters(Told):
    """A mapping; what may stand in it the kind says."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        if not isinstance(value, Mapping):
            raise ValidationError("must be a mapping of words to values")
        try:
            size = len(_text(value))
        except (TypeError, ValueError):
            raise ValidationError("holds a value that is none of text, number, true, false or list") from None
        if size > MOST_PARAMETERS:
            raise ValidationError(f"takes {size:,} characters; at most {MOST_PARAMETERS:,} are accepted")
        return value

    def in_words(self) -> str:
        return "a mapping"

    def json_schema(self) -> JsonSchema:
        return {"type": "object"}


def parameters_of(data: Mapping[str, Any]) -> tuple[str, Errors]:
    """The parameters as they were written, in their one spelling, and what is wrong with them."""
    kind, given = data.get("kind"), data.get("with_", {})
    if kind is None:
        return "{}", {}
    try:
        _load(kind, given)
    except ValidationError as error:
        return "{}", {"with": error.messages}
    return _text(given), {}


def find(name: str) -> RuleKind:
    """Raises LookupError where its plugin is not installed any more."""
    try:
        return installed().rule_kinds[name]
    except KeyError:
        raise LookupError(f"no installed plugin brings rules of the kind {name}") from None


def loaded(trigger: ByKind) -> tuple[RuleKind, Mapping[str, Any]]:
    """The kind, and its parameters as its schema reads them."""
    kind = find(trigger.kind)
    return kind, _load(kind, json.loads(trigger.parameters))


def fields_of(trigger: ByKind) -> tuple[frozenset[str], frozenset[str]]:
    """The traits and the properties that it looks at, without those that are kept out."""
    kind, parameters = loaded(trigger)
    hidden = set(trigger.without)
    return frozenset(kind.traits(parameters)) - hidden, frozenset(kind.properties(parameters)) - hidden


def in_words(trigger: ByKind) -> str:
    kind, parameters = loaded(trigger)
    return kind.reason(parameters)


def _load(kind: RuleKind, given: Mapping[str, Any]) -> Mapping[str, Any]:
    if kind.parameters is None:
        if given:
            raise ValidationError({word: [f"{kind.name} takes no parameters"] for word in given})
        return {}
    found: Mapping[str, Any] = kind.parameters().load(dict(given))
    return found


def _text(value: Mapping[str, Any]) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
