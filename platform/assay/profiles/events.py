"""Events, each kept once whatever the number of times it is sent."""

# ruff: noqa: S608 # statements are put together from constants of this module alone

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from assay.intake.retention import between, is_past, keeping_of
from assay.profiles import contests
from assay.profiles.bulk import copied, escaped, rows
from assay.profiles.contests import Claim
from assay.profiles.gathering import Happening
from assay.profiles.matching import Key
from assay.profiles.merging import canonical
from assay_tenants.plans.metering import count_events

_COLUMNS = """id uuid, received_at timestamptz, lead_id bigint, identity_id bigint, type text, occurred_at timestamptz,
    properties jsonb, source_id bigint, sender_id text, message_id uuid"""
_NAMES = "id, received_at, lead_id, identity_id, type, occurred_at, properties, source_id, sender_id, message_id"
_OF_NEWS = ", ".join(f"n.{name}" for name in _NAMES.split(", "))
# In order, so that neighbours in an index are written together.
_INSERT = f"""
    WITH fresh AS (
        INSERT INTO profiles.seen (tenant_id, event_id, received_at)
        SELECT :tenant_id, n.id, n.received_at FROM {{rows}} n ORDER BY n.id
        ON CONFLICT (tenant_id, event_id) DO NOTHING
        RETURNING event_id
    ), kept AS (
        INSERT INTO profiles.events (tenant_id, {_NAMES}, known_at, import_id, retention)
        SELECT :tenant_id, {_OF_NEWS}, :known_at, :import_id, :retention
        FROM {{rows}} n JOIN fresh ON fresh.event_id = n.id
    )
    SELECT (SELECT count(*) FROM fresh) AS fresh,
        ARRAY(SELECT n.id FROM {{rows}} n WHERE n.id NOT IN (SELECT event_id FROM fresh)) AS known
"""
_SEEN = text("""
    SELECT s.event_id, s.received_at FROM json_to_recordset(CAST(:rows AS json)) AS n (id uuid)
    JOIN profiles.seen s ON s.tenant_id = :tenant_id AND s.event_id = n.id
""")
_KEPT = text(f"""
    SELECT e.id, e.received_at, e.lead_id, e.type, e.occurred_at, e.properties, e.identity_id, e.source_id,
        e.sender_id, e.message_id, e.import_id, e.retention, i.kind, i.value
    FROM json_to_recordset(CAST(:rows AS json)) AS n (id uuid, received_at timestamptz)
    JOIN ({between("events", "*")}) AS e ON e.id = n.id AND e.received_at = n.received_at
    JOIN profiles.identities i ON i.tenant_id = :tenant_id AND i.id = e.identity_id
""")
# Of one class, and with both bounds: so the planner leaves the other partitions alone.
_REPLACE = """
    WITH replaced AS (
        UPDATE profiles.events e
        SET lead_id = n.lead_id, identity_id = n.identity_id, type = n.type, occurred_at = n.occurred_at,
            properties = n.properties, message_id = n.message_id, known_at = :known_at
        FROM {rows} n
        JOIN profiles.events o ON o.tenant_id = :tenant_id AND o.id = n.id AND o.received_at = n.received_at
            AND o.retention = :retention AND o.received_at BETWEEN :first AND :last
        WHERE e.tenant_id = :tenant_id AND e.id = n.id AND e.received_at = n.received_at
            AND e.retention = :retention AND e.received_at BETWEEN :first AND :last
        RETURNING o.id, o.known_at, o.identity_id, o.type, o.occurred_at, o.properties
    )
    INSERT INTO profiles.past_events
        (tenant_id, event_id, until, known_at, identity_id, type, occurred_at, properties)
    SELECT :tenant_id, id, :known_at, known_at, identity_id, type, occurred_at, properties
    FROM replaced WHERE known_at < :known_at
"""

#: An identity's id and its lead's.
Place = tuple[int, int]
Places = Mapping[Key, Place]


@dataclass(frozen=True)
class News:
    """The events of a batch, by id."""

    events: Mapping[UUID, Happening]

    def keep(self, session: Session, tenant_id: int, places: Places, known_at: datetime, *, import_id: int) -> set[int]:
        """Gives the leads that have another set of events now."""
        retention = keeping_of(session, tenant_id).events
        # What a late look at an old message finds would be counted, and go with the next partition.
        events = {
            id_: event for id_, event in self.events.items() if not is_past(event.received_at, retention, known_at)
        }
        if not events:
            return set()
        lines = ["".join([_line(event, event.received_at, places[event.key]) for event in events.values()])]
        known = _insert(session, tenant_id, lines, known_at, import_id, retention)
        changed = {places[event.key][1] for event in events.values() if event.id not in known}
        if not known:
            return changed
        again = [Claim(import_id, events[id_], *places[events[id_].key]) for id_ in known]
        return changed | contest(session, tenant_id, again, places, known_at)


def insert(
    session: Session,
    tenant_id: int,
    lines: Iterable[str],
    known_at: datetime,
    *,
    import_id: int,
    received_at: datetime,
    form: str,
) -> set[UUID] | None:
    """Keeps events that were received at one instant and come as lines of a COPY; gives the ids that were used before.

    None: they are too old to be kept at all.
    """
    retention = keeping_of(session, tenant_id).events
    if is_past(received_at, retention, known_at):
        return None
    return _insert(session, tenant_id, lines, known_at, import_id, retention, form=form)


def _insert(
    session: Session,
    tenant_id: int,
    lines: Iterable[str],
    known_at: datetime,
    import_id: int,
    retention: int,
    *,
    form: str = "text",
) -> set[UUID]:
    table = copied(session, _COLUMNS, lines, form=form)
    asked = {"tenant_id": tenant_id, "known_at": known_at, "import_id": import_id, "retention": retention}
    row = session.execute(text(_INSERT.format(rows=table)), asked).one()
    count_events(session, tenant_id, row.fresh)
    return set(row.known)


def contest(session: Session, tenant_id: int, again: list[Claim], places: Places, known_at: datetime) -> set[int]:
    """An id was used before: of two different events the one that precedes stays, so that order can't matter."""
    claims = {claim.event.id: claim for claim in again}
    changed: set[int] = set()
    winners: dict[int, list[tuple[Happening, datetime]]] = {}
    rivals = []
    for row in _find(session, tenant_id, claims):
        claim, kept = claims[row.id], _kept(row)
        if claim.import_id != kept.import_id:
            rivals.append((kept, claim))
        elif claim.event.rank < kept.event.rank:
            winners.setdefault(row.retention, []).append((claim.event, row.received_at))
            changed |= {row.lead_id, claim.lead_id}
    for retention, dated in winners.items():
        lines = ["".join([_line(event, at, places[event.key]) for event, at in dated])]
        statement = text(_REPLACE.format(rows=copied(session, _COLUMNS, lines)))
        bounds = {"first": min(at for _, at in dated), "last": max(at for _, at in dated)}
        asked = {"tenant_id": tenant_id, "known_at": known_at, "retention": retention, **bounds}
        session.execute(statement, asked)
    return changed | contests.settle(session, tenant_id, rivals, known_at)


def _find(session: Session, tenant_id: int, ids: Iterable[UUID]) -> Sequence[Row[Any]]:
    """What is kept under these ids."""
    seen = session.execute(_SEEN, {"tenant_id": tenant_id, "rows": rows(id=list(ids))}).all()
    if not seen:
        return ()
    instants = [row.received_at for row in seen]
    asked = {"tenant_id": tenant_id, "first": min(instants), "last": max(instants)}
    kept = rows(id=[row.event_id for row in seen], received_at=instants)
    return session.execute(_KEPT, {**asked, "rows": kept}).all()


def _kept(row: Any) -> Claim:
    event = Happening(
        id=row.id,
        key=(row.kind, row.value),
        type=row.type,
        at=row.occurred_at,
        properties=canonical(row.properties),
        source_id=row.source_id,
        sender_id=row.sender_id,
        message_id=row.message_id,
        received_at=row.received_at,
    )
    return Claim(row.import_id, event, row.identity_id, row.lead_id)


def _line(event: Happening, received_at: datetime, place: Place) -> str:
    properties = event.properties.replace("\\", "\\\\")
    message = event.message_id.hex if event.message_id else "\\N"
    return (
        f"{event.id.hex}\t{received_at}\t{place[1]}\t{place[0]}\t{event.type}\t{event.at}\t{properties}"
        f"\t{event.source_id}\t{escaped(event.sender_id)}\t{message}\n"
    )
