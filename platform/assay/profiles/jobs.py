"""Batches of waiting records are applied: one transaction each."""

from assay.facts import LeadsChanged, tell_after_commit
from assay.normalise import take
from assay.profiles import service
from assay_tenants.database import tenant_session

# A message may hold one event or 2,500; ``take`` bounds the bytes.
MESSAGES = 2_000


def drain_messages(tenant_id: int) -> int:
    """Works off one batch of raw messages; tells how many records they held."""
    with tenant_session(tenant_id) as session:
        records = take(session, tenant_id, MESSAGES)
        if records and service.apply(session, tenant_id, records):
            tell_after_commit(session, LeadsChanged(tenant_id))
    return len(records)
