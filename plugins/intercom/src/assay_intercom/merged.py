"""Contacts that were merged: Intercom answers 410 under the old id, and says which one has taken its place."""

import re
from collections.abc import Callable
from typing import TypeVar

from assay_sdk import Refused

T = TypeVar("T")

#: How often one may have been merged on.
HOPS = 3
_CANONICAL = re.compile(r"<(?:https?://[^/>]+)?/contacts/(?P<id>[\w-]+)>\s*;[^,]*\brel=\"?canonical\b", re.IGNORECASE)


def canonical_id(error: Refused) -> str | None:
    """The contact that has taken the place of one that was merged; None where the answer does not say."""
    found = _CANONICAL.search(error.headers.get("link", "")) if error.status == 410 else None
    return found["id"] if found else None


def follow_merges(id_: str, ask: Callable[[str], T]) -> tuple[T, str]:
    """What ``ask`` gives for the contact or for the one that has taken its place, and whose id that was."""
    for _ in range(HOPS):
        try:
            return ask(id_), id_
        except Refused as error:
            following = canonical_id(error)
            if following is None or following == id_:
                raise
            id_ = following
    return ask(id_), id_
