"""What is known of a connection at work, of its streams, and of records that have yet to be fetched."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKeyConstraint, Integer, LargeBinary, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from assay_tenants import sealing
from assay_tenants.database import Base
from assay_tenants.models import Instant

DISTRIBUTED = {"schema": "intake", "info": {"citus": "distributed"}}
_OF_LINK = ["intake.links.tenant_id", "intake.links.connection_id"]
_ZERO, _EMPTY = text("0"), text("''")

#: In SQL, of a link: nothing is known against its vendor.
BLAMELESS = "failures = 0, open_until = NULL, failing_since = NULL, told_at = NULL, error = '', error_at = NULL"
#: What is learned from a notice, and not yet known to be true, is sealed for.
LEARNED = "learned"


class LinkRow(Base):
    """A connection at work. Its name, state and secrets are those of the tenant's connection of this id."""

    __tablename__ = "links"
    __table_args__ = DISTRIBUTED

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    connection_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    plugin: Mapped[str] = mapped_column(Text)
    account: Mapped[str] = mapped_column(Text)
    #: Whose messages its own are.
    source_id: Mapped[int] = mapped_column(BigInteger)
    #: The plugin's own, without secrets.
    notes: Mapped[dict[str, Any]] = mapped_column(JSONB)
    paused_at: Mapped[datetime | None] = mapped_column(Instant)
    #: How often in a row the vendor failed, and until when it is left alone for that.
    failures: Mapped[int] = mapped_column(Integer, server_default=_ZERO)
    open_until: Mapped[datetime | None] = mapped_column(Instant)
    failing_since: Mapped[datetime | None] = mapped_column(Instant)
    #: When its people were told of it; None: not yet, or it is over.
    told_at: Mapped[datetime | None] = mapped_column(Instant)
    error: Mapped[str] = mapped_column(Text, server_default=_EMPTY)
    error_at: Mapped[datetime | None] = mapped_column(Instant)
    subscribed_at: Mapped[datetime | None] = mapped_column(Instant)
    subscribe_error: Mapped[str] = mapped_column(Text, server_default=_EMPTY)
    last_hook_at: Mapped[datetime | None] = mapped_column(Instant)
    #: Sealed: what a notice brought along, to be confirmed.
    learned: Mapped[bytes | None] = mapped_column(LargeBinary)
    #: When the subscription is looked after next, or what was learned is confirmed.
    due_at: Mapped[datetime | None] = mapped_column(Instant)
    leased_until: Mapped[datetime | None] = mapped_column(Instant)
    created_at: Mapped[datetime] = mapped_column(Instant)


class StreamRow(Base):
    """Where one stream of a connection stands."""

    __tablename__ = "streams"
    __table_args__ = (ForeignKeyConstraint(["tenant_id", "connection_id"], _OF_LINK, ondelete="CASCADE"), DISTRIBUTED)

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    connection_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(Text, primary_key=True)
    #: The plugin's own; None: nothing was loaded yet.
    cursor: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    #: When the first load was done; None: it is under way.
    loaded_at: Mapped[datetime | None] = mapped_column(Instant)
    records: Mapped[int] = mapped_column(BigInteger, server_default=_ZERO)
    #: How many the first load holds, if the vendor said so.
    total: Mapped[int | None] = mapped_column(BigInteger)
    #: Until when everything of it is known.
    newest_at: Mapped[datetime | None] = mapped_column(Instant)
    last_run_at: Mapped[datetime | None] = mapped_column(Instant)
    last_success_at: Mapped[datetime | None] = mapped_column(Instant)
    error: Mapped[str] = mapped_column(Text, server_default=_EMPTY)
    failures: Mapped[int] = mapped_column(Integer, server_default=_ZERO)
    #: None: paused, or its scope was not granted.
    due_at: Mapped[datetime | None] = mapped_column(Instant)
    leased_until: Mapped[datetime | None] = mapped_column(Instant)


class Wanted(Base):
    """A record that a notice named; dead when ``due_at`` is None."""

    __tablename__ = "wanted"
    __table_args__ = (ForeignKeyConstraint(["tenant_id", "connection_id"], _OF_LINK, ondelete="CASCADE"), DISTRIBUTED)

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    connection_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(Text, primary_key=True)
    record_id: Mapped[str] = mapped_column(Text, primary_key=True)
    #: Grows when it is named again: what was fetched before then is not all there is.
    asked: Mapped[int] = mapped_column(Integer, server_default=text("1"))
    attempts: Mapped[int] = mapped_column(Integer, server_default=_ZERO)
    error: Mapped[str] = mapped_column(Text, server_default=_EMPTY)
    due_at: Mapped[datetime | None] = mapped_column(Instant)
    leased_until: Mapped[datetime | None] = mapped_column(Instant)


sealing.register(
    sealing.SealedColumn("intake.links", "learned", purpose=LEARNED, key=("connection_id",), row=("connection_id",))
)
