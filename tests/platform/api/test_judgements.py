import pytest

from assay.scoring import judgements


@pytest.fixture
def lead(tenant, make_lead) -> int:
    return make_lead(tenant.tenant_id, traits={"title": "Owner"})


class TestJudgements:
    def test_given_listed_and_withdrawn(self, call, lead) -> None:
        body = {"points": 12.5, "reason": "They called me", "expires_at": "2100-01-01T00:00:00Z"}
        made = call("POST", f"/leads/{lead}/judgements", json=body)
        assert made.status_code == 201
        assert (made.json["points"], made.json["state"], made.json["model"]) == (12.5, "counts", None)
        assert call("GET", f"/leads/{lead}/judgements").json["items"] == [made.json]
        gone = call("DELETE", f"/leads/{lead}/judgements/{made.json['key']}")
        assert (gone.status_code, gone.json["state"]) == (200, "withdrawn")
        assert call("DELETE", f"/leads/{lead}/judgements/{made.json['key']}").json == gone.json

    def test_counts_at_once(self, call, lead, tenant, publish) -> None:
        publish(tenant.tenant_id)
        before = call("GET", f"/leads/{lead}/scores/sample").json["total"]
        key = call("POST", f"/leads/{lead}/judgements", json={"points": 15, "reason": "Met them"}).json["key"]
        assert call("GET", f"/leads/{lead}/scores/sample").json["total"] == before + 15
        call("DELETE", f"/leads/{lead}/judgements/{key}")
        assert call("GET", f"/leads/{lead}/scores/sample").json["total"] == before

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            pytest.param({"reason": "x"}, "points", id="no points"),
            pytest.param({"points": 1}, "reason", id="no reason"),
            pytest.param({"points": 0, "reason": "x"}, "points", id="nought"),
            pytest.param({"points": 1.2345, "reason": "x"}, "points", id="too fine"),
            pytest.param({"points": True, "reason": "x"}, "points", id="no number"),
            pytest.param({"points": 1001, "reason": "x"}, "points", id="too many"),
            pytest.param({"points": 1, "reason": ""}, "reason", id="an empty reason"),
            pytest.param({"points": 1, "reason": "\ud800"}, "reason", id="half a character"),
            pytest.param({"points": 1, "reason": "x", "model": "missing"}, "model", id="no such model"),
            pytest.param({"points": 1, "reason": "x", "expires_at": "2020-01-01T00:00:00Z"}, "expires_at", id="over"),
            pytest.param({"points": 1, "reason": "x", "expires_at": "2100-01-01T00:00:00"}, "expires_at", id="naive"),
            pytest.param(
                {"points": 1, "reason": "x", "expires_at": "9999-12-31T23:59:59-12:00"}, "expires_at", id="end"
            ),
            pytest.param({"points": 1, "reason": "x", "why": "y"}, "why", id="an unknown word"),
        ],
    )
    def test_refuses(self, call, lead, tenant, body, field) -> None:
        answer = call("POST", f"/leads/{lead}/judgements", json=body)
        assert (answer.status_code, answer.mimetype) == (422, "application/problem+json")
        assert field in [error["field"] for error in answer.get_json(force=True)["errors"]]
        assert judgements.list_judgements(tenant.tenant_id, lead) == []

    @pytest.mark.parametrize(
        ("data", "told"),
        [
            pytest.param(b"{", "not JSON: line 1, column 2", id="half an object"),
            pytest.param(b"[]", "an object", id="a list"),
            pytest.param(b'"text"', "an object", id="text"),
            pytest.param(b"null", "an object", id="null"),
            pytest.param(b"", "needed", id="nothing"),
            pytest.param(b'"\xff"', "not JSON: line 1", id="other bytes"),
            pytest.param(b"[" * 100_000, "nested too deeply", id="a deep one"),
            pytest.param(b'{"points": 1' + b"0" * 5000 + b"}", "more digits", id="an endless number"),
            pytest.param(b'{"points": NaN, "reason": "x"}', "a number, such as", id="NaN"),
            pytest.param(b'{"points": Infinity, "reason": "x"}', "a number, such as", id="Infinity"),
        ],
    )
    def test_a_body_that_is_none_is_told(self, call, lead, data, told) -> None:
        answer = call("POST", f"/leads/{lead}/judgements", data=data, headers={"Content-Type": "application/json"})
        assert (answer.status_code, answer.mimetype) == (422, "application/problem+json")
        assert told in answer.get_json(force=True)["detail"]

    def test_of_nobody(self, call) -> None:
        assert call("GET", "/leads/999999999/judgements").status_code == 404
        assert call("POST", "/leads/999999999/judgements", json={"points": 1, "reason": "x"}).status_code == 404
        assert call("DELETE", "/leads/999999999/judgements/x").status_code == 404
