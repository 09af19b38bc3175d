"""Whatever a directory could send by mistake or on purpose: never a 500, and each error in SCIM's own shape."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from assay_tenants.sso import scim_tokens
from tests.fuzz.amount import EXAMPLES, SEED
from tests.tenants.sso.conftest import claimed

ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"
USER = "urn:ietf:params:scim:schemas:core:2.0:User"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
SEARCH = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"
#: RFC 7644 3.12.
KINDS = {
    "invalidFilter",
    "tooMany",
    "uniqueness",
    "mutability",
    "invalidSyntax",
    "invalidPath",
    "noTarget",
    "invalidValue",
    "invalidVers",
    "sensitive",
}
MEMBERS = (
    "schemas",
    "id",
    "externalId",
    "userName",
    "name",
    "displayName",
    "emails",
    "active",
    "roles",
    "meta",
    "groups",
)
PARTS = (
    "userName",
    "emails",
    "name.familyName",
    "[",
    "]",
    "(",
    ")",
    " eq ",
    " co ",
    " and ",
    " or ",
    "not ",
    '"a"',
    "true",
)

anything = st.text(max_size=40)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | anything,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(MEMBERS) | anything, inner, max_size=4),
    max_leaves=10,
)
filters = st.lists(st.sampled_from(PARTS) | anything, max_size=8).map("".join)
users = st.dictionaries(st.sampled_from(MEMBERS), json_values, max_size=6).map(lambda user: {"schemas": [USER], **user})
operations = st.fixed_dictionaries(
    {"op": st.sampled_from(["add", "Replace", "remove"]) | anything},
    optional={"path": filters | json_values, "value": json_values},
)
patches = st.lists(operations, max_size=3).map(lambda made: {"schemas": [PATCH], "Operations": made})
searches = st.dictionaries(
    st.sampled_from(["filter", "startIndex", "count", "sortBy", "sortOrder", "attributes", "excludedAttributes"]),
    filters | json_values,
    max_size=5,
).map(lambda made: {"schemas": [SEARCH], **made})
within = settings(max_examples=EXAMPLES or 25, deadline=None, database=None, suppress_health_check=list(HealthCheck))

Send = Callable[..., TestResponse]


@pytest.fixture
def send(app, tenant) -> Send:
    token = scim_tokens.issue(tenant.tenant_id, name="Fuzz", days=scim_tokens.LIFETIMES[0]).secret
    client = app.test_client()

    def call(method: str, path: str, body: Any = None, **options: Any) -> TestResponse:
        headers = {"Authorization": f"Bearer {token}"}
        data = body if isinstance(body, bytes | None) else json.dumps(body)
        return client.open(
            f"/scim/v2{path}",
            method=method,
            data=data,
            content_type="application/scim+json",
            headers=headers,
            **options,
        )

    return call


def assert_answered(answer: TestResponse) -> None:
    assert answer.status_code < 500, answer.text
    if answer.status_code == 204:
        return
    assert answer.mimetype == "application/scim+json"
    told = answer.json
    if answer.status_code >= 400:
        assert told["schemas"] == [ERROR], told
        assert told["status"] == str(answer.status_code), told
        assert told.get("scimType", "invalidValue") in KINDS, told


@pytest.fixture
def user_id(send, tenant) -> str:
    made = send("POST", "/Users", {"userName": f"ada@{claimed(tenant.tenant_id, f'fuzz-{tenant.tenant_id}.test')}"})
    assert made.status_code == 201, made.text
    return made.json["id"]


@pytest.mark.parametrize(
    ("method", "path", "bodies"),
    [
        pytest.param("POST", "/Users", users | json_values, id="make"),
        pytest.param("PUT", "/Users/{id}", users | json_values, id="replace"),
        pytest.param("PATCH", "/Users/{id}", patches | json_values, id="patch"),
        pytest.param("POST", "/Users/.search", searches | json_values, id="search"),
        pytest.param("POST", "/.search", searches | json_values, id="search all"),
        pytest.param("PATCH", "/Users/{id}", st.binary(max_size=80), id="bytes"),
    ],
)
def test_bodies(send, user_id, method, path, bodies) -> None:
    @seed(SEED)
    @within
    @given(bodies, st.sampled_from([user_id, user_id, "0", "nobody"]))
    def ask(body: Any, asked: str) -> None:
        assert_answered(send(method, path.format(id=asked), body))

    ask()


def test_queries(send, user_id) -> None:
    named = st.sampled_from(
        ["filter", "startIndex", "count", "sortBy", "sortOrder", "attributes", "excludedAttributes"]
    )

    @seed(SEED)
    @within
    @given(st.dictionaries(named, filters | st.integers().map(str), max_size=4))
    def ask(query: dict[str, str]) -> None:
        assert_answered(send("GET", "/Users", query_string=query))

    ask()


def test_paths_and_methods(send) -> None:
    @seed(SEED)
    @within
    @given(
        st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE"]),
        st.sampled_from(["Users", "Groups", "Schemas", "ResourceTypes", "Me", "Bulk", "ServiceProviderConfig"]),
        anything.filter(lambda text: "\r" not in text and "\n" not in text),
    )
    def ask(method: str, kind: str, rest: str) -> None:
        assert_answered(send(method, f"/{kind}/{rest}", {}))

    ask()
