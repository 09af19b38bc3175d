"""Partitions whose whole content is past are dropped; what rests on it elsewhere is put in order, before or after."""

from collections.abc import Iterator
from datetime import UTC, datetime
from time import monotonic, sleep

import structlog
from sqlalchemy import BigInteger, Text, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from assay import facts
from assay.intake import partitions
from assay.intake.partitions import Partition
from assay.intake.retention import FOREVER, Kind, RetentionMove, is_longer, keeping_of
from assay.profiles.service import tell
from assay_tenants.database import Base, tenant_session, timetable_session

# Whoever inserts waits behind each try for a blink; between two they go on.
TRIES = 10
PAUSE = 0.5
# Of one job; the rest is for the next one.
LONGEST = 100.0
LEADS = 1_000

_RANGE = """{alias}.tenant_id = :tenant_id AND {alias}.retention = :days
    AND {alias}.received_at >= :first AND {alias}.received_at < :last"""
_WAITING = text(f"""
    SELECT EXISTS (SELECT FROM intake.waiting w JOIN intake.messages m
        ON m.tenant_id = w.tenant_id AND m.id = w.message_id AND m.received_at = w.received_at
        WHERE w.tenant_id = :tenant_id AND w.received_at >= :first AND w.received_at < :last
        AND {_RANGE.format(alias="m")})
""")  # noqa: S608 # of constants above
_RESCUE = text(f"""
    UPDATE intake.messages m SET retention = 0
    FROM intake.waiting w
    WHERE w.tenant_id = :tenant_id AND w.message_id = m.id AND w.received_at = m.received_at
        AND {_RANGE.format(alias="m")}
""")  # noqa: S608 # of constants above
_LETTERS = text(f"""
    DELETE FROM intake.dead_letters d USING intake.messages m
    WHERE d.tenant_id = :tenant_id AND d.message_id = m.id AND d.received_at = m.received_at
        AND {_RANGE.format(alias="m")}
""")  # noqa: S608 # of constants above
_LEADS = text(f"""
    INSERT INTO profiles.forgetting (tenant_id, partition, lead_id)
    SELECT DISTINCT :tenant_id, CAST(:child AS text), e.lead_id FROM profiles.events e
    WHERE {_RANGE.format(alias="e")}
    ON CONFLICT DO NOTHING
""")  # noqa: S608 # of constants above
_PAST_EVENTS = text("DELETE FROM profiles.past_events p WHERE p.tenant_id = :tenant_id AND p.known_at < :last")
_IMPORT_EVENTS = text("DELETE FROM profiles.import_events i WHERE i.tenant_id = :tenant_id AND i.received_at < :last")
_FORGOTTEN = text("""
    SELECT DISTINCT tenant_id, partition FROM profiles.forgetting WHERE NOT partition = ANY(:there)
""")
_FORGET = text("""
    DELETE FROM profiles.forgetting f WHERE f.tenant_id = :tenant_id AND f.partition = :child AND f.lead_id IN (
        SELECT n.lead_id FROM profiles.forgetting n WHERE n.tenant_id = :tenant_id AND n.partition = :child
        ORDER BY n.lead_id LIMIT :most FOR UPDATE SKIP LOCKED
    ) RETURNING f.lead_id
""")
_OPEN = select(RetentionMove.kind, RetentionMove.into_days).where(RetentionMove.due_at.is_not(None)).distinct()

log = structlog.get_logger()


class Forgetting(Base):
    """A lead some of whose events go with a partition; it is scored anew once that is gone."""

    __tablename__ = "forgetting"
    __table_args__ = {"schema": "profiles", "info": {"citus": "distributed"}}  # noqa: RUF012 # read once by SQLAlchemy

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    partition: Mapped[str] = mapped_column(Text, primary_key=True)
    lead_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)


def drop_past(now: datetime | None = None) -> int:
    """Drops what is past; tells how many partitions went. What somebody is in the way of goes another time."""
    until = monotonic() + LONGEST
    dropped = 0
    rescued = _rescued()
    for partition in partitions.overdue(now or datetime.now(UTC)):
        if any(_is_rescued(partition, kind, into_days) for kind, into_days in rescued):
            log.info("partitions.waits_for_moves", partition=partition.child)
            continue
        for tenant_id in partitions.tenants_in(partition):
            _prepare(tenant_id, partition)
        gone = _dropped(partition)
        log.info("partitions.dropped" if gone else "partitions.busy", partition=partition.child)
        dropped += gone
        if monotonic() >= until:
            break
    _score_anew(until)
    return dropped


def _rescued() -> list[tuple[Kind, int]]:
    with timetable_session() as session:
        return [(row.kind, row.into_days) for row in session.execute(_OPEN)]


def _is_rescued(partition: Partition, kind: Kind, into_days: int) -> bool:
    """Somebody chose to keep longer what may be in here, and it is still on its way."""
    return partition.kind == kind and is_longer(into_days, partition.retention or FOREVER)


def _dropped(partition: Partition) -> bool:
    for left in reversed(range(TRIES)):
        if partitions.drop(partition):
            return True
        if left:
            sleep(PAUSE)
    return False


def _prepare(tenant_id: int, partition: Partition) -> None:
    asked = {"tenant_id": tenant_id, "days": partition.retention, "first": partition.first, "last": partition.last}
    if partition.kind == "messages":
        with tenant_session(tenant_id) as session:
            waits = session.execute(_WAITING, asked).scalar_one()
        if waits:
            # What was accepted is understood before it goes: until then it is kept for ever.
            for instant in (partition.first, partition.last):
                partitions.make(partition.parent, FOREVER, instant)
        with tenant_session(tenant_id) as session:
            if session.execute(_RESCUE, asked).rowcount:  # type: ignore[attr-defined] # of an UPDATE it is there
                log.warning("retention.still_waiting", tenant_id=tenant_id, partition=partition.child)
                _move_again(session, tenant_id)
            session.execute(_LETTERS, asked)
        return
    with tenant_session(tenant_id) as session:
        session.execute(_LEADS, {**asked, "child": partition.child})
        session.execute(_PAST_EVENTS, asked)
        session.execute(_IMPORT_EVENTS, asked)


def _move_again(session: Session, tenant_id: int) -> None:
    """Messages that were understood after all go from the class for ever into their tenant's."""
    now = datetime.now(UTC)
    statement = insert(RetentionMove).values(
        tenant_id=tenant_id,
        kind="messages",
        into_days=keeping_of(session, tenant_id).messages,
        started_at=now,
        due_at=now,
        moved=0,
        deleted=0,
    )
    news = {"due_at": now, "finished_at": None}
    session.execute(statement.on_conflict_do_update(index_elements=["tenant_id", "kind"], set_=news))


def _score_anew(until: float) -> None:
    """Makes the leads due whose events are gone."""
    there = [each.child for each in partitions.partitions()]
    with timetable_session() as session:
        waiting = session.execute(_FORGOTTEN, {"there": there}).all()
    for tenant_id, child in waiting:
        for lead_ids in _forgotten(tenant_id, child):
            log.debug("retention.scored_anew", tenant_id=tenant_id, leads=len(lead_ids))
            if monotonic() >= until:
                return


def _forgotten(tenant_id: int, child: str) -> Iterator[list[int]]:
    while True:
        with tenant_session(tenant_id) as session:
            asked = {"tenant_id": tenant_id, "child": child, "most": LEADS}
            lead_ids = list(session.scalars(_FORGET, asked))
            if not lead_ids:
                return
            tell(session, tenant_id, lead_ids)
            facts.tell_after_commit(session, facts.LeadsChanged(tenant_id))
        yield lead_ids
