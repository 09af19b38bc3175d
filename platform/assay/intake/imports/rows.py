"""From a row to records: values in, values out."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Any

from assay.intake.imports.cells import cell_value, parse_instant
from assay.intake.imports.columns import COMPANY, Columns
from assay.intake.imports.errors import FileRefused, RowRefused
from assay.intake.imports.models import Kind
from assay.intake.imports.options import Options
from assay_sdk import Company, Event, Identifiers, Identify, Record, Value

# Leads of a file without any id are told apart by the file's name and the row.
_VENDOR = "import"
_EMAIL = "email"
_NESTED = {"leads": "traits", "events": "properties"}

Cells = dict[str, Value]


@dataclass(frozen=True)
class Reader:
    """Reads the rows of one file."""

    kind: Kind
    options: Options
    #: When traits were stated, unless a column says it.
    stated_at: datetime

    def read_cells(self, names: list[str], columns: Columns, cells: list[str], *, number: int) -> list[Record]:
        """The records of a CSV row; raises RowRefused. An empty cell says nothing."""
        if len(cells) != len(names):
            raise RowRefused(f"The row has {len(cells)} cells; the heading has {len(names)}.")
        found: Cells = {}
        texts = columns.texts
        for name, cell in zip(names, cells, strict=True):
            if text := cell.strip():
                found[name] = text if name in texts else cell_value(text)
        return self._records(found, columns, number)

    def read_line(self, line: str, *, number: int) -> list[Record]:
        """The records of a line of JSON; raises RowRefused."""
        try:
            document = json.loads(line)
        except (ValueError, RecursionError) as error:
            reason = error.msg if isinstance(error, json.JSONDecodeError) else "it is not readable"
            raise RowRefused(f"The line is no JSON: {reason}.") from None
        if not isinstance(document, dict):
            raise RowRefused('The line must be one JSON object, such as {"email": "ada@example.test"}.')
        name = _NESTED[self.kind]
        inner = document.pop(name, None)
        if inner is not None and not isinstance(inner, dict):
            raise RowRefused(f"{name} must be an object.", column=name)
        found = _flat(document)
        try:
            columns = Columns.of([*found, *self.options.columns], self.kind, self.options)
        except FileRefused as refused:
            raise RowRefused(str(refused)) from None
        for column in columns.texts & found.keys():
            found[column] = _as_text(found[column], column)
        return self._records({**_flat(inner or {}), **found}, columns, number)

    def _records(self, found: Cells, columns: Columns, number: int) -> list[Record]:
        if self.kind == "events":
            return [_event(found, columns)]
        ids = _identifiers(found, columns)
        if not ids and columns.identifying:
            raise _nobody(columns)
        if not ids:
            ids = Identifiers(vendor={_VENDOR: f"{self.options.name} row {number}"})
        at = self.stated_at
        if columns.time and columns.time in found:
            at = parse_instant(str(found[columns.time]), column=columns.time)
        traits = _rest(found, columns)
        if ids.email:
            traits[_EMAIL] = ids.email
        key = found.get(columns.company_key) if columns.company_key else None
        if key is None:
            return [Identify(ids, traits, at)]
        ours = {name: value for name, value in traits.items() if not name.startswith(COMPANY)}
        theirs = {name.removeprefix(COMPANY): value for name, value in traits.items() if name not in ours}
        return [Identify(ids, ours, at), Company(ids, str(key), theirs, at)]


def _event(found: Cells, columns: Columns) -> Event:
    ids = _identifiers(found, columns)
    if not ids:
        raise _nobody(columns)
    if columns.type is None or columns.type not in found:
        raise RowRefused("The event has no type, such as page.viewed.", column=columns.type or "type")
    if columns.time is None or columns.time not in found:
        raise RowRefused("The event does not say when it happened.", column=columns.time or "occurred_at")
    at = parse_instant(str(found[columns.time]), column=columns.time)
    type_ = str(found[columns.type])
    properties = {name.removeprefix("properties."): value for name, value in _rest(found, columns).items()}
    sender_id = found.get(columns.message_id) if columns.message_id else None
    try:
        return Event(ids, type_, properties, at, sender_id=str(sender_id or _fingerprint(ids, type_, at, properties)))
    except ValueError as error:
        raise RowRefused(str(error), column=columns.type) from None


def _identifiers(found: Cells, columns: Columns) -> Identifiers:
    return Identifiers(
        user_id=_text(found, columns.id),
        email=_text(found, columns.email),
        anonymous_id=_text(found, columns.anonymous_id),
    )


def _text(found: Cells, column: str | None) -> str | None:
    value = found.get(column) if column else None
    return None if value is None else str(value)


def _rest(found: Cells, columns: Columns) -> Cells:
    return {name: value for name, value in found.items() if name not in columns.reserved}


def _nobody(columns: Columns) -> RowRefused:
    names = columns.identifying
    return RowRefused(
        f"The row names nobody: {' and '.join(names) or 'an id'} {'are' if len(names) > 1 else 'is'} empty."
    )


def _fingerprint(ids: Identifiers, type_: str, at: datetime, properties: Mapping[str, Value]) -> str:
    """The same row, sent again in any file, is the same event."""
    who = [ids.user_id, ids.email, ids.anonymous_id]
    row = json.dumps([who, type_, at.isoformat(), properties], sort_keys=True).encode()
    return f"row:{blake2b(row, digest_size=16).hexdigest()}"


def _flat(document: Mapping[str, Any], prefix: str = "") -> Cells:
    """Nested objects become dotted names; null says nothing."""
    flat: Cells = {}
    for name, value in document.items():
        if isinstance(value, dict):
            flat.update(_flat(value, f"{prefix}{name}."))
        elif value is not None:
            flat[prefix + name] = value
    return flat


def _as_text(value: Value, column: str) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value.strip():
        raise RowRefused(f"{column} must be a text that is not empty.", column=column)
    return value.strip()
