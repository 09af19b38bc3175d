"""The plan, and what was used of it."""

from typing import Any

from marshmallow import Schema, fields

from assay.api.access import tenant_id
from assay.api.door import Part
from assay_tenants import plans

part = Part("Usage", "The plan, and what was used of it.")


def number(description: str) -> fields.Integer:
    return fields.Integer(allow_none=True, metadata={"description": f"{description}; null: no limit"})


class PlanSchema(Schema):
    name = fields.String()
    title = fields.String()
    events_per_month = number("Included; owners are told above it")
    events_at_most = number("Events of a month from which nothing more is accepted")
    leads = number("Included")
    leads_at_most = number("Leads from which files and the API bring no more people")
    models = number("Those in the archive are not counted")
    members = number("Open invitations are counted")
    requests_per_second = number("Of this API")
    trial_ends_at = fields.AwareDateTime(
        allow_none=True, metadata={"description": "null: the plan does not end; from then on nothing is accepted"}
    )


class MonthSchema(Schema):
    month = fields.Date(metadata={"description": "Its first day, in UTC"})
    events = fields.Integer(metadata={"description": "Kept in this month, each counted once"})
    leads = fields.Integer(metadata={"description": "As last counted in this month, every ten minutes"})


class UsageSchema(Schema):
    plan = fields.Nested(PlanSchema)
    refuses = fields.String(
        allow_none=True, metadata={"description": "Why no more events are accepted; null: they are"}
    )
    months = fields.List(fields.Nested(MonthSchema), metadata={"description": "The latest first"})


@part.serves("GET", "/usage", needs="usage:read", answer=UsageSchema)
def show() -> object:
    """What the plan holds, and what was used month by month."""
    standing = plans.get_standing(tenant_id())
    limits: dict[str, Any] = vars(standing.plan) | {"trial_ends_at": standing.trial_ends_at}
    return {"plan": limits, "refuses": standing.refuses_events, "months": plans.list_usage(tenant_id())}
