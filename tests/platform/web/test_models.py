from collections.abc import Callable
from typing import Any

import pytest
from markupsafe import escape

from assay.scoring import queries, service
from assay.scoring.starting import LANGUAGES, templates
from assay_tenants.access.service import SignedUp

MODEL = """\
model: {name}
title: Owners <i>of</i> bakeries
rules:
  - {{id: owner, when: {{trait: title, in: [CFO, Owner]}}, points: 20}}
stages:
  - {{name: Lead, from: 10}}
"""
BROKEN = """\
model: smb
rules:
  - id: owner
    when: {trait: title, is: Owner}
    points: ten
"""


@pytest.fixture
def smb(tenant: SignedUp) -> str:
    return service.create_model(tenant.tenant_id, MODEL.format(name="smb")).name


class TestNew:
    @pytest.mark.parametrize("tongue", LANGUAGES)
    def test_offers_each_template_in_a_language(self, person: Any, tongue: str) -> None:
        page = person.opens(f"/new-model?language={tongue}").text
        for template in templates(tongue):
            assert str(escape(template.about)) in page
            assert all(f'value="{model.name}"' in page for model in template.models)

    def test_a_template_becomes_a_draft(self, person: Any) -> None:
        fields = {"template": "triggerm", "language": "vi", "model": "triggerm-floor", "parameter.expiry": "30d"}
        answer = person.sends("/new-model", on="/new-model", **fields)
        assert (answer.status_code, answer.location) == (303, "/models/triggerm-floor")
        row = queries.get_model(person.tenant_id, "triggerm-floor")
        assert (row.published_version, row.title) == (None, "Cột mốc nâng điểm, điểm hết hạn")
        assert "expiry: {value: 30d, min: 1d" in row.draft

    def test_tells_which_examples_other_numbers_leave_out(self, person: Any) -> None:
        fields = {"template": "wukong", "model": "wukong", "parameter.hot": "80"}
        person.sends("/new-model", on="/new-model", **fields)
        assert "the examples WK-5 70.01 is hot; WK-6 asks for a quote besides." in person.opens("/models/wukong").text

    def test_own_yaml_becomes_a_draft(self, person: Any) -> None:
        answer = person.sends("/new-model", on="/new-model", source=MODEL.format(name="own"))
        assert answer.location == "/models/own"
        assert "Owners &lt;i&gt;of&lt;/i&gt; bakeries" in person.opens("/models").text

    @pytest.mark.parametrize(
        ("fields", "status", "sentence"),
        [
            pytest.param({"source": " "}, 422, "Paste a model, or take one of the templates", id="nothing"),
            pytest.param({"source": BROKEN}, 422, "line 5", id="a mistake"),
            pytest.param({"source": "rules: ["}, 422, "thing", id="no YAML"),
            pytest.param({"source": MODEL.format(name="smb")}, 409, "There is already a model named", id="taken"),
            pytest.param({"template": "none"}, 404, "no such template", id="no such template"),
            pytest.param({"template": "wukong", "model": "x"}, 422, "Accepted: wukong.", id="no such model"),
            pytest.param(
                {"template": "wukong", "model": "wukong", "parameter.hot": "much"},
                422,
                "Hot above: must be a number, from 1 to 99",
                id="a parameter",
            ),
        ],
    )
    def test_says_what_is_wrong(
        self, person: Any, smb: str, fields: dict[str, str], status: int, sentence: str
    ) -> None:
        answer = person.sends("/new-model", on="/new-model", **fields)
        assert answer.status_code == status
        assert sentence in answer.text


class TestEditor:
    def test_keeps_what_was_typed_and_points_at_the_line(self, person: Any, smb: str) -> None:
        answer = person.sends("/models/smb", on="/models/smb", source=BROKEN)
        assert answer.status_code == 422
        assert 'data-line="5"' in answer.text
        assert "points: ten" in answer.text
        assert "points: ten" not in queries.get_model(person.tenant_id, "smb").draft

    def test_checks_without_saving(self, person: Any, smb: str) -> None:
        answer = person.sends("/models/smb/check", on="/models/smb", source=BROKEN)
        assert "rules[0].points" in answer.text
        assert "points: ten" not in queries.get_model(person.tenant_id, "smb").draft

    def test_a_model_keeps_its_name(self, person: Any, smb: str) -> None:
        answer = person.sends("/models/smb", on="/models/smb", source=MODEL.format(name="other"))
        assert answer.status_code == 422
        assert "A model keeps its name" in answer.text

    def test_a_large_model_fits_through_the_form(self, person: Any, smb: str) -> None:
        text = MODEL.format(name="smb") + "#" * 700_000
        assert person.sends("/models/smb", on="/models/smb", source=text).status_code == 303


class TestPublish:
    def test_makes_a_version_anyone_can_look_at(self, person: Any, smb: str) -> None:
        answer = person.sends("/models/smb/publish", on="/models/smb", source=MODEL.format(name="smb"))
        assert answer.status_code == 303
        page = person.opens("/models/smb").text
        assert "Version 1 is live" in page
        (version,) = queries.list_versions(person.tenant_id, "smb")
        assert version.published_by == "Ada Example"
        assert "bakeries" in person.opens("/models/smb/versions/1").text

    def test_publishes_nothing_with_a_mistake_in_it(self, person: Any, smb: str) -> None:
        answer = person.sends("/models/smb/publish", on="/models/smb", source=BROKEN)
        assert answer.status_code == 422
        assert queries.get_model(person.tenant_id, "smb").published_version is None

    def test_a_version_that_is_none_is_not_there(self, person: Any, smb: str) -> None:
        assert person.opens("/models/smb/versions/7").status_code == 404


@pytest.mark.parametrize("deed", ["", "/check", "/publish"])
def test_the_neighbours_models_are_not_there(
    person: Any, neighbour: SignedUp, person_of: Callable[[SignedUp], Any], deed: str
) -> None:
    service.create_model(neighbour.tenant_id, MODEL.format(name="theirs"))
    assert person.opens("/models/theirs").status_code == 404
    source = MODEL.format(name="theirs")
    assert person.sends(f"/models/theirs{deed}", on="/settings", source=source).status_code == 404
    assert person.opens("/models/theirs/versions/1").status_code == 404
