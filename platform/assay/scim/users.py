"""What is served: users, and what this service says of itself."""

from collections.abc import Sequence
from typing import Any

from flask import Response, request
from pydantic import ValidationError
from scim2_models import (
    Context,
    Error,
    ListResponse,
    PatchOp,
    Resource,
    ResponseParameters,
    SCIMException,
    SearchRequest,
)
from scim2_models.path import CompareOperator, Comparison, FilterNode, LogicalExpr, LogicalOperator
from werkzeug.exceptions import NotFound

from assay.scim.door import address, answer, body, tenant_id
from assay.scim.shapes import (
    MOST_RESULTS,
    POLICY,
    User,
    described_schemas,
    described_service,
    described_types,
    etag,
    of_member,
    to_wanted,
)
from assay_tenants.sso import provisioning
from assay_tenants.sso.provisioning import Changed, Narrowing, Provisioned

__all__ = ["POLICY", "as_error"]

#: Without ``count``.
USUAL_RESULTS = 100
#: Of a patch that comes too late each time; then the client is told.
_TRIES = 5


def service_provider_config() -> Response:
    return _one(described_service(), "/ServiceProviderConfig", "ServiceProviderConfig")


def resource_types() -> Response:
    return _all(list(described_types().values()))


def resource_type(name: str) -> Response:
    found = described_types().get(name)
    if found is None:
        raise NotFound
    return _one(found, f"/ResourceTypes/{name}", "ResourceType")


def schemas() -> Response:
    return _all(list(described_schemas().values()))


def schema(name: str) -> Response:
    found = described_schemas().get(name)
    if found is None:
        raise NotFound
    return _one(found, f"/Schemas/{name}", "Schema")


def find() -> Response:
    return _found(SearchRequest[User].model_validate(request.args.to_dict()))


def search() -> Response:
    return _found(SearchRequest[User].model_validate(body(), scim_ctx=Context.SEARCH_REQUEST))


def create() -> Response:
    user = User.model_validate(body(), scim_ctx=Context.RESOURCE_CREATION_REQUEST)
    made = provisioning.create_user(tenant_id(), to_wanted(user, None))
    return _user(made, Context.RESOURCE_CREATION_RESPONSE, 201)


def show(user_id: str) -> Response:
    member = provisioning.get_user(tenant_id(), user_id)
    if request.if_none_match.contains_weak(str(member.version)):
        return Response(status=304, headers={"ETag": etag(member.version)})
    return _user(member, Context.RESOURCE_QUERY_RESPONSE)


def replace(user_id: str) -> Response:
    user = User.model_validate(body(), scim_ctx=Context.RESOURCE_REPLACEMENT_REQUEST)
    before = provisioning.get_user(tenant_id(), user_id)
    user.replace(of_member(before, _address()))
    if user.active is None:
        # Whoever was switched off, here or there, stays so until somebody says otherwise.
        user.active = before.is_active
    after = provisioning.change_user(tenant_id(), user_id, to_wanted(user, before), version=_expected(before))
    return _user(after, Context.RESOURCE_REPLACEMENT_RESPONSE)


def patch(user_id: str) -> Response:
    asked = PatchOp[User].model_validate(body(), scim_ctx=Context.RESOURCE_PATCH_REQUEST)
    for tries_left in reversed(range(_TRIES)):
        before = provisioning.get_user(tenant_id(), user_id)
        _expected(before)
        user = of_member(before, _address())
        if not asked.patch(user):
            return _user(before, Context.RESOURCE_PATCH_RESPONSE)
        try:
            after = provisioning.change_user(tenant_id(), user_id, to_wanted(user, before), version=before.version)
        except Changed:
            # It was applied to what is no longer there.
            if request.if_match or not tries_left:
                raise
            continue
        return _user(after, Context.RESOURCE_PATCH_RESPONSE)
    raise AssertionError("unreachable")


def remove(user_id: str) -> Response:
    before = provisioning.get_user(tenant_id(), user_id)
    provisioning.remove_user(tenant_id(), user_id, version=_expected(before))
    return Response(status=204)


def as_error(error: Exception) -> tuple[int, str, str | None] | None:
    """Status, detail and SCIM's word for what its own library refuses; None for other errors."""
    if isinstance(error, ValidationError):
        told = Error.from_validation_errors(error)[0]
    elif isinstance(error, SCIMException):
        told = error.to_error()
    else:
        return None
    return told.status or 400, told.detail or "This can't be understood.", told.scim_type


def _found(asked: SearchRequest[User]) -> Response:
    members = provisioning.list_users(tenant_id(), _narrowed(asked.filter.ast) if asked.filter else None)
    users = [of_member(member, _address()) for member in members]
    if asked.filter is not None:
        users = [user for user in users if asked.filter.match(user)]
    start = asked.start_index_0 or 0
    count = min(USUAL_RESULTS if asked.count is None else asked.count, MOST_RESULTS)
    page = asked.sort(users)[start : start + count]
    listed = ListResponse[User](
        total_results=len(users), start_index=start + 1, items_per_page=len(page), resources=page
    )
    return answer(listed.model_dump(scim_ctx=Context.RESOURCE_QUERY_RESPONSE, response_parameters=asked))


def _narrowed(node: FilterNode) -> Narrowing:
    """What the database can look for by itself: directories ask for one userName after the other."""
    terms = node.terms if isinstance(node, LogicalExpr) and node.op == LogicalOperator.and_ else (node,)
    equal = {
        str(term.attr_path).lower(): term.value
        for term in terms
        if isinstance(term, Comparison) and term.op == CompareOperator.eq and isinstance(term.value, str)
    }
    return Narrowing(user_name=equal.get("username"), external_id=equal.get("externalid"))


def _user(member: Provisioned, context: Context, status: int = 200) -> Response:
    asked = ResponseParameters[User].model_validate(
        {name: value for name, value in request.args.items() if name in ("attributes", "excludedAttributes")}
    )
    user = of_member(member, _address())
    headers = {"ETag": etag(member.version), "Location": f"{_address()}/{member.person_id}"}
    return answer(user.model_dump(scim_ctx=context, response_parameters=asked), status, headers)


def _expected(before: Provisioned) -> int | None:
    """The version that the client wants to change; raises Changed where it is another. None: any."""
    if not request.if_match or request.if_match.star_tag:
        return None
    if not any(tag == str(before.version) for tag in (*request.if_match.as_set(include_weak=True),)):
        raise Changed(before.version)
    return before.version


def _one(described: Resource[Any], path: str, kind: str) -> Response:
    content = described.model_dump(scim_ctx=Context.RESOURCE_QUERY_RESPONSE)
    content["meta"] = {"resourceType": kind, "location": address() + path}
    return answer(content)


def _all(described: Sequence[Resource[Any]]) -> Response:
    listed = [one.model_dump(scim_ctx=Context.RESOURCE_QUERY_RESPONSE) for one in described]
    return answer(
        {
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
            "totalResults": len(listed),
            "startIndex": 1,
            "itemsPerPage": len(listed),
            "Resources": listed,
        }
    )


def _address() -> str:
    return f"{address()}/Users"
