"""Formulas worked out in the tree of a document, and parameters set in its text."""

import json
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import yaml
from marshmallow import ValidationError

from assay.scoring.language.document import LOADER, read
from assay.scoring.language.errors import InvalidModel, Problem, problems_in
from assay.scoring.language.formulas import Value, worked_out
from assay.scoring.language.model import Parameter
from assay.scoring.language.parameters import outside, quantity, read_parameters
from assay.scoring.language.words import unknown_name

#: Texts for people and names, where `=` is a letter like any other: by the list they stand in.
_PLAIN = {
    "": ("model", "title", "description", "persona", "product_line", "business_unit", "parameters"),
    "rules": ("id", "title"),
    "overrides": ("id", "reason"),
    "stages": ("name",),
    "examples": ("name",),
}
#: In conditions and counts; the facts of examples may have any names, these too.
_NAMES = ("trait", "property", "distinct", "once_per")


def settle(document: dict[str, Any]) -> list[Problem]:
    """Puts the result in the place of each formula; a problem without a message is told elsewhere already."""
    declared, errors = read_parameters(document.get("parameters", {}))
    values: dict[str, Value] = {parameter.name: parameter.value for parameter in declared}
    broken = frozenset(errors) if isinstance(errors, dict) else frozenset()
    problems: list[Problem] = []

    def result(text: str, path: str) -> Any:
        if text.startswith("=="):
            return text[1:]
        try:
            return worked_out(text, values)
        except ValueError as error:
            known = broken and any(name in broken for name in re.findall(r"\w+", text))
            problems.append(Problem(path, "" if known else str(error)))
            return text

    def walk(node: Any, path: str, level: int, skipped: tuple[str, ...]) -> None:
        items: Any = node.items() if isinstance(node, dict) else enumerate(node)
        for key, value in items:
            if key in skipped:
                continue
            if isinstance(value, (dict, list)):
                inner = _PLAIN.get(path, ()) if level == 1 else ()
                names = () if path.startswith("examples[") else _NAMES
                walk(value, _step(path, key), level + 1, (*inner, *names))
            elif isinstance(value, str) and value.startswith("="):
                node[key] = result(value, _step(path, key))

    walk(document, "", 0, _PLAIN[""])
    return problems


def _step(path: str, key: object) -> str:
    if isinstance(key, int):
        return f"{path}[{key}]"
    return f"{path}.{key}" if path else str(key)


def parameters(text: str) -> list[Parameter]:
    """What a model's text declares; raises InvalidModel where that is wrong."""
    found, errors = read_parameters(read(text).get("parameters", {}))
    if errors:
        raise InvalidModel(list(problems_in({"parameters": errors}, "")))
    return list(found)


def with_parameters(text: str, values: Mapping[str, object]) -> str:
    """The same text, comments and all, with other values in its `parameters`; raises InvalidModel."""
    declared = {parameter.name: parameter for parameter in parameters(text)}
    problems: list[Problem] = []
    chosen: dict[str, Value] = {}
    for name, value in values.items():
        try:
            chosen[name] = _chosen(name, value, declared)
        except ValidationError as error:
            problems.extend(problems_in(error.messages, f"parameters.{name}"))
    if problems:
        raise InvalidModel(problems)
    changed = _changed(text, chosen)
    expected = {name: parameter.value for name, parameter in declared.items()} | chosen
    try:
        settled = {parameter.name: parameter.value for parameter in parameters(changed)}
    except InvalidModel:
        settled = {}
    if settled != expected:
        raise InvalidModel([Problem("parameters", "cannot be set in this text; write each value out, without & and *")])
    return changed


def _changed(text: str, chosen: Mapping[str, Value]) -> str:
    try:
        places = sorted(_places(text, chosen), reverse=True)
    except yaml.YAMLError:
        # JSON may hold escapes that YAML has not; then the layout is given up, never the content.
        tree = json.loads(text)
        for name, value in chosen.items():
            declared = tree["parameters"][name]
            tree["parameters"][name] = declared | {"value": value} if isinstance(declared, dict) else value
        return json.dumps(tree, indent=2, ensure_ascii=False)
    for start, end, name in places:
        text = f"{text[:start]}{chosen[name]}{text[end:]}"
    return text


def _chosen(name: str, value: object, declared: Mapping[str, Parameter]) -> Value:
    if name not in declared:
        raise ValidationError(unknown_name("parameter", name, list(declared)))
    parameter = declared[name]
    if isinstance(value, Decimal):
        value = str(value)
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,12}(\.[0-9]+)?", value):
        value = float(value) if "." in value else int(value)
    found = quantity(value)
    if isinstance(found, str) != isinstance(parameter.value, str):
        kind = "a duration such as 60d" if isinstance(parameter.value, str) else "a number"
        raise ValidationError(f"must be {kind}, as it is now ({parameter.value})")
    if problem := outside(found, parameter.min, parameter.max):
        raise ValidationError(problem)
    return found


def _places(text: str, names: Mapping[str, object]) -> Iterator[tuple[int, int, str]]:
    """Where in the text the value of each name stands."""
    # The parser does not count a byte order mark.
    shift = 1 if text.startswith("\ufeff") else 0
    path: list[Any] = []
    events: Any = yaml.parse(text, Loader=LOADER)
    for event in events:
        if isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            path.pop()
            _value_read(path)
        elif isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            path.append(_Mapping() if isinstance(event, yaml.MappingStartEvent) else None)
        elif isinstance(event, (yaml.ScalarEvent, yaml.AliasEvent)) and path and isinstance(path[-1], _Mapping):
            if path[-1].key is None:
                path[-1].key = getattr(event, "value", "")
                continue
            keys = [open_.key for open_ in path if isinstance(open_, _Mapping)]
            wanted = len(keys) == len(path) and keys[0] == "parameters" and keys[1:2] != [] and keys[1] in names
            if wanted and keys[2:] in ([], ["value"]):
                start, end = _span(event)
                yield start + shift, end + shift, str(keys[1])
            _value_read(path)


def _span(event: Any) -> tuple[int, int]:
    return event.start_mark.index, event.end_mark.index


class _Mapping:
    """One that is open, and the key whose value comes next."""

    key: str | None = None


def _value_read(path: list[Any]) -> None:
    if path and isinstance(path[-1], _Mapping):
        path[-1].key = None
