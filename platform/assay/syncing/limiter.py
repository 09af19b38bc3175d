"""How often vendors are asked: counted in Redis, for all workers together, in one script a call.

A limit is kept as the instant at which all that was taken is paid for (GCRA), beside the instant until which nobody
asks. With Redis away each process counts by itself, at half the rate: slower than allowed, never without a limit.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from threading import Lock
from time import monotonic
from typing import cast

import structlog
from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

from assay_sdk import Limiter, LocalLimiter, RateLimit

#: A call waits no longer than this for Redis, and then none does for a while.
PATIENCE = timedelta(seconds=0.5)
AWAY = timedelta(seconds=5)
#: Pauses that are remembered here too, so that waiting costs no trips.
PAUSES_KNOWN = 10_000

# Numbers are told as text: Redis would cut them to whole ones, and Lua to fourteen digits.
_NOW = """
local now = tonumber(ARGV[1])
if not now then
    local time = redis.call('TIME')
    now = tonumber(time[1]) + tonumber(time[2]) / 1000000
end
local kept = redis.call('HMGET', KEYS[1], 'paid', 'paused')
local paid, paused = tonumber(kept[1]) or now, tonumber(kept[2]) or 0
"""
_TAKE = (
    _NOW
    + """
local cost, most = tonumber(ARGV[2]), tonumber(ARGV[3])
if paused > now then
    return string.format('%.6f', paused - now)
end
paid = math.max(paid, now) + cost
local wait = paid - now - most
if wait > 0.000001 then
    return string.format('%.6f', wait)
end
redis.call('HSET', KEYS[1], 'paid', string.format('%.6f', paid))
redis.call('PEXPIRE', KEYS[1], math.ceil((paid - now) * 1000) + 1000)
return '0'
"""
)
_PAUSE = (
    _NOW
    + """
paused = math.max(paused, now + tonumber(ARGV[2]))
redis.call('HSET', KEYS[1], 'paused', string.format('%.6f', paused))
redis.call('PEXPIRE', KEYS[1], math.ceil((math.max(paid, paused) - now) * 1000) + 1000)
return '0'
"""
)

log = structlog.get_logger()


class RedisLimiter:
    """Limits that all workers keep together."""

    def __init__(
        self, redis: Redis, *, clock: Callable[[], float] | None = None, ticks: Callable[[], float] = monotonic
    ) -> None:
        """``clock`` instead of Redis's own, which is the same for everybody; ``ticks`` count seconds in here."""
        self._take = redis.register_script(_TAKE)
        self._pause = redis.register_script(_PAUSE)
        self._clock = clock
        self._ticks = ticks
        self._alone = LocalLimiter(ticks)
        self._paused: dict[str, float] = {}
        self._away_until = 0.0
        self._lock = Lock()

    def take(self, key: str, limit: RateLimit, cost: int = 1) -> timedelta:
        wait = self._known_pause(key)
        if wait > 0:
            return timedelta(seconds=wait)
        if self._ticks() >= self._away_until:
            try:
                answer = self._take(
                    keys=[_name(key)], args=[self._now(), cost * limit.interval, limit.most * limit.interval]
                )
            except RedisError as error:
                self._give_up(error)
            else:
                return timedelta(seconds=float(cast(bytes, answer)))
        return self._alone.take(key, _halved(limit), cost)

    def pause(self, key: str, duration: timedelta) -> None:
        seconds = duration.total_seconds()
        with self._lock:
            now = self._ticks()
            if len(self._paused) >= PAUSES_KNOWN:
                self._paused = {known: until for known, until in self._paused.items() if until > now}
            self._paused[key] = max(self._paused.get(key, now), now + seconds)
        try:
            self._pause(keys=[_name(key)], args=[self._now(), seconds])
        except RedisError as error:
            self._give_up(error)

    def _known_pause(self, key: str) -> float:
        with self._lock:
            wait = self._paused.get(key, 0.0) - self._ticks()
            if wait <= 0:
                self._paused.pop(key, None)
        return wait

    def _now(self) -> str:
        return repr(self._clock()) if self._clock else ""

    def _give_up(self, error: RedisError) -> None:
        with self._lock:
            if self._ticks() >= self._away_until:
                log.warning("syncing.limits_alone", error=str(error))
            self._away_until = self._ticks() + AWAY.total_seconds()


def _name(key: str) -> str:
    return f"assay:limit:{key}"


def _halved(limit: RateLimit) -> RateLimit:
    return replace(limit, seconds=limit.interval * limit.requests * 2, burst=max(1, limit.most // 2))


_current: Limiter = LocalLimiter()


def configure(redis_url: str) -> None:
    """From here on this process keeps limits together with all others."""
    global _current
    _current = RedisLimiter(impatient(redis_url))


def impatient(redis_url: str) -> Redis:
    """For what can do without Redis. By default a call is tried again for half a minute."""
    seconds = PATIENCE.total_seconds()
    return Redis.from_url(
        redis_url, socket_timeout=seconds, socket_connect_timeout=seconds, retry=Retry(NoBackoff(), 0)
    )


def current() -> Limiter:
    return _current
