"""Rows of one import, on their way to become leads and events."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from assay.intake.imports.errors import RowRefused
from assay.intake.imports.event_frames import EventFrame
from assay.intake.imports.models import Import
from assay_sdk import CoreRecord


@dataclass
class Batch:
    """Rows of one import, and where they end."""

    row: Import
    #: By row number; a row is here or in ``frame``.
    records: dict[int, list[CoreRecord]] = field(default_factory=dict)
    #: Events that are surely good.
    frame: EventFrame | None = None
    refused: dict[int, RowRefused] = field(default_factory=dict)
    #: Number of the last row, as a spreadsheet counts.
    number: int = 0
    rows: int = 0
    position: int = 0
    is_last: bool = False
    failure: str | None = None
    #: Nobody else waits, so it may be a long one.
    alone: bool = True
    #: What a check counted in it.
    counts: dict[str, int] = field(default_factory=dict)
    #: Rows as they were: cells, a line as text or as UTF-8, or an object of plain values.
    originals: dict[int, Any] = field(default_factory=dict)
    #: Finds the original of a row that is not among them.
    look_up: Callable[[int], Any] | None = None
    #: Rows of which nothing may be kept.
    unkept: set[int] = field(default_factory=set)

    def count(self, original: object) -> None:
        """Another row, whose number is ``number``."""
        self.rows += 1
        if original is not None:
            self.originals[self.number] = original

    def take(self, read: Callable[[], list[CoreRecord]]) -> None:
        """The records of the row whose number is ``number``, or why it has none."""
        try:
            self.records[self.number] = read()
        except RowRefused as refused:
            self.refused[self.number] = refused

    def refuse(self, number: int, reason: str, *, column: str | None) -> None:
        """For a row whose records turn out to be no good."""
        self.records.pop(number, None)
        self.refused[number] = RowRefused(reason, column=column)

    def original(self, number: int) -> str | None:
        """JSON of the row as it was; a line stays as it is."""
        if number in self.unkept:
            return None
        original = self.originals.get(number)
        if original is None and self.look_up is not None:
            original = self.look_up(number)
        if original is None:
            return None
        if isinstance(original, bytes):
            original = original.decode("utf-8", "replace")
        return original.strip() if isinstance(original, str) else json.dumps(original)
