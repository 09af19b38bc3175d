"""Through the API and the pages: find, export, erase in two steps; by owners and admins alone."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text, update

from assay.privacy import exporting
from assay.privacy import service as privacy
from assay.profiles.marks import SensitiveField
from assay.scoring import judgements, service
from assay_tenants.access.service import SignedUp, log_in
from assay_tenants.database import tenant_session
from assay_tenants.keys import issue_key
from assay_tenants.models import Membership

ANN = {"email": "ann.lee@acme.test"}
MODEL = """
model: small
rules:
  - {id: viewed, title: Looked at prices, on: page.viewed, points: 5}
  - {id: chief, title: A chief, when: {trait: title, is: CFO}, points: 10}
stages: [{name: Lead, from: 5}]
"""


@pytest.fixture
def ann(house: Any) -> int:
    service.create_model(house.tenant_id, MODEL)
    service.publish(house.tenant_id, "small", by="Ada")
    items = [
        {"type": "identify", "userId": "u-ann-100", "traits": {**ANN, "title": "CFO", "health": "asthma"}},
        {"type": "track", "event": "Page Viewed", "userId": "u-ann-100", "properties": {"path": "/pricing"}},
        {"type": "track", "event": "Page Viewed", "userId": "bob", "properties": {"path": "/bob"}},
    ]
    house.send({"batch": items})
    house.work()
    lead_id = house.lead_of("email", ANN["email"])
    assert lead_id is not None
    judgements.record(house.tenant_id, lead_id, points=3_000, reason="Nice on the phone", by="Ada")
    house.work()
    with tenant_session(house.tenant_id) as session:
        session.add(
            SensitiveField(tenant_id=house.tenant_id, pattern="health", marked_by="Ada", marked_at=datetime.now(UTC))
        )
    return int(lead_id)


@pytest.fixture
def call(app: Flask, house: Any) -> Callable[..., Any]:
    secret = issue_key(house.tenant_id, kind="api", name="Tests").secret

    def ask(method: str, path: str, **options: Any) -> Any:
        headers = {"Authorization": f"Bearer {secret}"}
        return app.test_client().open(f"/api/v1{path}", method=method, headers=headers, **options)

    return ask


def test_the_export_holds_all_with_reasons_in_words(house, ann) -> None:
    told = json.loads(b"".join(exporting.export(house.tenant_id, ann, by="Ada", revealed=True)))
    assert (told["format"], told["version"], told["sensitive_fields"]) == ("assay.person", 1, "included")
    assert told["person"]["traits"]["health"] == "asthma"
    assert {each["trait"]: each["value"] for each in told["statements"]} == {**ANN, "title": "CFO", "health": "asthma"}
    assert all(each["stated_at"] and each["identity"]["kind"] == "user_id" for each in told["statements"])
    (score,) = told["scores"]
    assert score["total"] == sum(each["points"] for each in score["reasons"]) == 18
    assert any("Looked at prices" in each["sentence"] for each in score["reasons"])
    assert [each["reason"] for each in told["judgements"]] == ["Nice on the phone"]
    assert {each["type"] for each in told["events"]} == {"page.viewed", "assay.judgement"}
    assert [each["item"]["userId"] for each in told["raw_messages"]] == ["u-ann-100"] * 2
    assert "/bob" not in json.dumps(told)
    assert house.rows("SELECT names FROM profiles.reveals WHERE tenant_id = :t")[0].names == ["health"]
    masked = b"".join(exporting.export(house.tenant_id, ann, by="Ada", revealed=False))
    assert b"asthma" not in masked


def test_the_api_finds_exports_and_erases(house, ann, call) -> None:
    (found,) = call("POST", "/persons/find", json={"email": "Ann.Lee@acme.test"}).json["items"]
    assert (found["lead_id"], found["kept"]["events"]) == (ann, 2)
    answer = call("GET", f"/leads/{ann}/export")
    assert (answer.status_code, answer.mimetype) == (200, "application/json")
    assert answer.json["lead_id"] == ann
    refused = call("POST", "/erasures", json=ANN)
    assert (refused.status_code, refused.json["code"]) == (409, "not_confirmed")
    made = call("POST", "/erasures", json={**ANN, "confirm": True})
    assert made.status_code == 202
    house.work()
    done = call("GET", f"/erasures/{made.json['id']}").json
    assert (done["state"], done["found"], done["lead_ids"]) == ("done", [], [ann])
    assert call("GET", "/erasures").json["items"] == [done]
    gone = call("POST", "/persons/find", json=ANN).json
    assert (gone["items"], gone["erasure_id"]) == ([], done["id"])
    again = call("POST", "/erasures", json={**ANN, "confirm": True})
    assert (again.status_code, again.json["code"]) == (409, "erased_already")
    assert call("POST", f"/erasures/{done['id']}/look-again", json={"email": "other@acme.test"}).status_code == 422
    assert call("POST", f"/erasures/{done['id']}/look-again", json=ANN).status_code == 202
    house.work()
    assert call("POST", f"/erasures/{done['id']}/lift", json={"confirm": False}).status_code == 422
    assert call("POST", f"/erasures/{done['id']}/lift", json={"confirm": True}).json["lifted_by"]
    assert call("POST", "/persons/find", json=ANN).json == {"items": [], "erasure_id": None}


WRONG = {
    "nobody named": ({"confirm": True}, 422, "lead_id"),
    "an empty address": ({"email": " ", "confirm": True}, 422, "email"),
    "a strange vendor": ({"vendor_ids": {"hub spot": "1"}, "confirm": True}, 422, "vendor_ids"),
    "half a letter": ({"email": "\ud800@x.test", "confirm": True}, 422, "email"),
    "a lead that is not there": ({"lead_id": 999_999_999, "confirm": True}, 404, None),
}


@pytest.mark.parametrize(("body", "status", "field"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_wish_is_told_what_is_wrong(call, body, status, field) -> None:
    answer = call("POST", "/erasures", json=body)
    assert answer.status_code == status
    assert field is None or answer.json["errors"][0]["field"] == field


@pytest.fixture
def enter(app: Flask, tenant: SignedUp) -> Callable[[str], Any]:
    """A browser of somebody with this role."""

    def browser(role: str) -> Any:
        with tenant_session(tenant.tenant_id) as session:
            email = session.execute(
                text("SELECT email FROM tenancy.memberships WHERE tenant_id = :t"), {"t": tenant.tenant_id}
            ).scalar_one()
            session.execute(update(Membership).where(Membership.tenant_id == tenant.tenant_id).values(role=role))
        client = app.test_client()
        client.set_cookie("assay_session", log_in(email=email, password="a long enough password"))
        return client

    return browser


@pytest.fixture
def unguarded(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    # Form tokens have tests of their own.
    monkeypatch.setitem(app.config, "WTF_CSRF_METHODS", set())


@pytest.mark.usefixtures("unguarded")
def test_the_pages_lead_from_a_person_to_a_certificate(make_house, tenant, enter) -> None:
    house = replace(make_house(), tenant_id=tenant.tenant_id)
    house.send({"type": "identify", "userId": "u-ann-100", "traits": ANN}, call="identify")
    house.work()
    lead_id = house.lead_of("email", ANN["email"])
    browser = enter("admin")
    assert "/settings/privacy" in browser.get("/settings").text
    found = browser.post("/settings/privacy/find", data={"kind": "email", "value": "ANN.lee@acme.test"}).text
    assert f"/settings/privacy/persons/{lead_id}/erase" in found
    assert browser.post(f"/settings/privacy/persons/{lead_id}/export").json["lead_id"] == lead_id
    page = f"/settings/privacy/persons/{lead_id}/erase"
    assert "2 identifiers" in " ".join(browser.get(page).text.split())
    assert browser.post(page, data={"confirm": "yes"}).status_code == 422
    answer = browser.post(page, data={"confirm": "erase"})
    assert answer.status_code == 303
    house.work()
    certificate = browser.get(answer.location).text
    assert "found nothing of them" in certificate
    assert "ann.lee" not in certificate
    assert browser.post(f"{answer.location}/lift").status_code == 422
    assert browser.post(f"{answer.location}/lift", data={"agreed": "yes"}).status_code == 303
    assert "lifted" in browser.get(answer.location).text
    (erasure,) = privacy.list_erasures(tenant.tenant_id)
    assert erasure.lifted_by


@pytest.mark.usefixtures("unguarded")
@pytest.mark.parametrize("role", ["editor", "viewer"])
def test_others_are_refused(enter, role) -> None:
    browser = enter(role)
    assert "/settings/privacy" not in browser.get("/settings").text
    for path in ("/settings/privacy", "/settings/privacy/persons/1/erase", "/settings/privacy/erasures/1"):
        assert browser.get(path).status_code == 403
    for path in ("find", "persons/1/export", "persons/1/erase", "erasures/1/lift", "erasures/1/look-again"):
        assert browser.post(f"/settings/privacy/{path}").status_code == 403
