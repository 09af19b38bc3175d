"""Who is whom: a function of the set of links, of people's decisions and of the limits. Pure; see docs/identity.md."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from assay.profiles.matching import ANONYMOUS_ID, Key
from assay.profiles.merging import Groups

#: Two identifiers that came together, the smaller first: of a device and a person it is the device.
Pair = tuple[Key, Key]


@dataclass(frozen=True, slots=True)
class Limits:
    """How many different identifiers of one kind may come together with a value that still tells who somebody is."""

    #: Of an e-mail address, a user id or a vendor's id.
    value: int = 10
    #: Of a device.
    device: int = 5

    def of(self, key: Key) -> int:
        return self.device if is_device(key) else self.value


@dataclass(frozen=True)
class Graph:
    """All that decides who is whom."""

    #: Since when two identifiers are known to have come together.
    links: Mapping[Pair, datetime]
    #: Pairs whose link a person cut.
    apart: Collection[Pair] = frozenset()
    #: Pairs that a person joined, and when.
    together: Mapping[Pair, datetime] = field(default_factory=dict)
    #: Identifiers that join nobody.
    alone: Collection[Key] = frozenset()


def is_device(key: Key) -> bool:
    return key[0] == ANONYMOUS_ID


def pair_of(one: Key, other: Key) -> Pair:
    return (one, other) if one < other else (other, one)


def crowded(links: Iterable[Pair], limits: Limits) -> dict[Key, str]:
    """The values that came together with too many others, and others of which kind those are."""
    others: dict[Key, set[Key]] = {}
    for one, other in links:
        others.setdefault(one, set()).add(other)
        others.setdefault(other, set()).add(one)
    return {key: kind for key, each in others.items() if (kind := too_many(key, each, limits))}


def too_many(key: Key, others: Iterable[Key], limits: Limits) -> str | None:
    """The kind of which there are more than the limit. Devices do not count: a person may have any number of them."""
    numbers: dict[str, int] = {}
    for kind, _ in others:
        if kind != ANONYMOUS_ID:
            numbers[kind] = numbers.get(kind, 0) + 1
    return min((kind for kind, number in numbers.items() if number > limits.of(key)), default=None)


def standing_alone(crowd: Collection[Key], blocked: Collection[Key], released: Collection[Key]) -> set[Key]:
    """Whoever is crowded or blocked joins nobody; a person may release the crowded ones."""
    return set(blocked) | (set(crowd) - set(released))


def joins(graph: Graph) -> dict[Pair, datetime]:
    """The links that join, each with the instant it does so since."""
    alone = graph.alone
    joining: dict[Pair, datetime] = {}
    claims: dict[Key, tuple[bool, datetime, Key]] = {}
    for decided, links in ((True, graph.together), (False, graph.links)):
        for pair, since in links.items():
            one, other = pair
            if one in alone or other in alone or (not decided and pair in graph.apart):
                continue
            if is_device(one):
                claim = (not decided, since, other)
                claims[one] = min(claims.get(one, claim), claim)
            else:
                joining[pair] = min(since, joining.get(pair, since))
    return joining | {(device, claimant): since for device, (_, since, claimant) in claims.items()}


def settle(keys: Iterable[Key], graph: Graph) -> list[list[Key]]:
    """Who is one lead: what hangs together by links that join."""
    groups: Groups[Key] = Groups()
    for key in keys:
        groups.find(key)
    for one, other in joins(graph):
        groups.join(one, other)
    return list(groups.members())


def causes(joining: Mapping[Pair, datetime]) -> list[Pair]:
    """The links that made leads one, in the order in which they did: of several ways the one that was first."""
    groups: Groups[Key] = Groups()
    found = []
    for pair in in_order(joining):
        if groups.find(pair[0]) != groups.find(pair[1]):
            groups.join(*pair)
            found.append(pair)
    return found


def in_order(joining: Mapping[Pair, datetime]) -> list[Pair]:
    return sorted(joining, key=lambda pair: (joining[pair], pair))


def sides(joining: Mapping[Pair, datetime], one: Collection[Key], other: Collection[Key]) -> tuple[set[Key], set[Key]]:
    """All who go with ``one``, and all with ``other``: whoever is of neither stays with those they came to first."""
    groups: Groups[Key] = Groups()
    side: dict[Key, bool] = {}
    for keys, is_one in ((one, True), (other, False)):
        for key in keys:
            side[groups.find(key)] = is_one
    for pair in in_order(joining):
        left, right = groups.find(pair[0]), groups.find(pair[1])
        named = {side[root] for root in (left, right) if root in side}
        if left != right and len(named) < 2:
            groups.join(left, right)
            if named:
                side[groups.find(left)] = named.pop()
    told: dict[bool, set[Key]] = {True: set(), False: set()}
    for members in groups.members():
        if (where := side.get(groups.find(members[0]))) is not None:
            told[where].update(members)
    return told[True], told[False]
