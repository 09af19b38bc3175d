"""Batches of waiting records are applied: one transaction each."""

from uuid import UUID

from assay.facts import LeadsChanged, tell_after_commit
from assay.normalise import Named, refuse, take, want
from assay.profiles import importing, service
from assay.profiles.erasing import heed, sift, wishes_in
from assay_tenants.database import tenant_session

# A message may hold one event or 2,500; ``take`` bounds the bytes.
MESSAGES = 2_000
BYTES = 1024 * 1024
# People of one batch are looked up and written once, so a backlog is worked off faster in longer ones.
ALONE = 8


def drain_messages(tenant_id: int, *, alone: bool = False) -> int:
    """Works off one batch of raw messages, a longer one when nobody else waits; tells how many records they held."""
    times = ALONE if alone else 1
    with tenant_session(tenant_id) as session:
        letters: set[UUID] = set()
        named: list[Named] = []
        records = take(session, tenant_id, MESSAGES * times, max_bytes=BYTES * times, refused=letters, named=named)
        taken = len(records)
        records, wishes = wishes_in(sift(session, tenant_id, records, letters, named))
        want(session, tenant_id, named)
        if records:
            outcome = service.apply_each(session, tenant_id, records)
            refuse(session, tenant_id, outcome.refused)
            if outcome.changed:
                tell_after_commit(session, LeadsChanged(tenant_id))
        heed(session, tenant_id, wishes)
    return taken


def drain_imports(tenant_id: int, *, alone: bool = False) -> int:
    """Works off some rows of one import; tells how many lines it took, 0 when no import waits."""
    return importing.drain(tenant_id, alone=alone)
