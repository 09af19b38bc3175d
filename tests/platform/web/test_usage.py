from typing import Any

import pytest

from assay_tenants import plans
from assay_tenants.database import tenant_session
from assay_tenants.plans import catalogue
from assay_tenants.plans.catalogue import Plan
from assay_tenants.plans.metering import count_events

ADDRESS = "/settings/usage"


@pytest.fixture(autouse=True)
def offered(monkeypatch: pytest.MonkeyPatch) -> None:
    small = Plan("small", "Small", events_per_month=10, events_at_most=12, models=2)
    large = Plan("large", "Large", models=9, offered=True)
    monkeypatch.setattr(catalogue, "_plans", {plan.name: plan for plan in (*catalogue.OUR_OWN, small, large)})


def test_is_linked_and_tells_what_was_used(person: Any) -> None:
    plans.change_plan(person.tenant_id, "small")
    with tenant_session(person.tenant_id) as session:
        count_events(session, person.tenant_id, 7)
    assert ADDRESS in person.opens("/settings").text
    page = " ".join(person.opens(ADDRESS).text.split())
    assert "You are on the plan Small." in page
    assert '<td class="number">7</td> <td class="number">10</td> <td class="number">12</td>' in page
    assert "70 %" in page


def test_says_when_nothing_more_is_accepted(person: Any) -> None:
    plans.change_plan(person.tenant_id, "small")
    with tenant_session(person.tenant_id) as session:
        count_events(session, person.tenant_id, 12)
    assert "No more events are accepted." in person.opens(ADDRESS).text


def test_an_owner_changes_the_plan(person: Any) -> None:
    assert person.sends(f"{ADDRESS}/plan", on=ADDRESS, plan="large").status_code == 303
    assert "You are on the plan Large." in person.opens(ADDRESS).text


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        pytest.param("", "Choose a plan.", id="none"),
        pytest.param("small", "can&#39;t be chosen here", id="not offered"),
        pytest.param("huge", "There is no plan", id="unknown"),
    ],
)
def test_other_plans_are_refused(person: Any, plan: str, said: str) -> None:
    answer = person.sends(f"{ADDRESS}/plan", on=ADDRESS, plan=plan)
    assert answer.status_code == 422
    assert said in answer.text


def test_a_model_too_many_is_refused_with_the_reason(person: Any) -> None:
    plans.change_plan(person.tenant_id, "small")
    for number in (1, 2, 3):
        source = f"{{model: m{number}, rules: [{{id: a, on: page.viewed, points: 1}}]}}"
        answer = person.sends("/new-model", on="/new-model", source=source)
        assert ("holds 2 models" in answer.text) == (number == 3), answer.text
