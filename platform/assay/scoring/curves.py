"""Score over time, worked out anew: nothing had to be recorded, for a score is a function of facts and instant.

All instants are scored in one go. The lead is copied once for each, and everything that happened to a copy is moved by
as much as its instant lies before the last: what it then scores there is what the lead scored at its own instant.
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import polars as pl

from assay.scoring import engine, service
from assay.scoring.engine.conditions import comparisons
from assay.scoring.engine.frames import INSTANT

PAST = timedelta(days=90)
#: Instants looked at, and copies of events that are made for them.
_MOST_INSTANTS = 300
_MOST_ROWS = 100_000
_FEWEST_INSTANTS = 8

_Types = tuple[str, ...] | None


@dataclass(frozen=True)
class Curve:
    """What one version of a model says of a lead through the past, from all that is known today."""

    version: int
    #: The total from each instant on, oldest first; the last is that of the instant asked for.
    points: list[tuple[datetime, int]]
    #: False: the score may have changed at more instants than were looked at.
    complete: bool


def past_scores(tenant_id: int, lead_id: int, name: str, *, at: datetime | None = None) -> Curve | None:
    """Under the published version; None for a model that compares dates with the clock: its past is only recorded."""
    read = service.read_scored(tenant_id, lead_id, name)
    if reads_clock(read.model):
        return None
    until = at or datetime.now(UTC)
    seen: list[datetime] = pl.concat([read.leads["first_seen_at"], read.events["occurred_at"]]).drop_nulls().to_list()
    since = max(until - PAST, min([until, *seen]))
    points, complete = trace(read.model, read.leads, read.events, since=since, until=until)
    return Curve(read.version.number, points, complete)


def reads_clock(model: engine.CompiledModel) -> bool:
    """Whether dates in traits or properties are compared with now: those do not move with what happened."""
    conditions = [condition for _, _, condition in model.trait_rules]
    conditions += [trigger.where for _, _, trigger in model.event_rules if trigger.where]
    return any(part.word in ("within", "older_than") for whole in conditions for part in comparisons(whole))


def trace(
    model: engine.CompiledModel, lead: pl.DataFrame, events: pl.DataFrame, *, since: datetime, until: datetime
) -> tuple[list[tuple[datetime, int]], bool]:
    """The totals of one lead where they changed, and whether every instant was looked at where they could have."""
    instants = _instants(model, lead, events, since, until)
    most = max(_FEWEST_INSTANTS, min(_MOST_INSTANTS, _MOST_ROWS // (events.height or 1)))
    complete = len(instants) <= most
    if not complete:
        instants = instants.gather([round(place * (len(instants) - 1) / (most - 1)) for place in range(most)])
    points = list(zip(instants.to_list(), _totals(model, lead, events, instants, until), strict=True))
    changed = [later for earlier, later in pairwise(points) if earlier[1] != later[1]]
    return list(dict.fromkeys([points[0], *changed, points[-1]])), complete


def _instants(
    model: engine.CompiledModel, lead: pl.DataFrame, events: pl.DataFrame, since: datetime, until: datetime
) -> pl.Series:
    """Every instant at which the score can have changed, in order, and both ends."""
    found = [pl.Series([since, until], dtype=INSTANT)]
    first_sight = pl.Series([lead["first_seen_at"][0] or events["occurred_at"].min()], dtype=INSTANT)
    for types, delays in _delays(model).items():
        matching = events if types is None else events.filter(pl.col("type").is_in(types))
        starts = pl.concat([matching["occurred_at"].cast(INSTANT), first_sight])
        found += [starts + timedelta(microseconds=delay) for delay in delays]
    every = pl.concat(found).drop_nulls().unique().sort()
    return every.filter(every.is_between(since, until))


def _delays(model: engine.CompiledModel) -> dict[_Types, set[int]]:
    """How long after events of which types something can change by itself."""
    found: dict[_Types, set[int]] = defaultdict(set)
    for _, _, trigger in model.event_rules:
        found[trigger.types] |= {0, trigger.expires_after or 0}
    for _, _, silence in model.silence_rules:
        found[silence.of] |= {0, silence.length, silence.length + (silence.expires_after or 0)}
    return found


def _totals(
    model: engine.CompiledModel, lead: pl.DataFrame, events: pl.DataFrame, instants: pl.Series, until: datetime
) -> list[int]:
    copies = pl.DataFrame({"lead_id": pl.int_range(len(instants), eager=True), "then": instants}).with_columns(
        (pl.lit(until, INSTANT) - pl.col("then")).alias("moved")
    )
    leads = copies.join(lead.drop("lead_id"), how="cross").with_columns(pl.col("first_seen_at") + pl.col("moved"))
    happened = (
        copies.lazy()
        .join(events.lazy().drop("lead_id"), how="cross")
        .filter(pl.col("occurred_at") <= pl.col("then"))
        .with_columns(pl.col("occurred_at") + pl.col("moved"))
        .collect()
    )
    totals: list[int] = engine.score([model], leads, happened, until)["total"].to_list()
    return totals
