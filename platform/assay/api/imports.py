"""Imports of whole files: sent at once or in parts, looked at, read in the background, taken back."""

from dataclasses import asdict
from typing import IO, Any

from flask import Response, current_app, request

from assay.api.access import tenant_id
from assay.api.door import Part
from assay.api.errors import InvalidArguments, UnsupportedBody
from assay.api.import_schemas import (
    ImportPreviewSchema,
    ImportSchema,
    ImportsSchema,
    MappingSchema,
    NewImportQuery,
    NewMappingSchema,
    RefusedRowsQuery,
    RefusedRowsSchema,
    UploadSchema,
)
from assay.intake import imports
from assay.profiles import import_previews
from assay_tenants.errors import BadInput

part = Part(
    "Imports", "Files of leads or events, as CSV, JSON lines or Parquet; each row that can't be read is reported."
)

FILE_TYPES = (
    "text/csv",
    "application/x-ndjson",
    "application/jsonl",
    "application/vnd.apache.parquet",
    "application/octet-stream",
)
PART_TYPES = ("application/offset+octet-stream", "application/octet-stream")
OFFSET = "Upload-Offset"
FILE: dict[str, Any] = {
    "required": False,
    "description": "The file itself, or a form with the one file field `file`. It is stored as it comes. With `size` "
    "the body is empty.",
    "content": {
        **{each: {"schema": {"type": "string", "format": "binary"}} for each in FILE_TYPES},
        "multipart/form-data": {
            "schema": {"type": "object", "properties": {"file": {"type": "string", "format": "binary"}}}
        },
    },
}
PIECE: dict[str, Any] = {
    "required": True,
    "description": f"The bytes of the file from the header `{OFFSET}` on, as many as you like.",
    "content": {each: {"schema": {"type": "string", "format": "binary"}} for each in PART_TYPES},
}


@part.serves("GET", "/imports", needs="imports:read", answer=ImportsSchema)
def list_imports() -> dict[str, object]:
    """The latest imports."""
    return {"items": imports.list_imports(tenant_id())}


@part.serves(
    "POST",
    "/imports",
    needs="imports:write",
    answer=ImportSchema,
    query=NewImportQuery,
    body=FILE,
    status=202,
    repeats="stream",
)
def start_import(query: dict[str, Any]) -> object:
    """Send a file; it is read in the background, or waits until you have looked at how it is understood."""
    kind, review = query.pop("kind"), query.pop("review")
    size, filename = query.pop("size", None), query.pop("filename", "")
    current_app.extensions["tracking"].admission.need_room(tenant_id(), size or request.content_length or 0)
    if size is not None:
        if request.content_length:
            raise BadInput("A file whose size is announced comes by PATCH; leave the body empty.", field="size")
        import_id = imports.announce(tenant_id(), kind=kind, filename=filename, size=size, options=query, review=review)
    else:
        sent_name, stream = _file()
        import_id = imports.start_import(
            tenant_id(), kind=kind, filename=filename or sent_name, stream=stream, options=query, review=review
        )
    return imports.get_import(tenant_id(), import_id)


@part.serves("GET", "/imports/<id:import_id>", needs="imports:read", answer=ImportSchema)
def get_import(import_id: int) -> object:
    """How far an import has come."""
    return imports.get_import(tenant_id(), import_id)


@part.serves("GET", "/imports/<id:import_id>/content", needs="imports:read", answer=UploadSchema)
def get_upload(import_id: int) -> object:
    """How much of a file in parts is here; after a broken connection, go on from there. HEAD does too."""
    told = imports.upload_of(tenant_id(), import_id)
    return asdict(told), {OFFSET: str(told.offset), "Upload-Length": str(told.size)}


@part.serves(
    "PATCH", "/imports/<id:import_id>/content", needs="imports:write", answer=UploadSchema, body=PIECE, refuses=(409,)
)
def append(import_id: int) -> object:
    """Send the next part of a file. What came of it before a connection broke is kept."""
    if request.mimetype not in PART_TYPES:
        raise UnsupportedBody(
            f"Send the part as {' or '.join(PART_TYPES)}, not {request.mimetype or 'without a type'}."
        )
    current_app.extensions["tracking"].admission.need_room(tenant_id(), request.content_length or 0)
    told = imports.append(tenant_id(), import_id, offset=stated_offset(), stream=request.stream)
    return asdict(told), {OFFSET: str(told.offset), "Upload-Length": str(told.size)}


@part.serves("GET", "/imports/<id:import_id>/mapping", needs="imports:read", answer=MappingSchema, refuses=(409,))
def get_mapping(import_id: int) -> object:
    """Which column says what: as it was decided, or guessed from names and values."""
    return _mapping(imports.get_mapping(tenant_id(), import_id))


@part.serves("PUT", "/imports/<id:import_id>/mapping", needs="imports:write", answer=MappingSchema, refuses=(409,))
@part.arguments(NewMappingSchema, location="json", required=False)  # type: ignore[untyped-decorator] # flask-smorest ships no types
def put_mapping(body: dict[str, Any], import_id: int) -> object:
    """Say which column says what. What is still in the way is listed under `problems`."""
    return _mapping(imports.put_mapping(tenant_id(), import_id, body))


@part.serves("GET", "/imports/<id:import_id>/preview", needs="imports:read", answer=ImportPreviewSchema, refuses=(409,))
def preview(import_id: int) -> object:
    """The first twenty rows as they would be understood."""
    return import_previews.preview(tenant_id(), import_id)


@part.serves("POST", "/imports/<id:import_id>/check", needs="imports:write", answer=ImportSchema, status=202)
def check(import_id: int) -> object:
    """Read and check the whole file in the background without keeping anything."""
    imports.check(tenant_id(), import_id)
    return imports.get_import(tenant_id(), import_id)


@part.serves("POST", "/imports/<id:import_id>/start", needs="imports:write", answer=ImportSchema, status=202)
def start(import_id: int) -> object:
    """Read a file that was looked at, in the background."""
    imports.start(tenant_id(), import_id)
    return imports.get_import(tenant_id(), import_id)


@part.serves("POST", "/imports/<id:import_id>/pause", needs="imports:write", answer=ImportSchema)
def pause(import_id: int) -> object:
    """Stop reading for now; what was taken in stays."""
    imports.pause(tenant_id(), import_id)
    return imports.get_import(tenant_id(), import_id)


@part.serves("POST", "/imports/<id:import_id>/resume", needs="imports:write", answer=ImportSchema)
def resume(import_id: int) -> object:
    """Go on where it was paused."""
    imports.resume(tenant_id(), import_id)
    return imports.get_import(tenant_id(), import_id)


@part.serves("POST", "/imports/<id:import_id>/cancel", needs="imports:write", answer=ImportSchema)
def cancel(import_id: int) -> object:
    """Read no further, and remove the file. What was taken in stays; undo takes it back."""
    imports.cancel(tenant_id(), import_id)
    return imports.get_import(tenant_id(), import_id)


@part.serves("POST", "/imports/<id:import_id>/undo", needs="imports:write", answer=ImportSchema, status=202)
def undo(import_id: int) -> object:
    """Take back all that the import brought, in the background: as if it had never been."""
    imports.undo(tenant_id(), import_id)
    return imports.get_import(tenant_id(), import_id)


@part.serves(
    "GET",
    "/imports/<id:import_id>/refused-rows",
    needs="imports:read",
    answer=RefusedRowsSchema,
    query=RefusedRowsQuery,
)
def list_refused_rows(query: dict[str, Any], import_id: int) -> object:
    """Which rows were refused, and why."""
    return imports.refused_rows(tenant_id(), import_id, **query)


@part.route("/imports/<id:import_id>/refused-rows/file", methods=["GET"])  # type: ignore[untyped-decorator] # as above
@part.guards("imports:read", refuses=(404,))
@part.response(200, content_type="text/csv", description="CSV of a CSV file, JSON lines of all others")  # type: ignore[untyped-decorator] # as above
def download_refused_rows(import_id: int) -> Response:
    """The refused rows with their reasons, to be mended and sent again."""
    return refused_response(imports.refused_file(tenant_id(), import_id))


def refused_response(file: imports.RefusedFile) -> Response:
    response = Response(file.parts, content_type=file.media_type)
    # The name may hold letters of any script, which a header can't: this encodes them.
    response.headers.set("Content-Disposition", "attachment", filename=file.name)
    return response


def stated_offset() -> int:
    """Where the part of this request begins; raises BadInput."""
    text = request.headers.get(OFFSET, "")
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise BadInput(f"Say with the header {OFFSET} at which byte of the file this part begins.", field=OFFSET)
    return int(text)


def _mapping(report: imports.MappingReport) -> dict[str, Any]:
    return {
        **vars(report.mapping),
        "columns": report.columns,
        "delimiter": report.delimiter or report.mapping.delimiter,
        "is_guess": report.is_guess,
        "problems": report.problems,
        "warnings": report.warnings,
    }


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
