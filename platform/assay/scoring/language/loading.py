"""From a document to a `Model`, or every mistake in it at once."""

from collections.abc import Iterator, Mapping
from typing import Any

from marshmallow import ValidationError

from assay.scoring.language.document import bounded, read
from assay.scoring.language.errors import InvalidModel, Problem
from assay.scoring.language.model import Model
from assay.scoring.language.schemas import ModelWords

MOST_RULES = 10_000


def parse(text: str) -> Model:
    """The model a YAML or JSON text describes; raises InvalidModel."""
    return _load(read(text))


def load(document: Mapping[str, Any]) -> Model:
    """The model a tree describes; raises InvalidModel."""
    return _load(bounded(document))


def _load(document: Mapping[str, Any]) -> Model:
    rules = document.get("rules")
    if isinstance(rules, list) and len(rules) > MOST_RULES:
        raise InvalidModel([Problem("rules", f"has {len(rules):,} rules; at most {MOST_RULES:,} are accepted")])
    try:
        model: Model = ModelWords().load(document)
    except ValidationError as error:
        raise InvalidModel(list(_problems(error.messages, ""))) from None
    return model


def _problems(messages: object, path: str) -> Iterator[Problem]:
    if isinstance(messages, Mapping):
        for key in sorted(messages, key=lambda key: (isinstance(key, int), key if isinstance(key, int) else 0)):
            yield from _problems(messages[key], _step(path, key))
    elif isinstance(messages, list):
        for message in dict.fromkeys(messages):
            yield Problem(path, str(message))


def _step(path: str, key: object) -> str:
    if isinstance(key, int):
        return f"{path}[{key}]"
    if key == "_schema":
        return path
    return f"{path}.{key}" if path else str(key)
