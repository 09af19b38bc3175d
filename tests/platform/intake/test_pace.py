"""Never more than the rate and the burst allow, over any time, by however many processes; and never much less."""

import math
import socket
from collections.abc import Iterator
from itertools import count
from time import monotonic

import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from redis import Redis

from assay.intake.pace import AWAY, LOOK, Lender, Pace, Rate, Visitors
from assay.settings import Settings

_tenants = count(10**12)


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class Counted(Lender):
    """The real thing; counts its trips."""

    trips = 0

    def lease(self, tenant_id: int, rate: Rate, least: int) -> tuple[int, float]:
        self.trips += 1
        return super().lease(tenant_id, rate, least)


class Town:
    """Processes that share one Redis and, here, one clock."""

    def __init__(self, redis_url: str, processes: int) -> None:
        self.clock = Clock()
        self.lender = Counted(redis_url, clock=self.clock)
        self.paces = [Pace(self.lender, clock=self.clock) for _ in range(processes)]
        self.tenant_id = next(_tenants)

    def take(self, process: int, items: int, rate: Rate) -> float:
        return self.paces[process].take(self.tenant_id, items, rate)


@pytest.fixture(scope="module")
def redis_url(settings: Settings) -> str:
    return settings.redis_url


@pytest.fixture
def silent_address() -> Iterator[str]:
    """Somebody listens, and never says a word."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(64)
        yield f"redis://127.0.0.1:{listening.getsockname()[1]}"


RATES = st.sampled_from([Rate(1, 12), Rate(10, 100), Rate(100, 1_000), Rate(5_000, 50_000), Rate(333, 700)])


def steps_of(least: float) -> st.SearchStrategy[list[tuple[float, int, float]]]:
    """Pauses, whose turn it is after each, and how much of the burst they ask for."""
    # Mostly within a lease's life, where mistakes would be.
    pauses = st.one_of(st.floats(least, 0.3), st.floats(least, 1.5), st.floats(least, 30))
    return st.lists(st.tuples(pauses, st.integers(0, 3), st.floats(0.0001, 0.6)), min_size=1, max_size=60)


class TestTake:
    @examples(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(rate=RATES, steps=steps_of(0))
    def test_over_no_time_more_than_rate_and_burst(
        self, redis_url: str, rate: Rate, steps: list[tuple[float, int, float]]
    ) -> None:
        town = Town(redis_url, 4)
        passed: list[tuple[float, int]] = []
        for pause, process, share in steps:
            town.clock.now += pause
            items = max(1, int(share * (rate.burst - rate.per_second)))
            if town.take(process, items, rate) == 0:
                passed.append((town.clock.now, items))
        for first, (begin, _) in enumerate(passed):
            total = 0
            for end, items in passed[first:]:
                total += items
                assert total <= rate.burst + rate.per_second * (end - begin) + 0.01

    @examples(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(rate=RATES, steps=steps_of(LOOK + 0.001))
    @example(rate=Rate(10, 100), steps=[(0.25, 0, 0.34375), (0.1, 0, 0.546875), (0.1, 0, 0.375)])
    def test_who_waits_as_told_passes(self, redis_url: str, rate: Rate, steps: list[tuple[float, int, float]]) -> None:
        town = Town(redis_url, 4)
        for pause, process, share in steps:
            town.clock.now += pause
            items = max(1, int(share * (rate.burst - rate.per_second)))
            wait = town.take(process, items, rate)
            if wait:
                town.clock.now += math.ceil(wait)
                assert town.take(process, items, rate) == 0

    @pytest.mark.parametrize("processes", [1, 2, 4])
    def test_nearly_all_that_is_allowed_passes(self, redis_url: str, processes: int) -> None:
        town, rate, passed = Town(redis_url, processes), Rate(1_000, 10_000), 0
        began = town.clock.now
        for number in range(6_000):
            town.clock.now += 0.005
            passed += 10 * (town.take(number % processes, 10, rate) == 0)
        allowed = rate.burst + rate.per_second * (town.clock.now - began)
        # A second's worth is kept back for leases.
        assert allowed - rate.per_second - 0.05 * allowed <= passed <= allowed

    def test_no_trip_for_each_request(self, redis_url: str) -> None:
        town, rate = Town(redis_url, 1), Rate(5_000, 50_000)
        for _ in range(10_000):
            town.clock.now += 0.0005
            assert town.take(0, 1, rate) == 0
        assert town.lender.trips <= 60

    def test_who_is_refused_costs_no_trip(self, redis_url: str) -> None:
        town, rate = Town(redis_url, 1), Rate(10, 100)
        while town.take(0, 10, rate) == 0:
            pass
        before = town.lender.trips
        for _ in range(1_000):
            assert town.take(0, 10, rate) > 0
        assert town.lender.trips == before

    def test_a_request_above_the_burst_passes_when_all_is_there_and_is_paid_for_after(self, redis_url: str) -> None:
        town, rate = Town(redis_url, 1), Rate(10, 100)
        assert town.take(0, 1_000, rate) == 0
        wait = town.take(0, 1, rate)
        assert 85 < wait < 95

    def test_tenants_do_not_share(self, redis_url: str) -> None:
        town, rate = Town(redis_url, 1), Rate(10, 100)
        while town.take(0, 10, rate) == 0:
            pass
        assert town.paces[0].take(next(_tenants), 10, rate) == 0

    def test_an_empty_redis_lends_anew(self, redis_url: str, redis: Redis) -> None:
        town, rate = Town(redis_url, 1), Rate(10, 100)
        while town.take(0, 10, rate) == 0:
            pass
        redis.delete(f"assay:pace:{town.tenant_id}")
        town.clock.now += 10
        assert town.take(0, 50, rate) == 0

    def test_nothing_is_left_behind_in_redis(self, redis_url: str, redis: Redis) -> None:
        town, rate = Town(redis_url, 1), Rate(1_000, 10_000)
        town.take(0, 10, rate)
        assert 0 < int(redis.pttl(f"assay:pace:{town.tenant_id}")) < 3_000  # type: ignore[arg-type] # not async


class TestWithoutRedis:
    @pytest.mark.parametrize("how", ["silent", "closed"])
    def test_each_process_limits_by_itself(self, silent_address: str, how: str) -> None:
        address = silent_address if how == "silent" else "redis://127.0.0.1:1"
        clock = Clock()
        pace, rate, tenant_id = Pace(Lender(address), clock=clock), Rate(10, 100), next(_tenants)
        started = monotonic()
        passed = 0
        while pace.take(tenant_id, 10, rate) == 0:
            passed += 10
        assert passed == 100
        # One request has waited for Redis, for a tenth of a second.
        assert monotonic() - started < 2
        wait = pace.take(tenant_id, 10, rate)
        clock.now += math.ceil(wait)
        assert pace.take(tenant_id, 10, rate) == 0

    def test_it_is_asked_again_after_a_while(self, redis_url: str) -> None:
        town, rate = Town(redis_url, 1), Rate(10, 100)
        away = Lender("redis://127.0.0.1:1")
        town.paces[0]._lender = away
        assert town.take(0, 10, rate) == 0
        town.paces[0]._lender = town.lender
        assert town.take(0, 10, rate) == 0
        assert town.lender.trips == 0
        town.clock.now += AWAY.total_seconds()
        assert town.take(0, 10, rate) == 0
        assert town.lender.trips == 1

    def test_what_was_spent_with_redis_is_not_spent_again_without(self, redis_url: str) -> None:
        town, rate = Town(redis_url, 1), Rate(10, 100)
        while town.take(0, 10, rate) == 0:
            pass
        town.paces[0]._lender = Lender("redis://127.0.0.1:1")
        town.clock.now += 1
        passed = 0
        while town.take(0, 1, rate) == 0:
            passed += 1
        assert passed <= 10 + rate.per_second + 1


class TestVisitors:
    def test_one_can_not_use_up_what_the_others_may_send(self) -> None:
        clock = Clock()
        visitors = Visitors(Rate(10, 100), clock=clock)
        assert visitors.take("greedy", 100) == 0
        assert visitors.take("greedy", 1) == pytest.approx(0.1)
        assert visitors.take("modest", 1) == 0
        clock.now += 1
        assert visitors.take("greedy", 10) == 0

    def test_memory_is_bounded_and_the_idle_go_first(self) -> None:
        visitors = Visitors(Rate(10, 100), most=3, clock=Clock())
        for visitor in ("a", "b", "c", "a", "d"):
            visitors.take(visitor, 60)
        # "a" has spent what it may; "b" was forgotten.
        assert visitors.take("a", 60) > 0
        assert visitors.take("b", 60) == 0
