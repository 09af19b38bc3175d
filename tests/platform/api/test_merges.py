from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from assay.normalise import Normalised
from assay.profiles import service
from assay_sdk import Identifiers, Identify
from assay_tenants.database import tenant_session

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def send(tenant) -> Callable[..., None]:
    def send_it(*sent: dict[str, Any]) -> None:
        records = [Identify(Identifiers(**ids), {}, T0 + timedelta(minutes=number)) for number, ids in enumerate(sent)]
        with tenant_session(tenant.tenant_id) as session:
            service.apply(session, tenant.tenant_id, [Normalised(each, 1, None, T0, None) for each in records])

    return send_it


@pytest.fixture
def lead(call, send) -> int:
    """Two leads that became one."""
    send({"user_id": "u1"}, {"email": "a@x.test"})
    send({"user_id": "u1", "email": "a@x.test"})
    return call("GET", "/leads").json["items"][0]["id"]


class TestMerges:
    def test_are_listed_undone_and_made_again(self, call, lead) -> None:
        page = call("GET", "/merges").json
        (merge,) = page["items"]
        assert page["next_cursor"] is None
        assert (merge["kept_id"], merge["state"], merge["visitor"]) == (lead, "stands", False)
        assert {merge["kept"]["value"], merge["gone"]["value"]} == {"u1", "a@x.test"}
        assert "came together" in merge["sentence"]
        undone = call("POST", f"/merges/{merge['id']}/undo", json={"reason": "A couple"})
        assert undone.status_code == 201
        assert (undone.json["kind"], undone.json["reason"], undone.json["merge_id"]) == (
            "apart",
            "A couple",
            merge["id"],
        )
        assert sorted(undone.json["leads"]) == sorted([merge["kept_id"], merge["gone_id"]])
        assert call("GET", f"/leads/{merge['gone_id']}").status_code == 200
        assert call("GET", f"/merges/{merge['id']}").json["state"] == "undone"
        again = call("POST", f"/merges/{merge['id']}/undo")
        assert (again.status_code, again.json["code"]) == (409, "two_leads_already")
        decisions = call("GET", "/decisions").json["items"]
        assert [made["id"] for made in decisions] == [undone.json["id"]]
        back = call("DELETE", f"/decisions/{undone.json['id']}").json
        assert back["withdrawn_by"].startswith("API key")
        assert [each["state"] for each in call("GET", "/merges").json["items"]] == ["stands", "joined again"]

    def test_of_one_lead_and_without_visitors(self, call, lead, send) -> None:
        send({"anonymous_id": "d1"})
        send({"user_id": "u1", "anonymous_id": "d1"})
        assert len(call("GET", "/merges").json["items"]) == 2
        assert len(call("GET", "/merges?visitors=false").json["items"]) == 1
        assert len(call("GET", f"/merges?lead_id={lead}").json["items"]) == 2
        assert call("GET", f"/merges?lead_id={lead + 1000}").json["items"] == []

    def test_the_address_of_a_lead_that_is_gone_says_where_it_went(self, call, lead) -> None:
        gone = call("GET", "/merges").json["items"][0]["gone_id"]
        for path in ("", "/identities", "/events", "/judgements"):
            answer = call("GET", f"/leads/{gone}{path}")
            assert (answer.status_code, answer.get_json(force=True)["merged_into"]) == (404, lead), path
        assert "merged_into" not in call("GET", "/leads/999999999").get_json(force=True)

    @pytest.mark.parametrize("cursor", ["x", "-1", "9" * 19, "1.5"])
    @pytest.mark.parametrize("path", ["/merges", "/decisions"])
    def test_a_cursor_of_another_list_is_refused(self, call, path, cursor) -> None:
        answer = call("GET", path, query_string={"cursor": cursor})
        assert (answer.status_code, answer.get_json(force=True)["errors"][0]["field"]) == (422, "cursor")


class TestIdentities:
    def test_say_how_each_came(self, call, lead) -> None:
        found = call("GET", f"/leads/{lead}/identities").json
        assert found["total"] == 2
        first, second = found["items"]
        assert (first["value"], first["joined"], first["alone"]) == ("u1", None, None)
        assert (second["value"], second["joined"]["value"]) == ("a@x.test", "u1")
        assert second["joined"]["sentence"].startswith("User u1 and a@x.test came together")
        assert second["joined"]["at"].startswith("2026-03-01T12:00:00")

    def test_are_told_apart_and_joined(self, call, lead) -> None:
        body = {"identities": [{"kind": "email", "value": "A@X.test"}], "reason": "Two"}
        apart = call("POST", f"/leads/{lead}/apart", json=body)
        assert apart.status_code == 201
        assert apart.json["leads"][0] == lead
        other = apart.json["leads"][1]
        joined = call("POST", f"/leads/{lead}/merge/{other}", json={"reason": "One after all"})
        assert (joined.status_code, joined.json["kind"], joined.json["leads"]) == (201, "together", [lead])
        newest = call("GET", "/merges").json["items"][0]
        assert newest["by"].startswith("API key")
        assert newest["sentence"].endswith("are one: One after all")

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            pytest.param({}, "identities", id="nothing"),
            pytest.param({"identities": []}, "identities", id="none"),
            pytest.param({"identities": ["u1"]}, "identities[0]", id="no object"),
            pytest.param({"identities": [{"kind": "email"}]}, "identities[0].value", id="no value"),
            pytest.param({"identities": [{"kind": "email", "value": "b@x.test"}]}, "identities", id="not the lead's"),
            pytest.param(
                {"identities": [{"kind": "email", "value": "a@x.test"}], "reason": "x" * 501}, "reason", id="too long"
            ),
            pytest.param(
                {"identities": [{"kind": "email", "value": "a@x.test"}], "reason": "\ud800"},
                "reason",
                id="half a letter",
            ),
            pytest.param({"identities": [{"kind": "email", "value": "a@x.test"}], "why": ""}, "why", id="unknown"),
        ],
    )
    def test_bad_input_is_refused(self, call, lead, body, field) -> None:
        answer = call("POST", f"/leads/{lead}/apart", json=body)
        assert answer.status_code == 422
        assert field in [error["field"] for error in answer.get_json(force=True)["errors"]]
        assert call("GET", f"/leads/{lead}/identities").json["total"] == 2

    def test_a_lead_is_not_merged_with_itself(self, call, lead) -> None:
        answer = call("POST", f"/leads/{lead}/merge/{lead}")
        assert (answer.status_code, answer.get_json(force=True)["errors"][0]["field"]) == (422, "other_id")


class TestSharedValues:
    def test_are_blocked_listed_and_forgotten(self, call, lead) -> None:
        body = {"kind": "email", "value": "A@X.test", "rule": "blocked", "reason": "Our test address"}
        made = call("POST", "/value-rules", json=body)
        assert (made.status_code, made.json["value"], made.json["rule"]) == (201, "a@x.test", "blocked")
        (shared,) = call("GET", "/shared-values").json["items"]
        assert (shared["state"], shared["reason"], shared["rule_id"]) == (
            "blocked",
            "Our test address",
            made.json["id"],
        )
        assert shared["lead_id"] not in (None, lead)
        alone = call("GET", f"/leads/{shared['lead_id']}/identities").json["items"]
        assert [(each["value"], each["alone"]) for each in alone] == [("a@x.test", "blocked")]
        assert call("DELETE", f"/value-rules/{made.json['id']}").status_code == 200
        assert call("GET", "/shared-values").json["items"] == []
        assert call("GET", f"/leads/{lead}/identities").json["total"] == 2

    def test_one_that_too_many_use_is_held_back_until_it_is_released(self, call, send, lead) -> None:
        send(*({"user_id": f"v{number}", "email": "test@x.test"} for number in range(11)))
        (shared,) = call("GET", "/shared-values").json["items"]
        assert (shared["value"], shared["state"], shared["others"]) == ("test@x.test", "crowded", 11)
        body = {"kind": "email", "value": "test@x.test", "rule": "released"}
        assert call("POST", "/value-rules", json=body).json["rule"] == "released"
        (shared,) = call("GET", "/shared-values").json["items"]
        assert call("GET", f"/leads/{shared['lead_id']}/identities").json["total"] == 12

    def test_come_in_pages(self, call) -> None:
        for number in range(5):
            body = {"kind": "user_id", "value": f"a=b{number}", "rule": "blocked"}
            assert call("POST", "/value-rules", json=body).status_code == 201
        seen, cursor = [], None
        while True:
            query = {"limit": 2} | ({"cursor": cursor} if cursor else {})
            page = call("GET", "/shared-values", query_string=query).json
            seen += [each["value"] for each in page["items"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert seen == [f"a=b{number}" for number in range(5)]

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            pytest.param({"kind": "email", "rule": "blocked"}, "value", id="no value"),
            pytest.param({"kind": "email", "value": "a@x.test"}, "rule", id="no rule"),
            pytest.param({"kind": "email", "value": "a@x.test", "rule": "gone"}, "rule", id="no such rule"),
            pytest.param({"kind": " ", "value": "a", "rule": "blocked"}, "kind", id="blanks"),
            pytest.param({"kind": "phone", "value": "a", "rule": "blocked"}, "kind", id="no such kind"),
            pytest.param({"kind": "vendor:", "value": "a", "rule": "blocked"}, "kind", id="nobody's id"),
        ],
    )
    def test_a_rule_of_nothing_is_refused(self, call, body, field) -> None:
        answer = call("POST", "/value-rules", json=body)
        assert answer.status_code == 422
        assert field in [error["field"] for error in answer.get_json(force=True)["errors"]]

    def test_a_cursor_of_another_list_is_refused(self, call) -> None:
        answer = call("GET", "/shared-values", query_string={"cursor": "x"})
        assert (answer.status_code, answer.get_json(force=True)["errors"][0]["field"]) == (422, "cursor")
