"""A plan that holds no more: senders are told before anything is kept, and what was kept is counted once."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, text

from assay.intake import imports
from assay.intake.admission import Admission, TooManyRequests
from assay.intake.errors import PlanUsedUp
from assay.profiles.models import KeptEvent
from assay.settings import Settings
from assay_tenants import plans
from assay_tenants.access.service import SignedUp
from assay_tenants.database import tenant_session
from assay_tenants.plans import catalogue
from assay_tenants.plans.catalogue import Plan
from assay_tenants.plans.metering import count_events, note_leads

SMALL = Plan("small", "Small", events_per_month=10, events_at_most=12, leads=2, leads_at_most=3, requests_per_second=2)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "_plans", {plan.name: plan for plan in (*catalogue.OUR_OWN, SMALL)})


@pytest.fixture
def admission(settings: Settings, connected: None) -> Iterator[Admission]:
    made = Admission.of(settings)
    yield made
    made.room.stop()


def used(tenant_id: int) -> int:
    return sum(month.events for month in plans.list_usage(tenant_id))


def kept(tenant_id: int) -> int:
    with tenant_session(tenant_id) as session:
        return session.scalars(
            select(func.count()).select_from(KeptEvent).where(KeptEvent.tenant_id == tenant_id)
        ).one()


class TestAdmission:
    def test_events_are_refused_from_the_last_one_on(
        self, admission: Admission, tenant: SignedUp, neighbour: SignedUp
    ) -> None:
        plans.change_plan(tenant.tenant_id, "small")
        for more, refused in ((11, False), (1, True)):
            with tenant_session(tenant.tenant_id) as session:
                count_events(session, tenant.tenant_id, more)
            admission.room.look()
            if not refused:
                admission.admit(tenant.tenant_id, 1, 100)
        with pytest.raises(PlanUsedUp, match="12 events that its plan Small holds") as told:
            admission.admit(tenant.tenant_id, 1, 100)
        assert told.value.after == timedelta(minutes=5)
        admission.admit(neighbour.tenant_id, 1, 100)

    def test_people_are_refused_where_events_are_not(self, admission: Admission, tenant: SignedUp) -> None:
        plans.change_plan(tenant.tenant_id, "small")
        with tenant_session(tenant.tenant_id) as session:
            note_leads(session, tenant.tenant_id, 3)
        admission.room.look()
        admission.admit(tenant.tenant_id, 1, 100)
        with pytest.raises(PlanUsedUp, match="has 3 leads"):
            admission.admit(tenant.tenant_id, 1, 100, people=True)
        with pytest.raises(plans.PlanLimit, match="has 3 leads"):
            imports.start_import(tenant.tenant_id, kind="leads", filename="a.csv", stream=BytesIO(b"id\n1\n"))

    @pytest.mark.parametrize("more", [0, 1], ids=["before anything is counted", "with the first event"])
    def test_leads_stay_when_a_month_begins(self, admission: Admission, tenant: SignedUp, more: int) -> None:
        plans.change_plan(tenant.tenant_id, "small")
        with tenant_session(tenant.tenant_id) as session:
            note_leads(session, tenant.tenant_id, 3)
            session.execute(
                text("UPDATE tenancy.usage SET month = month - interval '1 month', events = 9 WHERE tenant_id = :t"),
                {"t": tenant.tenant_id},
            )
            count_events(session, tenant.tenant_id, more)
        standing = plans.get_standing(tenant.tenant_id)
        assert (standing.events, standing.leads) == (more, 3)
        admission.room.look()
        with pytest.raises(PlanUsedUp, match="has 3 leads"):
            admission.admit(tenant.tenant_id, 1, 100, people=True)

    def test_a_larger_plan_lets_them_in_again(self, admission: Admission, tenant: SignedUp) -> None:
        plans.change_plan(tenant.tenant_id, "small")
        with tenant_session(tenant.tenant_id) as session:
            session.execute(
                text("UPDATE tenancy.tenants SET trial_ends_at = now() WHERE id = :t"), {"t": tenant.tenant_id}
            )
        admission.room.look()
        with pytest.raises(PlanUsedUp, match="trial"):
            admission.admit(tenant.tenant_id, 1, 100)
        plans.change_plan(tenant.tenant_id, "business")
        admission.room.look()
        admission.admit(tenant.tenant_id, 1, 100)

    def test_requests_to_the_api_have_a_pace(self, admission: Admission, tenant: SignedUp, neighbour: SignedUp) -> None:
        plans.change_plan(tenant.tenant_id, "small")
        admission.room.look()
        with pytest.raises(TooManyRequests, match="holds 2 requests a second") as told:
            for _ in range(8):
                admission.admit_request(tenant.tenant_id)
        assert timedelta() < told.value.after <= timedelta(seconds=2)
        for _ in range(50):
            admission.admit_request(neighbour.tenant_id)


class TestFiles:
    LINES = b"".join(
        b'{"user_id": "u%d", "type": "page.viewed", "occurred_at": "2026-03-01T12:00:00Z", "id": "e%d"}\n' % (n, n)
        for n in range(30)
    )

    def test_a_file_is_paused_where_the_plan_ends_and_goes_on_with_a_larger_one(
        self, tenant: SignedUp, work_off: Callable[[int], int]
    ) -> None:
        plans.change_plan(tenant.tenant_id, "small")
        sent = imports.start_import(tenant.tenant_id, kind="events", filename="e.jsonl", stream=BytesIO(self.LINES))
        self.use_up(tenant.tenant_id)
        work_off(tenant.tenant_id)
        held = imports.get_import(tenant.tenant_id, sent)
        assert (held.state, held.rows_read, kept(tenant.tenant_id)) == ("paused", 0, 0)
        assert "12 events that its plan Small holds" in (held.error or "")
        with pytest.raises(plans.PlanLimit, match="12 events"):
            imports.resume(tenant.tenant_id, sent)
        plans.change_plan(tenant.tenant_id, "business")
        imports.resume(tenant.tenant_id, sent)
        work_off(tenant.tenant_id)
        done = imports.get_import(tenant.tenant_id, sent)
        assert (done.state, done.error, kept(tenant.tenant_id)) == ("done", None, 30)

    def test_a_file_that_was_sent_before_is_not_started(self, tenant: SignedUp, work_off: Callable[[int], int]) -> None:
        plans.change_plan(tenant.tenant_id, "small")
        sent = imports.start_import(
            tenant.tenant_id, kind="events", filename="e.jsonl", stream=BytesIO(self.LINES), review=True
        )
        self.use_up(tenant.tenant_id)
        with pytest.raises(plans.PlanLimit, match="12 events"):
            imports.start(tenant.tenant_id, sent)
        imports.check(tenant.tenant_id, sent)
        work_off(tenant.tenant_id)
        assert imports.get_import(tenant.tenant_id, sent).state == "ready"

    @staticmethod
    def use_up(tenant_id: int) -> None:
        with tenant_session(tenant_id) as session:
            count_events(session, tenant_id, 12)


class TestMetering:
    def test_an_event_counts_once_however_often_it_is_sent(
        self, tenant: SignedUp, client: Any, work_off: Callable[[int], int]
    ) -> None:
        call = {
            "type": "track", "userId": "u1", "event": "Looked", "messageId": "m1", "timestamp": "2026-03-01T12:00:00Z",
        }  # fmt: skip
        for number in (1, 2, 3):
            batch = [call, call, {**call, "messageId": f"other-{number}"}]
            sent = client.post("/v1/batch", json={"batch": batch}, auth=(tenant.write_key, ""))
            assert sent.status_code == 200
            work_off(tenant.tenant_id)
        assert used(tenant.tenant_id) == kept(tenant.tenant_id) == 4

    def test_an_import_counts_its_events_and_a_second_one_of_the_same_file_none(
        self, tenant: SignedUp, work_off: Callable[[int], int]
    ) -> None:
        lines = b"".join(
            b'{"user_id": "u%d", "type": "page.viewed", "occurred_at": "2026-03-01T12:00:00Z", "id": "e%d"}\n'
            % (number, number)
            for number in range(30)
        )
        for _ in range(2):
            imports.start_import(tenant.tenant_id, kind="events", filename="e.jsonl", stream=BytesIO(lines))
            work_off(tenant.tenant_id)
        assert kept(tenant.tenant_id) == 30
        assert used(tenant.tenant_id) == 30

    def test_what_is_rolled_back_was_not_used(self, tenant: SignedUp) -> None:
        def fail() -> None:
            with tenant_session(tenant.tenant_id) as session:
                count_events(session, tenant.tenant_id, 5)
                raise RuntimeError

        with pytest.raises(RuntimeError):
            fail()
        assert used(tenant.tenant_id) == 0

    @given(st.lists(st.lists(st.integers(0, 8), min_size=1, max_size=6), min_size=1, max_size=5))
    @settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_what_is_used_is_what_is_kept_of_any_story(
        self, make_tenant: Callable[[], SignedUp], client: Any, work_off: Callable[[int], int], story: list[list[int]]
    ) -> None:
        who = make_tenant()
        at = datetime(2026, 3, 1, tzinfo=UTC).isoformat()
        for batch in story:
            calls = [
                {"type": "track", "userId": f"u{id_}", "event": "E", "messageId": f"m{id_}", "timestamp": at}
                for id_ in batch
            ]
            assert client.post("/v1/batch", json={"batch": calls}, auth=(who.write_key, "")).status_code == 200
            work_off(who.tenant_id)
        assert used(who.tenant_id) == kept(who.tenant_id) == len({id_ for batch in story for id_ in batch})
