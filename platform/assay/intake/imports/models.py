"""Files that were sent, and the rows of them that could not be taken in."""

from datetime import datetime
from typing import Any, Literal

from sqlalchemy import BigInteger, DateTime, ForeignKeyConstraint, Identity, Index, Integer, LargeBinary, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from assay_tenants.database import Base

Kind = Literal["leads", "events"]
Format = Literal["csv", "jsonl", "parquet"]
State = Literal[
    "receiving",  # its file comes in
    "looking",  # a worker finds out which columns it has
    "ready",  # waits until its sender has said how to read it
    "checking",  # is read without keeping anything
    "waiting",  # is read
    "paused",
    "cancelled",  # what had been taken in before is kept
    "done",
    "failed",
    "undoing",
    "undone",
]
#: What a worker has to do something about.
AT_WORK: tuple[State, ...] = ("waiting", "looking", "checking", "undoing")

Instant = DateTime(timezone=True)
DISTRIBUTED = {"schema": "intake", "info": {"citus": "distributed"}}
_IMPORT = ["intake.imports.tenant_id", "intake.imports.id"]
_ZERO = text("0")


class Import(Base):
    """``options`` holds what the sender asked for and, under ``reading``, how the file is read."""

    __tablename__ = "imports"
    __table_args__ = (
        Index(
            "imports_at_work",
            "tenant_id",
            "created_at",
            postgresql_where=text("state IN ('waiting', 'looking', 'checking', 'undoing')"),
        ),
        DISTRIBUTED,
    )

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    source_id: Mapped[int] = mapped_column(BigInteger)
    kind: Mapped[Kind] = mapped_column(Text)
    format: Mapped[Format] = mapped_column(Text)
    filename: Mapped[str] = mapped_column(Text)
    options: Mapped[dict[str, Any]] = mapped_column(JSONB)
    state: Mapped[State] = mapped_column(Text)
    #: How its columns are understood; None until somebody said so, or until it is read.
    mapping: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    #: Of an upload in parts: its size as announced, and how much of it came.
    bytes_expected: Mapped[int | None] = mapped_column(BigInteger)
    bytes_received: Mapped[int] = mapped_column(BigInteger, server_default=_ZERO)
    #: Of the file as it is stored: inflated, in UTF-8 if it came in UTF-16, without byte order mark.
    bytes_total: Mapped[int] = mapped_column(BigInteger, server_default=_ZERO)
    #: Where the next row begins.
    bytes_read: Mapped[int] = mapped_column(BigInteger, server_default=_ZERO)
    rows_read: Mapped[int] = mapped_column(BigInteger, server_default=_ZERO)
    rows_refused: Mapped[int] = mapped_column(BigInteger, server_default=_ZERO)
    #: Known before the file is read for Parquet alone.
    rows_total: Mapped[int | None] = mapped_column(BigInteger)
    #: What a check found.
    report: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    error: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Instant)
    #: When its sender last did something about it.
    touched_at: Mapped[datetime | None] = mapped_column(Instant)
    finished_at: Mapped[datetime | None] = mapped_column(Instant)


class ImportChunk(Base):
    """A piece of a file, all of one size but the last; kept until the file has been read.

    From 0 on: the file as it is read. Below 0: a packed upload as it comes, which is unpacked once it is whole.
    """

    __tablename__ = "import_chunks"
    __table_args__ = (ForeignKeyConstraint(["tenant_id", "import_id"], _IMPORT), DISTRIBUTED)

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    import_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    position: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    body: Mapped[bytes] = mapped_column(LargeBinary)


class RefusedRow(Base):
    """``row_number`` as a spreadsheet shows it: the heading is row 1."""

    __tablename__ = "refused_rows"
    __table_args__ = (ForeignKeyConstraint(["tenant_id", "import_id"], _IMPORT), DISTRIBUTED)

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    import_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    row_number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    column_name: Mapped[str | None] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    #: JSON: a table's row as a list of its cells, or the line or object as it was; None when there was no room.
    original: Mapped[str | None] = mapped_column(Text)


class ImportCheck(Base):
    """Whom and what a check has met in a file so far; gone when the check is over."""

    __tablename__ = "import_checks"
    __table_args__ = (ForeignKeyConstraint(["tenant_id", "import_id"], _IMPORT), DISTRIBUTED)

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    import_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    #: A hash of an identifier or of an event's id.
    key: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
