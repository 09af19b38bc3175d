"""How often tenants were refused, and why: counted here, and added up in Redis once a second."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import cast

import structlog
from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

#: Counts of a day are seen for a week.
KEPT = timedelta(days=7)
PATIENCE = 1.0

log = structlog.get_logger()


class Refusals:
    """Should Redis be away, what is counted waits for it; a restart may lose a second's worth."""

    def __init__(self, redis_url: str) -> None:
        self._redis = Redis.from_url(
            redis_url, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE, retry=Retry(NoBackoff(), 0)
        )
        self._counted: Counter[tuple[int, str]] = Counter()
        self._lock = Lock()

    def add(self, tenant_id: int, code: str) -> None:
        with self._lock:
            self._counted[tenant_id, code] += 1

    def write(self) -> None:
        with self._lock:
            counted, self._counted = self._counted, Counter()
        if not counted:
            return
        pipe = self._redis.pipeline(transaction=False)
        for (tenant_id, code), count in counted.items():
            key = _key(tenant_id, datetime.now(UTC))
            pipe.hincrby(key, code, count)
            pipe.expire(key, KEPT)
        try:
            pipe.execute()
        except RedisError as error:
            log.warning("intake.refusals_not_written", error=str(error))
            with self._lock:
                self._counted += counted

    def of(self, tenant_id: int, days: int = 1) -> dict[str, int]:
        """Today's by code, with those of the days before; empty when Redis can't tell."""
        today = datetime.now(UTC)
        found: Counter[str] = Counter()
        try:
            for back in range(days):
                counts = cast("dict[bytes, bytes]", self._redis.hgetall(_key(tenant_id, today - timedelta(days=back))))
                found.update({code.decode(): int(count) for code, count in counts.items()})
        except RedisError:
            return {}
        return dict(found)


def _key(tenant_id: int, day: datetime) -> str:
    return f"assay:refused:{tenant_id}:{day:%Y%m%d}"
