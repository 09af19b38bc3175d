"""Scores leads that are due."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypedDict

import polars as pl
import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from assay.profiles.queries import last_news, read_facts, snapshot
from assay.scoring import engine
from assay.scoring.compiled import load_live
from assay.scoring.ledger import FOUND, INSTANT, PLACE, Ledger, found
from assay.scoring.model_queries import live_since
from assay.scoring.models import Due
from assay.scoring.queries import LiveVersion
from assay.scoring.rescoring import SETTLED, under_way
from assay.scoring.storing import Overtaken, is_overtaken, plan, read_stored, store
from assay_tenants.database import tenant_session
from assay_tenants.models import Tenant

log = structlog.get_logger()

BATCH = 2_500
# Most of a batch's time is the same whatever its length, but nobody else of this stage is served meanwhile.
ALONE = 10_000
# For leads that a model failed on; anything sooner would only spin on the same mistake.
RETRY_AFTER = timedelta(minutes=5)
# Each costs an evaluation. After a long sleep, what changed more often than that is told as of the look.
INSTANTS = 50
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Times that somebody else may be faster before others have their turn.
TRIES = 3

Versions = Sequence[tuple[LiveVersion, engine.CompiledModel]]


@dataclass(frozen=True)
class Facts:
    """What is known of some leads."""

    leads: pl.DataFrame
    events: pl.DataFrame

    @property
    def alive(self) -> list[int]:
        """The ids of those that exist."""
        return self.leads["lead_id"].to_list()

    def of(self, lead_ids: Collection[int]) -> "Facts":
        chosen = pl.col("lead_id").is_in(list(lead_ids))
        return Facts(self.leads.filter(chosen), self.events.filter(chosen))


def drain_due(tenant_id: int, *, alone: bool = False, now: datetime | None = None) -> int:
    """One batch of due leads under all published models, at one instant and in one transaction; how many it took.

    Facts that arrive meanwhile wait for the locks held here, and then make their lead due again.
    """
    for left in reversed(range(TRIES)):
        try:
            with tenant_session(tenant_id) as session:
                return _drain(session, tenant_id, ALONE if alone else BATCH, now)
        except Exception as error:
            if not is_overtaken(error) or not left:
                raise
    raise AssertionError


def _drain(session: Session, tenant_id: int, limit: int, now: datetime | None) -> int:
    # Publishing waits until this batch is done: no lead is scored by a version that has just been replaced.
    session.execute(select(Tenant.id).where(Tenant.id == tenant_id).with_for_update(read=True))
    live = load_live(session, tenant_id)
    versions = [(version, model) for version, model in live if model is not None]
    failed = {version.model_id for version, model in live if model is None}
    # Before the rows are locked: who has learned something of these leads, and not yet committed, wants those rows.
    with snapshot(tenant_id) as known:
        at = now or known.at
        due = _lock_due(session, tenant_id, limit, at)
        if not due:
            return 0
        lead_ids = sorted(due)
        known.release()
        facts = Facts(*known.read(lead_ids, **wanted([model for _, model in versions]), event_ids=False))
    ledger = Ledger(read_stored(tenant_id, lead_ids))
    if ledger.stored.filter(pl.col("scored_at") > at).height and now is None:
        raise Overtaken
    scored, broken = evaluate_each(tenant_id, versions, facts, at)
    failed |= broken
    if versions and not failed:
        arrivals = _arrivals(session, tenant_id, ledger, scored, due, at)
        _replay(tenant_id, ledger, versions, facts, arrivals, at)
    ledger.become(scored, at)
    _end_others(ledger, scored, set(facts.alive), failed, at)
    store(session, tenant_id, ledger)
    plan(session, tenant_id, lead_ids, _next_due(scored, _again(session, tenant_id, facts, failed, at)))
    return len(lead_ids)


def _again(session: Session, tenant_id: int, facts: Facts, failed: set[int], at: datetime) -> pl.DataFrame:
    """Leads that are looked at again, whatever their scores say."""
    again = facts.leads.select("lead_id", pl.lit(at + RETRY_AFTER, INSTANT).alias("next_change"))
    if under_way(session, tenant_id):
        # A rescore may have read some of them before their news, and write after us what it found.
        return again.with_columns(pl.lit(at + SETTLED, INSTANT).alias("next_change"))
    return again if failed else again.clear()


def _lock_due(session: Session, tenant_id: int, limit: int, now: datetime) -> dict[int, datetime]:
    """Leads, and since when each is due."""
    rows = session.execute(
        select(Due.lead_id, Due.due_at)
        .where(Due.tenant_id == tenant_id, Due.due_at <= now)
        .order_by(Due.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return {row.lead_id: row.due_at for row in rows}


class Wanted(TypedDict):
    """What has to be read, as ``read_facts`` takes it."""

    traits: list[str]
    properties: dict[str, frozenset[str] | None]
    types: list[str] | None


def wanted(models: Sequence[engine.CompiledModel]) -> Wanted:
    """What these models ask for."""
    properties: dict[str, frozenset[str] | None] = {}
    for model in models:
        for name, types in model.property_types.items():
            before = properties.get(name, frozenset())
            properties[name] = None if types is None or before is None else before | types
    return {
        "traits": _union(model.traits for model in models),
        "properties": properties,
        "types": _all_types([model.event_types for model in models]),
    }


def evaluate(versions: Versions, facts: Facts, at: datetime, *, distinct: bool = True) -> pl.DataFrame:
    """The scores of these versions, and for whom there is none. Events of ours are kept once each."""
    if not versions:
        return pl.DataFrame(schema=FOUND)
    frame = engine.score([model for _, model in versions], facts.leads, facts.events, at, distinct=distinct)
    return found(frame, [(live.hash, live.model_id, live.number) for live, _ in versions])


def evaluate_each(tenant_id: int, versions: Versions, facts: Facts, at: datetime) -> tuple[pl.DataFrame, set[int]]:
    """The leads' scores, and the ids of models that failed."""
    try:
        return evaluate(versions, facts, at), set()
    except Exception:  # found out below, one by one
        log.warning("scoring.batch_failed", tenant_id=tenant_id, exc_info=True)
    frames, failed = [pl.DataFrame(schema=FOUND)], set()
    for live, model in versions:
        try:
            frames.append(evaluate([(live, model)], facts, at))
        except Exception:  # one model's mistake must not stop the others
            log.exception("scoring.model_failed", tenant_id=tenant_id, model=live.name, version=live.number)
            failed.add(live.model_id)
    return pl.concat(frames), failed


def _arrivals(
    session: Session, tenant_id: int, ledger: Ledger, scored: pl.DataFrame, due: Mapping[int, datetime], at: datetime
) -> pl.DataFrame:
    """Leads that a model applies to since the last look, without news: they were due when it may have begun to.

    Only when they were due tells it: there was no score yet that could say when it changes.
    """
    late = pl.DataFrame(
        {"lead_id": list(due), "next_change": list(due.values())}, {"lead_id": pl.Int64(), "next_change": INSTANT}
    ).filter(pl.col("next_change") < at)
    new = scored.filter("applies").join(ledger.stored, on=PLACE, how="anti").select(PLACE).join(late, on="lead_id")
    if new.is_empty():
        return new
    news = last_news(tenant_id, new["lead_id"].unique().to_list())
    since = live_since(session, tenant_id)
    return new.filter(
        [
            lead_id in news and news[lead_id] < when and model_id in since and since[model_id] <= when
            for lead_id, model_id, when in new.iter_rows()
        ]
    )


def _replay(
    tenant_id: int, ledger: Ledger, versions: Versions, facts: Facts, arrivals: pl.DataFrame, at: datetime
) -> None:
    """What changed by itself since the last look, at the instants at which it did, as far as was known then.

    A score under a version that was replaced meanwhile is left out: nobody can tell how it would have gone on.
    """
    numbers = pl.DataFrame(
        [(live.model_id, live.number) for live, _ in versions],
        schema={"model_id": pl.Int64, "version": pl.Int32},
        orient="row",
    )
    news: dict[int, datetime] | None = None
    told = _EPOCH
    for _ in range(INSTANTS):
        known = ledger.latest.join(numbers, on=["model_id", "version"], how="semi").select(arrivals.columns)
        overdue = pl.concat([known, arrivals]).filter(
            pl.col("next_change") < at,
            pl.col("lead_id").is_in(facts.alive),
            pl.col("next_change") > told,
        )
        if overdue.is_empty():
            return
        instant: datetime = overdue["next_change"].min()  # type: ignore[assignment] # a column of instants
        places = overdue.filter(pl.col("next_change") == instant).select(PLACE)
        if news is None:
            news = last_news(tenant_id, overdue["lead_id"].unique().to_list())
        told = instant
        try:
            then = _known(tenant_id, versions, facts, news, sorted(set(places["lead_id"].to_list())), instant)
            there = evaluate(versions, then, instant).join(places, on=PLACE, how="semi")
            ledger.become(there, instant)
        except Exception:  # the scores of this moment are known, and matter more than the past
            log.warning("scoring.steps_failed", tenant_id=tenant_id, at=instant.isoformat(), exc_info=True)
            return
        # Whom a model does not apply to has no score to say when it will.
        arrivals = pl.concat(
            [arrivals.join(places, on=PLACE, how="anti"), there.filter(~pl.col("applies")).select(arrivals.columns)]
        )


def _known(
    tenant_id: int, versions: Versions, facts: Facts, news: dict[int, datetime], lead_ids: list[int], at: datetime
) -> Facts:
    """What was known of these leads at an instant: mostly what is known now."""
    late = [lead_id for lead_id in lead_ids if lead_id not in news or news[lead_id] > at]
    then = facts.of(set(lead_ids) - set(late))
    if not late:
        return then
    asked = wanted([model for _, model in versions])
    leads, events = read_facts(tenant_id, late, known_at=at, **asked, event_ids=False)
    return Facts(pl.concat([then.leads, leads]), pl.concat([then.events, events]))


def _end_others(ledger: Ledger, scored: pl.DataFrame, alive: set[int], failed: set[int], at: datetime) -> None:
    """Scores of leads that are gone and of models that score nobody any more; those of models that failed stay."""
    unknown = pl.col("model_id").is_in(list(failed)) & pl.col("lead_id").is_in(list(alive))
    ledger.remove(ledger.latest.filter(~unknown).join(scored, on=PLACE, how="anti"), at)


def _next_due(scored: pl.DataFrame, again: pl.DataFrame) -> pl.DataFrame:
    """The earliest instant at which any score of each lead can change by itself."""
    return next_due(pl.concat([scored.select("lead_id", "next_change"), again]))


def next_due(scored: pl.DataFrame) -> pl.DataFrame:
    return (
        scored.filter(pl.col("next_change").is_not_null())
        .group_by("lead_id")
        .agg(pl.col("next_change").min().alias("due_at"))
        .sort("lead_id")
    )


def _union(names: Iterable[Iterable[str]]) -> list[str]:
    return sorted({name for some in names for name in some})


def _all_types(types: Sequence[frozenset[str] | None]) -> list[str] | None:
    """None, which is every type, as soon as one model listens to every type."""
    return None if None in types else _union(some for some in types if some is not None)
