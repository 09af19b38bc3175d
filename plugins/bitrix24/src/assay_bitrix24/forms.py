"""PHP's way to write nested values into a form or a query: ``data[FIELDS][ID]=1148``."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

_NAME = re.compile(r"[^\[\]]+(?:\[[^\[\]]*\])*")
_PART = re.compile(r"\[([^\[\]]*)\]")
_SECRET = frozenset({"access_token", "refresh_token", "application_token", "auth_id", "refresh_id", "client_secret"})
MASKED = "masked"
MOST_FIELDS = 500
DEEPEST = 8


def pairs(body: bytes) -> list[tuple[str, str]]:
    """The fields of a form, flat; raises ValueError for too many."""
    text = body.decode(errors="replace")
    return parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="replace")


def nested(fields: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Flat names with brackets as objects within objects; ``[]`` counts up. What fits nowhere is left out."""
    found: dict[str, Any] = {}
    for name, value in fields:
        if not _NAME.fullmatch(name):
            continue
        path = [name.split("[", 1)[0], *_PART.findall(name)]
        if len(path) > DEEPEST:
            continue
        inner: Any = found
        for key in path[:-1]:
            inner = inner.setdefault(key or str(len(inner)), {})
            if not isinstance(inner, dict):
                break
        else:
            inner[path[-1] or str(len(inner))] = value
    return found


def masked(fields: Iterable[tuple[str, str]]) -> bytes:
    """The form again, without the tokens that came in it."""
    return urlencode([(name, MASKED if _last(name).lower() in _SECRET else value) for name, value in fields]).encode()


def _last(name: str) -> str:
    """The innermost part of a name: ``access_token`` of ``auth[access_token]``."""
    parts: list[str] = _PART.findall(name)
    return parts[-1] if parts else name


def query(parameters: Mapping[str, Any]) -> str:
    """Nested values as a query in PHP's notation, for a part of a ``batch``."""
    return "&".join(f"{quote(name, safe='[]')}={quote(value, safe='')}" for name, value in _flat(parameters, ""))


def _flat(value: Any, name: str) -> list[tuple[str, str]]:
    if isinstance(value, Mapping):
        items: Iterable[tuple[Any, Any]] = value.items()
    elif isinstance(value, Sequence) and not isinstance(value, str):
        items = enumerate(value)
    else:
        # In a batch, $result[…] stands for another part's answer: in a text of ours it is only a text.
        text = "" if value is None else str(value)
        return [(name, text.replace("$result", "$ result"))]
    return [found for key, inner in items for found in _flat(inner, f"{name}[{key}]" if name else str(key))]
