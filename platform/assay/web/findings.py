"""Problems of a model's text with the line each stands on, so that the editor can point at it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import yaml

from assay.scoring.language import Problem

_STEP = re.compile(r"\[(\d+)\]|([^.\[\]]+)")


@dataclass(frozen=True)
class Finding:
    path: str
    message: str
    #: From 1; None where the text is no YAML at all or the path leads nowhere.
    line: int | None


def found_in(text: str, problems: Sequence[Problem]) -> list[Finding]:
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else None
        return [Finding(problem.path, problem.message, line) for problem in problems]
    return [Finding(problem.path, problem.message, _line(root, problem.path)) for problem in problems]


def _line(root: yaml.Node | None, path: str) -> int | None:
    """As far down the path as the text goes: a missing word is shown where it should stand."""
    node, line = root, None
    for step in _STEP.finditer(path):
        following = _child(node, step[1], step[2])
        if following is None:
            break
        line, node = following
    return line + 1 if line is not None else None


def _child(node: yaml.Node | None, index: str | None, key: str | None) -> tuple[int, yaml.Node] | None:
    if index is not None and isinstance(node, yaml.SequenceNode) and int(index) < len(node.value):
        item: yaml.Node = node.value[int(index)]
        return item.start_mark.line, item
    if key is not None and isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            if name.value == key:
                return name.start_mark.line, value
    return None
