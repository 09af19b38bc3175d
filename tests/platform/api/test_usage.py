from typing import Any

import pytest

from assay_tenants import plans
from assay_tenants.access.service import SignedUp
from assay_tenants.database import tenant_session
from assay_tenants.plans import catalogue
from assay_tenants.plans.catalogue import Plan
from assay_tenants.plans.metering import count_events


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = Plan("small", "Small", events_per_month=10, events_at_most=12, models=1)
    monkeypatch.setattr(catalogue, "_plans", {plan.name: plan for plan in (*catalogue.OUR_OWN, plan)})


def test_a_plan_without_limits(call: Any) -> None:
    answer = call("GET", "/usage")
    assert answer.status_code == 200
    assert answer.json["plan"]["name"] == "unlimited"
    assert answer.json["plan"]["events_per_month"] is None
    assert (answer.json["refuses"], answer.json["months"]) == (None, [])


def test_what_was_used(call: Any, tenant: SignedUp) -> None:
    plans.change_plan(tenant.tenant_id, "small")
    with tenant_session(tenant.tenant_id) as session:
        count_events(session, tenant.tenant_id, 12)
    answer = call("GET", "/usage").json
    assert answer["months"][0]["events"] == 12
    assert "12 events that its plan Small holds" in answer["refuses"]
    assert answer["plan"]["models"] == 1


def test_a_model_too_many_is_403(call: Any, tenant: SignedUp) -> None:
    plans.change_plan(tenant.tenant_id, "small")
    for number, status in ((1, 201), (2, 403)):
        source = f"{{model: m{number}, rules: [{{id: a, on: page.viewed, points: 1}}]}}"
        answer = call("POST", "/models", data=source, headers={"Content-Type": "application/yaml"})
        assert answer.status_code == status, answer.text
    assert answer.json["code"] == "plan_limit"
