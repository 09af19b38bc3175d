import csv
import re
from typing import Any

import pytest

from assay.scoring import service, studies
from assay.scoring.studies.service import drain_studies
from assay_tenants.access.service import SignedUp

MODEL = """\
model: smb
title: Owners <i>of</i> bakeries
rules:
  - {{id: owner, title: Owns <b>it</b>, when: {{trait: title, in: [CFO, Owner]}}, points: {owner}}}
stages:
  - {{name: Lead, from: 10}}
  - {{name: MQL, from: 40}}
"""
BROKEN = "model: smb\nrules:\n  - {id: owner, when: {trait: title, is: Owner}, points: ten}\n"


@pytest.fixture
def smb(tenant: SignedUp, make_lead: Any) -> str:
    """Live for 20 points, the draft says 50."""
    for title in ("CFO", "Owner", "Clerk"):
        make_lead(tenant.tenant_id, name=f"A <u>{title}</u>", traits={"title": title})
    name = service.create_model(tenant.tenant_id, MODEL.format(owner=20)).name
    service.publish(tenant.tenant_id, name, by="Ada Example")
    service.save_draft(tenant.tenant_id, name, MODEL.format(owner=50))
    return name


def drain(tenant_id: int) -> None:
    while drain_studies(tenant_id):
        pass


class TestPreview:
    def test_from_the_editor_to_the_movers(self, person: Any, smb: str) -> None:
        answer = person.sends("/models/smb/preview", on="/models/smb", source=MODEL.format(owner=45))
        assert answer.status_code == 303
        waiting = person.opens(answer.location).text
        assert "Under way" in waiting
        assert 'hx-trigger="every 1s"' in waiting
        drain(person.tenant_id)
        fragment = person.opens(answer.location, HX_Request="true", HX_Target="div#study").text
        assert "<html" not in fragment
        page = person.opens(answer.location).text
        assert "entering MQL – 2 leads" in page
        assert "A &lt;u&gt;Owner&lt;/u&gt;" in page
        assert "Owns &lt;b&gt;it&lt;/b&gt;" in page
        assert "style=" not in page
        assert "every 1s" not in page

    def test_hands_out_all_changes(self, person: Any, smb: str) -> None:
        answer = person.sends("/models/smb/previews", on="/models/smb/previews", sample="")
        drain(person.tenant_id)
        file = person.opens(f"{answer.location}/changes.csv")
        assert file.mimetype == "text/csv"
        assert "attachment" in file.headers["Content-Disposition"]
        rows = list(csv.DictReader(file.text.splitlines()))
        assert [(row["stage_before"], row["stage_after"], row["change"]) for row in rows] == [("Lead", "MQL", "30")] * 2

    def test_a_name_in_any_script_makes_a_file(self, person: Any, tenant: SignedUp) -> None:
        service.create_model(tenant.tenant_id, MODEL.format(owner=20).replace("model: smb", "model: khách-hàng"))
        answer = person.sends("/models/khách-hàng/previews", on="/models/khách-hàng/previews")
        drain(person.tenant_id)
        file = person.opens(f"{answer.location}/changes.csv")
        assert file.status_code == 200
        file.headers["Content-Disposition"].encode("latin-1")

    def test_a_draft_with_mistakes_is_not_looked_at(self, person: Any, smb: str) -> None:
        answer = person.sends("/models/smb/preview", on="/models/smb", source=BROKEN)
        assert answer.status_code == 422
        assert 'data-line="3"' in answer.text
        assert studies.list_studies(person.tenant_id, "smb", "preview") == []

    def test_can_be_cancelled(self, person: Any, smb: str) -> None:
        answer = person.sends("/models/smb/previews", on="/models/smb/previews")
        person.sends(f"{answer.location}/cancel", on=answer.location)
        assert "Cancelled" in person.opens(answer.location).text

    def test_too_many_at_a_time_is_said(self, person: Any, smb: str) -> None:
        answers = [person.sends("/models/smb/previews", on="/models/smb/previews") for _ in range(5)]
        assert [answer.status_code for answer in answers] == [303] * 4 + [409]
        assert "are under way already" in answers[-1].text

    def test_a_model_that_is_not_live_yet(self, person: Any, tenant: SignedUp, make_lead: Any) -> None:
        make_lead(tenant.tenant_id, traits={"title": "CFO"})
        service.create_model(tenant.tenant_id, MODEL.format(owner=20))
        answer = person.sends("/models/smb/previews", on="/models/smb/previews")
        drain(person.tenant_id)
        assert "no version is live" in person.opens(answer.location).text


class TestReplay:
    def test_from_the_form_to_the_result(self, person: Any, smb: str) -> None:
        fields = {"from": "2026-02-20", "to": "2026-03-20", "every": "7d", "won": "deal.won", "before": "10"}
        answer = person.sends("/models/smb/replays", on="/models/smb/previews", **fields)
        assert answer.status_code == 303
        drain(person.tenant_id)
        page = person.opens(answer.location).text
        assert "The live version" in page
        assert "Earlier or later" in page
        assert "No lead had such an event" in page
        # Leads were first known on 1 March: MQL by the draft, Lead by the live version.
        assert re.search(r"MQL: 2 on 2026-03-06", page)
        assert re.search(r"Lead: 2 on 2026-03-06", page)
        assert "2 on 2026-02-20" not in page
        assert "At 2 of the 6 moments no lead was known here." in page

    @pytest.mark.parametrize(
        ("fields", "sentence"),
        [
            pytest.param({"from": "yesterday"}, "Write a day as", id="no day"),
            pytest.param({"from": "2026-03-02", "to": "2026-02-01"}, "begins before it ends", id="upside down"),
            pytest.param({"from": "2025-01-01", "every": "1d"}, "more than 60 instants", id="too many"),
            pytest.param({"every": "daily"}, "Write a length as", id="no length"),
            pytest.param({"before": "soon"}, "whole number", id="no number"),
        ],
    )
    def test_says_what_is_wrong(self, person: Any, smb: str, fields: dict[str, str], sentence: str) -> None:
        answer = person.sends("/models/smb/replays", on="/models/smb/previews", **fields)
        assert answer.status_code == 422
        assert sentence in answer.text

    def test_can_be_cancelled(self, person: Any, smb: str) -> None:
        answer = person.sends("/models/smb/replays", on="/models/smb/previews")
        person.sends(f"{answer.location}/cancel", on=answer.location)
        assert "Cancelled" in person.opens(answer.location).text


class TestOverlaps:
    def test_are_told_beside_the_models(self, person: Any, smb: str, work_off: Any) -> None:
        service.create_model(person.tenant_id, MODEL.format(owner=20).replace("model: smb", "model: other"))
        service.publish(person.tenant_id, "other", by="Ada Example")
        work_off(person.tenant_id)
        assert "/model-overlaps" in person.opens("/models").text
        page = person.opens("/model-overlaps").text
        assert "3 leads" in page
        assert "Every lead belongs to a model" in page
