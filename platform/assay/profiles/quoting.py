"""Texts as SQL literals, for statements that Arrow runs: those take no parameters."""

from collections.abc import Iterable


def literal(text: str) -> str:
    """Quoted for SQL; models are written by people, and PostgreSQL stores neither NUL nor half a surrogate pair."""
    storable = text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()
    return " E'" + storable.replace("\\", "\\\\").replace("'", "''") + "'"


def literals(texts: Iterable[str]) -> str:
    return f"ARRAY[{','.join(map(literal, texts))}]::text[]"
