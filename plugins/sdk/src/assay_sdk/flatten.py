"""Nested JSON to the flat traits and properties that records carry, and a value to its text form."""

import json
import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

Scalar = str | int | float | bool
Flat = dict[str, Scalar | list[Any]]


def flatten(mapping: Mapping[str, Any], *, max_depth: int = 8) -> Flat:
    """Turn nested objects into dotted names: `{"company": {"employees": 40}}` gives `{"company.employees": 40}`.

    Lists stay lists and null values are left away. An object nested more than `max_depth` levels deep is kept as its
    compact JSON text, so a hostile document costs no more than its size. Where a dotted name is given twice (`"a.b"`
    beside `"a": {"b": …}`), the one written out with dots stands: the result does not depend on the order of the keys.
    """
    found: Flat = {}
    nested: Flat = {}
    for key, value in mapping.items():
        name = str(key)
        if isinstance(value, Mapping):
            if max_depth > 1:
                inner: Flat = {f"{name}.{rest}": item for rest, item in flatten(value, max_depth=max_depth - 1).items()}
            else:
                inner = {name: _compact(value)}
            nested.update(inner)
        elif value is not None:
            found[name] = value
    return nested | found


def as_text(value: object) -> str | None:
    """The text form of a value that conditions compare: what PostgreSQL's `->>` gives for a scalar of a jsonb value.

    `40` is "40", `true` is "true", text is itself, null is None; lists and objects are compact JSON. NaN and the
    infinities, which JSON cannot hold, are None.
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _float_text(value)
    if isinstance(value, int):
        return str(value)
    return _compact(value)


def _float_text(value: float) -> str | None:
    """Plain digits, as jsonb keeps a number: 1e21 is written out, 40.0 stays 40.0."""
    # jsonb has no negative zero.
    return format(Decimal(repr(value or 0.0)), "f") if math.isfinite(value) else None


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
