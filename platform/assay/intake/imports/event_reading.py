"""Files of events, tens of thousands of rows at a time: the good ones as columns, the others as single rows."""

from functools import partial

from sqlalchemy.orm import Session

from assay.intake.imports.batches import Batch
from assay.intake.imports.columns import Columns
from assay.intake.imports.errors import RowRefused
from assay.intake.imports.event_columns import Origin, from_cells
from assay.intake.imports.event_lines import LineReader, objects_of
from assay.intake.imports.mapping import ColumnMapping
from assay.intake.imports.rows import Reader
from assay.intake.imports.slabs import MEASURABLE, Slab, TableRows, slab_at
from assay.intake.imports.storing import chunks_of

# Whoever else waits, waits for a batch: with others about, a quarter of these.
ROWS = 40_000
BYTES = 4 * 1024 * 1024


def read_table(session: Session, batch: Batch, reader: Reader, names: list[str]) -> bool:
    """The next rows of a table; False where it has to be read row by row."""
    slab = _slab(session, batch, reader)
    if slab is None:
        return False
    rows = TableRows(slab, batch.row.options["reading"]["delimiter"])
    columns = reader.columns_of(names)
    start = batch.position
    most = rows_a_time(batch)
    good: list[list[str]] = []
    numbers: list[int] = []
    try:
        for cells in rows:
            batch.number += 1
            if isinstance(cells, RowRefused):
                batch.count(None)
                batch.refused[batch.number] = cells
            elif len(cells) == len(names) and cells[0].strip():
                good.append(cells)
                numbers.append(batch.number)
                batch.rows += 1
            elif any(cell.strip() for cell in cells):
                _take_cells(batch, reader, names, columns, cells)
            if batch.rows >= most:
                break
    finally:
        batch.position = start + rows.size
        if good:
            _columns(batch, reader, names, columns, good, numbers)
    batch.is_last = rows.is_over
    return rows.size > 0 or batch.is_last


def read_lines(session: Session, batch: Batch, reader: Reader) -> bool:
    """The next lines of JSON; False where they have to be read one by one."""
    slab = _slab(session, batch, reader)
    if slab is None:
        return False
    lines = slab.lines
    most = rows_a_time(batch)
    batch.is_last = slab.is_last and len(lines) <= most
    if len(lines) > most:
        lines = lines[:most]
        size = sum(map(len, lines)) + len(lines) * len(slab.newline)
    else:
        size = len(slab.body)
    batch.position += size
    if slab.encoding != "utf-8":
        lines = [line.decode(slab.encoding, "replace").encode() for line in lines]
    _take_lines(batch, reader, lines)
    return True


def _slab(session: Session, batch: Batch, reader: Reader) -> Slab | None:
    reading = batch.row.options["reading"]
    encoding = (reader.mapping.encoding if reader.mapping else None) or reading["encoding"]
    if encoding not in MEASURABLE:
        return None
    batch.position = batch.position or reading.get("start", 0)
    return slab_at(
        chunks_of(session, batch.row),
        position=batch.position,
        size=BYTES if batch.alone else BYTES // 4,
        newline=reading["newline"],
        encoding=encoding,
    )


def _take_cells(batch: Batch, reader: Reader, names: list[str], columns: Columns, cells: list[str]) -> None:
    batch.count(cells)
    batch.take(partial(reader.read_cells, names, columns, cells, number=batch.number))


def _columns(
    batch: Batch, reader: Reader, names: list[str], columns: Columns, good: list[list[str]], numbers: list[int]
) -> None:
    batch.originals.update(zip(numbers, good, strict=True))
    origin = origin_of(batch, columns.mapping)
    batch.frame, left = from_cells(good, numbers, names, columns, origin)
    last = batch.number
    for number in sorted(left):
        batch.number = number
        cells: list[str] = batch.originals[number]
        batch.take(partial(reader.read_cells, names, columns, cells, number=number))
    batch.number = last


def _take_lines(batch: Batch, reader: Reader, lines: list[bytes]) -> None:
    mapping = reader.mapping or ColumnMapping.read(reader.options.how, reader.kind)
    vendors = tuple(sorted(each.called for each in mapping.columns if each.as_ == "vendor_id"))
    together = LineReader(reader, vendors)
    first = batch.number + 1
    batch.look_up = lambda number: lines[number - first]
    taken = 0
    for number, found in enumerate(objects_of(b"\n".join(lines) + b"\n", lines), start=first):
        if found is not None and together.take(number, found):
            taken += 1
            continue
        text = lines[number - first].decode("utf-8", "replace")
        if text.strip():
            batch.number = number
            batch.count(text)
            batch.take(partial(reader.read_line, text, number=number))
    batch.rows += taken
    batch.frame, left = together.finish(origin_of(batch, mapping))
    for number in sorted(left):
        batch.number = number
        batch.take(partial(reader.read_line, lines[number - first].decode(), number=number))
    batch.number = first + len(lines) - 1


def rows_a_time(batch: Batch) -> int:
    return ROWS if batch.alone else max(1, ROWS // 4)


def origin_of(batch: Batch, mapping: ColumnMapping) -> Origin:
    return Origin(batch.row.source_id, batch.row.created_at, mapping)
