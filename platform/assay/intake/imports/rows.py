"""From a row to records: values in, values out."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from assay.canonical import canonical
from assay.intake.imports.cells import cell_value, parse_instant
from assay.intake.imports.columns import COMPANY, LINE, Columns, of_line, of_mapped_line
from assay.intake.imports.errors import FileRefused, RowRefused
from assay.intake.imports.fingerprints import fingerprint
from assay.intake.imports.mapping import ColumnMapping
from assay.intake.imports.models import Kind
from assay.intake.imports.options import Options
from assay.intake.imports.refusals import unescaped
from assay_sdk import Company, CoreRecord, Event, Identifiers, Identify, Value

# Leads of a file without any id are told apart by the file's name and the row.
_VENDOR = "import"
_EMAIL = "email"
_NESTED = {"leads": "traits", "events": "properties"}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

Cells = dict[str, Value]


@dataclass(frozen=True)
class Reader:
    """Reads the rows of one file."""

    kind: Kind
    options: Options
    #: When traits were stated, unless a column says it.
    stated_at: datetime
    #: None: lines of JSON are understood by the names they have, each by its own.
    mapping: ColumnMapping | None = None

    def columns_of(self, names: Sequence[str]) -> Columns:
        """Raises FileRefused."""
        if self.mapping is None:
            return of_line((*names,), self.kind, self.options)
        return of_mapped_line((*names,), self.kind, self.mapping)

    def read_cells(self, names: list[str], columns: Columns, cells: list[str], *, number: int) -> list[CoreRecord]:
        """The records of a CSV row; raises RowRefused. An empty cell says nothing."""
        if len(cells) != len(names):
            raise RowRefused(f"The row has {len(cells)} cells; the heading has {len(names)}.")
        found: Cells = {}
        texts = columns.texts
        numbers = columns.mapping.numbers
        for name, cell in zip(names, cells, strict=True):
            if text := (unescaped(cell) if columns.is_ours else cell).strip():
                found[name] = text if name in texts else cell_value(text, numbers)
        return self._records(found, columns, number)

    def read_line(self, line: str, *, number: int) -> list[CoreRecord]:
        """The records of a line of JSON; raises RowRefused."""
        return self.read_object(object_of(line), number=number)

    def read_object(self, document: Mapping[str, Any], *, number: int) -> list[CoreRecord]:
        """The records of an object; raises RowRefused."""
        return self.read_flat(self.flat(document), number=number)

    def read_flat(self, found: Cells, *, number: int) -> list[CoreRecord]:
        """The records of a row whose cells have types; raises RowRefused."""
        try:
            names = [*found, *(name for name in self.options.columns if name not in found)]
            columns = self.columns_of(names)
        except FileRefused as refused:
            raise RowRefused(str(refused)) from None
        for column in columns.texts & found.keys():
            found[column] = _as_text(found[column], column)
        return self._records(found, columns, number)

    def flat(self, document: Mapping[str, Any]) -> Cells:
        """Columns of an object; raises RowRefused."""
        if LINE in document:
            raise RowRefused("This line was no JSON. Put the mended object in its place.", column=LINE)
        name = _NESTED[self.kind]
        inner = document.get(name)
        if inner is not None and not isinstance(inner, dict):
            raise RowRefused(f"{name} must be an object.", column=name)
        return _flat(document)

    def _records(self, found: Cells, columns: Columns, number: int) -> list[CoreRecord]:
        if self.kind == "events":
            return [_event(found, columns)]
        ids = _identifiers(found, columns)
        if not ids and columns.identifying:
            raise _nobody(columns)
        if not ids:
            ids = Identifiers(vendor={_VENDOR: f"{self.options.name} row {number}"})
        at = self.stated_at
        if columns.time and columns.time in found:
            at = _instant(found, columns, columns.time)
        traits = _rest(found, columns)
        if ids.email:
            traits[_EMAIL] = ids.email
        key = found.get(columns.company_key) if columns.company_key else None
        if key is None:
            return [Identify(ids, traits, at)]
        ours = {name: value for name, value in traits.items() if not name.startswith(COMPANY)}
        theirs = {name.removeprefix(COMPANY): value for name, value in traits.items() if name not in ours}
        return [Identify(ids, ours, at), Company(ids, str(key), theirs, at)]


def object_of(line: str) -> dict[str, Any]:
    """The object that a line holds; raises RowRefused."""
    try:
        document = json.loads(line)
    except (ValueError, RecursionError) as error:
        reason = error.msg if isinstance(error, json.JSONDecodeError) else "it is not readable"
        raise RowRefused(f"The line is no JSON: {reason}.") from None
    if not isinstance(document, dict):
        raise RowRefused('The line must be one JSON object, such as {"email": "ada@example.test"}.')
    return document


def _event(found: Cells, columns: Columns) -> Event:
    ids = _identifiers(found, columns)
    if not ids:
        raise _nobody(columns)
    type_ = columns.mapping.type if columns.type is None else found.get(columns.type)
    if type_ is None:
        raise RowRefused("The event has no type, such as page.viewed.", column=columns.type or "type")
    if columns.time is None or columns.time not in found:
        raise RowRefused("The event does not say when it happened.", column=columns.time or "occurred_at")
    at = _instant(found, columns, columns.time)
    properties = _rest(found, columns)
    sender_id = found.get(columns.message_id) if columns.message_id else None
    try:
        if sender_id is None:
            sender_id = _fingerprint(ids, str(type_), at, properties)
        return Event(ids, str(type_), properties, at, sender_id=str(sender_id))
    except RecursionError:
        raise RowRefused("The properties are nested too deeply.") from None
    except ValueError as error:
        raise RowRefused(str(error), column=columns.type) from None


def _fingerprint(ids: Identifiers, type_: str, at: datetime, properties: Mapping[str, Value]) -> str:
    vendors = sorted(ids.vendor.items())
    micros = (at - _EPOCH) // _MICROSECOND
    return fingerprint(ids.user_id, ids.email, ids.anonymous_id, vendors, type_, micros, canonical(dict(properties)))


def _instant(found: Cells, columns: Columns, column: str) -> datetime:
    mapping = columns.mapping
    return parse_instant(str(found[column]), column=column, dates=mapping.dates or "iso", zone=mapping.zone)


def _identifiers(found: Cells, columns: Columns) -> Identifiers:
    return Identifiers(
        user_id=_text(found, columns.id),
        email=_text(found, columns.email),
        anonymous_id=_text(found, columns.anonymous_id),
        vendor={vendor: str(found[column]) for vendor, column in columns.vendors if column in found},
    )


def _text(found: Cells, column: str | None) -> str | None:
    value = found.get(column) if column else None
    return None if value is None else str(value)


def _rest(found: Cells, columns: Columns) -> Cells:
    return {name: found[column] for column, name in columns.named if column in found}


def _nobody(columns: Columns) -> RowRefused:
    names = columns.identifying
    return RowRefused(
        f"The row names nobody: {' and '.join(names) or 'an id'} {'are' if len(names) > 1 else 'is'} empty."
    )


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
