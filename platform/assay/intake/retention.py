"""How long raw messages and events are kept, tenant by tenant: the classes there are, and what each one means.

Partitions are shared by tenants and hold one class each: a partition goes as a whole, once everything in it is past its
class. So a thing lives for the days of its class, and at most for the width of one partition more.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import BigInteger, DateTime, SmallInteger, Text, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from assay_tenants.database import Base
from assay_tenants.models import Tenant

Kind = Literal["messages", "events"]
Width = Literal["day", "week", "month"]

FOREVER = 0
KINDS: tuple[Kind, ...] = ("messages", "events")
PARENTS: Mapping[Kind, str] = {"messages": "intake.messages", "events": "profiles.events"}
#: By days of keeping: how wide the partitions are.
CLASSES: Mapping[Kind, Mapping[int, Width]] = {
    "messages": {7: "day", 30: "week", 90: "week", 365: "month", FOREVER: "month"},
    "events": {365: "month", 730: "month", 1095: "month", FOREVER: "month"},
}
#: Of a tenant that chose nothing; the table's own defaults.
DEFAULTS: Mapping[Kind, int] = {"messages": 365, "events": FOREVER}
WIDEST: Mapping[Width, timedelta] = {"day": timedelta(days=1), "week": timedelta(days=7), "month": timedelta(days=31)}


class RetentionMove(Base):
    """A tenant's rows on their way into the class that was chosen last; ``due_at`` is when to look again."""

    __tablename__ = "retention_moves"
    __table_args__ = {"schema": "intake", "info": {"citus": "distributed"}}  # noqa: RUF012 # read once by SQLAlchemy

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    kind: Mapped[Kind] = mapped_column(Text, primary_key=True)
    into_days: Mapped[int] = mapped_column(SmallInteger)
    started_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    due_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    moved: Mapped[int] = mapped_column(BigInteger, server_default="0")
    deleted: Mapped[int] = mapped_column(BigInteger, server_default="0")
    finished_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


@dataclass(frozen=True)
class Keeping:
    """A tenant's choice, in days; 0 is for ever."""

    messages: int
    events: int

    def of(self, kind: Kind) -> int:
        return self.messages if kind == "messages" else self.events


def keeping_of(session: Session, tenant_id: int) -> Keeping:
    query = select(Tenant.keep_messages, Tenant.keep_events).where(Tenant.id == tenant_id)
    return Keeping(*session.execute(query).one())


def is_past(received_at: datetime, days: int, now: datetime) -> bool:
    return days != FOREVER and received_at + timedelta(days=days) <= now


def is_longer(days: int, than: int) -> bool:
    return than != FOREVER and (days == FOREVER or days > than)


def classes(kind: Kind) -> str:
    """A row source with the column ``retention``: joined with equality, a look-up opens one partition of each class."""
    return f"unnest(CAST(ARRAY[{', '.join(map(str, CLASSES[kind]))}] AS smallint[])) AS class (retention)"


def between(kind: Kind, columns: str) -> str:
    """The tenant's rows that came between ``:first`` and ``:last``, in whichever class: opens few partitions.

    An instant alone would open all of them, for they are cut by class first; of one condition with several classes the
    planner would make just that.
    """
    return " UNION ALL ".join(
        f"SELECT {columns} FROM {PARENTS[kind]} r WHERE r.tenant_id = :tenant_id AND r.retention = {days}"  # noqa: S608 # constants
        " AND r.received_at BETWEEN :first AND :last"
        for days in CLASSES[kind]
    )
