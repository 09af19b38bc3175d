"""Files that come in parts, so that an upload whose connection broke goes on where it stopped."""

import codecs
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import IO, Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from assay.intake.imports.errors import FileRefused
from assay.intake.imports.models import Import, ImportChunk
from assay.intake.imports.receiving import (
    CHUNK,
    GZIP,
    MAX_BYTES,
    PARQUET,
    UTF_16,
    Findings,
    TextChecker,
    pieces,
    refuse_damaged_parquet,
    refuse_workbook,
    too_large,
)
from assay.intake.imports.service import CHUNKS_A_TIME, checked_options, keep, locked, new_import, recognise, settle
from assay.intake.imports.storing import drop_packed, packed_pieces
from assay_tenants.database import tenant_session
from assay_tenants.errors import BadInput, Conflict, NotFound

#: By which a file is recognised; its first part holds them, or the whole file.
FIRST = 16
_STEP = CHUNKS_A_TIME * CHUNK


@dataclass(frozen=True)
class Upload:
    """How far a file has come."""

    offset: int
    size: int
    #: Nothing more is waited for: all of it is here, or it was refused.
    is_over: bool


class WrongOffset(Conflict):
    code = "wrong_offset"

    def __init__(self, offset: int) -> None:
        self.offset = offset
        super().__init__(f"The upload goes on at byte {offset}; ask for its offset and send the rest from there.")


def announce(
    tenant_id: int,
    *,
    kind: str,
    filename: str,
    size: int,
    options: Mapping[str, Any] | None = None,
    review: bool = False,
) -> int:
    """A file of ``size`` bytes will come in parts; gives the import's id. Raises BadInput."""
    chosen = checked_options(kind, options)
    if size < 1:
        raise BadInput("The file is empty.", field="size")
    if size > MAX_BYTES:
        raise BadInput(too_large(), field="size")
    with tenant_session(tenant_id) as session:
        row = new_import(session, tenant_id, kind=kind, filename=filename, options=chosen, review=review)
        row.bytes_expected = size
        return row.id


def upload_of(tenant_id: int, import_id: int) -> Upload:
    """Raises NotFound, also for a file that did not come in parts."""
    with tenant_session(tenant_id) as session:
        row = session.scalars(select(Import).where(Import.tenant_id == tenant_id, Import.id == import_id)).one_or_none()
    if row is None or row.bytes_expected is None:
        raise NotFound("upload")
    return _told(row)


def append(tenant_id: int, import_id: int, *, offset: int, stream: IO[bytes]) -> Upload:
    """Takes the next part. When the connection breaks, what came of it is kept, and the error goes on.

    Raises WrongOffset where the part does not begin where the last one ended, NotFound, and BadInput when more comes
    than was announced. A file that turns out not to be readable ends the upload: the import says why.
    """
    told = upload_of(tenant_id, import_id)
    if told.offset != offset or (told.is_over and offset < told.size):
        raise WrongOffset(told.offset)
    for part in _steps(stream, first_size=_STEP - offset % _STEP):
        told = _take(tenant_id, import_id, offset, part)
        offset += len(part)
        if told.is_over:
            return told
    if told.offset == told.size and not told.is_over:
        told = _take(tenant_id, import_id, offset, b"")
    return told


def _steps(stream: IO[bytes], *, first_size: int) -> Iterator[bytes]:
    """Parts that end where pieces end; what came before a failure is given before it is raised."""
    buffer = bytearray()
    size = first_size
    failure: BaseException | None = None
    while True:
        try:
            part = stream.read(64 * 1024)
        except Exception as error:  # noqa: BLE001 # raised again below
            part, failure = b"", error
        if not part:
            break
        buffer += part
        while len(buffer) >= size:
            yield bytes(buffer[:size])
            del buffer[:size]
            size = _STEP
    if buffer:
        yield bytes(buffer)
    if failure is not None:
        raise failure


def _take(tenant_id: int, import_id: int, offset: int, part: bytes) -> Upload:
    with tenant_session(tenant_id) as session:
        row = locked(session, tenant_id, import_id)
        if row is None or row.bytes_expected is None:
            raise NotFound("upload")
        if row.state != "receiving" or row.bytes_received != offset:
            raise WrongOffset(row.bytes_received)
        if offset + len(part) > row.bytes_expected:
            raise BadInput(f"More bytes came than the {row.bytes_expected:,} that were announced.", field="size")
        if offset == 0 and len(part) < min(FIRST, row.bytes_expected):
            raise BadInput(f"The first part must hold at least {FIRST} bytes.")
        try:
            _keep_part(session, row, part)
        except FileRefused as refused:
            row.bytes_received += len(part)
            settle(session, row, Findings(size=row.bytes_received), str(refused))
        else:
            row.bytes_received += len(part)
            row.touched_at = datetime.now(UTC)
            if row.bytes_received == row.bytes_expected:
                _complete(session, row)
        return _told(row)


def _keep_part(session: Session, row: Import, part: bytes) -> None:
    if row.bytes_received == 0:
        _recognise(row, part)
    packed = row.options["reading"]["packed"]
    if not packed:
        _check(row, part)
    first, filled = divmod(row.bytes_received, CHUNK)
    if filled:
        place = -1 - first if packed else first
        before = session.scalars(
            select(ImportChunk.body).where(
                ImportChunk.tenant_id == row.tenant_id,
                ImportChunk.import_id == row.id,
                ImportChunk.position == place,
            )
        ).one()
        part = before + part
    bodies = [part[start : start + CHUNK] for start in range(0, len(part), CHUNK)]
    if packed:
        for number, body in enumerate(bodies):
            keep(session, row.tenant_id, row.id, -1 - first - number, [body])
    elif bodies:
        keep(session, row.tenant_id, row.id, first, bodies)


def _recognise(row: Import, start: bytes) -> None:
    """Raises FileRefused."""
    refuse_workbook(start)
    packed = start.startswith((GZIP, *UTF_16))
    mark = codecs.BOM_UTF8 if start.startswith(codecs.BOM_UTF8) else b""
    recognise(row, start.removeprefix(mark))
    told = {"packed": packed, "start": len(mark), "encoding": "utf-8", "sent_as": "UTF-8", "pending": ""}
    row.options = {**row.options, "reading": {**row.options["reading"], **told}}


def _check(row: Import, part: bytes) -> None:
    """Raises FileRefused."""
    reading = row.options["reading"]
    if row.format == "parquet":
        return
    findings = Findings(encoding=reading["encoding"], sent_as=reading["sent_as"])
    checker = TextChecker(findings, bytes.fromhex(reading["pending"]))
    checker.check(part)
    told = {"encoding": findings.encoding, "sent_as": findings.sent_as, "pending": checker.pending.hex()}
    row.options = {**row.options, "reading": {**reading, **told}}


def _complete(session: Session, row: Import) -> None:
    """The whole file is here: what came packed is unpacked, what came as it is gets its last check."""
    reading = row.options["reading"]
    findings = Findings(size=row.bytes_received, encoding=reading["encoding"], sent_as=reading["sent_as"])
    refusal = None
    try:
        if reading["packed"]:
            findings = _unpack(session, row)
        elif row.format == "parquet":
            refuse_damaged_parquet(row.bytes_received, _last(session, row))
        else:
            TextChecker(findings, bytes.fromhex(reading["pending"])).finish()
            if row.bytes_received == reading["start"]:
                findings.size = 0
    except FileRefused as refused:
        refusal = str(refused)
    settle(session, row, findings, refusal)


def _last(session: Session, row: Import) -> bytes:
    """The end of what came; parts may end anywhere."""
    bodies = session.scalars(
        select(ImportChunk.body)
        .where(ImportChunk.tenant_id == row.tenant_id, ImportChunk.import_id == row.id)
        .order_by(ImportChunk.position.desc())
        .limit(2)
    ).all()
    return b"".join(reversed(bodies))[-len(PARQUET) :]


class _Packed:
    """What came, as a stream."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        self._parts = parts

    def read(self, _: int = -1) -> bytes:
        return next(self._parts, b"")


def _unpack(session: Session, row: Import) -> Findings:
    """In one transaction: whoever is cut off in it asks for the same again."""
    findings = Findings()
    position = 0
    batch: list[bytes] = []
    for piece in pieces(_Packed(packed_pieces(session, row)), findings):  # type: ignore[arg-type] # it reads, which is all that is asked of it
        if position == 0 and not batch:
            recognise(row, piece)
        batch.append(piece)
        if len(batch) == CHUNKS_A_TIME:
            keep(session, row.tenant_id, row.id, position, batch)
            position, batch = position + len(batch), []
    if batch:
        keep(session, row.tenant_id, row.id, position, batch)
    drop_packed(session, row)
    return findings


def _told(row: Import) -> Upload:
    return Upload(row.bytes_received, row.bytes_expected or 0, row.state != "receiving")
