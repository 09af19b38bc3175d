"""When each key was last used: written at most once a minute for each key, and not while somebody waits for it."""

from datetime import UTC, datetime, timedelta
from queue import Empty, Full, Queue
from threading import Lock, Thread
from time import monotonic

import structlog
from sqlalchemy import or_, update
from sqlalchemy.exc import SQLAlchemyError

from assay_tenants.database import tenant_session
from assay_tenants.models import Key

EVERY = timedelta(minutes=1)
#: Uses that wait to be written; what comes beyond them is told by the key's next use.
_WAITING = 1_000
#: Keys of which it is remembered when they were written.
_KNOWN = 20_000

log = structlog.get_logger()


class Uses:
    """Those of one process: a thread of their own writes them."""

    def __init__(self) -> None:
        self._noted: dict[tuple[int, int], float] = {}
        self._waiting: Queue[tuple[int, int, datetime]] = Queue(_WAITING)
        self._lock = Lock()
        self._thread: Thread | None = None

    def note(self, tenant_id: int, key_id: int) -> None:
        """The key was used just now."""
        now = monotonic()
        if now - self._noted.get((tenant_id, key_id), float("-inf")) < EVERY.total_seconds():
            return
        with self._lock:
            while len(self._noted) >= _KNOWN:
                del self._noted[next(iter(self._noted))]
            self._noted[tenant_id, key_id] = now
            if self._thread is None or not self._thread.is_alive():
                self._thread = Thread(target=self._write, name="key uses", daemon=True)
                self._thread.start()
        try:
            self._waiting.put_nowait((tenant_id, key_id, datetime.now(UTC)))
        except Full:
            log.warning("keys.use_not_noted", tenant_id=tenant_id, key_id=key_id)

    def _write(self) -> None:
        while True:
            try:
                tenant_id, key_id, at = self._waiting.get(timeout=EVERY.total_seconds())
            except Empty:
                return
            try:
                write_use(tenant_id, key_id, at)
            except SQLAlchemyError as error:
                log.warning("keys.use_not_written", tenant_id=tenant_id, key_id=key_id, error=str(error))


def write_use(tenant_id: int, key_id: int, at: datetime) -> None:
    """Unless another process has written one of the same minute."""
    with tenant_session(tenant_id) as session:
        session.execute(
            update(Key)
            .where(
                Key.tenant_id == tenant_id,
                Key.id == key_id,
                or_(Key.last_used_at.is_(None), Key.last_used_at <= at - EVERY),
            )
            .values(last_used_at=at)
        )


uses = Uses()
