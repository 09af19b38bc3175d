"""A service's settings schema as a form: its fields in words, and what somebody filled in, checked."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from marshmallow import EXCLUDE, Schema, ValidationError, fields, validate

from assay.connecting.errors import BadForm
from assay_sdk import Service

#: Characters that a field takes.
LONGEST = 10_000

Kind = Literal["text", "number", "password", "choice", "check", "lines"]

_SENTENCES = {
    "Missing data for required field.": "Fill this in.",
    "Field may not be null.": "Fill this in.",
    "Not a valid string.": "This must be text.",
    "Not a valid integer.": "This must be a whole number.",
    "Not a valid number.": "This must be a number.",
    "Not a valid URL.": "This must be a web address, such as https://example.com.",
    "Not a valid email address.": "This must be an e-mail address.",
}


@dataclass(frozen=True)
class FormField:
    """One field as a page or a program shows it."""

    name: str
    title: str
    help: str
    kind: Kind
    required: bool
    #: Kept sealed and never shown again.
    secret: bool
    choices: Sequence[tuple[str, str]] = ()
    #: What it holds when nobody fills it in.
    default: str = ""


@dataclass(frozen=True)
class Filled:
    """What somebody filled in and the schema found good."""

    settings: Mapping[str, Any]
    secrets: Mapping[str, Any] = field(repr=False)


def fields_of(service: Service) -> list[FormField]:
    """In the schema's order; none for a service that needs nothing filled in."""
    schema = _schema(service)
    return [_shown(name, each) for name, each in schema.fields.items()] if schema else []


def read(service: Service, sent: Mapping[str, str], *, kept: frozenset[str] = frozenset()) -> Filled:
    """Raises BadForm.

    Args:
        kept: names of secrets that are there already, and stay where they are left empty.
    """
    schema = _schema(service)
    if schema is None:
        return Filled({}, {})
    described = {each.name: each for each in fields_of(service)}
    if long := {
        name: f"This is too long: at most {LONGEST:,} characters."
        for name in described
        if len(sent.get(name, "")) > LONGEST
    }:
        raise BadForm(long)
    given: dict[str, Any] = {}
    for name, each in described.items():
        typed = sent.get(name, "").strip()
        if each.kind == "check":
            given[name] = bool(typed)
        elif typed:
            given[name] = typed
    try:
        loaded = schema.load(given, unknown=EXCLUDE, partial=sorted(kept - given.keys()))
    except ValidationError as error:
        raise BadForm(_by_field(error.messages_dict, described)) from None
    values: dict[str, Any] = json.loads(json.dumps(dict(loaded), default=str))
    secrets = {name: value for name, value in values.items() if described[name].secret}
    return Filled({name: value for name, value in values.items() if name not in secrets}, secrets)


def shown_values(service: Service, settings: Mapping[str, Any]) -> dict[str, str]:
    """What is kept of a connection as its form shows it; secrets are never among it."""
    return {each.name: _typed(settings.get(each.name), each.default) for each in fields_of(service) if not each.secret}


def _schema(service: Service) -> Schema | None:
    return service.settings() if service.settings is not None else None


def _typed(value: Any, default: str) -> str:
    if value is None:
        return default
    if isinstance(value, bool):
        return "yes" if value else ""
    return str(value)


def _shown(name: str, each: "fields.Field[Any]") -> FormField:
    secret = bool(each.metadata.get("secret"))
    choices = _choices(each)
    kind: Kind = "text"
    if isinstance(each, fields.Boolean):
        kind = "check"
    elif choices:
        kind = "choice"
    elif secret:
        kind = "password"
    elif each.metadata.get("lines"):
        kind = "lines"
    elif isinstance(each, fields.Number):
        kind = "number"
    default = each.load_default
    return FormField(
        name,
        title=str(each.metadata.get("title") or name.replace("_", " ").capitalize()),
        help=str(each.metadata.get("help") or ""),
        kind=kind,
        required=each.required,
        secret=secret,
        choices=choices,
        default="" if callable(default) or not isinstance(default, str | int | float) else _typed(default, ""),
    )


def _choices(each: "fields.Field[Any]") -> list[tuple[str, str]]:
    for validator in each.validators:
        if isinstance(validator, validate.OneOf):
            labels = [str(label) for label in validator.labels]
            values = [str(value) for value in validator.choices]
            return [(value, labels[place] if place < len(labels) else value) for place, value in enumerate(values)]
    return []


def _by_field(messages: Mapping[str, Any], described: Mapping[str, FormField]) -> dict[str, str]:
    found = {}
    for name, told in messages.items():
        sentence = _first(told)
        found[name if name in described else ""] = _SENTENCES.get(sentence, sentence)
    return found


def _first(told: Any) -> str:
    while isinstance(told, Mapping | list):
        told = next(iter(told.values() if isinstance(told, Mapping) else told), "This can't be used.")
    return str(told)
