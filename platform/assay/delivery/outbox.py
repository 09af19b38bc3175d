"""Which leads have to be told anew: written in the transaction that makes it so, and forgotten once they were.

A row of ``delivery.pushes`` says that a lead has news, never what news: that is read when it is sent. ``asked`` grows
with each piece of news, so that whoever sends finds out whether more came meanwhile.
"""

# ruff: noqa: S608 # statements are put together from constants of this module alone

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from assay.profiles import knowing
from assay.scoring.news import listing

#: By any of these a destination knows people that needs no id of the vendor's own.
OWN_KINDS = "('user_id', 'email', 'anonymous_id')"
#: How a contact is called in ``pushes.contacts``, by its identifier ``i``.
CONTACT = f"CASE WHEN i.kind IN {OWN_KINDS} THEN i.kind || ':' || i.value ELSE i.value END"

_AIMED = """
    aimed AS MATERIALIZED (
        SELECT t.connection_id, t.plugin, t.known_by FROM delivery.targets t
        WHERE t.tenant_id = :tenant_id AND t.enabled {further}
    )"""
_CONTACTS = "i.kind = ANY (a.known_by)"
# One that waits already goes on waiting as it did: news don't shorten the pause after a failure.
_RENEWED = """
    ON CONFLICT (tenant_id, connection_id, lead_id) DO UPDATE SET
        asked = pushes.asked + 1,
        state = 'waiting',
        attempts = CASE WHEN pushes.state = 'waiting' THEN pushes.attempts ELSE 0 END,
        error = CASE WHEN pushes.state = 'waiting' THEN pushes.error ELSE '' END,
        due_at = CASE WHEN pushes.state = 'waiting' THEN pushes.due_at ELSE clock_timestamp() END
    RETURNING connection_id"""
_WAKE = """
UPDATE delivery.targets t SET due_at = clock_timestamp()
FROM (SELECT DISTINCT connection_id FROM renewed) r
WHERE t.tenant_id = :tenant_id AND t.connection_id = r.connection_id
    AND (t.due_at IS NULL OR (t.due_at > clock_timestamp() AND t.error = ''))
"""
# Asked first, by itself: planning the others costs more than most tenants should pay for nothing.
_ANY = text("SELECT EXISTS (SELECT FROM delivery.targets WHERE tenant_id = :tenant_id AND enabled)")
_RENEW = text(f"""
WITH {_AIMED.format(further="")}, renewed AS (
    INSERT INTO delivery.pushes (tenant_id, connection_id, lead_id, state, due_at)
    SELECT :tenant_id, a.connection_id, n.lead_id, 'waiting', clock_timestamp()
    FROM aimed a CROSS JOIN unnest(CAST(:lead_ids AS bigint[])) AS n (lead_id)
    WHERE EXISTS (
        SELECT FROM profiles.identities i
        WHERE i.tenant_id = :tenant_id AND i.lead_id = n.lead_id AND {_CONTACTS}
    )
    ORDER BY a.connection_id, n.lead_id
    {_RENEWED}
)
{_WAKE}""")
# A contact that is new to us, or that was gone and may be back. Which of its addresses a lead is told by where the
# vendor's own id is not needed changes with its user ids alone.
_FOLLOW = text(f"""
WITH {_AIMED.format(further="")}, ended AS (
    DELETE FROM delivery.pushes p USING aimed a
    WHERE p.tenant_id = :tenant_id AND p.connection_id = a.connection_id
        AND p.lead_id = ANY(CAST(:lead_ids AS bigint[]))
        AND NOT EXISTS (SELECT FROM profiles.leads l WHERE l.tenant_id = :tenant_id AND l.id = p.lead_id)
), renewed AS (
    INSERT INTO delivery.pushes (tenant_id, connection_id, lead_id, state, due_at)
    SELECT :tenant_id, a.connection_id, i.lead_id, 'waiting', clock_timestamp()
    FROM aimed a
    JOIN profiles.identities i
        ON i.tenant_id = :tenant_id AND i.lead_id = ANY(CAST(:lead_ids AS bigint[])) AND {_CONTACTS}
    LEFT JOIN delivery.pushes p
        ON p.tenant_id = :tenant_id AND p.connection_id = a.connection_id AND p.lead_id = i.lead_id
    WHERE p.lead_id IS NULL OR (i.kind NOT IN ('email', 'anonymous_id')
        AND (p.contacts -> ({CONTACT}) IS NULL OR jsonb_exists(p.contacts -> ({CONTACT}), 'gone')))
    GROUP BY a.connection_id, i.lead_id
    ORDER BY a.connection_id, i.lead_id
    {_RENEWED}
)
{_WAKE}""")
_RENEW_ALL = text(f"""
WITH {_AIMED.format(further="AND t.connection_id = :connection_id")}, renewed AS (
    INSERT INTO delivery.pushes (tenant_id, connection_id, lead_id, state, due_at)
    SELECT :tenant_id, a.connection_id, i.lead_id, 'waiting', clock_timestamp()
    FROM aimed a
    JOIN profiles.identities i ON i.tenant_id = :tenant_id AND {_CONTACTS}
    GROUP BY a.connection_id, i.lead_id
    ORDER BY a.connection_id, i.lead_id
    {_RENEWED}
)
SELECT count(*) FROM renewed""")
# Whoever is at it at this moment finds out by himself.
_GO_ON = text("""
    UPDATE delivery.targets SET due_at = clock_timestamp()
    WHERE tenant_id = :tenant_id AND connection_id IN (
        SELECT t.connection_id FROM delivery.targets t
        WHERE t.tenant_id = :tenant_id AND t.connection_id = :connection_id AND t.due_at > clock_timestamp()
            AND (t.leased_until IS NULL OR t.leased_until < clock_timestamp())
        FOR NO KEY UPDATE SKIP LOCKED)
""")
_NEXT = text("""
    SELECT min(p.due_at) FROM delivery.pushes p
    WHERE p.tenant_id = :tenant_id AND p.connection_id = :connection_id AND p.state = 'waiting'
""")


def renew(session: Session, tenant_id: int, lead_ids: Collection[int]) -> None:
    """Has these leads' scores sent, as part of the transaction that changed them."""
    if _is_aimed(session, tenant_id):
        session.execute(_RENEW, {"tenant_id": tenant_id, "lead_ids": list(lead_ids)})


def follow(session: Session, tenant_id: int, lead_ids: Collection[int]) -> None:
    """Has those of these leads sent that have another contact now; part of the transaction that changed them."""
    if _is_aimed(session, tenant_id):
        session.execute(_FOLLOW, {"tenant_id": tenant_id, "lead_ids": list(lead_ids)})


def _is_aimed(session: Session, tenant_id: int) -> bool:
    """Whoever asks holds a lock that ``settle`` waits for, so nobody begins to have scores sent unnoticed."""
    return bool(session.execute(_ANY, {"tenant_id": tenant_id}).scalar_one())


def renew_all(session: Session, tenant_id: int, connection_id: int) -> int:
    """Has all looked at that a connection could be told, and tells how many; what is there already is not sent."""
    asked = {"tenant_id": tenant_id, "connection_id": connection_id}
    return int(session.execute(_RENEW_ALL, asked).scalar_one())


def settle(session: Session, tenant_id: int) -> None:
    """Waits for whoever has news and has not yet committed; nobody has more before the end of the transaction."""
    knowing.hold(session, tenant_id)
    listing(session, tenant_id)


def go_on(session: Session, tenant_id: int, connection_id: int) -> None:
    """What waited because the vendor was left alone is sent now."""
    session.execute(_GO_ON, {"tenant_id": tenant_id, "connection_id": connection_id})


def next_due(session: Session, tenant_id: int, connection_id: int) -> datetime | None:
    """When the first of those that wait may be sent."""
    found: datetime | None = session.scalar(_NEXT, {"tenant_id": tenant_id, "connection_id": connection_id})
    return found
