"""A waiting file is read batch by batch, each from where the last one ended."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import chain
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from assay.intake.imports.columns import Columns, heading_of
from assay.intake.imports.errors import FileRefused, RowRefused, Unclosed
from assay.intake.imports.lines import Lines, delimiter_of, table_rows
from assay.intake.imports.models import Import, ImportChunk, RefusedRow
from assay.intake.imports.options import Options
from assay.intake.imports.rows import Reader
from assay.intake.imports.service import drop_chunks, fail_abandoned
from assay_sdk import Record

# Bounds a transaction's time and memory; wide rows make it shorter.
ROWS = 2_000
BYTES = 2 * 1024 * 1024
# All refused rows are counted; nobody reads more than these.
MOST_REFUSED = 10_000


@dataclass
class Batch:
    """Rows of one import, and where they end."""

    row: Import
    #: By row number.
    records: dict[int, list[Record]] = field(default_factory=dict)
    refused: dict[int, RowRefused] = field(default_factory=dict)
    #: Number of the last row, as a spreadsheet counts.
    number: int = 0
    rows: int = 0
    position: int = 0
    is_last: bool = False
    failure: str | None = None

    def refuse(self, number: int, reason: str, *, column: str | None) -> None:
        """For a row whose records turn out to be no good."""
        self.records.pop(number, None)
        self.refused[number] = RowRefused(reason, column=column)


def take(session: Session, tenant_id: int) -> Batch | None:
    """The next rows of the oldest import that waits and that nobody else is reading; None when there is none."""
    fail_abandoned(session, tenant_id)
    row = session.scalars(
        select(Import)
        .where(Import.tenant_id == tenant_id, Import.state == "waiting")
        .order_by(Import.created_at, Import.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    ).one_or_none()
    if row is None:
        return None
    batch = Batch(row, number=row.options["reading"].get("number", 0), position=row.bytes_read)
    try:
        _read(session, batch)
    except FileRefused as refused:
        batch.failure = str(refused)
    return batch


def advance(session: Session, batch: Batch) -> None:
    """The batch's rows have been taken in: the next one begins after them. Part of the same transaction."""
    row = batch.row
    room = MOST_REFUSED - row.rows_refused
    if batch.refused and room > 0:
        session.execute(insert(RefusedRow), _refused_rows(batch)[:room])
    row.rows_read += batch.rows
    row.rows_refused += len(batch.refused)
    row.bytes_read = batch.position
    row.options = {**row.options, "reading": {**row.options["reading"], "number": batch.number}}
    if batch.failure is not None or batch.is_last:
        row.state, row.error = ("done", None) if batch.failure is None else ("failed", batch.failure)
        row.finished_at = datetime.now(UTC)
        drop_chunks(session, row.tenant_id, row.id)


def _read(session: Session, batch: Batch) -> None:
    row = batch.row
    options = Options(**{name: value for name, value in row.options.items() if name != "reading"})
    reader = Reader(row.kind, replace(options, name=options.name or row.filename), row.created_at)
    lines = _lines(session, row)
    start = lines.position
    try:
        for outcome in _table(lines, batch, reader) if row.format == "csv" else _objects(lines, batch, reader):
            batch.position = lines.position
            if isinstance(outcome, RowRefused):
                batch.refused[batch.number] = outcome
            elif outcome:
                batch.records[batch.number] = outcome
            if batch.rows >= ROWS or lines.position - start > BYTES:
                return
        batch.position = lines.position
        batch.is_last = True
    except Unclosed:
        batch.failure = (
            f"In row {batch.number + 1} a quotation mark is opened and never closed. The rows before it were taken in; "
            "mend it and send the file again."
        )


#: Of a row: its records, why it has none, or nothing for a blank line.
Outcome = list[Record] | RowRefused | None


def _table(lines: Lines, batch: Batch, reader: Reader) -> Iterator[Outcome]:
    names = _heading(lines, batch, reader.options)
    columns = Columns.of(names, reader.kind, reader.options)
    for cells in table_rows(lines, batch.row.options["reading"]["delimiter"]):
        batch.number += 1
        if not isinstance(cells, RowRefused) and not any(cell.strip() for cell in cells):
            yield None
            continue
        batch.rows += 1
        try:
            yield (
                cells
                if isinstance(cells, RowRefused)
                else reader.read_cells(names, columns, cells, number=batch.number)
            )
        except RowRefused as refused:
            yield refused


def _objects(lines: Lines, batch: Batch, reader: Reader) -> Iterator[Outcome]:
    for line in lines:
        batch.number += 1
        if not line.strip():
            yield None
            continue
        batch.rows += 1
        try:
            yield reader.read_line(line, number=batch.number)
        except RowRefused as refused:
            yield refused


def _heading(lines: Lines, batch: Batch, options: Options) -> list[str]:
    """The names of the columns; read from the file once, and remembered together with the delimiter."""
    row = batch.row
    reading = row.options["reading"]
    if "columns" not in reading:
        first = _first_line(lines, batch)
        delimiter = options.delimiter or delimiter_of(first)
        cells = next(table_rows(chain([first], lines), delimiter), [])
        if isinstance(cells, RowRefused):
            raise FileRefused(f"The heading can't be read. {cells.reason}")
        batch.number += 1
        batch.position = lines.position
        reading = {**reading, "columns": heading_of(cells), "delimiter": delimiter}
        row.options = {**row.options, "reading": reading}
    names: list[str] = reading["columns"]
    return names


def _first_line(lines: Lines, batch: Batch) -> str:
    for line in lines:
        if line.strip():
            return line
        batch.number += 1
    raise FileRefused("The file is empty.")


def _lines(session: Session, row: Import) -> Lines:
    def chunk(position: int) -> bytes | None:
        return session.scalars(
            select(ImportChunk.body).where(
                ImportChunk.tenant_id == row.tenant_id,
                ImportChunk.import_id == row.id,
                ImportChunk.position == position,
            )
        ).one_or_none()

    reading = row.options["reading"]
    return Lines(chunk, position=row.bytes_read, newline=reading["newline"], encoding=reading["encoding"])


def _refused_rows(batch: Batch) -> list[dict[str, Any]]:
    return [
        {
            "tenant_id": batch.row.tenant_id,
            "import_id": batch.row.id,
            "row_number": number,
            "column_name": refused.column,
            "reason": refused.reason,
        }
        for number, refused in sorted(batch.refused.items())
    ]
