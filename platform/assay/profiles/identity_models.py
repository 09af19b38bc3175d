"""What is on record of who is whom: merges, what people decided, and the values that join nobody."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, Boolean, ForeignKeyConstraint, Identity, Index, Text, UniqueConstraint, Uuid
from sqlalchemy import text as sql
from sqlalchemy.orm import Mapped, mapped_column

from assay.profiles.models import DISTRIBUTED, Instant
from assay_tenants.database import Base


class Merge(Base):
    """Two leads turned out to be one, by the link between two of their identities."""

    __tablename__ = "merges"
    __table_args__ = (
        Index("merges_of_people", "tenant_id", sql("id DESC"), postgresql_where=sql("NOT visitor")),
        Index("merges_by_gone", "tenant_id", "gone_id", "id"),
        Index("merges_by_kept", "tenant_id", "kept_id", "id"),
        DISTRIBUTED,
    )

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    at: Mapped[datetime] = mapped_column(Instant)
    kept_id: Mapped[int] = mapped_column(BigInteger)
    gone_id: Mapped[int] = mapped_column(BigInteger)
    kept_identity_id: Mapped[int] = mapped_column(BigInteger)
    gone_identity_id: Mapped[int] = mapped_column(BigInteger)
    #: When the two came together, as their sender dates it.
    since: Mapped[datetime] = mapped_column(Instant)
    source_id: Mapped[int | None] = mapped_column(BigInteger)
    message_id: Mapped[UUID | None] = mapped_column(Uuid)
    #: 0: it came by itself.
    import_id: Mapped[int] = mapped_column(BigInteger)
    #: Of the person who joined them; None when a record did.
    decision_id: Mapped[int | None] = mapped_column(BigInteger)
    #: One of the two was a device alone.
    visitor: Mapped[bool] = mapped_column(Boolean)
    #: The identities that went over.
    moved: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))
    #: The decision that told them apart again.
    undone_by: Mapped[int | None] = mapped_column(BigInteger)


class Decision(Base):
    """A person said that two are one, or that one is two."""

    __tablename__ = "decisions"
    __table_args__ = DISTRIBUTED

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    apart: Mapped[bool] = mapped_column(Boolean)
    at: Mapped[datetime] = mapped_column(Instant)
    by: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    #: The lead it was said of, and the other one: joined to it, or what went apart.
    lead_id: Mapped[int] = mapped_column(BigInteger)
    other_id: Mapped[int] = mapped_column(BigInteger)
    #: The merge that it undoes.
    merge_id: Mapped[int | None] = mapped_column(BigInteger)
    withdrawn_at: Mapped[datetime | None] = mapped_column(Instant)
    withdrawn_by: Mapped[str | None] = mapped_column(Text)


class DecidedPair(Base):
    """What a decision that still holds says of two identities; ``left_id`` is the smaller id."""

    __tablename__ = "decided_pairs"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "decision_id"], ["profiles.decisions.tenant_id", "profiles.decisions.id"]),
        Index("decided_pairs_by_right", "tenant_id", "right_id"),
        Index("decided_pairs_by_decision", "tenant_id", "decision_id"),
        DISTRIBUTED,
    )

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    left_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    right_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    decision_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    apart: Mapped[bool] = mapped_column(Boolean)


class Crowded(Base):
    """An identity that came together with more others of one kind than the limit."""

    __tablename__ = "crowded"
    __table_args__ = DISTRIBUTED

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    identity_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    known_at: Mapped[datetime] = mapped_column(Instant)
    of_kind: Mapped[str] = mapped_column(Text)


class ValueRule(Base):
    """What a person said of a value: that it never joins anybody, or that it does whatever the limit."""

    __tablename__ = "value_rules"
    __table_args__ = (UniqueConstraint("tenant_id", "kind", "value"), DISTRIBUTED)

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    value: Mapped[str] = mapped_column(Text)
    blocked: Mapped[bool] = mapped_column(Boolean)
    at: Mapped[datetime] = mapped_column(Instant)
    by: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
