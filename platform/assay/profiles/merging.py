"""How facts about one person are merged: a function of the set of statements, whatever their order and number."""

import json
from collections.abc import Hashable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from json.encoder import encode_basestring
from typing import Any, Generic, TypeVar

#: When it was stated (microseconds), the value as canonical JSON, its source. The greatest one wins.
Statement = tuple[int, str, int]
#: The winning statement of each trait.
State = dict[str, Statement]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

Node = TypeVar("Node", bound=Hashable)


def micros(instant: datetime) -> int:
    return (instant - _EPOCH) // _MICROSECOND


def instant(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)


def canonical(value: Any) -> str:
    """A value's one JSON text: the same before it is stored as JSONB and after it is read back."""
    kind = type(value)
    if kind is str:
        return encode_basestring(value)
    if kind is int:
        return str(value)
    if kind is float:
        text = repr(value + 0.0)
        return f"{Decimal(text):f}" if "e" in text else text
    if isinstance(value, list | tuple):
        return f"[{','.join(map(canonical, value))}]"
    if isinstance(value, Mapping):
        return canonical_object((key, canonical(value[key])) for key in sorted(value))
    return json.dumps(value, ensure_ascii=False)


def canonical_object(members: Iterable[tuple[str, str]]) -> str:
    return "{" + ",".join([f"{encode_basestring(name)}:{text}" for name, text in members]) + "}"


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
    """Last writer wins, field by field; tells whether anything was new."""
    news = False
    for name, statement in statements.items():
        known = state.get(name)
        if known is None or statement > known:
            state[name] = statement
            news = True
    return news


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
