"""A file is received: in pieces, on disk, and only then read."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from itertools import chain, islice
from typing import IO, Any, cast

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from assay.facts import ImportReceived, tell_after_commit
from assay.intake.imports.errors import FileRefused
from assay.intake.imports.models import Import, ImportChunk, Kind
from assay.intake.imports.options import Options
from assay.intake.imports.receiving import Findings, format_of, newline_of, pieces
from assay_tenants.database import tenant_session
from assay_tenants.errors import BadInput
from assay_tenants.models import Source

SOURCE = "Imports"
PLUGIN = "import"
# An upload that has not ended by then was cut off together with the process that received it.
PATIENCE = timedelta(hours=6)
# A megabyte a transaction: few commits, little memory.
_CHUNKS_A_TIME = 4
_LONGEST_NAME = 200


def start_import(
    tenant_id: int, *, kind: str, filename: str, stream: IO[bytes], options: Mapping[str, Any] | None = None
) -> int:
    """Receives a file and has it read; gives the import's id.

    A file that is no text makes a failed import, whose ``error`` says why. Raises BadInput for wrong options.
    """
    if kind not in ("leads", "events"):
        raise BadInput(f"An import is of leads or of events, not of {kind!r}.", field="kind")
    chosen = Options.read(options or {})
    findings = Findings()
    chunks = pieces(stream, findings)
    refusal = None
    try:
        first = next(chunks, b"")
    except FileRefused as refused:
        first, refusal = b"", str(refused)
    name = _clean(filename) or kind
    with tenant_session(tenant_id) as session:
        fail_abandoned(session, tenant_id)
        row = Import(
            tenant_id=tenant_id,
            source_id=_source(session, tenant_id),
            kind=cast(Kind, kind),
            format=format_of(name, first),
            filename=name,
            options={**asdict(chosen), "reading": {"newline": newline_of(first)}},
            state="receiving",
            created_at=datetime.now(UTC),
        )
        session.add(row)
        session.flush()
        import_id = row.id
    try:
        if refusal is None:
            _keep(tenant_id, import_id, chain([first] if first else [], chunks))
    except FileRefused as refused:
        refusal = str(refused)
    except BaseException:
        _received(tenant_id, import_id, findings, refusal="The upload broke off before its end. Send the file again.")
        raise
    _received(tenant_id, import_id, findings, refusal=refusal if findings.size or refusal else "The file is empty.")
    return import_id


def fail_abandoned(session: Session, tenant_id: int) -> None:
    """Gives up uploads whose receiver died, and what they left on disk."""
    abandoned = session.scalars(
        update(Import)
        .where(
            Import.tenant_id == tenant_id,
            Import.state == "receiving",
            Import.created_at < datetime.now(UTC) - PATIENCE,
        )
        .values(state="failed", error="The upload never came to its end. Send the file again.", finished_at=func.now())
        .returning(Import.id)
    ).all()
    if abandoned:
        session.execute(
            delete(ImportChunk).where(ImportChunk.tenant_id == tenant_id, ImportChunk.import_id.in_(abandoned))
        )


def drop_chunks(session: Session, tenant_id: int, import_id: int) -> None:
    session.execute(delete(ImportChunk).where(ImportChunk.tenant_id == tenant_id, ImportChunk.import_id == import_id))


def _keep(tenant_id: int, import_id: int, chunks: Iterator[bytes]) -> None:
    position = 0
    while bodies := list(islice(chunks, _CHUNKS_A_TIME)):
        rows = [
            {"tenant_id": tenant_id, "import_id": import_id, "position": position + number, "body": body}
            for number, body in enumerate(bodies)
        ]
        with tenant_session(tenant_id) as session:
            session.execute(insert(ImportChunk), rows)
        position += len(rows)


def _received(tenant_id: int, import_id: int, findings: Findings, *, refusal: str | None) -> None:
    with tenant_session(tenant_id) as session:
        row = session.scalars(
            select(Import).where(Import.tenant_id == tenant_id, Import.id == import_id).with_for_update()
        ).one()
        if row.state != "receiving":
            return
        row.bytes_total = findings.size
        reading = {**row.options["reading"], "encoding": findings.encoding, "sent_as": findings.sent_as}
        row.options = {**row.options, "reading": reading}
        if refusal is None:
            row.state = "waiting"
            tell_after_commit(session, ImportReceived(tenant_id))
        else:
            row.state, row.error, row.finished_at = "failed", refusal, datetime.now(UTC)
            drop_chunks(session, tenant_id, import_id)


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
