"""People who were sent to a vendor's consent page, and may come back."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, LargeBinary, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from assay_tenants import sealing
from assay_tenants.database import Base
from assay_tenants.models import Instant

#: What an attempt's secrets are sealed for, each for its own row.
PURPOSE = "connect attempt"


class ConnectAttempt(Base):
    """One way there and back; the row goes when it is taken, whatever comes of it."""

    __tablename__ = "connect_attempts"
    __table_args__ = {"schema": "tenancy", "info": {"citus": "distributed"}}

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    state_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    plugin: Mapped[str] = mapped_column(Text)
    #: Who began it; nobody else can end it.
    person_id: Mapped[int] = mapped_column(BigInteger)
    #: Which connection is to be connected again; None: whichever the account turns out to be.
    connection_id: Mapped[int | None] = mapped_column(BigInteger)
    name: Mapped[str] = mapped_column(Text)
    settings: Mapped[dict[str, Any]] = mapped_column(JSONB)
    #: A JSON object: the PKCE verifier, the redirect address, and what was filled in as a secret.
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(Instant)
    expires_at: Mapped[datetime] = mapped_column(Instant)


sealing.register(
    sealing.SealedColumn(
        "tenancy.connect_attempts", "sealed", purpose=PURPOSE, key=("state_hash",), row=("state_hash",)
    )
)
