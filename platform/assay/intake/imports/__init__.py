"""Files of leads or events: received whole, then read row by row, each refused row with its reason."""

from assay.intake.imports.queries import (
    ImportReport,
    RefusedRows,
    ReportedRow,
    get_import,
    list_imports,
    refused_rows,
)
from assay.intake.imports.reading import Batch, advance, take
from assay.intake.imports.service import start_import

__all__ = [
    "Batch",
    "ImportReport",
    "RefusedRows",
    "ReportedRow",
    "advance",
    "get_import",
    "list_imports",
    "refused_rows",
    "start_import",
    "take",
]
