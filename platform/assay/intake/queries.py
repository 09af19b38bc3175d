"""Raw messages, for those who want to see what a score rests on."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import select, text

from assay.intake.ids import instant_of
from assay.intake.models import Message
from assay.intake.retention import between
from assay_tenants.database import tenant_session

_FIND = text(f"SELECT * FROM ({between('messages', '*')}) AS m WHERE m.id = :id")  # noqa: S608 # of constants


def find_message(tenant_id: int, message_id: UUID) -> Message | None:
    """None for one that never was, or is no longer kept."""
    at = instant_of(message_id)
    asked = {"tenant_id": tenant_id, "id": message_id, "first": at, "last": at + timedelta(milliseconds=1)}
    with tenant_session(tenant_id) as session:
        return session.scalars(select(Message).from_statement(_FIND), asked).one_or_none()
