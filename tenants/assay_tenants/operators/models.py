from datetime import datetime
from typing import Literal

from sqlalchemy import BigInteger, Boolean, DateTime, Identity, LargeBinary, SmallInteger, Text
from sqlalchemy.orm import Mapped, mapped_column

from assay_tenants.database import Base

#: An operator is never an owner.
OperatorRole = Literal["viewer", "editor", "admin"]
Instant = DateTime(timezone=True)


class OperatorAccess(Base):
    """One look of one operator at one tenant: why, as what, and until when."""

    __tablename__ = "operator_accesses"
    __table_args__ = {"schema": "tenancy", "info": {"citus": "distributed"}}

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    operator: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    role: Mapped[OperatorRole] = mapped_column(Text)
    may_write: Mapped[bool] = mapped_column(Boolean)
    minutes: Mapped[int] = mapped_column(SmallInteger)
    opened_at: Mapped[datetime] = mapped_column(Instant)
    #: While it waits to be allowed: when the question lapses.
    expires_at: Mapped[datetime] = mapped_column(Instant)
    #: None: the tenant was asked and has not answered.
    allowed_at: Mapped[datetime | None] = mapped_column(Instant)
    #: None: the tenant lets operators in without being asked.
    allowed_by: Mapped[str | None] = mapped_column(Text)
    #: Of the link, until it is used; of the session that began then.
    link_hash: Mapped[bytes | None] = mapped_column(LargeBinary)
    session_hash: Mapped[bytes | None] = mapped_column(LargeBinary)
    entered_at: Mapped[datetime | None] = mapped_column(Instant)
    ended_at: Mapped[datetime | None] = mapped_column(Instant)
    ended_by: Mapped[str | None] = mapped_column(Text)


class OperatorRule(Base):
    """Whether operators have to ask first; without a row they need not."""

    __tablename__ = "operator_rules"
    __table_args__ = {"schema": "tenancy", "info": {"citus": "distributed"}}

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    needs_consent: Mapped[bool] = mapped_column(Boolean)
    changed_at: Mapped[datetime] = mapped_column(Instant)
    changed_by: Mapped[str] = mapped_column(Text)
