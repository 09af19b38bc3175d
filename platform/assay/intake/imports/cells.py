"""What a cell says: text, a number, an instant."""

import re
from datetime import UTC, datetime

from assay.intake.imports.errors import RowRefused

_WHOLE = re.compile(r"-?[1-9][0-9]{0,17}|0")
_DECIMAL = re.compile(r"-?[0-9]{1,15}\.[0-9]{1,15}")


def cell_value(text: str) -> str | int | float:
    """A number where the number, written out, is this text again: 007, 1e5 and 1.10 stay text, 1.0 is a number."""
    if _WHOLE.fullmatch(text):
        return int(text)
    if _DECIMAL.fullmatch(text) and repr(float(text)) == text:
        return float(text)
    return text


def parse_instant(text: str, *, column: str) -> datetime:
    """ISO 8601; without a time zone it is UTC, without a time of day it is midnight."""
    try:
        instant = datetime.fromisoformat(text)
        return instant.astimezone(UTC) if instant.tzinfo else instant.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise RowRefused(
            f"{text[:60]!r} is no date and time. Accepted is ISO 8601, such as 2026-05-31T14:00:00Z or 2026-05-31.",
            column=column,
        ) from None
