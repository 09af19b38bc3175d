"""A raw message as a person reads it, opened where the event stands."""

import json
from dataclasses import dataclass
from typing import Any

from assay.profiles.marks import Marks

#: Stands where nobody can tell which part of a text is kept out of sight.
UNTOLD = "This is not JSON, so what is sensitive in it can't be told from the rest, and none of it is shown."


@dataclass(frozen=True)
class ReadableMessage:
    """``about`` is the part of the request that the event came from: the request itself where it carried one only."""

    about: str
    whole: str | None


def readable(body: bytes, sender_id: str, marks: Marks) -> ReadableMessage:
    """The request as it came, only with its JSON set out in lines, and masked what is kept out of sight."""
    text = body.decode("utf-8", "replace")
    try:
        tree = marks.masked_tree(json.loads(text))
        part = _holder(tree, sender_id)
    except (ValueError, RecursionError):
        return ReadableMessage(UNTOLD if marks else text, None)
    if part is None or part is tree:
        return ReadableMessage(_lines(tree), None)
    return ReadableMessage(_lines(part), _lines(tree))


def _holder(tree: Any, sender_id: str) -> dict[str, Any] | None:
    """The outermost object that carries this id itself; its neighbours in a batch may be of other people."""
    if isinstance(tree, dict):
        if sender_id in (value for value in tree.values() if isinstance(value, str)):
            return tree
        children = list(tree.values())
    else:
        children = tree if isinstance(tree, list) else []
    for child in children:
        found = _holder(child, sender_id)
        if found is not None:
            return found
    return None


def _lines(tree: Any) -> str:
    return json.dumps(tree, indent=2, ensure_ascii=False)
