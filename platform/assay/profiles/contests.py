"""One event, sent by several imports or by an import and by itself: one row is kept, the others are noted.

So whoever's row is taken back leaves the event to the next one, as if it alone had sent it.
"""

# ruff: noqa: S608 # statements are put together from constants of this module alone

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from assay.intake.retention import classes
from assay.profiles.bulk import copied, escaped, rows
from assay.profiles.gathering import Happening

_COLUMNS = """import_id bigint, id uuid, received_at timestamptz, lead_id bigint, identity_id bigint, type text,
    occurred_at timestamptz, properties text, source_id bigint, sender_id text, message_id uuid"""
_TOLD = "identity_id, received_at, type, occurred_at, properties, source_id, sender_id, message_id"
_NOTE = f"""
    INSERT INTO profiles.import_events (tenant_id, import_id, event_id, {_TOLD})
    SELECT :tenant_id, n.import_id, n.id, {", ".join(f"n.{name}" for name in _TOLD.split(", "))}
    FROM {{rows}} n ORDER BY n.import_id, n.id
    ON CONFLICT (tenant_id, import_id, event_id) DO UPDATE
    SET ({_TOLD}) = ({", ".join(f"excluded.{name}" for name in _TOLD.split(", "))})
"""
_NOTED = text("""
    SELECT e.event_id, e.occurred_at, e.type, e.properties, i.kind, i.value
    FROM json_to_recordset(CAST(:rows AS json)) AS n (id uuid)
    JOIN profiles.import_events e ON e.tenant_id = :tenant_id AND e.import_id = :import_id AND e.event_id = n.id
    JOIN profiles.identities i ON i.tenant_id = :tenant_id AND i.id = e.identity_id
""")
_TAKE_PLACE = """
    WITH was AS (
        DELETE FROM profiles.events e
        USING {rows} n JOIN profiles.seen s ON s.tenant_id = :tenant_id AND s.event_id = n.id
        CROSS JOIN {classes}
        WHERE e.tenant_id = :tenant_id AND e.id = n.id AND e.received_at = s.received_at
            AND e.retention = class.retention
        RETURNING e.id, e.known_at, e.identity_id, e.type, e.occurred_at, e.properties, e.retention
    ), past AS (
        INSERT INTO profiles.past_events
            (tenant_id, event_id, until, known_at, identity_id, type, occurred_at, properties)
        SELECT :tenant_id, id, :known_at, known_at, identity_id, type, occurred_at, properties
        FROM was WHERE known_at < :known_at
    ), dated AS (
        UPDATE profiles.seen s SET received_at = n.received_at FROM {rows} n
        WHERE s.tenant_id = :tenant_id AND s.event_id = n.id
    ), risen AS (
        DELETE FROM profiles.import_events o USING {rows} n
        WHERE o.tenant_id = :tenant_id AND o.import_id = n.import_id AND o.event_id = n.id
    )
    INSERT INTO profiles.events (tenant_id, id, received_at, lead_id, identity_id, type, occurred_at, properties,
        source_id, sender_id, message_id, known_at, import_id, retention)
    SELECT :tenant_id, n.id, n.received_at, n.lead_id, n.identity_id, n.type, n.occurred_at,
        CAST(n.properties AS jsonb), n.source_id, n.sender_id, n.message_id, :known_at, n.import_id, was.retention
    FROM {rows} n JOIN was ON was.id = n.id
"""


@dataclass(frozen=True, slots=True)
class Claim:
    """An event, with who states it, whose it is and where that identity belongs."""

    import_id: int
    event: Happening
    identity_id: int
    lead_id: int

    @property
    def line(self) -> str:
        event = self.event
        properties = event.properties.replace("\\", "\\\\")
        message = event.message_id.hex if event.message_id else "\\N"
        return (
            f"{self.import_id}\t{event.id.hex}\t{event.received_at}\t{self.lead_id}\t{self.identity_id}\t{event.type}"
            f"\t{event.at}\t{properties}\t{event.source_id}\t{escaped(event.sender_id)}\t{message}\n"
        )


def settle(session: Session, tenant_id: int, contests: Sequence[tuple[Claim, Claim]], known_at: datetime) -> set[int]:
    """For each event that is kept, and the same one from somebody else; gives the leads whose events are others now."""
    changed: set[int] = set()
    winners, beaten, losers = [], [], []
    for kept, new in contests:
        if new.event.rank < kept.event.rank:
            winners.append(new)
            beaten.append(kept)
            changed |= {kept.lead_id, new.lead_id}
        else:
            losers.append(new)
    if winners:
        table = _copied(session, winners)
        statement = text(_TAKE_PLACE.format(rows=table, classes=classes("events")))
        session.execute(statement, {"tenant_id": tenant_id, "known_at": known_at})
    notes = beaten + _preceding(session, tenant_id, losers)
    if notes:
        session.execute(text(_NOTE.format(rows=_copied(session, notes))), {"tenant_id": tenant_id})
    return changed


def _preceding(session: Session, tenant_id: int, losers: list[Claim]) -> list[Claim]:
    """Without those that come after what their import is noted with already; all are of one import."""
    if not losers:
        return []
    asked = {"tenant_id": tenant_id, "import_id": losers[0].import_id}
    ids = rows(id=[each.event.id for each in losers])
    noted = {
        row.event_id: (row.occurred_at, row.type, row.properties, (row.kind, row.value))
        for row in session.execute(_NOTED, {**asked, "rows": ids})
    }
    return [each for each in losers if each.event.id not in noted or each.event.rank < noted[each.event.id]]


def _copied(session: Session, claims: Iterable[Claim]) -> str:
    return copied(session, _COLUMNS, ["".join([claim.line for claim in claims])])
