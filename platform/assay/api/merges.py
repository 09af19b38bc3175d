"""Who is whom: merges and what undoes them, how a lead's identifiers hang together, values that join nobody."""

from typing import Any

from marshmallow import Schema, fields, validate

from assay.api.access import by, tenant_id
from assay.api.door import Part
from assay.api.leads import CURSOR, limit
from assay.profiles import deciding, kinship
from assay.profiles.identity_models import Decision
from assay.profiles.kinship import Membership, MergeRow
from assay.profiles.matching import Key
from assay.scoring.queries import LARGEST_PAGE, PAGE

part = Part("Who is whom", "How leads became one, with the reasons; what people say of it, and how it is taken back.")

REASON = fields.String(
    load_default="",
    validate=validate.Length(max=deciding.LONGEST_REASON),
    metadata={"description": "Why, in a few words"},
)


class IdentifierSchema(Schema):
    kind = fields.String(
        required=True,
        validate=validate.Length(1, deciding.LONGEST_KIND),
        metadata={"description": "user_id, email, anonymous_id, or vendor: with the vendor's name"},
    )
    value = fields.String(required=True, validate=validate.Length(1, deciding.LONGEST_VALUE))


class MergesQuery(Schema):
    lead_id = fields.Integer(
        validate=validate.Range(1, 2**63 - 1), metadata={"description": "Only merges of this lead: kept or gone"}
    )
    visitors = fields.Boolean(
        load_default=True,
        metadata={"description": "false: without those in which a device turned out to be somebody's"},
    )
    cursor = CURSOR
    limit = limit(LARGEST_PAGE, PAGE)


class PageQuery(Schema):
    cursor = CURSOR
    limit = limit(LARGEST_PAGE, PAGE)


class MergeSchema(Schema):
    id = fields.Integer()
    at = fields.AwareDateTime(metadata={"description": "When we learned of it"})
    kept_id = fields.Integer(metadata={"description": "The lead that both are since"})
    gone_id = fields.Integer(metadata={"description": "The lead that ended"})
    kept = fields.Nested(IdentifierSchema, allow_none=True, metadata={"description": "The one end of the link"})
    gone = fields.Nested(IdentifierSchema, allow_none=True, metadata={"description": "The other end of the link"})
    since = fields.AwareDateTime(metadata={"description": "When the two came together, as their sender dates it"})
    source = fields.String(allow_none=True)
    message_id = fields.String(allow_none=True, metadata={"description": "The raw message that said so"})
    import_id = fields.Integer(allow_none=True, metadata={"description": "The import that said so"})
    by = fields.String(allow_none=True, metadata={"description": "The person who said so"})
    visitor = fields.Boolean(metadata={"description": "A device turned out to be somebody's"})
    identities = fields.Integer(metadata={"description": "How many identifiers came over"})
    sentence = fields.String(metadata={"description": "How it came about, for a person to read"})
    state = fields.String(metadata={"description": "stands, undone or joined again"})
    undone_by = fields.Integer(allow_none=True, metadata={"description": "The decision that undid it"})
    undone_at = fields.AwareDateTime(allow_none=True)


class MergesSchema(Schema):
    items = fields.List(fields.Nested(MergeSchema), metadata={"description": "Newest first"})
    next_cursor = fields.String(allow_none=True)


class JoinedSchema(Schema):
    kind = fields.String()
    value = fields.String()
    at = fields.AwareDateTime(metadata={"description": "When the two came together"})
    source_id = fields.Integer(allow_none=True)
    message_id = fields.String(allow_none=True)
    import_id = fields.Integer(allow_none=True)
    decision_id = fields.Integer(allow_none=True, metadata={"description": "A person's decision joined them"})
    sentence = fields.String()


class MembershipSchema(Schema):
    kind = fields.String()
    value = fields.String()
    first_seen_at = fields.AwareDateTime()
    last_seen_at = fields.AwareDateTime()
    alone = fields.String(
        allow_none=True,
        metadata={"description": "crowded: too many use it; blocked: a person said so. Then it joins nobody"},
    )
    joined = fields.Nested(
        JoinedSchema,
        allow_none=True,
        metadata={"description": "The identifier before it in the list that it came with; null for the first"},
    )


class MembershipsSchema(Schema):
    items = fields.List(fields.Nested(MembershipSchema))
    total = fields.Integer(
        metadata={"description": f"How many there are; of more than {kinship.EXPLAINED:,} only so many are listed"}
    )


class ReasonSchema(Schema):
    reason = REASON


class ApartSchema(Schema):
    identities = fields.List(
        fields.Nested(IdentifierSchema),
        required=True,
        validate=validate.Length(1, kinship.EXPLAINED),
        metadata={"description": "The identifiers of the lead that are somebody else"},
    )
    reason = REASON


class DecisionSchema(Schema):
    id = fields.Integer()
    kind = fields.String(metadata={"description": "apart or together"})
    at = fields.AwareDateTime()
    by = fields.String()
    reason = fields.String()
    lead_id = fields.Integer()
    other_id = fields.Integer(metadata={"description": "The other lead: what went apart, or what was joined"})
    merge_id = fields.Integer(allow_none=True, metadata={"description": "The merge that it undoes"})
    withdrawn_at = fields.AwareDateTime(allow_none=True)
    withdrawn_by = fields.String(allow_none=True)


class DecisionsSchema(Schema):
    items = fields.List(fields.Nested(DecisionSchema), metadata={"description": "Newest first"})
    next_cursor = fields.String(allow_none=True)


class DecidedSchema(DecisionSchema):
    leads = fields.List(fields.Integer(), metadata={"description": "What the two are now: one lead, or two"})


class NewValueRuleSchema(IdentifierSchema):
    rule = fields.String(
        required=True,
        validate=validate.OneOf(["blocked", "released"]),
        metadata={"description": "blocked: it never joins anybody; released: it does, however many use it"},
    )
    reason = REASON


class ValueRuleSchema(Schema):
    id = fields.Integer()
    kind = fields.String()
    value = fields.String()
    rule = fields.Function(lambda made: "blocked" if made.blocked else "released")
    at = fields.AwareDateTime()
    by = fields.String()
    reason = fields.String()


class SharedValueSchema(Schema):
    kind = fields.String()
    value = fields.String()
    state = fields.String(metadata={"description": "crowded: too many use it; blocked or released by a person"})
    lead_id = fields.Integer(allow_none=True, metadata={"description": "The lead that it stands for"})
    others = fields.Integer(
        allow_none=True, metadata={"description": f"How many it came with; at most {kinship.COUNTED:,} are counted"}
    )
    of_kind = fields.String(allow_none=True, metadata={"description": "What kind of identifier those are"})
    since = fields.AwareDateTime()
    rule_id = fields.Integer(allow_none=True)
    by = fields.String(allow_none=True)
    reason = fields.String(allow_none=True)


class SharedValuesSchema(Schema):
    items = fields.List(fields.Nested(SharedValueSchema), metadata={"description": "By kind and value"})
    next_cursor = fields.String(allow_none=True)


@part.serves("GET", "/merges", needs="leads:read", answer=MergesSchema, query=MergesQuery)
def list_merges(query: dict[str, Any]) -> dict[str, object]:
    """Leads that turned out to be one, and by what; newest first."""
    found = kinship.list_merges(tenant_id(), **query)
    return {"items": [_merge(row) for row in found.items], "next_cursor": found.next_cursor}


@part.serves("GET", "/merges/<id:merge_id>", needs="leads:read", answer=MergeSchema)
def get_merge(merge_id: int) -> dict[str, object]:
    """One merge."""
    return _merge(kinship.get_merge(tenant_id(), merge_id))


@part.serves("POST", "/merges/<id:merge_id>/undo", needs="leads:write", answer=DecidedSchema, status=201)
@part.arguments(ReasonSchema, location="json")  # type: ignore[untyped-decorator] # flask-smorest ships no types
def undo_merge(body: dict[str, Any], merge_id: int) -> dict[str, object]:
    """Tell the two apart again, for good: their links join no more. Withdraw the decision to join them again."""
    return _decided(deciding.undo(tenant_id(), merge_id, by=by(), **body))


@part.serves("GET", "/leads/<id:lead_id>/identities", needs="leads:read", answer=MembershipsSchema)
def list_identities(lead_id: int) -> dict[str, object]:
    """A lead's identifiers, and how each came to be part of it."""
    found = kinship.list_identities(tenant_id(), lead_id)
    return {"items": [_membership(each) for each in found.items], "total": found.total}


@part.serves("POST", "/leads/<id:lead_id>/apart", needs="leads:write", answer=DecidedSchema, status=201)
@part.arguments(ApartSchema, location="json")  # type: ignore[untyped-decorator] # flask-smorest ships no types
def tell_apart(body: dict[str, Any], lead_id: int) -> dict[str, object]:
    """These are two people: the named identifiers become a lead of their own, with all they did."""
    keys: set[Key] = {(each["kind"], each["value"]) for each in body["identities"]}
    return _decided(deciding.tell_apart(tenant_id(), lead_id, keys, by=by(), reason=body["reason"]))


@part.serves("POST", "/leads/<id:lead_id>/merge/<id:other_id>", needs="leads:write", answer=DecidedSchema, status=201)
@part.arguments(ReasonSchema, location="json")  # type: ignore[untyped-decorator] # flask-smorest ships no types
def join(body: dict[str, Any], lead_id: int, other_id: int) -> dict[str, object]:
    """These are one person. It is a merge like those that links make, and undone like them."""
    return _decided(deciding.join(tenant_id(), lead_id, other_id, by=by(), **body))


@part.serves("GET", "/decisions", needs="leads:read", answer=DecisionsSchema, query=PageQuery)
def list_decisions(query: dict[str, Any]) -> dict[str, object]:
    """What people said of who is whom, newest first."""
    found = kinship.list_decisions(tenant_id(), **query)
    return {"items": [_decision(made) for made in found.items], "next_cursor": found.next_cursor}


@part.serves("DELETE", "/decisions/<id:decision_id>", needs="leads:write", answer=DecisionSchema)
def withdraw_decision(decision_id: int) -> dict[str, object]:
    """It holds no more: the links decide again. It stays on record."""
    return _decision(deciding.withdraw(tenant_id(), decision_id, by=by()))


@part.serves("GET", "/shared-values", needs="leads:read", answer=SharedValuesSchema, query=PageQuery)
def list_shared_values(query: dict[str, Any]) -> object:
    """Values that join nobody because too many use them or a person blocked them, and those that a person released."""
    return kinship.list_shared(tenant_id(), **query)


@part.serves("POST", "/value-rules", needs="leads:write", answer=ValueRuleSchema, status=201)
@part.arguments(NewValueRuleSchema, location="json")  # type: ignore[untyped-decorator] # flask-smorest ships no types
def make_rule(body: dict[str, Any]) -> object:
    """Block a value, or release one that too many use; the last word on a value counts."""
    key = body["kind"], body["value"]
    return deciding.rule(tenant_id(), key, blocked=body["rule"] == "blocked", by=by(), reason=body["reason"])


@part.serves("DELETE", "/value-rules/<id:rule_id>", needs="leads:write", answer=ValueRuleSchema)
def forget_rule(rule_id: int) -> object:
    """The value is like all others again."""
    return deciding.forget_rule(tenant_id(), rule_id)


def _merge(row: MergeRow) -> dict[str, object]:
    return {**vars(row), "kept": _identifier(row.kept), "gone": _identifier(row.gone), "state": row.state}


def _identifier(key: Key | None) -> dict[str, str] | None:
    return None if key is None else {"kind": key[0], "value": key[1]}


def _membership(found: Membership) -> dict[str, object]:
    shown = dict(vars(found))
    if found.joined is not None and found.cause is not None:
        cause = found.cause
        shown["joined"] = {
            **(_identifier(found.joined) or {}),
            **cause._asdict(),
            "import_id": cause.import_id or None,
            "sentence": found.sentence,
        }
    return shown


def _decision(made: Decision) -> dict[str, object]:
    shown = {name: getattr(made, name) for name in DecisionSchema().fields if name != "kind"}
    return {**shown, "kind": "apart" if made.apart else "together"}


def _decided(decided: deciding.Decided) -> dict[str, object]:
    return {**_decision(decided.decision), "leads": list(dict.fromkeys((decided.lead_id, decided.other_id)))}
