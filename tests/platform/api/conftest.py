import re
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from flask import Flask
from werkzeug.exceptions import HTTPException
from werkzeug.test import TestResponse

from assay_tenants.access.service import SignedUp
from assay_tenants.keys import issue_key

#: Called with a method and a path below /api/v1.
Call = Callable[..., TestResponse]


@pytest.fixture(scope="session")
def api_app(app: Flask) -> Flask:
    """The application with all its doors, as it is served: the handlers of one must not answer for another."""
    return app


@cache
def described(app: Flask) -> dict[str, dict[str, set[str]]]:
    """The statuses that are told, by path and method."""
    paths = app.test_client().get("/api/v1/openapi.json").json["paths"]
    return {
        path: {method: set(told["responses"]) for method, told in operations.items() if method != "parameters"}
        for path, operations in paths.items()
    }


def assert_described(app: Flask, method: str, answer: TestResponse) -> None:
    """Every status of an operation is told by its number: `default` only says how errors look."""
    try:
        rule, _ = app.url_map.bind("").match(answer.request.path, method, return_rule=True)
    except HTTPException:
        return
    path = re.sub(r"<(?:[^:>]+:)?([^>]+)>", r"{\1}", rule.rule)
    statuses = described(app).get(path, {}).get(method.lower())
    assert statuses is None or str(answer.status_code) in statuses | {"500"}, f"{method} {path}"


@pytest.fixture
def make_caller(api_app: Flask) -> Callable[[int], Call]:
    """Calls the API with a new key of the tenant."""

    def make(tenant_id: int) -> Call:
        secret = issue_key(tenant_id, kind="api", name="Tests").secret
        client = api_app.test_client()

        def call(method: str, path: str, **options: Any) -> TestResponse:
            headers = {"Authorization": f"Bearer {secret}", **options.pop("headers", {})}
            answer = client.open(f"/api/v1{path}", method=method, headers=headers, **options)
            assert_described(api_app, method, answer)
            return answer

        return call

    return make


@pytest.fixture
def call(tenant: SignedUp, make_caller: Callable[[int], Call]) -> Call:
    return make_caller(tenant.tenant_id)
