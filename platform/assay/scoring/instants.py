"""The instants at which a score may be asked for."""

from datetime import UTC, datetime

from assay_tenants.errors import BadInput

EARLIEST = datetime(1970, 1, 2, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)


def checked(instant: datetime, field: str) -> datetime:
    """The instant in UTC; raises BadInput where the calendar, or what can be reckoned with, ends."""
    try:
        found = instant.astimezone(UTC)
    except OverflowError:
        found = None
    if found is None or not EARLIEST <= found <= LATEST:
        raise BadInput(f"An instant between {EARLIEST:%Y-%m-%d} and {LATEST:%Y-%m-%d} is accepted.", field=field)
    return found
