"""How often vendors are asked, by all workers together; and how much of a worker one of them may hold."""

from collections.abc import Callable
from datetime import timedelta
from threading import Event
from typing import Any
from uuid import uuid4

import pytest
from redis import Redis

from assay.syncing.breakers import Breakers
from assay.syncing.leases import Errand
from assay.syncing.limiter import RedisLimiter, impatient
from assay.syncing.slots import Pool
from assay_sdk import LocalLimiter, RateLimit

TEN = RateLimit("api", 10, 10.0, burst=10)


class Ticks:
    def __init__(self) -> None:
        self.now = 1_000_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def ticks() -> Ticks:
    return Ticks()


@pytest.fixture
def limiter(redis: Redis, ticks: Ticks) -> RedisLimiter:
    return RedisLimiter(redis, clock=ticks, ticks=ticks)


@pytest.fixture
def key() -> str:
    return f"quarry:api:{uuid4().hex}"


def taken(limiter: Any, key: str, limit: RateLimit, times: int) -> int:
    return sum(not limiter.take(key, limit) for _ in range(times))


@pytest.mark.parametrize(
    "limit",
    [
        pytest.param(TEN, id="ten at once"),
        pytest.param(RateLimit("api", 110, 10.0), id="a window"),
        pytest.param(RateLimit("api", 10, 10.0, burst=1), id="one after the other"),
        pytest.param(RateLimit("api", 1, 1.0), id="one a second"),
        pytest.param(RateLimit("api", 250_000, 86_400.0), id="many a day"),
        pytest.param(RateLimit("api", 2, 86_400.0), id="few a day"),
    ],
)
def test_it_lets_pass_what_the_local_one_does(limiter: RedisLimiter, ticks: Ticks, key: str, limit: RateLimit) -> None:
    local = LocalLimiter(ticks)
    for step in (0.0, 0.0, limit.interval / 2, limit.interval, limit.interval * 3.5, limit.seconds * 2):
        ticks.now += step
        for cost in (1, 1, 2):
            here, there = local.take(key, limit, cost), limiter.take(key, limit, cost)
            assert abs(here - there) < timedelta(seconds=0.001)


def test_workers_keep_it_together(redis: Redis, ticks: Ticks, key: str) -> None:
    workers = [RedisLimiter(redis, clock=ticks, ticks=ticks) for _ in range(3)]
    assert sum(taken(worker, key, TEN, 10) for worker in workers) == 10
    ticks.now += 1
    assert sum(taken(worker, key, TEN, 10) for worker in workers) == 1


def test_who_waits_as_told_passes(limiter: RedisLimiter, ticks: Ticks, key: str) -> None:
    for _ in range(200):
        wait = limiter.take(key, TEN)
        if wait:
            ticks.now += wait.total_seconds()
            assert not limiter.take(key, TEN)


def test_a_pause_holds_for_all_and_is_only_lengthened(redis: Redis, ticks: Ticks, key: str) -> None:
    one, other = (RedisLimiter(redis, clock=ticks, ticks=ticks) for _ in range(2))
    one.pause(key, timedelta(seconds=30))
    one.pause(key, timedelta(seconds=5))
    assert other.take(key, TEN) == one.take(key, TEN) == timedelta(seconds=30)
    ticks.now += 30.001
    assert not other.take(key, TEN)


def test_a_redis_that_was_wiped_ends_no_pause_of_this_process(
    redis: Redis, limiter: RedisLimiter, ticks: Ticks, key: str
) -> None:
    limiter.pause(key, timedelta(seconds=30))
    redis.delete(f"assay:limit:{key}")
    assert limiter.take(key, TEN) == timedelta(seconds=30)


def test_what_is_paid_for_is_forgotten(redis: Redis, limiter: RedisLimiter, key: str) -> None:
    limiter.take(key, TEN)
    assert 0 < int(redis.pttl(f"assay:limit:{key}")) <= 2000  # type: ignore[arg-type] # of a client that does not wait


def test_without_redis_it_goes_on_at_half_the_rate(ticks: Ticks, key: str) -> None:
    away = RedisLimiter(impatient("redis://127.0.0.1:1"), ticks=ticks)
    assert taken(away, key, TEN, 20) == 5
    ticks.now += 4.001
    assert taken(away, key, TEN, 20) == 2
    away.pause(key, timedelta(seconds=30))
    assert away.take(key, TEN) == timedelta(seconds=30)


class TestSlots:
    @pytest.fixture
    def pool(self) -> Pool:
        return Pool(lambda _: None, slots=8)

    @staticmethod
    def taken(pool: Pool, whose: Callable[[int], tuple[int, str]]) -> int:
        return sum(pool.take(*whose(number)) for number in range(20))

    def test_a_plugin_holds_half(self, pool: Pool) -> None:
        assert self.taken(pool, lambda tenant: (tenant, "hanging")) == 4
        assert self.taken(pool, lambda tenant: (tenant, "another")) == 4
        assert not pool.take(99, "third")

    def test_a_tenant_holds_a_quarter(self, pool: Pool) -> None:
        assert self.taken(pool, lambda number: (1, f"plugin{number}")) == 2
        assert pool.take(2, "plugin")

    def test_what_is_given_back_is_for_others(self, pool: Pool) -> None:
        assert self.taken(pool, lambda tenant: (tenant, "hanging")) == 4
        pool.give_back(0, "hanging")
        assert pool.take(50, "hanging")
        assert not pool.take(51, "hanging")

    @pytest.mark.parametrize("ends", [True, False], ids=["what ends in time", "what hangs"])
    def test_the_end_waits_a_while_for_what_is_under_way(self, ends: bool) -> None:
        go, began = Event(), Event()

        def run(_: Errand) -> None:
            began.set()
            go.wait(10)

        pool = Pool(run)
        assert pool.take(1, "quarry")
        pool.start(Errand(1, 1, "quarry", "pull", "stones", None))  # type: ignore[arg-type] # its lease is nobody's concern
        began.wait(10)
        if ends:
            go.set()
        assert pool.stop(timedelta(seconds=5 if ends else 0.05)) is ends
        assert not pool.take(1, "quarry")
        go.set()


class TestBreakers:
    def test_three_connections_make_it_the_vendors_failure(self, redis: Redis) -> None:
        key = f"quarry:{uuid4().hex}"
        one, other = Breakers(redis), Breakers(redis)
        for _ in range(10):
            one.failed(key, 1, 1)
        assert not other.wait(key)
        one.failed(key, 2, 2)
        one.failed(key, 3, 3)
        # One tries, all others wait.
        assert [bool(each.wait(key)) for each in (other, one, other)] == [False, True, True]
        other.succeeded(key)
        assert not one.wait(key)
        assert not one.wait(key)

    def test_without_redis_nobody_waits(self) -> None:
        away = Breakers(impatient("redis://127.0.0.1:1"))
        for number in range(5):
            away.failed("quarry:away", number, number)
        assert not away.wait("quarry:away")
