"""Scores leads that are due."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import msgspec
import polars as pl
import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from assay.profiles.queries import read_facts
from assay.scoring import engine
from assay.scoring.compiled import load_live
from assay.scoring.models import Due
from assay.scoring.queries import LiveVersion
from assay.scoring.storing import Place, Result, Step, Stored, plan, read_stored, store
from assay_tenants.database import tenant_session
from assay_tenants.models import Tenant

log = structlog.get_logger()

BATCH = 1_000
# For leads that a model failed on; anything sooner would only spin on the same mistake.
RETRY_AFTER = timedelta(minutes=5)
# Each costs an evaluation. After a long sleep, what changed more often than that is told as of the look.
INSTANTS = 50


Versions = Sequence[tuple[LiveVersion, engine.CompiledModel | None]]


@dataclass(frozen=True)
class Facts:
    """What is known of some leads."""

    leads: pl.DataFrame
    events: pl.DataFrame
    #: The ids of those that exist.
    alive: set[int]

    def of(self, lead_ids: Collection[int]) -> "Facts":
        chosen = pl.col("lead_id").is_in(list(lead_ids))
        return Facts(self.leads.filter(chosen), self.events.filter(chosen), self.alive & set(lead_ids))


def drain_due(tenant_id: int, *, now: datetime | None = None) -> int:
    """One batch of due leads under all published models, at one instant and in one transaction; how many it took.

    Facts that arrive meanwhile wait for the locks held here, and then make their lead due again.
    """
    with tenant_session(tenant_id) as session:
        # Publishing waits until this batch is done: no lead is scored by a version that has just been replaced.
        session.execute(select(Tenant.id).where(Tenant.id == tenant_id).with_for_update(read=True))
        lead_ids = _lock_due(session, tenant_id, now or datetime.now(UTC))
        if not lead_ids:
            return 0
        at = now or datetime.now(UTC)
        versions = load_live(session, tenant_id)
        if not versions:
            plan(session, tenant_id, lead_ids, {})
            return len(lead_ids)
        facts = _read(tenant_id, lead_ids, versions)
        results, failed = _evaluate(tenant_id, versions, facts, at)
        stored = read_stored(session, tenant_id, lead_ids)
        steps = [] if failed else _steps(versions, facts, stored, at)
        unknown = {(model_id, lead_id) for model_id in failed for lead_id in facts.alive}
        store(session, tenant_id, stored, steps, results, unknown=unknown, at=at)
        retry_at = at + RETRY_AFTER if failed else None
        plan(session, tenant_id, lead_ids, _next_due(facts.alive, results, retry_at=retry_at))
    return len(lead_ids)


def _lock_due(session: Session, tenant_id: int, now: datetime) -> list[int]:
    return sorted(
        session.scalars(
            select(Due.lead_id)
            .where(Due.tenant_id == tenant_id, Due.due_at <= now)
            .order_by(Due.due_at)
            .limit(BATCH)
            .with_for_update(skip_locked=True)
        )
    )


def _read(tenant_id: int, lead_ids: Sequence[int], versions: Versions) -> Facts:
    models = [model for _, model in versions if model is not None]
    leads, events = read_facts(
        tenant_id,
        lead_ids,
        traits=_union(model.traits for model in models),
        properties=_union(model.properties for model in models),
        types=_all_types([model.event_types for model in models]),
    )
    return Facts(leads, events, set(leads["lead_id"].to_list()))


def _evaluate(tenant_id: int, versions: Versions, facts: Facts, at: datetime) -> tuple[dict[Place, Result], set[int]]:
    """The leads' scores, and the ids of models that failed."""
    usable = [(live, model) for live, model in versions if model is not None]
    failed = {live.model_id for live, model in versions if model is None}
    try:
        return _results(usable, facts, at), failed
    except Exception:  # found out below, one by one
        log.warning("scoring.batch_failed", tenant_id=tenant_id, exc_info=True)
    results: dict[Place, Result] = {}
    for live, model in usable:
        try:
            results |= _results([(live, model)], facts, at)
        except Exception:  # noqa: BLE001 # one model's mistake must not stop the others
            _report(tenant_id, live)
            failed.add(live.model_id)
    return results, failed


def _steps(versions: Versions, facts: Facts, stored: Stored, at: datetime) -> list[Step]:
    """What changed by itself since the last look, at the instants at which it did.

    A score under a version that was replaced meanwhile is left out: nobody can tell how it would have gone on.
    """
    usable = [(live, model) for live, model in versions if model is not None]
    numbers = {live.model_id: live.number for live, _ in usable}
    coming: dict[datetime, set[Place]] = {}

    def expect(place: Place, result: Result) -> None:
        if result.next_change is not None and result.next_change < at and place[1] in facts.alive:
            coming.setdefault(result.next_change, set()).add(place)

    for place, result in stored.results.items():
        if numbers.get(place[0]) == result.version:
            expect(place, result)
    steps: list[Step] = []
    for _ in range(INSTANTS):
        if not coming:
            break
        instant = min(coming)
        places = coming.pop(instant)
        try:
            results = _results(usable, facts.of({lead_id for _, lead_id in places}), instant)
        except Exception:  # the scores of this moment are known, and matter more than the past
            log.warning("scoring.steps_failed", at=instant.isoformat(), exc_info=True)
            break
        for place in sorted(places & results.keys()):
            steps.append(Step(instant, place, results[place]))
            expect(place, results[place])
    return steps


def _results(
    versions: Sequence[tuple[LiveVersion, engine.CompiledModel]], facts: Facts, at: datetime
) -> dict[Place, Result]:
    by_hash = {live.hash: live for live, _ in versions}
    frame = engine.score([model for _, model in versions], facts.leads, facts.events, at)
    found: dict[Place, Result] = {}
    for row in frame.iter_rows(named=True):
        live = by_hash[row["content_hash"]]
        found[live.model_id, row["lead_id"]] = Result(
            live.number,
            row["total"],
            row["raw"],
            msgspec.json.decode(row["dimensions"]),
            row["stage"],
            row["grade"],
            row["next_change"],
        )
    return found


def _next_due(alive: set[int], results: dict[Place, Result], *, retry_at: datetime | None) -> dict[int, datetime]:
    """The earliest instant at which any score of each lead can change by itself."""
    due = dict.fromkeys(alive, retry_at) if retry_at else {}
    for (_, lead_id), result in results.items():
        if result.next_change is not None:
            known = due.get(lead_id)
            due[lead_id] = result.next_change if known is None else min(known, result.next_change)
    return due


def _union(names: Iterable[Iterable[str]]) -> list[str]:
    return sorted({name for some in names for name in some})


def _all_types(types: Sequence[frozenset[str] | None]) -> list[str] | None:
    """None, which is every type, as soon as one model listens to every type."""
    return None if None in types else _union(some for some in types if some is not None)


def _report(tenant_id: int, live: LiveVersion) -> None:
    log.exception("scoring.model_failed", tenant_id=tenant_id, model=live.name, version=live.number)
