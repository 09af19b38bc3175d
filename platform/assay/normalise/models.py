"""What could not be understood, kept where a person can see it."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, Identity, Index, Integer, Text, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column

from assay_tenants.database import Base

Action = Literal["replay", "dismiss"]
State = Literal["running", "reading", "done", "cancelled"]

Instant = DateTime(timezone=True)
_ZERO = text("0")


class DeadLetter(Base):
    """One item of a message that could not be read, and why. The message itself stays where it is.

    ``kind`` is the same for all that one mend would set right.
    """

    __tablename__ = "dead_letters"
    __table_args__ = {"schema": "intake", "info": {"citus": "distributed"}}

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    message_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    position: Mapped[int] = mapped_column(Integer, primary_key=True)
    received_at: Mapped[datetime] = mapped_column(Instant)
    source_id: Mapped[int] = mapped_column(BigInteger)
    field: Mapped[str | None] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    excerpt: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text, server_default="unsorted")


class LetterRound(Base):
    """All dead letters of a kind, or of one message, are read again or dismissed: who asked for it, how far it is.

    ``kind`` and ``source_id`` say which letters, None: any. Those of a ``replay`` are handed over in the order of their
    receipt up to ``created_at``; the last one so far is at ``at_instant`` and ``at_message``.
    """

    __tablename__ = "letter_rounds"
    __table_args__ = (
        Index("letter_rounds_open", "tenant_id", "id", postgresql_where=text("state IN ('running', 'reading')")),
        {"schema": "intake", "info": {"citus": "distributed"}},
    )

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    action: Mapped[Action] = mapped_column(Text)
    kind: Mapped[str | None] = mapped_column(Text)
    source_id: Mapped[int | None] = mapped_column(BigInteger)
    message_id: Mapped[UUID | None] = mapped_column(Uuid)
    state: Mapped[State] = mapped_column(Text)
    #: Letters there were when it began.
    total: Mapped[int] = mapped_column(BigInteger, server_default=_ZERO)
    #: So far: letters dismissed, or those of the messages handed over.
    letters: Mapped[int] = mapped_column(BigInteger, server_default=_ZERO)
    #: So far: messages handed over to be read again.
    messages: Mapped[int] = mapped_column(BigInteger, server_default=_ZERO)
    #: So far: messages that are no longer kept, and so can't be read again.
    gone: Mapped[int] = mapped_column(BigInteger, server_default=_ZERO)
    at_instant: Mapped[datetime | None] = mapped_column(Instant)
    at_message: Mapped[UUID | None] = mapped_column(Uuid)
    started_by: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Instant)
    finished_at: Mapped[datetime | None] = mapped_column(Instant)
