from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from assay.normalise import Normalised
from assay.profiles import companies, service
from assay.scoring import jobs
from assay.scoring import service as scoring
from assay_sdk import Company, CoreRecord, Identifiers, Identify
from assay_tenants.access.service import SignedUp
from assay_tenants.database import tenant_session
from assay_tenants.models import Source

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
MODEL = (
    "{model: m, audience: {trait: plan, is_not: free},"
    " rules: [{id: a, when: {trait: company.employees, gte: 40}, points: 5},"
    " {id: b, when: {trait: role, is: CFO}, points: 2}]}"
)


#: Called with a method and a path below /api/v1.
Call = Callable[..., Any]


def user(name: str, email: str | None = None) -> Identifiers:
    return Identifiers(user_id=name, email=email)


@pytest.fixture
def told(tenant: SignedUp) -> None:
    """A tenant's companies, with some people."""
    with tenant_session(tenant.tenant_id) as session:
        source = Source(tenant_id=tenant.tenant_id, name="CRM", plugin="segment", created_at=AT)
        session.add(source)
        session.flush()
        records: list[CoreRecord] = [
            Company(Identifiers(), "51", {"name": "Acme", "employees": 40}, AT, vendor="hubspot", domain="acme.test"),
            Company(user("u3"), "a-1", {"website": "www.acme.test", "city": "Huế"}, AT),
            Company(user("u4"), "b", {"name": "Byte"}, AT),
            Identify(user("u1", "ann@acme.test"), {"plan": "team", "role": "CFO"}, AT),
            Identify(user("u2", "ben@acme.test"), {"plan": "team"}, AT),
            Identify(user("u3"), {"plan": "free"}, AT),
        ]
        service.apply(session, tenant.tenant_id, [Normalised(each, source.id, None, AT, None) for each in records])


@pytest.fixture
def listed(told: object, call: Call) -> dict[str, dict[str, Any]]:
    return {item["name"]: item for item in call("GET", "/companies").json["items"]}


class TestList:
    def test_is_by_name_with_their_people(self, told: object, call: Call) -> None:
        answer = call("GET", "/companies")
        assert [(each["name"], each["domain"], each["people"]) for each in answer.json["items"]] == [
            ("Acme", "acme.test", 3),
            ("Byte", None, 1),
        ]
        assert answer.json["next_cursor"] is None

    @pytest.mark.parametrize(
        ("text", "names"),
        [("ACME.te", ["Acme"]), ("hubspot:51", ["Acme"]), ("a-1", ["Acme"]), ("yte", ["Byte"]), ("%", []), ("zz", [])],
    )
    def test_is_searched(self, told: object, call: Call, text: str, names: list[str]) -> None:
        answer = call("GET", "/companies", query_string={"text": text})
        assert [each["name"] for each in answer.json["items"]] == names

    def test_comes_in_pages(self, told: object, call: Call) -> None:
        first = call("GET", "/companies?limit=1").json
        second = call("GET", f"/companies?limit=1&cursor={first['next_cursor']}").json
        assert [each["name"] for each in first["items"] + second["items"]] == ["Acme", "Byte"]
        assert second["next_cursor"] is None

    @pytest.mark.parametrize(
        "question", ["cursor=x", "cursor=%C3%A9", "cursor=a2E", "limit=0", "limit=201", "text=", "text=%00", "name=x"]
    )
    def test_refuses_what_it_does_not_know(self, call: Call, question: str) -> None:
        answer = call("GET", f"/companies?{question}")
        assert answer.status_code == 422
        assert question.partition("=")[0] in answer.text

    def test_leaves_out_a_domain_that_everybody_left(self, told: object, call: Call, tenant: SignedUp) -> None:
        with tenant_session(tenant.tenant_id) as session:
            for record in (Identify(user("u9", "x@gone.test"), {}, AT), Company(user("u9"), "b", {}, AT)):
                service.apply(session, tenant.tenant_id, [Normalised(record, 1, None, AT, None)])
        assert [each["name"] for each in call("GET", "/companies").json["items"]] == ["Acme", "Byte"]


class TestGet:
    def test_tells_where_each_trait_came_from(self, listed: Any, call: Call) -> None:
        found = call("GET", f"/companies/{listed['Acme']['id']}").json
        assert (found["name"], found["domain"], found["people"], found["crowd"]) == ("Acme", "acme.test", 3, 0)
        assert found["ids"] == ["a-1", "hubspot:51"]
        at = "2026-03-01T12:00:00+00:00"
        assert [tuple(trait.values()) for trait in found["traits"]] == [
            ("city", "Huế", at, "CRM", "a-1"),
            ("domain", "acme.test", None, None, None),
            ("employees", 40, at, "CRM", "hubspot:51"),
            ("name", "Acme", at, "CRM", "hubspot:51"),
            ("website", "www.acme.test", at, "CRM", "a-1"),
        ]

    def test_answers_under_the_id_of_a_part(self, listed: Any, call: Call, tenant: SignedUp) -> None:
        with tenant_session(tenant.tenant_id) as session:
            (part,) = companies.refresh(session, tenant.tenant_id, ["a-1"], AT).by_key.values()
        whole = listed["Acme"]["id"]
        assert part.id != whole
        assert call("GET", f"/companies/{part.id}").json["id"] == whole

    def test_tells_of_a_crowd(self, listed: Any, call: Call, tenant: SignedUp, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(companies, "CROWD", 2)
        record = Company(Identifiers(), "c", {"domain": "acme.test"}, AT)
        with tenant_session(tenant.tenant_id) as session:
            service.apply(session, tenant.tenant_id, [Normalised(record, 1, None, AT, None)])
        found = call("GET", f"/companies/{listed['Acme']['id']}").json
        assert (found["name"], found["ids"], found["crowd"]) == ("acme.test", [], 3)

    @pytest.mark.parametrize("company_id", [999_999_999, 10**17])
    def test_does_not_find_what_is_not_there(self, call: Call, company_id: int) -> None:
        for path in (f"/companies/{company_id}", f"/companies/{company_id}/leads"):
            answer = call("GET", path)
            assert (answer.status_code, answer.mimetype) == (404, "application/problem+json")


class TestPeople:
    def test_come_by_score_and_then_the_unscored(self, listed: Any, call: Call, tenant: SignedUp) -> None:
        path = f"/companies/{listed['Acme']['id']}/leads"
        assert call("GET", path).json["model"] is None
        scoring.create_model(tenant.tenant_id, MODEL)
        scoring.publish(tenant.tenant_id, "m", by="Ada Example")
        while jobs.drain_due(tenant.tenant_id):
            pass
        answer = call("GET", path).json
        people = [(each["email"], each["total"], each["company"]) for each in answer["items"]]
        assert people == [("ann@acme.test", 7, "Acme"), ("ben@acme.test", 5, "Acme"), (None, None, "Acme")]
        assert answer["model"] == "m"
        seen = []
        cursor = None
        while True:
            page = call("GET", path, query_string={"limit": 1, "model": "m"} | ({"cursor": cursor} if cursor else {}))
            seen += [each["total"] for each in page.json["items"]]
            cursor = page.json["next_cursor"]
            if cursor is None:
                break
        assert seen == [7, 5, None]

    def test_refuses_a_cursor_of_another_list(self, listed: Any, call: Call) -> None:
        cursor = call("GET", f"/companies/{listed['Acme']['id']}/leads?limit=1").json["next_cursor"]
        answer = call("GET", f"/companies/{listed['Byte']['id']}/leads?cursor={cursor}")
        assert answer.status_code == 422
