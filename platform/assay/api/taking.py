"""Records that are sent to us in one request: checked one by one, kept together, answered when they are on disk."""

from dataclasses import asdict
from datetime import UTC, datetime
from hashlib import blake2b
from threading import Lock
from typing import Any

import msgspec
from flask import Response, current_app, request
from marshmallow import Schema, fields
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from assay.api.access import tenant_id
from assay.api.errors import BodyTooLarge, NoneAccepted, UnsupportedBody
from assay.api.repeats import answered_once, fingerprint, stated_key
from assay.intake.bodies import MAX_BODY, MAX_EVENT, read_body
from assay.intake.errors import BadCall
from assay.intake.ids import message_id
from assay.intake.writer import Received
from assay.normalise import own, strict
from assay.normalise.strict import MAX_RECORDS, Checked, Shape
from assay_tenants.database import tenant_session
from assay_tenants.errors import BadInput
from assay_tenants.models import Source

SOURCE = "API"
_NAMES = (SOURCE, *(f"{SOURCE} {number}" for number in range(2, 10)))
_MOST_SOURCES = 10_000
LIMITS = f"At most {MAX_RECORDS:,} records, {MAX_EVENT:,} bytes each, {MAX_BODY:,} bytes in all; gzip is accepted."

_sources: dict[int, int] = {}
_lock = Lock()


class RefusalSchema(Schema):
    index = fields.Integer(metadata={"description": "Its place in the list that was sent, from 0"})
    field = fields.String(allow_none=True, metadata={"description": "The path inside the record; null: all of it"})
    code = fields.String(metadata={"description": "For programs; it stays the same"})
    message = fields.String(metadata={"description": "What was wrong, and what is accepted"})


class TakenSchema(Schema):
    accepted = fields.Integer(metadata={"description": "How many are on disk; they count within seconds"})
    refused = fields.List(fields.Nested(RefusalSchema), metadata={"description": "Those that are not, with the reason"})
    message_id = fields.String(metadata={"description": "Of the request as it is kept"})


class NoneTakenSchema(Schema):
    type = fields.String(required=True)
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    detail = fields.String(required=True)
    code = fields.String(required=True, metadata={"description": "none_accepted, or bad_input for the body as a whole"})
    errors = fields.List(fields.Dict(keys=fields.String(), values=fields.String()))
    accepted = fields.Integer(metadata={"description": "0"})
    refused = fields.List(fields.Nested(RefusalSchema))


def body_of(shape: Shape[Any]) -> dict[str, Any]:
    """The description of a request's body, from the very types it is read by."""
    record = _inlined(msgspec.json.schema(shape.type, ref_template="{name}"))
    listed = {"type": "array", "items": record, "minItems": 1, "maxItems": MAX_RECORDS}
    whole = {"type": "object", "properties": {shape.name: listed}, "required": [shape.name]}
    return {
        "required": True,
        "description": LIMITS,
        "content": {"application/json": {"schema": {**whole, "additionalProperties": False}}},
    }


def take(shape: Shape[Any]) -> Response:
    """Keeps what this request brings; raises NoneAccepted when no record of it is any good."""
    if request.mimetype != "application/json":
        raise UnsupportedBody(
            f"Send the body as Content-Type: application/json, not {request.mimetype or 'without a type'}."
        )
    key = stated_key()
    try:
        body = read_body(request.environ)
    except BadCall as refused:
        if refused.code == "body_too_large":
            raise BodyTooLarge(refused.message) from None
        raise BadInput(refused.message) from None
    mark = fingerprint(body)
    once = None if key is None else blake2b(key.encode() + mark, digest_size=16).hexdigest()
    return answered_once(key, mark, lambda: _keep(shape, body, once))


def _keep(shape: Shape[Any], body: bytes, once: str | None) -> Response:
    received_at = datetime.now(UTC)
    try:
        checked = strict.check(shape, body, received_at=received_at)
    except strict.Unreadable as error:
        raise BadInput(error.message, field=error.field) from None
    if not checked.records:
        raise NoneAccepted([asdict(each) for each in checked.refused])
    tenant = tenant_id()
    id_ = message_id(received_at)
    kept = _kept(shape, body, checked, once)
    tracking = current_app.extensions["tracking"]
    tracking.admission.admit(tenant, len(checked.records), len(body), people=shape.name == "leads")
    tracking.writer.keep(Received(tenant, _source_id(tenant), id_, received_at, shape.name, kept))
    answer = {
        "accepted": len(checked.records),
        "refused": [asdict(each) for each in checked.refused],
        "message_id": str(id_),
    }
    return Response(msgspec.json.encode(answer), 207 if checked.refused else 200, content_type="application/json")


def _kept(shape: Shape[Any], body: bytes, checked: Checked, once: str | None) -> bytes:
    if once is None and not checked.refused:
        return body
    return own.kept_body(shape.name, checked.records, checked.places, once=once)


def _source_id(tenant_id: int) -> int:
    """The tenant's source of all that comes by the API, made with the first of it."""
    known = _sources.get(tenant_id)
    if known is None:
        known = _find_or_make_source(tenant_id)
        with _lock:
            if len(_sources) >= _MOST_SOURCES:
                _sources.clear()
            _sources[tenant_id] = known
    return known


def _find_or_make_source(tenant_id: int) -> int:
    ours = (
        select(Source.id).where(Source.tenant_id == tenant_id, Source.plugin == own.PLUGIN).order_by(Source.id).limit(1)
    )
    with tenant_session(tenant_id) as session:
        found = session.scalars(ours).one_or_none()
        for name in _NAMES:
            if found is not None:
                return found
            session.execute(
                insert(Source)
                .values(tenant_id=tenant_id, name=name, plugin=own.PLUGIN, created_at=datetime.now(UTC))
                .on_conflict_do_nothing(index_elements=["tenant_id", "name"])
            )
            # Another request may have been faster; or somebody else's source has this name.
            found = session.scalars(ours).one_or_none()
    if found is None:
        raise BadInput(f"All names for the API's own source are taken: {', '.join(_NAMES)}. Rename one.")
    return found


def _inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with what it refers to in its place."""
    definitions = schema.pop("$defs", {})

    def put_in(node: Any) -> Any:
        if isinstance(node, list):
            return [put_in(each) for each in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            others = {name: value for name, value in node.items() if name != "$ref"}
            return {**put_in(definitions[node["$ref"]]), **others}
        return {name: put_in(value) for name, value in node.items()}

    inlined: dict[str, Any] = put_in(schema)
    return inlined
