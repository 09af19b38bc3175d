"""Text to a plain tree: safe, bounded, and without YAML 1.1's surprises (`NO` stays a country)."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from assay.scoring.language.errors import InvalidModel, Problem

MOST_BYTES = 1_000_000
MOST_LEVELS = 40
# Aliases are shared when read but expanded when counted, so a bomb is refused before it unfolds.
MOST_NODES = 300_000

LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_WHOLE = re.compile(r"[-+]?(0|[1-9][0-9]{0,30})")
_BASED = re.compile(r"0o[0-7]{1,20}|0x[0-9a-fA-F]{1,16}")
_DECIMAL = re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: dict[str, object] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INFINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


def read(text: str) -> dict[str, Any]:
    """The tree of a YAML or JSON document; raises InvalidModel naming line and column."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise _refusal(f"character {error.start + 1} is half of a surrogate pair, which is not text") from None
    if size > MOST_BYTES:
        raise _refusal(f"the document has {size:,} bytes; at most {MOST_BYTES:,} are accepted")
    tree = _read_json(text) if text.lstrip().startswith("{") else None
    if tree is None:
        tree = _Reader(text).read()
    return bounded(tree)


def bounded(tree: object) -> dict[str, Any]:
    """The same tree with text keys, or InvalidModel where it is too deep, too large or holds what is not plain data."""
    if not isinstance(tree, Mapping):
        raise _refusal(f"a model is a mapping such as {{model: …, rules: […]}}, not {_kind(tree)}")
    seen = 0
    problems: list[Problem] = []

    def copy(node: object, path: str, level: int) -> Any:
        nonlocal seen
        seen += 1
        if seen > MOST_NODES:
            raise _refusal(f"the document has more than {MOST_NODES:,} values")
        if level > MOST_LEVELS:
            raise InvalidModel([Problem(path, f"is nested more than {MOST_LEVELS} levels deep")])
        if isinstance(node, Mapping):
            copied = {}
            for key, value in node.items():
                name = _key_text(key)
                here = f"{path}.{name}" if path else name
                if name in copied:
                    problems.append(Problem(here, f"the key {name!r} is given twice"))
                copied[name] = copy(value, here, level + 1)
            return copied
        if isinstance(node, (list, tuple)):
            return [copy(value, f"{path}[{index}]", level + 1) for index, value in enumerate(node)]
        if isinstance(node, str):
            problem = _unstorable(node)
            if problem:
                problems.append(Problem(path, problem))
        elif isinstance(node, int) and node.bit_length() > 128:
            problems.append(Problem(path, "is a number of more than 38 digits; write it as text"))
            return None
        elif node is not None and not isinstance(node, (bool, int, float)):
            problems.append(Problem(path, f"must be plain data, not {_kind(node)}"))
            return None
        return node

    copied = copy(tree, "", 1)
    if problems:
        raise InvalidModel(problems)
    return copied  # type: ignore[no-any-return] # a copied mapping is a mapping


def _read_json(text: str) -> object | None:
    """None when the text is not JSON: then it may still be YAML in braces."""
    twice: list[str] = []

    def pairs(items: list[tuple[str, object]]) -> dict[str, object]:
        found = dict(items)
        if len(found) < len(items):
            twice.extend(name for name, times in Counter(name for name, _ in items).items() if times > 1)
        return found

    try:
        tree: object = json.loads(text, object_pairs_hook=pairs)
    except RecursionError:
        raise _refusal(f"the document is nested more than {MOST_LEVELS} levels deep") from None
    except ValueError:
        return None
    if twice:
        raise InvalidModel([Problem("", f"the key {name!r} is given twice in one object") for name in twice])
    return tree


class _Reader:
    """Builds the tree from parser events, without recursion: a deep document must not exhaust the stack."""

    def __init__(self, text: str) -> None:
        self.events: Iterator[Any] = yaml.parse(text, Loader=LOADER)
        self.anchors: dict[str, tuple[object, int]] = {}
        self.nodes = 0
        self.problems: list[Problem] = []

    def read(self) -> object:
        try:
            tree = self._document()
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
            raise _refusal(f"{where}this is not YAML: {error.problem or error.context}") from None
        except yaml.reader.ReaderError as error:
            raise _refusal(f"character {error.position + 1} is not allowed in YAML: {error.reason}") from None
        if self.problems:
            raise InvalidModel(self.problems)
        return tree

    def _document(self) -> object:
        tree: object = None
        documents = 0
        for event in self.events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise self._at(event, "a second document starts here; one model a document is accepted")
                tree = self._tree()
        if documents == 0:
            raise _refusal("the document is empty; a model is a mapping such as {model: …, rules: […]}")
        return tree

    def _tree(self) -> object:
        stack: list[_Open] = []
        while True:
            event = next(self.events)
            self._count(event, 1)
            if isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
                self._refuse_tag(event)
                if len(stack) >= MOST_LEVELS:
                    raise self._at(event, f"is nested more than {MOST_LEVELS} levels deep", _path(stack))
                stack.append(_Open(event, self.nodes))
                continue
            if isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
                done = stack.pop()
                value, weight, anchor = done.value, self.nodes - done.nodes_before + 1, done.start.anchor
            elif isinstance(event, yaml.AliasEvent):
                if event.anchor not in self.anchors:
                    raise self._at(event, f"*{event.anchor} stands for nothing finished before it", _path(stack))
                value, weight = self.anchors[event.anchor]
                anchor = None
                self._count(event, weight)
            else:
                self._refuse_tag(event)
                value, weight, anchor = _scalar(event), 1, event.anchor
            if anchor:
                self.anchors[anchor] = (value, weight)
            if not stack:
                return value
            self._put(stack, value, event)

    def _put(self, stack: list["_Open"], value: object, event: Any) -> None:
        parent = stack[-1]
        if isinstance(parent.value, list):
            parent.value.append(value)
        elif parent.key is None:
            if not isinstance(event, yaml.ScalarEvent):
                raise self._at(event, "a key must be a plain word", _path(stack))
            parent.key = event.value
            if parent.key in parent.value:
                self.problems.append(self._problem(event, f"the key {parent.key!r} is given twice", _path(stack)))
        else:
            parent.value[parent.key] = value
            parent.key = None

    def _count(self, event: Any, nodes: int) -> None:
        self.nodes += nodes
        if self.nodes > MOST_NODES:
            raise self._at(event, f"the document has more than {MOST_NODES:,} values (aliases counted in full)")

    def _refuse_tag(self, event: Any) -> None:
        if event.tag not in (None, "!"):
            self.problems.append(self._problem(event, "tags such as !!str or !name are not accepted"))

    def _problem(self, event: Any, message: str, path: str = "") -> Problem:
        mark = event.start_mark
        return Problem(path, f"line {mark.line + 1}, column {mark.column + 1}: {message}")

    def _at(self, event: Any, message: str, path: str = "") -> InvalidModel:
        return InvalidModel([*self.problems, self._problem(event, message, path)])


class _Open:
    """A mapping or list whose end has not been read."""

    def __init__(self, start: Any, nodes_before: int) -> None:
        self.start = start
        self.nodes_before = nodes_before
        self.key: str | None = None
        self.value: Any = {} if isinstance(start, yaml.MappingStartEvent) else []


def _path(stack: list[_Open]) -> str:
    path = ""
    for node in stack:
        if isinstance(node.value, list):
            path += f"[{len(node.value)}]"
        elif node.key is not None:
            path += f".{node.key}" if path else node.key
    return path


def _scalar(event: Any) -> object:
    text: str = event.value
    if not event.implicit[0]:
        return text
    if text in _WORDS:
        return _WORDS[text]
    # A leading zero means a postcode or a telephone number, which lose it as numbers.
    if _WHOLE.fullmatch(text):
        return int(text)
    if _BASED.fullmatch(text):
        return int(text, 0)
    if _DECIMAL.fullmatch(text):
        return float(text)
    if _INFINITE.fullmatch(text):
        return float(text.lower().replace(".", ""))
    return text


def _key_text(key: object) -> str:
    if isinstance(key, bool):
        return "true" if key else "false"
    return key if isinstance(key, str) else str(key)


def _unstorable(text: str) -> str | None:
    if "\x00" in text:
        return "holds the character U+0000, which no text may hold"
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        return "holds half of a surrogate pair, which is not text"
    return None


def _kind(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, str):
        return "text"
    if isinstance(value, (list, tuple)):
        return "a list"
    return "a mapping" if isinstance(value, Mapping) else f"a {type(value).__name__}"


def _refusal(message: str) -> InvalidModel:
    return InvalidModel([Problem("", message)])
