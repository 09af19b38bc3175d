"""The resources in SCIM's own shapes: what we take of a user, and what we say of ourselves."""

import json
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, field_validator
from scim2_models import (
    AuthenticationScheme,
    Bulk,
    ChangePassword,
    ComplexAttribute,
    ETag,
    Filter,
    Meta,
    Patch,
    Required,
    Resource,
    ResourceType,
    Schema,
    ScimPolicy,
    ServiceProviderConfig,
    Sort,
    Uniqueness,
)
from scim2_models.urn import URN

from assay_tenants.sso.joining import GRANTABLE
from assay_tenants.sso.provisioning import Provisioned, Wanted

MOST_RESULTS = 200

#: What directories send beyond what we keep is dropped, and Entra ID's ways of patching are understood.
POLICY = ScimPolicy(
    unknown=ScimPolicy.Unknown.ignore,
    remove_value_as_filter=ScimPolicy.RemoveValue.apply,
    unmatched_path_filter=ScimPolicy.UnmatchedPathFilter.create,
)


class Name(ComplexAttribute):
    formatted: str | None = None
    """The full name, as it is shown."""

    family_name: str | None = None
    """The family name."""

    given_name: str | None = None
    """The given name."""


class Email(ComplexAttribute):
    value: str | None = None
    """The address; the primary one is the person's login address."""

    display: str | None = None
    """A name of the address."""

    type: str | None = Field(None, examples=["work", "home", "other"])
    """What the address is for."""

    primary: bool | None = None
    """Whether it is the preferred one."""


class Role(ComplexAttribute):
    value: str | None = Field(None, examples=list(GRANTABLE))
    """A role here, or a value that is mapped to one under Settings, Single sign-on."""

    display: str | None = None
    """A name of the role."""

    type: str | None = None
    """What kind of role it is."""

    primary: bool | None = None
    """Whether it is the preferred one."""


class User(Resource[Any]):
    __schema__ = URN("urn:ietf:params:scim:schemas:core:2.0:User")

    user_name: Annotated[str | None, Uniqueness.server, Required.true] = None
    """The name that the directory knows the person by: an e-mail address, unless ``emails`` has one."""

    name: Name | None = None
    """The person's name in its parts."""

    display_name: str | None = None
    """The person's name, as it is shown."""

    active: bool | None = None
    """False: they can't log in, and their sessions and tokens end."""

    emails: list[Email] | None = None
    """The person's addresses."""

    roles: list[Role] | None = None
    """What they may do here; none given: the role of new members."""

    @field_validator("roles", mode="before")
    @classmethod
    def _bare_words(cls, value: Any) -> Any:
        """Some directories send roles as mere words."""
        if isinstance(value, list):
            return [{"value": one} if isinstance(one, str) else one for one in value]
        return value


def of_member(member: Provisioned, address: str) -> User:
    """The user as the client described them, or as we know them where it never did. ``address``: of the users."""
    said: dict[str, Any] = dict(member.document) if member.document is not None else _described(member)
    if not member.is_active or member.document is None or "active" in said:
        said["active"] = member.is_active
    user = User.model_validate(said, scim_policy=POLICY)
    user.id = str(member.person_id)
    user.meta = Meta(
        resource_type="User",
        created=member.created_at,
        last_modified=member.changed_at,
        location=f"{address}/{member.person_id}",
        version=etag(member.version),
    )
    return user


def _described(member: Provisioned) -> dict[str, Any]:
    return {
        "userName": member.email,
        "displayName": member.name,
        "emails": [{"value": member.email, "type": "work", "primary": True}],
        "roles": [{"value": member.role}],
    }


def to_wanted(user: User, before: Provisioned | None) -> Wanted:
    """What the client asks for; where it tells no name, the one they have."""
    user_name = (user.user_name or "").strip()
    email = _address(user) or user_name
    parts = [part for part in ((user.name.given_name, user.name.family_name) if user.name else ()) if part]
    told = (user.display_name, user.name.formatted if user.name else None, " ".join(parts))
    name = next((" ".join(one.split()) for one in told if one and one.strip()), "")
    document = user.model_dump()
    for ours in ("id", "meta", "schemas"):
        document.pop(ours, None)
    return Wanted(
        user_name=user_name,
        email=email.strip().lower(),
        name=name or (before.name if before else email.partition("@")[0]),
        active=user.active is not False,
        role_words=tuple(_word(role.value) for role in user.roles or () if role.value),
        external_id=user.external_id,
        document=document,
    )


def _address(user: User) -> str | None:
    told = [email for email in user.emails or () if email.value]
    ranked = sorted(told, key=lambda email: (not email.primary, (email.type or "").lower() != "work"))
    return ranked[0].value if ranked else None


def _word(value: str) -> str:
    """Entra ID can send a whole app role as JSON in place of its value."""
    if value.startswith("{"):
        try:
            told = json.loads(value)
        except ValueError:
            return value
        if isinstance(told, Mapping) and isinstance(told.get("value"), str):
            return str(told["value"])
    return value


def etag(version: int) -> str:
    return f'W/"{version}"'


def described_schemas() -> dict[str, Schema]:
    return {str(model.__schema__): model.to_schema() for model in (User, ResourceType, ServiceProviderConfig, Schema)}


def described_types() -> dict[str, ResourceType]:
    return {"User": ResourceType.from_resource(User)}


def described_service() -> ServiceProviderConfig:
    return ServiceProviderConfig(
        patch=Patch(supported=True),
        bulk=Bulk(supported=False, max_operations=0, max_payload_size=0),
        filter=Filter(supported=True, max_results=MOST_RESULTS),
        change_password=ChangePassword(supported=False),
        sort=Sort(supported=True),
        etag=ETag(supported=True),
        authentication_schemes=[
            AuthenticationScheme(
                type=AuthenticationScheme.Type.oauthbearertoken,
                name="Bearer token",
                description="A provisioning token in the Authorization header; made under Settings, Single sign-on",
                primary=True,
            )
        ],
    )
