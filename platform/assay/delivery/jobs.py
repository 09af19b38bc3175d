"""Scores are taken to vendors: a connection by one worker at a time, which holds no transaction while it asks them."""

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Thread
from time import monotonic

import structlog
from sqlalchemy import text

from assay.delivery import contacts, outbox, pushing, settling
from assay.delivery.pushing import Pushed, Stopped
from assay.delivery.settling import Batch
from assay.syncing import breakers, circuits, links
from assay.syncing import jobs as syncing
from assay.syncing.slots import Pool
from assay_sdk import Destination, Link, NeedsReconnect, PluginError, Refused, TryLater
from assay_tenants.context import acting_by_itself
from assay_tenants.database import tenant_session
from assay_tenants.errors import NotFound

log = structlog.get_logger()

#: Made longer while the vendor is asked: whoever has asked nothing for so long was killed.
LEASE = timedelta(minutes=2)
#: Before a call, a lease that ends sooner is made longer.
ENOUGH = LEASE * 0.75
#: Leads whose scores are read and sent in one go, where the destination takes fewer at once.
FEWEST = 25
#: Before a vendor that refuses everything, or wants to be connected anew, is asked again by itself.
REFUSED_PAUSE = timedelta(minutes=5)
#: While the connection is paused, or left alone.
LOOK_AGAIN = timedelta(seconds=20)
#: While all threads are at work.
NO_ROOM = timedelta(seconds=3)
#: Of one connection, before others who wait for a thread have their turn.
LONGEST_TURN = timedelta(seconds=30)
#: Fields that were made sure of longer ago are looked at once more before a vendor's refusal is believed.
SURE_FOR = timedelta(minutes=5)

# A materialised expression is worked out once; a sub-select may be for each row, and take one more each time.
_LEASE = text("""
    WITH found AS MATERIALIZED (
        SELECT d.connection_id, l.paused_at FROM delivery.targets d
        JOIN intake.links l ON l.tenant_id = :tenant_id AND l.connection_id = d.connection_id
        WHERE d.tenant_id = :tenant_id AND d.enabled AND d.due_at <= :now
            AND (d.leased_until IS NULL OR d.leased_until <= :now)
            AND (CAST(:connection_id AS bigint) IS NULL OR d.connection_id = :connection_id)
        ORDER BY d.due_at LIMIT 1 FOR UPDATE OF d SKIP LOCKED
    )
    UPDATE delivery.targets t SET leased_until = :until, due_at = :until
    FROM found
    WHERE t.tenant_id = :tenant_id AND t.connection_id = found.connection_id
    RETURNING t.connection_id, t.plugin, t.model_id, t.prepared_at, found.paused_at
""")
# What was read is told no more once it is switched off, another model was chosen, or one of the leads is gone.
_STILL = text("""
    SELECT (SELECT count(*) FROM delivery.pushes p JOIN profiles.leads l
            ON l.tenant_id = :tenant_id AND l.id = p.lead_id
        WHERE p.tenant_id = :tenant_id AND p.connection_id = :connection_id AND p.lead_id = ANY(:lead_ids)) AS leads
    FROM delivery.targets t
    WHERE t.tenant_id = :tenant_id AND t.connection_id = :connection_id AND t.leased_until = :until
        AND t.enabled AND t.model_id IS NOT DISTINCT FROM CAST(:model_id AS bigint)
""")
_OURS = "tenant_id = :tenant_id AND connection_id = :connection_id AND leased_until = :until"
_RELEASE = text(f"""
    UPDATE delivery.targets SET leased_until = NULL,
        due_at = CASE WHEN enabled THEN CAST(:due_at AS timestamptz) END,
        error = COALESCE(CAST(:error AS text), error),
        error_at = CASE WHEN CAST(:error AS text) = '' THEN NULL WHEN CAST(:error AS text) IS NULL THEN error_at
            ELSE clock_timestamp() END
    WHERE {_OURS}
""")  # noqa: S608 # of the constant above
_RENEW = text(f"UPDATE delivery.targets SET leased_until = :renewed, due_at = :renewed WHERE {_OURS}")  # noqa: S608 # of the constant above
_PREPARED = text(f"UPDATE delivery.targets SET prepared_at = :at WHERE {_OURS}")  # noqa: S608 # of the constant above


@dataclass
class Lease:
    """A connection that nobody else writes scores to until then, which grows as the work goes on."""

    tenant_id: int
    connection_id: int
    plugin: str
    model_id: int | None
    prepared_at: datetime | None
    until: datetime
    paused: bool
    #: Of an open circuit: it tries for all, until then.
    probe: datetime | None = None
    #: Of the credentials that the vendor was asked with; 0: it was not.
    renewal: int = 0

    @property
    def whose(self) -> dict[str, object]:
        return {"tenant_id": self.tenant_id, "connection_id": self.connection_id, "until": self.until}


def drain_targets(tenant_id: int) -> int:
    """Hands a connection with something waiting to a thread, or sends one batch of it; tells how many leads it was."""
    lease = _take(tenant_id)
    if lease is None:
        return 0
    pool = syncing.threads()
    if pool is None:
        return deliver(lease)
    if not pool.take(tenant_id, lease.plugin):
        _release(lease, _later(NO_ROOM), None)
        return 0
    name = f"{lease.plugin}-{tenant_id}-deliver"
    Thread(target=_deliver_all, args=(lease, pool), name=name, daemon=True).start()
    return 1


@acting_by_itself()
def _deliver_all(lease: Lease, pool: Pool) -> None:
    """One batch after the other while there is time; the slot is taken already."""
    until = monotonic() + LONGEST_TURN.total_seconds()
    left: Lease | None = lease
    try:
        while left is not None:
            deliver(left)
            goes_on = monotonic() < until and not pool.is_stopped
            left = _take(lease.tenant_id, lease.connection_id) if goes_on else None
    except Exception:
        log.exception("delivery.broken", tenant_id=lease.tenant_id, connection_id=lease.connection_id)
    finally:
        pool.give_back(lease.tenant_id, lease.plugin)


def deliver(lease: Lease) -> int:
    """One batch; tells how many leads it looked at."""
    now = datetime.now(UTC)
    may, lease.probe = (False, None) if lease.paused else circuits.may_ask(lease.tenant_id, lease.connection_id)
    if not may:
        _release(lease, now + LOOK_AGAIN, None)
        return 1
    done, failure = 0, None
    try:
        done, failure = _work(lease)
    except (PluginError, NotFound) as error:
        failure = error
    except Exception:
        _release(lease, _later(REFUSED_PAUSE), "Something went wrong on our side; it is tried again.")
        raise
    if failure is None:
        _finish(lease)
    elif isinstance(failure, Stopped):
        log.info("delivery.stopped", tenant_id=lease.tenant_id, connection_id=lease.connection_id)
        _leave_probe(lease)
        _release(lease, datetime.now(UTC) + (failure.after or timedelta(0)), None)
    else:
        log.info(
            "delivery.failed",
            tenant_id=lease.tenant_id,
            connection_id=lease.connection_id,
            error=type(failure).__name__,
        )
        _release(lease, _after(lease, failure), str(failure)[: pushing.LONGEST])
    return max(done, 1)


def _work(lease: Lease) -> tuple[int, Exception | None]:
    destination = links.service_of(lease.plugin).destination
    if destination is None:
        raise NotFound("destination")
    batch = settling.read(
        lease.tenant_id,
        lease.connection_id,
        plugin=lease.plugin,
        model_id=lease.model_id,
        kinds=contacts.kinds(lease.plugin, destination.known_by),
        most=max(destination.batch, FEWEST),
    )
    if not batch.rows:
        return 0, None
    pushed = Pushed()
    if batch.updates:
        leads = [row.lead_id for row in batch.rows if row.planned]
        with links.opened(lease.tenant_id, lease.connection_id, before_call=lambda: _renew(lease, leads)) as link:
            key = breakers.key_of(links.service_of(lease.plugin), link)
            if wait := breakers.current().wait(key):
                raise Stopped("The vendor fails for everybody; one at a time tries.", after=wait)
            pushed = _pushed(lease, destination, link, batch)
            lease.renewal = links.renewal_of(link)
            _tell_breaker(lease, key, pushed)
            settling.write(lease.tenant_id, lease.connection_id, batch, pushed.receipts, until=lease.until)
            if isinstance(pushed.failure, NeedsReconnect):
                # For the link to mark the connection.
                raise pushed.failure
        if pushed.receipts and not isinstance(pushed.failure, TryLater):
            circuits.succeeded(lease.tenant_id, lease.connection_id)
    else:
        _leave_probe(lease)
        settling.write(lease.tenant_id, lease.connection_id, batch, {}, until=lease.until)
    return len(batch.rows), pushed.failure


def _renew(lease: Lease, lead_ids: list[int]) -> None:
    """Before each call to the vendor; raises Stopped where what was read is not to be told any more.

    So no score is sent after somebody was erased, and none that is older than what another worker sends.
    """
    now = datetime.now(UTC)
    asked = {**lease.whose, "model_id": lease.model_id, "lead_ids": lead_ids}
    with tenant_session(lease.tenant_id) as session:
        leads = session.scalar(_STILL, asked)
        if leads != len(lead_ids):
            raise Stopped("Something changed while scores were being sent; what is left is read anew.")
        if lease.until - now < ENOUGH:
            session.execute(_RENEW, {**lease.whose, "renewed": now + LEASE})
    if lease.until - now < ENOUGH:
        lease.until = now + LEASE


def _tell_breaker(lease: Lease, key: str, pushed: Pushed) -> None:
    failure = pushed.failure
    if pushed.receipts or (isinstance(failure, Refused) and failure.status is not None):
        breakers.current().succeeded(key)
    elif isinstance(failure, TryLater) and not isinstance(failure, Stopped) and not failure.overloaded:
        breakers.current().failed(key, lease.tenant_id, lease.connection_id)


def _leave_probe(lease: Lease) -> None:
    """The vendor was not asked: should that be what all others wait for, another one tries."""
    if lease.probe is not None:
        with tenant_session(lease.tenant_id) as session:
            circuits.not_tried(session, lease.tenant_id, lease.connection_id, lease.probe)


def _pushed(lease: Lease, destination: Destination, link: Link, batch: Batch) -> Pushed:
    """Once more after the fields were made sure of, where the vendor refuses everything."""
    updates = [each.update for each in batch.updates]
    sure = lease.prepared_at
    if sure is None:
        error = _prepare(lease, destination, link)
        if error is not None:
            return Pushed(failure=error)
    pushed = pushing.push(destination, link, lease.plugin, updates)
    is_refused = pushed.failure is not None and not isinstance(pushed.failure, TryLater | NeedsReconnect)
    old = sure is not None and sure < datetime.now(UTC) - SURE_FOR
    if not old or not (is_refused or pushed.blamed):
        return pushed
    error = _prepare(lease, destination, link)
    if error is not None:
        return Pushed(pushed.receipts, failure=error)
    left = [each for each in updates if each.key not in pushed.receipts or each.key in pushed.blamed]
    again = pushing.push(destination, link, lease.plugin, left)
    return Pushed({**pushed.receipts, **again.receipts}, again.failure, again.blamed)


def _prepare(lease: Lease, destination: Destination, link: Link) -> PluginError | None:
    error = pushing.prepare(destination, link, lease.plugin)
    if error is None:
        with tenant_session(lease.tenant_id) as session:
            session.execute(_PREPARED, {**lease.whose, "at": datetime.now(UTC)})
    return error


def _take(tenant_id: int, connection_id: int | None = None) -> Lease | None:
    """The connection whose leads have waited longest, or this one."""
    now = datetime.now(UTC)
    until = now + LEASE
    asked = {"tenant_id": tenant_id, "connection_id": connection_id, "now": now, "until": until}
    with tenant_session(tenant_id) as session:
        row = session.execute(_LEASE, asked).one_or_none()
    if row is None:
        return None
    return Lease(
        tenant_id, row.connection_id, row.plugin, row.model_id, row.prepared_at, until, row.paused_at is not None
    )


def _finish(lease: Lease) -> None:
    """All went well: the next are due when they are, and nobody's news is missed who tells them just now."""
    with tenant_session(lease.tenant_id) as session:
        due_at = outbox.next_due(session, lease.tenant_id, lease.connection_id)
        if due_at is None or due_at > datetime.now(UTC):
            outbox.settle(session, lease.tenant_id)
            due_at = outbox.next_due(session, lease.tenant_id, lease.connection_id)
        session.execute(_RELEASE, {**lease.whose, "due_at": due_at, "error": ""})


def _release(lease: Lease, due_at: datetime, error: str | None) -> None:
    """Without an error the one that is known stays."""
    with tenant_session(lease.tenant_id) as session:
        session.execute(_RELEASE, {**lease.whose, "due_at": due_at, "error": error})


def _after(lease: Lease, failure: Exception) -> datetime:
    if isinstance(failure, TryLater):
        return circuits.failed(lease.tenant_id, lease.connection_id, failure, probe=lease.probe, renewal=lease.renewal)
    return _later(REFUSED_PAUSE)


def _later(pause: timedelta) -> datetime:
    return datetime.now(UTC) + pause * random.uniform(0.8, 1.2)  # noqa: S311 # no secret
