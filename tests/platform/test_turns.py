"""Who may take long batches: a tenant that nobody shares its queue with."""

from collections.abc import Iterator

import pytest
from redis import Redis
from rq import Queue
from rq.serializers import JSONSerializer

from assay import pipeline

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
