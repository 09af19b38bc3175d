"""An import is taken back: what is left is as if it had never been, while what was known then can still be read.

Some hundreds of identities at a time, each time in a transaction of its own. After each of them every lead is what the
statements that are left say, so nothing has to wait for the end, and work that broke off goes on where it was.
"""

# ruff: noqa: S608 # statements are put together from constants of this module alone

from dataclasses import dataclass, field
from datetime import datetime

import structlog
from sqlalchemy import text
from sqlalchemy.orm import Session

from assay.facts import LeadsChanged, tell_after_commit
from assay.profiles import companies, knowing, leads, resettling, service
from assay.profiles.matching import ANONYMOUS_ID
from assay.profiles.resettling import Settled, TooEntangled

log = structlog.get_logger()

#: Identities or companies that one transaction takes back: for a fraction of a second, in which live records wait.
LIMIT = 500
# Of each of them an import may have brought many.
_EVENTS_EACH = 10

_NOTES = text("""
    DELETE FROM profiles.import_events n
    WHERE n.tenant_id = :tenant_id AND n.import_id = :import_id AND n.event_id IN (
        SELECT o.event_id FROM profiles.import_events o
        WHERE o.tenant_id = :tenant_id AND o.import_id = :import_id LIMIT :limit
    )
""")
# All of a lead together, as far as there is room: it is folded anew once, not once for each of its identities.
_NEXT = text("""
    WITH firsts AS (
        SELECT s.identity_id FROM profiles.import_statements s
        WHERE s.tenant_id = :tenant_id AND s.import_id = :import_id ORDER BY s.identity_id LIMIT :limit
    ), homes AS (
        SELECT DISTINCT i.lead_id
        FROM firsts f JOIN profiles.identities i ON i.tenant_id = :tenant_id AND i.id = f.identity_id
    ), chosen AS (
        SELECT h.lead_id, s.identity_id
        FROM homes h
        JOIN profiles.identities i ON i.tenant_id = :tenant_id AND i.lead_id = h.lead_id
        JOIN profiles.import_statements s
            ON s.tenant_id = :tenant_id AND s.import_id = :import_id AND s.identity_id = i.id
        ORDER BY h.lead_id, s.identity_id LIMIT :limit
    )
    SELECT c.identity_id, (
        SELECT count(*) FROM profiles.events e
        WHERE e.tenant_id = :tenant_id AND e.identity_id = c.identity_id AND e.import_id = :import_id
    ) AS events
    FROM chosen c ORDER BY c.lead_id, c.identity_id
""")
_OF_THESE = "e.tenant_id = :tenant_id AND e.identity_id = ANY(CAST(:ids AS bigint[])) AND e.import_id = :import_id"
_TAKE_BACK = """
    WITH gone AS (
        DELETE FROM profiles.events e {which}
        RETURNING e.id, e.received_at, e.retention, e.lead_id, e.identity_id, e.type, e.occurred_at, e.properties,
            e.known_at
    ), heirs AS (
        SELECT DISTINCT ON (n.event_id) n.*, i.lead_id, g.retention, g.known_at,
            (n.identity_id, n.type, n.occurred_at, CAST(CAST(n.properties AS jsonb) AS text))
                = (g.identity_id, g.type, g.occurred_at, CAST(g.properties AS text)) AS same
        FROM gone g
        JOIN profiles.import_events n
            ON n.tenant_id = :tenant_id AND n.event_id = g.id AND n.import_id <> :import_id
        JOIN profiles.identities i ON i.tenant_id = :tenant_id AND i.id = n.identity_id
        ORDER BY n.event_id, n.occurred_at, n.type COLLATE "C", n.properties COLLATE "C", i.kind COLLATE "C",
            i.value COLLATE "C", n.import_id
    ), past AS (
        INSERT INTO profiles.past_events
            (tenant_id, event_id, until, known_at, identity_id, type, occurred_at, properties)
        SELECT :tenant_id, g.id, :known_at, g.known_at, g.identity_id, g.type, g.occurred_at, g.properties
        FROM gone g LEFT JOIN heirs h ON h.event_id = g.id
        WHERE h.same IS NOT TRUE AND g.known_at < :known_at
    ), kept AS (
        INSERT INTO profiles.events (tenant_id, id, received_at, retention, lead_id, identity_id, type, occurred_at,
            properties, source_id, sender_id, message_id, import_id, known_at)
        SELECT :tenant_id, event_id, received_at, retention, lead_id, identity_id, type, occurred_at,
            CAST(properties AS jsonb), source_id, sender_id, message_id, import_id,
            CASE WHEN same THEN known_at ELSE :known_at END
        FROM heirs
    ), risen AS (
        DELETE FROM profiles.import_events n USING heirs h
        WHERE n.tenant_id = :tenant_id AND n.import_id = h.import_id AND n.event_id = h.event_id
    ), dated AS (
        UPDATE profiles.seen s SET received_at = h.received_at FROM heirs h
        WHERE s.tenant_id = :tenant_id AND s.event_id = h.event_id
    ), forgotten AS (
        DELETE FROM profiles.seen s USING gone g
        WHERE s.tenant_id = :tenant_id AND s.event_id = g.id
            AND NOT EXISTS (SELECT FROM heirs h WHERE h.event_id = g.id)
    )
    SELECT g.lead_id, h.lead_id AS heir_id, COALESCE(h.same, false) AS same, count(*) AS events
    FROM gone g LEFT JOIN heirs h ON h.event_id = g.id
    GROUP BY 1, 2, 3
"""
_TAKE_BACK_ALL = text(_TAKE_BACK.format(which=f"WHERE {_OF_THESE}"))
_TAKE_BACK_SOME = text(
    _TAKE_BACK.format(
        which=f"""
        USING (SELECT e.id, e.received_at FROM profiles.events e WHERE {_OF_THESE} LIMIT :limit) few
        WHERE e.tenant_id = :tenant_id AND e.id = few.id AND e.received_at = few.received_at"""
    )
)
_LAYER = text("""
    WITH notes AS (
        DELETE FROM profiles.import_events n
        WHERE n.tenant_id = :tenant_id AND n.import_id = :import_id AND n.identity_id = ANY(CAST(:ids AS bigint[]))
    )
    DELETE FROM profiles.import_statements s
    WHERE s.tenant_id = :tenant_id AND s.import_id = :import_id AND s.identity_id = ANY(CAST(:ids AS bigint[]))
""")
_LINKS = text("""
    WITH lefts AS (
        DELETE FROM profiles.links l
        WHERE l.tenant_id = :tenant_id AND l.import_id = :import_id AND l.left_id = ANY(CAST(:ids AS bigint[]))
        RETURNING l.left_id, l.right_id
    ), rights AS (
        DELETE FROM profiles.links l
        WHERE l.tenant_id = :tenant_id AND l.import_id = :import_id AND l.right_id = ANY(CAST(:ids AS bigint[]))
        RETURNING l.left_id, l.right_id
    )
    SELECT left_id, right_id FROM lefts UNION ALL SELECT left_id, right_id FROM rights
""")
_UNSTATED = text("""
    SELECT i.id, i.lead_id, i.first_seen_at IS NULL AND NOT EXISTS (
        SELECT FROM profiles.import_statements s WHERE s.tenant_id = :tenant_id AND s.identity_id = i.id
    ) AS unstated
    FROM profiles.identities i WHERE i.tenant_id = :tenant_id AND i.id = ANY(CAST(:ids AS bigint[]))
""")
_PAST = """
    INSERT INTO profiles.past_events (tenant_id, event_id, until, known_at, identity_id, type, occurred_at, properties)
    SELECT :tenant_id, id, :known_at, known_at, identity_id, type, occurred_at, properties
    FROM was WHERE known_at < :known_at
"""
# What people said of a lead goes on with those identities that others state too: before the lead falls apart, for then
# nobody could tell whom they meant.
_HAND_ON = text(f"""
    WITH members AS (
        SELECT i.id, i.lead_id, i.kind, i.first_seen_at IS NULL AND NOT EXISTS (
            SELECT FROM profiles.import_statements s
            WHERE s.tenant_id = :tenant_id AND s.identity_id = i.id AND s.import_id <> :import_id
        ) AS leaves
        FROM profiles.identities i WHERE i.tenant_id = :tenant_id AND i.lead_id = ANY(CAST(:ids AS bigint[]))
    ), heirs AS (
        SELECT DISTINCT ON (lead_id) lead_id, id FROM members WHERE NOT leaves ORDER BY lead_id, kind = :device, id
    ), was AS (
        UPDATE profiles.events e SET identity_id = h.id, known_at = :known_at
        FROM members m JOIN heirs h ON h.lead_id = m.lead_id
        JOIN profiles.events o ON o.tenant_id = :tenant_id AND o.identity_id = m.id AND o.source_id = :ours
        WHERE m.leaves AND e.tenant_id = :tenant_id AND e.id = o.id AND e.received_at = o.received_at
            AND e.retention = o.retention
        RETURNING o.id, o.known_at, o.identity_id, o.type, o.occurred_at, o.properties
    ) {_PAST}
""")
_FORGET = text(f"""
    WITH was AS (
        DELETE FROM profiles.events e
        WHERE e.tenant_id = :tenant_id AND e.identity_id = ANY(CAST(:ids AS bigint[]))
        RETURNING e.id, e.known_at, e.identity_id, e.type, e.occurred_at, e.properties
    ), forgotten AS (
        DELETE FROM profiles.seen s USING was WHERE s.tenant_id = :tenant_id AND s.event_id = was.id
    ) {_PAST}
""")
_DELETE = text("""
    WITH free AS (
        DELETE FROM profiles.crowded c WHERE c.tenant_id = :tenant_id AND c.identity_id = ANY(CAST(:ids AS bigint[]))
    ), gone AS (
        DELETE FROM profiles.identities i WHERE i.tenant_id = :tenant_id AND i.id = ANY(CAST(:ids AS bigint[]))
        RETURNING i.id, i.known_at, i.lead_id
    )
    INSERT INTO profiles.past_memberships (tenant_id, identity_id, until, known_at, lead_id)
    SELECT :tenant_id, id, :known_at, known_at, lead_id FROM gone WHERE known_at < :known_at
""")
_COMPANIES = text("""
    DELETE FROM profiles.import_companies n
    WHERE n.tenant_id = :tenant_id AND n.import_id = :import_id AND n.key IN (
        SELECT o.key FROM profiles.import_companies o
        WHERE o.tenant_id = :tenant_id AND o.import_id = :import_id ORDER BY o.key LIMIT :limit
    )
    RETURNING n.key
""")
_PLAN = text("SET LOCAL plan_cache_mode = force_custom_plan")
# The planner takes a tenant for a handful of rows, and would sort all that is left of an import to find where to go on.
_IN_ORDER = text("SET LOCAL enable_bitmapscan = off")
_IN_ANY_ORDER = text("SET LOCAL enable_bitmapscan = DEFAULT")


@dataclass(frozen=True)
class Undone:
    """What one transaction took back; nothing of the import is left once it is ``done``."""

    done: bool
    identities: int = 0
    events: int = 0
    companies: int = 0


@dataclass
class _Undoing:
    session: Session
    tenant_id: int
    import_id: int
    known_at: datetime
    #: Leads to be folded anew.
    stale: set[int] = field(default_factory=set)
    #: Leads with other events, identities or companies than before.
    changed: set[int] = field(default_factory=set)

    @property
    def whose(self) -> dict[str, int]:
        return {"tenant_id": self.tenant_id, "import_id": self.import_id}


def undo(session: Session, tenant_id: int, import_id: int, *, limit: int = LIMIT) -> Undone:
    """Takes back a part of an import: its statements, links and events of at most ``limit`` identities or companies.

    To be called again, each time in a new transaction, until it is done; done once more, it finds nothing. No batch of
    the import may be applied from the first call on. Other imports, and what comes by itself, may go on beside it.
    """
    undoing = _Undoing(session, tenant_id, import_id, knowing.learn(session, tenant_id))
    session.execute(_PLAN)
    undone = _notes(undoing, limit) or _identities(undoing, limit) or _companies(undoing, limit) or Undone(done=True)
    undoing.changed |= leads.refold(session, tenant_id, undoing.stale, undoing.known_at)
    if undoing.changed:
        service.tell(session, tenant_id, undoing.changed)
        tell_after_commit(session, LeadsChanged(tenant_id))
    return undone


def _notes(undoing: _Undoing, limit: int) -> Undone | None:
    """What it sent under ids of events that others keep: nobody's score knows of it."""
    asked = {**undoing.whose, "limit": limit * _EVENTS_EACH}
    found = undoing.session.execute(_NOTES, asked)
    return Undone(done=False) if found.rowcount else None  # type: ignore[attr-defined] # of a statement that deletes


def _identities(undoing: _Undoing, limit: int) -> Undone | None:
    most = limit * _EVENTS_EACH
    ids: list[int] = []
    number = 0
    undoing.session.execute(_IN_ORDER)
    found = undoing.session.execute(_NEXT, {**undoing.whose, "limit": limit}).all()
    undoing.session.execute(_IN_ANY_ORDER)
    for identity_id, events in found:
        number += events
        if ids and number > most:
            break
        ids.append(identity_id)
        if number > most:
            return Undone(done=False, events=_take_back_events(undoing, ids, most=most))
    if not ids:
        return None
    events = _take_back_events(undoing, ids)
    undoing.session.execute(_LAYER, {**undoing.whose, "ids": ids})
    _settle(undoing, ids)
    return Undone(done=False, identities=len(ids), events=events)


def _take_back_events(undoing: _Undoing, ids: list[int], *, most: int | None = None) -> int:
    """What somebody else sent too stays, as that one's. ``most``: as many of the events of a single identity."""
    asked = {**undoing.whose, "ids": ids, "known_at": undoing.known_at}
    statement = _TAKE_BACK_ALL if most is None else _TAKE_BACK_SOME
    taken = 0
    for row in undoing.session.execute(statement, asked if most is None else {**asked, "limit": most}):
        taken += row.events
        if not row.same:
            undoing.changed |= {row.lead_id} if row.heir_id is None else {row.lead_id, row.heir_id}
    return taken


def _settle(undoing: _Undoing, ids: list[int]) -> None:
    """Without its links people may fall apart; whom nobody states any more goes."""
    session, tenant_id, known_at = undoing.session, undoing.tenant_id, undoing.known_at
    dated = {"tenant_id": tenant_id, "known_at": known_at}
    members = session.execute(_UNSTATED, {"tenant_id": tenant_id, "ids": ids}).all()
    homes = {lead_id for _, lead_id, _ in members}
    ours = {"import_id": undoing.import_id, "ours": service.OUR_SOURCE, "device": ANONYMOUS_ID}
    session.execute(_HAND_ON, {**dated, **ours, "ids": list(homes)})
    ends = {end for link in session.execute(_LINKS, {**undoing.whose, "ids": ids}) for end in link}
    gone = {identity_id: lead_id for identity_id, lead_id, is_unstated in members if is_unstated}
    if gone:
        undoing.changed |= set(gone.values())
        session.execute(_FORGET, {**dated, "ids": list(gone)})
        session.execute(_DELETE, {**dated, "ids": list(gone)})
    settled = _resettle(undoing, ends - gone.keys())
    undoing.stale |= homes | settled.stale
    undoing.changed |= settled.changed | leads.remove_empty(session, tenant_id, homes, known_at)


def _resettle(undoing: _Undoing, ids: set[int]) -> Settled:
    try:
        return resettling.resettle(undoing.session, undoing.tenant_id, ids, undoing.known_at)
    except TooEntangled:
        if len(ids) == 1:
            log.warning("profiles.too_entangled", **undoing.whose, identity_ids=sorted(ids))
            return Settled()
    parts = [_resettle(undoing, {id_}) for id_ in ids]
    return Settled(set().union(*(part.stale for part in parts)), set().union(*(part.changed for part in parts)))


def _companies(undoing: _Undoing, limit: int) -> Undone | None:
    session, tenant_id = undoing.session, undoing.tenant_id
    keys = list(session.scalars(_COMPANIES, {**undoing.whose, "limit": limit}))
    if not keys:
        return None
    kept = companies.refresh(session, tenant_id, keys, undoing.known_at)
    undoing.stale |= leads.of_companies(session, tenant_id, kept.renamed)
    undoing.changed |= leads.of_companies(session, tenant_id, kept.changed)
    return Undone(done=False, companies=len(keys))
