"""What could not be understood, newest first."""

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import select, tuple_

from assay.normalise.models import DeadLetter
from assay_tenants.database import tenant_session
from assay_tenants.errors import BadInput


@dataclass(frozen=True)
class DeadLetters:
    """One page; ``next_cursor`` is None on the last."""

    letters: list[DeadLetter]
    next_cursor: str | None


def list_dead_letters(tenant_id: int, limit: int, cursor: str | None = None) -> DeadLetters:
    """Raises BadInput for a cursor that is not one of ours."""
    order = (DeadLetter.received_at, DeadLetter.message_id, DeadLetter.position)
    query = select(DeadLetter).where(DeadLetter.tenant_id == tenant_id)
    if cursor is not None:
        query = query.where(tuple_(*order) < tuple_(*_place(cursor)))
    with tenant_session(tenant_id) as session:
        found = list(session.scalars(query.order_by(*(column.desc() for column in order)).limit(limit + 1)))
    page = found[:limit]
    return DeadLetters(page, _cursor(page[-1]) if len(found) > limit else None)


def dead_letters_of(tenant_id: int, message_id: UUID) -> list[DeadLetter]:
    """What could not be understood of one message, in its order."""
    query = select(DeadLetter).where(DeadLetter.tenant_id == tenant_id, DeadLetter.message_id == message_id)
    with tenant_session(tenant_id) as session:
        return list(session.scalars(query.order_by(DeadLetter.position)))


def _cursor(letter: DeadLetter) -> str:
    # A plus sign would be a space in an address.
    received_at = letter.received_at.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return f"{received_at}_{letter.message_id}_{letter.position}"


def _place(cursor: str) -> tuple[datetime, UUID, int]:
    try:
        received_at, message_id, position = cursor.split("_")
        place = datetime.fromisoformat(received_at), UUID(message_id), int(position)
        if place[0].tzinfo is None or not 0 <= place[2] < 2**31:
            raise ValueError(cursor)
    except ValueError:
        raise BadInput("The cursor is not one that this list gave out.", field="cursor") from None
    return place
