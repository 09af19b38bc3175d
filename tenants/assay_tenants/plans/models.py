from datetime import date, datetime

from sqlalchemy import BigInteger, Date, DateTime, Text
from sqlalchemy.orm import Mapped, mapped_column

from assay_tenants.database import Base


class Usage(Base):
    """What a tenant used in a month of UTC."""

    __tablename__ = "usage"
    __table_args__ = {"schema": "tenancy", "info": {"citus": "distributed"}}

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    #: Its first day.
    month: Mapped[date] = mapped_column(Date, primary_key=True)
    #: Kept in this month, each once.
    events: Mapped[int] = mapped_column(BigInteger, server_default="0")
    #: As they were last counted in this month.
    leads: Mapped[int] = mapped_column(BigInteger, server_default="0")
    counted_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    #: When the billing provider was last told.
    reported_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class UsageNotice(Base):
    """What owners were told by mail, so that they are told once."""

    __tablename__ = "usage_notices"
    __table_args__ = {"schema": "tenancy", "info": {"citus": "distributed"}}

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    #: Which: ``events 2026-11 team 80``, ``trial 2026-12-05 ends``.
    notice: Mapped[str] = mapped_column(Text, primary_key=True)
    sent_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
