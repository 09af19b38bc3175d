import pytest

from assay.scoring import queries

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
