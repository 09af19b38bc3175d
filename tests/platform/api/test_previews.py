from datetime import datetime
from typing import Any

import pytest

from assay.scoring import service
from assay.scoring.studies.service import drain_studies

MODEL = """
model: smb
rules: [{{id: owner, when: {{trait: title, in: [CFO, Owner]}}, points: {owner}}}]
stages: [{{name: Lead, from: 10}}, {{name: MQL, from: 40}}]
"""


@pytest.fixture
def smb(tenant, make_lead) -> str:
    make_lead(tenant.tenant_id, name="Ada Quarry", traits={"title": "CFO"})
    make_lead(tenant.tenant_id, traits={"title": "Clerk"})
    name = service.create_model(tenant.tenant_id, MODEL.format(owner=12.5)).name
    service.publish(tenant.tenant_id, name, by="Ada Example")
    service.save_draft(tenant.tenant_id, name, MODEL.format(owner=45))
    return name


def drain(tenant_id: int) -> None:
    while drain_studies(tenant_id):
        pass


class TestPreviews:
    def test_from_start_to_result(self, call, tenant, smb) -> None:
        started = call("POST", "/models/smb/previews")
        assert started.status_code == 202
        assert (started.json["state"], started.json["result"], started.json["leads_total"]) == ("running", None, None)
        drain(tenant.tenant_id)
        done = call("GET", f"/models/smb/previews/{started.json['id']}").json
        assert (done["state"], done["leads_done"], done["leads_total"]) == ("done", 2, 2)
        result: dict[str, Any] = done["result"]
        assert result["stages"][0] == {"place": "stage:MQL", "before": 0, "after": 1, "enters": 1, "leaves": 0}
        (mover,) = result["movers"]
        assert (mover["name"], mover["before"]["total"], mover["after"]["total"]) == ("Ada Quarry", 12.5, 45)
        assert mover["rules"] == [{"rule": "owner", "words": "title is CFO or Owner", "points": 32.5}]
        assert result["totals"]["bins"][0]["from"] == 0
        assert [item["id"] for item in call("GET", "/models/smb/previews").json["items"]] == [done["id"]]
        published = call("POST", "/models/smb/publish").json["version"]
        assert call("GET", f"/models/smb/versions/{published}").json["hash"] == done["hash"]

    def test_changes_as_a_file(self, call, tenant, smb) -> None:
        id_ = call("POST", "/models/smb/previews?sample=10").json["id"]
        drain(tenant.tenant_id)
        file = call("GET", f"/models/smb/previews/{id_}/changes")
        assert file.mimetype == "text/csv"
        heading, row = file.text.splitlines()
        assert heading.startswith("lead_id,name,email,total_before,total_after,change")
        assert ",Ada Quarry,,12.5,45,32.5,Lead,MQL," in row

    def test_can_be_cancelled(self, call, smb) -> None:
        id_ = call("POST", "/models/smb/previews").json["id"]
        assert call("POST", f"/models/smb/previews/{id_}/cancel").json["state"] == "cancelled"

    @pytest.mark.parametrize(
        ("path", "status"),
        [
            pytest.param("/models/smb/previews?sample=0", 422, id="a sample of nobody"),
            pytest.param("/models/smb/previews?simple=1", 422, id="no such parameter"),
            pytest.param("/models/none/previews", 404, id="no such model"),
            pytest.param("/models/smb/replays?every=often", 422, id="no length"),
            pytest.param("/models/smb/replays?from=2026-01-01", 422, id="no instant"),
            pytest.param("/models/smb/replays?to=0001-01-01T00:00:00Z", 422, id="the beginning of the calendar"),
            pytest.param("/models/smb/replays?from=9999-12-31T23:59:59-12:00", 422, id="beyond the calendar"),
            pytest.param("/models/smb/replays?before=-1", 422, id="after the outcome"),
        ],
    )
    def test_refuses(self, call, smb, path: str, status: int) -> None:
        assert call("POST", path).status_code == status


class TestReplays:
    def test_from_start_to_result(self, call, tenant, smb) -> None:
        query = "from=2026-03-02T00:00:00Z&to=2026-03-16T00:00:00Z&every=1w&won=deal.won"
        started = call("POST", f"/models/smb/replays?{query}")
        assert started.status_code == 202
        drain(tenant.tenant_id)
        result = call("GET", f"/models/smb/replays/{started.json['id']}").json["result"]
        assert [datetime.fromisoformat(each["at"]).day for each in result["instants"]] == [2, 9, 16]
        assert result["instants"][0]["draft"]["stood"] == {"stage:MQL": 1, "none": 1}
        assert result["instants"][0]["live"]["stood"] == {"stage:Lead": 1, "none": 1}
        assert [stage["stage"] for stage in result["called"]] == ["MQL", "Lead"]
        assert result["outcomes"][0]["leads"] == 0


def test_overlaps(call, tenant, smb, work_off) -> None:
    work_off(tenant.tenant_id)
    found = call("GET", "/models/overlaps").json
    assert (found["leads"], found["uncovered"], found["pairs"]) == (2, 0, [])
    assert found["models"] == [{"model": "smb", "title": "smb", "precedence": 0, "leads": 2, "alone": 2, "leading": 2}]
