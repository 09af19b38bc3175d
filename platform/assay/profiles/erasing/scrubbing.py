"""A kept message without what is about an erased person; what others sent in the same request stays byte for byte.

Which items are the person's is told by the very plugin that reads them: each item is read by itself. Afterwards the
whole is read once more, and what is left is compared: each record keeps the place that it had in the message, for the
ids of events without one of their own are made of it.
"""

import json
import re
from collections.abc import Callable, Set
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

from assay.normalise.understanding import Kept, Reading, excerpt_of, readings
from assay.profiles.erasing.layout import Layout, Member, layout_of
from assay.profiles.erasing.naming import names_them
from assay.profiles.erasing.verdicts import is_theirs, spared
from assay.profiles.matching import ANONYMOUS_ID, Key
from assay_sdk import Fetch, Misunderstood, Source
from assay_sdk.reading import read_leniently

#: Beside our own API's records: which of those that were sent these are.
_PLACES = b'"places"'
_DEVICE = re.compile(r"id\Z", re.IGNORECASE)


@dataclass
class Scrubbed:
    """``body`` is None where nothing of anybody else is left."""

    body: bytes | None
    #: Of each thing that is read of it now: its place in the message as it came. None: as they come.
    places: list[int] | None = None
    #: What dead letters show of the items that went.
    excerpts: set[str] = field(default_factory=set)
    #: The items that went, as they were.
    gone: list[bytes] = field(default_factory=list)


def scrub(message: Kept, source: Source | None, erased: Set[Key]) -> Scrubbed | None:
    """None where nothing in it is theirs. ``source`` reads it; without one nobody can, and it goes by what it names."""
    layout = layout_of(message.body)
    if layout is None or not any(True for _ in layout.places()):
        return _whole(message, source, erased)
    found = _Items(message, source, erased, layout)
    found.look()
    left = _bared(layout.having(found.left), erased)
    if not found.gone and not found.changed and left.written() == layout.written():
        return None
    if _is_only_places(left):
        return Scrubbed(None, excerpts=found.excerpts, gone=list(found.gone.values()))
    body = left.written()
    if any(_is_theirs(each, erased) for each in _readings(replace(message, body=body), source)):
        # What names them stands beside the list: it is one item, which has a list.
        return _whole(message, source, erased)
    return Scrubbed(body, _places(message, source, body, erased), found.excerpts, list(found.gone.values()))


class _Items:
    """The items of a message, each read by itself."""

    def __init__(self, message: Kept, source: Source | None, erased: Set[Key], layout: Layout) -> None:
        self.message, self.source, self.erased, self.layout = message, source, erased, layout
        self.gone: dict[tuple[int, int], bytes] = {}
        #: Somebody else's, from which a device was taken.
        self.changed: dict[tuple[int, int], bytes] = {}
        self.excerpts: set[str] = set()

    def look(self) -> None:
        for number, place in self.layout.places():
            member = self.layout.members[number]
            if member.key == _PLACES:
                continue
            assert member.items is not None  # noqa: S101 # ``places`` counts items
            item = member.items[place]
            tree = _tree(item)
            found = self._read(number, item)
            if any(self._is_theirs(each, tree) for each in found) or (not found and names_them(tree, self.erased)):
                self.gone[number, place] = item
                self.excerpts |= {excerpt_of(each) for each in found}
            elif (bared := _without_devices(tree, self.erased)) is not None:
                self.changed[number, place] = json.dumps(bared, ensure_ascii=False, separators=(",", ":")).encode()

    def left(self, number: int) -> list[bytes]:
        items = self.layout.members[number].items or []
        if self.layout.members[number].key == _PLACES and (listed := self._listed()) is not None:
            return [item for place, item in enumerate(items) if (listed, place) not in self.gone]
        return [
            self.changed.get((number, place), item)
            for place, item in enumerate(items)
            if (number, place) not in self.gone
        ]

    def _read(self, number: int, item: bytes) -> list[Reading]:
        def alone(other: int) -> list[bytes] | None:
            if self.layout.members[other].key == _PLACES:
                return None
            return [item] if other == number else []

        return _readings(replace(self.message, body=self.layout.having(alone).written()), self.source)

    def _is_theirs(self, found: Reading, tree: Any) -> bool:
        if isinstance(found, Misunderstood):
            return names_them(tree, self.erased)
        return is_theirs(found, self.erased)

    def _listed(self) -> int | None:
        """The list whose items' places the list of places tells."""
        others = [number for number, member in enumerate(self.layout.members) if member.items and member.key != _PLACES]
        return others[0] if len(others) == 1 else None


def _whole(message: Kept, source: Source | None, erased: Set[Key]) -> Scrubbed | None:
    """A message that is one item, or of which nobody can tell the items apart."""
    found = _readings(message, source)
    tree = _tree(message.body)
    theirs = [
        names_them(tree, erased) if isinstance(each, Misunderstood) else is_theirs(each, erased) for each in found
    ]
    if any(theirs) or (not found and names_them(tree, erased)):
        return Scrubbed(None, excerpts={excerpt_of(each) for each in found}, gone=[message.body])
    bared = _without_devices(tree, erased)
    if bared is None:
        return None
    body = json.dumps(bared, ensure_ascii=False, separators=(",", ":")).encode()
    return Scrubbed(body, _places(message, source, body, erased))


def _bared(layout: Layout, erased: Set[Key]) -> Layout:
    """Without what a request says of the person beside its items."""
    members: list[Member] = []
    for member in layout.members:
        if member.key is None or member.items is not None:
            members.append(member)
            continue
        name = str(_tree(member.key))
        told = {name: _tree(member.value)}
        if not names_them(told, erased):
            members.append(member)
            continue
        bared = _without(told, lambda named, value: names_them(value, erased, named))
        if name in bared:
            members.append(Member(member.key, json.dumps(bared[name], ensure_ascii=False).encode()))
    return layout if members == layout.members else Layout(layout.is_object, members)


def _places(message: Kept, source: Source | None, body: bytes, erased: Set[Key]) -> list[int] | None:
    """Where each reading of what is left stood; None where all stand as they come."""
    before = _readings(message, source)
    numbers = message.places or range(len(before))
    after = _readings(replace(message, body=body), source)
    places: list[int] = []
    left = iter(enumerate(before))
    for each in after:
        for number, other in left:
            if _is_same(other, each, erased):
                places.append(numbers[number] if number < len(numbers) else number)
                break
        else:
            # The plugin reads what is left otherwise than before: new places, that nobody had.
            free = count(max([*numbers, *places], default=-1) + 1)
            return [*places, *(next(free) for _ in range(len(after) - len(places)))]
    return None if places == list(range(len(after))) else places


def _is_same(before: Reading, after: Reading, erased: Set[Key]) -> bool:
    if isinstance(before, Misunderstood) or isinstance(after, Misunderstood):
        both = isinstance(before, Misunderstood) and isinstance(after, Misunderstood)
        return both and excerpt_of(before) == excerpt_of(after)
    if isinstance(before, Fetch) or isinstance(after, Fetch):
        return before == after and not is_theirs(before, erased)
    return not is_theirs(before, erased) and spared(before, erased) == after


def _is_theirs(found: Reading, erased: Set[Key]) -> bool:
    return not isinstance(found, Misunderstood) and is_theirs(found, erased)


def _readings(message: Kept, source: Source | None) -> list[Reading]:
    return [] if source is None else list(readings(message, source))


def _is_only_places(layout: Layout) -> bool:
    return not any(member.items for member in layout.members if member.key != _PLACES)


def _without_devices(tree: Any, erased: Set[Key]) -> Any:
    """None where it names none."""
    devices = {value for kind, value in erased if kind == ANONYMOUS_ID}

    def is_device(name: str, value: Any) -> bool:
        return isinstance(value, str) and value.strip() in devices and _DEVICE.search(name) is not None

    changed = _without(tree, is_device)
    return None if changed == tree else changed


def _without(tree: Any, goes: Callable[[str, Any], bool], name: str = "") -> Any:
    if isinstance(tree, dict):
        return {
            key: _without(value, goes, str(key))
            for key, value in tree.items()
            if isinstance(value, dict | list) or not goes(str(key), value)
        }
    if isinstance(tree, list):
        return [
            _without(value, goes, name) for value in tree if isinstance(value, dict | list) or not goes(name, value)
        ]
    return tree


def _tree(text: bytes) -> Any:
    try:
        return read_leniently(text)
    except (ValueError, RecursionError):
        return None
