"""What a plan refuses, and to whom."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Thread

import pytest
from sqlalchemy import text

from assay_tenants import plans
from assay_tenants.access import invitations
from assay_tenants.access.service import SignedUp
from assay_tenants.audit.models import AuditEntry
from assay_tenants.database import tenant_session
from assay_tenants.errors import BadInput
from assay_tenants.permissions import PERMISSIONS
from assay_tenants.plans import catalogue, changing
from assay_tenants.plans.catalogue import Plan
from assay_tenants.plans.standing import Standing

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SMALL = Plan("small", "Small", events_per_month=10, events_at_most=12, leads=2, leads_at_most=3, models=2, members=2)


@pytest.fixture
def offered(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small plan, a trial and one that owners may choose."""
    trial = Plan("short", "Short", models=5, trial_days=7)
    choosable = Plan("large", "Large", models=9, offered=True)
    ours = {plan.name: plan for plan in (*catalogue.OUR_OWN, SMALL, trial, choosable)}
    monkeypatch.setattr(catalogue, "_plans", ours)


@pytest.mark.parametrize(
    ("used", "events_said", "people_said"),
    [
        pytest.param({}, None, None, id="nothing used"),
        pytest.param({"events": 11}, None, None, id="above what is included"),
        pytest.param({"events": 12}, "12 events", "12 events", id="events used up"),
        pytest.param({"leads": 3}, None, "has 3 leads", id="leads used up"),
        pytest.param({"trial_ends_at": NOW}, "trial", "trial", id="trial over at its very end"),
        pytest.param({"trial_ends_at": NOW + timedelta(microseconds=1)}, None, None, id="trial not over"),
    ],
)
def test_what_is_refused(used: dict[str, object], events_said: str | None, people_said: str | None) -> None:
    standing = Standing(**{"plan": SMALL, "events": 0, "leads": 0, "trial_ends_at": None, "at": NOW, **used})
    for said, refusal in ((events_said, standing.refuses_events), (people_said, standing.refuses_people)):
        assert (refusal is None) == (said is None)
        assert (said or "") in (refusal or "")


def test_a_plan_without_limits_refuses_nothing() -> None:
    standing = Standing(Plan("unlimited", "Unlimited"), 10**12, 10**12, None, NOW)
    assert standing.refuses_events is None
    assert standing.refuses_people is None


def test_places_run_out(offered: None, tenant: SignedUp) -> None:
    plans.change_plan(tenant.tenant_id, "small")
    with tenant_session(tenant.tenant_id) as session:
        plans.require_place(session, tenant.tenant_id, "models", count=lambda: 1)
        with pytest.raises(plans.PlanLimit, match="The plan Small holds 2 models, and there are 2"):
            plans.require_place(session, tenant.tenant_id, "models", count=lambda: 2)


def test_two_who_ask_at_once_do_not_count_the_same(offered: None, tenant: SignedUp) -> None:
    plans.change_plan(tenant.tenant_id, "small")
    made: list[str] = []
    refused: list[str] = []

    def count() -> int:
        with tenant_session(tenant.tenant_id) as other:
            return other.execute(
                text("SELECT count(*) FROM tenancy.sources WHERE tenant_id = :t"), {"t": tenant.tenant_id}
            ).scalar_one()

    def add(name: str) -> None:
        try:
            with tenant_session(tenant.tenant_id) as session:
                plans.require_place(session, tenant.tenant_id, "models", count=count)
                session.execute(
                    text(
                        "INSERT INTO tenancy.sources (tenant_id, name, plugin, created_at)"
                        " VALUES (:t, :name, 'segment', now())"
                    ),
                    {"t": tenant.tenant_id, "name": name},
                )
            made.append(name)
        except plans.PlanLimit as limit:
            refused.append(limit.message)

    # One source is there from the sign-up, and two fit.
    threads = [Thread(target=add, args=(f"Source {number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(made), len(refused)) == (1, 3)


def test_a_trial_that_is_over_takes_nothing_new(offered: None, tenant: SignedUp) -> None:
    plans.change_plan(tenant.tenant_id, "short")
    with tenant_session(tenant.tenant_id) as session:
        session.execute(text("UPDATE tenancy.tenants SET trial_ends_at = now() WHERE id = :t"), {"t": tenant.tenant_id})
    with tenant_session(tenant.tenant_id) as session:
        for refused in (
            lambda: plans.require_place(session, tenant.tenant_id, "members", count=lambda: 0),
            lambda: plans.require_people(session, tenant.tenant_id),
        ):
            with pytest.raises(plans.PlanLimit, match="The trial of this account ended"):
                refused()


class TestChange:
    def test_it_is_written_down(self, offered: None, tenant: SignedUp) -> None:
        plans.change_plan(tenant.tenant_id, "small")
        with tenant_session(tenant.tenant_id) as session:
            entry = session.query(AuditEntry).filter_by(tenant_id=tenant.tenant_id, action="plan.changed").one()
        assert (entry.before, entry.after) == ({"plan": "unlimited"}, {"plan": "small"})

    def test_a_trial_ends_when_its_days_are_over(self, offered: None, tenant: SignedUp) -> None:
        plans.change_plan(tenant.tenant_id, "short")
        standing = plans.get_standing(tenant.tenant_id)
        assert standing.trial_ends_at is not None
        assert standing.trial_ends_at - standing.at > timedelta(days=6, hours=23)
        plans.change_plan(tenant.tenant_id, "small")
        assert plans.get_standing(tenant.tenant_id).trial_ends_at is None

    @pytest.mark.parametrize(
        ("name", "said"),
        [
            pytest.param("huge", "There is no plan 'huge'; there are unlimited, trial", id="unknown"),
            pytest.param("short", "can't be chosen here", id="a trial anew"),
            pytest.param("unlimited", "can't be chosen here", id="not offered"),
        ],
    )
    def test_an_owner_chooses_only_what_is_offered(self, offered: None, tenant: SignedUp, name: str, said: str) -> None:
        with pytest.raises(BadInput, match=said):
            plans.change_plan(tenant.tenant_id, name, chosen_by_owner=True)
        assert plans.change_plan(tenant.tenant_id, "large", chosen_by_owner=True).title == "Large"

    def test_a_neighbours_plan_stays(self, offered: None, tenant: SignedUp, neighbour: SignedUp) -> None:
        plans.change_plan(tenant.tenant_id, "small")
        assert plans.get_standing(neighbour.tenant_id).plan.name == "unlimited"


def test_who_signs_up_begins_on_the_plan_of_the_installation(
    offered: None, make_tenant: Callable[[], SignedUp], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changing, "_at_sign_up", "short")
    assert plans.get_standing(make_tenant().tenant_id).plan.name == "short"


class TestMembers:
    def test_an_invitation_takes_a_place_until_it_is_over(self, offered: None, tenant: SignedUp) -> None:
        plans.change_plan(tenant.tenant_id, "small")
        invite(tenant.tenant_id, "first")
        with pytest.raises(plans.PlanLimit, match="holds 2 members, and there are 2"):
            invite(tenant.tenant_id, "second")
        with tenant_session(tenant.tenant_id) as session:
            session.execute(
                text("UPDATE tenancy.invitations SET expires_at = now() WHERE tenant_id = :t"), {"t": tenant.tenant_id}
            )
        invite(tenant.tenant_id, "second")
        with pytest.raises(plans.PlanLimit):
            invite(tenant.tenant_id, "first")


def invite(tenant_id: int, name: str) -> None:
    address = f"{name}{tenant_id}@quartz.example.test"
    invitations.invite(tenant_id, email=address, role="viewer", by="Ada Example", may=PERMISSIONS)
