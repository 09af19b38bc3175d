"""Segment's names for what people do, in Assay's vocabulary."""

import re
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

from assay_sdk.values import words

_DOTTED = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)+")
_TYPE = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)*")

#: Names of Segment's own specification whose words say less than ours.
KNOWN = {
    "email.link.clicked": "email.clicked",
    "email.marked.as.spam": "email.complained",
    "live.chat.conversation.started": "chat.started",
    "order.completed": "deal.won",
}


@lru_cache(maxsize=1024)
def event_type(name: str) -> str:
    """``Demo Requested`` becomes ``demo.requested``; a name that is dotted lower case already is left as it is."""
    name = name.strip()
    if _DOTTED.fullmatch(name):
        return name
    dotted = ".".join(words(name))
    return KNOWN.get(dotted, dotted)


@lru_cache(maxsize=64)
def mapping_of(text: str) -> Mapping[str, str]:
    """Names of the tenant's own as types of ours: a line each, ``Demo Requested = meeting.booked``.

    How a name is written makes no difference. Raises ValueError for a line that says something else.
    """
    found: dict[str, str] = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        name, _, type_ = (part.strip() for part in line.rpartition("="))
        if not name or not event_type(name) or not _TYPE.fullmatch(type_):
            raise ValueError(f"{line[:100]!r} is no line such as Demo Requested = meeting.booked.")
        found[event_type(name)] = type_
    return MappingProxyType(found)
