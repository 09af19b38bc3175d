"""What would change a lead's score, of the version that is live."""

from datetime import UTC, datetime

from assay.scoring import instants, service
from assay.scoring.engine.changes import Outlook, outlook


def outlook_of(tenant_id: int, lead_id: int, name: str, *, at: datetime | None = None) -> Outlook:
    """From an instant on (default: now); raises what `service.read_scored` does."""
    instant = datetime.now(UTC) if at is None else instants.checked(at, "at")
    read = service.read_scored(tenant_id, lead_id, name)
    return outlook(read.model, read.leads, read.events, instant)
