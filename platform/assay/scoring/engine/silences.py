"""Silences: stretches without a matching event, and the awards of idle rules.

A silence begins at a matching event, or at the lead's first sight when nothing matched before; it ends with the next
matching event. A rule's length is reached when the silence is that old and nothing has ended it by that instant.
"""

from collections.abc import Sequence
from functools import reduce
from operator import or_

import polars as pl

from assay.scoring.engine.awards import COUNTS, REPLACED
from assay.scoring.engine.frames import Scene
from assay.scoring.language import Rule, WhenSilent

Types = tuple[str, ...] | None


def families(rules: Sequence[tuple[int, Rule, WhenSilent]]) -> dict[tuple[object, ...], list[WhenSilent]]:
    """Tiers that may replace one another: same activity, dimension and group."""
    found: dict[tuple[object, ...], list[WhenSilent]] = {}
    for _, rule, trigger in rules:
        found.setdefault(family(rule, trigger), []).append(trigger)
    return found


def family(rule: Rule, trigger: WhenSilent) -> tuple[object, ...]:
    return trigger.of, rule.dimension, rule.group


def silences(scene: Scene, of: Types, *, ended_too: bool) -> pl.DataFrame:
    """Known by now: `lead`, `start`, `row` of the event it began with (or null), `end` (null while it lasts)."""
    past = scene.of_types(of).events.filter(pl.col("t") <= scene.at).select("lead", pl.col("t").alias("start"), "row")
    first = past.filter(_differs_from(1)).select("lead", pl.col("start").alias("first"))
    sights = (
        _first_sights(scene)
        .join(first, on="lead", how="left")
        .filter(pl.col("first").is_null() | (pl.col("start") < pl.col("first")))
        .select("lead", "start", pl.lit(None, pl.UInt32).alias("row"), "first")
    )
    if not ended_too:
        unbroken = sights.filter(pl.col("first").is_null()).drop("first")
        lasting = pl.concat([past.filter(_differs_from(-1)), unbroken])
        return lasting.with_columns(pl.lit(None, pl.Int64).alias("end"))
    every = pl.concat([sights.drop("first"), past]).sort("lead", "start", "row", nulls_last=False)
    return every.with_columns(pl.when(~_differs_from(-1)).then(pl.col("start").shift(-1)).alias("end"))


def _differs_from(places: int) -> pl.Expr:
    """Whether the row that many places before belongs to another lead; rows of one lead stand together."""
    return (pl.col("lead") != pl.col("lead").shift(places)).fill_null(value=True)


def _first_sights(scene: Scene) -> pl.DataFrame:
    """When each lead was first seen: as stated, else its first event of any type."""
    stated = scene.leads.select("lead", "first_seen")
    if stated["first_seen"].null_count() == 0:
        return stated.rename({"first_seen": "start"})
    earliest = (
        scene.events.filter(pl.col("t") <= scene.at)
        .filter(_differs_from(1))
        .select("lead", pl.col("t").alias("earliest"))
    )
    return (
        stated.join(earliest, on="lead", how="left")
        .select("lead", pl.coalesce("first_seen", "earliest").alias("start"))
        .drop_nulls("start")
    )


def awards(
    scene: Scene, rule: Rule, trigger: WhenSilent, tiers: Sequence[WhenSilent], known: pl.DataFrame
) -> pl.LazyFrame:
    """The awards of an idle rule; `tiers` are its family, `known` its silences."""
    deeper = [_reached(other, scene.at) for other in _next_deeper(trigger, tiers)]
    replaced = reduce(or_, deeper) if deeper else pl.lit(value=False)
    verdict = pl.when(replaced).then(REPLACED).otherwise(COUNTS)
    return (
        known.lazy()
        .filter(_reached(trigger, scene.at))
        .select(
            "lead",
            (pl.col("start") + trigger.length).alias("t"),
            "row",
            pl.lit(rule.points, pl.Int64).alias("points"),
            verdict.cast(pl.UInt8).alias("verdict"),
        )
    )


def _next_deeper(trigger: WhenSilent, tiers: Sequence[WhenSilent]) -> list[WhenSilent]:
    """The nearest tier that replaces this one, kept or not: a silence that reached a deeper one reached it too."""
    nearest: dict[bool, WhenSilent] = {}
    for other in tiers:
        is_nearer = other.kept not in nearest or other.length < nearest[other.kept].length
        if other.replaces and other.length > trigger.length and is_nearer:
            nearest[other.kept] = other
    return list(nearest.values())


def _reached(trigger: WhenSilent, at: int) -> pl.Expr:
    reaches = pl.col("start") + trigger.length
    lasting = pl.col("end").is_null()
    long_enough = (reaches <= at) & (lasting | (pl.col("end") > reaches))
    return long_enough if trigger.kept else long_enough & lasting


def changes(scene: Scene, trigger: WhenSilent, known: pl.DataFrame) -> pl.LazyFrame:
    """Per lead, the next instant at which a silence reaches the rule's length or a known future event ends it."""
    reaches = pl.col("start") + trigger.length
    tiers = known.lazy().filter(pl.col("end").is_null() & (reaches > scene.at)).select("lead", reaches.alias("next"))
    future = pl.col("t") > scene.at
    ends = scene.of_types(trigger.of).events.lazy().filter(future).select("lead", pl.col("t").alias("next"))
    # A lead never seen yet comes into sight with its first event of any type.
    unseen = scene.leads.lazy().filter(pl.col("first_seen").is_null()).select("lead")
    sights = (
        scene.events.lazy().filter(future).select("lead", pl.col("t").alias("next")).join(unseen, on="lead", how="semi")
    )
    return pl.concat([tiers, ends, sights]).group_by("lead").agg(pl.col("next").min())
