"""Events of an import as columns: rows that are surely good, checked all at once instead of one by one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from assay_sdk import Event, Identifiers

if TYPE_CHECKING:
    import polars as pl

#: Begins the name of a column with a vendor's ids of the people, such as ``vendor:hubspot``.
VENDOR = "vendor:"
#: Every frame has these, in this order, then its vendors' columns; all texts but the first and ``occurred_at``.
COLUMNS = (
    "row_number",  # Int64: as a spreadsheet counts
    "user_id",  # null when the row does not say it; never empty; as the file has it, without blanks around it
    "email",
    "anonymous_id",
    "type",
    "occurred_at",  # Int64: microseconds since 1970, UTC
    "sender_id",  # never null: rows without an id of their own have their fingerprint
    "event_id",  # 32 hexadecimal digits, as ``normalise.event_id(source_id, sender_id).hex``
    "properties",  # JSON, byte for byte as ``profiles.merging.canonical`` writes it
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class EventFrame:
    """Rows for which ``normalise.find_fault`` finds nothing, each of which names somebody.

    Neither ``event_id`` nor ``sender_id`` need be unique: a file may state an event twice.
    """

    rows: pl.DataFrame

    def __len__(self) -> int:
        return self.rows.height

    @property
    def vendors(self) -> list[str]:
        """Columns with vendors' ids."""
        return [name for name in self.rows.columns if name.startswith(VENDOR)]

    def events(self) -> Iterator[tuple[int, Event]]:
        """The same rows as records, by row number."""
        vendors = self.vendors
        for row in self.rows.iter_rows(named=True):
            ids = Identifiers(
                user_id=row["user_id"],
                email=row["email"],
                anonymous_id=row["anonymous_id"],
                vendor={name.removeprefix(VENDOR): row[name] for name in vendors if row[name] is not None},
            )
            at = _EPOCH + timedelta(microseconds=row["occurred_at"])
            properties = msgspec.json.decode(row["properties"])
            yield row["row_number"], Event(ids, row["type"], properties, at, sender_id=row["sender_id"])
