"""The pieces of a file in the database, and files that nobody comes back for."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from assay.intake.imports.models import Import, ImportChunk, State
from assay.intake.imports.receiving import CHUNK

# An upload that has not gone on by then was cut off together with whoever sent or received it.
PATIENCE = timedelta(hours=6)
_UNDECIDED = timedelta(days=7)
_PAUSED = timedelta(days=30)
#: States that end by themselves: after how long, as what, with which sentence.
_LIMITS: tuple[tuple[State, timedelta, State, str], ...] = (
    ("receiving", PATIENCE, "failed", "The upload never came to its end. Send the file again."),
    ("ready", _UNDECIDED, "failed", "Nobody imported the file within 7 days, so it was removed. Send it again."),
    ("paused", _PAUSED, "cancelled", "Nobody went on within 30 days, so the rest of the file was removed."),
)


def chunk_of(session: Session, row: Import) -> Callable[[int], bytes | None]:
    def chunk(position: int) -> bytes | None:
        return session.scalars(
            select(ImportChunk.body).where(
                ImportChunk.tenant_id == row.tenant_id,
                ImportChunk.import_id == row.id,
                ImportChunk.position == position,
            )
        ).one_or_none()

    return chunk


def chunks_of(session: Session, row: Import) -> Callable[[int, int], list[bytes]]:
    def chunks(first: int, end: int) -> list[bytes]:
        return list(
            session.scalars(
                select(ImportChunk.body)
                .where(
                    ImportChunk.tenant_id == row.tenant_id,
                    ImportChunk.import_id == row.id,
                    ImportChunk.position >= first,
                    ImportChunk.position < end,
                )
                .order_by(ImportChunk.position)
            )
        )

    return chunks


def packed_pieces(session: Session, row: Import) -> Iterator[bytes]:
    """A packed upload, as it came."""
    chunk = chunk_of(session, row)
    position = -1
    while body := chunk(position):
        yield body
        position -= 1


def whole_pieces(session: Session, row: Import) -> Iterator[bytes]:
    chunk = chunk_of(session, row)
    for position in range(-(-row.bytes_total // CHUNK)):
        body = chunk(position)
        if body is None:
            return
        yield body


def drop_chunks(session: Session, tenant_id: int, import_id: int) -> None:
    session.execute(delete(ImportChunk).where(ImportChunk.tenant_id == tenant_id, ImportChunk.import_id == import_id))


def drop_packed(session: Session, row: Import) -> None:
    session.execute(
        delete(ImportChunk).where(
            ImportChunk.tenant_id == row.tenant_id, ImportChunk.import_id == row.id, ImportChunk.position < 0
        )
    )


def fail_abandoned(session: Session, tenant_id: int) -> None:
    """Gives up what nobody came back for, and what it left on disk."""
    now = datetime.now(UTC)
    for state, patience, ends_as, sentence in _LIMITS:
        abandoned = session.scalars(
            update(Import)
            .where(
                Import.tenant_id == tenant_id,
                Import.state == state,
                func.coalesce(Import.touched_at, Import.created_at) < now - patience,
            )
            .values(state=ends_as, error=sentence, finished_at=now)
            .returning(Import.id)
        ).all()
        for import_id in abandoned:
            drop_chunks(session, tenant_id, import_id)
