from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, DateTime, LargeBinary, Text
from sqlalchemy.orm import Mapped, mapped_column

from assay_tenants.context import ActorKind
from assay_tenants.database import Base


class AuditEntry(Base):
    """One thing that was done. The tenant's entries are numbered without gaps, and each seals the one before."""

    __tablename__ = "audit_log"
    __table_args__ = {"schema": "tenancy", "info": {"citus": "distributed"}}

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    #: When its transaction was about to commit; never earlier than the entry before.
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    actor_kind: Mapped[ActorKind] = mapped_column(Text)
    actor_id: Mapped[str] = mapped_column(Text)
    actor_name: Mapped[str] = mapped_column(Text)
    address: Mapped[str] = mapped_column(Text)
    door: Mapped[str] = mapped_column(Text)
    request_id: Mapped[str] = mapped_column(Text)
    #: What happened, past tense: ``model.published``.
    action: Mapped[str] = mapped_column(Text)
    #: Which one of the kind that the action's first word names; empty where there is only one.
    subject: Mapped[str] = mapped_column(Text)
    before: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    after: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    #: SHA-256 over the hash of the entry before and all of the above.
    hash: Mapped[bytes] = mapped_column(LargeBinary)
