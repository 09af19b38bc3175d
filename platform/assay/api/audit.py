"""The audit log: who changed what, from where."""

from typing import Any

from flask import Response
from marshmallow import Schema, fields, validate

from assay.api.access import tenant_id
from assay.api.door import Part
from assay.api.leads import CURSOR, limit
from assay.audit_files import FORMATS, audit_file, row_of
from assay_tenants.audit import queries
from assay_tenants.audit.queries import Wanted

part = Part("Audit log", "Who changed what, when and from where; only ever added to.")


class AuditFilters(Schema):
    actor = fields.String(
        validate=validate.Length(1, 200),
        metadata={"description": "A kind (person, key, app, operator, system, stranger), or with an id: person:7"},
    )
    action = fields.String(
        validate=validate.Length(1, 100),
        metadata={"description": "The beginning of actions: `model` for all that was done to models"},
    )
    subject = fields.String(validate=validate.Length(1, 200), metadata={"description": "Which one, exactly"})
    since = fields.AwareDateTime(metadata={"description": "From this instant on"})
    until = fields.AwareDateTime(metadata={"description": "Before this instant"})
    text = fields.String(
        validate=validate.Length(1, 200), metadata={"description": "Part of an actor's name or of a subject"}
    )


class AuditQuery(AuditFilters):
    cursor = CURSOR
    limit = limit(queries.LARGEST_PAGE, queries.PAGE)


class AuditExportQuery(AuditFilters):
    format = fields.String(load_default="jsonl", validate=validate.OneOf(FORMATS))


class AuditEntrySchema(Schema):
    id = fields.Integer(metadata={"description": "Without gaps, in the order of time"})
    at = fields.String(metadata={"format": "date-time"})
    actor_kind = fields.String()
    actor_id = fields.String(metadata={"description": "Within its kind; empty for the system"})
    actor_name = fields.String(metadata={"description": "At that time"})
    address = fields.String(metadata={"description": "The network address; empty: there was none"})
    door = fields.String(metadata={"description": "web, api or command; empty: the workers did it by themselves"})
    request_id = fields.String()
    action = fields.String(metadata={"description": "Past tense, such as model.published"})
    subject = fields.String(metadata={"description": "Which one; empty where there is only one"})
    sentence = fields.String()
    before = fields.Raw(allow_none=True, metadata={"description": "What changed, as it was"})
    after = fields.Raw(allow_none=True, metadata={"description": "What changed, as it is"})
    hash = fields.String(metadata={"description": "SHA-256 over this entry and the hash of the one before, in hex"})


class AuditSchema(Schema):
    items = fields.List(fields.Nested(AuditEntrySchema), metadata={"description": "Newest first"})
    next_cursor = fields.String(allow_none=True)


@part.serves("GET", "/audit", answer=AuditSchema, query=AuditQuery, needs="audit:read")
def list_entries(query: dict[str, Any]) -> object:
    """Entries of the audit log, newest first."""
    cursor, most = query.pop("cursor", None), query.pop("limit")
    page = queries.list_entries(tenant_id(), Wanted(**query), cursor=cursor, limit=most)
    return {"items": [row_of(entry) for entry in page.items], "next_cursor": page.next_cursor}


@part.route("/audit/export", methods=["GET"])  # type: ignore[untyped-decorator] # flask-smorest ships no types
@part.guards("audit:read")
@part.arguments(AuditExportQuery, location="query")  # type: ignore[untyped-decorator] # as above
@part.doc(responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}}})  # type: ignore[untyped-decorator] # as above
@part.response(  # type: ignore[untyped-decorator] # as above
    200, {"type": "string"}, content_type="application/x-ndjson", description="A line for each entry; CSV if asked for"
)
def export(query: dict[str, Any]) -> Response:
    """All that fits the filters, as JSON lines or CSV, newest first. That it was taken is written down too."""
    format_ = query.pop("format")
    file = audit_file(tenant_id(), Wanted(**query), format_)
    response = Response(file.parts, content_type=file.media_type)
    response.headers.set("Content-Disposition", "attachment", filename=file.name)
    return response
