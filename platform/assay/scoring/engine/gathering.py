"""Receipts of leads with very many awards: one part for each rule and each reason, instead of one for each award.

What is gathered is added up before any award is looked at by itself, so a lead of millions of awards takes no more
than its sums; the caps are then settled over the sums as over single awards, and come out the same.
"""

from collections.abc import Collection, Mapping

import polars as pl

from assay.scoring.engine.compiling import CompiledModel
from assay.scoring.engine.evaluating import Board
from assay.scoring.engine.holding import MOST_EVENTS
from assay.scoring.engine.listing import Award, Listed, left_out, moment, over
from assay.scoring.engine.making import behind
from assay.scoring.engine.reasons import Reason, reason
from assay.scoring.language import OnEvents, Rule, WhenSilent

#: Awards of one lead under one model that are told one by one.
MOST_AWARDS = 5_000

Found = dict[int, pl.DataFrame]


def split(model: CompiledModel, found: Found) -> tuple[Found, Found]:
    """Awards to be told one by one, and those of leads that have too many.

    Conditions give one award each, and what people judged is told in their words: neither is gathered.
    """
    places = [place for place, *_ in (*model.event_rules, *model.silence_rules)]
    if not places:
        return found, {}
    leads = pl.concat([found[place].select("lead") for place in places])
    many = leads.group_by("lead").len().filter(pl.col("len") > MOST_AWARDS)["lead"]
    if many.is_empty():
        return found, {}
    is_many = pl.col("lead").is_in(many.implode())
    single = found | {place: found[place].filter(~is_many) for place in places}
    return single, {place: found[place].filter(is_many) for place in places}


def gathered(board: Board, model: CompiledModel, found: Mapping[int, pl.DataFrame]) -> Listed:
    rules: Collection[tuple[int, Rule, OnEvents | WhenSilent]] = (*model.event_rules, *model.silence_rules)
    for place, rule, trigger in rules:
        if place in found:
            yield from _of_rule(board, model, place, rule, trigger, found[place])


def _of_rule(
    board: Board, model: CompiledModel, place: int, rule: Rule, trigger: OnEvents | WhenSilent, awards: pl.DataFrame
) -> Listed:
    # Of a milestone's awards the largest counts, so it stands for them all.
    given = pl.col("worth", "points")
    instant = pl.lit(board.scene.leads["at"]).gather("lead")
    sums = (
        awards.with_columns((pl.col("t") > instant).alias("later"))
        .group_by("lead", "verdict", "active", "later", maintain_order=True)
        .agg(
            given.max() if rule.worth == "milestone" else given.sum(),
            pl.col("t").max(),
            pl.len().alias("count"),
            pl.col("row").drop_nulls().len().alias("behind"),
            pl.col("row").drop_nulls().tail(MOST_EVENTS),
        )
    )
    instants, ids = board.scene.leads["at"], board.scene.events["event_id"]
    for row in sums.iter_rows(named=True):
        lead, t = row["lead"], row["t"]
        refusal = None if row["active"] else left_out(trigger, row["verdict"]) or over(t, instants[lead], trigger)
        what = _told(model, trigger, t, row["count"])
        events = tuple(one for id_ in ids.gather(row["row"]).to_list() for one in behind(id_))
        yield lead, Award(place, rule, what, t, row["worth"], row["points"], refusal, events, row["behind"])


def _told(model: CompiledModel, trigger: OnEvents | WhenSilent, t: int, count: int) -> Reason:
    if isinstance(trigger, OnEvents):
        words = {one.type: one.words for one in model.made}
        types = tuple(words.get(type_, type_) for type_ in trigger.types)
        return reason("events", types=types, count=count, at=moment(t))
    return reason("silences", length=trigger.length, count=count, since=moment(t - trigger.length))
