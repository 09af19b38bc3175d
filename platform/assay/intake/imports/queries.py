"""How imports are getting on."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from assay.intake.imports import progress
from assay.intake.imports.models import Format, Import, Kind, RefusedRow, State
from assay_tenants.database import LARGEST_ID, tenant_session
from assay_tenants.errors import BadInput, NotFound

LATEST = 100
# All refused rows are counted; more than these nobody mends by hand.
MOST_REFUSED = 100_000
PAGE = 50
_FALLBACK = (
    "The file is not UTF-8 and was read as Windows-1252. If names look wrong, save it as UTF-8 and send it again."
)


@dataclass(frozen=True)
class ImportReport:
    id: int
    kind: Kind
    format: Format
    filename: str
    state: State
    bytes_total: int
    bytes_read: int
    rows_read: int
    rows_refused: int
    #: Why it failed as a whole.
    error: str | None
    #: As announced, and what came of it, where the file comes in parts.
    bytes_expected: int | None
    bytes_received: int
    #: Known in advance for Parquet alone.
    rows_total: int | None
    #: Of those refused: how many can be listed and downloaded.
    rows_listed: int
    rows_per_second: int | None
    #: Until the file is read.
    seconds_left: int | None
    #: What a check of the whole file found.
    check: dict[str, Any] | None
    #: What was taken back so far.
    undone: dict[str, int] | None
    #: How the file was understood, where its sender should have a look at it.
    note: str | None
    created_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True)
class ReportedRow:
    #: As a spreadsheet shows it: the heading is row 1.
    row_number: int
    column_name: str | None
    reason: str


@dataclass(frozen=True)
class RefusedRows:
    items: list[ReportedRow]
    next_cursor: str | None


def get_import(tenant_id: int, import_id: int) -> ImportReport:
    with tenant_session(tenant_id) as session:
        return _report(import_of(session, tenant_id, import_id))


def list_imports(tenant_id: int) -> list[ImportReport]:
    """The latest ones, newest first."""
    with tenant_session(tenant_id) as session:
        rows = session.scalars(
            select(Import).where(Import.tenant_id == tenant_id).order_by(Import.id.desc()).limit(LATEST)
        )
        return [_report(row) for row in rows]


def refused_rows(tenant_id: int, import_id: int, *, cursor: str | None = None, limit: int = PAGE) -> RefusedRows:
    """In the file's order; ``cursor`` is the ``next_cursor`` of the page before."""
    with tenant_session(tenant_id) as session:
        import_of(session, tenant_id, import_id)
        rows = session.scalars(
            select(RefusedRow)
            .where(
                RefusedRow.tenant_id == tenant_id,
                RefusedRow.import_id == import_id,
                RefusedRow.row_number > _row(cursor),
            )
            .order_by(RefusedRow.row_number)
            .limit(limit + 1)
        ).all()
    items = [ReportedRow(row.row_number, row.column_name, row.reason) for row in rows[:limit]]
    return RefusedRows(items, str(items[-1].row_number) if len(rows) > limit else None)


def _row(cursor: str | None) -> int:
    if cursor is None:
        return 0
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 18):
        raise BadInput(
            "This cursor is not one of this list. Accepted is the next_cursor of the page before; leave it out to "
            "start at the first row.",
            field="cursor",
        )
    return int(cursor)


def import_of(session: Session, tenant_id: int, import_id: int) -> Import:
    """Raises NotFound."""
    row = session.scalars(
        select(Import).where(Import.tenant_id == tenant_id, Import.id == min(import_id, LARGEST_ID))
    ).one_or_none()
    if row is None:
        raise NotFound("import")
    return row


def _report(row: Import) -> ImportReport:
    pace = progress.pace(row, now=datetime.now(UTC))
    told = row.report or {}
    check = {name: value for name, value in told.items() if name != "undone"}
    return ImportReport(
        id=row.id,
        kind=row.kind,
        format=row.format,
        filename=row.filename,
        state=row.state,
        bytes_total=row.bytes_total,
        bytes_read=row.bytes_read,
        rows_read=row.rows_read,
        rows_refused=row.rows_refused,
        error=row.error,
        bytes_expected=row.bytes_expected,
        bytes_received=row.bytes_received,
        rows_total=row.rows_total,
        rows_listed=min(row.rows_refused, MOST_REFUSED),
        rows_per_second=pace.rows_per_second if pace else None,
        seconds_left=pace.seconds_left if pace else None,
        check=check or None,
        undone=told.get("undone"),
        note=_note(row),
        created_at=row.created_at,
        finished_at=row.finished_at,
    )


def _note(row: Import) -> str | None:
    reading = row.options["reading"]
    chosen = (row.mapping or {}).get("encoding")
    if reading.get("encoding") == "windows-1252" and chosen is None:
        return _FALLBACK
    if left_out := reading.get("left_out"):
        names = ", ".join(map(repr, left_out[:10]))
        return f"Left out, because their values are no text, number, instant or list of those: {names}."
    return None
