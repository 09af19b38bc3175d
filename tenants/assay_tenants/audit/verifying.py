"""Whether a tenant's log is what was written: every seal worked out anew."""

from dataclasses import dataclass

from sqlalchemy import Text, cast, select

from assay_tenants.audit.models import AuditEntry
from assay_tenants.audit.sealing import NOTHING, Sealed, seal
from assay_tenants.database import tenant_session

STEP = 1_000


@dataclass(frozen=True)
class Checked:
    """``hash`` is the newest entry's: who kept one elsewhere can tell a log that was cut or written anew."""

    entries: int
    hash: bytes
    #: The first entry that is not what was written, or that is missing; None: all are whole.
    broken_at: int | None = None
    wrong: str = ""


def check(tenant_id: int, *, since: int = 0, sealed_to: bytes = NOTHING) -> Checked:
    """From the first entry on, or from after ``since`` whose hash is known to be ``sealed_to``."""
    number, previous = since, sealed_to
    while True:
        batch = _after(tenant_id, number)
        for told, hash_ in batch:
            if told.id != number + 1:
                return Checked(number, previous, number + 1, f"it is missing; the next one is {told.id}")
            if seal(told, previous) != hash_:
                return Checked(number, previous, told.id, "it is not what was written")
            number, previous = told.id, hash_
        if len(batch) < STEP:
            return Checked(number, previous)


def _after(tenant_id: int, number: int) -> list[tuple[Sealed, bytes]]:
    told = [
        cast(getattr(AuditEntry, name), Text) if name in ("before", "after") else getattr(AuditEntry, name)
        for name in Sealed._fields
    ]
    query = (
        select(*told, AuditEntry.hash)
        .where(AuditEntry.tenant_id == tenant_id, AuditEntry.id > number)
        .order_by(AuditEntry.id)
        .limit(STEP)
    )
    with tenant_session(tenant_id) as session:
        return [(Sealed(*row[:-1]), row[-1]) for row in session.execute(query)]
