"""Choices about a file, as a person reads them."""

from collections.abc import Mapping
from typing import Any

from assay.intake.imports.mapping import OF_KIND, As
from assay.intake.imports.models import Kind
from assay_sdk import Company, Event, Identifiers, Identify, Record

ROLES: dict[As, str] = {
    "user_id": "Your own id of the person",
    "email": "E-mail address",
    "anonymous_id": "Id of a browser or device",
    "vendor_id": "Another system's id of the person",
    "time": "Time",
    "type": "Type of the event",
    "message_id": "Id of the event",
    "company_id": "Id or domain of the company",
    "trait": "Trait",
    "company_trait": "Trait of the company",
    "property": "Property",
    "ignore": "Leave out",
}
DATES = (
    ("iso", "2026-05-31 14:00 (ISO 8601)"),
    ("dmy", "31/05/2026: day first"),
    ("mdy", "05/31/2026: month first"),
    ("ymd", "2026/05/31: year first"),
    ("epoch_s", "Seconds since 1970"),
    ("epoch_ms", "Milliseconds since 1970"),
    ("epoch_us", "Microseconds since 1970"),
)
NUMBERS = (("point", "1,234.5: decimal point"), ("comma", "1.234,5: decimal comma"))
DELIMITERS = (("", "Find out"), (",", "Comma"), (";", "Semicolon"), ("tab", "Tab"), ("|", "Bar"))
ENCODINGS = (
    ("", "Find out"),
    ("utf-8", "UTF-8"),
    ("windows-1252", "Windows-1252 (Western Europe)"),
    ("windows-1250", "Windows-1250 (Romanian, Central Europe)"),
    ("windows-1258", "Windows-1258 (Vietnamese)"),
    ("gb18030", "GB 18030 (Chinese)"),
)
ZONES = (
    "UTC", "Europe/London", "Europe/Berlin", "Europe/Zurich", "Europe/Bucharest", "Asia/Ho_Chi_Minh", "Asia/Shanghai",
    "Asia/Singapore", "Asia/Tokyo", "Asia/Kolkata", "Australia/Sydney", "America/New_York", "America/Chicago",
    "America/Los_Angeles", "America/Sao_Paulo",
)  # fmt: skip


def roles(kind: Kind) -> list[tuple[As, str]]:
    return [(as_, ROLES[as_]) for as_ in OF_KIND[kind]]


def duration(seconds: int) -> str:
    """About how long that is."""
    if seconds < 60:
        return f"{max(seconds, 1)} s"
    if seconds < 3600:
        return f"{round(seconds / 60)} min"
    return f"{seconds // 3600} h {seconds % 3600 // 60} min"


def told_ids(ids: Identifiers) -> list[tuple[str, str]]:
    """Each with the word for its kind; a vendor's with the vendor's name."""
    told = {"id": ids.user_id, "e-mail": ids.email, "device": ids.anonymous_id, **ids.vendor}
    return [(kind, value) for kind, value in told.items() if value is not None]


def told_values(record: Record) -> list[tuple[str, Any]]:
    """Traits or properties; a company's under its own prefix."""
    values: Mapping[str, Any] = {}
    prefix = ""
    if isinstance(record, Event):
        values = record.properties
    elif isinstance(record, Company):
        values, prefix = {"id": record.company_id, **record.traits}, "company."
    elif isinstance(record, Identify):
        values = record.traits
    return [(prefix + name, value) for name, value in values.items()]
