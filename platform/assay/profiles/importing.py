"""A file's rows become leads and events, or are only checked; what an import brought is taken back."""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from assay.facts import LeadsChanged, tell_after_commit
from assay.intake import imports
from assay.normalise import Normalised, event_id, find_fault
from assay.profiles import import_checks, service, undoing
from assay_sdk import Event, Record
from assay_tenants.database import tenant_session


def drain(tenant_id: int) -> int:
    """Works off some rows of one import; tells how many lines it took, 0 when no import waits."""
    with tenant_session(tenant_id) as session:
        row = imports.next_up(session, tenant_id)
        if row is None:
            return 0
        if row.state == "looking":
            imports.look(session, row)
            return 1
        if row.state == "undoing":
            imports.note_undone(row, undoing.undo(session, tenant_id, row.id))
            return 1
        batch = imports.read(session, row)
        good = checked(batch)
        if row.state == "checking":
            batch.counts = import_checks.count(session, batch, good)
        else:
            _apply(session, batch, [*_of_frame(batch), *good])
        imports.advance(session, batch)
    return max(batch.rows, 1)


def checked(batch: imports.Batch) -> list[Normalised]:
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


def _apply(session: Session, batch: imports.Batch, records: Sequence[Normalised]) -> None:
    if not records:
        return
    row = batch.row
    outcome = service.apply_each(session, row.tenant_id, records, import_id=row.id)
    numbers = {id(record): number for number, kept in batch.records.items() for record in kept}
    for refused, reason in outcome.refused:
        batch.refuse(numbers[id(refused.record)], reason, column=None)
    if outcome.changed:
        tell_after_commit(session, LeadsChanged(row.tenant_id))


def _of_frame(batch: imports.Batch) -> list[Normalised]:
    """Rows that came as columns, one by one."""
    found = []
    for number, event in batch.frame.events() if batch.frame else ():
        batch.records[number] = [event]
        found.append(_normalised(event, batch))
    return found


def _normalised(record: Record, batch: imports.Batch) -> Normalised:
    source_id = batch.row.source_id
    id_ = event_id(source_id, record.sender_id) if isinstance(record, Event) else None
    return Normalised(record, source_id, None, batch.row.created_at, id_)
