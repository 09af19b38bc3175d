import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier, Thread
from uuid import uuid4

import pytest
from sqlalchemy import text

from assay.profiles import knowing
from assay.profiles.marks import NONE
from assay.profiles.queries import Snapshot
from assay.scoring import compiled, engine, jobs, language, queries, rescore_jobs, service
from assay_tenants.database import tenant_session

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)

OFFER = ("offer.downloaded", T0, {"offer_id": "guide"})
PRICING = ("page.viewed", T0, {"path": "/pricing"})


def drain(tenant_id: int, now: datetime) -> int:
    rows = 0
    while taken := jobs.drain_due(tenant_id, now=now):
        rows += taken
    return rows


def totals(tenant_id: int, lead_id: int) -> dict[str, int]:
    return {score.model: score.total for score in queries.scores_of(tenant_id, lead_id)}


def due_at(tenant_id: int, lead_id: int) -> datetime | None:
    with tenant_session(tenant_id) as session:
        return session.execute(
            text("SELECT due_at FROM scoring.due WHERE tenant_id = :t AND lead_id = :l"), {"t": tenant_id, "l": lead_id}
        ).scalar()


def written(tenant_id: int) -> list[tuple[int, str]]:
    """Which rows there are, and the transaction that wrote each."""
    with tenant_session(tenant_id) as session:
        return [
            (row[0], str(row[1]))
            for row in session.execute(
                text("SELECT lead_id, xmin FROM scoring.scores WHERE tenant_id = :t ORDER BY model_id, lead_id"),
                {"t": tenant_id},
            )
        ]


def make_due(tenant_id: int, *lead_ids: int, at: datetime = T0) -> None:
    with tenant_session(tenant_id) as session:
        service.mark_due(session, tenant_id, lead_ids, at)


class TestDrainDue:
    def test_a_due_lead_is_scored_under_every_published_model(self, tenant, make_lead, publish) -> None:
        publish(tenant.tenant_id, "first")
        publish(tenant.tenant_id, "second", owner=30)
        lead = make_lead(tenant.tenant_id, traits={"title": "CFO"}, events=[PRICING])
        assert drain(tenant.tenant_id, T0) == 1
        assert totals(tenant.tenant_id, lead) == {"first": 35_000, "second": 45_000}

    def test_what_waits_for_later_is_left(self, tenant, make_lead, publish) -> None:
        publish(tenant.tenant_id)
        lead = make_lead(tenant.tenant_id, due=T0)
        assert drain(tenant.tenant_id, T0 - timedelta(microseconds=1)) == 0
        assert due_at(tenant.tenant_id, lead) == T0

    def test_without_a_published_model_nothing_is_left_to_do(self, tenant, make_lead, model_text) -> None:
        service.create_model(tenant.tenant_id, model_text())
        lead = make_lead(tenant.tenant_id)
        assert drain(tenant.tenant_id, T0) == 1
        assert due_at(tenant.tenant_id, lead) is None
        assert totals(tenant.tenant_id, lead) == {}

    def test_the_neighbours_leads_are_not_touched(self, tenant, neighbour, make_lead, publish) -> None:
        publish(tenant.tenant_id)
        lead = make_lead(neighbour.tenant_id)
        assert drain(tenant.tenant_id, T0) == 0
        assert due_at(neighbour.tenant_id, lead) == T0

    def test_more_than_a_batch_is_taken_batch_by_batch(self, tenant, make_lead, publish, monkeypatch) -> None:
        publish(tenant.tenant_id)
        leads = [make_lead(tenant.tenant_id, events=[PRICING]) for _ in range(5)]
        monkeypatch.setattr(jobs, "BATCH", 2)
        assert [jobs.drain_due(tenant.tenant_id, now=T0) for _ in range(4)] == [2, 2, 1, 0]
        assert all(totals(tenant.tenant_id, lead) == {"sample": 15_000} for lead in leads)


class TestWhatIsWritten:
    def test_an_unchanged_score_writes_nothing(self, tenant, make_lead, publish) -> None:
        publish(tenant.tenant_id)
        lead = make_lead(tenant.tenant_id, events=[PRICING, OFFER])
        drain(tenant.tenant_id, T0)
        before = written(tenant.tenant_id)
        make_due(tenant.tenant_id, lead, at=T0)
        assert drain(tenant.tenant_id, T0 + DAY) == 1
        assert written(tenant.tenant_id) == before
        assert len(queries.history(tenant.tenant_id, lead, "sample").items) == 1

    def test_history_has_a_row_for_each_change_and_no_other(self, tenant, make_lead, publish, add_events) -> None:
        publish(tenant.tenant_id)
        lead = make_lead(tenant.tenant_id, traits={"title": "Owner"})
        drain(tenant.tenant_id, T0)
        for day, event in ((1, PRICING), (2, PRICING), (3, OFFER)):
            add_events(tenant.tenant_id, lead, [event], due=T0 + day * DAY)
            drain(tenant.tenant_id, T0 + day * DAY)
        rows = queries.history(tenant.tenant_id, lead, "sample").items
        assert [(row.at, row.total, row.stage) for row in rows] == [
            (T0 + 3 * DAY, 45_000, "Lead"),
            (T0 + 1 * DAY, 35_000, "Prospect"),
            (T0, 20_000, "Prospect"),
        ]

    def test_scored_at_tells_since_when_the_score_stands(self, tenant, make_lead, publish, add_events) -> None:
        publish(tenant.tenant_id)
        lead = make_lead(tenant.tenant_id, events=[OFFER])
        drain(tenant.tenant_id, T0)
        # The same offer again: no points, yet now the score changes sixty days after the second download, not before.
        add_events(tenant.tenant_id, lead, [PRICING], due=T0 + DAY)
        drain(tenant.tenant_id, T0 + DAY)
        add_events(tenant.tenant_id, lead, [PRICING], due=T0 + 2 * DAY)
        drain(tenant.tenant_id, T0 + 2 * DAY)
        (score,) = queries.scores_of(tenant.tenant_id, lead)
        assert score.scored_at == T0 + DAY

    def test_what_changes_by_itself_is_dated_to_its_instant(self, tenant, make_lead, publish) -> None:
        publish(tenant.tenant_id)
        later = ("offer.downloaded", T0 + DAY, {"offer_id": "prices"})
        lead = make_lead(tenant.tenant_id, events=[OFFER, later])
        drain(tenant.tenant_id, T0 + DAY)
        drain(tenant.tenant_id, T0 + 61 * DAY + timedelta(seconds=2))
        rows = queries.history(tenant.tenant_id, lead, "sample").items
        assert [(row.at, row.total) for row in rows] == [
            (T0 + 61 * DAY, 0),
            (T0 + 60 * DAY, 10_000),
            (T0 + DAY, 20_000),
        ]
        (score,) = queries.scores_of(tenant.tenant_id, lead)
        assert score.scored_at == T0 + 61 * DAY

    def test_what_a_replaced_version_would_have_done_is_not_told(self, tenant, make_lead, publish) -> None:
        publish(tenant.tenant_id)
        lead = make_lead(tenant.tenant_id, events=[OFFER])
        drain(tenant.tenant_id, T0)
        publish(tenant.tenant_id, owner=30)
        make_due(tenant.tenant_id, lead)
        drain(tenant.tenant_id, T0 + 61 * DAY)
        rows = queries.history(tenant.tenant_id, lead, "sample").items
        assert [(row.at, row.version, row.total) for row in rows] == [(T0 + 61 * DAY, 2, 0), (T0, 1, 10_000)]

    def test_after_a_long_sleep_the_last_score_is_right_all_the_same(
        self, tenant, make_lead, publish, monkeypatch
    ) -> None:
        publish(tenant.tenant_id)
        offers = [("offer.downloaded", T0 + day * DAY, {"offer_id": str(day)}) for day in range(4)]
        lead = make_lead(tenant.tenant_id, events=offers)
        drain(tenant.tenant_id, T0 + 3 * DAY)
        monkeypatch.setattr(jobs, "INSTANTS", 2)
        drain(tenant.tenant_id, T0 + 70 * DAY)
        rows = queries.history(tenant.tenant_id, lead, "sample").items
        assert [(row.at, row.total) for row in rows] == [
            (T0 + 70 * DAY, 0),
            (T0 + 61 * DAY, 20_000),
            (T0 + 60 * DAY, 30_000),
            (T0 + 3 * DAY, 40_000),
        ]

    def test_a_past_that_cannot_be_computed_does_not_keep_the_score_back(
        self, tenant, make_lead, publish, monkeypatch
    ) -> None:
        publish(tenant.tenant_id)
        lead = make_lead(tenant.tenant_id, events=[OFFER])
        drain(tenant.tenant_id, T0)
        score, now = engine.score, T0 + 61 * DAY

        def only_now(models, leads, events, at, **options):
            return score(models, leads, events, at, **options) if at == now else 1 / 0

        monkeypatch.setattr(engine, "score", only_now)
        drain(tenant.tenant_id, now)
        assert totals(tenant.tenant_id, lead) == {"sample": 0}

    def test_a_lead_that_is_gone_loses_its_scores_and_keeps_its_history(
        self, tenant, make_lead, publish, remove_lead
    ) -> None:
        publish(tenant.tenant_id)
        gone, left = make_lead(tenant.tenant_id, events=[OFFER]), make_lead(tenant.tenant_id, events=[OFFER])
        drain(tenant.tenant_id, T0)
        remove_lead(tenant.tenant_id, gone)
        make_due(tenant.tenant_id, gone, left)
        assert drain(tenant.tenant_id, T0) == 2
        assert totals(tenant.tenant_id, gone) == {}
        assert due_at(tenant.tenant_id, gone) is None
        assert len(queries.history(tenant.tenant_id, gone, "sample").items) == 1
        assert totals(tenant.tenant_id, left) == {"sample": 10_000}

    def test_merged_leads_score_from_the_union_of_their_facts(self, tenant, make_lead, publish, merge_leads) -> None:
        publish(tenant.tenant_id)
        one, other = make_lead(tenant.tenant_id, events=[PRICING]), make_lead(tenant.tenant_id, events=[PRICING, OFFER])
        drain(tenant.tenant_id, T0)
        merge_leads(tenant.tenant_id, other, into=one)
        make_due(tenant.tenant_id, one, other)
        drain(tenant.tenant_id, T0)
        assert totals(tenant.tenant_id, one) == {"sample": 25_000}
        assert totals(tenant.tenant_id, other) == {}


class TestAudience:
    MODEL = """
    model: small
    audience: {all: [{trait: employees, lt: 50}]}
    rules: [{id: a, on: page.viewed, points: 5}]
    """

    def test_a_lead_that_leaves_it_has_only_a_past(self, tenant, make_lead) -> None:
        service.create_model(tenant.tenant_id, self.MODEL)
        service.publish(tenant.tenant_id, "small", by="Ada Example")
        inside = make_lead(tenant.tenant_id, traits={"employees": 10}, events=[PRICING])
        outside = make_lead(tenant.tenant_id, traits={"employees": 90}, events=[PRICING])
        drain(tenant.tenant_id, T0)
        assert (totals(tenant.tenant_id, inside), totals(tenant.tenant_id, outside)) == ({"small": 5_000}, {})
        with tenant_session(tenant.tenant_id) as session:
            session.execute(
                text("UPDATE profiles.leads SET traits = '{\"employees\": 60}' WHERE tenant_id = :t AND id = :l"),
                {"t": tenant.tenant_id, "l": inside},
            )
        make_due(tenant.tenant_id, inside)
        drain(tenant.tenant_id, T0 + DAY)
        assert totals(tenant.tenant_id, inside) == {}
        (past,) = queries.history(tenant.tenant_id, inside, "small").items
        assert (past.at, past.until, past.total) == (T0, T0 + DAY, 5_000)


class TestArrivingByItself:
    """A lead comes under a model by time alone: until then no score says when it will."""

    LATE = timedelta(minutes=7)

    @staticmethod
    def put(tenant_id: int, audience: str, fades: str = "") -> None:
        rules = f"[{{id: a, on: page.viewed, points: 5{fades}}}]"
        service.create_model(tenant_id, f"{{model: late, audience: {audience}, rules: {rules}}}")
        service.publish(tenant_id, "late", by="Ada Example")
        while rescore_jobs.drain_rescores(tenant_id):
            pass

    @staticmethod
    def settle(tenant_id: int, lead: int, now: datetime) -> datetime:
        """Looked at, until nothing but time makes it due."""
        drain(tenant_id, now)
        planned = due_at(tenant_id, lead)
        assert planned is not None
        assert totals(tenant_id, lead) == {}
        return planned

    @pytest.mark.parametrize(
        ("audience", "days"),
        [
            pytest.param("{trait: signed_up, older_than: 30d}", 30, id="a trait grows old"),
            pytest.param("{not: {event: page.viewed, within: 7d}}", 7, id="an event leaves the window"),
            pytest.param(
                "{all: [{not: {event: page.viewed, within: 7d}}, {trait: signed_up, older_than: 30d}]}",
                30,
                id="after an instant at which nothing changed",
            ),
        ],
    )
    def test_is_dated_to_its_instant_however_late_it_is_found(self, tenant, make_lead, audience, days) -> None:
        self.put(tenant.tenant_id, audience)
        now = datetime.now(UTC)
        traits, viewed = {"signed_up": now.isoformat()}, ("page.viewed", now, {})
        lead = make_lead(tenant.tenant_id, traits=traits, events=[viewed], seen=now, due=now)
        planned = self.settle(tenant.tenant_id, lead, now)
        arrived = now + days * DAY
        assert planned <= arrived
        drain(tenant.tenant_id, arrived + self.LATE)
        (score,) = queries.scores_of(tenant.tenant_id, lead)
        assert (score.scored_at, score.total) == (arrived, 5_000)
        assert len(queries.history(tenant.tenant_id, lead, "late").items) == 1

    def test_what_changed_since_is_told_too(self, tenant, make_lead) -> None:
        self.put(tenant.tenant_id, "{not: {event: page.viewed, within: 7d}}", ", fades: {after: 8d}")
        now = datetime.now(UTC)
        lead = make_lead(tenant.tenant_id, events=[("page.viewed", now, {})], seen=now, due=now)
        self.settle(tenant.tenant_id, lead, now)
        drain(tenant.tenant_id, now + 9 * DAY)
        rows = queries.history(tenant.tenant_id, lead, "late").items
        assert [(row.at, row.total) for row in rows] == [(now + 8 * DAY, 0), (now + 7 * DAY, 5_000)]

    @pytest.mark.parametrize("learned", [timedelta(0), timedelta(minutes=1)], ids=["a newcomer", "news since"])
    def test_who_had_news_arrives_when_they_are_looked_at(self, tenant, make_lead, learned) -> None:
        self.put(tenant.tenant_id, "{trait: title, exists: true}")
        now = datetime.now(UTC)
        viewed = ("page.viewed", now, {})
        lead = make_lead(tenant.tenant_id, traits={"title": "CFO"}, events=[viewed], seen=now + learned, due=now)
        drain(tenant.tenant_id, now + self.LATE)
        assert queries.scores_of(tenant.tenant_id, lead)[0].scored_at == now + self.LATE

    def test_no_version_scores_before_it_was_published(self, tenant, make_lead) -> None:
        before = datetime.now(UTC) - DAY
        lead = make_lead(tenant.tenant_id, events=[("page.viewed", before, {})], seen=before, due=before + DAY / 2)
        self.put(tenant.tenant_id, "{event: page.viewed}")
        now = datetime.now(UTC)
        drain(tenant.tenant_id, now)
        assert queries.scores_of(tenant.tenant_id, lead)[0].scored_at == now

    def test_news_make_a_lead_due_before_they_are_known(self, tenant, make_lead) -> None:
        lead = make_lead(tenant.tenant_id, due=datetime.now(UTC) + DAY)
        with tenant_session(tenant.tenant_id) as session:
            known_at = knowing.learn(session, tenant.tenant_id)
            service.mark_due(session, tenant.tenant_id, [lead])
        due = due_at(tenant.tenant_id, lead)
        assert due is not None
        assert due <= known_at


class TestTimePassing:
    def test_a_score_changes_at_the_instant_it_was_planned_for(self, tenant, make_lead, publish) -> None:
        publish(tenant.tenant_id)
        lead = make_lead(tenant.tenant_id, traits={"title": "CFO"}, events=[OFFER])
        drain(tenant.tenant_id, T0)
        expiry = T0 + 60 * DAY
        assert due_at(tenant.tenant_id, lead) == expiry
        assert drain(tenant.tenant_id, expiry - timedelta(microseconds=1)) == 0
        assert totals(tenant.tenant_id, lead) == {"sample": 30_000}
        assert drain(tenant.tenant_id, expiry) == 1
        assert totals(tenant.tenant_id, lead) == {"sample": 20_000}
        assert due_at(tenant.tenant_id, lead) is None
        assert queries.history(tenant.tenant_id, lead, "sample").items[0].at == expiry

    def test_the_earliest_change_under_any_model_counts(self, tenant, make_lead, publish) -> None:
        for name, days in (("slow", 90), ("fast", 7)):
            service.create_model(
                tenant.tenant_id,
                f"{{model: {name}, rules: [{{id: a, on: offer.downloaded, points: 5, fades: {{after: {days}d}}}}]}}",
            )
            service.publish(tenant.tenant_id, name, by="Ada Example")
        lead = make_lead(tenant.tenant_id, events=[OFFER])
        drain(tenant.tenant_id, T0)
        assert due_at(tenant.tenant_id, lead) == T0 + 7 * DAY


class TestTwoWorkers:
    def test_each_lead_is_scored_once_and_none_is_forgotten(self, tenant, make_lead, publish, monkeypatch) -> None:
        publish(tenant.tenant_id)
        leads = [make_lead(tenant.tenant_id, events=[PRICING]) for _ in range(60)]
        monkeypatch.setattr(jobs, "BATCH", 7)
        taken: list[int] = []
        start = Barrier(3)

        def work() -> None:
            start.wait()
            taken.append(drain(tenant.tenant_id, T0))

        workers = [Thread(target=work) for _ in range(3)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert sum(taken) == len(leads)
        assert all(totals(tenant.tenant_id, lead) == {"sample": 15_000} for lead in leads)
        assert all(len(queries.history(tenant.tenant_id, lead, "sample").items) == 1 for lead in leads)

    def test_facts_that_arrive_while_a_batch_is_scored_are_scored_next(
        self, tenant, make_lead, publish, add_events, monkeypatch
    ) -> None:
        publish(tenant.tenant_id)
        lead = make_lead(tenant.tenant_id, events=[PRICING])
        read = Snapshot.read
        late = Thread(target=add_events, args=(tenant.tenant_id, lead, [OFFER]), kwargs={"due": T0})

        def read_then_news(*args, **kwargs):
            facts = read(*args, **kwargs)
            late.start()
            return facts

        monkeypatch.setattr(Snapshot, "read", read_then_news)
        assert jobs.drain_due(tenant.tenant_id, now=T0) == 1
        monkeypatch.setattr(Snapshot, "read", read)
        late.join()
        assert totals(tenant.tenant_id, lead) == {"sample": 15_000}
        assert drain(tenant.tenant_id, T0) == 1
        assert totals(tenant.tenant_id, lead) == {"sample": 25_000}

    def test_publishing_waits_for_the_batch_that_scores_the_version_before(
        self, tenant, make_lead, publish, monkeypatch
    ) -> None:
        publish(tenant.tenant_id)
        lead = make_lead(tenant.tenant_id, traits={"title": "CFO"})
        read = Snapshot.read
        republishing = Thread(target=publish, args=(tenant.tenant_id,), kwargs={"owner": 50})

        def read_then_publish(*args, **kwargs):
            republishing.start()
            return read(*args, **kwargs)

        monkeypatch.setattr(Snapshot, "read", read_then_publish)
        jobs.drain_due(tenant.tenant_id, now=T0)
        monkeypatch.setattr(Snapshot, "read", read)
        republishing.join()
        assert rescore_jobs.drain_rescores(tenant.tenant_id) == 1
        assert totals(tenant.tenant_id, lead) == {"sample": 50_000}

    def test_facts_publications_and_batches_at_once_neither_block_nor_lose_anything(
        self, tenant, make_lead, publish, add_events, monkeypatch
    ) -> None:
        publish(tenant.tenant_id)
        leads = [make_lead(tenant.tenant_id) for _ in range(20)]
        monkeypatch.setattr(jobs, "BATCH", 5)
        start = Barrier(5)
        now = datetime.now(UTC)
        # After all that is made due meanwhile, and before an award fades.
        later = now + 50 * DAY

        def collect(order: list[int]) -> None:
            start.wait()
            for number in range(6):
                with tenant_session(tenant.tenant_id) as session:
                    service.mark_due(session, tenant.tenant_id, order, T0)
                add_events(tenant.tenant_id, order[number], [("offer.downloaded", now, {"offer_id": str(uuid4())})])

        def republish() -> None:
            start.wait()
            for points in range(1, 6):
                publish(tenant.tenant_id, owner=points)

        def score() -> None:
            start.wait()
            for _ in range(25):
                jobs.drain_due(tenant.tenant_id, now=later)
                rescore_jobs.drain_rescores(tenant.tenant_id)

        with ThreadPoolExecutor(5) as pool:
            work = [pool.submit(collect, leads), pool.submit(collect, leads[::-1]), pool.submit(republish)]
            work += [pool.submit(score), pool.submit(score)]
            for each in work:
                each.result()
        while rescore_jobs.drain_rescores(tenant.tenant_id):
            pass
        drain(tenant.tenant_id, later)
        for lead in leads:
            why = service.explain_lead(tenant.tenant_id, lead, "sample", at=later)
            (stored,) = queries.scores_of(tenant.tenant_id, lead)
            assert (stored.total, stored.version) == (why.total, 6)
        assert sum(queries.scores_of(tenant.tenant_id, lead)[0].total for lead in leads) == 12 * 10_000


class TestABrokenModel:
    @pytest.fixture
    def broken(self, monkeypatch):
        """A model that the engine fails on."""
        score = engine.score

        def fail(models, *facts, **options):
            if any(model.name == "broken" for model in models):
                raise ArithmeticError("made to fail")
            return score(models, *facts, **options)

        monkeypatch.setattr(engine, "score", fail)

    def test_the_others_are_scored_and_the_leads_come_again_later(
        self, tenant, make_lead, publish, broken, caplog
    ) -> None:
        publish(tenant.tenant_id, "sound")
        publish(tenant.tenant_id, "broken")
        lead = make_lead(tenant.tenant_id, events=[PRICING])
        assert drain(tenant.tenant_id, T0) == 1
        assert totals(tenant.tenant_id, lead) == {"sound": 15_000}
        assert due_at(tenant.tenant_id, lead) == T0 + jobs.RETRY_AFTER

    def test_a_score_it_had_before_stays(self, tenant, make_lead, publish, monkeypatch) -> None:
        publish(tenant.tenant_id)
        lead = make_lead(tenant.tenant_id, events=[PRICING])
        drain(tenant.tenant_id, T0)

        def fail(*_, **__):
            raise ArithmeticError("made to fail")

        monkeypatch.setattr(engine, "score", fail)
        make_due(tenant.tenant_id, lead)
        drain(tenant.tenant_id, T0)
        assert totals(tenant.tenant_id, lead) == {"sample": 15_000}

    def test_a_version_that_no_longer_compiles_does_not_stop_the_others(
        self, tenant, make_lead, publish, monkeypatch
    ) -> None:
        publish(tenant.tenant_id, "sound")
        publish(tenant.tenant_id, "broken")
        with tenant_session(tenant.tenant_id) as session:
            session.execute(
                text(
                    "UPDATE scoring.model_versions SET source = 'of another age', hash = 'x' WHERE tenant_id = :t"
                    " AND model_id = (SELECT max(model_id) FROM scoring.model_versions WHERE tenant_id = :t)"
                ),
                {"t": tenant.tenant_id},
            )
        lead = make_lead(tenant.tenant_id, events=[PRICING])
        assert drain(tenant.tenant_id, T0) == 1
        assert totals(tenant.tenant_id, lead) == {"sound": 15_000}
        assert due_at(tenant.tenant_id, lead) == T0 + jobs.RETRY_AFTER


def test_compiled_models_at_hand_are_bounded(monkeypatch) -> None:
    monkeypatch.setattr(compiled, "_MOST", 3)
    for number in range(5):
        model = engine.compile_model(language.parse("{model: m, rules: [{id: a, on: page.viewed, points: 1}]}"))
        compiled._keep(f"hash {number}", NONE, model)
    assert len(compiled._kept) == 3


def test_a_forked_child_can_score_after_its_parent_imported_the_job() -> None:
    # A parent that had executed Polars, if only at import, would leave the child hanging.
    program = (
        "import os, assay.scoring.jobs\n"
        "from assay.scoring import language, engine\n"
        "engine.compile_model(language.parse('{model: m, rules: [{id: a, on: page.viewed, points: 1}]}'))\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    import polars as pl\n"
        "    groups = pl.DataFrame({'a': range(9999)}).lazy().group_by('a').len().collect()\n"
        "    os._exit(0 if groups.height == 9999 else 1)\n"
        "raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", program], check=True, timeout=60)
