"""Works through rescores, step by step: read much, compare in frames, write what differs."""

from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic

import polars as pl
from sqlalchemy import select
from sqlalchemy.orm import Session

from assay.profiles import frames
from assay.profiles.models import Lead
from assay.profiles.queries import snapshot
from assay.scoring.compiled import load_live
from assay.scoring.jobs import RETRY_AFTER, Facts, Versions, evaluate_each, next_due, wanted
from assay.scoring.ledger import INSTANT, PLACE, Ledger
from assay.scoring.models import Rescore, RescoreRange
from assay.scoring.storing import plan_sooner, read_stored, store_where_unchanged
from assay_tenants.database import tenant_session
from assay_tenants.models import Tenant

#: What a step should take, so that other tenants have their turn soon and a killed worker loses little. Much shorter
#: would cost more: events lie in the order of time, so a step that reads a few leads finds them on as many pages.
STEP_SECONDS = 0.7
FIRST_STEP = 5_000
SMALLEST_STEP = 5_000
LARGEST_STEP = 20_000
#: A step holds them in memory, whatever time it takes.
MOST_EVENTS = 600_000

# How many leads a step takes, by tenant: some leads have ten events, others thousands.
_sizes: dict[int, int] = {}


@dataclass(frozen=True)
class Step:
    """Some leads of a range, by id, and what they are scored under."""

    row: RescoreRange
    model_ids: list[int]
    #: Its last lead.
    last: int

    @property
    def leads(self) -> range:
        return range(self.row.next_lead, self.last + 1)


@dataclass(frozen=True)
class Done:
    leads: int
    events: int
    written: int
    #: The instant that the scores are of.
    at: datetime


def drain_rescores(tenant_id: int) -> int:
    """One step of one range that nobody else is at; tells how many leads it took."""
    began = monotonic()
    with tenant_session(tenant_id) as session:
        # As in a batch of due leads: what is published meanwhile waits, and begins a rescore of its own.
        session.execute(select(Tenant.id).where(Tenant.id == tenant_id).with_for_update(read=True))
        step = _take(session, tenant_id)
        if step is None:
            return 0
        done = _rescore(session, tenant_id, step)
        found = step.row
        found.next_lead = step.last + 1
        found.leads_done += done.leads
        found.written += done.written
        found.begun_at = found.begun_at or done.at
        found.looked_at = datetime.now(UTC)
        found.open = found.next_lead <= found.last_lead
    _pace(tenant_id, done, monotonic() - began)
    return max(done.leads, 1)


def _take(session: Session, tenant_id: int) -> Step | None:
    row = session.execute(
        select(RescoreRange, Rescore.model_ids)
        .join(Rescore, (Rescore.tenant_id == RescoreRange.tenant_id) & (Rescore.id == RescoreRange.rescore_id))
        .where(RescoreRange.tenant_id == tenant_id, Rescore.tenant_id == tenant_id, RescoreRange.open)
        .order_by(RescoreRange.rescore_id, RescoreRange.position)
        .limit(1)
        .with_for_update(of=RescoreRange, skip_locked=True)
    ).one_or_none()
    if row is None:
        return None
    found: RescoreRange = row[0]
    last = session.scalars(
        select(Lead.id)
        .where(Lead.tenant_id == tenant_id, Lead.id.between(found.next_lead, found.last_lead))
        .order_by(Lead.id)
        .offset(_sizes.get(tenant_id, FIRST_STEP) - 1)
        .limit(1)
    ).one_or_none()
    return Step(found, row[1], found.last_lead if last is None else last)


def _rescore(session: Session, tenant_id: int, step: Step) -> Done:
    live = [each for each in load_live(session, tenant_id) if each[0].model_id in step.model_ids]
    versions = [(version, model) for version, model in live if model is not None]
    # Before the facts: a score that is written from here on is newer than what is found here, and stays.
    ledger = Ledger(read_stored(tenant_id, step.leads, step.model_ids))
    due = _read_due(tenant_id, step.leads)
    with snapshot(tenant_id) as known:
        at = known.at
        facts = Facts(*known.read(step.leads, **wanted([model for _, model in versions]), event_ids=False))
    scored, failed = evaluate_each(tenant_id, versions, facts, at)
    failed |= {version.model_id for version, model in live if model is None}
    scored = scored.join(_overdue(ledger.stored, versions, at), on=PLACE, how="anti")
    ledger.become(scored, at)
    ledger.remove(_ended(ledger, live_ids={version.model_id for version, _ in live}), at)
    again = facts.leads.select("lead_id", pl.lit(at + RETRY_AFTER, INSTANT).alias("next_change"))
    soonest = next_due(pl.concat([scored.select("lead_id", "next_change"), again.head(again.height if failed else 0)]))
    sooner = soonest.join(due, on="lead_id", how="left").filter(
        pl.col("planned").is_null() | (pl.col("due_at") < pl.col("planned"))
    )
    # In the order of a batch of due leads, which holds these rows before it writes scores.
    plan_sooner(session, tenant_id, sooner.select("lead_id", "due_at"))
    return Done(facts.leads.height, facts.events.height, store_where_unchanged(session, tenant_id, ledger), at)


def _overdue(stored: pl.DataFrame, versions: Versions, at: datetime) -> pl.DataFrame:
    """Scores that changed by themselves already: they are due, and are told instant by instant."""
    numbers = pl.DataFrame(
        [(live.model_id, live.number) for live, _ in versions],
        schema={"model_id": pl.Int64, "version": pl.Int32},
        orient="row",
    )
    return stored.filter(pl.col("next_change") <= at).join(numbers, on=["model_id", "version"], how="semi")


def _ended(ledger: Ledger, live_ids: set[int]) -> pl.DataFrame:
    """Scores of models that score nobody any more."""
    return ledger.latest.filter(~pl.col("model_id").is_in(list(live_ids)))


def _read_due(tenant_id: int, leads: range) -> pl.DataFrame:
    query = (
        f"SELECT d.lead_id, d.due_at FROM scoring.due d WHERE d.tenant_id = {int(tenant_id)}"  # noqa: S608 # integers
        f" AND d.lead_id BETWEEN {leads.start} AND {leads.stop - 1}"
    )
    with frames.transaction(tenant_id) as cursor:
        return frames.select(cursor, query, {"lead_id": pl.Int64(), "planned": INSTANT})


def _pace(tenant_id: int, done: Done, took: float) -> None:
    if done.leads:
        fitting = int(done.leads * STEP_SECONDS / took)
        size = max(SMALLEST_STEP, min(LARGEST_STEP, fitting))
        _sizes[tenant_id] = max(1, min(size, MOST_EVENTS * done.leads // max(done.events, 1)))
