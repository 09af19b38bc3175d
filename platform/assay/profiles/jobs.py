"""Batches of waiting records are applied: one transaction each."""

from assay.facts import LeadsChanged, tell_after_commit
from assay.intake import imports
from assay.normalise import Normalised, event_id, find_fault, refuse, take
from assay.profiles import service
from assay_sdk import Event, Record
from assay_tenants.database import tenant_session

# A message may hold one event or 2,500; ``take`` bounds the bytes.
MESSAGES = 2_000
BYTES = 1024 * 1024
# People of one batch are looked up and written once, so a backlog is worked off faster in longer ones.
ALONE = 4


def drain_messages(tenant_id: int, *, alone: bool = False) -> int:
    """Works off one batch of raw messages, a longer one when nobody else waits; tells how many records they held."""
    times = ALONE if alone else 1
    with tenant_session(tenant_id) as session:
        records = take(session, tenant_id, MESSAGES * times, max_bytes=BYTES * times)
        if records:
            outcome = service.apply_each(session, tenant_id, records)
            refuse(session, tenant_id, outcome.refused)
            if outcome.changed:
                tell_after_commit(session, LeadsChanged(tenant_id))
    return len(records)


def drain_imports(tenant_id: int, *, alone: bool = False) -> int:
    """Works off some rows of one import; tells how many lines it took, 0 when no import waits."""
    with tenant_session(tenant_id) as session:
        batch = imports.take(session, tenant_id)
        if batch is None:
            return 0
        good = _checked(batch)
        if good:
            outcome = service.apply_each(session, tenant_id, good, import_id=batch.row.id)
            numbers = _numbers(batch)
            for refused, reason in outcome.refused:
                batch.refuse(numbers[id(refused.record)], reason, column=None)
            if outcome.changed:
                tell_after_commit(session, LeadsChanged(tenant_id))
        imports.advance(session, batch)
    return max(batch.rows, 1)


def _numbers(batch: imports.Batch) -> dict[int, int]:
    """The row of each record, by the record's identity."""
    return {id(record): number for number, records in batch.records.items() for record in records}


def _checked(batch: imports.Batch) -> list[Normalised]:
    """The records of the good rows; a row with a record that can't be kept is refused as a whole."""
    good: list[Normalised] = []
    for number, records in list(batch.records.items()):
        faults = (find_fault(record, received_at=batch.row.created_at) for record in records)
        fault = next((fault for fault in faults if fault), None)
        if fault is None:
            good += [_normalised(record, batch) for record in records]
        else:
            column = (fault.field or "").rpartition("traits.")[2].rpartition("properties.")[2]
            batch.refuse(number, fault.message, column=column or None)
    return good


def _normalised(record: Record, batch: imports.Batch) -> Normalised:
    source_id = batch.row.source_id
    id_ = event_id(source_id, record.sender_id) if isinstance(record, Event) else None
    return Normalised(record, source_id, None, batch.row.created_at, id_)
