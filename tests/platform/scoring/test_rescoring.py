import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from threading import Thread

import pytest
from sqlalchemy import text

from assay.profiles.queries import Snapshot
from assay.scoring import jobs, queries, rescore_jobs, rescoring, service
from assay.scoring.errors import NoSuchRescore, RescoreOver, RescoreRunning
from assay_tenants.database import tenant_session

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
PRICING = ("page.viewed", T0, {"path": "/pricing"})


@pytest.fixture(autouse=True)
def small(monkeypatch) -> None:
    """Several ranges and several steps in each, with a handful of leads."""
    monkeypatch.setattr(rescoring, "RANGE", 5)
    monkeypatch.setattr(rescore_jobs, "MOST_LEADS", 4)
    monkeypatch.setattr(rescore_jobs, "SMALLEST_STEP", 1)
    monkeypatch.setattr(rescore_jobs, "STEP_SECONDS", 0)
    # A turn without leads, because this machine is busy, would count as one.
    monkeypatch.setattr(rescore_jobs, "WAIT_SECONDS", 60)
    monkeypatch.setattr(rescore_jobs, "_worker", rescore_jobs._Worker(step=2, leads=4))


@pytest.fixture
def people(tenant, make_lead) -> list[int]:
    return [make_lead(tenant.tenant_id, traits={"title": "CFO"}, events=[PRICING]) for _ in range(13)]


def drain(tenant_id: int) -> None:
    while jobs.drain_due(tenant_id):
        pass


def rescore(tenant_id: int) -> int:
    leads = 0
    while taken := rescore_jobs.drain_rescores(tenant_id):
        leads += taken
    return leads


def settle(tenant_id: int) -> None:
    while jobs.drain_due(tenant_id) or rescore_jobs.drain_rescores(tenant_id):
        pass


def totals(tenant_id: int, model: str = "sample") -> dict[int, int | None]:
    return {item.lead_id: item.total for item in queries.list_leads(tenant_id, model=model, limit=200).items}


def forget_due(tenant_id: int) -> None:
    with tenant_session(tenant_id) as session:
        session.execute(text("DELETE FROM scoring.due WHERE tenant_id = :t"), {"t": tenant_id})


def start(tenant_id: int) -> int:
    return rescoring.start_all(tenant_id, reason="by hand", by="Ada Example")


class TestDrainRescores:
    def test_every_lead_is_scored_once(self, tenant, people, publish) -> None:
        publish(tenant.tenant_id)
        forget_due(tenant.tenant_id)
        rescore_id = start(tenant.tenant_id)
        rescore(tenant.tenant_id)
        assert totals(tenant.tenant_id) == dict.fromkeys(people, 35_000)
        progress = rescoring.get_rescore(tenant.tenant_id, rescore_id)
        assert (progress.state, progress.percent, progress.leads_done) == ("done", 100, 13)

    def test_nothing_is_written_where_nothing_changed(self, tenant, people, publish) -> None:
        publish(tenant.tenant_id)
        settle(tenant.tenant_id)
        rescore_id = start(tenant.tenant_id)
        assert rescore(tenant.tenant_id) == 13
        assert rescoring.get_rescore(tenant.tenant_id, rescore_id).written == 0
        assert len(queries.history(tenant.tenant_id, people[0], "sample").items) == 1

    def test_what_changed_is_written_with_its_past(self, tenant, people, publish, add_events) -> None:
        publish(tenant.tenant_id)
        settle(tenant.tenant_id)
        add_events(tenant.tenant_id, people[3], [("offer.downloaded", datetime.now(UTC), {"offer_id": "1"})])
        forget_due(tenant.tenant_id)
        rescore_id = start(tenant.tenant_id)
        rescore(tenant.tenant_id)
        assert rescoring.get_rescore(tenant.tenant_id, rescore_id).written == 1
        now, before = queries.history(tenant.tenant_id, people[3], "sample").items
        assert (now.total, now.until) == (45_000, None)
        assert (before.total, before.until) == (35_000, now.at)

    def test_leads_are_due_when_their_new_scores_change(self, tenant, make_lead, publish) -> None:
        publish(tenant.tenant_id)
        now = datetime.now(UTC)
        lead = make_lead(tenant.tenant_id, events=[("offer.downloaded", now, {"offer_id": "1"})])
        forget_due(tenant.tenant_id)
        start(tenant.tenant_id)
        rescore(tenant.tenant_id)
        with tenant_session(tenant.tenant_id) as session:
            due = session.execute(
                text("SELECT lead_id, due_at FROM scoring.due WHERE tenant_id = :t"), {"t": tenant.tenant_id}
            ).all()
        assert due == [(lead, now + timedelta(days=60))]

    def test_the_neighbours_leads_are_not_touched(self, tenant, neighbour, people, publish) -> None:
        publish(tenant.tenant_id)
        forget_due(tenant.tenant_id)
        start(tenant.tenant_id)
        assert rescore_jobs.drain_rescores(neighbour.tenant_id) == 0

    def test_a_tenant_without_leads_is_done_at_once(self, tenant, publish) -> None:
        publish(tenant.tenant_id)
        rescore_id = start(tenant.tenant_id)
        assert rescore(tenant.tenant_id) == 0
        assert rescoring.get_rescore(tenant.tenant_id, rescore_id).state == "done"


class TestMeanwhile:
    def test_two_workers_share_one_rescore(self, tenant, people, publish) -> None:
        publish(tenant.tenant_id)
        forget_due(tenant.tenant_id)
        rescore_id = start(tenant.tenant_id)
        taken: list[int] = []
        workers = [Thread(target=lambda: taken.append(rescore(tenant.tenant_id))) for _ in range(2)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        rescore(tenant.tenant_id)
        assert totals(tenant.tenant_id) == dict.fromkeys(people, 35_000)
        assert rescoring.get_rescore(tenant.tenant_id, rescore_id).leads_done == 13
        assert all(len(queries.history(tenant.tenant_id, lead, "sample").items) == 1 for lead in people)

    def test_what_is_learned_meanwhile_is_not_overwritten(
        self, tenant, people, publish, add_events, monkeypatch
    ) -> None:
        publish(tenant.tenant_id)
        settle(tenant.tenant_id)
        start(tenant.tenant_id)
        read = Snapshot.read
        busy: list[bool] = []

        def read_then_news(self, *args, **options):
            facts = read(self, *args, **options)
            if not busy:
                busy.append(True)
                add_events(tenant.tenant_id, people[0], [("offer.downloaded", datetime.now(UTC), {"offer_id": "9"})])
            return facts

        def scored_then_drained(*args):
            found = evaluate(*args)
            monkeypatch.setattr(rescore_jobs, "evaluate_each", evaluate)
            worker = Thread(target=drain, args=(tenant.tenant_id,))
            worker.start()
            worker.join()
            return found

        evaluate = rescore_jobs.evaluate_each
        monkeypatch.setattr(Snapshot, "read", read_then_news)
        monkeypatch.setattr(rescore_jobs, "evaluate_each", scored_then_drained)
        rescore(tenant.tenant_id)
        assert totals(tenant.tenant_id)[people[0]] == 45_000
        assert [row.total for row in queries.history(tenant.tenant_id, people[0], "sample").items] == [45_000, 35_000]

    def test_a_worker_that_is_killed_loses_nothing(self, tenant, people, publish, settings) -> None:
        publish(tenant.tenant_id)
        forget_due(tenant.tenant_id)
        rescore_id = start(tenant.tenant_id)
        rescore_jobs.drain_rescores(tenant.tenant_id)
        program = (
            "import os, sys, time\n"
            "from assay.scoring import rescore_jobs\n"
            "from assay_tenants import database\n"
            "database.configure(os.environ['ASSAY_DATABASE_URL'])\n"
            "def stop(*_):\n"
            "    print('in the middle', flush=True)\n"
            "    time.sleep(60)\n"
            "rescore_jobs.store_where_unchanged = stop\n"
            "rescore_jobs.WAIT_SECONDS = 60\n"
            f"rescore_jobs.drain_rescores({tenant.tenant_id})\n"
        )
        worker = subprocess.Popen(
            [sys.executable, "-c", program], env={**os.environ, **settings.as_environ()}, stdout=subprocess.PIPE
        )
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"in the middle\n"
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        until = time.monotonic() + 20
        while rescoring.get_rescore(tenant.tenant_id, rescore_id).state != "done":
            assert time.monotonic() < until
            rescore(tenant.tenant_id)
        assert totals(tenant.tenant_id) == dict.fromkeys(people, 35_000)
        assert rescoring.get_rescore(tenant.tenant_id, rescore_id).leads_done == 13


class TestCancel:
    def test_the_rest_waits_until_it_is_resumed(self, tenant, people, publish) -> None:
        publish(tenant.tenant_id)
        forget_due(tenant.tenant_id)
        (begun,) = rescoring.list_rescores(tenant.tenant_id)
        rescore_id = begun.id
        rescore_jobs.drain_rescores(tenant.tenant_id)
        stopped = rescoring.cancel(tenant.tenant_id, rescore_id)
        assert (stopped.state, stopped.leads_done, stopped.percent) == ("cancelled", 2, 15)
        assert rescore(tenant.tenant_id) == 0
        assert rescoring.resume(tenant.tenant_id, rescore_id).state == "running"
        assert rescore(tenant.tenant_id) == 11
        assert totals(tenant.tenant_id) == dict.fromkeys(people, 35_000)

    def test_what_is_done_cannot_be_cancelled_nor_resumed(self, tenant, people, publish) -> None:
        publish(tenant.tenant_id)
        rescore_id = start(tenant.tenant_id)
        rescore(tenant.tenant_id)
        with pytest.raises(RescoreOver):
            rescoring.cancel(tenant.tenant_id, rescore_id)
        with pytest.raises(RescoreRunning):
            rescoring.resume(tenant.tenant_id, rescore_id)

    def test_the_neighbours_is_not_there(self, tenant, neighbour, publish) -> None:
        publish(tenant.tenant_id)
        rescore_id = start(tenant.tenant_id)
        for ask in (rescoring.get_rescore, rescoring.cancel, rescoring.resume):
            with pytest.raises(NoSuchRescore):
                ask(neighbour.tenant_id, rescore_id)
        assert rescoring.list_rescores(neighbour.tenant_id) == []


def test_the_newest_comes_first_and_a_model_has_its_own(tenant, publish) -> None:
    publish(tenant.tenant_id, "first")
    one = start(tenant.tenant_id)
    publish(tenant.tenant_id, "second")
    both = start(tenant.tenant_id)
    assert [row.id for row in rescoring.list_rescores(tenant.tenant_id)][:1] == [both]
    assert one in [row.id for row in rescoring.list_rescores(tenant.tenant_id, model="first")]
    assert one not in [row.id for row in rescoring.list_rescores(tenant.tenant_id, model="second")]


def test_a_published_model_scores_everybody(tenant, people, publish) -> None:
    publish(tenant.tenant_id)
    settle(tenant.tenant_id)
    service.save_draft(
        tenant.tenant_id, "sample", "{model: sample, rules: [{id: a, when: {trait: title, is: CFO}, points: 7}]}"
    )
    service.publish(tenant.tenant_id, "sample", by="Ada Example")
    settle(tenant.tenant_id)
    assert totals(tenant.tenant_id) == dict.fromkeys(people, 7_000)
