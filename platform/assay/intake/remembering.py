"""What was looked up, remembered for a few seconds, so that a busy sender costs no query a request."""

from collections.abc import Callable, Hashable
from datetime import timedelta
from threading import Lock
from time import monotonic
from typing import Generic, TypeVar

# What is revoked stops within five seconds; one is left for the request that is under way.
LIFETIME = timedelta(seconds=4)
SIZE = 10_000

T = TypeVar("T")


class Memory(Generic[T]):
    """Bounded; what is not found is remembered too, because who is set up wrongly may be busy."""

    def __init__(
        self, *, lifetime: timedelta = LIFETIME, size: int = SIZE, clock: Callable[[], float] = monotonic
    ) -> None:
        self._lifetime = lifetime.total_seconds()
        self._size = size
        self._clock = clock
        self._known: dict[Hashable, tuple[float, T]] = {}
        self._lock = Lock()

    def get(self, key: Hashable, look: Callable[[], T]) -> T:
        now = self._clock()
        known = self._known.get(key)
        if known is not None and now < known[0]:
            return known[1]
        found = look()
        with self._lock:
            self._known.pop(key, None)
            while len(self._known) >= self._size:
                del self._known[next(iter(self._known))]
            # Counted from before the query: what ended during it must not live longer.
            self._known[key] = (now + self._lifetime, found)
        return found

    def forget(self) -> None:
        with self._lock:
            self._known.clear()
