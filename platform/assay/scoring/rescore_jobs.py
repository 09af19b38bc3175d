"""Works through rescores: reads many leads at once, then scores and writes them in small steps.

Events lie in the order of time, so the events of a few leads are found on as many pages as those of ten times as many.
A worker therefore reads many leads at once, beside its other work, keeps them in memory, and takes several turns for
them. Others leave its range alone as long as it goes on; a worker that was killed is noticed by its silence, and
another goes on at the step it had come to.
"""

import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import monotonic

import polars as pl
from sqlalchemy import and_, literal, or_, select
from sqlalchemy.orm import Session

from assay.profiles import frames
from assay.profiles.marks import read_marks, read_unwatched
from assay.profiles.models import Lead
from assay.profiles.queries import snapshot
from assay.scoring.compiled import load_live
from assay.scoring.jobs import RETRY_AFTER, Facts, Versions, evaluate_each, next_due, wanted
from assay.scoring.ledger import INSTANT, Ledger
from assay.scoring.models import Rescore, RescoreRange
from assay.scoring.rescoring import OLDEST
from assay.scoring.storing import plan_sooner, read_stored, store_where_unchanged
from assay_tenants.database import tenant_session
from assay_tenants.models import Tenant

#: What a step should take, so that other tenants have their turn soon and a killed worker loses little.
STEP_SECONDS = 0.4
FIRST_STEP = 4_000
SMALLEST_STEP = 500
#: Read at once, and kept in memory.
MOST_LEADS = 50_000
MOST_EVENTS = 1_000_000
#: A turn that finds its leads still being read waits so long for them.
WAIT_SECONDS = 0.2
#: A range that nobody went on with for so long is free.
SILENCE = timedelta(seconds=4)


@dataclass
class Chunk:
    """Leads of a range as they were at an instant, of which some are still to be scored."""

    tenant_id: int
    #: Of its range: tenant, rescore and position.
    place: tuple[int, int, int]
    versions: Versions
    #: Versions by hash and by what else makes their scores; False for those that can't be compiled.
    live: list[tuple[int, str, bool]]
    stored: pl.DataFrame
    facts: Facts
    #: When leads are due, by what was planned before.
    due: pl.DataFrame
    #: Its last lead, and that of the last step.
    last: int
    reached: int
    at: datetime


@dataclass
class _Reading:
    """A chunk that a thread reads meanwhile, from this lead on and for the versions with these names."""

    place: tuple[int, int, int]
    first: int
    live: list[tuple[int, str, bool]]
    chunk: Future[Chunk]


@dataclass
class _Worker(threading.local):
    chunk: Chunk | None = None
    reading: _Reading | None = None
    #: The tenant, the rescore and the range that it is at.
    place: tuple[int, int, int] = (0, 0, 0)
    #: Leads for which a step and a chunk are as large as they should be: some have ten events, others thousands.
    step: int = FIRST_STEP
    leads: int = FIRST_STEP


_worker = _Worker()
# A thread for each worker of this process, asleep while nobody rescores.
_readers = ThreadPoolExecutor(thread_name_prefix="rescore")


def drain_rescores(tenant_id: int) -> int:
    """One step of one range that nobody else is at, or a short wait for its leads; tells how many leads it took."""
    began = monotonic()
    with tenant_session(tenant_id) as session:
        # As in a batch of due leads: what is published meanwhile waits, and begins a rescore of its own.
        session.execute(select(Tenant.id).where(Tenant.id == tenant_id).with_for_update(read=True))
        found = _take(session, tenant_id)
        if found is None:
            _worker.chunk = _worker.reading = None
            return 0
        row, model_ids = found
        _worker.place = (tenant_id, row.rescore_id, row.position)
        row.begun_at = row.begun_at or datetime.now(UTC)
        row.looked_at = datetime.now(UTC)
        chunk = _chunk(session, row, model_ids)
        if chunk is None:
            return 1
        # Kept only when the step is: after an error it would be of a past that never was.
        _worker.chunk = None
        leads, written = _step(session, chunk, _worker.step)
        row.next_lead = chunk.reached + 1
        row.leads_done += leads
        row.written += written
        row.looked_at = datetime.now(UTC)
        row.open = row.next_lead <= row.last_lead
    if chunk.reached < chunk.last:
        _worker.chunk = chunk
    if leads:
        fitting = int(leads * STEP_SECONDS / (monotonic() - began))
        _worker.step = max(SMALLEST_STEP, min(MOST_LEADS, fitting))
    return max(leads, 1)


def _chunk(session: Session, row: RescoreRange, model_ids: list[int]) -> Chunk | None:
    """What comes next in the range, under the versions that are live; None while it is being read."""
    versions, live = _live(session, row.tenant_id, model_ids)
    chunk, reading = _worker.chunk, _worker.reading
    if (
        chunk is not None
        and chunk.place == _worker.place
        and chunk.reached + 1 == row.next_lead
        and chunk.live == live
        and chunk.at > datetime.now(UTC) - OLDEST
    ):
        return chunk
    if reading is None or (reading.place, reading.first, reading.live) != (_worker.place, row.next_lead, live):
        ids = _next_leads(session, row)
        coming = _readers.submit(_read, _worker.place, versions, live, ids, model_ids)
        reading = _Reading(_worker.place, ids.start, live, coming)
        _worker.reading, _worker.chunk = reading, None
    try:
        chunk = reading.chunk.result(WAIT_SECONDS)
    except TimeoutError:
        return None
    finally:
        if reading.chunk.done():
            _worker.reading = None
    if chunk.at < datetime.now(UTC) - OLDEST:
        # Read too slowly, or left lying: fewer the next time, so that it comes to an end.
        _worker.leads = max(1, _worker.leads // 4)
        return None
    _worker.leads = _fitting(chunk.facts)
    return chunk


def _take(session: Session, tenant_id: int) -> tuple[RescoreRange, list[int]] | None:
    its_tenant, rescore_id, position = _worker.place
    is_mine = and_(
        literal(its_tenant == tenant_id), RescoreRange.rescore_id == rescore_id, RescoreRange.position == position
    )
    silent = or_(RescoreRange.looked_at.is_(None), RescoreRange.looked_at < datetime.now(UTC) - SILENCE)
    row = session.execute(
        select(RescoreRange, Rescore.model_ids)
        .join(Rescore, (Rescore.tenant_id == RescoreRange.tenant_id) & (Rescore.id == RescoreRange.rescore_id))
        .where(
            RescoreRange.tenant_id == tenant_id,
            Rescore.tenant_id == tenant_id,
            RescoreRange.open,
            or_(is_mine, silent),
        )
        .order_by(is_mine.desc(), RescoreRange.rescore_id, RescoreRange.position)
        .limit(1)
        .with_for_update(of=RescoreRange, skip_locked=True)
    ).one_or_none()
    return None if row is None else (row[0], row[1])


def _live(session: Session, tenant_id: int, model_ids: Sequence[int]) -> tuple[Versions, list[tuple[int, str, bool]]]:
    live = [each for each in load_live(session, tenant_id) if each[0].model_id in model_ids]
    # What is kept out of scoring, and what counts as a machine, changes scores without another version.
    rest = f"{read_marks(session, tenant_id).patterns}{sorted(read_unwatched(session, tenant_id))}"
    names = [(version.model_id, version.hash + rest, model is not None) for version, model in live]
    return [(version, model) for version, model in live if model is not None], names


def _next_leads(session: Session, row: RescoreRange) -> range:
    """As many as may be read at once."""
    last = session.scalars(
        select(Lead.id)
        .where(Lead.tenant_id == row.tenant_id, Lead.id.between(row.next_lead, row.last_lead))
        .order_by(Lead.id)
        .offset(_worker.leads - 1)
        .limit(1)
    ).one_or_none()
    return range(row.next_lead, (row.last_lead if last is None else last) + 1)


def _read(
    place: tuple[int, int, int],
    versions: Versions,
    live: list[tuple[int, str, bool]],
    ids: range,
    model_ids: Sequence[int],
) -> Chunk:
    tenant_id = place[0]
    # Before the facts: a score that is written from here on is newer than what is found here, and stays.
    stored = read_stored(tenant_id, ids, model_ids)
    with snapshot(tenant_id) as known:
        known.release()
        leads, events = known.read(ids, **wanted([model for _, model in versions]), event_ids=False)
        due = frames.select(known.cursor, _due(tenant_id, ids), {"lead_id": pl.Int64(), "planned": INSTANT})
        at = known.at
    return Chunk(
        tenant_id=tenant_id,
        place=place,
        versions=versions,
        live=live,
        stored=stored,
        facts=Facts(leads.sort("lead_id"), events.sort("lead_id")),
        due=due,
        last=ids.stop - 1,
        reached=ids.start - 1,
        at=at,
    )


def _fitting(facts: Facts) -> int:
    """How many such leads may be read at once."""
    if facts.leads.is_empty():
        return FIRST_STEP
    return max(1, min(MOST_LEADS, MOST_EVENTS * facts.leads.height // max(facts.events.height, 1)))


def _due(tenant_id: int, ids: range) -> str:
    return (
        f"SELECT d.lead_id, d.due_at FROM scoring.due d WHERE d.tenant_id = {int(tenant_id)}"  # noqa: S608 # integers
        f" AND d.lead_id BETWEEN {ids.start} AND {ids.stop - 1}"
    )


def _step(session: Session, chunk: Chunk, size: int) -> tuple[int, int]:
    """How many leads there were, and how many scores were written."""
    first = chunk.reached + 1
    ids = chunk.facts.leads["lead_id"]
    begin = ids.search_sorted(first)
    chunk.reached = chunk.last if begin + size >= len(ids) else ids[begin + size - 1]
    facts = Facts(_between(chunk.facts.leads, first, chunk.reached), _between(chunk.facts.events, first, chunk.reached))
    among = pl.col("lead_id").is_between(first, chunk.reached)
    scored, failed = evaluate_each(chunk.tenant_id, chunk.versions, facts, chunk.at)
    failed |= {model_id for model_id, _, compiles in chunk.live if not compiles}
    # Leads that are due, for news or because of time, have their turn beside this, told instant by instant.
    waiting = chunk.due.filter(among & (pl.col("planned") <= chunk.at))
    scored = scored.join(waiting, on="lead_id", how="anti")
    ledger = Ledger(chunk.stored.filter(among).join(waiting, on="lead_id", how="anti"))
    ledger.become(scored, chunk.at)
    ledger.remove(_ended(ledger, {model_id for model_id, _, _ in chunk.live}), chunk.at)
    again = facts.leads.select("lead_id", pl.lit(chunk.at + RETRY_AFTER, INSTANT).alias("next_change"))
    soonest = next_due(pl.concat([scored.select("lead_id", "next_change"), again if failed else again.clear()]))
    sooner = soonest.join(chunk.due, on="lead_id", how="left").filter(
        pl.col("planned").is_null() | (pl.col("due_at") < pl.col("planned"))
    )
    # In the order of a batch of due leads, which holds these rows before it writes scores.
    plan_sooner(session, chunk.tenant_id, sooner.select("lead_id", "due_at"))
    return facts.leads.height, store_where_unchanged(session, chunk.tenant_id, ledger)


def _between(frame: pl.DataFrame, first: int, last: int) -> pl.DataFrame:
    """Of a frame in the order of leads."""
    ids = frame["lead_id"]
    begin, end = ids.search_sorted(first, side="left"), ids.search_sorted(last, side="right")
    return frame.slice(begin, end - begin)


def _ended(ledger: Ledger, live_ids: set[int]) -> pl.DataFrame:
    """Scores of models that score nobody any more."""
    return ledger.latest.filter(~pl.col("model_id").is_in(list(live_ids)))
