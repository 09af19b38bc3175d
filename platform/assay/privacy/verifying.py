"""All tables of a tenant, looked through for a person's identifiers: whatever tables there are, by the catalogue."""

# ruff: noqa: S608 # of names that the catalogue gives, quoted

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Row, text

from assay.privacy.files import unread
from assay.privacy.steps import Erasing

ROWS = 2_000
#: Of a table whose rows may be large.
BODIES = 100
_TOLD = 5
# Kept although it names a lead by its id: who of the tenant's people looked at what was hidden, what they decided of
# others too, and what was asked to be erased.
_KEPT = ("profiles.reveals", "profiles.decisions", "profiles.erasures")
# Of whoever works for the tenant: they are members or were, and the audit log is never changed.
_OF_MEMBERS = "tenancy."
_TABLES = text("""
    SELECT n.nspname, c.relname, has_table_privilege(c.oid, 'SELECT') AS readable,
        array_agg(a.attname ORDER BY a.attnum) AS names,
        array_agg(format_type(a.atttypid, NULL) ORDER BY a.attnum) AS types,
        (
            SELECT array_agg(k.attname ORDER BY o.place)
            FROM pg_index i CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS o (attnum, place)
            JOIN pg_attribute k ON k.attrelid = c.oid AND k.attnum = o.attnum
            WHERE i.indrelid = c.oid AND i.indisprimary
        ) AS key
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
        AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
    GROUP BY c.oid, n.nspname, c.relname
    HAVING bool_or(a.attname = 'tenant_id')
    ORDER BY n.nspname, c.relname
""")
_TEXTS = ("text", "character varying", "character", "name", "citext", "text[]", "character varying[]", "inet", "xml")
_TREES = ("json", "jsonb")
_NUMBERS = ("bigint", "integer", "smallint", "uuid", "timestamp with time zone", "date")


@dataclass(frozen=True)
class Table:
    name: str
    readable: bool
    types: dict[str, str]
    #: Without the tenant.
    key: list[str] = field(default_factory=list)

    @property
    def told(self) -> list[str]:
        """Columns that could name somebody."""
        return [name for name, type_ in self.types.items() if type_ in (*_TEXTS, *_TREES, "bytea", "jsonb[]")]

    @property
    def rows(self) -> int:
        return BODIES if "bytea" in self.types.values() else ROWS

    @property
    def has_plain_key(self) -> bool:
        return all(self.types[name] in _NUMBERS for name in self.key)


def tables(erasing: Erasing) -> list[Table]:
    return [
        Table(
            f"{_quoted(row.nspname)}.{_quoted(row.relname)}",
            row.readable,
            dict(zip(row.names, row.types, strict=True)),
            [name for name in row.key or () if name != "tenant_id"],
        )
        for row in erasing.session.execute(_TABLES)
    ]


def verify(erasing: Erasing) -> None:
    """Some tables, or a page of a large one; the place tells which is next, and where in it."""
    place = erasing.place or {"table": "", "after": None}
    row = erasing.row
    if not place["table"]:
        row.found, row.scanned = [], {}
    looked = 0
    for table in tables(erasing):
        if table.name < place["table"]:
            continue
        if looked >= ROWS:
            erasing.place = {"table": table.name, "after": None}
            return
        if not table.readable:
            # Of people who log in, whom the application's own role never sees: no lead is kept there.
            row.scanned = {**row.scanned, table.name: None}
            continue
        after = place["after"] if table.name == place["table"] else None
        rows = _look(erasing, table, after)
        looked += max(1, len(rows)) * (ROWS // table.rows)
        if table.key and len(rows) == table.rows:
            erasing.place = {"table": table.name, "after": [rows[-1][number] for number in range(len(table.key))]}
            return
    row.found = [*row.found, *_unread(erasing)]
    erasing.place = None


def _look(erasing: Erasing, table: Table, after: Sequence[str] | None) -> Sequence[Row[Any]]:
    row, rows = erasing.row, _page(erasing, table, after)
    row.scanned = {**row.scanned, table.name: (row.scanned.get(table.name) or 0) + len(rows)}
    _tell(row, table, _hits(erasing, table, rows))
    if after is None:
        _tell(row, table, _by_ids(erasing, table))
    return rows


def _page(erasing: Erasing, table: Table, after: Sequence[str] | None) -> Sequence[Row[Any]]:
    key = [f"CAST(t.{_quoted(name)} AS text)" for name in table.key]
    told = [
        f"t.{_quoted(name)}" if table.types[name] == "bytea" else f"CAST(t.{_quoted(name)} AS text)"
        for name in table.told
    ]
    names = [f'{each} AS "{number}"' for number, each in enumerate([*key, *told])]
    query = f"SELECT {', '.join(names) or '1'} FROM {table.name} t WHERE t.tenant_id = :tenant_id"
    asked: dict[str, Any] = {"tenant_id": erasing.tenant_id}
    if table.key:
        columns = ", ".join(f"t.{_quoted(name)}" for name in table.key)
        if after is not None:
            places = ", ".join(f"CAST(:k{number} AS {table.types[name]})" for number, name in enumerate(table.key))
            query += f" AND ({columns}) > ({places})"
            asked |= {f"k{number}": value for number, value in enumerate(after)}
        query += f" ORDER BY {columns} LIMIT {table.rows}"
    return erasing.session.execute(text(query), asked).all()


def _hits(erasing: Erasing, table: Table, rows: Sequence[Row[Any]]) -> dict[str, list[Row[Any]]]:
    """Rows that name the person, by column."""
    needles, found = erasing.needles, dict[str, list[Row[Any]]]()
    start = len(table.key)
    for number, name in enumerate(table.told):
        values = [row[start + number] for row in rows]
        texts = ["" if value is None else _as_text(value) for value in values]
        for row, value, maybe in zip(rows, values, needles.rough(texts), strict=True):
            if maybe and value is not None and needles.names(_read(table.types[name], value)):
                found.setdefault(name, []).append(row)
    if {"kind", "value"} <= table.types.keys():
        kind, value = (start + table.told.index(name) for name in ("kind", "value"))
        theirs = [row for row in rows if (row[kind], row[value]) in erasing.keys]
        if theirs:
            found["value"] = theirs
    return found


def _by_ids(erasing: Erasing, table: Table) -> dict[str, list[Row[Any]]]:
    """Rows of the person's lead or of its identities."""
    if table.name in _KEPT:
        return {}
    found = {}
    for name, ids in (("lead_id", erasing.row.lead_ids), ("identity_id", erasing.row.identity_ids)):
        if table.types.get(name) == "bigint" and ids:
            key = ", ".join(f"CAST(t.{_quoted(each)} AS text)" for each in table.key)
            query = (
                f"SELECT {key} FROM {table.name} t"
                f" WHERE t.tenant_id = :tenant_id AND t.{name} = ANY(CAST(:ids AS bigint[])) LIMIT {ROWS}"
            )
            rows = erasing.session.execute(text(query), {"tenant_id": erasing.tenant_id, "ids": list(ids)}).all()
            if rows:
                found[name] = list(rows)
    return found


def _tell(row: Any, table: Table, hits: dict[str, list[Row[Any]]]) -> None:
    found = [dict(each) for each in row.found]
    for column, rows in hits.items():
        known = next((each for each in found if (each["table"], each["column"]) == (table.name, column)), None)
        if known is None:
            known = {"table": table.name, "column": column, "rows": 0, "ids": [], "why": _why(table)}
            found.append(known)
        known["rows"] += len(rows)
        if table.has_plain_key:
            ids = ["/".join(str(each[number]) for number in range(len(table.key))) for each in rows]
            known["ids"] = [*known["ids"], *ids][:_TOLD]
    row.found = found


def _why(table: Table) -> str:
    if table.name.startswith(_OF_MEMBERS):
        return "the person works here too, or did: that is kept as of a member, and no lead's"
    return "names the person"


def stays(found: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of what was found, that which keeps an erasure from being done."""
    return [each for each in found if not each["table"].startswith(_OF_MEMBERS)]


def _unread(erasing: Erasing) -> list[dict[str, Any]]:
    ids = unread(erasing)
    why = "a file that can't be looked into before it is read; its rows about the person will be turned away"
    told = {"table": "intake.import_chunks", "column": "body", "rows": len(ids), "why": why}
    return [{**told, "ids": [str(each) for each in ids[:_TOLD]]}] if ids else []


def _as_text(value: Any) -> str:
    return bytes(value).decode(errors="replace") if isinstance(value, bytes | memoryview) else str(value)


def _read(type_: str, value: Any) -> Any:
    return json.loads(value) if type_ in _TREES else value


def _quoted(name: str) -> str:
    return name if name.isidentifier() and name.islower() and name.isascii() else '"' + name.replace('"', '""') + '"'
