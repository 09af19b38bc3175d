"""What is kept of a person, exported and erased."""

from typing import Any

from flask import Response
from marshmallow import Schema, fields, validate

from assay.api.access import by, caller, tenant_id
from assay.api.door import Part
from assay.api.repeats import stated_key
from assay.privacy import exporting, finding, service
from assay.profiles.matching import Key

part = Part("Persons' data", "What is kept of a person, exported and erased.")

_TEXT = validate.Length(1, finding.LONGEST)
_CONFIRM = (
    "Needed: it can't be taken back. Without it nothing is erased, and the answer is 409 with the code not_confirmed"
)


class WhoSchema(Schema):
    email = fields.String(validate=_TEXT)
    user_id = fields.String(validate=_TEXT)
    anonymous_id = fields.String(validate=_TEXT, metadata={"description": "Of a browser or device"})
    vendor_ids = fields.Dict(
        keys=fields.String(),
        values=fields.String(validate=_TEXT),
        metadata={"description": 'A vendor\'s id of the person, by the vendor\'s name, such as {"hubspot": "51"}'},
    )


class PersonQuery(WhoSchema):
    lead_id = fields.Integer(strict=True, validate=validate.Range(min=1))


class IdentityKeySchema(Schema):
    kind = fields.String()
    value = fields.String()


class PersonSchema(Schema):
    lead_id = fields.Integer()
    name = fields.String(allow_none=True)
    email = fields.String(allow_none=True)
    identities = fields.List(fields.Nested(IdentityKeySchema), metadata={"description": "At most 50 of them"})
    first_seen_at = fields.AwareDateTime()
    last_seen_at = fields.AwareDateTime()
    kept = fields.Dict(
        keys=fields.String(),
        values=fields.Integer(),
        metadata={"description": f"How much there is, each counted up to {finding.MOST_COUNTED:,}"},
    )


class FoundSchema(Schema):
    items = fields.List(fields.Nested(PersonSchema))
    erasure_id = fields.Integer(
        allow_none=True, metadata={"description": "Of somebody with one of these identifiers who was erased"}
    )


class ErasureRequestSchema(PersonQuery):
    confirm = fields.Boolean(load_default=False, truthy={True}, falsy={False}, metadata={"description": _CONFIRM})


class LiftSchema(Schema):
    confirm = fields.Boolean(
        required=True,
        truthy={True},
        falsy={False},
        validate=validate.Equal(True, error="Confirm with true that the person came back and agreed."),
    )


class HitSchema(Schema):
    table = fields.String()
    column = fields.String()
    rows = fields.Integer()
    ids = fields.List(fields.String(), metadata={"description": "Of some of these rows, where ids say nothing"})
    why = fields.String()


class ErasureSchema(Schema):
    id = fields.Integer()
    lead_id = fields.Integer(allow_none=True)
    state = fields.String(
        metadata={
            "description": "waiting; running; done: all tables were looked through and nothing was found; incomplete: "
            "`found` says where something names the person still"
        }
    )
    requested_at = fields.AwareDateTime()
    requested_by = fields.String()
    started_at = fields.AwareDateTime(allow_none=True, metadata={"description": "From here on nothing is taken in"})
    erased_at = fields.AwareDateTime(allow_none=True)
    verified_at = fields.AwareDateTime(allow_none=True)
    lead_ids = fields.List(fields.Integer(), metadata={"description": "The lead, and those that were merged into it"})
    identifiers = fields.Integer(metadata={"description": "How many the person had"})
    identifiers_hash = fields.String(allow_none=True, metadata={"description": "A keyed hash of all of them together"})
    counts = fields.Dict(
        keys=fields.String(), values=fields.Integer(), metadata={"description": "Rows that went or changed, by table"}
    )
    scanned = fields.Dict(
        keys=fields.String(),
        values=fields.Integer(allow_none=True),
        metadata={"description": "Rows looked through, by table; null: out of the application's own reach"},
    )
    found = fields.List(fields.Nested(HitSchema))
    turned_away = fields.Integer(metadata={"description": "Records of the person that came since"})
    lifted_at = fields.AwareDateTime(allow_none=True)
    lifted_by = fields.String(allow_none=True)


class ErasuresSchema(Schema):
    items = fields.List(fields.Nested(ErasureSchema), metadata={"description": "The latest ones, newest first"})


class ExportSchema(Schema):
    """Its parts are told in full under `docs/privacy.md`."""

    format = fields.String(metadata={"description": exporting.FORMAT})
    version = fields.Integer()
    made_at = fields.AwareDateTime()
    lead_id = fields.Integer()
    sensitive_fields = fields.String(metadata={"description": "included, or masked without the scope leads:reveal"})
    person = fields.Dict()
    identities = fields.List(fields.Dict())
    statements = fields.List(fields.Dict())
    scores = fields.List(fields.Dict())
    score_history = fields.List(fields.Dict())
    judgements = fields.List(fields.Dict())
    merges = fields.List(fields.Dict())
    decisions = fields.List(fields.Dict())
    reveals = fields.List(fields.Dict())
    events = fields.List(fields.Dict())
    raw_messages = fields.List(fields.Dict())


@part.serves("POST", "/persons/find", answer=FoundSchema, needs="privacy:manage", repeats="by itself")
@part.arguments(PersonQuery, location="json")  # type: ignore[untyped-decorator] # flask-smorest ships no types
def find(body: dict[str, Any]) -> object:
    """Whose identifiers these are, and how much is kept of each. Asked in a body: addresses stay out of logs."""
    stated_key()
    found = finding.find(tenant_id(), keys=_keys(body), lead_id=body.get("lead_id"))
    items = [
        {
            **vars(person),
            "identities": [{"kind": kind, "value": value} for kind, value in person.identities],
            "kept": finding.kept_of(tenant_id(), person.lead_id),
        }
        for person in found.people
    ]
    return {"items": items, "erasure_id": found.erasure_id}


@part.serves("GET", "/leads/<id:lead_id>/export", answer=ExportSchema, needs="privacy:manage")
def export(lead_id: int) -> Response:
    """All that is kept of a person, scores with their reasons included, written while it is sent."""
    pieces = exporting.export(tenant_id(), lead_id, by=by(), revealed="leads:reveal" in caller().scopes)
    return download(pieces, lead_id)


@part.serves("POST", "/erasures", answer=ErasureSchema, needs="privacy:manage", status=202, refuses=(404,))
@part.arguments(ErasureRequestSchema, location="json")  # type: ignore[untyped-decorator] # flask-smorest ships no types
def request_erasure(body: dict[str, Any]) -> object:
    """Have a person erased in the background: a lead, or whoever has these identifiers."""
    return service.request(
        tenant_id(), by=by(), lead_id=body.get("lead_id"), keys=_keys(body), confirmed=body["confirm"]
    )


@part.serves("GET", "/erasures", answer=ErasuresSchema, needs="privacy:manage")
def list_erasures() -> object:
    """Erasures with their certificates."""
    return {"items": service.list_erasures(tenant_id())}


@part.serves("GET", "/erasures/<id:erasure_id>", answer=ErasureSchema, needs="privacy:manage")
def get_erasure(erasure_id: int) -> object:
    """How far an erasure is; once it is done, its certificate."""
    return service.get_erasure(tenant_id(), erasure_id)


@part.serves("POST", "/erasures/<id:erasure_id>/look-again", answer=ErasureSchema, needs="privacy:manage", status=202)
@part.arguments(WhoSchema, location="json")  # type: ignore[untyped-decorator] # flask-smorest ships no types
def look_again(body: dict[str, Any], erasure_id: int) -> object:
    """Erase what is there by now and look through all tables again; of one that is done, name the person anew."""
    return service.look_again(tenant_id(), erasure_id, keys=_keys(body))


@part.serves("POST", "/erasures/<id:erasure_id>/lift", answer=ErasureSchema, needs="privacy:manage")
@part.arguments(LiftSchema, location="json")  # type: ignore[untyped-decorator] # flask-smorest ships no types
def lift(_: dict[str, Any], erasure_id: int) -> object:
    """The person came back and agreed: what names them is taken in again."""
    return service.lift(tenant_id(), erasure_id, by=by())


def download(pieces: Any, lead_id: int) -> Response:
    response = Response(pieces, content_type="application/json")
    response.headers.set("Content-Disposition", "attachment", filename=f"person-{lead_id}.json")
    response.headers["Cache-Control"] = "no-store"
    return response


def _keys(body: dict[str, Any]) -> frozenset[Key]:
    told = {name: body.get(name) for name in ("email", "user_id", "anonymous_id", "vendor_ids")}
    return finding.keys_from(**told)
