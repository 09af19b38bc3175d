"""A file is received: on disk as a whole, in one request or in parts, and only then looked at or read."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import chain, islice
from secrets import token_hex
from typing import IO, Any, cast

from sqlalchemy import insert, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from assay.facts import ImportReceived, tell_after_commit
from assay.intake.imports.errors import FileRefused
from assay.intake.imports.mapping import ColumnMapping
from assay.intake.imports.models import Import, ImportChunk, Kind
from assay.intake.imports.options import Options
from assay.intake.imports.receiving import Findings, format_of, newline_of, pieces
from assay.intake.imports.storing import drop_chunks, fail_abandoned
from assay_tenants import audit
from assay_tenants.database import tenant_session
from assay_tenants.errors import BadInput
from assay_tenants.models import Source
from assay_tenants.plans import require_people

SOURCE = "Imports"
PLUGIN = "import"
EMPTY = "The file is empty."
# A megabyte a transaction: few commits, little memory.
CHUNKS_A_TIME = 4
_LONGEST_NAME = 200


def start_import(
    tenant_id: int,
    *,
    kind: str,
    filename: str,
    stream: IO[bytes],
    options: Mapping[str, Any] | None = None,
    review: bool = False,
) -> int:
    """Receives a file and has it read, or with ``review`` only looked at; gives the import's id.

    A file that is no text makes a failed import, whose ``error`` says why. Raises BadInput for wrong options.
    """
    findings = Findings()
    chunks = pieces(stream, findings)
    refusal = None
    options = checked_options(kind, options)
    try:
        first = next(chunks, b"")
    except FileRefused as refused:
        first, refusal = b"", str(refused)
    with tenant_session(tenant_id) as session:
        row = new_import(session, tenant_id, kind=kind, filename=filename, options=options, review=review)
        recognise(row, first)
        import_id = row.id
    try:
        if refusal is None:
            _keep(tenant_id, import_id, chain([first] if first else [], chunks))
    except FileRefused as refused:
        refusal = str(refused)
    except BaseException:
        _received(tenant_id, import_id, findings, refusal="The upload broke off before its end. Send the file again.")
        raise
    _received(tenant_id, import_id, findings, refusal=refusal)
    return import_id


def checked_options(kind: str, given: Mapping[str, Any] | None) -> dict[str, Any]:
    """Raises BadInput for an unknown kind or wrong options."""
    if kind not in ("leads", "events"):
        raise BadInput(f"An import is of leads or of events, not of {kind!r}.", field="kind")
    options = Options.read(given or {})
    ColumnMapping.read(options.how, cast(Kind, kind))
    return asdict(options)


def new_import(
    session: Session, tenant_id: int, *, kind: str, filename: str, options: dict[str, Any], review: bool
) -> Import:
    """A file that begins to come."""
    fail_abandoned(session, tenant_id)
    require_people(session, tenant_id)
    now = datetime.now(UTC)
    row = Import(
        tenant_id=tenant_id,
        source_id=_source(session, tenant_id),
        kind=cast(Kind, kind),
        format="csv",
        filename=_clean(filename) or kind,
        options={**options, "reading": {"review": review, "token": token_hex(8)}},
        state="receiving",
        created_at=now,
        touched_at=now,
        bytes_received=0,
    )
    session.add(row)
    session.flush()
    audit.record(session, tenant_id, "import.sent", row.id, after={"kind": kind, "starts_by_itself": not review})
    return row


def recognise(row: Import, first: bytes) -> None:
    """By the file's first piece."""
    row.format = format_of(row.filename, first)
    row.options = {**row.options, "reading": {**row.options["reading"], "newline": newline_of(first)}}


def settle(session: Session, row: Import, findings: Findings, refusal: str | None) -> None:
    """The file is on disk, or will never be."""
    refusal = refusal or (None if findings.size else EMPTY)
    row.bytes_total = findings.size
    reading = {**row.options["reading"], "encoding": findings.encoding, "sent_as": findings.sent_as}
    row.options = {**row.options, "reading": reading}
    now = row.touched_at = datetime.now(UTC)
    if refusal is not None:
        row.state, row.error, row.finished_at = "failed", refusal, now
        drop_chunks(session, row.tenant_id, row.id)
        return
    # Which columns a Parquet file has is found out by a worker: it takes Polars.
    row.state = "waiting" if not reading["review"] else "looking" if row.format == "parquet" else "ready"
    if row.state != "ready":
        tell_after_commit(session, ImportReceived(row.tenant_id))


def locked(session: Session, tenant_id: int, import_id: int) -> Import | None:
    return session.scalars(
        select(Import).where(Import.tenant_id == tenant_id, Import.id == import_id).with_for_update()
    ).one_or_none()


def keep(session: Session, tenant_id: int, import_id: int, position: int, bodies: list[bytes]) -> None:
    """A piece that is there already was shorter, and is written anew."""
    rows = [
        {"tenant_id": tenant_id, "import_id": import_id, "position": position + number, "body": body}
        for number, body in enumerate(bodies)
    ]
    statement = upsert(ImportChunk)
    session.execute(
        statement.on_conflict_do_update(
            index_elements=["tenant_id", "import_id", "position"], set_={"body": statement.excluded.body}
        ),
        rows,
    )


def _keep(tenant_id: int, import_id: int, chunks: Iterator[bytes]) -> None:
    position = 0
    while bodies := list(islice(chunks, CHUNKS_A_TIME)):
        rows = [
            {"tenant_id": tenant_id, "import_id": import_id, "position": position + number, "body": body}
            for number, body in enumerate(bodies)
        ]
        with tenant_session(tenant_id) as session:
            session.execute(insert(ImportChunk), rows)
        position += len(rows)


def _received(tenant_id: int, import_id: int, findings: Findings, *, refusal: str | None) -> None:
    with tenant_session(tenant_id) as session:
        row = locked(session, tenant_id, import_id)
        if row is not None and row.state == "receiving":
            row.bytes_received = findings.received
            settle(session, row, findings, refusal)


def _source(session: Session, tenant_id: int) -> int:
    """The source of all imports, made with the first."""
    session.execute(
        upsert(Source)
        .values(tenant_id=tenant_id, name=SOURCE, plugin=PLUGIN, created_at=datetime.now(UTC))
        .on_conflict_do_nothing(index_elements=["tenant_id", "name"])
    )
    return session.scalars(select(Source.id).where(Source.tenant_id == tenant_id, Source.name == SOURCE)).one()


def _clean(filename: str) -> str:
    """A name fit for lists: some browsers send the whole path."""
    name = filename.replace("\\", "/").rpartition("/")[2]
    return "".join(letter for letter in name if letter.isprintable()).strip()[:_LONGEST_NAME]
