"""What was pulled or fetched is kept as raw messages, in the transaction that also keeps where to go on."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import text
from sqlalchemy.orm import Session

from assay import facts
from assay.intake.ids import message_id
from assay_sdk.paging import LARGEST_BODY
from assay_tenants.database import after_commit

#: Of a body that is too large, what a person needs to find the record at the vendor's.
BEGINNING = 2_000
EXCERPT = 300
#: The kind of dead letter that it becomes.
TOO_LARGE = "record_too_large"
_TICK = timedelta(microseconds=1)

_KEEP = text("""
    INSERT INTO intake.messages (tenant_id, received_at, id, source_id, call, body, retention)
    VALUES (:tenant_id, :received_at, :id, :source_id, :call, :body, :days)
""")
_WAIT = text("INSERT INTO intake.waiting (tenant_id, received_at, message_id) VALUES (:tenant_id, :received_at, :id)")
_LETTER = text("""
    INSERT INTO intake.dead_letters (tenant_id, message_id, position, received_at, source_id, reason, excerpt, kind)
    VALUES (:tenant_id, :id, 0, :received_at, :source_id, :reason, :excerpt, :kind)
""")


def keep(session: Session, tenant_id: int, source_id: int, call: str, bodies: Sequence[bytes]) -> None:
    """Keeps them and has them understood after the commit. One that is too large becomes a dead letter."""
    if not bodies:
        return
    days = session.execute(
        text("SELECT keep_messages FROM tenancy.tenants WHERE id = :tenant_id"), {"tenant_id": tenant_id}
    ).scalar_one()
    received_at = datetime.now(UTC)
    for place, body in enumerate(bodies):
        # Understood in the order in which they came.
        at = received_at + place * _TICK
        whole = len(body) <= LARGEST_BODY
        row = {
            "tenant_id": tenant_id,
            "received_at": at,
            "id": message_id(at),
            "source_id": source_id,
            "call": call,
            "body": body if whole else body[:BEGINNING],
            "days": days,
        }
        session.execute(_KEEP, row)
        if whole:
            session.execute(_WAIT, row)
        else:
            session.execute(_LETTER, row | _too_large(call, body))
    after_commit(session, lambda: facts.tell(facts.MessagesKept(tenant_id)))


def _too_large(call: str, body: bytes) -> dict[str, str]:
    return {
        "reason": f"A record of {call} has {len(body):,} bytes; at most {LARGEST_BODY:,} are kept. It was left out.",
        "excerpt": body[:EXCERPT].decode(errors="replace").replace("\0", "\N{SYMBOL FOR NULL}"),
        "kind": TOO_LARGE,
    }
