"""What is done with companies names its tenant in every statement; one tenant's domains are not another's."""

from datetime import UTC, datetime

from assay.normalise import Normalised
from assay.profiles import companies, company_queries, knowing, service, unfolding
from assay.scoring.company_people import people_of
from assay_sdk import Company, Identifiers, Identify
from assay_tenants.database import tenant_session

AT = datetime(2026, 3, 1, tzinfo=UTC)


def tell(tenant_id: int, *, import_id: int = 0) -> None:
    records = [
        Identify(Identifiers(user_id="u1", email="ann@acme.test"), {}, AT),
        Company(Identifiers(user_id="u2"), "51", {"domain": "acme.test", "secret": str(tenant_id)}, AT),
        Company(Identifiers(), "52", {"domain": "acme.test"}, AT),
    ]
    with tenant_session(tenant_id) as session:
        batch = [Normalised(each, 1, None, AT, None) for each in records]
        service.apply(session, tenant_id, batch, import_id=import_id)


def test_every_statement_names_its_tenant(tenant, watch) -> None:
    tell(tenant.tenant_id)
    tell(tenant.tenant_id, import_id=7)
    with tenant_session(tenant.tenant_id) as session:
        known_at = knowing.learn(session, tenant.tenant_id)
        companies.refresh(session, tenant.tenant_id, ["51", "52"], known_at)
    unfolding.drain_unfolded(tenant.tenant_id)
    (found,) = company_queries.list_companies(tenant.tenant_id, text="acme").items
    company_queries.get_company(tenant.tenant_id, found.id)
    people_of(tenant.tenant_id, found.id)
    assert watch.seen > 20
    assert watch.unfiltered == []


def test_tenants_with_people_of_one_domain_do_not_share_its_company(tenant, neighbour) -> None:
    for each in (tenant, neighbour):
        tell(each.tenant_id)
    for each in (tenant, neighbour):
        (found,) = company_queries.list_companies(each.tenant_id).items
        traits = {trait.name: trait.value for trait in company_queries.get_company(each.tenant_id, found.id).traits}
        assert traits["secret"] == str(each.tenant_id)
        assert found.people == 2
