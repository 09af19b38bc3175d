"""A clock that is turned by hand."""

from datetime import UTC, datetime, timedelta
from threading import Lock


class SetClock:
    """Stands still, unless somebody sleeps or turns it forward; then nobody really waits."""

    def __init__(self, at: datetime | None = None) -> None:
        self._now = at or datetime(2026, 9, 21, 12, 0, tzinfo=UTC)
        self._lock = Lock()
        #: How long was slept, each time.
        self.slept: list[float] = []

    def now(self) -> datetime:
        with self._lock:
            return self._now

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.slept.append(seconds)
            self._now += timedelta(seconds=seconds)

    def turn(self, by: timedelta) -> None:
        """Forward."""
        with self._lock:
            self._now += by

    def seconds(self) -> float:
        """For those who count seconds, such as ``LocalLimiter``."""
        return self.now().timestamp()
