"""Whether there is room for more: on the disk, and in the queue of what waits to be understood.

A thread looks about once a second; requests read what it saw last.
"""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Lock, Thread
from time import monotonic

import structlog
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from assay_tenants.database import engine, timetable_session
from assay_tenants.plans.metering import month_of
from assay_tenants.plans.standing import Standing, standing_of

# Looking takes at most a twentieth of the time, however much waits.
PAUSE = 1.0
SHARE = 20
# An older look says nothing: then the writer finds out by itself.
STALE = 60.0
# The size of a database is the sum of its files' sizes.
SIZE_EVERY = 30.0

# So many pages are read at most: a larger queue is told from a sample of them.
PAGES = 500

_PAGES = text("SELECT pg_relation_size('intake.waiting') / current_setting('block_size')::bigint")
_WAITING = text("""
    SELECT tenant_id, count(*) FROM (
        SELECT w.tenant_id FROM intake.waiting w ORDER BY w.tenant_id LIMIT :most
    ) counted GROUP BY tenant_id
""")
_SAMPLE = text("SELECT tenant_id, count(*) FROM intake.waiting TABLESAMPLE SYSTEM (:percent) GROUP BY tenant_id")
_RATES = text("SELECT id, events_per_second FROM tenancy.tenants WHERE events_per_second IS NOT NULL")
_PLANS = text("""
    SELECT t.id, t.plan, t.trial_ends_at, u.events, COALESCE(u.leads, b.leads) AS leads
    FROM tenancy.tenants t
    LEFT JOIN tenancy.usage u ON u.tenant_id = t.id AND u.month = :month
    -- Leads stay when a month begins.
    LEFT JOIN tenancy.usage b ON b.tenant_id = t.id AND b.month = CAST(:month AS date) - interval '1 month'
    WHERE t.plan <> 'unlimited'
""")
_SIZE = text("SELECT pg_database_size(current_database())")

log = structlog.get_logger()


@dataclass(frozen=True)
class Limits:
    """Bytes and messages; 0 for no limit."""

    #: Of the volume that ``folder`` lies on: None for a database elsewhere.
    folder: Path | None = None
    free: int = 0
    database: int = 0
    backlog: int = 0
    backlog_of_one: int = 0


@dataclass(frozen=True)
class Sight:
    """What was seen; None for what could not be."""

    at: float
    free: int | None = None
    database: int | None = None
    #: Messages by tenant: of a long queue an estimate, of a short one at most one more than the limit for all.
    waiting: Mapping[int, int] = field(default_factory=dict)
    #: Tenants with a rate of their own.
    rates: Mapping[int, int] = field(default_factory=dict)
    #: How tenants stand that have a plan with limits.
    plans: Mapping[int, Standing] = field(default_factory=dict)

    @property
    def waiting_of_all(self) -> int:
        return sum(self.waiting.values())


class Room:
    """Its thread is started by the first who asks."""

    def __init__(
        self, limits: Limits, *, clock: Callable[[], float] = monotonic, also: Callable[[], None] = lambda: None
    ) -> None:
        self.limits = limits
        self._clock = clock
        #: Done after each look, by the same thread.
        self._also = also
        self._sight: Sight | None = None
        self._starting = Lock()
        self._thread: Thread | None = None
        self._stopped = Event()
        self._size: tuple[float, int] | None = None
        self._is_blind = False

    def seen(self) -> Sight:
        """What was seen last; what is older than a minute counts as nothing."""
        if self._thread is None or not self._thread.is_alive():
            self._start()
        sight = self._sight
        if sight is None or self._clock() - sight.at > STALE:
            return Sight(self._clock(), rates=sight.rates, plans=sight.plans) if sight else Sight(self._clock())
        return sight

    def look(self) -> Sight:
        """Looks now."""
        at = self._clock()
        before = self._sight
        sight = Sight(at, free=self._free())
        if before:
            sight = replace(sight, rates=before.rates, plans=before.plans)
        is_whole = sight.free is not None or self.limits.folder is None or not self.limits.free
        try:
            with timetable_session() as session:
                session.execute(text("SET LOCAL statement_timeout = '5s'"))
                rates = {row.id: row.events_per_second for row in session.execute(_RATES)}
                plans = _plans(session)
                waiting = self._waiting(session)
            database = self._database(at)
            sight = Sight(at, sight.free, database, waiting, rates, plans)
            self._is_blind = not is_whole
        except SQLAlchemyError as error:
            self._miss(error)
        self._tell(before, sight)
        self._sight = sight
        return sight

    def stop(self) -> None:
        self._stopped.set()

    def _start(self) -> None:
        with self._starting:
            if self._thread is not None and self._thread.is_alive():
                return
            if self._sight is None:
                self.look()
            self._thread = Thread(target=self._watch, name="intake-room", daemon=True)
            self._thread.start()

    def _watch(self) -> None:
        while True:
            started = self._clock()
            try:
                self.look()
                self._also()
            except Exception:  # the next look may fare better; without any, nothing is refused
                log.exception("intake.room_failed")
            if self._stopped.wait(max(PAUSE, SHARE * (self._clock() - started))):
                return

    def _waiting(self, session: Session) -> dict[int, int]:
        pages: int = session.execute(_PAGES).scalar_one()
        if pages <= PAGES:
            return {row[0]: row[1] for row in session.execute(_WAITING, {"most": self._most()})}
        share = PAGES / pages
        return {row[0]: round(row[1] / share) for row in session.execute(_SAMPLE, {"percent": 100 * share})}

    def _most(self) -> int:
        """One more than is needed to tell that a limit is reached."""
        if self.limits.backlog:
            return self.limits.backlog + 1
        # Without a limit for all, a tenant's own may hide behind another's rows: as many as could matter are counted.
        return 10 * self.limits.backlog_of_one + 1 if self.limits.backlog_of_one else 0

    def _free(self) -> int | None:
        if self.limits.folder is None or not self.limits.free:
            return None
        try:
            return shutil.disk_usage(self.limits.folder).free
        except OSError as error:
            self._miss(error)
            return None

    def _miss(self, error: Exception) -> None:
        if not self._is_blind:
            log.warning("intake.room_unknown", error=str(error).partition("\n")[0])
        self._is_blind = True

    def _database(self, now: float) -> int | None:
        if not self.limits.database:
            return None
        if self._size is None or now - self._size[0] >= SIZE_EVERY:
            # The application may ask for it, the timetable may not.
            with engine().connect() as connection:
                self._size = (now, connection.execute(_SIZE).scalar_one())
        return self._size[1]

    def _tell(self, before: Sight | None, sight: Sight) -> None:
        was, is_ = (self.reason(each) if each else None for each in (before, sight))
        if is_ and not was:
            log.warning("intake.no_room", reason=is_, free=sight.free, waiting=sight.waiting_of_all)
        if was and not is_:
            log.info("intake.room_again", free=sight.free, waiting=sight.waiting_of_all)

    def reason(self, sight: Sight, size: int = 0) -> str | None:
        """Why no more messages of ``size`` bytes are accepted; None when they are."""
        if self.limits.backlog and sight.waiting_of_all >= self.limits.backlog:
            return f"{self.limits.backlog:,} messages wait to be understood, which is as many as may"
        return self.scarcity(sight, size)

    def scarcity(self, sight: Sight, size: int) -> str | None:
        """What there is not enough of for ``size`` bytes more."""
        limits = self.limits
        if limits.free and sight.free is not None and sight.free - size < limits.free:
            return f"less than {limits.free // 1024**2:,} MB are left on the disk"
        if limits.database and sight.database is not None and sight.database + size > limits.database:
            return f"the database has reached {limits.database / 1024**3:,.0f} GB, its limit"
        return None


def _plans(session: Session) -> dict[int, Standing]:
    now = datetime.now(UTC)
    rows = session.execute(_PLANS, {"month": month_of(now)})
    return {row.id: standing_of(row.plan, row.trial_ends_at, row.events, row.leads, now) for row in rows}
