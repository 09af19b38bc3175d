"""A number stays a number, whichever way it comes: with a live call, or in a file."""

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text

from assay.intake import imports
from assay_tenants.access.service import SignedUp
from assay_tenants.database import tenant_session

TRAITS = {
    "whole": 40,
    "large": 2**63,
    "negative": -7,
    "decimal": 12.5,
    "point": 1.0,
    "yes": True,
    "no": False,
    "figures": "40",
    "empty": "",
    "letters": "Đặng Ngọc Ân",
    "list": ["a", 1, 1.5, True, ["b"]],
    "nothing in it": [],
}


def exactly(traits: dict[str, Any]) -> str:
    """Tells 1 from 1.0 and from true."""
    return json.dumps(traits, sort_keys=True, ensure_ascii=False)


@pytest.fixture
def kept(tenant: SignedUp, work_off: Callable[[int], int]) -> Callable[[str], str]:
    """The traits of the only row of a table, once the workers are done."""

    def look(table: str) -> str:
        work_off(tenant.tenant_id)
        query = text(f"SELECT traits FROM profiles.{table} WHERE tenant_id = :t")
        with tenant_session(tenant.tenant_id) as session:
            return exactly(session.scalars(query, {"t": tenant.tenant_id}).one())

    return look


@pytest.mark.parametrize(
    ("call", "table"),
    [
        pytest.param({"type": "identify", "userId": "u1"}, "leads", id="of a person"),
        pytest.param({"type": "group", "userId": "u1", "groupId": "51"}, "companies", id="of a company"),
    ],
)
def test_live(client: FlaskClient, tenant: SignedUp, kept: Callable[[str], str], call: Any, table: str) -> None:
    body = {"writeKey": tenant.write_key, "batch": [{**call, "traits": TRAITS}]}
    assert client.post("/v1/batch", json=body).status_code == 200
    assert kept(table) == exactly(TRAITS)


def test_in_a_file(tenant: SignedUp, kept: Callable[[str], str]) -> None:
    line = json.dumps({"user_id": "u1", **TRAITS}).encode()
    imports.start_import(tenant.tenant_id, kind="leads", filename="leads.jsonl", stream=io.BytesIO(line))
    assert kept("leads") == exactly(TRAITS)
