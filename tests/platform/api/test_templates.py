import pytest

from assay.scoring.starting import LANGUAGES

YAML = {"Content-Type": "application/yaml"}


def test_each_can_be_read_in_each_language(call) -> None:
    titles = []
    for tongue in LANGUAGES:
        items = call("GET", f"/templates?language={tongue}").json["items"]
        assert [item["name"] for item in items] == ["bitrix24", "encharge", "investglass", "triggerm", "wukong"]
        titles += [item["title"] for item in items]
        for item in items:
            assert call("GET", f"/templates/{item['name']}?language={tongue}").json == item
    assert len(set(titles)) == len(titles)


def test_each_can_be_made_models(call) -> None:
    for item in call("GET", "/templates").json["items"]:
        rendered = call("POST", f"/templates/{item['name']}/render", json={}).json["items"]
        assert [model["name"] for model in rendered] == [model["name"] for model in item["models"]]
        for model in rendered:
            assert model["left_out"] == []
            assert call("POST", "/models", data=model["text"].encode(), headers=YAML).status_code == 201


def test_parameters_and_language_are_filled_in(call) -> None:
    wanted = {"language": "zh", "parameters": {"hot": 80, "warm": 40}, "models": ["wukong"]}
    (model,) = call("POST", "/templates/wukong/render", json=wanted).json["items"]
    assert model["title"] == "公司、联系人、行为"
    assert "hot: {value: 80, min: 1, max: 99" in model["text"]
    assert "title: 要求报价" in model["text"]
    assert "# Deal-breakers" in model["text"]
    assert "WK-6 asks for a quote besides" in model["left_out"]
    assert "WK-6" not in model["text"]


@pytest.mark.parametrize(
    ("body", "field", "sentence"),
    [
        pytest.param({"parameters": {"hot": 100}}, "hot", "must be a number, from 1 to 99, not 100", id="too much"),
        pytest.param({"parameters": {"hot": "60d"}}, "hot", "must be a number, from 1 to 99", id="a duration"),
        pytest.param({"parameters": {"hot": True}}, "hot", "must be a number, from 1 to 99", id="a truth"),
        pytest.param({"parameters": {"hot": None}}, "hot", "must be a number, from 1 to 99", id="nothing"),
        pytest.param({"parameters": {"hot": [1]}}, "hot", "must be a number, from 1 to 99", id="a list"),
        pytest.param({"parameters": {"hot": 20}}, "parameters", "These values make no model", id="below warm"),
        pytest.param({"parameters": {"cold": 1}}, "cold", "Accepted: hot, warm.", id="no such parameter"),
        pytest.param({"models": ["x"]}, "model", "Accepted: wukong.", id="no such model"),
        pytest.param({"language": "fr"}, "language", "Accepted: en, vi, ro, zh.", id="no such language"),
        pytest.param({"parameters": 5}, "parameters", "must be an object", id="no parameters"),
    ],
)
def test_says_what_is_accepted(call, body, field, sentence) -> None:
    answer = call("POST", "/templates/wukong/render", json=body)
    assert answer.status_code == 422
    (problem,) = answer.get_json(force=True)["errors"]
    assert problem["field"] == field
    assert sentence in problem["message"]
