"""Imports as they are written and read in JSON."""

from collections.abc import Mapping
from typing import Any

from marshmallow import Schema, fields, post_load, validate

from assay.api.leads import CURSOR, limit
from assay.scoring.queries import LARGEST_PAGE, PAGE
from assay_sdk import Company, Event, Identifiers, Identify, Record

STATES = (
    "receiving: its file comes in; looking: its columns are being found out; ready: waits for your decision; checking: "
    "is read without keeping anything; waiting: is read; paused; cancelled; done; failed; undoing; undone"
)


def option(description: str) -> fields.String:
    return fields.String(validate=validate.Length(1, 200), metadata={"description": description})


class NewImportQuery(Schema):
    kind = fields.String(
        required=True, validate=validate.OneOf(("leads", "events")), metadata={"description": "What a row is"}
    )
    filename = option("For people to recognise it; an ending .csv or .jsonl tells the format")
    review = fields.Boolean(
        load_default=False,
        metadata={"description": "Only receive the file: its mapping is looked at and changed before it is read"},
    )
    size = fields.Integer(
        validate=validate.Range(1),
        metadata={
            "description": "Bytes of a file that will come in parts, by PATCH /imports/{id}/content; the body is empty"
        },
    )
    name = option("Tells rows without any id apart, with their row number; default: the file's name")
    id_column = option("The column with your own id of the lead")
    email_column = option("The column with the e-mail address")
    time_column = option("The column that says when the traits were stated, or when the event happened")
    delimiter = option("`,` `;` `|` or `tab`; default: found out")
    type = option("The type of all events, where no column says it")
    dates = option("How instants are written: iso (default), dmy, mdy, ymd, epoch_s, epoch_ms or epoch_us")
    time_zone = option("Of instants that don't say theirs, such as Asia/Ho_Chi_Minh; default: UTC")
    numbers = option("point (default): 1.5 is a number; comma: 1,5 is one")


class RefusedRowsQuery(Schema):
    cursor = CURSOR
    limit = limit(LARGEST_PAGE, PAGE)


class CheckSchema(Schema):
    rows = fields.Integer()
    refused = fields.Integer()
    leads_new = fields.Integer(
        metadata={"description": "At most: rows that only later ones show to be one person are counted as two"}
    )
    leads_known = fields.Integer()
    events = fields.Integer()
    events_new = fields.Integer()
    events_known = fields.Integer(metadata={"description": "Kept already, or in the file more than once"})
    error = fields.String(allow_none=True, metadata={"description": "Why the file can't be read to its end"})
    finished_at = fields.String(metadata={"format": "date-time", "description": "Not there while the check goes on"})


class UndoneSchema(Schema):
    identities = fields.Integer()
    events = fields.Integer()
    companies = fields.Integer()


class ImportSchema(Schema):
    id = fields.Integer()
    kind = fields.String()
    format = fields.String(metadata={"description": "csv, jsonl or parquet"})
    filename = fields.String()
    state = fields.String(metadata={"description": STATES})
    bytes_expected = fields.Integer(allow_none=True, metadata={"description": "As announced, of a file in parts"})
    bytes_received = fields.Integer()
    bytes_total = fields.Integer(metadata={"description": "Of the file as it is stored: unpacked"})
    bytes_read = fields.Integer()
    rows_total = fields.Integer(allow_none=True, metadata={"description": "Known in advance for Parquet alone"})
    rows_read = fields.Integer()
    rows_refused = fields.Integer()
    rows_listed = fields.Integer(metadata={"description": "Of those refused: how many can be listed and downloaded"})
    rows_per_second = fields.Integer(allow_none=True)
    seconds_left = fields.Integer(allow_none=True, metadata={"description": "Until the file is read, estimated"})
    check = fields.Nested(CheckSchema, allow_none=True, metadata={"description": "What a check of the file found"})
    undone = fields.Nested(UndoneSchema, allow_none=True, metadata={"description": "What was taken back so far"})
    error = fields.String(allow_none=True, metadata={"description": "Why it failed as a whole"})
    note = fields.String(allow_none=True, metadata={"description": "How the file was understood, if that was in doubt"})
    created_at = fields.AwareDateTime()
    finished_at = fields.AwareDateTime(allow_none=True)


class ImportsSchema(Schema):
    items = fields.List(fields.Nested(ImportSchema), metadata={"description": "Newest first"})


class UploadSchema(Schema):
    offset = fields.Integer(metadata={"description": "Bytes that are here; the next part begins there"})
    size = fields.Integer()
    is_over = fields.Boolean(metadata={"description": "All of it is here, or the file was refused"})


class RefusedRowSchema(Schema):
    row_number = fields.Integer(metadata={"description": "As a spreadsheet shows it: the heading is row 1"})
    column = fields.String(attribute="column_name", allow_none=True)
    reason = fields.String()


class RefusedRowsSchema(Schema):
    items = fields.List(fields.Nested(RefusedRowSchema))
    next_cursor = fields.String(allow_none=True)


class NewColumnSchema(Schema):
    column = fields.String(required=True, metadata={"description": "As the file spells it"})
    as_ = fields.String(
        required=True,
        data_key="as",
        metadata={
            "description": "user_id, email, anonymous_id, vendor_id, time or ignore; of leads also trait, "
            "company_trait and company_id; of events also type, message_id and property"
        },
    )
    name = fields.String(
        allow_none=True, metadata={"description": "Of the vendor, the trait or the property; default: the column's"}
    )


class NewMappingSchema(Schema):
    columns = fields.List(fields.Nested(NewColumnSchema), metadata={"description": "Left away, they are guessed anew"})
    others = fields.String(metadata={"description": "What becomes of columns not listed: keep (default) or ignore"})
    type = fields.String(allow_none=True, metadata={"description": "Of all events, where no column says it"})
    dates = fields.String(
        allow_none=True,
        metadata={
            "description": "iso, dmy, mdy, ymd, epoch_s, epoch_ms or epoch_us; null: to be chosen before it is read"
        },
    )
    time_zone = fields.String(metadata={"description": "Of instants that don't say theirs"})
    numbers = fields.String(metadata={"description": "point or comma"})
    delimiter = fields.String(allow_none=True)
    encoding = fields.String(
        allow_none=True, metadata={"description": "utf-8, windows-1252, windows-1250, windows-1258 or gb18030"}
    )

    @post_load
    def named_as_sent(self, data: dict[str, Any], **_: object) -> dict[str, Any]:
        if "columns" in data:
            data["columns"] = [
                {"as" if name == "as_" else name: value for name, value in each.items()} for each in data["columns"]
            ]
        return data


class ColumnSchema(NewColumnSchema):
    examples = fields.List(fields.String())


class ImportProblemSchema(Schema):
    message = fields.String()
    column = fields.String(allow_none=True)
    field = fields.String()


class MappingSchema(NewMappingSchema):
    columns = fields.List(fields.Nested(ColumnSchema))
    is_guess = fields.Boolean(metadata={"description": "Nobody has changed it yet"})
    problems = fields.List(
        fields.Nested(ImportProblemSchema), metadata={"description": "What keeps it from being read"}
    )
    warnings = fields.List(fields.String())


class RecordSchema(Schema):
    """A record as it would be kept."""

    is_ = fields.Function(lambda record: type(record).__name__.lower(), data_key="record")
    ids = fields.Function(lambda record: shown_ids(record.ids), metadata={"description": "Of whom"})
    at = fields.AwareDateTime()
    type = fields.Function(lambda record: getattr(record, "type", None))
    values = fields.Function(lambda record: shown_values(record))
    company_id = fields.Function(lambda record: getattr(record, "company_id", None))


class ImportPreviewRowSchema(Schema):
    row_number = fields.Integer(attribute="number")
    records = fields.List(fields.Nested(RecordSchema))
    reason = fields.String(allow_none=True, metadata={"description": "Why the row would be refused"})
    column = fields.String(allow_none=True)


class ImportPreviewSchema(Schema):
    rows = fields.List(fields.Nested(ImportPreviewRowSchema), metadata={"description": "The first twenty"})
    problems = fields.List(fields.Nested(ImportProblemSchema), attribute="mapping.problems")
    warnings = fields.List(fields.String(), attribute="mapping.warnings")


def shown_ids(ids: Identifiers) -> dict[str, str]:
    """By kind; a vendor's by its name."""
    told = {"user_id": ids.user_id, "email": ids.email, "anonymous_id": ids.anonymous_id, **ids.vendor}
    return {name: value for name, value in told.items() if value is not None}


def shown_values(record: Record) -> Mapping[str, Any]:
    """Traits or properties."""
    if isinstance(record, Event):
        return record.properties
    return record.traits if isinstance(record, Identify | Company) else {}
