"""What is kept out of sight, shown to somebody once: that is written down first."""

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import select

from assay.profiles.marks import Reveal, marks_of
from assay.profiles.queries import DetailedLead, LeadEvent, get_lead, timeline
from assay_tenants import audit
from assay_tenants.database import tenant_session

#: The newest events that are looked through.
MOST_EVENTS = 200
#: Of those who looked, told on the page.
MOST_TOLD = 20


@dataclass(frozen=True)
class Revealed:
    lead: DetailedLead
    #: Traits by name, and properties by event, newest first: those that are masked elsewhere, and no others.
    traits: dict[str, object]
    events: list[tuple[LeadEvent, dict[str, object]]]
    #: Who looked before, newest first.
    before: list[tuple[str, datetime]]


def reveal(tenant_id: int, lead_id: int, *, by: str) -> Revealed:
    marks = marks_of(tenant_id)
    lead = get_lead(tenant_id, lead_id, revealed=True)
    happened = timeline(tenant_id, lead_id, limit=MOST_EVENTS, revealed=True).items
    traits = {name: value for name, value in sorted(lead.traits.items()) if marks.hides(name)}
    events = [
        (event, hidden)
        for event in happened
        if (hidden := {name: value for name, value in sorted(event.properties.items()) if marks.hides(name)})
    ]
    names = sorted({*traits, *(name for _, hidden in events for name in hidden)})
    with tenant_session(tenant_id) as session:
        before = session.execute(
            select(Reveal.by, Reveal.at)
            .where(Reveal.tenant_id == tenant_id, Reveal.lead_id == lead.id)
            .order_by(Reveal.id.desc())
            .limit(MOST_TOLD)
        ).all()
        if names:
            session.add(Reveal(tenant_id=tenant_id, lead_id=lead.id, names=names, by=by, at=datetime.now(UTC)))
            audit.record(session, tenant_id, "lead.revealed", lead.id, after={"fields": names})
    return Revealed(lead, traits, events, [(row.by, row.at) for row in before])
