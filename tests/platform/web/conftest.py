"""A person at a browser without JavaScript: reads a page's form token, sends forms."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from assay_tenants.access.service import SignedUp, log_in

PASSWORD = "a long enough password"  # the same as the tenants of the tests are made with


@dataclass
class Person:
    client: FlaskClient
    tenant_id: int = 0

    def opens(self, path: str, **headers: str) -> TestResponse:
        return self.client.get(path, headers={name.replace("_", "-"): value for name, value in headers.items()})

    def sends(self, path: str, *, on: str = "/log-in", **fields: Any) -> TestResponse:
        """Posts a form that stands on the page ``on``."""
        page = self.client.get(on, follow_redirects=True).text
        token = re.search(r'name="csrf_token" value="([^"]+)"', page)
        assert token, f"{on} has no form"
        return self.client.post(path, data={"csrf_token": token[1], **fields})


@pytest.fixture
def stranger(client: FlaskClient) -> Person:
    return Person(client)


@pytest.fixture
def person_of(app: Flask) -> Callable[[SignedUp], Person]:
    def person(tenant: SignedUp) -> Person:
        client = app.test_client()
        client.set_cookie("assay_session", _token(tenant))
        return Person(client, tenant.tenant_id)

    return person


@pytest.fixture
def person(person_of: Callable[[SignedUp], Person], tenant: SignedUp) -> Person:
    return person_of(tenant)


def _token(tenant: SignedUp) -> str:
    from assay_tenants.database import directory_session
    from assay_tenants.models import Person as PersonRow

    with directory_session() as session:
        row = session.get(PersonRow, tenant.person_id)
        assert row is not None
        email = row.email
    return log_in(email=email, password=PASSWORD)


@pytest.fixture
def asset_address(app: Flask) -> Callable[[str], str]:
    from assay.web.bundles import asset

    def address(name: str) -> str:
        with app.test_request_context():
            return asset(name)

    return address
