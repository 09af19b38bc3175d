"""Where an identifier of a person may stand in what nobody could read: pure.

A value that hardly stands anywhere by chance, such as an address, is looked for under every name. A short one, such as
``42``, only where the name says that it is an identifier of its kind.
"""

import re
from collections.abc import Iterator, Set
from typing import Any

from assay.profiles.matching import ANONYMOUS_ID, EMAIL, USER_ID, VENDOR, Key

#: In place of a name: the value may be anything, as a cell of a table.
ANYTHING = "*"

_LEAST_TELLING = 8
_DIGIT = re.compile(r"\d")
_NAMES = {
    USER_ID: re.compile(r"(user|previous|customer|person|member|external|visitor)_?id\Z", re.IGNORECASE),
    EMAIL: re.compile(r"mail", re.IGNORECASE),
    ANONYMOUS_ID: re.compile(r"(anonymous|previous|visitor|device|client|browser)_?id\Z", re.IGNORECASE),
}
_VENDORS = re.compile(r"(contact|lead|person|customer|user|vid|hubspot|vendor)_?(id)?\Z", re.IGNORECASE)


def is_telling(value: str) -> bool:
    return "@" in value or (len(value) >= _LEAST_TELLING and _DIGIT.search(value) is not None)


def candidates(tree: Any, kinds: Set[str], name: str = "") -> Iterator[Key]:
    """What values in it could be identifiers as."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from candidates(value, kinds, ANYTHING if name == ANYTHING else str(key))
    elif isinstance(tree, list):
        for value in tree:
            yield from candidates(value, kinds, name)
    elif isinstance(tree, str | int) and not isinstance(tree, bool):
        yield from _of_value(str(tree).strip(), kinds, name)


def names_them(tree: Any, erased: Set[Key], name: str = "") -> bool:
    """Whether something stands in it, where an identifier may stand, that is one of these."""
    return any(key in erased for key in candidates(tree, {kind for kind, _ in erased}, name))


def _of_value(text: str, kinds: Set[str], name: str) -> Iterator[Key]:
    if not text:
        return
    anywhere = name == ANYTHING or is_telling(text)
    for kind in kinds:
        if anywhere or _may_be(kind, name):
            yield kind, text.lower() if kind == EMAIL else text


def _may_be(kind: str, name: str) -> bool:
    if kind in _NAMES:
        return _NAMES[kind].search(name) is not None
    vendor = kind.removeprefix(VENDOR)
    return name.lower() == vendor or (vendor in name.lower() and _VENDORS.search(name) is not None)
