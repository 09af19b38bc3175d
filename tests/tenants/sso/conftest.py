"""A tenant whose people log in through a provider of its own, and a domain that is the tenant's."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import insert

from assay.settings import Settings
from assay_sdk import egress
from assay_tenants.access.service import SignedUp, sign_up
from assay_tenants.database import tenant_session
from assay_tenants.sso import domains, logins, providers
from assay_tenants.sso.models import Domain
from tests.tenants.sso import nameserver, provider
from tests.tenants.sso.nameserver import Nameserver
from tests.tenants.sso.provider import CLIENT_ID, CLIENT_SECRET, Provider


@dataclass
class Company:
    """A tenant with single sign-on, and somebody in front of a browser."""

    tenant_id: int
    domain: str
    provider: Provider
    browser: str

    @property
    def back(self) -> str:
        return f"https://assay.test/sso/{self.tenant_id:x}/callback"

    def sets_up(self, **further: Any) -> None:
        usual = {"issuer": self.provider.issuer, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
        providers.save(self.tenant_id, providers.Wanted(**{**usual, **further}), redirect_uri=self.back, by="owner")

    def begins(self, **options: Any) -> str:
        return logins.begin(self.tenant_id, browser=self.browser, redirect_uri=self.back, **options)

    def comes_back(
        self, came: dict[str, str], *, browser: str | None = None, tenant_id: int | None = None
    ) -> logins.Entered:
        return logins.finish(
            logins.Return(**came),
            tenant_id=self.tenant_id if tenant_id is None else tenant_id,
            browser=self.browser if browser is None else browser,
            redirect_uri=self.back,
        )

    def logs_in(self, name: str = "ines", *, subject: str = "subject-1", **claims: Any) -> logins.Entered:
        told = {"email": f"{name}@{self.domain}", "name": name.capitalize(), "sub": subject, **claims}
        return self.comes_back(self.provider.approve(self.begins(), **told))


def claimed(tenant_id: int, domain: str) -> str:
    """A domain that has been verified."""
    with tenant_session(tenant_id) as session:
        now = datetime.now(UTC)
        row = {"tenant_id": tenant_id, "domain": domain, "proof": f"assay-domain={tenant_id}", "created_at": now}
        session.execute(insert(Domain).values(**row, verified_at=now, method="dns"))
    return domain


@pytest.fixture(scope="package")
def a_provider(settings: Settings, connected: None) -> Iterator[Provider]:
    egress.configure(("127.0.0.1",))
    with provider.running() as running:
        yield running
    egress.configure(settings.egress_allow.split(","))


@pytest.fixture(autouse=True)
def behaving(a_provider: Provider) -> None:
    """Whatever it was told to do by the test before."""
    a_provider.document, a_provider.userinfo, a_provider.asked = {}, {}, {}


def company_with(tenant: SignedUp, a_provider: Provider) -> Company:
    domain = claimed(tenant.tenant_id, f"firm-{tenant.tenant_id}.test")
    made = Company(tenant.tenant_id, domain, a_provider, logins.new_browser())
    made.sets_up()
    return made


@pytest.fixture
def company(a_provider: Provider, behaving: None, tenant: SignedUp) -> Company:
    return company_with(tenant, a_provider)


@pytest.fixture(scope="package")
def lasting_company(a_provider: Provider) -> Company:
    """One for all tests by which nothing changes."""
    owner = {"name": "Ada", "email": "ada@lasting.example.test", "password": "a long enough password"}
    return company_with(sign_up(company="Lasting", plugin="segment", verified=True, **owner), a_provider)


@pytest.fixture
def dns(settings: Settings) -> Iterator[Nameserver]:
    with nameserver.running() as running:
        domains.configure(running.address)
        yield running
    domains.configure(settings.nameserver)
