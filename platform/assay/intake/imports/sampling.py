"""The first rows of a stored file, before it is read."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any

from sqlalchemy.orm import Session

from assay.canonical import canonical
from assay.intake.imports.batches import Batch
from assay.intake.imports.errors import FileRefused, RowRefused, Unclosed
from assay.intake.imports.guessing import guess
from assay.intake.imports.lines import table_rows
from assay.intake.imports.mapping import ColumnMapping, Guess
from assay.intake.imports.models import Import
from assay.intake.imports.reading import heading, lines_of, reader_of
from assay.intake.imports.rows import object_of

ROWS = 200
#: A row may be a megabyte.
_BYTES = 4 * 1024 * 1024


@dataclass
class Sample:
    names: list[str]
    #: Row number and the row: its cells, a line, an object of plain values, or why it can't be read.
    rows: list[tuple[int, Any]]
    delimiter: str | None = None
    #: What stands in each column, as text.
    values: dict[str, list[str]] = field(default_factory=dict)


def sample_of(session: Session, row: Import, mapping: ColumnMapping | None) -> Sample:
    """Raises FileRefused when the file has no rows that could be told apart."""
    if row.format == "parquet":
        reading = row.options["reading"]
        sample = Sample(reading["columns"], list(enumerate(reading["sample"], start=1)))
    elif row.format == "csv":
        sample = _of_table(session, row, mapping)
    else:
        sample = _of_lines(session, row, mapping)
    _collect(sample, row)
    return sample


def guess_of(row: Import, sample: Sample) -> Guess:
    return guess(sample.names, row.kind, reader_of(row, None).options, sample.values)


def preview_of(row: Import, sample: Sample, mapping: ColumnMapping, rows: int) -> Batch:
    """The first rows as they would be read."""
    batch = Batch(row)
    reader = reader_of(row, mapping)
    for number, said in sample.rows[:rows]:
        batch.number = number
        batch.count(said if not isinstance(said, RowRefused) else None)
        if isinstance(said, RowRefused):
            batch.refused[number] = said
        elif isinstance(said, list):
            columns = reader.columns_of(sample.names)
            batch.take(partial(reader.read_cells, sample.names, columns, said, number=number))
        elif isinstance(said, str):
            batch.take(partial(reader.read_line, said, number=number))
        else:
            batch.take(partial(reader.read_flat, dict(said), number=number))
    return batch


def _of_table(session: Session, row: Import, mapping: ColumnMapping | None) -> Sample:
    lines = lines_of(session, row, mapping)
    wanted = (mapping.delimiter if mapping else None) or reader_of(row, None).options.delimiter
    names, delimiter, number = heading(lines, wanted)
    sample = Sample(names, [], delimiter)
    try:
        for cells in table_rows(lines, delimiter):
            number += 1
            if isinstance(cells, RowRefused) or any(cell.strip() for cell in cells):
                sample.rows.append((number, cells))
            if len(sample.rows) >= ROWS or lines.position > _BYTES:
                break
    except Unclosed as unclosed:
        sample.rows.append((number + 1, RowRefused(str(unclosed))))
    return sample


def _of_lines(session: Session, row: Import, mapping: ColumnMapping | None) -> Sample:
    lines = lines_of(session, row, mapping)
    rows: list[tuple[int, Any]] = []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            rows.append((number, line))
        if len(rows) >= ROWS or lines.position > _BYTES:
            break
    if not rows:
        raise FileRefused("The file is empty.")
    reader = reader_of(row, None)
    names: dict[str, None] = {}
    for _, line in rows:
        try:
            names.update(dict.fromkeys(reader.flat(object_of(line))))
        except RowRefused:
            continue
    return Sample([*islice(names, 2_000)], rows)


def _collect(sample: Sample, row: Import) -> None:
    for name, value in _values(sample, row):
        sample.values.setdefault(name, []).append(value)


def _values(sample: Sample, row: Import) -> Iterator[tuple[str, str]]:
    reader = reader_of(row, None)
    for _, said in sample.rows:
        if isinstance(said, list):
            yield from ((name, cell.strip()) for name, cell in zip(sample.names, said, strict=False) if cell.strip())
            continue
        try:
            found = said if isinstance(said, dict) else reader.flat(object_of(said)) if isinstance(said, str) else {}
        except RowRefused:
            continue
        for name, value in found.items():
            text = value if isinstance(value, str) else canonical(value)
            if text.strip():
                yield name, text.strip()
