from assay.scoring import service
from assay.scoring.overlaps import find_overlaps

MODEL = """
model: {name}
precedence: {precedence}
audience: {{trait: title, in: [{titles}]}}
rules: [{{id: a, on: page.viewed, points: 1}}]
"""


def publish(tenant_id: int, name: str, titles: str, precedence: int = 0) -> None:
    service.create_model(tenant_id, MODEL.format(name=name, titles=titles, precedence=precedence))
    service.publish(tenant_id, name, by="Ada Example")


class TestOverlaps:
    def test_pairs_with_the_one_that_leads_and_leads_without_a_model(self, tenant, make_lead, work_off) -> None:
        publish(tenant.tenant_id, "owners", "Owner, CFO")
        publish(tenant.tenant_id, "money", "CFO, Banker", precedence=5)
        for title in ("Owner", "CFO", "CFO", "Banker", "Clerk"):
            make_lead(tenant.tenant_id, traits={"title": title})
        work_off(tenant.tenant_id)
        found = find_overlaps(tenant.tenant_id)
        assert (found.leads, found.uncovered) == (5, 1)
        (pair,) = found.pairs
        assert (pair.leader, pair.follower, pair.leads, pair.tied) == ("money", "owners", 2, False)
        told = {model.name: (model.leads, model.alone, model.leading) for model in found.models}
        assert told == {"money": (3, 1, 3), "owners": (3, 1, 1)}

    def test_of_equal_precedence_the_older_leads(self, tenant, make_lead, work_off) -> None:
        publish(tenant.tenant_id, "older", "CFO")
        publish(tenant.tenant_id, "newer", "CFO")
        make_lead(tenant.tenant_id, traits={"title": "CFO"})
        work_off(tenant.tenant_id)
        (pair,) = find_overlaps(tenant.tenant_id).pairs
        assert (pair.leader, pair.follower, pair.tied) == ("older", "newer", True)

    def test_without_a_live_model_every_lead_is_uncovered(self, tenant, make_lead) -> None:
        make_lead(tenant.tenant_id)
        assert find_overlaps(tenant.tenant_id).uncovered == 1
