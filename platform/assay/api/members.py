"""Who works for the tenant, and as what."""

from typing import Any

from marshmallow import Schema, fields, validate

from assay.api.access import by, caller, tenant_id
from assay.api.door import Part
from assay_tenants.access import invitations, members

part = Part("Members", "Who works for the tenant, and as what. Nobody gives a role that may do more than they may.")

_ROLE = {"description": "What each may do stands in the documentation of people and roles"}


class RoleSchema(Schema):
    role = fields.String(required=True, validate=validate.OneOf(members.ROLES), metadata=_ROLE)


class InvitationBodySchema(RoleSchema):
    email = fields.String(required=True, validate=validate.Length(1, 254))


class MemberSchema(Schema):
    person_id = fields.Integer()
    name = fields.String()
    email = fields.String()
    role = fields.String(metadata=_ROLE)
    verified = fields.Boolean(metadata={"description": "Whether they have shown that the address is theirs"})
    created_at = fields.AwareDateTime(metadata={"description": "Member since"})
    suspended_at = fields.AwareDateTime(allow_none=True, metadata={"description": "null: they may come in"})
    last_seen_at = fields.AwareDateTime(
        allow_none=True, metadata={"description": "To within some minutes; null when no session of theirs is open"}
    )


class MembersSchema(Schema):
    items = fields.List(fields.Nested(MemberSchema), metadata={"description": "By name"})


class InvitationSchema(Schema):
    id = fields.Integer()
    email = fields.String()
    role = fields.String(metadata=_ROLE)
    invited_by = fields.String()
    created_at = fields.AwareDateTime()
    sent_at = fields.AwareDateTime(metadata={"description": "The last time"})
    expires_at = fields.AwareDateTime()


class InvitationsSchema(Schema):
    items = fields.List(fields.Nested(InvitationSchema), metadata={"description": "Newest first"})


@part.serves("GET", "/members", needs="members:read", answer=MembersSchema)
def list_members() -> object:
    """Everybody who is a member."""
    return {"items": members.list_members(tenant_id())}


@part.serves("GET", "/members/<id:person_id>", needs="members:read", answer=MemberSchema)
def get_member(person_id: int) -> object:
    """One of them."""
    return members.get_member(tenant_id(), person_id)


@part.serves("PUT", "/members/<id:person_id>/role", needs="members:manage", answer=MemberSchema, refuses=(409,))
@part.arguments(RoleSchema, location="json")  # type: ignore[untyped-decorator] # flask-smorest ships no types
def change_role(body: dict[str, Any], person_id: int) -> object:
    """Give a member another role. 409 where nobody would be an owner any more."""
    members.change_role(tenant_id(), person_id, members.read_role(body["role"]), may=caller().scopes)
    return members.get_member(tenant_id(), person_id)


@part.serves("DELETE", "/members/<id:person_id>", needs="members:manage", answer=MemberSchema, refuses=(409,))
def remove_member(person_id: int) -> object:
    """Remove a member: their sessions and the tokens in their name end at once. 409 for the last owner."""
    removed = members.get_member(tenant_id(), person_id)
    members.remove_member(tenant_id(), person_id, may=caller().scopes)
    return removed


@part.serves("GET", "/invitations", needs="members:read", answer=InvitationsSchema)
def list_invitations() -> object:
    """Those that were neither accepted nor withdrawn."""
    return {"items": invitations.list_invitations(tenant_id())}


@part.serves("POST", "/invitations", needs="members:manage", answer=InvitationSchema, status=201)
@part.arguments(InvitationBodySchema, location="json")  # type: ignore[untyped-decorator] # as above
def invite(body: dict[str, Any]) -> object:
    """Invite an address: it gets a mail with a link that works once, within seven days."""
    invitations.require_verified_owner(tenant_id())
    return invitations.invite(
        tenant_id(),
        email=body["email"],
        role=members.read_role(body["role"]),
        by=by(),
        by_id=caller().person_id,
        may=caller().scopes,
    )


@part.serves("POST", "/invitations/<id:invitation_id>/send", needs="members:manage", answer=InvitationSchema)
def send_again(invitation_id: int) -> object:
    """Send it again, with a new link; at most once a minute."""
    invitations.require_verified_owner(tenant_id())
    return invitations.send_again(tenant_id(), invitation_id, may=caller().scopes)


@part.serves("DELETE", "/invitations/<id:invitation_id>", needs="members:manage", answer=InvitationSchema)
def withdraw(invitation_id: int) -> object:
    """Withdraw it: its link opens nothing any more."""
    return invitations.withdraw(tenant_id(), invitation_id, may=caller().scopes)
