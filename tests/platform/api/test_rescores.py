import pytest

from assay.scoring import queries, rescore_jobs, rescoring
from assay_tenants.database import tenant_session


@pytest.fixture
def rescore_id(tenant, publish, make_lead) -> int:
    publish(tenant.tenant_id)
    make_lead(tenant.tenant_id)
    with tenant_session(tenant.tenant_id) as session:
        model = queries.read_model(session, tenant.tenant_id, "sample")
        return rescoring.start(session, tenant.tenant_id, [model.id], "Version 1 is live", "Ada Example")


def test_says_how_far_it_is(call, tenant, rescore_id) -> None:
    before = call("GET", f"/rescores/{rescore_id}").json
    assert (before["state"], before["percent"], before["models"]) == ("waiting", 0, ["sample"])
    while rescore_jobs.drain_rescores(tenant.tenant_id):
        pass
    after = call("GET", f"/rescores/{rescore_id}").json
    assert (after["state"], after["percent"], after["leads"], after["leads_done"]) == ("done", 100, 1, 1)
    assert call("GET", "/rescores?model=sample").json["items"][0] == after


def test_is_stopped_and_gone_on_with(call, rescore_id) -> None:
    assert call("POST", f"/rescores/{rescore_id}/cancel").json["state"] == "cancelled"
    assert call("POST", f"/rescores/{rescore_id}/resume").json["state"] == "waiting"
    again = call("POST", f"/rescores/{rescore_id}/resume")
    assert (again.status_code, again.json["code"]) == (409, "rescore_running")


def test_one_that_is_not_there(call, neighbour, make_caller, rescore_id) -> None:
    for ask, id_ in ((call, 999_999_999), (make_caller(neighbour.tenant_id), rescore_id)):
        assert ask("GET", f"/rescores/{id_}").status_code == 404
        assert ask("POST", f"/rescores/{id_}/cancel").status_code == 404
