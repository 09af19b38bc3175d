"""What may be sent at most, and what was refused."""

from flask import current_app
from marshmallow import Schema, fields

from assay.api.access import tenant_id
from assay.api.door import Part

part = Part("Pace", "How much may be sent, and what was refused because it was more.")


class PaceSchema(Schema):
    events_per_second = fields.Integer(allow_none=True, metadata={"description": "In the long run; null: no limit"})
    at_once = fields.Integer(allow_none=True, metadata={"description": "After a pause"})
    messages_waiting = fields.Integer(metadata={"description": "To be understood, as seen a second ago or so"})
    messages_waiting_at_most = fields.Integer(allow_none=True, metadata={"description": "null: no limit"})
    refused_today = fields.Dict(
        keys=fields.String(),
        values=fields.Integer(),
        metadata={"description": "Requests by the code of their refusal: too_fast, backlog, no_room; a day is UTC's"},
    )
    refused_in_a_week = fields.Dict(keys=fields.String(), values=fields.Integer())


@part.serves("GET", "/pace", needs="usage:read", answer=PaceSchema)
def show() -> object:
    """The limits of this account, and how often they were met."""
    return current_app.extensions["tracking"].admission.standing(tenant_id())
