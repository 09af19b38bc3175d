"""The pages of companies."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from flask.testing import FlaskClient

from assay.normalise import Normalised
from assay.profiles import companies, queries, service
from assay_sdk import Company, CoreRecord, Identifiers, Identify
from assay_tenants.access.service import SignedUp
from assay_tenants.database import tenant_session

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def browser(person: Any) -> FlaskClient:
    client: FlaskClient = person.client
    return client


@pytest.fixture
def tell(tenant: SignedUp) -> Callable[..., None]:
    def told(*records: CoreRecord) -> None:
        with tenant_session(tenant.tenant_id) as session:
            service.apply(session, tenant.tenant_id, [Normalised(each, 1, None, AT, None) for each in records])

    return told


def stated(company_id: str, who: str | None = None, **traits: Any) -> Company:
    return Company(Identifiers(user_id=who), company_id, traits, AT)


class TestList:
    def test_shows_names_domains_and_how_many_people(self, browser: FlaskClient, tell: Callable[..., None]) -> None:
        tell(
            stated("51", "u1", name="Công ty <Ắc>", domain="acme.test"),
            Identify(Identifiers(email="ann@acme.test"), {}, AT),
        )
        page = browser.get("/companies").text
        assert "Công ty &lt;Ắc&gt;" in page
        assert "acme.test" in page
        assert '<td class="number" data-label="Leads">2</td>' in page

    @pytest.mark.parametrize(("question", "says"), [("", "No company is known yet"), ("?text=zz", "No company fits")])
    def test_says_that_it_is_empty(self, browser: FlaskClient, question: str, says: str) -> None:
        assert says in browser.get(f"/companies{question}").text

    def test_goes_on(self, browser: FlaskClient, tell: Callable[..., None]) -> None:
        tell(*(stated(f"c{number:02}") for number in range(60)))
        page = browser.get("/companies").text
        assert "c49" in page
        assert "c50" not in page
        more = page.partition('hx-get="/companies?cursor=')[2].partition('"')[0]
        rest = browser.get(f"/companies?cursor={more}", headers={"HX-Target": "tr#more"}).text
        assert "c50" in rest
        assert "<html" not in rest


class TestCompany:
    def company_id(self, tenant: SignedUp, browser: FlaskClient) -> str:
        return browser.get("/companies").text.partition('href="/companies/')[2].partition('"')[0]

    def test_shows_people_and_where_each_trait_came_from(
        self, browser: FlaskClient, tell: Callable[..., None], tenant: SignedUp
    ) -> None:
        tell(
            stated("51", "u1", name="Acme", domain="acme.test", employees=40),
            stated("a-1", None, domain="acme.test", city="Huế"),
            Identify(Identifiers(email="ann@acme.test"), {"name": "Ann Example"}, AT),
        )
        page = browser.get(f"/companies/{self.company_id(tenant, browser)}").text
        for part in ("Ann Example", "40", "from the domain", "as a-1", "as 51", "<code>a-1</code>", "company.city"):
            assert part in page, part

    def test_says_that_a_domain_is_a_crowds(
        self,
        browser: FlaskClient,
        tell: Callable[..., None],
        tenant: SignedUp,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(companies, "CROWD", 1)
        tell(stated("51", None, domain="acme.test"), stated("52", None, domain="acme.test"))
        page = browser.get(f"/companies/{self.company_id(tenant, browser)}").text
        assert "2 companies state the domain acme.test: too many to be one" in page

    def test_is_linked_from_its_people(self, browser: FlaskClient, tell: Callable[..., None], tenant: SignedUp) -> None:
        tell(stated("51", "u1", name="Acme"))
        company_id = self.company_id(tenant, browser)
        people = browser.get(f"/companies/{company_id}").text
        lead_id = people.partition('href="/leads/')[2].partition('"')[0]
        assert f'<a href="/companies/{company_id}">Acme</a>' in browser.get(f"/leads/{lead_id}").text
        assert queries.get_lead(tenant.tenant_id, int(lead_id)).company_id == int(company_id)

    def test_is_not_found_where_there_is_none(self, browser: FlaskClient) -> None:
        assert browser.get("/companies/999999999").status_code == 404
