"""Where scores go back to, and what became of each lead's."""

from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ARRAY, BigInteger, Boolean, ForeignKeyConstraint, Integer, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from assay_tenants.database import Base
from assay_tenants.models import Instant

PushState = Literal["waiting", "sent", "gone", "dead"]

DISTRIBUTED = {"schema": "delivery", "info": {"citus": "distributed"}}
_ZERO, _EMPTY = text("0"), text("''")


class Target(Base):
    """A connection that scores are written back through."""

    __tablename__ = "targets"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "connection_id"], ["intake.links.tenant_id", "intake.links.connection_id"], ondelete="CASCADE"
        ),
        DISTRIBUTED,
    )

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    connection_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    plugin: Mapped[str] = mapped_column(Text)
    enabled: Mapped[bool] = mapped_column(Boolean)
    #: Whether only those can be told that the vendor has an id of; otherwise any identifier will do.
    known_by: Mapped[list[str]] = mapped_column(ARRAY(Text))
    #: None: of the models that apply to a lead the one that leads.
    model_id: Mapped[int | None] = mapped_column(BigInteger)
    #: When the vendor's fields were last made sure of.
    prepared_at: Mapped[datetime | None] = mapped_column(Instant)
    sent: Mapped[int] = mapped_column(BigInteger, server_default=_ZERO)
    sent_at: Mapped[datetime | None] = mapped_column(Instant)
    error: Mapped[str] = mapped_column(Text, server_default=_EMPTY)
    error_at: Mapped[datetime | None] = mapped_column(Instant)
    #: When something may be sent again; None: nothing waits, or it is switched off.
    due_at: Mapped[datetime | None] = mapped_column(Instant)
    leased_until: Mapped[datetime | None] = mapped_column(Instant)


class Push(Base):
    """One lead's score on its way to one connection."""

    __tablename__ = "pushes"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "connection_id"],
            ["delivery.targets.tenant_id", "delivery.targets.connection_id"],
            ondelete="CASCADE",
        ),
        DISTRIBUTED,
    )

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    connection_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    lead_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    state: Mapped[PushState] = mapped_column(Text)
    #: Grows when the score changed again: what was read before then is not what it is.
    asked: Mapped[int] = mapped_column(Integer, server_default=text("1"))
    attempts: Mapped[int] = mapped_column(Integer, server_default=_ZERO)
    #: Of what was sent last; empty: nothing was.
    version: Mapped[str] = mapped_column(Text, server_default=_EMPTY)
    #: The lead's first contact there.
    vendor_id: Mapped[str] = mapped_column(Text, server_default=_EMPTY)
    #: By the contact: what it was ``sent``, where it ``moved_to``, whether it is ``gone`` (see `contacts`).
    contacts: Mapped[dict[str, dict[str, Any]]] = mapped_column(JSONB, server_default=text("'{}'"))
    sent_at: Mapped[datetime | None] = mapped_column(Instant)
    error: Mapped[str] = mapped_column(Text, server_default=_EMPTY)
    error_at: Mapped[datetime | None] = mapped_column(Instant)
    due_at: Mapped[datetime | None] = mapped_column(Instant)
