"""Silences: stretches without a matching event, and the awards of idle rules.

A silence begins at a matching event, or at the lead's first sight when nothing matched before; it ends with the next
matching event. A rule's length is reached when the silence is that old and nothing has ended it by that instant.
"""

from collections.abc import Sequence
from functools import reduce
from operator import or_

import polars as pl

from assay.scoring.engine.compiling import CompiledModel, Types
from assay.scoring.engine.frames import Scene, Selection, by_lead, counted_up
from assay.scoring.language import Rule, WhenSilent


def families(model: CompiledModel) -> dict[tuple[object, ...], list[WhenSilent]]:
    """Tiers that may replace one another: same activity, dimension and group."""
    found: dict[tuple[object, ...], list[WhenSilent]] = {}
    for _, rule, trigger in model.silence_rules:
        found.setdefault(family(rule, trigger), []).append(trigger)
    return found


def family(rule: Rule, trigger: WhenSilent) -> tuple[object, ...]:
    return trigger.of, rule.dimension, rule.group


def lasting(scene: Scene, of: Types) -> pl.DataFrame:
    """One row a lead: `start` of the silence it is in (null while nothing is known), `row` of the event it began with,
    and `turn`, the next known event that ends it or brings the lead into sight.
    """
    selection = scene.of_types(of)
    rows, found = selection.events, pl.DataFrame({"begin": selection.begins, "end": selection.ends})
    if scene.has_future:
        past = counted_up(rows.select(pl.col("age") >= 0).to_series(), selection.last)
        found = found.with_columns((pl.col("begin") + past - past.shift(1, fill_value=0)).alias("past"))
    else:
        found = found.with_columns(pl.col("end").alias("past"))
    newest = pl.when(pl.col("past") > pl.col("begin")).then(pl.col("past") - 1)
    coming = pl.when(pl.col("past") < pl.col("end")).then(pl.col("past"))
    names = [name for name in ("t", "row") if name in rows.columns]
    found = found.select(
        *(pl.lit(rows[name]).gather(newest).alias(f"newest_{name}") for name in names),
        pl.lit(rows["t"]).gather(coming).alias("turn"),
    )
    sights = _sights(scene)
    return found.select(
        pl.coalesce("newest_t", pl.lit(sights["sight"])).alias("start"),
        (pl.col("newest_row") if "newest_row" in found.columns else pl.lit(None, pl.UInt32)).alias("row"),
        pl.min_horizontal("turn", pl.lit(sights["turn"])).alias("turn"),
    )


def _sights(scene: Scene) -> pl.DataFrame:
    """Per lead, when it was first seen: as stated, else its first event of any type; and when it may be."""
    stated = scene.leads.select(pl.col("first_seen").alias("sight"), pl.lit(None, pl.Int64).alias("turn"))
    if stated["sight"].null_count() == 0:
        return stated
    selection = scene.of_types(None)
    bounds = pl.DataFrame({"begin": selection.begins, "end": selection.ends})
    first = bounds.select(pl.when(pl.col("begin") < pl.col("end")).then(pl.col("begin"))).to_series()
    events = selection.events
    seen = pl.DataFrame({"t": events["t"].gather(first), "age": events["age"].gather(first)})
    # A lead never seen yet comes into sight with its first event of any type; past ones make this its first sight.
    coming = (
        _next_of_any(scene, selection) if scene.has_future else pl.repeat(None, scene.size, dtype=pl.Int64, eager=True)
    )
    return scene.leads.select(
        pl.coalesce("first_seen", pl.lit(seen.select(pl.when(pl.col("age") >= 0).then("t")).to_series())).alias(
            "sight"
        ),
        pl.when(pl.col("first_seen").is_null()).then(pl.lit(coming)).alias("turn"),
    )


def _next_of_any(scene: Scene, selection: Selection) -> pl.Series:
    future = selection.events.filter(pl.col("age") < 0).group_by("lead").agg(pl.col("t").min().alias("next"))
    return scene.dense(future, "next")


def kept(scene: Scene, of: Types) -> pl.DataFrame:
    """Every silence known by now, in order: `lead`, `start`, `row`, `end` (null while it lasts), `at`."""
    columns = {"lead": pl.UInt32, "start": pl.Int64, "row": pl.UInt32, "end": pl.Int64}
    past = scene.of_types(of).events.filter(pl.col("age") >= 0).rename({"t": "start"})
    if "row" not in past.columns:
        past = past.with_columns(pl.lit(None, pl.UInt32).alias("row"))
    past = past.select("lead", "start", "row")
    first = past.filter(_differs_from(1)).select("lead", pl.col("start").alias("first"))
    sights = (
        pl.DataFrame({"lead": scene.leads["lead"], "start": _sights(scene)["sight"]})
        .drop_nulls("start")
        .join(first, on="lead", how="left")
        .filter(pl.col("first").is_null() | (pl.col("start") < pl.col("first")))
        .select("lead", "start", pl.lit(None, pl.UInt32).alias("row"))
    )
    every = pl.concat([sights, past]).sort("lead", "start", "row", nulls_last=False)
    every = every.with_columns(pl.when(~_differs_from(-1)).then(pl.col("start").shift(-1)).alias("end"))
    return every.select(*columns, pl.lit(scene.leads["at"]).gather("lead").alias("at"))


def _differs_from(places: int) -> pl.Expr:
    """Whether the row that many places before belongs to another lead; rows of one lead stand together."""
    return (pl.col("lead") != pl.col("lead").shift(places)).fill_null(value=True)


def kept_awards(silences: pl.DataFrame, trigger: WhenSilent, tiers: Sequence[WhenSilent]) -> pl.DataFrame:
    """The awards of a rule that keeps them, as events: lead, t, age, row; and whether a deeper tier `replaced` them."""
    return silences.filter(_reached(trigger)).select(
        "lead",
        (pl.col("start") + trigger.length).alias("t"),
        (pl.col("at") - pl.col("start") - trigger.length).alias("age"),
        "row",
        replaced(trigger, tiers).alias("replaced"),
    )


def kept_selection(scene: Scene, rule: Rule, trigger: WhenSilent, tiers: Sequence[WhenSilent]) -> Selection:
    """Those awards that no deeper tier replaced."""
    key = ("kept", trigger.of)
    if key not in scene.selections:
        scene.selections[key] = Selection(kept(scene, trigger.of), pl.Series(dtype=pl.Int64))
    awards = kept_awards(scene.selections[key].events, trigger, tiers)
    return by_lead(awards.filter(~pl.col("replaced")), scene.size)


def replaced(trigger: WhenSilent, tiers: Sequence[WhenSilent]) -> pl.Expr:
    """Over silences: whether one has reached a tier that takes the place of this one."""
    deeper = [_reached(other) for other in _next_deeper(trigger, tiers)]
    return reduce(or_, deeper) if deeper else pl.lit(value=False)


def _next_deeper(trigger: WhenSilent, tiers: Sequence[WhenSilent]) -> list[WhenSilent]:
    """The nearest tier that replaces this one, kept or not: a silence that reached a deeper one reached it too."""
    nearest: dict[bool, WhenSilent] = {}
    for other in tiers:
        is_nearer = other.kept not in nearest or other.length < nearest[other.kept].length
        if other.replaces and other.length > trigger.length and is_nearer:
            nearest[other.kept] = other
    return list(nearest.values())


def _reached(trigger: WhenSilent) -> pl.Expr:
    reaches = pl.col("start") + trigger.length
    unbroken = pl.col("end").is_null()
    long_enough = (reaches <= pl.col("at")) & (unbroken | (pl.col("end") > reaches))
    return long_enough if trigger.kept else long_enough & unbroken


def holds(trigger: WhenSilent, tiers: Sequence[WhenSilent], start: pl.Expr, at: pl.Expr) -> pl.Expr:
    """Over leads: whether the silence a lead is in has reached a tier that is not kept, and none in its place."""
    held = start + trigger.length <= at
    deeper = [start + other.length <= at for other in _next_deeper(trigger, tiers)]
    return (held & ~reduce(or_, deeper) if deeper else held).fill_null(value=False)


def passing_awards(states: pl.DataFrame, trigger: WhenSilent, tiers: Sequence[WhenSilent]) -> pl.DataFrame:
    """The awards of a rule that keeps none, from the silence each lead is in; shaped like kept ones."""
    lasting = states.with_columns(pl.lit(None, pl.Int64).alias("end")).drop_nulls("start")
    return kept_awards(lasting, trigger, tiers)
