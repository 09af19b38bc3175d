"""How fast a file is being read, and how long it will still take."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from assay.intake.imports.models import Import

_SINCE = ("since", "since_rows", "since_bytes")
#: What is found out while reading; the rest was found out while receiving.
_OF_READING = (*_SINCE, "number", "originals")
#: How the file was cut; it may be cut otherwise the next time.
_OF_CUTTING = ("columns", "delimiter")
_LEAST_SECONDS = 1.0


@dataclass(frozen=True)
class Pace:
    rows_per_second: int
    seconds_left: int


def note(row: Import, reading: dict[str, Any]) -> None:
    """Called before each batch is counted; remembers where this stretch of reading began."""
    if "since" not in reading:
        now = datetime.now(UTC).isoformat()
        reading |= {"since": now, "since_rows": row.rows_read, "since_bytes": row.bytes_read}


def rested(reading: Mapping[str, Any]) -> dict[str, Any]:
    """After a pause another stretch begins."""
    return {name: value for name, value in reading.items() if name not in _SINCE}


def without(reading: Mapping[str, Any]) -> dict[str, Any]:
    """As it was before anything was read."""
    # What a sample was taken by stays.
    gone = _OF_READING if "sample" in reading else _OF_READING + _OF_CUTTING
    return {name: value for name, value in reading.items() if name not in gone}


def pace(row: Import, *, now: datetime) -> Pace | None:
    """None before it can be told."""
    reading = row.options["reading"]
    if row.state not in ("waiting", "checking") or "since" not in reading:
        return None
    seconds = (now - datetime.fromisoformat(reading["since"])).total_seconds()
    read = row.bytes_read - reading["since_bytes"]
    if seconds < _LEAST_SECONDS or read <= 0:
        return None
    left = (row.bytes_total - row.bytes_read) * seconds / read
    return Pace(round((row.rows_read - reading["since_rows"]) / seconds), max(0, round(left)))
