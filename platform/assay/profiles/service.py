"""Records find their lead. The result depends on the set of all records, not on their order, number or batches."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import structlog
from sqlalchemy import text
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from assay.normalise import Normalised, event_id
from assay.profiles import companies, events, identities, knowing, leads, merges, people, resettling
from assay.profiles.gathering import Gathered, Happening, Origin, gather
from assay.profiles.matching import Key
from assay.profiles.merging import canonical
from assay_sdk import Value

#: Runs in the transaction that changed the leads; some of them may be gone: merged into others.
LeadsChangedAction = Callable[[Session, int, Collection[int]], None]

_actions: list[LeadsChangedAction] = []

log = structlog.get_logger()

#: Senders' sources count from 1.
OUR_SOURCE = 0

# A plan made while a tenant was small compares all rows with all; planning anew costs little beside a batch.
_PLAN = text("SET LOCAL plan_cache_mode = force_custom_plan")


class EventsToKeep(Protocol):
    def keep(
        self, session: Session, tenant_id: int, places: events.Places, known_at: datetime, *, import_id: int
    ) -> set[int]:
        """Gives the leads that have another set of events now."""


def on_leads_changed(action: LeadsChangedAction) -> LeadsChangedAction:
    """``action(session, tenant_id, lead_ids)`` becomes part of every transaction that changes leads; a decorator."""
    if action not in _actions:
        _actions.append(action)
    return action


def apply(session: Session, tenant_id: int, records: Sequence[Normalised], *, import_id: int = 0) -> set[int]:
    """Gives the leads with news, and those that were merged into others; tells them to ``on_leads_changed`` too."""
    found = gather(records, import_id=import_id)
    return apply_gathered(session, tenant_id, found, events.News(found.events))


def apply_gathered(session: Session, tenant_id: int, found: Gathered, news: EventsToKeep) -> set[int]:
    """As ``apply``, with the events of the batch in a form of their own."""
    if not found.sights and not found.companies:
        return set()
    # Also because two batches of one tenant could each find half of a person, and neither join them.
    known_at = knowing.learn(session, tenant_id)
    session.execute(_PLAN)
    kept = companies.keep(session, tenant_id, found, known_at)
    known = identities.find(session, tenant_id, found.sights.keys())
    placement = identities.place(session, tenant_id, found, known)
    folk = people.keep(
        session, tenant_id, found, known=known, placement=placement, companies=kept.by_key, known_at=known_at
    )
    import_id = found.import_id
    identities.keep_links(session, tenant_id, _links(placement, folk.places), import_id=import_id)
    changed = folk.changed | news.keep(session, tenant_id, folk.places, known_at, import_id=import_id)
    settled = resettling.follow(session, tenant_id, placement, folk.places, known_at)
    changed |= settled.changed
    stale = folk.stale | settled.stale | leads.of_companies(session, tenant_id, kept.renamed)
    changed |= leads.refold(session, tenant_id, stale, known_at)
    sights = {lead_id: sight for lead_id, sight in folk.sights.items() if lead_id not in stale}
    changed |= leads.see(session, tenant_id, sights, known_at)
    changed |= leads.of_companies(session, tenant_id, kept.changed)
    if changed:
        tell(session, tenant_id, changed)
    return changed


def tell(session: Session, tenant_id: int, lead_ids: Collection[int]) -> None:
    """Of leads that changed in this transaction, to ``on_leads_changed``."""
    for action in _actions:
        action(session, tenant_id, lead_ids)


def state(
    session: Session,
    tenant_id: int,
    lead_id: int,
    type_: str,
    properties: Mapping[str, Value],
    *,
    key: str,
    at: datetime,
) -> None:
    """Keeps a fact of our own about a lead as an event; stated again under its ``key``, it is the same one.

    It hangs on an identity, so that it goes wherever the lead's events go. The person did nothing: nobody was seen.
    """
    known_at = knowing.learn(session, tenant_id)
    found = identities.find_lasting(session, tenant_id, lead_id)
    if found is None:
        raise merges.gone(session, tenant_id, lead_id)
    identity_id, identity = found
    event = Happening(
        id=event_id(OUR_SOURCE, key),
        key=identity,
        type=type_,
        at=at,
        properties=canonical(dict(properties)),
        source_id=OUR_SOURCE,
        sender_id=key,
        message_id=None,
        received_at=at,
    )
    place = identity_id, lead_id
    changed = events.News({event.id: event}).keep(session, tenant_id, {identity: place}, known_at, import_id=0)
    if changed:
        tell(session, tenant_id, changed)


@dataclass
class Outcome:
    """What became of a batch: the leads with news, and the records that nothing could be done with, with the reason."""

    changed: set[int] = field(default_factory=set)
    refused: list[tuple[Normalised, str]] = field(default_factory=list)


def apply_each(session: Session, tenant_id: int, records: Sequence[Normalised], *, import_id: int = 0) -> Outcome:
    """Like ``apply``, but a record that makes it fail takes only itself along: its batch is halved until it is found.

    Raises what the database raises when it is away; and when not one of several records could be applied although the
    database refused none of them, the last error: then the mistake is ours, and the records wait for it to be mended.
    """
    changed, failed = _halved(session, tenant_id, records, import_id)
    if len(failed) == len(records) > 1 and not any(isinstance(error, DBAPIError) for _, error in failed):
        raise failed[-1][1]
    for record, error in failed:
        log.warning(
            "profiles.record_refused", tenant_id=tenant_id, message_id=str(record.message_id), reason=_reason(error)
        )
    return Outcome(changed, [(record, f"This could not be kept: {_reason(error)}") for record, error in failed])


def _halved(
    session: Session, tenant_id: int, records: Sequence[Normalised], import_id: int
) -> tuple[set[int], list[tuple[Normalised, Exception]]]:
    try:
        with session.begin_nested():
            return apply(session, tenant_id, records, import_id=import_id), []
    except PoolTimeout:
        raise
    except DBAPIError as error:
        if not isinstance(error, DataError | IntegrityError):
            raise
        cause: Exception = error
    except Exception as error:  # noqa: BLE001 # whatever a record does to us, its neighbours must go on
        cause = error
    if len(records) == 1:
        return set(), [(records[0], cause)]
    half = len(records) // 2
    one, other = (_halved(session, tenant_id, part, import_id) for part in (records[:half], records[half:]))
    return one[0] | other[0], one[1] + other[1]


def _reason(error: Exception) -> str:
    original = error.orig if isinstance(error, DBAPIError) else error
    return f"{type(original).__name__}: {str(original).partition(chr(10))[0]}"


def _links(placement: identities.Placement, places: Mapping[Key, events.Place]) -> Iterator[tuple[int, int, Origin]]:
    for (one, other), origin in placement.news.items():
        yield places[one][0], places[other][0], origin
