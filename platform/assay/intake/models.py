"""Raw messages, and which of them wait to be understood."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, DateTime, Integer, LargeBinary, SmallInteger, Text, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from assay_tenants.database import Base

Instant = DateTime(timezone=True)


class Message(Base):
    """One request as it came: inflated, otherwise byte for byte, without what was about a person who was erased."""

    __tablename__ = "messages"
    __table_args__ = {
        "schema": "intake",
        "info": {"citus": "distributed"},
        "postgresql_partition_by": "RANGE (retention, received_at)",
    }

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    received_at: Mapped[datetime] = mapped_column(Instant, primary_key=True)
    #: Days for which it is kept after its receipt; 0 for ever.
    retention: Mapped[int] = mapped_column(
        SmallInteger, primary_key=True, autoincrement=False, default=0, server_default="0"
    )
    source_id: Mapped[int] = mapped_column(BigInteger)
    call: Mapped[str] = mapped_column(Text)
    body: Mapped[bytes] = mapped_column(LargeBinary)
    #: Of what is left after an erasure: where each thing that is read of it stood before. None: all is there.
    places: Mapped[list[int] | None] = mapped_column(ARRAY(Integer))


class Waiting(Base):
    """A message that has not been understood yet."""

    __tablename__ = "waiting"
    __table_args__ = {"schema": "intake", "info": {"citus": "distributed"}}

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    received_at: Mapped[datetime] = mapped_column(Instant, primary_key=True)
    message_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
