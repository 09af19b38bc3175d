"""Imports of whole files: sent in one request, read in the background."""

from typing import IO, Any

from flask import request
from marshmallow import Schema, fields, validate

from assay.api.access import tenant_id
from assay.api.door import Part
from assay.api.errors import InvalidArguments, UnsupportedBody
from assay.api.leads import CURSOR, limit
from assay.intake import imports
from assay.scoring.queries import LARGEST_PAGE, PAGE

part = Part("Imports", "Files of leads or events, as CSV or JSON lines; each row that can't be read is reported.")

FILE_TYPES = ("text/csv", "application/x-ndjson", "application/jsonl", "application/octet-stream")
FILE: dict[str, Any] = {
    "required": True,
    "description": "The file itself, or a form with the one file field `file`. It is stored as it comes.",
    "content": {
        **{each: {"schema": {"type": "string", "format": "binary"}} for each in FILE_TYPES},
        "multipart/form-data": {
            "schema": {"type": "object", "properties": {"file": {"type": "string", "format": "binary"}}}
        },
    },
}


def option(description: str) -> fields.String:
    return fields.String(validate=validate.Length(1, 200), metadata={"description": description})


class NewImportQuery(Schema):
    kind = fields.String(
        required=True, validate=validate.OneOf(("leads", "events")), metadata={"description": "What a row is"}
    )
    filename = option("For people to recognise it; an ending .csv or .jsonl tells the format")
    name = option("Tells rows without any id apart, with their row number; default: the file's name")
    id_column = option("The column with your own id of the lead")
    email_column = option("The column with the e-mail address")
    time_column = option("The column that says when the traits were stated, or when the event happened")
    delimiter = option("`,` `;` `|` or `tab`; default: found out")


class RefusedRowsQuery(Schema):
    cursor = CURSOR
    limit = limit(LARGEST_PAGE, PAGE)


class ImportSchema(Schema):
    id = fields.Integer()
    kind = fields.String()
    format = fields.String()
    filename = fields.String()
    state = fields.String(metadata={"description": "receiving, waiting, done or failed"})
    bytes_total = fields.Integer()
    bytes_read = fields.Integer()
    rows_read = fields.Integer()
    rows_refused = fields.Integer()
    error = fields.String(allow_none=True, metadata={"description": "Why it failed as a whole"})
    note = fields.String(allow_none=True, metadata={"description": "How the file was understood, if that was in doubt"})
    created_at = fields.AwareDateTime()
    finished_at = fields.AwareDateTime(allow_none=True)


class ImportsSchema(Schema):
    items = fields.List(fields.Nested(ImportSchema), metadata={"description": "Newest first"})


class RefusedRowSchema(Schema):
    row_number = fields.Integer(metadata={"description": "As a spreadsheet shows it: the heading is row 1"})
    column = fields.String(attribute="column_name", allow_none=True)
    reason = fields.String()


class RefusedRowsSchema(Schema):
    items = fields.List(fields.Nested(RefusedRowSchema))
    next_cursor = fields.String(allow_none=True)


@part.serves("GET", "/imports", answer=ImportsSchema)
def list_imports() -> dict[str, object]:
    """The latest imports."""
    return {"items": imports.list_imports(tenant_id())}


@part.serves("POST", "/imports", answer=ImportSchema, query=NewImportQuery, body=FILE, status=202)
def start_import(query: dict[str, Any]) -> object:
    """Send a file; it is read in the background."""
    kind = query.pop("kind")
    filename, stream = _file()
    import_id = imports.start_import(
        tenant_id(), kind=kind, filename=query.pop("filename", filename), stream=stream, options=query
    )
    return imports.get_import(tenant_id(), import_id)


@part.serves("GET", "/imports/<id:import_id>", answer=ImportSchema)
def get_import(import_id: int) -> object:
    """How far an import has come."""
    return imports.get_import(tenant_id(), import_id)


@part.serves("GET", "/imports/<id:import_id>/refused-rows", answer=RefusedRowsSchema, query=RefusedRowsQuery)
def list_refused_rows(query: dict[str, Any], import_id: int) -> object:
    """Which rows were refused, and why."""
    return imports.refused_rows(tenant_id(), import_id, **query)


def _file() -> tuple[str, IO[bytes]]:
    """The file's name, if it says one, and the file."""
    if request.mimetype == "multipart/form-data":
        file = request.files.get("file")
        if file is None or not file.filename:
            raise InvalidArguments([{"field": "file", "message": "The form has no file in the field `file`."}])
        return file.filename, file.stream
    if request.mimetype not in FILE_TYPES:
        raise UnsupportedBody(
            f"Send the file as {', '.join(FILE_TYPES)}, or in a multipart/form-data form; "
            f"not {request.mimetype or 'without a type'}."
        )
    return "", request.stream
