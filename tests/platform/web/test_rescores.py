from collections.abc import Callable
from typing import Any

import pytest

from assay.scoring import rescore_jobs, rescoring, service
from assay_tenants.access.service import SignedUp


@pytest.fixture
def rescore_id(tenant: SignedUp, publish: Callable[..., int], make_lead: Callable[..., int]) -> int:
    make_lead(tenant.tenant_id)
    publish(tenant.tenant_id)
    (begun,) = rescoring.list_rescores(tenant.tenant_id)
    return begun.id


def test_the_part_asks_again_until_it_is_done(person: Any, tenant: SignedUp, rescore_id: int) -> None:
    assert 'hx-get="/models/sample/rescore" hx-trigger="load"' in person.opens("/models/sample").text
    part = person.opens("/models/sample/rescore").text
    assert "Scoring all leads" in part
    assert 'hx-trigger="every 1s"' in part
    while rescore_jobs.drain_rescores(tenant.tenant_id):
        pass
    part = person.opens("/models/sample/rescore").text
    assert "All leads scored" in part
    assert "hx-trigger" not in part


def test_a_person_stops_it_and_goes_on(person: Any, tenant: SignedUp, rescore_id: int) -> None:
    assert person.sends(f"/models/sample/rescores/{rescore_id}/cancel", on="/models/sample").status_code == 303
    assert "Stopped" in person.opens("/models/sample/rescore").text
    assert person.sends(f"/models/sample/rescores/{rescore_id}/resume", on="/models/sample").status_code == 303
    assert rescoring.get_rescore(tenant.tenant_id, rescore_id).state == "waiting"


def test_a_model_that_never_scored_has_none(person: Any, tenant: SignedUp, model_text: Callable[..., str]) -> None:
    service.create_model(tenant.tenant_id, model_text())
    assert "<section" not in person.opens("/models/sample/rescore").text


def test_the_neighbours_is_not_there(person_of: Any, neighbour: SignedUp, rescore_id: int) -> None:
    theirs = person_of(neighbour)
    assert theirs.opens("/models/sample/rescore").status_code == 404
    answer = theirs.sends(f"/models/sample/rescores/{rescore_id}/cancel", on="/models/new")
    assert answer.status_code == 404
