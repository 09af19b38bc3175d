"""Events, each kept once whatever the number of times it is sent."""

# ruff: noqa: S608 # statements are put together from constants of this module alone

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from assay.profiles.bulk import raw, rows
from assay.profiles.gathering import Happening
from assay.profiles.matching import Key
from assay.profiles.merging import canonical

_SEE = text("""
    INSERT INTO profiles.seen (tenant_id, event_id, received_at)
    SELECT :tenant_id, n.id, n.received_at
    FROM json_to_recordset(CAST(:rows AS json)) AS n (id uuid, received_at timestamptz)
    ON CONFLICT (tenant_id, event_id) DO NOTHING
    RETURNING event_id
""")
_ROWS = """json_to_recordset(CAST(:rows AS json)) AS n (id uuid, received_at timestamptz, lead_id bigint,
        identity_id bigint, type text, occurred_at timestamptz, properties jsonb, source_id bigint, sender_id text,
        message_id uuid)"""
_NAMES = "id, received_at, lead_id, identity_id, type, occurred_at, properties, source_id, sender_id, message_id"
_INSERT = text(f"""
    INSERT INTO profiles.events (tenant_id, {_NAMES}, known_at) SELECT :tenant_id, {_NAMES}, :known_at FROM {_ROWS}
""")
_KEPT = text("""
    SELECT e.id, e.received_at, e.lead_id, e.type, e.occurred_at, e.properties, i.kind, i.value
    FROM json_to_recordset(CAST(:rows AS json)) AS n (id uuid)
    JOIN profiles.seen s ON s.tenant_id = :tenant_id AND s.event_id = n.id
    JOIN profiles.events e ON e.tenant_id = :tenant_id AND e.id = s.event_id AND e.received_at = s.received_at
    JOIN profiles.identities i ON i.tenant_id = :tenant_id AND i.id = e.identity_id
""")
_REPLACE = text(f"""
    WITH replaced AS (
        UPDATE profiles.events e
        SET lead_id = n.lead_id, identity_id = n.identity_id, type = n.type, occurred_at = n.occurred_at,
            properties = n.properties, message_id = n.message_id, known_at = :known_at
        FROM {_ROWS}
        JOIN profiles.events o ON o.tenant_id = :tenant_id AND o.id = n.id AND o.received_at = n.received_at
        WHERE e.tenant_id = :tenant_id AND e.id = n.id AND e.received_at = n.received_at
        RETURNING o.id, o.known_at, o.identity_id, o.type, o.occurred_at, o.properties
    )
    INSERT INTO profiles.past_events
        (tenant_id, event_id, until, known_at, identity_id, type, occurred_at, properties)
    SELECT :tenant_id, id, :known_at, known_at, identity_id, type, occurred_at, properties
    FROM replaced WHERE known_at < :known_at
""")

#: An identity's id and its lead's.
Place = tuple[int, int]


def keep(
    session: Session,
    tenant_id: int,
    events: Mapping[UUID, Happening],
    places: Mapping[Key, Place],
    known_at: datetime,
) -> set[int]:
    """Gives the leads that have another set of events now."""
    if not events:
        return set()
    seen = rows(id=list(events), received_at=[event.received_at for event in events.values()])
    new = set(session.scalars(_SEE, {"tenant_id": tenant_id, "rows": seen}))
    fresh = [event for event in events.values() if event.id in new]
    changed = {places[event.key][1] for event in fresh}
    if fresh:
        dated = [(event, event.received_at) for event in fresh]
        session.execute(_INSERT, {"tenant_id": tenant_id, "known_at": known_at, "rows": _rows(dated, places)})
    if len(new) < len(events):
        again = [event for event in events.values() if event.id not in new]
        changed |= _contest(session, tenant_id, again, places, known_at)
    return changed


def _contest(
    session: Session, tenant_id: int, again: list[Happening], places: Mapping[Key, Place], known_at: datetime
) -> set[int]:
    """An id was used before: of two different events the one that precedes stays, so that order can't matter."""
    events = {event.id: event for event in again}
    changed: set[int] = set()
    winners = []
    for row in session.execute(_KEPT, {"tenant_id": tenant_id, "rows": rows(id=list(events))}):
        event = events[row.id]
        kept = (row.occurred_at, row.type, canonical(row.properties), (row.kind, row.value))
        if event.rank < kept:
            winners.append((event, row.received_at))
            changed |= {row.lead_id, places[event.key][1]}
    if winners:
        session.execute(_REPLACE, {"tenant_id": tenant_id, "known_at": known_at, "rows": _rows(winners, places)})
    return changed


def _rows(dated: Sequence[tuple[Happening, datetime]], places: Mapping[Key, Place]) -> str:
    """Events with the instants that tell their partitions."""
    return rows(
        id=[event.id for event, _ in dated],
        received_at=[received_at for _, received_at in dated],
        identity_id=[places[event.key][0] for event, _ in dated],
        lead_id=[places[event.key][1] for event, _ in dated],
        type=[event.type for event, _ in dated],
        occurred_at=[event.at for event, _ in dated],
        properties=[raw(event.properties) for event, _ in dated],
        source_id=[event.source_id for event, _ in dated],
        sender_id=[event.sender_id for event, _ in dated],
        message_id=[event.message_id for event, _ in dated],
    )
