"""Which fields there are, which of them are kept out of scoring and out of sight, and what counts as a machine."""

from typing import Any

from marshmallow import Schema, fields, validate

from assay.api.access import by, tenant_id
from assay.api.door import Part
from assay.profiles.fields import list_fields
from assay.profiles.machines import NAMES
from assay.scoring import keeping_out
from assay.scoring.keeping_out import LONGEST_PATTERN, MOST_PATTERNS, Kept

part = Part("Fields", "Traits and properties: which there are, and which are kept out of scoring and out of sight.")

SENSITIVE = "Names of traits and properties, or beginnings of names with * after them"


class FieldSchema(Schema):
    name = fields.String()
    kind = fields.String(validate=validate.OneOf(["trait", "property"]))
    types = fields.List(fields.String(), metadata={"description": "Of its values: text, number, boolean, list, null"})
    values = fields.Integer(metadata={"description": "Different values among those that were looked at"})
    leads = fields.Integer(metadata={"description": "That have it; an estimate where `looked_at` is below `leads`"})
    sensitive = fields.Boolean()
    suggested = fields.Boolean(metadata={"description": "Names of this sort are often kept out"})


class KeptSchema(Schema):
    sensitive = fields.List(fields.String(), metadata={"description": SENSITIVE})
    signals = fields.Dict(
        keys=fields.String(),
        values=fields.Boolean(),
        metadata={"description": "Signs of machines by name, and whether each is looked for"},
    )
    asked_in_vain = fields.Dict(
        keys=fields.String(),
        values=fields.List(fields.String()),
        metadata={"description": "Published models that ask for fields which are kept out, and for which"},
    )


class FieldsSchema(KeptSchema):
    items = fields.List(fields.Nested(FieldSchema), metadata={"description": "Traits first; most frequent first"})
    leads = fields.Integer(metadata={"description": "All leads"})
    looked_at = fields.Integer(metadata={"description": "Leads that were looked at for traits"})


class KeptOutSchema(KeptSchema):
    rescore_id = fields.Integer(
        allow_none=True, metadata={"description": "All leads are scored anew; null: nothing had to be"}
    )


class KeepingOutSchema(Schema):
    sensitive = fields.List(
        fields.String(validate=validate.Length(1, LONGEST_PATTERN)),
        validate=validate.Length(max=MOST_PATTERNS),
        metadata={"description": f"{SENSITIVE}; all of them: who is not named is shown and scored again"},
    )
    signals = fields.Dict(
        keys=fields.String(validate=validate.OneOf(sorted(NAMES))),
        values=fields.Boolean(),
        metadata={"description": "Which signs of machines are looked for; the others stay as they are"},
    )


@part.serves("GET", "/fields", needs="settings:read", answer=FieldsSchema)
def get_fields() -> dict[str, object]:
    """Every trait and property that leads have, told from at most 2,000 of them."""
    found = list_fields(tenant_id())
    kept = _told(keeping_out.standing(tenant_id()))
    return {**kept, "items": found.items, "leads": found.leads, "looked_at": found.looked_at}


@part.serves("PUT", "/fields", needs="settings:write", answer=KeptOutSchema)
@part.arguments(KeepingOutSchema, location="json", required=False)  # type: ignore[untyped-decorator] # flask-smorest ships no types
def change_fields(body: dict[str, Any]) -> dict[str, object]:
    """Keep fields out of scoring and out of sight; say what counts as a machine. All leads are scored anew."""
    who = by()
    rescores: list[int | None] = []
    if "sensitive" in body:
        rescores.append(keeping_out.keep_out(tenant_id(), body["sensitive"], by=who).rescore_id)
    if "signals" in body:
        rescores.append(keeping_out.watch(tenant_id(), body["signals"], by=who).rescore_id)
    begun = [rescore for rescore in rescores if rescore is not None]
    return {**_told(keeping_out.standing(tenant_id())), "rescore_id": begun[-1] if begun else None}


def _told(kept: Kept) -> dict[str, object]:
    return {
        "sensitive": list(kept.marks.patterns),
        "signals": dict(kept.signals),
        "asked_in_vain": keeping_out.asked_in_vain(tenant_id()),
    }
