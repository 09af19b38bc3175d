"""A file is read batch by batch, each from where the last one ended, and checked without being kept in the same way."""

from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from typing import Any

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from assay.intake.imports import event_reading, parquet, progress
from assay.intake.imports.batches import Batch
from assay.intake.imports.columns import by_names, heading_of
from assay.intake.imports.errors import FileRefused, RowRefused, Unclosed
from assay.intake.imports.lines import Lines, delimiter_of, table_rows
from assay.intake.imports.mapping import ColumnMapping
from assay.intake.imports.models import AT_WORK, Import, ImportCheck, RefusedRow
from assay.intake.imports.options import Options
from assay.intake.imports.queries import MOST_REFUSED
from assay.intake.imports.rows import Reader
from assay.intake.imports.storing import chunk_of, drop_chunks, fail_abandoned

# Bounds a transaction's time and memory; wide rows make it shorter.
ROWS = 2_000
BYTES = 2 * 1024 * 1024
LONGEST_ORIGINAL = 32 * 1024
MOST_ORIGINALS = 64 * 1024 * 1024


def next_up(session: Session, tenant_id: int) -> Import | None:
    """The oldest import that something has to be done about and that nobody else is at; None when there is none."""
    fail_abandoned(session, tenant_id)
    return session.scalars(
        select(Import)
        .where(Import.tenant_id == tenant_id, Import.state.in_(AT_WORK))
        .order_by(Import.created_at, Import.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    ).one_or_none()


def read(session: Session, row: Import, *, alone: bool = True) -> Batch:
    """Its next rows; fewer when others wait."""
    batch = Batch(row, number=row.options["reading"].get("number", 0), position=row.bytes_read, alone=alone)
    try:
        _read(session, batch)
    except Unclosed:
        advice = "Mend it" if row.state == "checking" else "The rows before it were taken in; mend it"
        batch.failure = (
            f"In row {batch.number + 1} a quotation mark is opened and never closed. {advice} and send the file again."
        )
    except FileRefused as refused:
        batch.failure = str(refused)
    return batch


def advance(session: Session, batch: Batch) -> None:
    """The batch's rows have been taken in: the next one begins after them. Part of the same transaction."""
    row = batch.row
    room = MOST_REFUSED - row.rows_refused
    reading = {**row.options["reading"], "number": batch.number}
    if batch.refused and room > 0:
        kept = _refused_rows(batch, room, reading)
        session.execute(insert(RefusedRow), kept)
    progress.note(row, reading)
    row.rows_read += batch.rows
    row.rows_refused += len(batch.refused)
    row.bytes_read = batch.position
    row.options = {**row.options, "reading": reading}
    if row.state == "checking":
        _add_up(session, batch)
    elif batch.failure is not None or batch.is_last:
        row.state, row.error = ("done", None) if batch.failure is None else ("failed", batch.failure)
        row.finished_at = datetime.now(UTC)
        drop_chunks(session, row.tenant_id, row.id)
        parquet.forget(row)


def start_over(session: Session, row: Import) -> None:
    """Forgets what was read so far; nothing of it may have been taken in."""
    row.bytes_read = row.rows_read = row.rows_refused = 0
    row.options = {**row.options, "reading": progress.without(row.options["reading"])}
    for table in (RefusedRow, ImportCheck):
        session.execute(delete(table).where(table.tenant_id == row.tenant_id, table.import_id == row.id))


def _add_up(session: Session, batch: Batch) -> None:
    """A check counts on; when it is over, its counts stay, and the file waits for the real thing."""
    row = batch.row
    before = row.report or {}
    counts = {name: before.get(name, 0) + count for name, count in batch.counts.items()}
    report: dict[str, Any] = {**before, **counts, "rows": row.rows_read, "refused": row.rows_refused}
    if batch.failure is not None or batch.is_last:
        report |= {"error": batch.failure, "finished_at": datetime.now(UTC).isoformat()}
        row.state = "ready"
        row.bytes_read = 0
        row.options = {**row.options, "reading": progress.without(row.options["reading"])}
        session.execute(
            delete(ImportCheck).where(ImportCheck.tenant_id == row.tenant_id, ImportCheck.import_id == row.id)
        )
    row.report = report


def reader_of(row: Import, mapping: ColumnMapping | None) -> Reader:
    options = Options(**{name: value for name, value in row.options.items() if name != "reading"})
    return Reader(row.kind, replace(options, name=options.name or row.filename), row.created_at, mapping)


def mapping_of(row: Import) -> ColumnMapping | None:
    return ColumnMapping.read(row.mapping, row.kind) if row.mapping is not None else None


def encoding_of(row: Import, mapping: ColumnMapping | None) -> str:
    found: str = row.options["reading"]["encoding"]
    return mapping.encoding or found if mapping is not None else found


def lines_of(session: Session, row: Import, mapping: ColumnMapping | None) -> Lines:
    return Lines(
        chunk_of(session, row),
        position=row.bytes_read or row.options["reading"].get("start", 0),
        newline=row.options["reading"]["newline"],
        encoding=encoding_of(row, mapping),
    )


def _read(session: Session, batch: Batch) -> None:
    row = batch.row
    reader = reader_of(row, mapping_of(row))
    if row.format == "parquet":
        parquet.read(session, batch, reader)
        return
    lines = lines_of(session, row, reader.mapping)
    if row.format == "csv":
        names = _heading(lines, batch, reader)
        reader = replace(reader, mapping=_kept_mapping(batch, names, reader))
        if row.kind == "events" and event_reading.read_table(session, batch, reader, names):
            return
        _read_rows(lines, batch, reader, names)
    elif row.kind != "events" or not event_reading.read_lines(session, batch, reader):
        _read_objects(lines, batch, reader)


def _kept_mapping(batch: Batch, names: list[str], reader: Reader) -> ColumnMapping:
    """Found out once, and remembered: that is how this file was read."""
    if reader.mapping is not None:
        return reader.mapping
    mapping = by_names(names, reader.kind, reader.options)
    batch.row.mapping = mapping.document()
    return mapping


def _read_rows(lines: Lines, batch: Batch, reader: Reader, names: list[str]) -> None:
    start = batch.position
    columns = reader.columns_of(names)
    for cells in table_rows(lines, batch.row.options["reading"]["delimiter"]):
        batch.number += 1
        if isinstance(cells, RowRefused):
            batch.count(None)
            batch.refused[batch.number] = cells
        elif any(cell.strip() for cell in cells):
            batch.count(cells)
            batch.take(partial(reader.read_cells, names, columns, cells, number=batch.number))
        batch.position = lines.position
        if batch.rows >= ROWS or lines.position - start > BYTES:
            return
    batch.position = lines.position
    batch.is_last = True


def _read_objects(lines: Lines, batch: Batch, reader: Reader) -> None:
    start = batch.position
    for line in lines:
        batch.number += 1
        if line.strip():
            batch.count(line)
            batch.take(partial(reader.read_line, line, number=batch.number))
        batch.position = lines.position
        if batch.rows >= ROWS or lines.position - start > BYTES:
            return
    batch.position = lines.position
    batch.is_last = True


def _heading(lines: Lines, batch: Batch, reader: Reader) -> list[str]:
    """The names of the columns; read from the file once, and remembered together with the delimiter."""
    row = batch.row
    reading = row.options["reading"]
    if "columns" not in reading:
        delimiter = reader.mapping.delimiter if reader.mapping else None
        names, delimiter, number = heading(lines, delimiter or reader.options.delimiter)
        batch.number += number
        batch.position = lines.position
        reading = {**reading, "columns": names, "delimiter": delimiter}
        row.options = {**row.options, "reading": reading}
    return list(reading["columns"])


def heading(lines: Lines, delimiter: str | None) -> tuple[list[str], str, int]:
    """The names of the columns, what separates them, and the number of rows up to here. Raises FileRefused."""
    number = 0
    for line in lines:
        number += 1
        if line.strip():
            break
    else:
        raise FileRefused("The file is empty.")
    chosen = delimiter or delimiter_of(line)
    cells = next(table_rows(chain([line], lines), chosen), [])
    if isinstance(cells, RowRefused):
        raise FileRefused(f"The heading can't be read. {cells.reason}")
    return heading_of(cells), chosen, number


def _refused_rows(batch: Batch, room: int, reading: dict[str, Any]) -> list[dict[str, Any]]:
    rows = []
    size = reading.get("originals", 0)
    for number, refused in sorted(batch.refused.items())[:room]:
        original = batch.original(number)
        if original is not None and (len(original) > LONGEST_ORIGINAL or size + len(original) > MOST_ORIGINALS):
            original = None
        size += len(original or "")
        rows.append(
            {
                "tenant_id": batch.row.tenant_id,
                "import_id": batch.row.id,
                "row_number": number,
                "column_name": refused.column,
                "reason": refused.reason,
                "original": original,
            }
        )
    reading["originals"] = size
    return rows
