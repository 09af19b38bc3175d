"""Partitions are made ahead of time, mended where one was missing, and dropped once all in them is past.

The owner's functions do the work. None waits for a lock longer than a blink, for whoever inserts would wait behind it:
it tells that somebody is in the way, and is asked again.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

import structlog
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from assay.intake.retention import CLASSES, DEFAULTS, FOREVER, KINDS, PARENTS, Kind, Width
from assay_tenants.database import engine, timetable_session

HISTORY = "scoring.score_history"
#: Partitions at hand beyond the present one.
AHEAD: dict[Width, int] = {"day": 10, "week": 3, "month": 2}
# Each moves up to 50,000 rows.
MOST_MENDED = 40

_ALL = text("SELECT parent, child, retention, first, last FROM public.assay_partitions()")
_MAKE = text("SELECT public.assay_make_partition(:parent, CAST(:retention AS smallint), :instant)")
_DROP = text("SELECT public.assay_drop_partition(:child)")
_STRAY = text("SELECT retention, instant FROM public.assay_stray(:parent)")
_TENANTS = text("SELECT * FROM public.assay_tenants_in(:child)")
_USED = text(
    "SELECT DISTINCT 'messages', keep_messages FROM tenancy.tenants"
    " UNION SELECT DISTINCT 'events', keep_events FROM tenancy.tenants"
)

log = structlog.get_logger()

Made = Literal["made", "there", "busy", "later"]


@dataclass(frozen=True)
class Partition:
    """One that has bounds; ``retention`` is None where there are no classes."""

    parent: str
    child: str
    retention: int | None
    first: datetime
    last: datetime

    @property
    def kind(self) -> Kind:
        return next(kind for kind, parent in PARENTS.items() if parent == self.parent)

    @property
    def ends_at(self) -> datetime | None:
        """When all that is in it is past; None for what is kept for ever."""
        return self.last + timedelta(days=self.retention) if self.retention else None


def partitions() -> list[Partition]:
    with engine().begin() as connection:
        return [Partition(*row) for row in connection.execute(_ALL) if row.first is not None]


def overdue(now: datetime) -> list[Partition]:
    """Those whose whole content is past its class, the oldest first."""
    past = [each for each in partitions() if each.ends_at is not None and each.ends_at <= now]
    return sorted(past, key=lambda each: each.last)


def make(parent: str, retention: int | None, instant: datetime) -> Made:
    """In a transaction of its own; the caller's must not have touched the parent, whose default partition is locked."""
    with engine().begin() as connection:
        made: Made = connection.execute(
            _MAKE, {"parent": parent, "retention": retention, "instant": instant}
        ).scalar_one()
    return made


def drop(partition: Partition) -> bool:
    """False while somebody is in the way."""
    with engine().begin() as connection:
        gone: bool = connection.execute(_DROP, {"child": partition.child}).scalar_one()
    return gone


def tenants_in(partition: Partition) -> list[int]:
    with timetable_session() as session:
        return list(session.scalars(_TENANTS, {"child": partition.child}))


def make_ahead(now: datetime) -> int:
    """All that rows will need in the next days and weeks, of each class that a tenant uses; tells how many were new."""
    there = partitions()
    made = 0
    for parent, retention, start in sorted(_needed(now), key=lambda needed: needed[2]):
        if not any(each.parent == parent and each.retention == retention and each.first <= start < each.last
                   for each in there):  # fmt: skip
            outcome = make(parent, retention, start)
            made += outcome == "made"
            if outcome == "busy":
                log.info("partitions.busy", parent=parent, retention=retention, first=start.isoformat())
    return made


def _needed(now: datetime) -> Iterator[tuple[str, int | None, datetime]]:
    with timetable_session() as session:
        used = {(kind, days) for kind, days in session.execute(_USED)}
    used |= {(kind, days) for kind in KINDS for days in (DEFAULTS[kind], FOREVER)}
    for kind in KINDS:
        for days, width in CLASSES[kind].items():
            if (kind, days) in used:
                for start in starts(width, now, AHEAD[width] + 1):
                    yield PARENTS[kind], days, start
    for start in starts("month", now, AHEAD["month"] + 1):
        yield HISTORY, None, start


def starts(width: Width, at: datetime, count: int) -> list[datetime]:
    """The beginnings of the partition that holds an instant, and of those that follow it."""
    midnight = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if width == "month":
        months = [midnight.year * 12 + midnight.month - 1 + step for step in range(count)]
        return [midnight.replace(year=month // 12, month=month % 12 + 1, day=1) for month in months]
    if width == "week":
        midnight -= timedelta(days=midnight.weekday())
    return [midnight + timedelta(days=step * (7 if width == "week" else 1)) for step in range(count)]


def mend() -> int:
    """Makes the partitions that rows missed, and moves them there; tells how many were made.

    Rows without a partition of their own are kept and found like all others, but no drop would ever reach them.
    """
    made = 0
    for parent, stray in strays().items():
        log.warning("partitions.missing", parent=parent, retention=stray[0], instant=stray[1].isoformat())
        left: tuple[int | None, datetime] | None = stray
        for _ in range(MOST_MENDED):
            if left is None:
                break
            try:
                outcome = make(parent, *left)
            except DBAPIError as error:
                log.warning("partitions.not_mended", parent=parent, retention=left[0], error=str(error.orig))
                break
            if outcome not in ("made", "there"):
                break
            made += outcome == "made"
            left = _stray(parent)
    return made


def strays() -> dict[str, tuple[int | None, datetime]]:
    """By parent: class and instant of a row that found no partition of its own."""
    found = {parent: _stray(parent) for parent in (*PARENTS.values(), HISTORY)}
    return {parent: stray for parent, stray in found.items() if stray is not None}


def _stray(parent: str) -> tuple[int | None, datetime] | None:
    with engine().begin() as connection:
        row = connection.execute(_STRAY, {"parent": parent}).one_or_none()
    return (row.retention, row.instant) if row else None
