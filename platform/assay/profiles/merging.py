"""How facts about one person are merged: a function of the set of statements, whatever their order and number."""

import json
from collections.abc import Hashable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar

from assay.canonical import canonical as canonical
from assay.canonical import canonical_object
from assay.profiles.domains import TELLING_DOMAIN
from assay.profiles.naming import TELLING

#: When it was stated (microseconds), the value as canonical JSON, its source. The greatest one wins.
Statement = tuple[int, str, int]
#: The winning statement of each trait.
State = dict[str, Statement]
#: The value of a trait whose last statement cleared it: kept among statements, for it must win over older ones.
CLEARED = "null"

#: Fields that are kept of one identity, lead or company: a sender that makes up names must not fill the database.
MOST_FIELDS = 1_000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

Node = TypeVar("Node", bound=Hashable)


def micros(instant: datetime) -> int:
    return (instant - _EPOCH) // _MICROSECOND


def instant(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)


def state(traits: Mapping[str, Any], stated: Mapping[str, Any]) -> State:
    """What ``traits_of`` and ``stated_of`` have written, read back."""
    return {name: (at, canonical(traits[name]), source) for name, (at, source) in stated.items()}


def traits_of(state: State) -> str:
    return canonical_object((name, statement[1]) for name, statement in sorted(state.items()))


def stated_of(state: State) -> str:
    return canonical_object((name, f"[{at},{source}]") for name, (at, _, source) in sorted(state.items()))


def values_of(state: State) -> dict[str, Any]:
    return {name: json.loads(statement[1]) for name, statement in state.items()}


def learn(state: State, statements: State) -> bool:
    """Last writer wins, field by field; tells whether anything was new.

    Of more than ``MOST_FIELDS`` those stay whose names precede: which ones depends on the set of names alone.
    """
    if len(state) + len(statements) > MOST_FIELDS:
        return _learn_much(state, statements)
    news = False
    for name, statement in statements.items():
        known = state.get(name)
        if known is None or statement > known:
            state[name] = statement
            news = True
    return news


def _learn_much(state: State, statements: State) -> bool:
    known = dict(state)
    for name, statement in statements.items():
        if name not in state or statement > state[name]:
            state[name] = statement
    if len(state) > MOST_FIELDS:
        for name in sorted(state, key=_precedence)[MOST_FIELDS:]:
            del state[name]
    return state != known


def _precedence(name: str) -> tuple[bool, bool, int, str]:
    """Made-up names are long and numbered; what a lead or a company is called and found by always stays."""
    return name not in TELLING and name not in TELLING_DOMAIN, any(map(str.isdigit, name)), len(name), name


class Groups(Generic[Node]):
    """Disjoint sets of nodes that grow together."""

    def __init__(self) -> None:
        self._parent: dict[Node, Node] = {}

    def find(self, node: Node) -> Node:
        parent = self._parent.setdefault(node, node)
        while parent != self._parent[parent]:
            self._parent[node] = parent = self._parent[parent]
        return parent

    def join(self, one: Node, other: Node) -> None:
        one, other = self.find(one), self.find(other)
        if one != other:
            self._parent[other] = one

    def members(self) -> Iterable[list[Node]]:
        groups: dict[Node, list[Node]] = {}
        for node in list(self._parent):
            groups.setdefault(self.find(node), []).append(node)
        return groups.values()
