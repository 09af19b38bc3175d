import json

import pytest
from sqlalchemy.exc import OperationalError

from assay.scoring import queries
from assay_tenants.keys import issue_key, revoke_key

YAML = {"Content-Type": "application/yaml"}
MODEL = "{model: sample, rules: [{id: a, on: page.viewed, points: 1}]}"


def assert_problem(answer, status, field=None, message=""):
    body = answer.get_json(force=True)
    assert answer.mimetype == "application/problem+json", answer.text
    assert (answer.status_code, body["status"]) == (status, status), answer.text
    assert {"type", "title", "status", "detail", "code"} <= body.keys() <= {
        "type", "title", "status", "detail", "code", "errors"
    }  # fmt: skip
    if field is None:
        assert message in body["detail"], answer.text
    else:
        found = [error["message"] for error in body["errors"] if error["field"] == field]
        assert found, answer.text
        assert message in " ".join(found)


@pytest.mark.parametrize(
    ("path", "field", "message"),
    [
        pytest.param("/leads?limit=0", "limit", "greater than or equal to 1", id="no items"),
        pytest.param("/leads?limit=201", "limit", "less than or equal to 200", id="too many items"),
        pytest.param("/leads?limit=ten", "limit", "a whole number", id="a number in words"),
        pytest.param(
            "/leads?modle=x", "modle", "Accepted: anonymous_id, cursor, email, limit, model, stage", id="misspelt"
        ),
        pytest.param("/leads?text=", "text", "Length must be between 1", id="empty text"),
        pytest.param("/leads?text=%00", "text", "U+0000", id="a character that can't be stored"),
        pytest.param("/leads?text=" + "x" * 201, "text", "200", id="long text"),
        pytest.param("/leads?stage=%00", "stage", "U+0000", id="a stage that can't be stored"),
        pytest.param("/leads?cursor=x", "cursor", "next_cursor", id="a made-up cursor"),
        pytest.param("/leads/1/history", "model", "needed", id="whose history"),
        pytest.param("/leads/1/scores/m?at=yesterday", "at", "must be an instant", id="no instant"),
        pytest.param("/leads/1/scores/m?at=9999-12-31T23:59:59-12:00", "at", "2200", id="beyond the calendar"),
        pytest.param("/leads/1/scores?at=0001-01-01T00:00:00%2B14:00", "at", "1970", id="before the calendar"),
        pytest.param("/leads/1/outlook?model=m&at=9999-12-31T00:00:00Z", "at", "2200", id="the end of the calendar"),
        pytest.param("/models/m/diff?side=1", "side", "Accepted: from, to", id="misspelt, of names as they are sent"),
        pytest.param("/leads/1/scores/m?at=2026-01-01T00:00", "at", "with its offset", id="an instant of no time zone"),
    ],
)
def test_bad_parameters_are_named(call, publish, tenant, path, field, message) -> None:
    publish(tenant.tenant_id)
    assert_problem(call("GET", path), 422, field, message)


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        pytest.param("", "", "empty", id="nothing"),
        pytest.param("[]", "", "mapping", id="a list"),
        pytest.param("{", "", "not YAML", id="no YAML"),
        pytest.param("{model: sample}", "rules", "", id="no rules"),
        pytest.param("{model: sample, rules: [{id: a, on: page.viewed, points: x}]}", "rules[0].points", "", id="text"),
        pytest.param("{model: sample, ruels: []}", "ruels", "did you mean 'rules'", id="misspelt"),
    ],
)
def test_problems_of_a_model_are_named(call, body, field, message) -> None:
    assert_problem(call("POST", "/models", data=body, headers=YAML), 422, field, message)


@pytest.mark.parametrize(
    ("method", "path", "options", "status", "message"),
    [
        pytest.param("GET", "/nothing", {}, 404, "no such resource", id="no such path"),
        pytest.param("GET", "", {}, 404, "no such resource", id="the root"),
        pytest.param("GET", "/../v2/leads", {}, 404, "no such resource", id="another version"),
        pytest.param("GET", "/leads/", {}, 404, "no such resource", id="a slash too many"),
        pytest.param("GET", "/leads/abc", {}, 404, "no such resource", id="no number"),
        pytest.param("GET", "/leads/-1", {}, 404, "no such resource", id="negative"),
        pytest.param("GET", f"/leads/{2**63}", {}, 404, "no such resource", id="beyond bigint"),
        pytest.param("GET", f"/leads/{10**18 - 1}", {}, 404, "no such lead", id="no such lead"),
        pytest.param("GET", "/leads/1/scores/missing", {}, 404, "no such model", id="no such model"),
        pytest.param("GET", "/leads?model=missing", {}, 404, "no such model", id="ranked by no such model"),
        pytest.param("GET", "/models/missing", {}, 404, "no such model", id="model"),
        pytest.param("GET", "/models/%00", {}, 404, "no such model", id="a name that can't be stored"),
        pytest.param("GET", "/models/%ED%A0%80", {}, 404, "no such model", id="a name that is no text"),
        pytest.param("GET", f"/models/sample/versions/{2**31}", {}, 404, "no such model", id="a version of no model"),
        pytest.param("GET", "/templates/missing", {}, 404, "no such template", id="template"),
        pytest.param("GET", "/leads/%0A", {}, 404, "no such resource", id="a line end"),
        pytest.param("DELETE", "/leads", {}, 405, "not accepted here", id="method"),
        pytest.param("TRACE", "/leads", {}, 405, "not accepted here", id="a method of no view"),
        pytest.param("TRACE", "/nothing", {}, 404, "no such resource", id="no such path for any method"),
        pytest.param("POST", "/models", {"data": MODEL}, 415, "application/yaml", id="no content type"),
        pytest.param("POST", "/models", {"data": {"a": MODEL}}, 415, "not application/x-www-form", id="a form"),
        pytest.param("POST", "/models", {"data": b"\xff", "headers": YAML}, 422, "byte 1", id="not UTF-8"),
        pytest.param("POST", "/models", {"data": b"#" * 1_000_001, "headers": YAML}, 413, "1,000,000", id="too large"),
    ],
)
def test_bad_requests_say_so(call, method, path, options, status, message) -> None:
    assert_problem(call(method, path, **options), status, None, message)


def test_a_wrong_method_is_told_the_right_ones(call) -> None:
    assert call("DELETE", "/models").headers["Allow"] == "GET, HEAD, OPTIONS, POST"


class TestWhoIsAsking:
    @pytest.mark.parametrize(
        ("authorization", "message"),
        [
            pytest.param(None, "needs an API key", id="nothing"),
            pytest.param("Bearer", "needs an API key", id="no key"),
            pytest.param("Basic YWtfMV94Og==", "needs an API key", id="another scheme"),
            pytest.param("Bearer x", "unknown, revoked or expired", id="no key of ours"),
            pytest.param("Bearer ak_1_" + "a" * 44, "unknown, revoked or expired", id="nobody's key"),
            pytest.param("Bearer ak_7fffffffffffffff_" + "a" * 44, "unknown, revoked or expired", id="no tenant's"),
            pytest.param("Bearer é", "unknown, revoked or expired", id="no ASCII"),
        ],
    )
    @pytest.mark.parametrize("path", ["/leads", "/models/x", "/imports"])
    def test_without_a_valid_key_nothing_is_told(self, api_app, authorization, message, path) -> None:
        headers = {"Authorization": authorization} if authorization else {}
        answer = api_app.test_client().get(f"/api/v1{path}", headers=headers)
        assert_problem(answer, 401, None, message)
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")

    def test_a_write_key_is_told_which_kind_is_needed(self, api_app, tenant) -> None:
        headers = {"Authorization": f"Bearer {tenant.write_key}"}
        answer = api_app.test_client().get("/api/v1/leads", headers=headers)
        assert_problem(answer, 401, None, "This is a write key, which may only send events. Send an API key")

    def test_a_revoked_key_is_refused(self, api_app, tenant) -> None:
        key = issue_key(tenant.tenant_id, kind="api", name="Tests")
        headers = {"Authorization": f"Bearer {key.secret}"}
        assert api_app.test_client().get("/api/v1/leads", headers=headers).status_code == 200
        revoke_key(tenant.tenant_id, key.id)
        assert_problem(api_app.test_client().get("/api/v1/leads", headers=headers), 401, None, "revoked")


class TestOurOwnMistakes:
    @pytest.mark.parametrize(
        ("error", "status", "message"),
        [
            pytest.param(ZeroDivisionError("the secret of the house"), 500, "broke on our side", id="a bug"),
            pytest.param(OperationalError("SELECT 1", {}, Exception("away")), 503, "database is away", id="no DB"),
        ],
    )
    def test_are_told_without_their_inside(self, call, monkeypatch, error, status, message) -> None:
        def fail(*_, **__):
            raise error

        monkeypatch.setattr(queries, "list_models", fail)
        answer = call("GET", "/models")
        assert_problem(answer, status, None, message)
        assert "secret" not in json.dumps(answer.get_json(force=True))
