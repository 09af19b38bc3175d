"""The first rows of a file as they would be understood, beside how its columns are mapped."""

from dataclasses import dataclass, field

from assay.intake import imports
from assay.profiles.importing import checked
from assay_sdk import CoreRecord
from assay_tenants.database import tenant_session

ROWS = 20


@dataclass(frozen=True)
class PreviewRow:
    number: int
    records: list[CoreRecord] = field(default_factory=list)
    #: Why it would be refused, and the column to look at.
    reason: str | None = None
    column: str | None = None


@dataclass(frozen=True)
class Preview:
    mapping: imports.MappingReport
    #: Empty while the mapping has problems.
    rows: list[PreviewRow]


def preview(tenant_id: int, import_id: int) -> Preview:
    """Raises NotFound, and WrongState for an import that does not wait to be decided about."""
    with tenant_session(tenant_id) as session:
        row = imports.decidable(session, tenant_id, import_id)
        report, sample = imports.report_of(session, row)
        if sample is None or report.problems:
            return Preview(report, [])
        batch = imports.preview_of(row, sample, report.mapping, ROWS)
        checked(batch)
    numbers = sorted({*batch.records, *batch.refused})
    return Preview(report, [_row(batch, number) for number in numbers])


def _row(batch: imports.Batch, number: int) -> PreviewRow:
    refused = batch.refused.get(number)
    if refused is not None:
        return PreviewRow(number, reason=refused.reason, column=refused.column)
    return PreviewRow(number, batch.records[number])
