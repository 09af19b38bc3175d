from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import insert
from sqlalchemy.orm import Session

from assay_tenants.audit.models import AuditEntry
from assay_tenants.context import actor


def record(
    session: Session,
    tenant_id: int,
    action: str,
    subject: object = "",
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Writes down, in the transaction that makes the change, what whoever acts has done.

    ``action`` is a dotted word of the past such as ``model.published``; ``subject`` says which model. ``before`` and
    ``after`` are plain JSON values of what changed: never a secret, and of a lead its id alone.
    """
    by = actor()
    session.execute(
        insert(AuditEntry).values(
            tenant_id=tenant_id,
            at=datetime.now(UTC),
            actor_kind=by.kind,
            actor_id=by.id,
            actor_name=by.name,
            address=by.address,
            action=action,
            subject=str(subject),
            before=dict(before) if before is not None else None,
            after=dict(after) if after is not None else None,
        )
    )
