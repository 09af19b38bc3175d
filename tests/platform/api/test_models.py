import pytest

from assay.scoring import queries
from assay.scoring.drafts import RESERVED

YAML = {"Content-Type": "application/yaml"}


class TestModels:
    def test_made_edited_and_published(self, call, model_text) -> None:
        made = call("POST", "/models", data=model_text(), headers=YAML)
        assert made.status_code == 201
        assert made.json["name"] == "sample"
        assert made.json["published_version"] is None
        assert call("POST", "/models/sample/publish").json == {"version": 1}
        changed = call("PUT", "/models/sample/draft", data=model_text(owner=50), headers=YAML)
        assert (changed.json["draft"], changed.json["published_version"]) == (model_text(owner=50), 1)
        assert call("POST", "/models/sample/publish").json == {"version": 2}
        assert call("POST", "/models/sample/publish").json == {"version": 2}
        assert call("GET", "/models/sample").json["published_version"] == 2
        assert [model["name"] for model in call("GET", "/models").json["items"]] == ["sample"]
        assert [version["number"] for version in call("GET", "/models/sample/versions").json["items"]] == [2, 1]
        version = call("GET", "/models/sample/versions/1").json
        assert version["source"] == model_text()
        assert version["published_by"].startswith("API key ")

    def test_json_says_the_same_as_yaml(self, call, tenant) -> None:
        document = {"model": "in-json", "rules": [{"id": "a", "on": "page.viewed", "points": 1}]}
        assert call("POST", "/models", json=document).status_code == 201
        assert queries.get_model(tenant.tenant_id, "in-json").title == "in-json"

    def test_a_taken_name_is_a_conflict(self, call, model_text) -> None:
        call("POST", "/models", data=model_text(), headers=YAML)
        answer = call("POST", "/models", data=model_text(), headers=YAML)
        assert (answer.status_code, answer.get_json(force=True)["code"]) == (409, "name_taken")
        assert answer.get_json(force=True)["errors"][0]["field"] == "model"

    def test_a_draft_keeps_its_models_name(self, call, model_text) -> None:
        call("POST", "/models", data=model_text(), headers=YAML)
        answer = call("PUT", "/models/sample/draft", data=model_text("other"), headers=YAML)
        assert answer.status_code == 422
        assert answer.get_json(force=True)["errors"][0]["field"] == "model"

    def test_explaining_an_unpublished_model_is_a_conflict(self, call, model_text) -> None:
        call("POST", "/models", data=model_text(), headers=YAML)
        answer = call("GET", "/leads/1/scores/sample")
        assert (answer.status_code, answer.get_json(force=True)["code"]) == (409, "not_published")


class TestRevisions:
    def test_a_draft_carries_its_revision(self, call, model_text) -> None:
        call("POST", "/models", data=model_text(), headers=YAML)
        seen = call("GET", "/models/sample")
        assert (seen.headers["ETag"], seen.json["revision"]) == ('"1"', 1)
        saved = call("PUT", "/models/sample/draft", data=model_text(owner=50), headers={**YAML, "If-Match": '"1"'})
        assert (saved.status_code, saved.headers["ETag"]) == (200, '"2"')

    def test_the_second_save_is_refused_with_what_differs(self, call, model_text) -> None:
        call("POST", "/models", data=model_text(), headers=YAML)
        call("PUT", "/models/sample/draft", data=model_text(owner=50), headers={**YAML, "If-Match": '"1"'})
        answer = call("PUT", "/models/sample/draft", data=model_text(owner=60), headers={**YAML, "If-Match": '"1"'})
        assert (answer.status_code, answer.mimetype) == (409, "application/problem+json")
        told = answer.get_json(force=True)
        assert (told["code"], told["revision"], told["stored"]) == ("draft_changed", 2, model_text(owner=50))
        assert [change["sentence"] for change in told["changes"]] == ["rule owner: points 50 → 60"]
        assert answer.headers["ETag"] == '"2"'
        assert call("GET", "/models/sample").json["draft"] == model_text(owner=50)

    def test_without_if_match_the_last_one_wins(self, call, model_text) -> None:
        call("POST", "/models", data=model_text(), headers=YAML)
        for points in (50, 60):
            assert call("PUT", "/models/sample/draft", data=model_text(owner=points), headers=YAML).status_code == 200

    @pytest.mark.parametrize("sent", ['"one"', '"1", "2"', "1x", '"²"', '""', '"99999999999999999999"'])
    def test_if_match_names_one_revision(self, call, model_text, sent) -> None:
        call("POST", "/models", data=model_text(), headers=YAML)
        headers = {**YAML, "If-Match": sent}
        answer = call("PUT", "/models/sample/draft", data=model_text(owner=2), headers=headers)
        assert (answer.status_code, answer.get_json(force=True)["errors"][0]["field"]) == (422, "If-Match")

    def test_publishing_only_what_was_seen(self, call, model_text) -> None:
        call("POST", "/models", data=model_text(), headers=YAML)
        assert call("POST", "/models/sample/publish", headers={"If-Match": '"7"'}).status_code == 409
        assert call("POST", "/models/sample/publish", headers={"If-Match": '"1"'}).json == {"version": 1}


class TestLifecycle:
    def test_rolled_back_archived_and_taken_back(self, call, model_text) -> None:
        call("POST", "/models", data=model_text(), headers=YAML)
        call("POST", "/models/sample/publish?note=First")
        call("PUT", "/models/sample/draft", data=model_text(owner=50), headers=YAML)
        call("POST", "/models/sample/publish")
        assert call("POST", "/models/sample/versions/1/rollback").json == {"version": 1}
        states = {each["number"]: each["state"] for each in call("GET", "/models/sample/versions").json["items"]}
        assert states == {1: "published", 2: "archived"}
        archived = call("POST", "/models/sample/archive").json
        assert archived == {"name": "sample", "state": "archived", "published_version": None}
        answer = call("POST", "/models/sample/publish")
        assert (answer.status_code, answer.get_json(force=True)["code"]) == (409, "archived")
        assert call("POST", "/models/sample/restore").json["published_version"] == 1
        publications = call("GET", "/models/sample/publications").json["items"]
        assert [each["action"] for each in publications] == ["restore", "archive", "rollback", "publish", "publish"]
        assert publications[-1]["note"] == "First"
        assert publications[-1]["by"].startswith("API key ")

    def test_who_is_asked_is_not_archived(self, call, model_text) -> None:
        child = {
            "model": "child",
            "rules": [{"id": "a", "when": {"model": "sample", "score": {"gte": 1}}, "points": 1}],
        }
        call("POST", "/models", data=model_text(), headers=YAML)
        call("POST", "/models", json=child)
        early = call("POST", "/models/child/publish")
        assert early.status_code == 422
        assert early.get_json(force=True)["errors"][0]["field"] == "rules[0].when.model"
        call("POST", "/models/sample/publish")
        call("POST", "/models/child/publish")
        answer = call("POST", "/models/sample/archive")
        assert (answer.status_code, answer.get_json(force=True)["code"]) == (409, "referred_to")
        assert "'child'" in answer.get_json(force=True)["detail"]
        assert list(call("GET", "/models/child/versions/1").json["pins"]) == ["sample"]

    def test_a_failing_example_holds_it_up(self, call, model_text) -> None:
        text = model_text() + "examples: [{name: owner, traits: {title: Owner}, expect: {total: 21}}]\n"
        problem = {"field": "examples[0].expect.total", "message": "expected 21, found 20 (example 'owner')"}
        assert call("POST", "/models/validate", data=text, headers=YAML).json == {"problems": [problem]}
        call("POST", "/models", data=text, headers=YAML)
        answer = call("POST", "/models/sample/publish")
        assert (answer.status_code, answer.get_json(force=True)["errors"]) == (422, [problem])

    def test_labels_are_told(self, call, model_text) -> None:
        call("POST", "/models", data="persona: Owner\nprecedence: 5\n" + model_text(), headers=YAML)
        call("POST", "/models/sample/publish")
        (listed,) = call("GET", "/models").json["items"]
        assert (listed["persona"], listed["precedence"], listed["state"]) == ("Owner", 5, "published")


class TestDifference:
    @pytest.fixture
    def two(self, call, model_text) -> None:
        call("POST", "/models", data=model_text(), headers=YAML)
        call("POST", "/models/sample/publish")
        call("PUT", "/models/sample/draft", data=model_text(owner=50), headers=YAML)

    @pytest.mark.parametrize(
        ("query", "sentences"),
        [
            pytest.param("", ["rule owner: points 20 → 50"], id="live to draft"),
            pytest.param("?from=draft&to=1", ["rule owner: points 50 → 20"], id="the other way"),
            pytest.param("?from=1&to=1", [], id="the same"),
        ],
    )
    def test_is_told_in_sentences(self, call, two, query, sentences) -> None:
        answer = call("GET", f"/models/sample/diff{query}")
        assert [change["sentence"] for change in answer.json["changes"]] == sentences

    @pytest.mark.parametrize(
        ("query", "status"),
        [("?from=9", 404), ("?from=first", 422), ("?to=%C2%B2", 422), ("?from=99999999999", 422), ("?since=1", 422)],
    )
    def test_refuses(self, call, two, query, status) -> None:
        assert call("GET", f"/models/sample/diff{query}").status_code == status

    def test_of_a_mere_draft_is_a_conflict(self, call, model_text) -> None:
        call("POST", "/models", data=model_text(), headers=YAML)
        assert call("GET", "/models/sample/diff").status_code == 409


class TestSchema:
    def test_describes_the_language(self, call) -> None:
        schema = call("GET", "/models/schema").json
        assert schema["$schema"].startswith("https://json-schema.org/")
        assert {"model", "rules", "examples", "audience"} <= schema["properties"].keys()

    @pytest.mark.parametrize("name", ["schema", "overlaps"])
    def test_no_model_takes_an_address_of_the_api(self, call, model_text, name) -> None:
        answer = call("POST", "/models", data=model_text(name), headers=YAML)
        (error,) = answer.get_json(force=True)["errors"]
        assert (answer.status_code, error["field"]) == (422, "model")
        assert f"/api/v1/models/{name} is an address of the API" in error["message"]
        checked = call("POST", "/models/validate", data=model_text(name), headers=YAML).json["problems"]
        assert [problem["field"] for problem in checked] == ["model"]

    def test_every_fixed_address_beside_models_is_refused_as_a_name(self, api_app) -> None:
        addresses = {
            rule.rule.removeprefix("/api/v1/models/")
            for rule in api_app.url_map.iter_rules()
            if rule.rule.startswith("/api/v1/models/") and "GET" in rule.methods
        }
        assert {address for address in addresses if "<" not in address and "/" not in address} == RESERVED


class TestValidate:
    def test_a_model_has_no_problems(self, call, model_text) -> None:
        answer = call("POST", "/models/validate", data=model_text(), headers=YAML)
        assert (answer.status_code, answer.json) == (200, {"problems": []})

    @pytest.mark.parametrize(
        ("document", "field"),
        [
            pytest.param({"model": "x", "rules": [{"id": "a", "on": "b.c", "points": "1"}]}, "rules[0].points", id="x"),
            pytest.param({"model": "x", "rules": []}, "rules", id="no rules"),
            pytest.param({"rules": [{"id": "a", "on": "b.c", "points": 1}]}, "model", id="no name"),
        ],
    )
    def test_problems_are_an_answer_and_no_error(self, call, document, field) -> None:
        answer = call("POST", "/models/validate", json=document)
        assert answer.status_code == 200
        assert field in [problem["field"] for problem in answer.json["problems"]]
