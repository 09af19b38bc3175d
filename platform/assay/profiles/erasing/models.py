"""Erasures with their certificates, and the tombstones they leave: keyed hashes of identifiers."""

from datetime import datetime
from typing import Any, Literal

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from assay.profiles.models import DISTRIBUTED, Instant
from assay_tenants import sealing
from assay_tenants.database import Base
from assay_tenants.sealing import SealedColumn

#: What the key of a tenant's tombstones is sealed for, and what the identifiers are while they are being erased.
KEY_PURPOSE = "erasure key"
PERSON_PURPOSE = "erasure"

State = Literal[
    "waiting",  # to be begun
    "running",
    "done",  # and nothing was found by looking through all tables
    "incomplete",  # something names the person still: ``found`` says where
]

sealing.register(SealedColumn("profiles.erasure_keys", "sealed", purpose=KEY_PURPOSE, key=("id",)))
sealing.register(SealedColumn("profiles.erasures", "sealed", purpose=PERSON_PURPOSE, key=("id",)))


class ErasureKey(Base):
    """The tenant's own key of its tombstones, drawn with the first erasure."""

    __tablename__ = "erasure_keys"
    __table_args__ = DISTRIBUTED

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False, server_default=text("1"))
    sealed: Mapped[bytes] = mapped_column(LargeBinary)


class Erasure(Base):
    """One person's erasure, and in the end its certificate: ids, counts and hashes, nothing of the person."""

    __tablename__ = "erasures"
    __table_args__ = (
        Index("erasures_due", "tenant_id", "due_at", postgresql_where=text("due_at IS NOT NULL")),
        DISTRIBUTED,
    )

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    #: None where the person was named by identifiers that no lead has.
    lead_id: Mapped[int | None] = mapped_column(BigInteger)
    state: Mapped[State] = mapped_column(Text)
    #: What is done next, and where in it; JSON. Gone once it is over.
    step: Mapped[str] = mapped_column(Text)
    place: Mapped[str | None] = mapped_column(Text)
    due_at: Mapped[datetime | None] = mapped_column(Instant)
    requested_at: Mapped[datetime] = mapped_column(Instant)
    requested_by: Mapped[str] = mapped_column(Text)
    #: From here on nothing of the person is taken in.
    started_at: Mapped[datetime | None] = mapped_column(Instant)
    erased_at: Mapped[datetime | None] = mapped_column(Instant)
    verified_at: Mapped[datetime | None] = mapped_column(Instant)
    #: The person's identifiers, as long as they have to be looked for.
    sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    #: The lead and those that were merged into it; identities that were theirs.
    lead_ids: Mapped[list[int]] = mapped_column(ARRAY(BigInteger), server_default=text("'{}'"))
    identity_ids: Mapped[list[int]] = mapped_column(ARRAY(BigInteger), server_default=text("'{}'"))
    #: How many, and a keyed hash of all of them.
    identifiers: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    fingerprint: Mapped[bytes | None] = mapped_column(LargeBinary)
    #: Rows by table.
    counts: Mapped[dict[str, int]] = mapped_column(JSONB, server_default=text("'{}'::jsonb"))
    #: Where the last look through all tables found something.
    found: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default=text("'[]'::jsonb"))
    #: Rows that it looked through, by table; None: the application's own role can't read it.
    scanned: Mapped[dict[str, int | None]] = mapped_column(JSONB, server_default=text("'{}'::jsonb"))
    #: Records of this person that came since.
    turned_away: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    lifted_at: Mapped[datetime | None] = mapped_column(Instant)
    lifted_by: Mapped[str | None] = mapped_column(Text)


class Tombstone(Base):
    """An identifier of somebody who was erased, as a keyed hash."""

    __tablename__ = "tombstones"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "erasure_id"], ["profiles.erasures.tenant_id", "profiles.erasures.id"]),
        Index("tombstones_by_erasure", "tenant_id", "erasure_id"),
        DISTRIBUTED,
    )

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    erasure_id: Mapped[int] = mapped_column(BigInteger)
