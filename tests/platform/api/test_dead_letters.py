from collections.abc import Callable
from typing import Any

import pytest

from assay_tenants.access.service import SignedUp


@pytest.fixture
def refused(client: Any, tenant: SignedUp, work_off: Callable[[int], int]) -> None:
    who = {"userId": "u1"}
    batch = [{"type": "dance", **who}, {"type": "track", **who, "event": "Demo Requested"}, {"type": "identify"}]
    assert client.post("/v1/batch", json={"batch": batch}, auth=(tenant.write_key, "")).status_code == 200
    work_off(tenant.tenant_id)


def test_says_which_item_and_why(call: Any, refused: None) -> None:
    page = call("GET", "/dead-letters").json
    assert [item["position"] for item in page["items"]] == [2, 0]
    assert page["next_cursor"] is None
    item = page["items"][1]
    assert item["field"] == "batch[0].type"
    assert "dance" in item["reason"]
    assert "dance" in item["excerpt"]
    assert (item["kind"], item["source_id"] > 0) == ("field:type/unknown_value", True)


def test_pages_meet_each_once(call: Any, refused: None) -> None:
    first = call("GET", "/dead-letters?limit=1").json
    rest = call("GET", f"/dead-letters?cursor={first['next_cursor']}").json
    assert [item["position"] for item in first["items"] + rest["items"]] == [2, 0]


@pytest.mark.parametrize("query", ["cursor=x", "limit=0", "limit=1000", "colour=red"])
def test_refuses_what_it_does_not_know(call: Any, query: str) -> None:
    answer = call("GET", f"/dead-letters?{query}")
    assert answer.status_code == 422
    assert answer.json["errors"][0]["field"] == query.partition("=")[0]
