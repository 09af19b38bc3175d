"""How often senders try again: told in the log once a minute at most, not once a request."""

from collections.abc import Callable
from datetime import timedelta
from threading import Lock
from time import monotonic

import structlog

PAUSE = timedelta(minutes=1)
_LONGEST = 6

log = structlog.get_logger()


class Retries:
    """Counts requests that say they are a further attempt, by their ``X-Retry-Count``."""

    def __init__(self, *, pause: timedelta = PAUSE, clock: Callable[[], float] = monotonic) -> None:
        self._pause = pause.total_seconds()
        self._clock = clock
        self._lock = Lock()
        self._requests = self._highest = 0
        self._told_at = -self._pause

    def note(self, stated: str) -> None:
        if not (stated.isascii() and stated.isdigit() and len(stated) <= _LONGEST and int(stated)):
            return
        now = self._clock()
        with self._lock:
            self._requests += 1
            self._highest = max(self._highest, int(stated))
            if now - self._told_at < self._pause:
                return
            told = {"requests": self._requests, "highest": self._highest}
            self._requests = self._highest = 0
            self._told_at = now
        log.info("intake.sent_again", **told)
