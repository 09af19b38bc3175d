"""What is wrong with a model document.

InvalidModel
+ problems: every Problem found, in one go
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake: `path` like `rules[2].count.first` (empty for the document itself) and a sentence."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class InvalidModel(Exception):
    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = list(problems)
        super().__init__("; ".join(str(problem) for problem in self.problems))


def problems_in(messages: object, path: str) -> Iterator[Problem]:
    """Marshmallow's nested messages, each at its path."""
    if isinstance(messages, Mapping):
        for key in sorted(messages, key=lambda key: (isinstance(key, int), key if isinstance(key, int) else 0)):
            yield from problems_in(messages[key], _step(path, key))
    elif isinstance(messages, list):
        for message in dict.fromkeys(messages):
            yield Problem(path, str(message))


def _step(path: str, key: object) -> str:
    if isinstance(key, int):
        return f"{path}[{key}]"
    if key == "_schema":
        return path
    return f"{path}.{key}" if path else str(key)
