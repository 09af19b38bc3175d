"""Awards: which events earn points, when they count and when they stop. Totals and receipts both start here.

An award frame has one row per matching event or silence: `lead`, `t` (the award's own instant), `row` (the event
behind it, or null), `points` and `verdict`, which is COUNTS or the reason why the rule's own words leave it out.
"""

from collections.abc import Sequence

import polars as pl

from assay.scoring.engine.chains import greedy
from assay.scoring.engine.conditions import expression
from assay.scoring.engine.frames import Scene
from assay.scoring.language import OnEvents

COUNTS = 0
COUNTED_ONCE = 1
COUNTED_FOR_VALUE = 2
BEYOND_FIRST = 3
BEFORE_FROM = 4
WITHOUT_VALUE = 5
STILL_ACTIVE = 6
REPLACED = 7

# Polars takes time in the square of how many plans it collects at once: minutes for a model of 5,000 rules.
_MOST_PLANS = 16


def of_events(scene: Scene, trigger: OnEvents, points: int) -> pl.LazyFrame:
    """The awards of an event rule, those left out included."""
    selection = scene.of_types(trigger.types)
    matching = selection.events.lazy()
    if trigger.where is not None:
        matching = matching.filter(expression(trigger.where, selection.answers))
    count = trigger.count
    gain = pl.lit(points, pl.Int64)
    nth = _nth()
    verdict: pl.Expr
    match count.word:
        case "each":
            verdict = pl.lit(COUNTS)
        case "once":
            verdict = _verdict(nth == 1, COUNTED_ONCE)
        case "once_while_active":
            if trigger.expires_after is None:
                verdict = _verdict(nth == 1, COUNTED_ONCE)
            else:
                matching = greedy(matching.collect(), trigger.expires_after).lazy()
                verdict = _verdict(pl.col("chosen"), STILL_ACTIVE)
        case "once_per":
            value = pl.col(f"property:{count.property}")
            first = pl.struct("lead", value).is_first_distinct()
            verdict = pl.when(value.is_null()).then(WITHOUT_VALUE).otherwise(_verdict(first, COUNTED_FOR_VALUE))
        case "first":
            verdict = _verdict(nth <= count.number, BEYOND_FIRST)
        case "from":
            verdict = _verdict(nth >= count.number, BEFORE_FROM)
        case "first_points":
            verdict = pl.lit(COUNTS)
            gain = pl.when(nth == 1).then(gain).otherwise(pl.lit(count.then, pl.Int64))
    return matching.select("lead", "t", "row", gain.alias("points"), verdict.cast(pl.UInt8).alias("verdict"))


def _nth() -> pl.Expr:
    """The place of a row among its lead's rows, from 1; rows of one lead stand together."""
    place = pl.int_range(pl.len(), dtype=pl.Int64)
    begins = (pl.col("lead") != pl.col("lead").shift(1)).fill_null(value=True)
    return place - pl.when(begins).then(place).forward_fill() + 1


def _verdict(counts: pl.Expr, otherwise: int) -> pl.Expr:
    return pl.when(counts).then(COUNTS).otherwise(otherwise)


def sums(awards: pl.LazyFrame, expires_after: int | None, at: int) -> pl.LazyFrame:
    """Per lead: what the awards give at the instant, whether there is any, and when that next changes by itself."""
    counting = awards.filter(pl.col("verdict") == COUNTS)
    arrived = pl.col("t") <= at
    changes: pl.Expr
    if expires_after is None:
        changes = pl.when(~arrived).then("t")
    else:
        counting = counting.filter(pl.col("t") > at - expires_after)
        changes = pl.when(arrived).then(pl.col("t") + expires_after).otherwise("t")
    gives = pl.when(arrived).then("points").otherwise(0)
    return counting.group_by("lead").agg(
        gives.sum().alias("points"), arrived.any().alias("hit"), changes.min().alias("next")
    )


def collected(plans: Sequence[pl.LazyFrame]) -> list[pl.DataFrame]:
    """What each plan yields, in order, several worked out side by side."""
    return [
        frame
        for begin in range(0, len(plans), _MOST_PLANS)
        for frame in pl.collect_all(plans[begin : begin + _MOST_PLANS])
    ]
