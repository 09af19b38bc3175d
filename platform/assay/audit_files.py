"""The audit log as a file, in pieces: the whole of it takes no more memory than a step."""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, Final

from assay.audit_words import sentence
from assay_tenants import audit
from assay_tenants.audit.queries import Entry, Wanted, all_entries
from assay_tenants.database import tenant_session

HEADING: Final = (
    *("id", "at", "actor_kind", "actor_id", "actor_name", "address", "door", "request_id", "action", "subject"),
    *("sentence", "before", "after", "hash"),
)
# A spreadsheet would take what begins so for a formula, and run it.
_FORMULAS = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class File:
    name: str
    media_type: str
    parts: Iterator[str]


def audit_file(tenant_id: int, wanted: Wanted, format_: str) -> File:
    """Everything that is wanted, newest first; that it was taken is written down before. Raises BadInput."""
    wanted.conditions(tenant_id)
    with tenant_session(tenant_id) as session:
        asked = {field.name: getattr(wanted, field.name) for field in fields(wanted)}
        told = {name: str(value) for name, value in asked.items() if value is not None}
        audit.record(session, tenant_id, "audit.exported", after={"format": format_, **told})
    media_type, pieces = _FORMATS[format_]
    name = f"audit-{datetime.now(UTC):%Y-%m-%d}.{format_}"
    return File(name, media_type, pieces(all_entries(tenant_id, wanted)))


def _csv(steps: Iterable[list[Entry]]) -> Iterator[str]:
    yield _lines([HEADING])
    for entries in steps:
        yield _lines([_cell(row[name]) for name in HEADING] for row in map(row_of, entries))


def _jsonl(steps: Iterable[list[Entry]]) -> Iterator[str]:
    for entries in steps:
        yield "".join(f"{json.dumps(row_of(entry), ensure_ascii=False)}\n" for entry in entries)


def row_of(entry: Entry) -> dict[str, Any]:
    told = {name: getattr(entry, name) for name in HEADING if name not in ("at", "sentence", "hash")}
    instant = entry.at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    whole = {**told, "at": instant, "sentence": sentence(entry), "hash": entry.hash.hex()}
    return {name: whole[name] for name in HEADING}


def _lines(rows: Iterable[Iterable[object]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()


def _cell(value: object) -> object:
    if isinstance(value, Mapping):
        return json.dumps(value, ensure_ascii=False)
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULAS) else value


_FORMATS: Final[Mapping[str, tuple[str, Callable[[Iterable[list[Entry]]], Iterator[str]]]]] = {
    "csv": ("text/csv; charset=utf-8", _csv),
    "jsonl": ("application/x-ndjson", _jsonl),
}
FORMATS: Final = tuple(_FORMATS)
