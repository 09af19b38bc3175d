"""What is noted of a notice beside the notice itself: that one came, and what it taught us. After it was answered."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from queue import Full, Queue
from threading import Lock, Thread

import structlog
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from assay.intake.remembering import Memory
from assay.syncing.routes import Route
from assay.syncing.subscribing import sealed
from assay_tenants.database import tenant_session

#: A connection is noted of at most this often.
PAUSE = timedelta(seconds=10)
#: The same lesson is not learned again for this long.
LESSON = timedelta(hours=1)
#: Notes that wait; further ones are dropped, for another notice will come.
WAITING = 10_000

_CAME = text("""
    UPDATE intake.links SET last_hook_at = :at
     WHERE tenant_id = :tenant_id AND connection_id = :connection_id
       AND (last_hook_at IS NULL OR last_hook_at < :at - CAST(:pause AS interval))
""")
_LEARNED = text("""
    UPDATE intake.links
       SET learned = :learned, due_at = CASE WHEN leased_until > now() THEN due_at ELSE now() END
     WHERE tenant_id = :tenant_id AND connection_id = :connection_id
""")

log = structlog.get_logger()


@dataclass(frozen=True)
class _Note:
    route: Route
    at: datetime
    learned: dict[str, str] | None


class Noter:
    """Its thread is started by the first note."""

    def __init__(self) -> None:
        self._notes: Queue[_Note] = Queue(WAITING)
        self._came: Memory[bool] = Memory(lifetime=PAUSE)
        self._lessons: Memory[bool] = Memory(lifetime=LESSON)
        self._thread: Thread | None = None
        self._starting = Lock()

    def note(self, route: Route, at: datetime, learned: dict[str, str] | None) -> None:
        whose = (route.tenant_id, route.connection_id)
        if learned:
            lesson = sha256(repr(sorted(learned.items())).encode()).digest()
            if self._is_known(self._lessons, (*whose, lesson)):
                learned = None
        if not learned and self._is_known(self._came, whose):
            return
        try:
            self._notes.put_nowait(_Note(route, at, learned))
        except Full:
            log.warning("hooks.not_noted")
        self._ensure_running()

    def settle(self) -> None:
        """Waits until all is noted."""
        self._notes.join()

    @staticmethod
    def _is_known(memory: Memory[bool], key: object) -> bool:
        is_new: list[bool] = []

        def look() -> bool:
            is_new.append(True)
            return True

        memory.get(key, look)
        return not is_new

    def _ensure_running(self) -> None:
        with self._starting:
            if self._thread is None or not self._thread.is_alive():
                self._thread = Thread(target=self._write_all, name="hook-noter", daemon=True)
                self._thread.start()

    def _write_all(self) -> None:
        while True:
            note = self._notes.get()
            try:
                _write(note)
            except SQLAlchemyError as error:
                log.warning("hooks.not_noted", tenant_id=note.route.tenant_id, error=type(error).__name__)
            except Exception:
                log.exception("hooks.not_noted", tenant_id=note.route.tenant_id)
            finally:
                self._notes.task_done()


def _write(note: _Note) -> None:
    route = note.route
    whose = {"tenant_id": route.tenant_id, "connection_id": route.connection_id}
    with tenant_session(route.tenant_id) as session:
        session.execute(_CAME, {**whose, "at": note.at, "pause": PAUSE})
        if note.learned:
            learned = sealed(route.tenant_id, route.connection_id, note.learned)
            session.execute(_LEARNED, {**whose, "learned": learned})
