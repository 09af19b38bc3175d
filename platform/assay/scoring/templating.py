"""A model's text with other words and numbers in the places where they stand: comments and layout stay as they are."""

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import yaml

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_PLAIN = re.compile(r"[^\W\d_][\w ]*\w")
_NUMBER_OR_DURATION = re.compile(r"-?[0-9]+(\.[0-9]+)?[mhdw]?")
#: Words of a model that people read.
_TEXTS = ("title", "description", "persona")


@dataclass(frozen=True)
class Edit:
    start: int
    end: int
    text: str


class Document:
    """The text of a model that is known to be one."""

    def __init__(self, text: str) -> None:
        self.text = text

    @cached_property
    def _root(self) -> yaml.MappingNode:
        root = yaml.compose(self.text, Loader=_LOADER)
        if not isinstance(root, yaml.MappingNode):
            raise TypeError("not a model's text")
        return root

    @property
    def name(self) -> str:
        return self._said("model")

    @property
    def title(self) -> str:
        return self._said("title")

    @property
    def description(self) -> str:
        return self._said("description")

    @cached_property
    def parameters(self) -> dict[str, dict[str, str]]:
        """Each with what is said of it: value, and perhaps title, min and max."""
        return {name: {word: node.value for word, node in said.items()} for name, said in self._parameters.items()}

    @property
    def texts(self) -> set[str]:
        """Everything in it that people read."""
        return {node.value for node in self._texts()}

    def filled(self, words: Mapping[str, str], values: Mapping[str, str]) -> str:
        """The text with each text for people as `words` translates it, and the parameters named in `values`."""
        edits = [Edit(*_span(node), _quoted(words[node.value])) for node in self._texts() if node.value in words]
        for name, said in self._parameters.items():
            if name in values:
                edits.append(Edit(*_span(said["value"]), _quoted(values[name])))
        return self._edited(edits)

    def without_examples(self, names: Collection[str]) -> str:
        """The text without the lines of some examples; without `examples` at all where none is left."""
        found = [(key, value) for key, value in self._root.value if key.value == "examples"]
        if not found or not names:
            return self.text
        ((key, examples),) = found
        lines = self.text.splitlines(keepends=True)
        starts = [*(item.start_mark.line for item in examples.value), examples.end_mark.line]
        gone: set[int] = set()
        for item, start, end in zip(examples.value, starts, starts[1:], strict=False):
            if _child(item, "name").value in names:
                gone.update(range(start, end))
        if len(gone) == starts[-1] - starts[0]:
            gone.add(key.start_mark.line)
        return "".join(line for place, line in enumerate(lines) if place not in gone)

    @cached_property
    def _parameters(self) -> dict[str, dict[str, yaml.Node]]:
        found = {}
        for key, value in _pairs(_child(self._root, "parameters")):
            said = dict(_pairs(value)) if isinstance(value, yaml.MappingNode) else {"value": value}
            found[key] = said
        return found

    def _texts(self) -> Iterator[yaml.Node]:
        for word, node in _pairs(self._root):
            if word in _TEXTS:
                yield node
            elif word == "parameters":
                yield from (said["title"] for said in self._parameters.values() if "title" in said)
            elif word in ("rules", "overrides"):
                for item in node.value:
                    yield from (said for part, said in _pairs(item) if part in ("title", "reason"))

    def _said(self, word: str) -> str:
        value: str = _child(self._root, word).value
        return value

    def _edited(self, edits: list[Edit]) -> str:
        text = self.text
        for edit in sorted(edits, key=lambda edit: -edit.start):
            text = text[: edit.start] + edit.text + text[edit.end :]
        return text


def _pairs(node: yaml.Node | None) -> Iterator[tuple[str, yaml.Node]]:
    for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
        yield key.value, value


def _child(node: yaml.Node, word: str) -> Any:
    return next((value for key, value in _pairs(node) if key == word), None)


def _span(node: yaml.Node) -> tuple[int, int]:
    return node.start_mark.index, node.end_mark.index


def _quoted(text: str) -> str:
    """As a YAML scalar that stays what it is, in block style as in flow style."""
    if _NUMBER_OR_DURATION.fullmatch(text) or (
        _PLAIN.fullmatch(text) and text.lower() not in ("true", "false", "null")
    ):
        return text
    return json.dumps(text, ensure_ascii=False)
