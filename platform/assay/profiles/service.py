"""Records find their lead. The result depends on the set of all records, not on their order, number or batches."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from assay.normalise import Normalised
from assay.profiles import companies, events, identities, leads, people
from assay.profiles.gathering import gather
from assay.profiles.matching import Key

#: Runs in the transaction that changed the leads; some of them may be gone: merged into others.
LeadsChangedAction = Callable[[Session, int, Collection[int]], None]

_actions: list[LeadsChangedAction] = []

# Two batches of one tenant could each find half of a person, and neither join them.
_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended('assay.profiles', :tenant_id))")
# A plan made while a tenant was small compares all rows with all; planning anew costs little beside a batch.
_PLAN = text("SET LOCAL plan_cache_mode = force_custom_plan")


def on_leads_changed(action: LeadsChangedAction) -> LeadsChangedAction:
    """``action(session, tenant_id, lead_ids)`` becomes part of every transaction that changes leads; a decorator."""
    if action not in _actions:
        _actions.append(action)
    return action


def apply(session: Session, tenant_id: int, records: Sequence[Normalised]) -> set[int]:
    """Gives the leads with news, and those that were merged into others; tells them to ``on_leads_changed`` too."""
    found = gather(records)
    if not found.sights and not found.companies:
        return set()
    session.execute(_LOCK, {"tenant_id": tenant_id})
    session.execute(_PLAN)
    kept = companies.keep(session, tenant_id, found)
    known = identities.find(session, tenant_id, found.sights.keys())
    placement = identities.place(session, tenant_id, found, known)
    folk = people.keep(session, tenant_id, found, known=known, placement=placement, companies=kept.by_key)
    identities.keep_links(session, tenant_id, _links(placement, folk.places))
    changed = folk.changed | events.keep(session, tenant_id, found.events, folk.places)
    stale = folk.stale | leads.of_companies(session, tenant_id, kept.renamed)
    changed |= leads.refold(session, tenant_id, stale)
    sights = {lead_id: sight for lead_id, sight in folk.sights.items() if lead_id not in stale}
    changed |= leads.see(session, tenant_id, sights)
    changed |= leads.of_companies(session, tenant_id, kept.changed)
    if changed:
        for action in _actions:
            action(session, tenant_id, changed)
    return changed


def _links(placement: identities.Placement, places: Mapping[Key, events.Place]) -> Iterator[tuple[int, int, datetime]]:
    for (one, other), since in placement.news.items():
        yield places[one][0], places[other][0], since
