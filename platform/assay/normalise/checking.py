"""What a record may hold. One that holds anything else becomes a dead letter, and its neighbours go on.

The whole record is refused rather than the one value dropped: a score must not rest on half of what was said.
"""

import math
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from assay_sdk import Alias, Company, CoreRecord, Event, Identifiers
from assay_sdk.reading import Fault

MAX_AHEAD = timedelta(hours=24)
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
# Twice an event's: flat names repeat those they were nested in.
MAX_SIZE = 64 * 1024
MAX_DEPTH = 16
# As many as are kept of one lead.
MAX_TRAITS = 1_000
# An index holds at most 2,700 bytes a row, and a letter may take four.
MAX_IDENTIFIER = 512
MAX_TYPE = 200
MAX_SENDER_ID = 200
#: Begins the types of facts that we state ourselves, such as a person's judgement of a lead.
OURS = "assay."
# Whatever else stands there, such as «none» or a dash, would make one person of all who share it.
ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")
_SMALLEST, _LARGEST = -(2**63), 2**64 - 1


def find_fault(record: CoreRecord, *, received_at: datetime) -> Fault | None:
    """Why this record can't be kept; None when it can."""
    return _fault_of_instant(record.at, received_at) or _fault_of_names(record) or _fault_of_content(record)


def _fault_of_instant(at: datetime, received_at: datetime) -> Fault | None:
    if at.utcoffset() is None:
        return Fault("at", "The instant has no time zone.")
    if at > received_at + MAX_AHEAD:
        return Fault(
            "timestamp",
            f"{at.isoformat()} is more than 24 hours ahead of the message's receipt at {received_at.isoformat()}.",
        )
    if at < EARLIEST:
        return Fault("timestamp", f"{at.isoformat()} is before 1970.")
    return None


def _fault_of_names(record: CoreRecord) -> Fault | None:
    if isinstance(record, Company):
        if not record.company_id:
            return Fault("company_id", "The company has no id.")
        named = {"company_id": record.company_id, "vendor": record.vendor, "domain": record.domain}
        faults = (_fault_of_text(name, text, MAX_IDENTIFIER) for name, text in named.items() if text)
        return _fault_of_identifiers(record.ids) or next(filter(None, faults), None)
    if not record.ids:
        return Fault("ids", "The record names nobody.")
    fault = _fault_of_identifiers(record.ids)
    if isinstance(record, Alias):
        if not record.previous:
            return Fault("previous", "The record does not say who it was before.")
        fault = fault or _fault_of_identifiers(record.previous)
    if isinstance(record, Event):
        fault = fault or _fault_of_text("type", record.type, MAX_TYPE)
        fault = fault or _fault_of_text("sender_id", record.sender_id, MAX_SENDER_ID)
        if record.type.startswith(OURS):
            fault = fault or Fault("type", f"Only Assay states events of types beginning with {OURS}; rename it.")
    return fault


def _fault_of_identifiers(ids: Identifiers) -> Fault | None:
    named = {"user_id": ids.user_id, "email": ids.email, "anonymous_id": ids.anonymous_id, **ids.vendor}
    for name, value in named.items():
        if value is not None and (fault := _fault_of_text(name, value, MAX_IDENTIFIER)):
            return fault
    if ids.email is not None and not ADDRESS.fullmatch(ids.email.strip()):
        return Fault("email", f"email must be an address such as ada@example.com, not {ids.email[:60]!r}.")
    return None


def _fault_of_text(name: str, text: str, most: int) -> Fault | None:
    if len(text) > most:
        return Fault(name, f"{name} has {len(text):,} characters; at most {most} are accepted.")
    wrong = _wrong_with_text(text)
    return Fault(name, f"{name} {wrong}.") if wrong else None


def _fault_of_content(record: CoreRecord) -> Fault | None:
    if isinstance(record, Alias):
        return None
    kind, content = ("properties", record.properties) if isinstance(record, Event) else ("traits", record.traits)
    if kind == "traits" and len(content) > MAX_TRAITS:
        return Fault(kind, f"There are {len(content):,} traits; at most {MAX_TRAITS:,} are accepted of one record.")
    measure = _Measure()
    for name, value in content.items():
        wrong = measure.wrong_with(name) or measure.wrong_with(value)
        if wrong:
            return Fault(f"{kind}.{name}"[:200], f"{kind}.{name[:100]} {wrong}.")
    if measure.size > MAX_SIZE:
        return Fault(kind, f"The {kind} take {measure.size:,} bytes; at most {MAX_SIZE:,} (64 KB) are accepted.")
    return None


class _Measure:
    """Walks through values, adding up their size."""

    def __init__(self) -> None:
        self.size = 0

    def wrong_with(self, value: object, depth: int = 1) -> str | None:
        if isinstance(value, str):
            wrong = _wrong_with_text(value)
            self.size += len(value) if wrong or value.isascii() else len(value.encode())
            return wrong
        self.size += 8
        if value is None or isinstance(value, bool):
            return None
        if isinstance(value, int):
            return None if _SMALLEST <= value <= _LARGEST else "is a whole number beyond 64 bits; send it as text"
        if isinstance(value, float):
            return None if math.isfinite(value) else "is not a finite number"
        if depth > MAX_DEPTH:
            return f"is nested more than {MAX_DEPTH} levels deep"
        if isinstance(value, Mapping):
            inner: Iterable[object] = [part for pair in value.items() for part in pair]
        elif isinstance(value, list | tuple):
            inner = value
        else:
            return f"is of a type that can't be stored: {type(value).__name__}"
        return next((wrong for part in inner if (wrong := self.wrong_with(part, depth + 1))), None)


def _wrong_with_text(text: str) -> str | None:
    if "\0" in text:
        return "holds the character U+0000, which can't be stored"
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            return "holds bytes or half characters that are not Unicode text"
    return None
