"""A provider of payments: asked, heard and told, by a small one of our own that keeps to the same interface."""

import hmac
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from hashlib import sha256
from typing import Any

import pytest

from assay import billing, plugins
from assay_sdk import Account, Billing, PlanChange, Refused, UsageReport
from assay_tenants import plans
from assay_tenants.access.service import SignedUp
from assay_tenants.audit.models import AuditEntry
from assay_tenants.database import tenant_session
from assay_tenants.plans import catalogue
from assay_tenants.plans.catalogue import Plan
from assay_tenants.plans.metering import count_events
from assay_tenants.plans.models import Usage

SECRET = b"of this provider"


class Till(Billing):
    """Signs notices with HMAC, and keeps what it is told."""

    name = "till"

    def __init__(self) -> None:
        self.reports: list[UsageReport] = []
        self.is_away = False

    def address_for(self, account: Account, plan: str) -> str:
        if self.is_away:
            raise ConnectionError
        return f"https://till.example.test/{account.tenant_id}/{plan}"

    def read_notice(self, headers: Mapping[str, str], body: bytes) -> Sequence[PlanChange]:
        if not hmac.compare_digest(headers.get("x-signature", ""), sign(body)):
            raise Refused("The signature is not the till's.")
        return [PlanChange(**change) for change in json.loads(body)]

    def report(self, usage: UsageReport) -> None:
        if self.is_away:
            raise ConnectionError
        self.reports.append(usage)


def sign(body: bytes) -> str:
    return hmac.new(SECRET, body, sha256).hexdigest()


@pytest.fixture
def till(monkeypatch: pytest.MonkeyPatch) -> Till:
    provider = Till()
    monkeypatch.setattr(plugins.installed(), "billing", provider)
    return provider


@pytest.fixture(autouse=True)
def offered(monkeypatch: pytest.MonkeyPatch) -> None:
    large = Plan("large", "Large", models=9, offered=True)
    monkeypatch.setattr(catalogue, "_plans", {plan.name: plan for plan in (*catalogue.OUR_OWN, large)})


def notice(client: Any, changes: list[dict[str, Any]], *, signature: str | None = None) -> Any:
    body = json.dumps(changes).encode()
    return client.post("/hooks/billing", data=body, headers={"X-Signature": signature or sign(body)})


class TestChoose:
    def test_the_owner_pays_first(self, till: Till, tenant: SignedUp) -> None:
        address = billing.choose(tenant.tenant_id, "large", email="ada@quartz.example.test")
        assert address == f"https://till.example.test/{tenant.tenant_id}/large"
        assert plans.get_standing(tenant.tenant_id).plan.name == "unlimited"

    def test_without_a_provider_the_plan_changes_at_once(self, tenant: SignedUp) -> None:
        assert billing.choose(tenant.tenant_id, "large", email="") is None
        assert plans.get_standing(tenant.tenant_id).plan.name == "large"

    def test_a_provider_that_is_away_changes_nothing(self, till: Till, tenant: SignedUp) -> None:
        till.is_away = True
        with pytest.raises(billing.ProviderAway):
            billing.choose(tenant.tenant_id, "large", email="")
        assert plans.get_standing(tenant.tenant_id).plan.name == "unlimited"


class TestHear:
    def test_a_notice_changes_the_plan_and_says_who_did(self, till: Till, tenant: SignedUp, client: Any) -> None:
        answer = notice(client, [{"tenant_id": tenant.tenant_id, "plan": "large"}])
        assert (answer.status_code, answer.json) == (200, {"changed": 1})
        assert plans.get_standing(tenant.tenant_id).plan.name == "large"
        with tenant_session(tenant.tenant_id) as session:
            entry = session.query(AuditEntry).filter_by(tenant_id=tenant.tenant_id, action="plan.changed").one()
        assert (entry.actor_kind, entry.actor_name) == ("system", "Billing by till")

    def test_the_same_notice_twice_is_one_change(self, till: Till, tenant: SignedUp, client: Any) -> None:
        for _ in range(2):
            assert notice(client, [{"tenant_id": tenant.tenant_id, "plan": "large"}]).status_code == 200
        with tenant_session(tenant.tenant_id) as session:
            assert session.query(AuditEntry).filter_by(tenant_id=tenant.tenant_id, action="plan.changed").count() == 1

    def test_the_same_notice_twice_begins_one_trial(self, till: Till, tenant: SignedUp, client: Any) -> None:
        ends = []
        for _ in range(2):
            assert notice(client, [{"tenant_id": tenant.tenant_id, "plan": "trial"}]).status_code == 200
            ends.append(plans.get_standing(tenant.tenant_id).trial_ends_at)
        assert ends[0] == ends[1] is not None

    @pytest.mark.parametrize(
        ("change", "signature", "status", "said"),
        [
            pytest.param({"plan": "large"}, "forged", 401, "not the till's", id="forged"),
            pytest.param({"plan": "huge"}, None, 422, "no plan 'huge'", id="unknown plan"),
            pytest.param({"plan": "large", "tenant_id": 999_999_999}, None, 422, "no tenant", id="unknown tenant"),
        ],
    )
    def test_what_is_refused(
        self,
        till: Till,
        tenant: SignedUp,
        client: Any,
        change: dict[str, Any],
        signature: str | None,
        status: int,
        said: str,
    ) -> None:
        answer = notice(client, [{"tenant_id": tenant.tenant_id, **change}], signature=signature)
        assert answer.status_code == status
        assert said in answer.json["detail"]
        assert plans.get_standing(tenant.tenant_id).plan.name == "unlimited"

    def test_without_a_provider_nobody_listens(self, client: Any) -> None:
        assert notice(client, []).status_code == 404


class TestReport:
    def test_once_a_day_and_again_after_a_failure(self, till: Till, tenant: SignedUp) -> None:
        with tenant_session(tenant.tenant_id) as session:
            count_events(session, tenant.tenant_id, 7)
        now = datetime.now(UTC)
        till.is_away = True
        assert billing.report(tenant.tenant_id, now) == 0
        till.is_away = False
        assert billing.report(tenant.tenant_id, now) == 1
        assert billing.report(tenant.tenant_id, now) == 0
        [told] = till.reports
        assert (told.events, told.account.tenant_id, told.month.day) == (7, tenant.tenant_id, 1)
        assert told.account.email.endswith("@quartz.example.test")

    @pytest.mark.parametrize(
        ("told_at", "now", "is_due"),
        [
            pytest.param(None, datetime(2026, 11, 5, tzinfo=UTC), True, id="never told"),
            pytest.param(
                datetime(2026, 11, 5, tzinfo=UTC), datetime(2026, 11, 5, 23, 50, tzinfo=UTC), False, id="same day"
            ),
            pytest.param(datetime(2026, 11, 5, tzinfo=UTC), datetime(2026, 11, 6, tzinfo=UTC), True, id="a day later"),
            pytest.param(
                datetime(2026, 11, 30, 23, 55, tzinfo=UTC), datetime(2026, 12, 1, 1, 0, tzinfo=UTC), True, id="the end"
            ),
            pytest.param(
                datetime(2026, 12, 1, 0, 5, tzinfo=UTC),
                datetime(2026, 12, 1, 1, 5, tzinfo=UTC),
                True,
                id="told before the last batches of the month were committed",
            ),
            pytest.param(
                datetime(2026, 12, 1, 1, 5, tzinfo=UTC), datetime(2026, 12, 9, tzinfo=UTC), False, id="after the end"
            ),
        ],
    )
    def test_when(self, told_at: datetime | None, now: datetime, is_due: bool) -> None:
        row = Usage(month=date(2026, 11, 1), reported_at=told_at)
        assert billing._is_due(row, now) == is_due


def test_only_one_provider_is_taken() -> None:
    found = plugins.Plugins()
    found.bill_by(Till())
    with pytest.raises(ValueError, match="Two plugins provide billing"):
        found.bill_by(Till())
