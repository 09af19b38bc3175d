"""What can be done with a connection that scores are written back through."""

from typing import Any

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from assay.delivery import contacts, outbox
from assay.delivery.models import Target
from assay.delivery.queries import named_model, read_target
from assay.syncing import leases, links
from assay_tenants import audit
from assay_tenants.database import tenant_session

_FORGET = text("""
    UPDATE delivery.pushes SET contacts = '{}' WHERE tenant_id = :tenant_id AND connection_id = :connection_id
""")
_WHICH = """tenant_id = :tenant_id AND connection_id = :connection_id AND state = 'dead'
        AND (CAST(:lead_id AS bigint) IS NULL OR lead_id = :lead_id)"""
_REPLAY = text(f"""
    UPDATE delivery.pushes SET state = 'waiting', attempts = 0, error = '', error_at = NULL, due_at = clock_timestamp(),
        asked = asked + 1
    WHERE {_WHICH}
""")  # noqa: S608 # of the constant above
_DISMISS = text(f"""
    UPDATE delivery.pushes SET state = 'sent', attempts = 0, error = '', error_at = NULL WHERE {_WHICH}
""")  # noqa: S608 # of the constant above
# A pause after a failure is over when a person has all of it begun anew.
_ANEW = text("""
    UPDATE delivery.pushes SET due_at = clock_timestamp(), attempts = 0, error = '', error_at = NULL
    WHERE tenant_id = :tenant_id AND connection_id = :connection_id AND state = 'waiting'
""")
_LEFT_ALONE = text("""
    UPDATE delivery.targets SET leased_until = NULL, due_at = clock_timestamp() + CAST(:pause AS interval)
    WHERE tenant_id = :tenant_id AND connection_id = :connection_id AND due_at IS NOT NULL
""")
_WAKE = text("""
    UPDATE delivery.targets SET due_at = clock_timestamp(), error = '', error_at = NULL
    WHERE tenant_id = :tenant_id AND connection_id = :connection_id AND enabled
""")


def establish(tenant_id: int, connection_id: int, plugin: str) -> None:
    """From the commit on scores go back through this connection, beginning with those that are known; idempotent.

    Does nothing for a plugin without a destination.
    """
    destination = links.service_of(plugin).destination
    if destination is None:
        return
    kinds = contacts.kinds(plugin, destination.known_by)
    with tenant_session(tenant_id) as session:
        row = insert(Target).values(
            tenant_id=tenant_id,
            connection_id=connection_id,
            plugin=plugin,
            enabled=True,
            known_by=kinds,
        )
        # Whoever was at it, with the access of before, has lost their lease: dead or alive, nobody waits for them.
        known = {"known_by": kinds, "prepared_at": None, "leased_until": None}
        outbox.settle(session, tenant_id)
        session.execute(row.on_conflict_do_update(index_elements=["tenant_id", "connection_id"], set_=known))
        _send(session, tenant_id, connection_id)


def change(tenant_id: int, connection_id: int, *, enabled: bool, model_id: int | None) -> None:
    """Whether scores go back, and of which model (None: the leading one of each lead).

    Raises NotFound, and BadInput for a model that there is not, or that is archived.
    """
    with tenant_session(tenant_id) as session:
        outbox.settle(session, tenant_id)
        target = read_target(session, tenant_id, connection_id, lock=True)
        before = _told(session, target)
        if model_id != target.model_id and model_id is not None:
            named_model(session, tenant_id, model_id)
        target.enabled, target.model_id = enabled, model_id
        after = _told(session, target)
        if after == before:
            return
        if not enabled:
            target.due_at = None
        session.flush()
        audit.record(session, tenant_id, "delivery.changed", connection_id, before=before, after=after)
        _send(session, tenant_id, connection_id)


def send_all(tenant_id: int, connection_id: int) -> int:
    """Has every known score sent once more, whatever was sent before; tells of how many leads. Raises NotFound."""
    with tenant_session(tenant_id) as session:
        read_target(session, tenant_id, connection_id)
        session.execute(_FORGET, {"tenant_id": tenant_id, "connection_id": connection_id})
        leads = _send(session, tenant_id, connection_id)
        audit.record(session, tenant_id, "delivery.repeated", connection_id, after={"leads": leads})
        return leads


def replay_dead(tenant_id: int, connection_id: int, *, lead_id: int | None = None) -> int:
    """Has those that were given up, or one of them, tried again; tells how many there are. Raises NotFound."""
    with tenant_session(tenant_id) as session:
        leads = _of_dead(session, _REPLAY, tenant_id, connection_id, lead_id)
        if leads:
            session.execute(_WAKE, {"tenant_id": tenant_id, "connection_id": connection_id})
            audit.record(session, tenant_id, "delivery.dead_replayed", connection_id, after={"leads": leads})
        return leads


def dismiss_dead(tenant_id: int, connection_id: int, *, lead_id: int | None = None) -> int:
    """Those that were given up, or one of them, are let be until their score changes; tells how many there are."""
    with tenant_session(tenant_id) as session:
        leads = _of_dead(session, _DISMISS, tenant_id, connection_id, lead_id)
        if leads:
            audit.record(session, tenant_id, "delivery.dead_dismissed", connection_id, after={"leads": leads})
        return leads


def leave_alone(tenant_id: int, connection_id: int) -> None:
    """Nothing is sent for a while, and whoever is at it asks no more: somebody is about to end it."""
    with tenant_session(tenant_id) as session:
        session.execute(_LEFT_ALONE, {"tenant_id": tenant_id, "connection_id": connection_id, "pause": leases.LEASE})


def end(tenant_id: int, connection_id: int) -> None:
    """Nothing goes back through this connection any more; what was written stays at the vendor."""
    with tenant_session(tenant_id) as session:
        target = session.get(Target, (tenant_id, connection_id))
        if target is not None:
            session.delete(target)


def _send(session: Session, tenant_id: int, connection_id: int) -> int:
    session.execute(_ANEW, {"tenant_id": tenant_id, "connection_id": connection_id})
    leads = outbox.renew_all(session, tenant_id, connection_id)
    session.execute(_WAKE, {"tenant_id": tenant_id, "connection_id": connection_id})
    return leads


def _of_dead(session: Session, statement: Any, tenant_id: int, connection_id: int, lead_id: int | None) -> int:
    read_target(session, tenant_id, connection_id)
    asked = {"tenant_id": tenant_id, "connection_id": connection_id, "lead_id": lead_id}
    return int(session.execute(statement, asked).rowcount)  # type: ignore[attr-defined] # an UPDATE has a cursor


def _told(session: Session, target: Target) -> dict[str, Any]:
    model = None if target.model_id is None else named_model(session, target.tenant_id, target.model_id, any_=True)
    return {"enabled": target.enabled, "model": model}
