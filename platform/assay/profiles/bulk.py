"""A batch's rows as one JSON parameter; arrays would be dumped by psycopg in Python, element by element."""

from collections.abc import Sequence
from typing import Any

import msgspec


def rows(**columns: Sequence[Any]) -> str:
    """Columns of equal length; JSON texts are passed as ``raw``."""
    names = list(columns)
    table = [dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return msgspec.json.encode(table).decode()


def raw(json: str) -> msgspec.Raw:
    return msgspec.Raw(json.encode())
