"""How often a vendor may be asked: stated by the plugin, kept by all workers together."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from threading import Lock
from time import monotonic
from typing import Literal, Protocol


@dataclass(frozen=True)
class RateLimit:
    """At most so many requests in so many seconds.

    Limits are kept across all workers. A 429 pauses every limit that the call took.
    """

    #: What a call names it by; every call takes the limit ``"api"``, if there is one, unless it names others.
    name: str
    requests: int
    #: The window, in seconds.
    seconds: float
    #: Whose it is: one connection's, one account's at the vendor (whoever connected it), or the whole installation's.
    per: Literal["connection", "account", "app"] = "account"
    #: How many may come at once. Stated, the limit is a bucket that holds so many and is filled evenly, ``requests`` in
    #: ``seconds``. Unstated, it is a window: no stretch of that length ever sees more, so a tenth may come at once.
    burst: int | None = None

    def __post_init__(self) -> None:
        if self.requests < 1 or self.seconds <= 0 or (self.burst is not None and self.burst < 1):
            raise ValueError("A rate limit is of at least one request in more than no time.")

    @property
    def most(self) -> int:
        """How many may come at once."""
        return max(1, self.requests // 10) if self.burst is None else self.burst

    @property
    def interval(self) -> float:
        """Seconds from one request to the next when they come evenly."""
        evenly = self.requests if self.burst is not None else max(1, self.requests - self.most)
        return self.seconds / evenly


class Limiter(Protocol):
    """Keeps limits; the platform's does so for all workers, in Redis."""

    def take(self, key: str, limit: RateLimit, cost: int = 1) -> timedelta:
        """Takes ``cost`` requests of the limit known as ``key``, or none of them: then it tells how long to wait."""

    def pause(self, key: str, duration: timedelta) -> None:
        """Nobody takes any of this limit before then."""


class LocalLimiter:
    """For one process: tests, and plugins that are tried out."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._next: dict[str, float] = {}
        self._paused: dict[str, float] = {}
        self._lock = Lock()

    def take(self, key: str, limit: RateLimit, cost: int = 1) -> timedelta:
        now = self._clock()
        with self._lock:
            if (wait := self._paused.get(key, now) - now) > 0:
                return timedelta(seconds=wait)
            # The instant at which all that was taken is paid for (GCRA).
            paid = max(self._next.get(key, now), now) + cost * limit.interval
            wait = paid - now - limit.most * limit.interval
            # Shorter than the shortest span there is would be told as none, and so as taken.
            if wait > 1e-6:
                return timedelta(seconds=wait)
            self._next[key] = paid
        return timedelta(0)

    def pause(self, key: str, duration: timedelta) -> None:
        with self._lock:
            until = self._clock() + duration.total_seconds()
            self._paused[key] = max(self._paused.get(key, until), until)
