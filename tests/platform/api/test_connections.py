"""Connections over the API: how they fare, what they are had to do, and no secret in any answer."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import insert

from assay import connecting
from assay.delivery.models import Push
from assay_tenants import connections
from assay_tenants.access.service import SignedUp
from assay_tenants.audit.queries import Wanted, list_entries
from assay_tenants.database import tenant_session
from assay_tenants.keys import issue_key
from tests.platform.connecting.acme import TITLE, AcmeSimulator
from tests.platform.connecting.desk import CALLBACK, FORM, acme_installed, answer_at


@pytest.fixture
def acme(connected: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[AcmeSimulator]:
    with acme_installed(monkeypatch) as stand_in:
        yield stand_in


@pytest.fixture
def connection_id(tenant: SignedUp, acme: AcmeSimulator) -> int:
    form = {**FORM, "signing": "very-secret"}
    begun = connecting.begin(tenant.tenant_id, tenant.person_id, "acme", form, redirect_uri=CALLBACK)
    return connecting.finish(tenant.tenant_id, tenant.person_id, "acme", answer_at(begun.url))


@pytest.fixture
def call(make_caller: Callable[[int], Any], tenant: SignedUp) -> Any:
    return make_caller(tenant.tenant_id)


def test_the_catalogue(call: Any, acme: AcmeSimulator) -> None:
    (offer,) = [each for each in call("GET", "/services").json["items"] if each["name"] == "acme"]
    assert (offer["way"], offer["is_ready"], offer["scopes"]) == ("oauth", True, {"contacts": "to read contacts"})
    assert {"type": "meeting.booked", "title": "Booked a meeting", "suggested_points": 25} in offer["vocabulary"]
    assert offer["written"][0] == {"name": "assay_score", "title": "Assay score", "holds": "score"}
    assert acme.client_secret not in call("GET", "/services").text


def test_how_it_fares(call: Any, connection_id: int) -> None:
    (listed,) = call("GET", "/connections").json["items"]
    shown = call("GET", f"/connections/{connection_id}").json
    assert {name: shown[name] for name in listed} == listed
    assert (shown["service"], shown["name"], shown["account"], shown["condition"]) == ("acme", TITLE, "a1", "loading")
    assert {each["name"]: each["phase"] for each in shown["streams"]} == {"contacts": "waiting", "orders": "left_out"}
    assert shown["push"]["enabled"] is True
    assert shown["hooks"]["last_at"] is None


def test_no_answer_holds_a_secret(call: Any, tenant: SignedUp, connection_id: int) -> None:
    held = connections.credentials_of(tenant.tenant_id, connection_id).values
    path = f"/connections/{connection_id}"
    answers = [
        call("GET", "/connections"),
        call("GET", path),
        call("POST", f"{path}/sync"),
        call("PUT", f"{path}/push", json={"enabled": False}),
        call("GET", f"{path}/push/dead"),
        call("GET", "/audit-log"),
        call("DELETE", path),
    ]
    secrets = [
        value for value in held.values() if isinstance(value, str) and len(value) > 8 and "T" not in value[10:11]
    ]
    assert "very-secret" in secrets
    for answer in answers:
        assert [each for each in secrets if each in answer.text] == []


def test_pause_resume_and_reload(call: Any, connection_id: int) -> None:
    path = f"/connections/{connection_id}"
    assert call("POST", f"{path}/pause").json["condition"] == "paused"
    assert call("POST", f"{path}/resume").json["condition"] == "loading"
    assert call("POST", f"{path}/reload").status_code == 200
    assert call("POST", f"{path}/reload", json={"stream": "contacts"}).status_code == 200
    assert call("POST", f"{path}/reload", json={"stream": "moons"}).status_code == 404
    refused = call("POST", f"{path}/reload", json={"streams": "contacts"})
    assert refused.status_code == 422
    assert refused.mimetype == "application/problem+json"


def test_what_goes_back(call: Any, tenant: SignedUp, connection_id: int, publish: Callable[..., int]) -> None:
    path = f"/connections/{connection_id}/push"
    assert call("PUT", path, json={"enabled": False}).json["push"]["enabled"] is False
    refused = call("PUT", path, json={"enabled": True, "model": "nobodys"})
    assert (refused.status_code, refused.json["errors"][0]["field"]) == (422, "model")
    publish(tenant.tenant_id)
    assert call("PUT", path, json={"enabled": True, "model": "sample"}).json["push"]["model"] is not None
    assert call("POST", f"{path}/send-all").json == {"count": 0}
    assert call("PUT", path, json={}).status_code == 422


def test_what_was_refused_comes_in_pages(
    call: Any, tenant: SignedUp, connection_id: int, make_lead: Callable[..., int]
) -> None:
    now = datetime.now(UTC)
    leads = [make_lead(tenant.tenant_id, name=f"Lead {number}") for number in range(5)]
    with tenant_session(tenant.tenant_id) as session:
        for lead_id in leads:
            values = {
                "connection_id": connection_id,
                "lead_id": lead_id,
                "state": "dead",
                "error": "No.",
                "error_at": now,
            }
            session.execute(insert(Push).values(tenant_id=tenant.tenant_id, **values))
    path, seen, cursor = f"/connections/{connection_id}/push/dead", [], None
    while True:
        page = call("GET", path, query_string={"limit": 2, **({"cursor": cursor} if cursor else {})}).json
        seen += [each["lead_id"] for each in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert sorted(seen) == sorted(leads)
    assert len(set(seen)) == len(seen)
    assert call("GET", path, query_string={"cursor": "forged"}).status_code == 422
    assert call("GET", path, query_string={"limit": 0}).status_code == 422
    assert call("POST", f"{path}/replay").json == {"count": 5}
    assert call("POST", f"{path}/dismiss").json == {"count": 0}


def test_disconnect_tells_what_is_left(call: Any, tenant: SignedUp, connection_id: int, acme: AcmeSimulator) -> None:
    acme.faults.next(503, times=-1)
    left = call("DELETE", f"/connections/{connection_id}").json["left"]
    assert any("Acme" in each for each in left)
    assert call("GET", "/connections").json["items"] == []
    assert call("GET", f"/connections/{connection_id}").json["condition"] == "disconnected"
    assert call("DELETE", f"/connections/{connection_id}").json == {"left": []}
    assert call("POST", f"/connections/{connection_id}/sync").status_code == 404
    assert "connection.disconnected" in [each.action for each in list_entries(tenant.tenant_id, Wanted()).items]


def test_a_key_that_only_reads_changes_nothing(api_app: Flask, tenant: SignedUp, connection_id: int) -> None:
    secret = issue_key(tenant.tenant_id, kind="api", name="Reads", scopes=["settings:read"]).secret
    client, headers = api_app.test_client(), {"Authorization": f"Bearer {secret}"}
    assert client.get("/api/v1/connections", headers=headers).status_code == 200
    for method, path in (("POST", "/sync"), ("DELETE", ""), ("POST", "/push/send-all"), ("PUT", "/push")):
        answer = client.open(
            f"/api/v1/connections/{connection_id}{path}", method=method, headers=headers, json={"enabled": False}
        )
        assert (answer.status_code, answer.json["code"]) == (403, "insufficient_scope")


def test_the_neighbours_connection_is_not_there(
    make_caller: Callable[[int], Any], neighbour: SignedUp, connection_id: int
) -> None:
    call = make_caller(neighbour.tenant_id)
    assert call("GET", "/connections").json["items"] == []
    assert call("GET", f"/connections/{connection_id}").status_code == 404
    assert call("DELETE", f"/connections/{connection_id}").status_code == 404
