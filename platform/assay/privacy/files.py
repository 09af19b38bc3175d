"""Imported files: rows that were refused, and files that are not read to their end yet.

A file is dropped once it is read. Until then the person's rows in it are blanked where they stand, for where the next
row is read is told in bytes; the rows of a packed file can't be, so they are turned away when it is read.
"""

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from sqlalchemy import delete, func, select, tuple_, update

from assay.intake.imports.errors import FileRefused, RowRefused, Unclosed
from assay.intake.imports.lines import Lines, delimiter_of, table_rows
from assay.intake.imports.models import Import, ImportChunk, RefusedRow
from assay.intake.imports.reading import encoding_of, mapping_of
from assay.intake.imports.receiving import CHUNK
from assay.intake.imports.storing import chunk_of
from assay.privacy.steps import Erasing
from assay.profiles.erasing.naming import ANYTHING, names_them

ROWS = 5_000
BYTES = 16 * 1024 * 1024
#: Files that were sent before the erasure and hold what nobody can look into.
_OPEN = ("receiving", "looking", "ready", "checking", "waiting", "paused")


def refused(erasing: Erasing) -> None:
    """Refused rows by file and number."""
    after = erasing.place or [0, -1]
    key = (RefusedRow.import_id, RefusedRow.row_number)
    found = erasing.session.execute(
        select(*key, RefusedRow.reason, RefusedRow.original, RefusedRow.column_name)
        .where(RefusedRow.tenant_id == erasing.tenant_id, tuple_(*key) > tuple_(*after))
        .order_by(*key)
        .limit(ROWS)
    ).all()
    texts = [f"{row.original or ''}\n{row.reason}\n{row.column_name or ''}" for row in found]
    gone = [
        (row.import_id, row.row_number)
        for row, maybe in zip(found, erasing.needles.rough(texts), strict=True)
        if maybe and (_is_row_of(erasing, row.original) or erasing.needles.names(row.reason))
    ]
    if gone:
        session = erasing.session
        session.execute(delete(RefusedRow).where(RefusedRow.tenant_id == erasing.tenant_id, tuple_(*key).in_(gone)))
        erasing.count("intake.refused_rows", len(gone))
    erasing.place = [found[-1].import_id, found[-1].row_number] if len(found) == ROWS else None


def files(erasing: Erasing) -> None:
    """One file after the other, some megabytes at a time."""
    import_id, position = erasing.place or [0, 0]
    row = erasing.session.scalars(
        select(Import)
        .where(Import.tenant_id == erasing.tenant_id, Import.id >= import_id)
        .order_by(Import.id)
        .limit(1)
        # Whoever reads it holds it: from its next batch on it turns the person away.
        .with_for_update()
    ).one_or_none()
    if row is None:
        erasing.place = None
        return
    if row.id != import_id:
        position = 0
    _bare_sample(erasing, row)
    end = _blank(erasing, row, position) if _is_readable(row) and _is_there(erasing, row) else None
    erasing.place = [row.id + 1, 0] if end is None else [row.id, end]


def unread(erasing: Erasing) -> list[int]:
    """Files that were there when the erasure began, and that nobody can look into before they are read."""
    there = select(ImportChunk.import_id).where(ImportChunk.tenant_id == erasing.tenant_id).distinct()
    rows = erasing.session.scalars(
        select(Import).where(
            Import.tenant_id == erasing.tenant_id,
            Import.id.in_(there),
            Import.created_at <= (erasing.row.started_at or func.now()),
        )
    )
    return sorted(row.id for row in rows if not _is_readable(row))


def _is_readable(row: Import) -> bool:
    return row.format in ("csv", "jsonl") and row.state != "receiving"


def _is_there(erasing: Erasing, row: Import) -> bool:
    query = select(ImportChunk.position).where(
        ImportChunk.tenant_id == row.tenant_id, ImportChunk.import_id == row.id, ImportChunk.position == 0
    )
    return erasing.session.scalar(query) is not None


def _bare_sample(erasing: Erasing, row: Import) -> None:
    """The first rows of a Parquet file stay with the import."""
    sample: list[dict[str, Any]] = row.options.get("reading", {}).get("sample") or []
    kept = [each for each in sample if not names_them(each, erasing.keys, ANYTHING)]
    if len(kept) < len(sample):
        row.options = {**row.options, "reading": {**row.options["reading"], "sample": kept}}
        erasing.count("intake.imports", len(sample) - len(kept))


def _blank(erasing: Erasing, row: Import, position: int) -> int | None:
    """From here on, up to about BYTES; gives where to go on, None at the end."""
    start = row.options["reading"].get("start", 0)
    lines = Lines(
        chunk_of(erasing.session, row),
        position=position or start,
        newline=row.options["reading"].get("newline", "\n"),
        encoding=encoding_of(row, mapping_of(row)),
    )
    first = lines.position
    spans: list[tuple[int, int]] = []
    end = None
    with suppress(FileRefused, Unclosed):
        for begin, said in _rows(row, lines, is_first=first == start):
            if names_them(said, erasing.keys, ANYTHING):
                spans.append((begin, lines.position))
            if lines.position - first > BYTES:
                end = lines.position
                break
    for begin, stop in spans:
        _overwrite(erasing, row, begin, stop)
    erasing.count("intake.import_chunks", len(spans))
    return end


def _rows(row: Import, lines: Lines, *, is_first: bool) -> Iterator[tuple[int, Any]]:
    """Where each begins, and its cells; but for the heading."""
    if row.format == "jsonl":
        begin = lines.position
        for line in lines:
            yield begin, _object(line)
            begin = lines.position
        return
    delimiter = row.options["reading"].get("delimiter")
    begin = lines.position
    if is_first or delimiter is None:
        heading = next(lines, "")
        delimiter = delimiter or delimiter_of(heading)
        begin = lines.position
    for cells in table_rows(lines, delimiter):
        yield begin, [] if isinstance(cells, RowRefused) else cells
        begin = lines.position


def _overwrite(erasing: Erasing, row: Import, begin: int, end: int) -> None:
    """With blanks, which no reader takes for a row; the line's end stays."""
    body = _read(erasing, row, begin, end)
    blank = b" " * len(body.rstrip(b"\r\n"))
    blank += body[len(blank) :]
    for number in range(begin // CHUNK, (end - 1) // CHUNK + 1):
        this = (
            ImportChunk.tenant_id == row.tenant_id,
            ImportChunk.import_id == row.id,
            ImportChunk.position == number,
        )
        chunk = erasing.session.scalars(select(ImportChunk.body).where(*this)).one()
        first, last = max(begin - number * CHUNK, 0), min(end - number * CHUNK, len(chunk))
        skipped = max(number * CHUNK - begin, 0)
        news = chunk[:first] + blank[skipped : skipped + last - first] + chunk[last:]
        erasing.session.execute(update(ImportChunk).where(*this).values(body=news))


def _read(erasing: Erasing, row: Import, begin: int, end: int) -> bytes:
    chunk = chunk_of(erasing.session, row)
    first, last = begin // CHUNK, (end - 1) // CHUNK
    whole = b"".join(chunk(number) or b"" for number in range(first, last + 1))
    return whole[begin - first * CHUNK : end - first * CHUNK]


def _is_row_of(erasing: Erasing, original: str | None) -> bool:
    return original is not None and names_them(_object(original), erasing.keys, ANYTHING)


def _object(line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return line.replace('"', " ").replace(",", " ").split()
