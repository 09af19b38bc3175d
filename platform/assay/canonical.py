"""A value's one JSON text."""

import json
from collections.abc import Iterable, Mapping
from decimal import Decimal
from json.encoder import encode_basestring
from typing import Any


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
