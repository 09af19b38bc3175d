"""How fast a tenant sends: a bucket of events that fills at its rate, shared by all processes through Redis.

A process takes a tenth of a second's worth at a time and spends it within a second, so most requests cost no trip. What
may be spent a second after it was taken is kept back from the bucket: over no time do all processes together let more
pass than the rate and the burst allow. With Redis away each process limits by itself, as if it were alone.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from datetime import timedelta
from threading import Lock
from time import monotonic
from typing import cast

import structlog
from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

# A lease is spent or void after this: what is kept back from the bucket for it.
LEASE = timedelta(seconds=1)
# A request waits no longer than this for Redis, and then none does for a while.
PATIENCE = timedelta(seconds=0.1)
AWAY = timedelta(seconds=5)
# Who was refused is told the same again for this long, without a trip; meanwhile others may have taken more.
LOOK = 0.05
PURSES = 20_000

# A full bucket is forgotten: it comes back full. Where there is little left, little is lent, so that what others need
# does not lie with somebody who does not. Who asks for more than fits waits until it is full, and then leaves a debt.
# Levels are fractions that computers round: whoever waited as told must not lack a millionth.
_LEASE = """
local rate, capacity, least = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local now = tonumber(ARGV[4])
if not now then
    local time = redis.call('TIME')
    now = tonumber(time[1]) + tonumber(time[2]) / 1000000
end
local kept = redis.call('HMGET', KEYS[1], 'level', 'at')
local level, at = tonumber(kept[1]) or capacity, tonumber(kept[2]) or now
level = math.min(capacity, level + math.max(0, now - at) * rate)
at = math.max(at, now)
local granted = 0
if level >= math.min(least, capacity) - 0.000001 then
    granted = math.max(least, math.floor(math.min(level, rate / 10, math.max(level / 20, rate / 100))))
    level = level - granted
end
redis.call('HSET', KEYS[1], 'level', level, 'at', at)
redis.call('PEXPIRE', KEYS[1], math.ceil((capacity - level) / rate * 1000) + 1000)
return {string.format('%.6f', granted), string.format('%.6f', level)}
"""

log = structlog.get_logger()


@dataclass(frozen=True)
class Rate:
    """Events a second in the long run, and how many may come at once."""

    per_second: int
    burst: int


@dataclass
class Bucket:
    """What one process lets pass by itself."""

    level: float
    at: float

    @classmethod
    def full(cls, rate: Rate, now: float) -> "Bucket":
        return cls(rate.burst, now)

    def fill(self, rate: Rate, now: float) -> None:
        self.level = min(rate.burst, self.level + max(0.0, now - self.at) * rate.per_second)
        self.at = max(self.at, now)

    def take(self, items: int, rate: Rate, now: float) -> float:
        """Seconds after which so many can be had; 0 when they were."""
        self.fill(rate, now)
        short = min(items, rate.burst) - self.level
        if short > 0:
            return short / rate.per_second
        self.level -= items
        return 0.0


class Lender:
    """The buckets that all processes share."""

    def __init__(self, redis_url: str, *, name: str = "pace", clock: Callable[[], float] | None = None) -> None:
        """``name`` tells buckets of one thing from those of another."""
        self._name = name
        seconds = PATIENCE.total_seconds()
        # By default a call is tried again for half a minute.
        self._redis = Redis.from_url(
            redis_url, socket_timeout=seconds, socket_connect_timeout=seconds, retry=Retry(NoBackoff(), 0)
        )
        self._lease = self._redis.register_script(_LEASE)
        #: Seconds; None for Redis's own clock, which is the same for everybody.
        self._clock = clock

    def lease(self, tenant_id: int, rate: Rate, least: int) -> tuple[int, float]:
        """How many are lent, at least ``least`` or none, and what is left for others; raises RedisError."""
        capacity = rate.burst - rate.per_second * LEASE.total_seconds()
        now = repr(self._clock()) if self._clock else ""
        granted, level = cast(
            "tuple[bytes, bytes]",
            self._lease(keys=[f"assay:{self._name}:{tenant_id}"], args=[rate.per_second, capacity, least, now]),
        )
        return int(float(granted)), float(level)


@dataclass
class _Purse:
    own: Bucket
    left: int = 0
    until: float = 0.0
    #: What the shared bucket held when it was last looked at.
    seen: float | None = None
    seen_at: float = 0.0
    lock: Lock = field(default_factory=Lock)


class Pace:
    """Counts what tenants send."""

    def __init__(self, lender: Lender, *, clock: Callable[[], float] = monotonic) -> None:
        self._lender = lender
        self._clock = clock
        self._purses: OrderedDict[int, _Purse] = OrderedDict()
        self._lock = Lock()
        self._away_until = 0.0

    def take(self, tenant_id: int, items: int, rate: Rate) -> float:
        """Seconds after which so many may pass; 0 when they may, and are counted."""
        now = self._clock()
        purse = self._purse(tenant_id, rate, now)
        with purse.lock:
            if purse.until <= now:
                purse.left = 0
            if not self._asks(now):
                return purse.own.take(items, rate, now)
            if purse.left >= items:
                purse.left -= items
                self._count(purse, items, rate, now)
                return 0.0
            wait = _known_wait(purse, items, rate, now)
            if wait > 0:
                return wait
            held, purse.left = purse.left, 0
        return self._borrow(tenant_id, purse, items, held, rate, now)

    def _borrow(self, tenant_id: int, purse: _Purse, items: int, held: int, rate: Rate, now: float) -> float:
        try:
            granted, level = self._lender.lease(tenant_id, rate, items - held)
        except RedisError as error:
            self._give_up(now, error)
            with purse.lock:
                return purse.own.take(items, rate, now)
        self._away_until = 0.0
        with purse.lock:
            purse.seen, purse.seen_at = level, now
            if not granted:
                purse.left += held
                return max(_wait(level, items, rate), 1e-3)
            # Spent at the latest a second after it was lent, whichever lease it came from.
            until = now + LEASE.total_seconds()
            purse.until = min(purse.until, until) if purse.left else until
            purse.left += held + granted - items
            self._count(purse, items, rate, now)
            return 0.0

    def _purse(self, tenant_id: int, rate: Rate, now: float) -> _Purse:
        with self._lock:
            purse = self._purses.get(tenant_id)
            if purse is None:
                while len(self._purses) >= PURSES:
                    self._purses.popitem(last=False)
                purse = self._purses[tenant_id] = _Purse(Bucket.full(rate, now))
            self._purses.move_to_end(tenant_id)
            return purse

    def _asks(self, now: float) -> bool:
        """Whether Redis is there as far as we know; one request finds out when it wasn't for a while."""
        if not self._away_until:
            return True
        with self._lock:
            if now < self._away_until:
                return False
            self._away_until = now + AWAY.total_seconds()
            return True

    def _give_up(self, now: float, error: RedisError) -> None:
        with self._lock:
            if now >= self._away_until:
                log.warning("intake.pace_alone", error=str(error))
            self._away_until = max(self._away_until, now + AWAY.total_seconds())

    @staticmethod
    def _count(purse: _Purse, items: int, rate: Rate, now: float) -> None:
        purse.own.fill(rate, now)
        purse.own.level -= items


def _known_wait(purse: _Purse, items: int, rate: Rate, now: float) -> float:
    """For how long there can't be enough, by the last look: whoever is told so costs no trip."""
    if purse.seen is None or now - purse.seen_at > LOOK:
        return 0.0
    level = purse.seen + max(0.0, now - purse.seen_at) * rate.per_second
    return _wait(level, items, rate) if _wait(level, items - purse.left, rate) > 0 else 0.0


def _wait(level: float, items: int, rate: Rate) -> float:
    capacity = rate.burst - rate.per_second * LEASE.total_seconds()
    return max(0.0, (min(items, capacity) - level) / rate.per_second)


class Visitors:
    """Of each visitor of a page with a public key: so that none uses up what all of them may send together."""

    def __init__(self, rate: Rate, *, most: int = PURSES, clock: Callable[[], float] = monotonic) -> None:
        self._rate = rate
        self._most = most
        self._clock = clock
        self._buckets: OrderedDict[Hashable, Bucket] = OrderedDict()
        self._lock = Lock()

    def take(self, visitor: Hashable, items: int) -> float:
        """Seconds after which so many may pass; 0 when they may, and are counted. Only this process counts."""
        now = self._clock()
        with self._lock:
            bucket = self._buckets.get(visitor)
            if bucket is None:
                while len(self._buckets) >= self._most:
                    self._buckets.popitem(last=False)
                bucket = self._buckets[visitor] = Bucket.full(self._rate, now)
            self._buckets.move_to_end(visitor)
            return bucket.take(items, self._rate, now)
