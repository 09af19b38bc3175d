"""The refused rows as a file that can be mended and sent again, streamed."""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import select

from assay.intake.imports.columns import COLUMN, LINE, OURS, REASON, ROW
from assay.intake.imports.models import Import, RefusedRow
from assay.intake.imports.queries import import_of
from assay.intake.imports.refusals import escaped
from assay_tenants.database import tenant_session

_PAGE = 1_000
#: What a spreadsheet needs to see that this is UTF-8.
_MARK = "\ufeff"
_NO_ROOM = "The row itself is not here: it was too long, or there were too many of them."


@dataclass(frozen=True)
class RefusedFile:
    name: str
    media_type: str
    parts: Iterator[bytes]


def refused_file(tenant_id: int, import_id: int) -> RefusedFile:
    """CSV for a table, JSON lines for all else; only rows that were kept. Raises NotFound."""
    with tenant_session(tenant_id) as session:
        row = import_of(session, tenant_id, import_id)
    stem = row.filename.rpartition(".")[0] or row.filename
    if row.format == "csv":
        return RefusedFile(f"{stem}-refused.csv", "text/csv; charset=utf-8", _table(row))
    return RefusedFile(f"{stem}-refused.jsonl", "application/x-ndjson", _lines(row))


def _table(row: Import) -> Iterator[bytes]:
    """Why each was refused goes first, so that a row with a cell too many stays in line."""
    reading = row.options["reading"]
    columns: list[str] = reading.get("columns", [])
    ours = {place for place, name in enumerate(columns) if name in OURS}
    buffer = io.StringIO()
    # Separated as the file was, so that decimal commas stay what they are.
    writer = csv.writer(buffer, delimiter=reading.get("delimiter", ","), lineterminator="\r\n")
    buffer.write(_MARK)
    writer.writerow([*OURS, *(escaped(name) for name in columns if name not in OURS)])
    for page in _pages(row):
        for refused in page:
            cells: list[str] = json.loads(refused.original) if refused.original else []
            kept = [cell for place, cell in enumerate(cells) if place not in ours]
            writer.writerow([*map(escaped, _why(refused)), *(kept if ours else map(escaped, kept))])
        yield buffer.getvalue().encode()
        buffer.seek(0)
        buffer.truncate()
    yield buffer.getvalue().encode()


def _why(refused: RefusedRow) -> tuple[str, str, str]:
    reason = refused.reason if refused.original else f"{refused.reason} {_NO_ROOM}"
    return str(refused.row_number), refused.column_name or "", reason


def _lines(row: Import) -> Iterator[bytes]:
    for page in _pages(row):
        yield "".join(map(_line, page)).encode()


def _line(refused: RefusedRow) -> str:
    number, column, reason = _why(refused)
    why = {ROW: int(number), COLUMN: column, REASON: reason}
    try:
        said = json.loads(refused.original or "")
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        said = {LINE: refused.original or ""}
    return json.dumps({**said, **why}) + "\n"


def _pages(row: Import) -> Iterator[list[RefusedRow]]:
    last = -1
    while True:
        with tenant_session(row.tenant_id) as session:
            page = list(
                session.scalars(
                    select(RefusedRow)
                    .where(
                        RefusedRow.tenant_id == row.tenant_id,
                        RefusedRow.import_id == row.id,
                        RefusedRow.row_number > last,
                    )
                    .order_by(RefusedRow.row_number)
                    .limit(_PAGE)
                )
            )
        if not page:
            return
        yield page
        last = page[-1].row_number
