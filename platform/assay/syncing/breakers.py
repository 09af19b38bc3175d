"""A vendor that fails for everybody is asked by few: its failures are counted in Redis, for all connections together.

Each connection has a circuit of its own. Before those have opened one by one, a vendor that hangs would hold every slot
that its plugin may have; so once three connections in a row found it failing, one at a time tries.
"""

from datetime import timedelta
from urllib.parse import urlsplit

import structlog
from redis import Redis, RedisError

from assay_sdk import Link, Service

#: So many connections, with no success in between, make a vendor's failure.
CONNECTIONS = 3
#: Failures longer ago are forgotten.
MEMORY = timedelta(minutes=2)
#: The time between two tries.
PAUSE = timedelta(seconds=15)

log = structlog.get_logger()


class Breakers:
    """``key`` is a plugin's name and the host that it calls: many hosts may stand behind one plugin."""

    def __init__(self, redis: Redis | None) -> None:
        self._redis = redis

    def wait(self, key: str) -> timedelta:
        """None left to wait: the vendor may be asked."""
        if self._redis is None:
            return timedelta(0)
        try:
            if int(self._redis.scard(_failing(key))) < CONNECTIONS:
                return timedelta(0)
            if self._redis.set(_trying(key), 1, nx=True, px=PAUSE):
                return timedelta(0)
        except RedisError as error:
            log.warning("syncing.breakers_away", error=str(error))
            return timedelta(0)
        return PAUSE

    def failed(self, key: str, tenant_id: int, connection_id: int) -> None:
        self._try(key, f"{tenant_id}-{connection_id}")

    def succeeded(self, key: str) -> None:
        self._try(key, None)

    def _try(self, key: str, failing: str | None) -> None:
        if self._redis is None:
            return
        try:
            if failing is None:
                self._redis.delete(_failing(key), _trying(key))
            else:
                self._redis.sadd(_failing(key), failing)
                self._redis.pexpire(_failing(key), MEMORY)
        except RedisError as error:
            log.warning("syncing.breakers_away", error=str(error))


def key_of(service: Service, link: Link) -> str:
    """What a breaker is for: one vendor's host."""
    try:
        return f"{service.name}:{urlsplit(service.base_url(link)).hostname or ''}"
    except Exception:  # noqa: BLE001 # whatever a plugin does: then it is for the plugin
        return service.name


def _failing(key: str) -> str:
    return f"assay:breaker:{key}:failing"


def _trying(key: str) -> str:
    return f"assay:breaker:{key}:trying"


_current = Breakers(None)


def configure(redis: Redis) -> None:
    global _current
    _current = Breakers(redis)


def current() -> Breakers:
    return _current
