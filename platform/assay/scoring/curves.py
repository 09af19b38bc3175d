"""Score over time, worked out anew: nothing had to be recorded, for a score is a function of facts and instant.

Many instants are scored in one go, the lead copied once for each. The first are those of the events; each score tells
when it next changes by itself, and that instant is looked at in the next round.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import polars as pl

from assay.scoring import engine, instants, service
from assay.scoring.ledger import INSTANT

PAST = timedelta(days=90)
#: Instants looked at, copies of events that are made for them, and rounds.
_MOST_INSTANTS = 300
_MOST_ROWS = 100_000
_FEWEST_INSTANTS = 8
_ROUNDS = 12


@dataclass(frozen=True)
class Curve:
    """What one version of a model says of a lead through the past, from all that is known today."""

    version: int
    #: The total from each instant on, oldest first; the last is that of the instant asked for.
    points: list[tuple[datetime, int]]
    #: False: the score may have changed at more instants than were looked at.
    complete: bool


def past_scores(tenant_id: int, lead_id: int, name: str, *, at: datetime | None = None) -> Curve:
    """Under the published version."""
    until = datetime.now(UTC) if at is None else instants.checked(at, "at")
    read = service.read_scored(tenant_id, lead_id, name)
    seen: list[datetime] = pl.concat([read.leads["first_seen_at"], read.events["occurred_at"]]).drop_nulls().to_list()
    since = max(until - PAST, min([until, *seen]))
    points, complete = trace(read.model, read.leads, read.events, since=since, until=until)
    return Curve(read.version.number, points, complete)


def trace(
    model: engine.CompiledModel, lead: pl.DataFrame, events: pl.DataFrame, *, since: datetime, until: datetime
) -> tuple[list[tuple[datetime, int]], bool]:
    """The totals of one lead where they changed, and whether every instant was looked at where they could have.

    Instants at which the model does not apply to the lead have no total.
    """
    most = max(_FEWEST_INSTANTS, min(_MOST_INSTANTS, _MOST_ROWS // (events.height or 1)))
    wanted, complete = _sampled(_first_instants(model, lead, events, since, until), most)
    looked_at: list[pl.DataFrame] = []
    seen = pl.Series([], dtype=INSTANT)
    for _ in range(_ROUNDS):
        scored = _scored(model, lead, events, wanted)
        looked_at.append(scored)
        seen = pl.concat([seen, wanted])
        coming = scored["next_change"].drop_nulls().unique().sort()
        wanted = coming.filter((coming < until) & (coming > since) & ~coming.is_in(seen.implode()))
        if wanted.is_empty():
            break
        if len(seen) + len(wanted) > most:
            complete = False
            break
    else:
        complete = False
    applying = pl.concat(looked_at).filter("applies").sort("at")
    points = list(zip(applying["at"].to_list(), applying["total"].to_list(), strict=True)) or [(until, 0)]
    changed = [later for earlier, later in pairwise(points) if earlier[1] != later[1]]
    return list(dict.fromkeys([points[0], *changed, points[-1]])), complete


def _first_instants(
    model: engine.CompiledModel, lead: pl.DataFrame, events: pl.DataFrame, since: datetime, until: datetime
) -> pl.Series:
    """Both ends and every instant at which something happened; for what fades smoothly, every day too."""
    found = [pl.Series([since, until], dtype=INSTANT), events["occurred_at"].cast(INSTANT)]
    found.append(lead["first_seen_at"].cast(INSTANT))
    if model.smooth:
        found.append(pl.datetime_range(since, until, "1d", time_unit="us", time_zone="UTC", eager=True))
    every = pl.concat(found).drop_nulls().unique().sort()
    return every.filter(every.is_between(since, until))


def _sampled(instants: pl.Series, most: int) -> tuple[pl.Series, bool]:
    if len(instants) <= most:
        return instants, True
    return instants.gather([round(place * (len(instants) - 1) / (most - 1)) for place in range(most)]), False


def _scored(model: engine.CompiledModel, lead: pl.DataFrame, events: pl.DataFrame, instants: pl.Series) -> pl.DataFrame:
    copies = pl.DataFrame({"lead_id": pl.int_range(len(instants), eager=True), "at": instants})
    leads = copies.join(lead.drop("lead_id"), how="cross")
    # Later ones count for nothing yet, and are looked at in their own right.
    happened = (
        copies.lazy()
        .join(events.lazy().drop("lead_id"), how="cross")
        .filter(pl.col("occurred_at") <= pl.col("at"))
        .drop("at")
        .collect()
    )
    scored = engine.score([model], leads, happened, None, distinct=True)
    return scored.select("lead_id", "applies", "total", "next_change").join(copies, on="lead_id")
