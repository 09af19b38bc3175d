"""Parquet: a file of typed columns, read in slices; what has no place in JSON becomes text or is left out."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session

from assay.canonical import canonical
from assay.intake.imports import spooling
from assay.intake.imports.batches import Batch
from assay.intake.imports.columns import by_names, heading_of, of_mapped_line
from assay.intake.imports.errors import FileRefused
from assay.intake.imports.event_columns import CONTROL, Split, completed, drafted, json_of_texts
from assay.intake.imports.event_reading import origin_of, rows_a_time
from assay.intake.imports.mapping import ColumnMapping
from assay.intake.imports.models import Import
from assay.intake.imports.rows import Reader

if TYPE_CHECKING:
    import polars as pl

LEADS = 5_000
_LEAST_ROWS = 500
# Of the packed file; unpacked it may be ten times as much.
BYTES = 4 * 1024 * 1024
SAMPLE_ROWS = 200
_SAMPLE_BYTES = 512 * 1024
_LARGEST_EXACT = 15
_DAMAGED = "The Parquet file is damaged or of a kind that can't be read: {error}. Write it again and send it again."


def look(session: Session, row: Import) -> None:
    """Finds out which columns the file has, and what its first rows say. Raises FileRefused."""
    names, rows = _heading(session, row)
    sample = _slice(session, row, 0, SAMPLE_ROWS).to_dicts()
    size = 0
    kept: list[dict[str, Any]] = []
    for each in sample:
        said = {name: value for name, value in each.items() if value is not None}
        size += len(canonical(said))
        if size > _SAMPLE_BYTES and kept:
            break
        kept.append(said)
    reading = {**row.options["reading"], "columns": names, "sample": kept}
    row.options = {**row.options, "reading": reading}
    row.rows_total = rows


def read(session: Session, batch: Batch, reader: Reader) -> None:
    """The batch's next rows. Raises FileRefused."""
    row = batch.row
    if row.rows_total is None or "columns" not in row.options["reading"]:
        names, rows = _heading(session, row)
        row.rows_total = rows
        row.options = {**row.options, "reading": {**row.options["reading"], "columns": names}}
    names = row.options["reading"]["columns"]
    mapping = reader.mapping
    if mapping is None:
        mapping = by_names(names, row.kind, reader.options)
        row.mapping = mapping.document()
    total = row.rows_total or 0
    frame = _slice(session, row, row.rows_read, _rows_a_time(batch, total))
    first = row.rows_read + 1
    batch.rows = frame.height
    batch.number = row.rows_read + frame.height
    numbers = list(range(first, first + frame.height))
    left = set(numbers)
    if row.kind == "events":
        batch.frame, left = _events(frame, numbers, mapping, batch)
    _take_rows(batch, reader, mapping, frame, first, left)
    batch.position = row.bytes_total * batch.number // max(total, 1)
    batch.is_last = batch.number >= total or not frame.height


def forget(row: Import) -> None:
    if row.format == "parquet":
        spooling.forget(row)


def _take_rows(
    batch: Batch, reader: Reader, mapping: ColumnMapping, frame: pl.DataFrame, first: int, left: set[int]
) -> None:
    last = batch.number
    reader = Reader(reader.kind, reader.options, reader.stated_at, mapping)
    for number in sorted(left):
        cells: dict[str, Any] = frame.row(number - first, named=True)
        said = {name: value for name, value in cells.items() if value is not None}
        batch.number = number
        batch.originals[number] = said
        batch.take(partial(reader.read_flat, said, number=number))
    batch.number = last
    batch.look_up = lambda number: frame.row(number - first, named=True)


def _heading(session: Session, row: Import) -> tuple[list[str], int]:
    import polars as pl

    try:
        scanned = pl.scan_parquet(spooling.spooled(session, row), glob=False)
        rows = int(scanned.select(pl.len()).collect().item())
        raw = scanned.head(0).collect()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise FileRefused(_DAMAGED.format(error=_reason(error))) from None
    left_out: list[str] = []
    names = [series.name for series in _plain_columns(raw, left_out)]
    if not names:
        raise FileRefused("The Parquet file has no column that can be read.")
    if not rows:
        raise FileRefused("The file is empty.")
    names = heading_of(names)
    row.options = {**row.options, "reading": {**row.options["reading"], "left_out": left_out}}
    return names, rows


def _rows_a_time(batch: Batch, total: int) -> int:
    row = batch.row
    each = max(1, row.bytes_total // max(total, 1))
    most = LEADS if row.kind == "leads" else rows_a_time(batch)
    return min(most, max(_LEAST_ROWS, BYTES // each))


def _slice(session: Session, row: Import, offset: int, rows: int) -> pl.DataFrame:
    """Columns of texts, whole numbers, numbers, truths and lists; blank texts are null."""
    import polars as pl

    try:
        raw = pl.scan_parquet(spooling.spooled(session, row), glob=False).slice(offset, rows).collect()
        return pl.DataFrame(list(_plain_columns(raw, [])))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise FileRefused(_DAMAGED.format(error=_reason(error))) from None


def _reason(error: Exception) -> str:
    return str(error).partition("\n")[0][:200].rstrip(".")


def _plain_columns(raw: pl.DataFrame, left_out: list[str]) -> Iterator[pl.Series]:
    for series in raw:
        yield from _plain(series, left_out)


def _plain(series: pl.Series, left_out: list[str]) -> Iterator[pl.Series]:
    import polars as pl

    dtype = series.dtype
    if isinstance(dtype, pl.Struct):
        for field in dtype.fields:
            yield from _plain(series.struct.field(field.name).alias(f"{series.name}.{field.name}"), left_out)
        return
    if dtype == pl.Null:
        return
    listed = isinstance(dtype, pl.List | pl.Array)
    inner = dtype.inner if isinstance(dtype, pl.List | pl.Array) else dtype
    said = _said(pl.element() if listed else pl.col(series.name), inner)
    if said is None:
        left_out.append(series.name)
    elif listed:
        yield series.cast(pl.List(inner)).list.eval(said)
    else:
        yield series.to_frame().select(said).to_series().alias(series.name)


def _said(value: pl.Expr, dtype: Any) -> pl.Expr | None:
    """What a value of this type says in JSON; None where it says nothing that could be kept."""
    import polars as pl

    said: pl.Expr | None = None
    if dtype in (pl.String, pl.Categorical, pl.Enum):
        text = value.cast(pl.String).str.strip_chars()
        said = pl.when(text != "").then(text)
    elif dtype == pl.Boolean or dtype in (
        pl.Int8,
        pl.Int16,
        pl.Int32,
        pl.Int64,
        pl.UInt8,
        pl.UInt16,
        pl.UInt32,
        pl.UInt64,
    ):
        said = value
    elif dtype == pl.Float64:
        said = value.fill_nan(None)
    elif dtype in (pl.Float32, pl.Float16):
        # By its digits: 0.1 stays 0.1.
        said = value.cast(pl.String).cast(pl.Float64).fill_nan(None)
    elif isinstance(dtype, pl.Decimal):
        whole = dtype.scale == 0
        said = value.cast(
            pl.Float64 if not whole else pl.Int64 if (dtype.precision or 38) <= _LARGEST_EXACT else pl.String
        )
    elif isinstance(dtype, pl.Datetime):
        zone = value.dt.convert_time_zone("UTC") if dtype.time_zone else value
        said = zone.dt.strftime("%Y-%m-%dT%H:%M:%S%.6f").str.replace(".000000", "", literal=True)
        said = pl.concat_str(said, pl.lit("Z")) if dtype.time_zone else said
    elif dtype in (pl.Date, pl.Time, pl.Int128, pl.UInt128):
        said = value.cast(pl.String)
    elif dtype == pl.Duration:
        said = value.dt.to_string("iso")
    return said


def _events(frame: pl.DataFrame, numbers: list[int], mapping: ColumnMapping, batch: Batch) -> Split:
    import polars as pl

    columns = of_mapped_line((*frame.columns,), "events", mapping)
    plain = pl.repeat(True, frame.height, dtype=pl.Boolean, eager=True)
    texts: dict[str, pl.Series] = {}
    for column in columns.texts:
        series = frame[column]
        if series.dtype.is_integer():
            texts[column] = series.cast(pl.String)
        elif series.dtype == pl.String:
            texts[column] = series
            plain &= ~series.str.contains(CONTROL).fill_null(False)
        else:
            texts[column] = pl.repeat(None, frame.height, dtype=pl.String, eager=True)
            plain &= series.is_null()
    members: dict[str, pl.Series] = {}
    for column, _ in columns.named:
        series = frame[column]
        members[column] = _json(series)
        if series.dtype == pl.String:
            plain &= ~series.str.contains(CONTROL).fill_null(False)
        elif series.dtype.is_nested():
            plain &= series.is_null()
        elif series.dtype == pl.Float64:
            plain &= series.is_finite().fill_null(True)
    return completed(drafted(texts, members, numbers, plain, columns), origin_of(batch, mapping))


def _json(series: pl.Series) -> pl.Series:
    """Of a column of ``_slice``; null for lists, which are read row by row."""
    import polars as pl

    if series.dtype == pl.String:
        return json_of_texts(series)
    if series.dtype == pl.Float64:
        said = [None if value is None else canonical(value) for value in series.to_list()]
        return pl.Series(series.name, said, dtype=pl.String)
    if series.dtype == pl.Boolean or series.dtype.is_integer():
        return series.cast(pl.String)
    return pl.repeat(None, len(series), dtype=pl.String, eager=True)
