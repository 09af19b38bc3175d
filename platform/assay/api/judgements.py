"""What people think of a lead: points with a reason, that count until they expire or are withdrawn."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate

from assay.api.access import by, tenant_id
from assay.api.door import Part, Points
from assay.scoring import judgements
from assay.scoring.judgements import LONGEST_REASON, MOST_POINTS, Judgement
from assay_tenants.errors import BadInput

part = Part("Judgements", "Points that a person gives a lead, with a reason; they are facts about it like all others.")


class WrittenPoints(Points):
    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> int:
        try:
            return judgements.read_points(value)
        except BadInput as error:
            raise ValidationError(error.message) from None


class NewJudgementSchema(Schema):
    points = WrittenPoints(
        required=True, metadata={"description": f"From -{MOST_POINTS:,} to {MOST_POINTS:,}, of at most three decimals"}
    )
    reason = fields.String(required=True, validate=validate.Length(1, LONGEST_REASON))
    model = fields.String(
        validate=validate.Length(1, 200),
        metadata={"description": "Only under this model; default: under every model that counts judgements"},
    )
    expires_at = fields.AwareDateTime(metadata={"description": "It counts until then; default: until it is withdrawn"})


class JudgementSchema(Schema):
    key = fields.String()
    points = Points()
    reason = fields.String()
    by = fields.String()
    model = fields.String(allow_none=True, metadata={"description": "null: every model that counts judgements"})
    state = fields.String(metadata={"description": "counts, expired or withdrawn"})
    at = fields.AwareDateTime(metadata={"description": "It counts from this instant on"})
    expires_at = fields.AwareDateTime(allow_none=True)
    withdrawn_at = fields.AwareDateTime(allow_none=True)
    withdrawn_by = fields.String(allow_none=True)


class JudgementsSchema(Schema):
    items = fields.List(fields.Nested(JudgementSchema), metadata={"description": "Newest first"})


@part.serves("GET", "/leads/<id:lead_id>/judgements", needs="leads:read", answer=JudgementsSchema)
def list_judgements(lead_id: int) -> dict[str, object]:
    """All judgements of a lead, also those that count no more."""
    return {"items": [_shown(judgement) for judgement in judgements.list_judgements(tenant_id(), lead_id)]}


@part.serves("POST", "/leads/<id:lead_id>/judgements", needs="leads:write", answer=JudgementSchema, status=201)
@part.arguments(NewJudgementSchema, location="json")  # type: ignore[untyped-decorator] # flask-smorest ships no types
def record_judgement(body: dict[str, Any], lead_id: int) -> dict[str, object]:
    """Give a lead points of your own; the score follows within seconds."""
    return _shown(judgements.record(tenant_id(), lead_id, by=by(), **body))


@part.serves("DELETE", "/leads/<id:lead_id>/judgements/<key>", needs="leads:write", answer=JudgementSchema)
def withdraw_judgement(lead_id: int, key: str) -> dict[str, object]:
    """It counts no more from now on; it stays on record."""
    return _shown(judgements.withdraw(tenant_id(), lead_id, key, by=by()))


def _shown(judgement: Judgement) -> dict[str, object]:
    return {**vars(judgement), "state": judgement.state(datetime.now(UTC))}
