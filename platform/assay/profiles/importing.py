"""A file's rows become leads and events, or are only checked; what an import brought is taken back."""

from collections.abc import Sequence

import structlog
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from assay.facts import LeadsChanged, tell_after_commit
from assay.intake import imports
from assay.normalise import Normalised, event_id, find_fault
from assay.profiles import import_checks, service, undoing
from assay.profiles.erasing import sift_batch
from assay_sdk import CoreRecord, Event
from assay_tenants.database import tenant_session

log = structlog.get_logger()


def drain(tenant_id: int, *, alone: bool) -> int:
    """Works off some rows of one import, fewer when others wait; tells how many lines it took, 0 when none waits."""
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
        if row.state == "waiting" and imports.hold(session, row):
            return 1
        batch = imports.read(session, row, alone=alone)
        good = sift_batch(session, batch, checked(batch), keeping=row.state == "waiting")
        if row.state == "checking":
            batch.counts = import_checks.count(session, batch, good)
        else:
            _apply(session, batch, good)
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


def _apply(session: Session, batch: imports.Batch, good: Sequence[Normalised]) -> None:
    row = batch.row
    changed = _apply_frame(session, batch)
    if changed is None:
        changed = set()
        good = [*_of_frame(batch), *good]
    if good:
        outcome = service.apply_each(session, row.tenant_id, good, import_id=row.id)
        numbers = {id(record): number for number, records in batch.records.items() for record in records}
        for refused, reason in outcome.refused:
            batch.refuse(numbers[id(refused.record)], reason, column=None)
        changed |= outcome.changed
    if changed:
        tell_after_commit(session, LeadsChanged(row.tenant_id))


def _apply_frame(session: Session, batch: imports.Batch) -> set[int] | None:
    """Gives the leads with news; None when a row among them makes it fail, so that they are taken one by one."""
    if batch.frame is None:
        return set()
    # It brings Polars, which a worker that imports nothing need not hold in memory.
    from assay.profiles import bulk_events

    row = batch.row
    try:
        with session.begin_nested():
            return bulk_events.apply_frame(
                session,
                row.tenant_id,
                batch.frame,
                source_id=row.source_id,
                import_id=row.id,
                received_at=row.created_at,
            )
    except PoolTimeout:
        raise
    except DBAPIError as error:
        if not isinstance(error, DataError | IntegrityError):
            raise
        log.warning("imports.frame_refused", tenant_id=row.tenant_id, import_id=row.id, exc_info=error)
        return None


def _of_frame(batch: imports.Batch) -> list[Normalised]:
    """Rows that came as columns, one by one."""
    found = []
    for number, event in batch.frame.events() if batch.frame else ():
        batch.records[number] = [event]
        found.append(_normalised(event, batch))
    return found


def _normalised(record: CoreRecord, batch: imports.Batch) -> Normalised:
    source_id = batch.row.source_id
    id_ = event_id(source_id, record.sender_id) if isinstance(record, Event) else None
    return Normalised(record, source_id, None, batch.row.created_at, id_)
