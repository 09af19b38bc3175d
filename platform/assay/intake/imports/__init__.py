"""Files of leads or events: received whole, looked at, then read row by row, each refused row with its reason."""

from assay.intake.imports.batches import Batch
from assay.intake.imports.cells import Dates, Numbers
from assay.intake.imports.deciding import (
    ColumnReport,
    MappingReport,
    WrongState,
    cancel,
    check,
    decidable,
    get_mapping,
    hold,
    look,
    note_undone,
    pause,
    put_mapping,
    report_of,
    resume,
    start,
    undo,
)
from assay.intake.imports.mapping import NAMED, OF_KIND, WORDS, ColumnMapping, Encoding, Problem
from assay.intake.imports.queries import (
    ImportReport,
    RefusedRows,
    ReportedRow,
    get_import,
    import_of,
    list_imports,
    refused_rows,
)
from assay.intake.imports.reading import advance, next_up, read
from assay.intake.imports.refused_file import RefusedFile, refused_file
from assay.intake.imports.sampling import preview_of
from assay.intake.imports.service import start_import
from assay.intake.imports.uploads import Upload, WrongOffset, announce, append, upload_of

__all__ = [
    "NAMED",
    "OF_KIND",
    "WORDS",
    "Batch",
    "ColumnMapping",
    "ColumnReport",
    "Dates",
    "Encoding",
    "ImportReport",
    "MappingReport",
    "Numbers",
    "Problem",
    "RefusedFile",
    "RefusedRows",
    "ReportedRow",
    "Upload",
    "WrongOffset",
    "WrongState",
    "advance",
    "announce",
    "append",
    "cancel",
    "check",
    "decidable",
    "get_import",
    "get_mapping",
    "hold",
    "import_of",
    "list_imports",
    "look",
    "next_up",
    "note_undone",
    "pause",
    "preview_of",
    "put_mapping",
    "read",
    "refused_file",
    "refused_rows",
    "report_of",
    "resume",
    "start",
    "start_import",
    "undo",
    "upload_of",
]
