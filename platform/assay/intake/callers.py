"""Whom a write key speaks for, remembered for a few seconds so that a busy sender costs no query a request."""

from collections.abc import Callable
from datetime import timedelta
from threading import Lock
from time import monotonic

from assay_tenants.keys import Caller, find_caller

# A revoked key stops within five seconds; one is left for the request that is under way.
LIFETIME = timedelta(seconds=4)
SIZE = 10_000
LONGEST_KEY = 128


class Callers:
    """A bounded memory of keys, wrong ones too: a sender that is set up wrongly may be a busy one."""

    def __init__(
        self, *, lifetime: timedelta = LIFETIME, size: int = SIZE, clock: Callable[[], float] = monotonic
    ) -> None:
        self._lifetime = lifetime.total_seconds()
        self._size = size
        self._clock = clock
        self._known: dict[str, tuple[float, Caller | None]] = {}
        self._lock = Lock()

    def find(self, secret: str) -> Caller | None:
        if len(secret) > LONGEST_KEY:
            return None
        now = self._clock()
        known = self._known.get(secret)
        if known is not None and now < known[0]:
            return known[1]
        caller = find_caller(secret, kind="write")
        with self._lock:
            self._known.pop(secret, None)
            while len(self._known) >= self._size:
                del self._known[next(iter(self._known))]
            # Counted from before the query: a key revoked during it must not live longer.
            self._known[secret] = (now + self._lifetime, caller)
        return caller

    def forget(self) -> None:
        with self._lock:
            self._known.clear()
