"""Keys of programs: their scopes, expiry and last use."""

from datetime import timedelta
from typing import Any

from flask import Response
from marshmallow import Schema, fields, validate

from assay.api.access import caller, tenant_id
from assay.api.door import Part
from assay_tenants import keys
from assay_tenants.models import Key, Role
from assay_tenants.permissions import PERMISSIONS

part = Part(
    "API keys",
    "Keys of programs: their scopes, expiry and last use. A key makes no key that may more than itself.",
)

KINDS = ("api", "write")
LONGEST_GRACE = timedelta(days=30)
_SCOPE = {"enum": sorted(PERMISSIONS)}


class KeySchema(Schema):
    id = fields.Integer()
    kind = fields.String(metadata={"enum": list(KINDS)})
    name = fields.String()
    hint = fields.String(metadata={"description": "The last letters of the secret"})
    scopes = fields.List(
        fields.String(metadata=_SCOPE), metadata={"description": "Of a write key none: it sends events"}
    )
    made_by = fields.String(metadata={"description": "Who made it, as they were called then; empty: it is from before"})
    made_by_role = fields.String(
        allow_none=True,
        metadata={"description": "What that person is now; null: no member any more, or a program made it"},
    )
    created_at = fields.AwareDateTime()
    expires_at = fields.AwareDateTime(allow_none=True, metadata={"description": "null: when it is revoked"})
    last_used_at = fields.AwareDateTime(allow_none=True, metadata={"description": "To within a minute or so"})
    replaced_by = fields.Integer(
        attribute="replaced_by_id", allow_none=True, metadata={"description": "The key that came in its place"}
    )


class KeysSchema(Schema):
    items = fields.List(fields.Nested(KeySchema))


class KeysQuery(Schema):
    kind = fields.String(validate=validate.OneOf(KINDS, error="Accepted: api, write."))


class NewKeySchema(Schema):
    kind = fields.String(load_default="api", validate=validate.OneOf(KINDS, error="Accepted: api, write."))
    name = fields.String(required=True)
    scopes = fields.List(
        fields.String(),
        load_default=None,
        metadata={"description": "Left away: all that the caller has. Accepted: " + ", ".join(sorted(PERMISSIONS))},
    )
    expires_at = fields.AwareDateTime(load_default=None, allow_none=True, metadata={"description": "null: never"})


class RotationSchema(Schema):
    grace_hours = fields.Integer(
        load_default=keys.GRACE // timedelta(hours=1),
        strict=True,
        validate=validate.Range(
            0, LONGEST_GRACE // timedelta(hours=1), error="This must be from {min} to {max} hours."
        ),
        metadata={"description": "For how long the old key keeps working; 0: not at all"},
    )


class IssuedKeySchema(Schema):
    id = fields.Integer()
    kind = fields.String(metadata={"enum": list(KINDS)})
    name = fields.String()
    secret = fields.String(
        allow_none=True,
        metadata={"description": "Shown this once: keep it now; null when the same request is sent again"},
    )


@part.serves("GET", "/keys", needs="keys:manage", answer=KeysSchema, query=KeysQuery)
def list_keys(query: dict[str, Any]) -> object:
    """Keys that are good, and those that expired in the last 30 days; newest first."""
    found = keys.list_keys(tenant_id(), kind=query.get("kind"))
    makers = keys.roles_of_makers(tenant_id(), found)
    return {"items": [_told(key, makers) for key in found]}


@part.serves("POST", "/keys", needs="keys:manage", answer=IssuedKeySchema, status=201, repeats="secret")
@part.arguments(NewKeySchema, location="json")  # type: ignore[untyped-decorator] # flask-smorest ships no types
def issue_key(body: dict[str, Any]) -> object:
    """Make a key. Its secret is in this answer and nowhere else."""
    return keys.issue_key(tenant_id(), **body, within=caller().scopes)


@part.serves(
    "POST", "/keys/<id:key_id>/rotate", needs="keys:manage", answer=IssuedKeySchema, status=201, repeats="secret"
)
@part.arguments(RotationSchema, location="json", required=False)  # type: ignore[untyped-decorator] # as above
def rotate_key(body: dict[str, Any], key_id: int) -> object:
    """A new key in place of this one, with its name, scopes and length of life. The old one ends after the grace."""
    grace = timedelta(hours=body["grace_hours"])
    return keys.rotate_key(tenant_id(), key_id, grace=grace, within=caller().scopes)


@part.serves("DELETE", "/keys/<id:key_id>", needs="keys:manage", answer=None, status=204)
def revoke_key(key_id: int) -> Response:
    """Revoke a key: whatever uses it is refused from now on."""
    keys.revoke_key(tenant_id(), key_id)
    return Response(status=204)


def _told(key: Key, makers: dict[int, Role]) -> dict[str, object]:
    shown = {name: getattr(key, name) for name in KeySchema().fields if name not in ("made_by_role", "replaced_by")}
    role = makers.get(key.made_by_id) if key.made_by_id is not None else None
    return {**shown, "made_by_role": role, "replaced_by_id": key.replaced_by_id}
