from datetime import datetime
from typing import Any, Literal

from sqlalchemy import BigInteger, Identity, Integer, LargeBinary, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from assay_tenants import sealing
from assay_tenants.database import Base
from assay_tenants.models import Instant

State = Literal["connected", "needs_reconnect", "disconnected"]

#: What credentials are sealed for, each for its own row.
PURPOSE = "connection"


class Connection(Base):
    """A tenant's account at another service."""

    __tablename__ = "connections"
    __table_args__ = {"schema": "tenancy", "info": {"citus": "distributed"}}

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    #: The name of the plugin that speaks with the service.
    plugin: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    state: Mapped[State] = mapped_column(Text)
    #: Which one it is there, in the service's own words: a portal's number, a workspace's address.
    account: Mapped[str] = mapped_column(Text)
    #: Whatever of the plugin's settings is no secret.
    settings: Mapped[dict[str, Any]] = mapped_column(JSONB)
    #: A sealed JSON object; None once disconnected.
    credentials: Mapped[bytes | None] = mapped_column(LargeBinary)
    #: Counts the credentials that it had, so that one who waited for others to renew them knows that they did.
    renewal: Mapped[int] = mapped_column(Integer)
    #: Of the credentials; None when they don't, or nobody knows.
    expires_at: Mapped[datetime | None] = mapped_column(Instant)
    #: Why it has to be connected anew, for a person; empty when it has not.
    error: Mapped[str] = mapped_column(Text)
    #: Counts the changes that people made.
    version: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[datetime] = mapped_column(Instant)
    updated_at: Mapped[datetime] = mapped_column(Instant)


sealing.register(sealing.SealedColumn("tenancy.connections", "credentials", purpose=PURPOSE, key=("id",), row=("id",)))
