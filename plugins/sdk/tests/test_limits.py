"""Limits in one process."""

from datetime import timedelta

import pytest

from assay_sdk import LocalLimiter, RateLimit
from assay_sdk.testing import SetClock


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.mark.parametrize(
    ("limit", "at_once", "then_every"),
    [
        pytest.param(RateLimit("api", 10, 1, burst=10), 10, 0.1, id="ten a second"),
        pytest.param(RateLimit("api", 2, 10, burst=2), 2, 5.0, id="two in ten seconds"),
        pytest.param(RateLimit("api", 100, 10, burst=3), 3, 0.1, id="few at once"),
    ],
)
def test_so_many_at_once_and_then_evenly(clock: SetClock, limit: RateLimit, at_once: int, then_every: float) -> None:
    limiter = LocalLimiter(clock.seconds)
    assert all(limiter.take("k", limit) == timedelta(0) for _ in range(at_once))
    wait = limiter.take("k", limit)
    assert wait.total_seconds() == pytest.approx(then_every, abs=1e-5)
    clock.turn(wait)
    assert limiter.take("k", limit) == timedelta(0)
    assert limiter.take("k", limit) > timedelta(0)


@pytest.mark.parametrize(
    "limit",
    [
        pytest.param(RateLimit("api", 20, 2), id="many"),
        pytest.param(RateLimit("api", 2, 10), id="few"),
        pytest.param(RateLimit("api", 190, 10), id="very many"),
    ],
)
def test_no_stretch_sees_more_than_stated(clock: SetClock, limit: RateLimit) -> None:
    limiter, taken = LocalLimiter(clock.seconds), list[float]()
    while len(taken) < limit.requests * 4:
        wait = limiter.take("k", limit)
        if wait:
            clock.turn(wait)
        else:
            taken.append(clock.seconds())
    stretches = zip(taken, taken[limit.requests :], strict=False)
    assert all(later - earlier >= limit.seconds - 1e-3 for earlier, later in stretches)


def test_keys_are_apart_and_costs_count(clock: SetClock) -> None:
    limiter, limit = LocalLimiter(clock.seconds), RateLimit("api", 10, 1, burst=10)
    assert limiter.take("one", limit, cost=10) == timedelta(0)
    assert limiter.take("one", limit) > timedelta(0)
    assert limiter.take("two", limit) == timedelta(0)
    assert limiter.take("two", limit, cost=10) > timedelta(0)


def test_a_pause_holds_everybody_and_is_not_shortened(clock: SetClock) -> None:
    limiter, limit = LocalLimiter(clock.seconds), RateLimit("api", 10, 1)
    limiter.pause("k", timedelta(seconds=30))
    limiter.pause("k", timedelta(seconds=5))
    assert limiter.take("k", limit) == timedelta(seconds=30)
    clock.turn(timedelta(seconds=30))
    assert limiter.take("k", limit) == timedelta(0)


@pytest.mark.parametrize(
    "numbers",
    [
        pytest.param((0, 1), id="none"),
        pytest.param((1, 0), id="in no time"),
        pytest.param((1, 1, "account", 0), id="none at once"),
    ],
)
def test_a_limit_that_is_none(numbers: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="at least one request"):
        RateLimit("api", *numbers)  # type: ignore[arg-type] # the third is a word
