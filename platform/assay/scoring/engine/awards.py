"""Awards one by one, for receipts: which events earn points, which are left out, and why.

    scene = prepare([model], leads, events, at)
    board = evaluate(scene, [model])
    awards.of_model(board, model)      # {place of the rule: its awards}; the place after the last rule: judgements
    scored(board, [model])             # the rows `score` gives

A frame of awards has one row per matching event, silence, judgement or lead that a condition holds for, left-out ones
included, in the order of leads, then of time:

    lead     row number in scene.leads (where its instant `at` stands)
    t        the award's own instant, null for a condition that simply holds
    row      the event behind it (row in scene.events: event_id, type, property:…), or null
    worth    units when fresh; model.unit of them are a thousandth
    points   units at `at`, faded; 0 while not active
    verdict  COUNTS, or the reason why the rule's own words leave it out
    active   whether it counts now: by the rule's words, arrived, and not wholly faded
    ends     judgements alone: when it expires or is withdrawn, or null

The fading is the rule's (`language.worth.fading_of`). Of a milestone's active awards the newest is the largest.
"""

import polars as pl

from assay.scoring.engine import judging, silences
from assay.scoring.engine.chains import greedy
from assay.scoring.engine.compiling import CompiledModel
from assay.scoring.engine.evaluating import Board
from assay.scoring.engine.fading import is_active, lasts, left
from assay.scoring.engine.frames import Scene
from assay.scoring.engine.tallies import is_first_of_value
from assay.scoring.language import Condition, Fading, OnEvents, Rule, WhenHolds, WhenSilent

COUNTS = 0
COUNTED_ONCE = 1
COUNTED_FOR_VALUE = 2
BEYOND_FIRST = 3
BEFORE_FROM = 4
WITHOUT_VALUE = 5
STILL_ACTIVE = 6
REPLACED = 7

_COLUMNS = ("lead", "t", "row", "worth", "points", "verdict", "active")


def of_model(board: Board, model: CompiledModel) -> dict[int, pl.DataFrame]:
    found: dict[int, pl.DataFrame] = {}
    tiers = silences.families(model)
    for place, rule in enumerate(model.model.rules):
        trigger, worth = rule.trigger, model.worths[place]
        if isinstance(trigger, WhenHolds):
            found[place] = _of_condition(board, model, trigger.condition, worth)
        elif isinstance(trigger, OnEvents):
            found[place] = _of_events(board.scene, trigger, worth, trigger.count.then * model.unit)
        elif isinstance(trigger, WhenSilent):
            found[place] = _of_silences(board, rule, trigger, worth, tiers[silences.family(rule, trigger)])
    if model.model.judgements.counted and judging.has_any(board.scene):
        found[len(model.model.rules)] = _of_judgements(board.scene, model)
    return found


def _of_condition(board: Board, model: CompiledModel, condition: Condition, worth: int) -> pl.DataFrame:
    held = board.hold(model, [condition])[0]
    return board.scene.leads.filter(held).select(
        "lead",
        pl.lit(None, pl.Int64).alias("t"),
        pl.lit(None, pl.UInt32).alias("row"),
        pl.lit(worth, pl.Int64).alias("worth"),
        pl.lit(worth, pl.Int64).alias("points"),
        pl.lit(COUNTS, pl.UInt8).alias("verdict"),
        pl.lit(value=True).alias("active"),
    )


def _of_events(scene: Scene, trigger: OnEvents, worth: int, then: int) -> pl.DataFrame:
    selection = scene.of_types(trigger.types, trigger.where)
    begins = pl.lit(selection.begins).gather("lead")
    events = selection.events.with_columns((pl.int_range(pl.len(), dtype=pl.Int64) - begins + 1).alias("nth"))
    is_later = (pl.col("nth") > 1) & pl.lit(trigger.count.word == "first_points")
    return _faded(
        events.with_columns(
            pl.when(is_later).then(pl.lit(then, pl.Int64)).otherwise(pl.lit(worth, pl.Int64)).alias("worth"),
            _verdict(trigger, events).cast(pl.UInt8).alias("verdict"),
        ),
        trigger.fading,
        (worth, then),
    )


def _verdict(trigger: OnEvents, events: pl.DataFrame) -> pl.Expr:
    count, nth = trigger.count, pl.col("nth")
    match count.word:
        case "once":
            return _if(nth == 1, COUNTED_ONCE)
        case "once_while_active":
            life = lasts(trigger.fading)
            chosen = nth == 1 if life is None else pl.lit(greedy(events.select("lead", "t"), life))
            return _if(chosen, COUNTED_ONCE if life is None else STILL_ACTIVE)
        case "once_per":
            missing = pl.col(f"property:{count.property}").is_null()
            first = _if(is_first_of_value(count.property), COUNTED_FOR_VALUE)
            return pl.when(missing).then(WITHOUT_VALUE).otherwise(first)
        case "first":
            return _if(nth <= count.number, BEYOND_FIRST)
        case "from":
            return _if(nth >= count.number, BEFORE_FROM)
    return pl.lit(COUNTS)


def _if(counts: pl.Expr, otherwise: int) -> pl.Expr:
    return pl.when(counts).then(COUNTS).otherwise(otherwise)


def _of_silences(board: Board, rule: Rule, trigger: WhenSilent, worth: int, tiers: list[WhenSilent]) -> pl.DataFrame:
    if trigger.kept:
        found = silences.kept_awards(silences.kept(board.scene, trigger.of), trigger, tiers)
    else:
        state = board.silence(trigger.of).hstack(board.scene.leads.select("lead", "at"))
        found = silences.passing_awards(state, trigger, tiers)
    verdict = _if(~pl.col("replaced"), REPLACED).cast(pl.UInt8).alias("verdict")
    return _faded(found.with_columns(pl.lit(worth, pl.Int64).alias("worth"), verdict), trigger.fading, (worth,))


def _of_judgements(scene: Scene, model: CompiledModel) -> pl.DataFrame:
    return judging.judgements(scene, model).select(
        "lead",
        "t",
        "row",
        "worth",
        pl.when("active").then("worth").otherwise(0).alias("points"),
        pl.lit(COUNTS, pl.UInt8).alias("verdict"),
        "active",
        "ends",
    )


def _faded(awards: pl.DataFrame, fading: Fading | None, worths: tuple[int, ...]) -> pl.DataFrame:
    """Awards of a few worths, with what they give now."""
    active = (pl.col("verdict") == COUNTS) & is_active(fading, pl.col("age"))
    points = pl.lit(0, pl.Int64)
    for worth in dict.fromkeys(worths):
        points = pl.when(pl.col("worth") == worth).then(left(worth, fading, pl.col("age"))).otherwise(points)
    given = pl.when(active).then(points).otherwise(0).alias("points")
    return awards.with_columns(active.alias("active"), given).select(_COLUMNS)
