"""Leads by score; one lead with all that is known of it."""

from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from assay.api.access import tenant_id
from assay.api.door import Part, Points
from assay.profiles import queries as profiles
from assay.profiles.matching import ANONYMOUS_ID, EMAIL, USER_ID, VENDOR
from assay.scoring import asking, queries
from assay.scoring.engine.machines import why
from assay.scoring.engine.qualities import of_traits
from assay.scoring.engine.reasons import english

part = Part("Leads", "Who is known, and how each scores under every model.")
#: Parameters that name one lead.
IDENTITIES = (USER_ID, EMAIL, ANONYMOUS_ID, "vendor_id")

MODEL = fields.String(
    validate=validate.Length(1, 200),
    metadata={
        "description": "A model's name; without it, the published one of the highest precedence, then the oldest"
    },
)
CURSOR = fields.String(metadata={"description": "The `next_cursor` of the page before"})


def limit(most: int, default: int) -> fields.Integer:
    return fields.Integer(
        load_default=default, validate=validate.Range(1, most), metadata={"description": "Items on a page"}
    )


def identity(description: str) -> fields.String:
    return fields.String(validate=validate.Length(1, 600), metadata={"description": description})


class LeadsQuery(Schema):
    model = MODEL
    stage = fields.String(validate=validate.Length(1, 200), metadata={"description": "Only leads at this stage"})
    text = fields.String(
        validate=validate.Length(1, 200), metadata={"description": "Part of a name, an e-mail address or a company"}
    )
    user_id = identity("Only the lead with this id of yours; it goes with `model` alone, like each of the next three")
    email = identity("Only the lead with this e-mail address")
    anonymous_id = identity("Only the lead that this browser or device belongs to")
    vendor_id = identity("Only the lead with this id of a vendor's, such as `hubspot:51`")
    cursor = CURSOR
    limit = limit(queries.LARGEST_PAGE, queries.PAGE)

    @validates_schema
    def _check_identity(self, question: dict[str, Any], **_: Any) -> None:
        named = [name for name in IDENTITIES if name in question]
        others = [*named[1:], *(name for name in ("stage", "text", "cursor") if name in question)]
        if named and others:
            raise ValidationError(f"This does not go together with {named[0]}, which names one lead.", others[0])
        vendor, colon, id_ = question.get("vendor_id", "x:x").partition(":")
        if not (vendor and colon and id_):
            raise ValidationError("A vendor's name and its id, such as hubspot:51, are accepted.", "vendor_id")


class EventsQuery(Schema):
    cursor = CURSOR
    limit = limit(queries.LARGEST_PAGE, queries.PAGE)


class HistoryQuery(Schema):
    model = fields.String(required=True, validate=validate.Length(1, 200), metadata={"description": "A model's name"})
    cursor = CURSOR
    limit = limit(queries.LARGEST_PAGE, queries.PAGE)


class ScoresQuery(Schema):
    model = fields.String(validate=validate.Length(1, 200), metadata={"description": "Only under this model"})
    at = fields.AwareDateTime(
        metadata={"description": "As of this instant; default: now. A later one tells what comes if nothing happens"}
    )
    version = fields.String(
        validate=validate.Length(1, 200),
        metadata={"description": "The hash of a version; without it the versions that were live at that instant"},
    )
    known = fields.String(
        load_default="then",
        validate=validate.OneOf(["then", "now"]),
        metadata={
            "description": "then: a past score rests on what was known at its instant, as it was recorded; now: on all "
            "that is known today"
        },
    )


class Dimensions(fields.Dict):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(keys=fields.String(), values=Points(), **kwargs)


class ResultSchema(Schema):
    total = Points(allow_none=True)
    raw = Points(allow_none=True, metadata={"description": "Before the model's scale is applied"})
    stage = fields.String(allow_none=True)
    grade = fields.String(allow_none=True)
    dimensions = Dimensions(allow_none=True)
    override = fields.String(allow_none=True, metadata={"description": "The id of the override that fixes the total"})
    disqualified = fields.String(
        allow_none=True, metadata={"description": "The id of the override that disqualifies the lead"}
    )


class RankedLeadSchema(ResultSchema):
    id = fields.Integer(attribute="lead_id")
    name = fields.String(allow_none=True)
    email = fields.String(allow_none=True)
    company = fields.String(allow_none=True)
    last_seen_at = fields.AwareDateTime()
    next_change = fields.AwareDateTime(
        allow_none=True, metadata={"description": "When the score next changes by itself, if it does"}
    )


class LeadsSchema(Schema):
    items = fields.List(fields.Nested(RankedLeadSchema))
    next_cursor = fields.String(allow_none=True)
    model = fields.String(
        allow_none=True,
        metadata={
            "description": "The model that ranked them; null: none is published, the newest activity comes first"
        },
    )


class ScoreSchema(ResultSchema):
    model = fields.String()
    title = fields.String()
    version = fields.Integer()
    next_change = fields.AwareDateTime(allow_none=True)
    scored_at = fields.AwareDateTime(metadata={"description": "Since when the score is what it is"})
    leading = fields.Boolean(
        metadata={"description": "Of the models that apply to the lead, this one has the highest precedence"}
    )


class ScoresSchema(Schema):
    at = fields.AwareDateTime(metadata={"description": "The instant that the scores are of"})
    known = fields.String()
    items = fields.List(fields.Nested(ScoreSchema), metadata={"description": "One for each model that applies"})


class IdentitySchema(Schema):
    kind = fields.String(metadata={"description": "user_id, email, anonymous_id or a vendor's"})
    value = fields.String()
    first_seen_at = fields.AwareDateTime()
    last_seen_at = fields.AwareDateTime()


class LeadSchema(Schema):
    id = fields.Integer()
    name = fields.String(allow_none=True)
    email = fields.String(allow_none=True)
    company = fields.String(allow_none=True)
    first_seen_at = fields.AwareDateTime()
    last_seen_at = fields.AwareDateTime()
    traits = fields.Dict(
        keys=fields.String(),
        metadata={
            "description": "A company's own are named company.…; quality.… are worked out of the others; what is kept "
            "out of sight (see /fields) is masked"
        },
    )
    identities = fields.List(fields.Nested(IdentitySchema))
    scores = fields.List(fields.Nested(ScoreSchema), metadata={"description": "One for each published model"})


class EventSchema(Schema):
    id = fields.String()
    type = fields.String()
    occurred_at = fields.AwareDateTime()
    received_at = fields.AwareDateTime()
    properties = fields.Dict(
        keys=fields.String(), metadata={"description": "What is kept out of sight (see /fields) is masked"}
    )
    counted = fields.Boolean(metadata={"description": "false: a machine did it, and it counts nothing"})
    code = fields.String(allow_none=True, metadata={"description": "Of the reason why it counts nothing"})
    why = fields.String(allow_none=True, metadata={"description": "That reason in plain English"})


class EventsSchema(Schema):
    items = fields.List(fields.Nested(EventSchema), metadata={"description": "Newest first"})
    next_cursor = fields.String(allow_none=True)


class PastScoreSchema(ResultSchema):
    at = fields.AwareDateTime(metadata={"description": "From this instant on"})
    until = fields.AwareDateTime(
        allow_none=True, metadata={"description": "Until this instant; null: it is so at present"}
    )
    version = fields.Integer()


class HistorySchema(Schema):
    items = fields.List(fields.Nested(PastScoreSchema), metadata={"description": "Newest first"})
    next_cursor = fields.String(allow_none=True)


@part.serves("GET", "/leads", needs="leads:read", answer=LeadsSchema, query=LeadsQuery, refuses=(404,))
def list_leads(query: dict[str, Any]) -> object:
    """Leads by score, best first. Paging meets each lead once, however scores move meanwhile."""
    named = next((name for name in IDENTITIES if name in query), None)
    if named is not None:
        query["identity"] = _identity(named, query.pop(named))
    return asking.list_leads(tenant_id(), **query)


def _identity(name: str, value: str) -> tuple[str, str]:
    """Its kind and value as they are kept."""
    if name == "vendor_id":
        vendor, _, value = value.partition(":")
        return VENDOR + vendor, value.strip()
    return name, value.strip().lower() if name == EMAIL else value.strip()


@part.serves("GET", "/leads/<id:lead_id>", needs="leads:read", answer=LeadSchema)
def get_lead(lead_id: int) -> dict[str, object]:
    """One lead with its identities, traits and scores."""
    lead = profiles.get_lead(tenant_id(), lead_id)
    return {
        **vars(lead),
        "traits": lead.traits | of_traits(lead.traits),
        "scores": asking.scores_now(tenant_id(), lead_id),
    }


@part.serves("GET", "/leads/<id:lead_id>/scores", needs="leads:read", answer=ScoresSchema, query=ScoresQuery)
def list_scores(query: dict[str, Any], lead_id: int) -> object:
    """A lead's scores at any instant, under any version: past ones rest on what was known then."""
    return asking.scores_at(tenant_id(), lead_id, **query)


@part.serves("GET", "/leads/<id:lead_id>/events", needs="leads:read", answer=EventsSchema, query=EventsQuery)
def list_events(query: dict[str, Any], lead_id: int) -> object:
    """What a lead did, newest first."""
    found = profiles.timeline(tenant_id(), lead_id, **query)
    return {"items": [_event(event) for event in found.items], "next_cursor": found.next_cursor}


def _event(event: profiles.LeadEvent) -> dict[str, object]:
    refusal = why(event.discounted) if event.discounted else None
    return {
        **vars(event),
        "counted": refusal is None,
        "code": refusal.code if refusal else None,
        "why": english(refusal) if refusal else None,
    }


@part.serves("GET", "/leads/<id:lead_id>/history", needs="leads:read", answer=HistorySchema, query=HistoryQuery)
def list_history(query: dict[str, Any], lead_id: int) -> object:
    """How a lead's score under one model changed, newest first."""
    profiles.get_lead(tenant_id(), lead_id)
    return queries.history(tenant_id(), lead_id, **query)
