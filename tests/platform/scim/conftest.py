"""A directory that keeps a tenant's members, and the domain that is the tenant's."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import insert
from werkzeug.test import TestResponse

from assay_tenants.access.service import SignedUp
from assay_tenants.database import tenant_session
from assay_tenants.sso import scim_tokens
from assay_tenants.sso.models import Provider
from tests.tenants.sso.conftest import claimed


@dataclass
class Directory:
    """Speaks to the SCIM door with a token of one tenant."""

    app: Flask
    tenant_id: int
    domain: str
    token: str

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> TestResponse:
        return self.app.test_client().open(
            f"/scim/v2{path}",
            method=method,
            data=None if body is None else json.dumps(body),
            content_type="application/scim+json",
            headers={"Authorization": f"Bearer {self.token}"} | {k.replace("_", "-"): v for k, v in headers.items()},
        )

    def makes(self, person: str, **further: Any) -> dict[str, Any]:
        made = self.send("POST", "/Users", {"userName": f"{person}@{self.domain}", **further})
        assert made.status_code == 201, made.text
        read: dict[str, Any] = made.json
        return read


def provider(tenant_id: int, **further: Any) -> None:
    """What SCIM knows of a tenant's provider, which is asked for nothing here."""
    now = datetime.now(UTC)
    usual = {"vouches": False, "makes_members": True, "default_role": "viewer", "role_claim": "groups", "roles": {}}
    with tenant_session(tenant_id) as session:
        session.execute(
            insert(Provider).values(
                tenant_id=tenant_id,
                issuer="https://provider.test",
                client_id="assay",
                endpoints={},
                discovered_at=now,
                created_at=now,
                changed_at=now,
                **{"enforced": False, **usual, **further},
            )
        )


@pytest.fixture
def directory_of(app: Flask) -> Callable[[SignedUp], Directory]:
    def make(who: SignedUp) -> Directory:
        domain = claimed(who.tenant_id, f"corp-{who.tenant_id}.test")
        token = scim_tokens.issue(who.tenant_id, name="Okta", days=90).secret
        return Directory(app, who.tenant_id, domain, token)

    return make


@pytest.fixture
def directory(directory_of: Callable[[SignedUp], Directory], tenant: SignedUp) -> Directory:
    return directory_of(tenant)
