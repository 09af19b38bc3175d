"""Facts about leads as the engine's frames: read through Arrow, twice as fast as rows through Python."""

# ruff: noqa: S608 # names are quoted literals, ids are integers

import os
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress

import adbc_driver_postgresql.dbapi as adbc  # type: ignore[import-untyped] # published without types
import polars as pl

from assay_tenants.database import engine

INSTANT = pl.Datetime("us", "UTC")
_COMPANY = "company."

# A connection takes milliseconds to make. One for each thread, and never one from before a fork.
_local = threading.local()


def read_facts(
    tenant_id: int,
    lead_ids: Collection[int],
    *,
    traits: Collection[str],
    properties: Collection[str],
    types: Collection[str] | None = None,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Leads and their events for the engine, with text forms of these traits and properties.

    ``types`` are the types of events wanted; None for all. Leads that are gone are left out.
    """
    traits, properties = list(dict.fromkeys(traits)), list(dict.fromkeys(properties))
    ids = f"ANY (ARRAY[{','.join(str(int(lead_id)) for lead_id in lead_ids)}]::bigint[])"
    leads = (
        "SELECT l.id, l.first_seen_at"
        f"{''.join(f', {_trait(name)} AS t{place}' for place, name in enumerate(traits))} FROM profiles.leads l"
        f" LEFT JOIN profiles.companies c ON c.tenant_id = {int(tenant_id)} AND c.id = l.company_id"
        f" WHERE l.tenant_id = {int(tenant_id)} AND l.id = {ids}"
    )
    events = (
        f"SELECT e.lead_id, e.id::text, e.type, e.occurred_at"
        f"{''.join(f', e.properties ->> {_literal(name)} AS p{place}' for place, name in enumerate(properties))}"
        f" FROM profiles.events e WHERE e.tenant_id = {int(tenant_id)} AND e.lead_id = {ids}"
    )
    if types is not None:
        events += f" AND e.type = ANY (ARRAY[{','.join(map(_literal, types))}]::text[])"
    lead_columns = {"lead_id": pl.Int64(), "first_seen_at": INSTANT, **_texts("trait", traits)}
    event_columns = {
        "lead_id": pl.Int64(),
        "event_id": pl.String(),
        "type": pl.String(),
        "occurred_at": INSTANT,
        **_texts("property", properties),
    }
    with _transaction(tenant_id) as cursor:
        return _frame(cursor, leads, lead_columns), _frame(cursor, events, event_columns)


def _trait(name: str) -> str:
    own = f"l.traits ->> {_literal(name)}"
    if name.startswith(_COMPANY):
        return f"COALESCE(c.traits ->> {_literal(name.removeprefix(_COMPANY))}, {own})"
    return own


def _texts(kind: str, names: Sequence[str]) -> dict[str, pl.DataType]:
    return {f"{kind}:{name}": pl.String() for name in names}


def _literal(text: str) -> str:
    """Quoted for SQL; models are written by people, and PostgreSQL stores neither NUL nor half a surrogate pair."""
    storable = text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()
    return " E'" + storable.replace("\\", "\\\\").replace("'", "''") + "'"


def _frame(cursor: adbc.Cursor, query: str, columns: dict[str, pl.DataType]) -> pl.DataFrame:
    cursor.execute(query)
    frame = pl.DataFrame(cursor.fetch_arrow())
    # Named by position in SQL: two names that differ only beyond the 63rd byte would be one to PostgreSQL.
    frame.columns = list(columns)
    return frame.cast(pl.Schema(columns))


@contextmanager
def _transaction(tenant_id: int) -> Iterator[adbc.Cursor]:
    """One transaction that sees one tenant, on this thread's own Arrow connection."""
    connection = _entered(tenant_id)
    try:
        with connection.cursor() as cursor:
            yield cursor
        connection.rollback()
    except BaseException:
        _forget(connection)
        raise


def _entered(tenant_id: int) -> adbc.Connection:
    entry = f"SET LOCAL app.tenant_id = '{int(tenant_id)}'"
    url = engine().url.set(drivername="postgresql").render_as_string(hide_password=False)
    owner = (os.getpid(), url)
    if getattr(_local, "owner", None) == owner:
        try:
            return _execute(_local.connection, entry)
        except adbc.Error:
            # The server was restarted meanwhile.
            _forget(_local.connection)
    _local.connection, _local.owner = adbc.connect(url), owner
    return _execute(_local.connection, entry)


def _execute(connection: adbc.Connection, statement: str) -> adbc.Connection:
    with connection.cursor() as cursor:
        cursor.execute(statement)
    return connection


def _forget(connection: adbc.Connection) -> None:
    _local.__dict__.clear()
    with suppress(adbc.Error):
        connection.close()
