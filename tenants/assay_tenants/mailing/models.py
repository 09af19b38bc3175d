from datetime import datetime
from typing import Literal

from sqlalchemy import BigInteger, DateTime, Identity, Integer, Text
from sqlalchemy.orm import Mapped, mapped_column

from assay_tenants.database import Base

#: ``shown``: nothing is configured that would send it, so it lies on the outbox page.
MailState = Literal["waiting", "sent", "shown", "given_up"]


class Mail(Base):
    """A mail of a tenant, or of none (0) where a person is written to for their own sake."""

    __tablename__ = "mails"
    __table_args__ = {"schema": "tenancy", "info": {"citus": "local"}}

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    recipient: Mapped[str] = mapped_column(Text)
    subject: Mapped[str] = mapped_column(Text)
    #: Empty once it was delivered or given up: links in it open accounts.
    body: Mapped[str] = mapped_column(Text)
    state: Mapped[MailState] = mapped_column(Text, server_default="waiting")
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    #: When it is to be tried next.
    due_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    attempts: Mapped[int] = mapped_column(Integer, server_default="0")
    #: When it was delivered, shown or given up.
    ended_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    error: Mapped[str] = mapped_column(Text, server_default="")
