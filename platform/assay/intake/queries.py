"""Raw messages, for those who want to see what a score rests on."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import or_, select

from assay.intake.ids import instant_of
from assay.intake.models import Message
from assay.intake.retention import CLASSES
from assay_tenants.database import tenant_session


def find_message(tenant_id: int, message_id: UUID) -> Message | None:
    at = instant_of(message_id)
    with tenant_session(tenant_id) as session:
        return session.scalars(
            select(Message).where(
                Message.tenant_id == tenant_id,
                Message.id == message_id,
                # Keeps the other partitions out of it: only a class with its instant tells them apart.
                or_(
                    *(
                        (Message.retention == days) & Message.received_at.between(at, at + timedelta(milliseconds=1))
                        for days in CLASSES["messages"]
                    )
                ),
            )
        ).one_or_none()
