"""How long raw messages and events are kept."""

from typing import Any

from marshmallow import Schema, fields, validate

from assay.api.access import tenant_id
from assay.api.door import Part
from assay.intake.retention import CLASSES, FOREVER, Kind
from assay.profiles.retention import change_retention, get_retention

part = Part("Retention", "How long raw messages and events are kept; scores rest on the events that are there.")


def _days(kind: Kind) -> fields.Integer:
    accepted = ", ".join(str(days) for days in sorted(CLASSES[kind]) if days != FOREVER)
    description = f"Days after their receipt: {accepted}; null for ever; left away, as it is"
    return fields.Integer(allow_none=True, strict=True, metadata={"description": description})


class RetentionProgressSchema(Schema):
    started_at = fields.AwareDateTime()
    moved = fields.Integer(metadata={"description": "Rows that were there and are kept as chosen now"})
    deleted = fields.Integer(metadata={"description": "Rows that were there and past what was chosen"})
    finished_at = fields.AwareDateTime(allow_none=True, metadata={"description": "null: still under way"})


class KindRetentionSchema(Schema):
    days = fields.Integer(allow_none=True, metadata={"description": "null for ever"})
    gone_after_days = fields.Integer(
        allow_none=True, metadata={"description": "By then each has gone: what is past goes by the day, week or month"}
    )
    choices = fields.List(fields.Integer(allow_none=True))
    progress = fields.Nested(RetentionProgressSchema, allow_none=True, metadata={"description": "Of the last change"})


class RetentionSchema(Schema):
    messages = fields.Nested(KindRetentionSchema)
    events = fields.Nested(KindRetentionSchema)


class RetentionChangeSchema(Schema):
    messages_days = _days("messages")
    events_days = _days("events")
    confirm = fields.Boolean(
        load_default=False,
        truthy={True},
        falsy={False},
        validate=validate.OneOf([True, False]),
        metadata={"description": "Needed to keep anything for a shorter time: without it the answer tells what goes"},
    )


@part.serves("GET", "/retention", needs="settings:read", answer=RetentionSchema)
def show() -> object:
    """What is kept, for how long, and how far the last change is."""
    return get_retention(tenant_id())


@part.serves("PUT", "/retention", needs="settings:write", answer=RetentionSchema, refuses=(409,))
@part.arguments(RetentionChangeSchema, location="json", required=False)  # type: ignore[untyped-decorator] # flask-smorest ships no types
def change(body: dict[str, Any]) -> object:
    """Choose anew. What comes is kept so at once; what is there follows in the background."""
    choice: dict[Kind, int | None] = {}
    if "messages_days" in body:
        choice["messages"] = body["messages_days"]
    if "events_days" in body:
        choice["events"] = body["events_days"]
    return change_retention(tenant_id(), choice, confirmed=body["confirm"])
