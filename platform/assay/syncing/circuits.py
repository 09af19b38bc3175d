"""When a connection's vendor is left alone: it failed five times in a row, or said that we ask too often.

A circuit is closed while ``open_until`` is empty. Once that instant has passed, one piece of work is let through to
try; if it succeeds the circuit is closed for all, and what waited goes on.
"""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from assay.syncing import telling
from assay.syncing.models import BLAMELESS, LinkRow
from assay_sdk import TryLater
from assay_tenants.database import tenant_session

#: So many failures in a row open it.
TOLERATED = 5
FIRST_PAUSE = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(minutes=15)
#: Before it opens, tries come soon, each after twice the wait of the one before.
BACKOFF = timedelta(seconds=2)
#: Who tries is given this long; should its worker die, the next one tries.
PROBE = timedelta(seconds=60)
#: Of a vendor that says «too often» without saying for how long.
USUAL_WAIT = timedelta(seconds=10)
#: People are told of what has failed for this long.
PATIENCE = timedelta(minutes=10)
ERROR_LENGTH = 500

# Whoever holds the link waits for rows that the caller may hold: it is left to them.
_PROBE = text("""
    UPDATE intake.links SET open_until = :until
     WHERE tenant_id = :tenant_id AND connection_id IN (
        SELECT l.connection_id FROM intake.links l
         WHERE l.tenant_id = :tenant_id AND l.connection_id = :connection_id AND l.open_until <= :now
           FOR NO KEY UPDATE SKIP LOCKED)
""")
_UNTRIED = text("""
    UPDATE intake.links SET open_until = :now
     WHERE tenant_id = :tenant_id AND connection_id = :connection_id AND open_until = :probe
""")
_CLOSE = text(f"""
    WITH was AS (
        SELECT tenant_id, connection_id, open_until FROM intake.links
         WHERE tenant_id = :tenant_id AND connection_id = :connection_id
           AND (failures > 0 OR open_until IS NOT NULL OR told_at IS NOT NULL OR error <> '')
           FOR NO KEY UPDATE
    ), closed AS (
        UPDATE intake.links l SET {BLAMELESS}
          FROM was
         WHERE l.tenant_id = :tenant_id AND l.connection_id = was.connection_id
    )
    SELECT open_until FROM was
""")  # noqa: S608 # of a constant
_RENEWAL = text("""
    SELECT renewal FROM tenancy.connections
     WHERE tenant_id = :tenant_id AND id = :connection_id AND state = 'connected'
""")
#: What waited for the circuit, which may have been until somebody's try should end; not what its timetable has wait.
#: Rows that somebody holds at this moment are at work.
_GO_ON = (
    text("""
    UPDATE intake.streams SET due_at = :now
     WHERE tenant_id = :tenant_id AND connection_id = :connection_id AND name IN (
        SELECT s.name FROM intake.streams s
         WHERE s.tenant_id = :tenant_id AND s.connection_id = :connection_id
           AND s.due_at > :now AND s.due_at <= :until
           AND (s.leased_until IS NULL OR s.leased_until < :now) FOR UPDATE SKIP LOCKED)
    """),
    text("""
    UPDATE intake.wanted SET due_at = :now
     WHERE tenant_id = :tenant_id AND connection_id = :connection_id AND (kind, record_id) IN (
        SELECT w.kind, w.record_id FROM intake.wanted w
         WHERE w.tenant_id = :tenant_id AND w.connection_id = :connection_id
           AND w.due_at > :now AND w.due_at <= :until
           AND (w.leased_until IS NULL OR w.leased_until < :now) FOR UPDATE SKIP LOCKED)
    """),
)

GoesOnAction = Callable[[Session, int, int], None]
_actions: list[GoesOnAction] = []


def on_going_on(action: GoesOnAction) -> GoesOnAction:
    """``action(session, tenant_id, connection_id)`` becomes part of every transaction after which the vendor is asked
    again that was left alone; a decorator."""
    if action not in _actions:
        _actions.append(action)
    return action


def tell_going_on(session: Session, tenant_id: int, connection_id: int) -> None:
    for action in _actions:
        action(session, tenant_id, connection_id)


def failed(
    tenant_id: int, connection_id: int, error: Exception, *, probe: datetime | None = None, renewal: int = 0
) -> datetime:
    """The vendor failed, or asked us to wait; tells when to try again.

    Args:
        probe: until when the caller tried.
        renewal: of the credentials that it was asked with: what became of earlier ones says nothing any more.
    """
    with tenant_session(tenant_id) as session:
        return note_failure(session, tenant_id, connection_id, error, probe=probe, renewal=renewal)


def note_failure(
    session: Session,
    tenant_id: int,
    connection_id: int,
    error: Exception,
    *,
    probe: datetime | None = None,
    renewal: int = 0,
) -> datetime:
    """``failed``, in the caller's transaction."""
    until: datetime
    now = datetime.now(UTC)
    link = _locked(session, tenant_id, connection_id)
    if link is None:
        return now + LONGEST_PAUSE
    if renewal and renewal != session.scalar(_RENEWAL, {"tenant_id": tenant_id, "connection_id": connection_id}):
        return now
    if link.open_until is not None and link.open_until == probe:
        link.open_until = None
    if isinstance(error, TryLater) and error.overloaded:
        # Those who wait must not all come back in the same moment.
        until = now + (error.after or USUAL_WAIT) * random.uniform(1.0, 1.1)  # noqa: S311 # no secret
        return _left_alone(link, until)
    link.failures += 1
    link.failing_since = link.failing_since or now
    link.error, link.error_at = str(error)[:ERROR_LENGTH], now
    if link.failures < TOLERATED:
        return now + BACKOFF * (2.0 ** (link.failures - 1) * random.uniform(0.75, 1.25))  # noqa: S311 # no secret
    pause = min(FIRST_PAUSE * 2 ** min(link.failures - TOLERATED, 10), LONGEST_PAUSE)
    until = _left_alone(link, now + pause * random.uniform(0.8, 1.2))  # noqa: S311 # no secret
    if now - link.failing_since >= PATIENCE:
        telling.tell_of_failure(session, link)
    return until


def succeeded(tenant_id: int, connection_id: int) -> None:
    """The vendor answered."""
    with tenant_session(tenant_id) as session:
        note_success(session, tenant_id, connection_id)


def note_success(session: Session, tenant_id: int, connection_id: int) -> None:
    """``succeeded``, in the caller's transaction."""
    whose = {"tenant_id": tenant_id, "connection_id": connection_id}
    until = session.execute(_CLOSE, whose).scalar_one_or_none()
    if until is not None:
        for statement in _GO_ON:
            session.execute(statement, {**whose, "now": datetime.now(UTC), "until": until + PROBE})
        tell_going_on(session, tenant_id, connection_id)


def is_open(tenant_id: int, connection_id: int) -> bool:
    """Whether the vendor is left alone. Once a pause is over, the first who asks is told False, and has to try."""
    return not may_ask(tenant_id, connection_id)[0]


def may_ask(tenant_id: int, connection_id: int) -> tuple[bool, datetime | None]:
    """Whether the vendor may be asked; and where it is the caller who tries for all others, until when."""
    with tenant_session(tenant_id) as session:
        until = session.execute(
            select(LinkRow.open_until).where(LinkRow.tenant_id == tenant_id, LinkRow.connection_id == connection_id)
        ).scalar_one_or_none()
        trying = None if until is None else probe(session, tenant_id, connection_id)
        return until is None or trying is not None, trying


def probe(session: Session, tenant_id: int, connection_id: int) -> datetime | None:
    """Of an open circuit: until when the caller tries; None while its pause is not over, or somebody else tries."""
    now = datetime.now(UTC)
    asked = {"tenant_id": tenant_id, "connection_id": connection_id, "now": now, "until": now + PROBE}
    return now + PROBE if session.execute(_PROBE, asked).rowcount else None  # type: ignore[attr-defined] # an UPDATE has a cursor


def not_tried(session: Session, tenant_id: int, connection_id: int, probe: datetime) -> None:
    """Whoever was to try has not come to asking the vendor: the next one does."""
    asked = {"tenant_id": tenant_id, "connection_id": connection_id, "probe": probe, "now": datetime.now(UTC)}
    session.execute(_UNTRIED, asked)


def _left_alone(link: LinkRow, until: datetime) -> datetime:
    """A pause is only lengthened: whoever is asked to wait for a moment does not end a long one."""
    link.open_until = max(until, link.open_until or until)
    return link.open_until


def _locked(session: Session, tenant_id: int, connection_id: int) -> LinkRow | None:
    return session.scalars(
        select(LinkRow)
        .where(LinkRow.tenant_id == tenant_id, LinkRow.connection_id == connection_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    ).one_or_none()
