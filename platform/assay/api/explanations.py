"""Why a lead has its score, and what would change it: each part in figures, and in a sentence of four languages."""

from dataclasses import fields as names_of
from datetime import datetime
from typing import Any

from flask import request
from marshmallow import Schema, fields, validate

from assay.api.access import tenant_id
from assay.api.door import Part as Door
from assay.api.door import Points
from assay.scoring import outlooks, service
from assay.scoring.engine.changes import Action, Outlook, Step, Way
from assay.scoring.engine.receipts import Adjustment, Explanation, Part
from assay.scoring.phrases import LANGUAGES
from assay.scoring.sentences import chosen, say

part = Door("Explanations", "Why a lead has its score, and what would change it.")


def language_field() -> fields.String:
    return fields.String(
        validate=validate.OneOf(LANGUAGES),
        metadata={"description": "Of the sentences; default: what Accept-Language asks for, else English"},
    )


class ExplanationQuery(Schema):
    at = fields.AwareDateTime(metadata={"description": "Explain the score as of this instant; default: now"})
    language = language_field()


class OutlookQuery(Schema):
    model = fields.String(required=True, validate=validate.Length(1, 200), metadata={"description": "A model's name"})
    at = fields.AwareDateTime(metadata={"description": "From this instant on; default: now"})
    language = language_field()


class JudgedSchema(Schema):
    key = fields.String()
    by = fields.String(allow_none=True)
    reason = fields.String(allow_none=True)


class PartSchema(Schema):
    rule = fields.String()
    title = fields.String(allow_none=True)
    dimension = fields.String(allow_none=True)
    group = fields.String(allow_none=True)
    points = Points(metadata={"description": "After fading and caps; all parts together are `raw`, exactly"})
    earned = Points(metadata={"description": "Before fading and caps"})
    counted = fields.Boolean(metadata={"description": "false: it counts nothing, and `why` says for what reason"})
    why = fields.String(metadata={"description": "In plain English"})
    sentence = fields.String(metadata={"description": "The whole of it in the language asked for"})
    codes = fields.List(
        fields.String(), metadata={"description": "For programs: what it rests on, then why it counts nothing or less"}
    )
    at = fields.AwareDateTime(allow_none=True)
    events = fields.List(fields.String(), metadata={"description": "Ids of events behind it, at most 20 of the newest"})
    events_behind = fields.Integer(metadata={"description": "How many events are behind it"})
    judged = fields.Nested(JudgedSchema, allow_none=True)


class AdjustmentSchema(Schema):
    kind = fields.String(metadata={"description": "scale_max, scale_min, set or disqualified"})
    override = fields.String(allow_none=True)
    points = Points()
    why = fields.String()
    sentence = fields.String()


class ExplanationSchema(Schema):
    model = fields.String()
    content_hash = fields.String(metadata={"description": "Of the version that was applied"})
    lead_id = fields.Integer()
    at = fields.AwareDateTime()
    applies = fields.Boolean(metadata={"description": "false: the lead is not in the model's audience"})
    total = Points(allow_none=True)
    raw = Points(allow_none=True, metadata={"description": "Before the model's scale and its overrides"})
    dimensions = fields.Dict(keys=fields.String(), values=Points())
    stage = fields.String(allow_none=True)
    grade = fields.String(allow_none=True)
    override = fields.String(allow_none=True)
    disqualified = fields.String(allow_none=True)
    next_change = fields.AwareDateTime(allow_none=True)
    parts = fields.List(
        fields.Nested(PartSchema),
        metadata={
            "description": "One for each award; of a lead with more than 5,000, one for each rule and each reason why "
            "its awards count or not, with their sum, how many events are behind it, and the newest of them"
        },
    )
    adjustments = fields.List(
        fields.Nested(AdjustmentSchema), metadata={"description": "What leads from `raw` to `total`, exactly"}
    )


class StandingSchema(Schema):
    applies = fields.Boolean()
    total = Points(allow_none=True)
    stage = fields.String(allow_none=True)
    grade = fields.String(allow_none=True)
    override = fields.String(allow_none=True)
    disqualified = fields.String(allow_none=True)


class TurnSchema(Schema):
    rule = fields.String()
    title = fields.String(allow_none=True)
    points = Points(metadata={"description": "How much more it gives from then on"})


class StepSchema(Schema):
    at = fields.AwareDateTime()
    before = fields.Nested(StandingSchema)
    after = fields.Nested(StandingSchema)
    turns = fields.List(fields.Nested(TurnSchema))
    sentence = fields.String()


class ActionSchema(Schema):
    rule = fields.String(metadata={"description": "Which asks for it"})
    title = fields.String(allow_none=True)
    type = fields.String(allow_none=True, metadata={"description": "Of the event; null: a trait comes to hold"})
    count = fields.Integer()
    properties = fields.Dict(keys=fields.String(), metadata={"description": "An example of what it asks of the event"})
    traits = fields.Dict(keys=fields.String(), metadata={"description": "An example of what it asks of the lead"})


class WaySchema(Schema):
    actions = fields.List(fields.Nested(ActionSchema))
    stage = fields.String()
    total = Points()
    sentence = fields.String()


class OutlookSchema(Schema):
    model = fields.String()
    content_hash = fields.String()
    lead_id = fields.Integer()
    at = fields.AwareDateTime()
    now = fields.Nested(StandingSchema)
    next_stage = fields.String(allow_none=True)
    steps = fields.List(
        fields.Nested(StepSchema), metadata={"description": "What changes by itself next, up to 90 days ahead"}
    )
    ways = fields.List(
        fields.Nested(WaySchema), metadata={"description": "Smallest sets of things that would reach the next stage"}
    )
    hints = fields.List(
        fields.String(),
        metadata={"description": "What else there is to know of it, such as that a large model was not searched whole"},
    )


@part.serves(
    "GET",
    "/leads/<id:lead_id>/scores/<model>",
    needs="leads:read",
    answer=ExplanationSchema,
    query=ExplanationQuery,
    refuses=(409,),
)
def explain_lead(query: dict[str, Any], lead_id: int, model: str) -> object:
    """Why a lead has its score: every part, those that count nothing too."""
    language = _language(query.pop("language", None))
    return _explained(service.explain_lead(tenant_id(), lead_id, model, **query), language)


@part.serves("GET", "/leads/<id:lead_id>/outlook", needs="leads:read", answer=OutlookSchema, query=OutlookQuery)
def look_ahead(query: dict[str, Any], lead_id: int) -> object:
    """What changes the score by itself, and the fewest single things that lead to the next stage."""
    at: datetime | None = query.get("at")
    found = outlooks.outlook_of(tenant_id(), lead_id, query["model"], at=at)
    return _outlook(found, _language(query.get("language")))


def _language(asked: str | None) -> str:
    return chosen(asked, request.accept_languages.values())


def _as_dict(found: Explanation | Outlook | Part | Adjustment | Step | Way | Action) -> dict[str, Any]:
    return {field.name: getattr(found, field.name) for field in names_of(found)}


def _explained(found: Explanation, language: str) -> dict[str, Any]:
    return _as_dict(found) | {
        "parts": [
            _as_dict(each)
            | {
                "why": each.why,
                "sentence": say(each, language),
                "codes": [each.what.code, *(told.code for told in each.because)],
            }
            for each in found.parts
        ],
        "adjustments": [
            _as_dict(each) | {"why": each.why, "sentence": say(each, language)} for each in found.adjustments
        ],
    }


def _outlook(found: Outlook, language: str) -> dict[str, Any]:
    return _as_dict(found) | {
        "steps": [_as_dict(step) | {"sentence": say(step, language)} for step in found.steps],
        "ways": [_as_dict(way) | {"sentence": say(way, language)} for way in found.ways],
        "hints": [say(hint, language) for hint in found.hints],
    }
