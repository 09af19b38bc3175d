"""What each step of an erasure works with."""

import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from sqlalchemy import CursorResult, text
from sqlalchemy.orm import Session

from assay.privacy.needles import Needles
from assay.privacy.service import unpacked
from assay.profiles.erasing.models import Erasure
from assay.profiles.matching import Key


@dataclass
class Erasing:
    """One batch of one person's erasure; what it changes is part of the transaction."""

    session: Session
    row: Erasure
    #: Where the step is; None at its beginning, and once it is at its end.
    place: Any = None
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def tenant_id(self) -> int:
        return self.row.tenant_id

    @cached_property
    def keys(self) -> frozenset[Key]:
        return unpacked(self.row)

    @cached_property
    def needles(self) -> Needles:
        return Needles(self.keys)

    def count(self, table: str, rows: int) -> None:
        if rows:
            self.counts[table] = self.counts.get(table, 0) + rows

    def run(self, table: str, statement: str, **asked: Any) -> int:
        """A statement that changes rows of a table; tells how many."""
        given = {
            "tenant_id": self.tenant_id,
            "leads": list(self.row.lead_ids),
            "ids": list(self.row.identity_ids),
            **asked,
        }
        wanted = {name: value for name, value in given.items() if f":{name}" in statement}
        result = self.session.execute(text(statement), wanted)
        rows = result.rowcount if isinstance(result, CursorResult) else 0
        self.count(table, rows)
        return rows

    def settle(self) -> None:
        """Writes down what this batch did."""
        counts = dict(self.row.counts)
        for table, rows in self.counts.items():
            counts[table] = counts.get(table, 0) + rows
        self.row.counts = counts
        self.row.place = None if self.place is None else json.dumps(self.place)
