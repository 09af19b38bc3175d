"""What owners are told of their plan, and when."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from assay import measuring
from assay.measuring import notices
from assay.profiles.models import Lead
from assay_tenants import plans
from assay_tenants.access.service import SignedUp
from assay_tenants.database import directory_session, tenant_session, timetable_session
from assay_tenants.plans import catalogue
from assay_tenants.plans.catalogue import Plan
from assay_tenants.plans.metering import count_events
from assay_tenants.plans.standing import Standing

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SMALL = Plan("small", "Small", events_per_month=100, events_at_most=120, leads=10)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "_plans", {plan.name: plan for plan in (*catalogue.OUR_OWN, SMALL)})


@pytest.mark.parametrize(
    ("used", "said"),
    [
        pytest.param({"events": 79}, [], id="below the first mark"),
        pytest.param({"events": 80}, ["80 % of your plan's events are used"], id="at the first mark"),
        pytest.param({"events": 100}, ["100 % of your plan's events are used"], id="all that is included"),
        pytest.param({"events": 120}, ["Your plan holds no more events"], id="all that is accepted"),
        pytest.param({"leads": 9}, ["80 % of your plan's leads are used"], id="leads"),
        pytest.param(
            {"events": 85, "leads": 12},
            ["80 % of your plan's events are used", "100 % of your plan's leads are used"],
            id="both",
        ),
        pytest.param({"trial_ends_at": NOW + timedelta(days=4)}, [], id="a trial with days left"),
        pytest.param({"trial_ends_at": NOW + timedelta(days=3)}, ["Your trial ends soon"], id="a trial near its end"),
        pytest.param({"trial_ends_at": NOW}, ["Your trial is over"], id="a trial at its end"),
    ],
)
def test_what_there_is_to_say(used: dict[str, object], said: list[str]) -> None:
    standing = Standing(**{"plan": SMALL, "events": 0, "leads": 0, "trial_ends_at": None, "at": NOW, **used})
    assert [notice.subject for notice in notices(standing)] == said


def mails(tenant_id: int) -> list[str]:
    with directory_session() as session:
        rows = session.execute(
            text("SELECT subject FROM tenancy.mails WHERE tenant_id = :t AND subject LIKE '%plan%' ORDER BY id"),
            {"t": tenant_id},
        )
        return list(rows.scalars())


def test_owners_are_told_once_of_each_mark(tenant: SignedUp) -> None:
    plans.change_plan(tenant.tenant_id, "small")
    now = datetime.now(UTC)
    for more, told in ((80, 1), (0, 0), (5, 0), (40, 1), (0, 0)):
        with tenant_session(tenant.tenant_id) as session:
            count_events(session, tenant.tenant_id, more)
        assert len(measuring.measure_one(tenant.tenant_id, now)) == told
    assert mails(tenant.tenant_id) == ["80 % of your plan's events are used", "Your plan holds no more events"]


def test_a_mark_of_another_plan_is_told_too(tenant: SignedUp, monkeypatch: pytest.MonkeyPatch) -> None:
    larger = Plan("larger", "Larger", events_per_month=150, events_at_most=150)
    monkeypatch.setattr(catalogue, "_plans", {plan.name: plan for plan in (*catalogue.OUR_OWN, SMALL, larger)})
    for plan, used in (("small", 120), ("larger", 30)):
        plans.change_plan(tenant.tenant_id, plan)
        with tenant_session(tenant.tenant_id) as session:
            count_events(session, tenant.tenant_id, used)
        measuring.measure_one(tenant.tenant_id, datetime.now(UTC))
    assert mails(tenant.tenant_id) == ["Your plan holds no more events"] * 2


def test_leads_are_counted_for_every_tenant(
    make_tenant: Callable[[], SignedUp], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = make_tenant(), make_tenant()
    everybody = measuring.list_tenants()
    assert {first.tenant_id, second.tenant_id} <= set(everybody)
    # The other tests leave thousands.
    monkeypatch.setattr(measuring, "list_tenants", lambda: everybody[everybody.index(first.tenant_id) :])
    for tenant, count in ((first, 3), (second, 1)):
        with tenant_session(tenant.tenant_id) as session:
            session.add_all(Lead(tenant_id=tenant.tenant_id, first_seen_at=NOW, last_seen_at=NOW) for _ in range(count))
    assert measuring.measure() >= 2
    assert [plans.get_standing(tenant.tenant_id).leads for tenant in (first, second)] == [3, 1]


def test_the_timetable_sees_numbers_and_no_names(connected: None) -> None:
    with timetable_session() as session:
        session.execute(text("SELECT tenant_id, month, events, leads FROM tenancy.usage"))
        allowed = session.execute(
            text("SELECT has_column_privilege(current_user, 'tenancy.tenants', 'name', 'SELECT')")
        ).scalar_one()
    assert not allowed
