from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from assay_tenants.access.service import SignedUp
from assay_tenants.keys import issue_key

#: Called with a method and a path below /api/v1.
Call = Callable[..., TestResponse]


@pytest.fixture(scope="session")
def api_app(app: Flask) -> Flask:
    """The application with all its doors, as it is served: the handlers of one must not answer for another."""
    return app


@pytest.fixture
def make_caller(api_app: Flask) -> Callable[[int], Call]:
    """Calls the API with a new key of the tenant."""

    def make(tenant_id: int) -> Call:
        secret = issue_key(tenant_id, kind="api", name="Tests").secret
        client = api_app.test_client()

        def call(method: str, path: str, **options: Any) -> TestResponse:
            headers = {"Authorization": f"Bearer {secret}", **options.pop("headers", {})}
            return client.open(f"/api/v1{path}", method=method, headers=headers, **options)

        return call

    return make


@pytest.fixture
def call(tenant: SignedUp, make_caller: Callable[[int], Call]) -> Call:
    return make_caller(tenant.tenant_id)
