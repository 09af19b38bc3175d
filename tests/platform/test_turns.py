"""Who may take long batches: a tenant that nobody shares its queue with."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from redis import Redis
from rq import Queue
from rq.serializers import JSONSerializer
from sqlalchemy import insert, text, update

from assay import facts, pipeline
from assay.syncing.models import LinkRow, StreamRow, Wanted
from assay_tenants.access.service import SignedUp
from assay_tenants.database import tenant_session

TENANT, OTHER = 1_000_001, 1_000_002


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, redis: Redis) -> Iterator[list[bool]]:
    """What each batch was told about being alone; every second one finds nothing."""
    told: list[bool] = []

    def drain(_: int, *, alone: bool) -> int:
        told.append(alone)
        return len(told) % 2

    stage = pipeline.Stage("quarry", "quarry", "no:where", "SELECT 1")
    monkeypatch.setattr(pipeline, "STAGES", {"quarry": stage})
    monkeypatch.setattr(pipeline, "_function", lambda _: drain)
    monkeypatch.setattr(pipeline, "_redis", redis)
    monkeypatch.setattr(pipeline, "_served", {})
    yield told
    Queue("quarry", connection=redis, serializer=JSONSerializer).empty()


def test_one_that_has_the_queue_to_itself_is_alone(asked: list[bool]) -> None:
    pipeline.turn("quarry", TENANT)
    assert asked == [True, True]


def test_one_that_came_after_another_is_not(asked: list[bool]) -> None:
    pipeline.turn("quarry", OTHER)
    asked.clear()
    pipeline.turn("quarry", TENANT)
    assert asked == [False, False]


def test_one_that_somebody_waits_for_is_not(asked: list[bool], redis: Redis) -> None:
    Queue("quarry", connection=redis, serializer=JSONSerializer).enqueue("os.getpid")
    pipeline.turn("quarry", TENANT)
    assert asked == [False, False]


class TestConnections:
    """What is due at connections is found by the sweep, and by nobody while somebody is at it."""

    @pytest.fixture
    def row(self, tenant: SignedUp) -> Callable[..., None]:
        whose = {"tenant_id": tenant.tenant_id, "connection_id": 1}
        values = {"plugin": "quarry", "account": "1", "source_id": 1, "notes": {}, "created_at": datetime.now(UTC)}
        with tenant_session(tenant.tenant_id) as session:
            session.execute(insert(LinkRow).values(**whose, **values))
            session.execute(insert(StreamRow).values(**whose, name="stones"))
            session.execute(insert(Wanted).values(**whose, kind="stone", record_id="1"))

        def due(table: Any, at: datetime | None) -> None:
            with tenant_session(tenant.tenant_id) as session:
                session.execute(update(table).where(table.tenant_id == tenant.tenant_id).values(due_at=at))

        return due

    @pytest.mark.parametrize("table", [LinkRow, StreamRow, Wanted], ids=["subscription", "stream", "record"])
    @pytest.mark.parametrize(
        ("wait", "is_found"),
        [
            pytest.param(timedelta(0), True, id="due"),
            pytest.param(timedelta(minutes=1), False, id="due later, or leased"),
            pytest.param(None, False, id="paused or dead"),
        ],
    )
    def test_the_sweep_finds_what_is_due(
        self, tenant: SignedUp, row: Any, monkeypatch: pytest.MonkeyPatch, table: Any, wait: Any, is_found: bool
    ) -> None:
        nudged: list[tuple[str, int]] = []
        monkeypatch.setattr(pipeline, "nudge", lambda stage, tenant_id: nudged.append((stage.name, tenant_id)))
        row(table, None if wait is None else datetime.now(UTC) + wait)
        pipeline.sweep()
        assert (("sync", tenant.tenant_id) in nudged) is is_found

    def test_their_stage_follows_their_fact(self, tenant: SignedUp, redis: Redis) -> None:
        assert pipeline.FOLLOWS[facts.SyncDue] is pipeline.SYNC
        assert pipeline.SYNC.queue in pipeline.QUEUES

    def test_attempts_from_which_nobody_came_back_are_forgotten(self, tenant: SignedUp) -> None:
        now = datetime.now(UTC)
        statement = text(
            "INSERT INTO tenancy.connect_attempts (tenant_id, state_hash, plugin, person_id, name, settings, sealed,"
            " created_at, expires_at) VALUES (:t, :hash, 'quarry', 1, '', '{}', '', :at, :until)"
        )
        with tenant_session(tenant.tenant_id) as session:
            for hash_, until in ((b"over", now - timedelta(seconds=1)), (b"open", now + timedelta(minutes=5))):
                session.execute(statement, {"t": tenant.tenant_id, "hash": hash_, "at": now, "until": until})
        assert pipeline.prune_attempts() >= 1
        with tenant_session(tenant.tenant_id) as session:
            left = text("SELECT state_hash FROM tenancy.connect_attempts WHERE tenant_id = :t")
            assert [bytes(each) for each in session.scalars(left, {"t": tenant.tenant_id})] == [b"open"]


def test_after_a_while_one_is_alone_again(asked: list[bool], monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(pipeline, "monotonic", lambda: now)
    pipeline.turn("quarry", OTHER)
    now = pipeline.LATELY.total_seconds() - 1
    asked.clear()
    pipeline.turn("quarry", TENANT)
    now += 2
    pipeline.turn("quarry", TENANT)
    assert asked == [False, False, True, True]
