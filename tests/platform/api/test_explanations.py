"""Why a lead has its score and what would change it, in figures and in sentences."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from assay.scoring import jobs

DAY = timedelta(days=1)
YESTERDAY = datetime.now(UTC) - DAY
PRICING = ("page.viewed", YESTERDAY, {"path": "/pricing"})
FRACTIONS = """
model: fractions
dimensions: {interest: {max: 20.5}}
rules:
  - {id: a, dimension: interest, on: page.viewed, points: 0.333}
  - {id: b, dimension: interest, on: page.viewed, points: 30}
  - {id: c, when: {trait: title, is: CFO}, points: -0.1}
"""


class TestExplanation:
    def test_parts_add_up_in_decimals_of_three_places(self, call, tenant, make_lead) -> None:
        call("POST", "/models", data=FRACTIONS, headers={"Content-Type": "application/yaml"})
        call("POST", "/models/fractions/publish")
        lead = make_lead(tenant.tenant_id, traits={"title": "CFO"}, events=[PRICING] * 3)
        jobs.drain_due(tenant.tenant_id)
        answer = call("GET", f"/leads/{lead}/scores/fractions")
        why = answer.get_json()
        points = [Decimal(str(part["points"])) for part in why["parts"]]
        assert sum(points) == Decimal(str(why["raw"])) == Decimal("20.4")
        assert all(each == round(each, 3) for each in points)
        assert '"raw":20.4,' in answer.text.replace(" ", "")
        (stored,) = call("GET", f"/leads/{lead}").json["scores"]
        for name in ("total", "raw", "stage", "grade", "dimensions", "next_change"):
            assert why[name] == stored[name], name

    def test_of_an_instant_in_the_past(self, call, tenant, publish, make_lead) -> None:
        publish(tenant.tenant_id)
        lead = make_lead(tenant.tenant_id, events=[PRICING])
        before = (YESTERDAY - DAY).isoformat()
        assert call("GET", f"/leads/{lead}/scores/sample", query_string={"at": before}).json["total"] == 0
        assert call("GET", f"/leads/{lead}/scores/sample").json["total"] == 15

    @pytest.mark.parametrize(
        ("query", "headers", "begin"),
        [
            pytest.param({}, {}, "“", id="English"),
            pytest.param({"language": "vi"}, {}, "“pricing” cộng 15 điểm: page.viewed vào ", id="asked for"),
            pytest.param({}, {"Accept-Language": "de, ro;q=0.9"}, "„pricing” adaugă 15 puncte: ", id="accepted"),
            pytest.param({"language": "zh"}, {"Accept-Language": "ro"}, "“pricing”加 15 分：", id="asked for before"),
        ],
    )
    def test_a_sentence_for_each_part(
        self, call, tenant, publish, make_lead, query: dict[str, str], headers: dict[str, str], begin: str
    ) -> None:
        publish(tenant.tenant_id)
        lead = make_lead(tenant.tenant_id, events=[PRICING])
        jobs.drain_due(tenant.tenant_id)
        why = call("GET", f"/leads/{lead}/scores/sample", query_string=query, headers=headers).json
        (part,) = (each for each in why["parts"] if each["counted"])
        assert part["sentence"].startswith(begin)
        assert part["why"].startswith("page.viewed on ")
        assert (part["codes"], part["events_behind"], len(part["events"])) == (["event"], 1, 1)

    def test_a_language_we_do_not_speak(self, call, tenant, publish, make_lead) -> None:
        publish(tenant.tenant_id)
        lead = make_lead(tenant.tenant_id)
        answer = call("GET", f"/leads/{lead}/scores/sample?language=de")
        assert answer.status_code == 422
        assert answer.json["errors"][0]["field"] == "language"


class TestOutlook:
    def test_the_next_stage_and_what_leads_there(self, call, tenant, publish, make_lead) -> None:
        publish(tenant.tenant_id)
        lead = make_lead(tenant.tenant_id, events=[PRICING])
        jobs.drain_due(tenant.tenant_id)
        ahead = call("GET", f"/leads/{lead}/outlook?model=sample&language=ro").json
        assert (ahead["now"]["total"], ahead["now"]["stage"], ahead["next_stage"]) == (15, "Prospect", "Lead")
        assert ahead["ways"]
        for way in ahead["ways"]:
            assert way["stage"] == "Lead"
            assert way["sentence"].startswith("Pentru a ajunge la Lead este nevoie de: ")
        assert ahead["hints"][0].startswith("Lipsesc ")

    @pytest.mark.parametrize(
        ("query", "status"),
        [pytest.param("", 422, id="no model named"), pytest.param("?model=nobody", 404, id="no such model")],
    )
    def test_refusals(self, call, tenant, make_lead, query: str, status: int) -> None:
        assert call("GET", f"/leads/{make_lead(tenant.tenant_id)}/outlook{query}").status_code == status
