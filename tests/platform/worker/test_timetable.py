import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from redis import Redis
from rq import Queue
from rq.serializers import JSONSerializer

from assay.pipeline import QUEUES, TIMETABLE, Every
from assay.worker.timetable import rounds

OFTEN = Every(timedelta(seconds=1), "assay.pipeline.sweep", queue="timetable-test")
RARELY = Every(timedelta(days=1), "assay.pipeline.make_partitions", queue="timetable-test")


@pytest.fixture
def queue(redis: Redis) -> Iterator[Queue]:
    queue = Queue("timetable-test", connection=redis, serializer=JSONSerializer)
    yield queue
    queue.delete()
    for key in redis.scan_iter("assay:timetable:*"):
        redis.delete(key)


def test_each_is_due_once_a_slot(queue: Queue, redis: Redis) -> None:
    turns = iter([False, False, True])

    def wait(seconds: float) -> bool:
        assert 0 < seconds <= 1
        return next(turns)

    rounds([RARELY], redis, lambda _: next(turns))
    assert [job.func_name for job in queue.jobs] == [RARELY.job]
    rounds([RARELY], redis, lambda _: True)
    assert len(queue.jobs) == 1, "a second timetable repeated what the first had done"


def test_what_waited_too_long_is_left_to_the_next(queue: Queue, redis: Redis) -> None:
    rounds([OFTEN], redis, lambda _: True)
    assert len(queue.jobs) == 1
    time.sleep(2.1)
    assert queue.jobs == [], "while no worker ran, jobs would pile up"


def test_the_wait_ends_with_the_slot(queue: Queue, redis: Redis) -> None:
    asked: list[float] = []

    def wait(seconds: float) -> bool:
        asked.append(seconds)
        return True

    rounds([OFTEN, RARELY], redis, wait)
    assert 0 < asked[0] <= 1


def test_what_costs_less_than_a_job_is_done_at_once(queue: Queue, redis: Redis, connected: None) -> None:
    rounds([replace(OFTEN, queue=None)], redis, lambda _: True)
    assert queue.jobs == []


def test_without_redis_it_tries_again() -> None:
    turns = iter([False, True])
    rounds([OFTEN], Redis(host="127.0.0.1", port=1), lambda _: next(turns))


@pytest.mark.parametrize("entry", TIMETABLE, ids=lambda entry: entry.job)
def test_the_list_names_known_queues(entry: Every) -> None:
    assert entry.queue is None or entry.queue in QUEUES
