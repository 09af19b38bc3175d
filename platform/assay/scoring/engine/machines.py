"""Events that a machine did: they count nothing, and receipts say so and why."""

from collections.abc import Mapping

import polars as pl

from assay.scoring.engine.compiling import CompiledModel
from assay.scoring.engine.evaluating import Board
from assay.scoring.engine.frames import DISCOUNTED, Scene
from assay.scoring.engine.holding import MOST_EVENTS
from assay.scoring.engine.listing import Award, Listed, moment
from assay.scoring.engine.reasons import Reason, reason
from assay.scoring.language import OnEvents, Rule

#: Of one lead under one rule, told one by one.
MOST_TOLD = 500


def why(discounted: str) -> Reason:
    """Of the text in an event's column: a code, and for some a detail after a colon."""
    code, _, detail = discounted.partition(":")
    if code in ("delivered", "sent", "links"):
        return reason(f"machine_{code}", count=int(detail))
    return reason(f"machine_{code}", agent=detail) if code == "scanner" else reason(f"machine_{code}")


def from_machines(board: Board, model: CompiledModel, _: Mapping[int, pl.DataFrame]) -> Listed:
    """A part for each that a rule would have counted."""
    scene = board.scene.discounted
    if scene is None:
        return
    for place, rule, trigger in model.event_rules:
        rows = scene.of_types(trigger.types, trigger.where).events.select("lead", "t", "row")
        if not rows.is_empty():
            yield from _of_rule(scene, place, rule, trigger, rows, model.worths[place])


def _of_rule(scene: Scene, place: int, rule: Rule, trigger: OnEvents, rows: pl.DataFrame, worth: int) -> Listed:
    told = rows.hstack(scene.events.select(pl.col("event_id", "type", DISCOUNTED).gather(rows["row"])))
    told = told.with_columns(pl.len().over("lead").alias("of_lead"))
    for lead, t, event_id, type_, text in (
        told.filter(pl.col("of_lead") <= MOST_TOLD).select("lead", "t", "event_id", "type", DISCOUNTED).iter_rows()
    ):
        what = reason("event", type=type_, at=moment(t))
        yield lead, Award(place, rule, what, t, worth, 0, why(text), (event_id,), 1)
    many = told.filter(pl.col("of_lead") > MOST_TOLD).group_by("lead", DISCOUNTED, maintain_order=True)
    sums = many.agg(pl.col("t").max(), pl.len().alias("count"), pl.col("event_id").tail(MOST_EVENTS))
    for lead, text, t, count, events in sums.iter_rows():
        what = reason("events", types=trigger.types, count=count, at=moment(t))
        yield lead, Award(place, rule, what, t, worth * count, 0, why(text), tuple(events), count)
