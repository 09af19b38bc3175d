"""A batch's rows on their way to PostgreSQL: as one JSON parameter where they are few, by COPY where they are many.

Arrays would be dumped by psycopg in Python, element by element.
"""

from collections.abc import Iterable, Sequence
from typing import Any, cast
from zlib import crc32

import msgspec
from psycopg import Connection
from sqlalchemy import text
from sqlalchemy.orm import Session

_ESCAPED = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def rows(**columns: Sequence[Any]) -> str:
    """Columns of equal length; JSON texts are passed as ``raw``."""
    names = list(columns)
    table = [dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return msgspec.json.encode(table).decode()


def raw(json: str) -> msgspec.Raw:
    return msgspec.Raw(json.encode())


def copied(session: Session, columns: str, lines: Iterable[str | bytes], *, form: str = "text") -> str:
    """The name of a table of this transaction's own that holds these lines of a COPY.

    A COPY into a table that tenants share would be refused: row-level security has no say in it.
    """
    connection = cast("Connection[Any]", session.connection().connection.driver_connection)
    # As many as there are kinds of rows: made once in a connection, and empty in each new transaction.
    table = f"rows_{crc32(columns.encode()):08x}"
    session.execute(text(f"CREATE TEMP TABLE IF NOT EXISTS {table} ({columns}) ON COMMIT DELETE ROWS"))
    # Filled before in this very transaction; TRUNCATE would write to the catalog each time.
    session.execute(text(f"DELETE FROM pg_temp.{table}"))  # noqa: S608 # named above
    statement = f"COPY pg_temp.{table} FROM STDIN (FORMAT {form}, NULL '\\N')"
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for line in lines:
            copy.write(line)
    return f"pg_temp.{table}"


def escaped(value: str) -> str:
    """A text as a cell of COPY's text format."""
    return value if value.isalnum() else value.translate(_ESCAPED)
