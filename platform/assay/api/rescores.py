"""Scoring all leads anew: how far it is, stopped, gone on with."""

from typing import Any

from marshmallow import Schema, fields, validate

from assay.api.access import tenant_id
from assay.api.door import Part
from assay.scoring import rescoring

part = Part("Rescores", "After a publication all leads are scored anew in the background.")


class RescoresQuery(Schema):
    model = fields.String(
        validate=validate.Length(1, 200), metadata={"description": "Only those that concern this model"}
    )


class RescoreSchema(Schema):
    id = fields.Integer()
    models = fields.List(fields.String(), metadata={"description": "Under which leads are scored anew"})
    reason = fields.String()
    started_by = fields.String()
    created_at = fields.AwareDateTime()
    state = fields.String(validate=validate.OneOf(["waiting", "running", "done", "cancelled"]))
    leads = fields.Integer()
    leads_done = fields.Integer()
    written = fields.Integer(metadata={"description": "Scores that came out otherwise than they were stored"})
    percent = fields.Integer()
    leads_per_second = fields.Float(allow_none=True)
    seconds_left = fields.Integer(allow_none=True)
    finished_at = fields.AwareDateTime(allow_none=True)


class RescoresSchema(Schema):
    items = fields.List(fields.Nested(RescoreSchema), metadata={"description": "The newest fifty, newest first"})


@part.serves("GET", "/rescores", needs="models:read", answer=RescoresSchema, query=RescoresQuery, refuses=(404,))
def list_rescores(query: dict[str, Any]) -> dict[str, object]:
    """All leads scored anew: those under way and those of the past."""
    return {"items": rescoring.list_rescores(tenant_id(), **query)}


@part.serves("GET", "/rescores/<id:rescore_id>", needs="models:read", answer=RescoreSchema)
def get_rescore(rescore_id: int) -> object:
    """How far one is."""
    return rescoring.get_rescore(tenant_id(), rescore_id)


@part.serves("POST", "/rescores/<id:rescore_id>/cancel", needs="models:publish", answer=RescoreSchema)
def cancel_rescore(rescore_id: int) -> object:
    """Stops it: leads it did not come to keep the scores they have until something happens to them."""
    return rescoring.cancel(tenant_id(), rescore_id)


@part.serves("POST", "/rescores/<id:rescore_id>/resume", needs="models:publish", answer=RescoreSchema)
def resume_rescore(rescore_id: int) -> object:
    """Goes on where it was stopped."""
    return rescoring.resume(tenant_id(), rescore_id)
