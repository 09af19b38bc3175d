"""What every rule gives every lead of a scene, model by model, each after those it refers to; rules that several
models share are looked at once.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import polars as pl

from assay.scoring.engine import judging, silences, totals
from assay.scoring.engine.compiling import CompiledModel, Types, in_order
from assay.scoring.engine.conditions import Columns, expression
from assay.scoring.engine.fading import is_smooth
from assay.scoring.engine.frames import Scene, Selection
from assay.scoring.engine.lists import turns
from assay.scoring.engine.tallies import Asked, Tally, counted, tally
from assay.scoring.language import (
    Comparison,
    Condition,
    EventCount,
    Fading,
    OfModel,
    OnEvents,
    Rule,
    conditions,
    leaves,
)

#: Polars plans slowly over very many expressions at once.
_MOST_EXPRESSIONS = 500


@dataclass(frozen=True)
class Evaluated:
    """One model over the leads of a scene."""

    model: CompiledModel
    #: In units, before caps: see `totals`.
    values: pl.DataFrame
    #: What comes out: see `totals.outcome`.
    outcome: pl.DataFrame
    #: When this model, or one it refers to, next changes otherwise than by drifting; null for never.
    turns: pl.Series


@dataclass
class Board:
    """What is known of the leads while their models are evaluated."""

    scene: Scene
    models: Sequence[CompiledModel]
    leads: pl.DataFrame
    tallies: dict[tuple[int, Asked], Tally]
    counts: dict[EventCount, str] = field(default_factory=dict)
    held: dict[tuple[Condition, str | None], pl.Series] = field(default_factory=dict)
    found: dict[str, Evaluated] = field(default_factory=dict)
    lasting: dict[Types, pl.DataFrame] = field(default_factory=dict)
    dates: dict[tuple[Types, Condition], pl.Series | None] = field(default_factory=dict)

    def tally_of(self, trigger: OnEvents) -> Tally:
        selection, asked = counted(self.scene, trigger)
        return self.tallies[id(selection), asked]

    def tally_of_count(self, count: EventCount) -> Tally:
        selection, asked = _window(self.scene, count)
        return self.tallies[id(selection), asked]

    def silence(self, of: Types) -> pl.DataFrame:
        if of not in self.lasting:
            self.lasting[of] = silences.lasting(self.scene, of)
        return self.lasting[of]

    def columns(self, model: CompiledModel) -> Columns:
        prefixes = {name: f"of:{other.hash}" for name, other in model.references.items()}
        return Columns(self.scene.columns.lists, self.counts, prefixes)

    def hold(self, model: CompiledModel, asked: Iterable[Condition]) -> list[pl.Series]:
        """Where each condition is true."""
        wanted = {condition: (condition, _asker(model, condition)) for condition in asked}
        new = {condition: key for condition, key in wanted.items() if key not in self.held}
        columns = self.columns(model)
        gives = [expression(condition, columns).fill_null(value=False) for condition in new]
        for key, series in zip(new.values(), in_parts(self.leads, gives), strict=True):
            self.held[key] = series
        return [self.held[key] for key in wanted.values()]


def _asker(model: CompiledModel, condition: Condition) -> str | None:
    """A condition on other models means something of its own to each model, by the versions it refers to."""
    return model.hash if any(isinstance(leaf, OfModel) for leaf in leaves(condition)) else None


def in_parts(frame: pl.DataFrame, gives: Sequence[pl.Expr]) -> list[pl.Series]:
    found: list[pl.Series] = []
    for begin in range(0, len(gives), _MOST_EXPRESSIONS):
        part = gives[begin : begin + _MOST_EXPRESSIONS]
        found += frame.select(one.alias(str(place)) for place, one in enumerate(part)).get_columns()
    return found


def evaluate(scene: Scene, models: Sequence[CompiledModel]) -> Board:
    """A board on which the models and all they refer to are `found`."""
    board = _prepared(scene, models)
    for model in board.models:
        board.found[model.hash] = _evaluated(board, model)
    return board


def _prepared(scene: Scene, models: Sequence[CompiledModel]) -> Board:
    """Every count of events that the models ask for."""
    ordered = in_order(models)
    counts = list(dict.fromkeys(count for model in ordered for count in model.event_counts))
    triggers = dict.fromkeys(trigger for model in ordered for _, _, trigger in model.event_rules)
    wanted = [counted(scene, trigger) for trigger in triggers] + [_window(scene, count) for count in counts]
    by_selection: dict[int, tuple[Selection, list[Asked]]] = {}
    for selection, asked in wanted:
        by_selection.setdefault(id(selection), (selection, []))[1].append(asked)
    tallies = {
        (key, asked): found
        for key, (selection, every) in by_selection.items()
        for asked, found in tally(scene, selection, every).items()
    }
    board = Board(scene, ordered, scene.leads, tallies)
    for place, count in enumerate(counts):
        board.counts[count] = f"count:{place}"
    board.leads = scene.leads.hstack([_counted(board, count).alias(name) for count, name in board.counts.items()])
    return board


def _window(scene: Scene, count: EventCount) -> tuple[Selection, Asked]:
    fading = None if count.within is None else Fading("after", count.within)
    return scene.of_types(count.types, count.where), Asked(("all", 0), fading)


def _counted(board: Board, count: EventCount) -> pl.Series:
    found = board.tally_of_count(count)
    if count.distinct is None:
        return found.n
    rows = (
        found.selection.events.with_columns(
            pl.int_range(pl.len(), dtype=pl.Int64).alias("place"),
            pl.lit(found.lo).gather("lead").alias("lo"),
            pl.lit(found.hi).gather("lead").alias("hi"),
        )
        .filter(pl.col("place").is_between("lo", "hi", closed="left"))
        .drop_nulls(f"property:{count.distinct}")
        .group_by("lead")
        .agg(pl.col(f"property:{count.distinct}").n_unique().cast(pl.Int64).alias("values"))
    )
    return board.scene.dense(rows, "values", 0)


def _evaluated(board: Board, model: CompiledModel) -> Evaluated:
    values: dict[str, pl.Series] = {}
    changes: list[pl.Series] = []
    _from_conditions(board, model, values)
    _from_events(board, model, values, changes)
    _from_silences(board, model, values, changes)
    if model.model.judgements.counted:
        given, turn = judging.given(board.scene, model)
        values[f"rule:{len(model.model.rules)}"] = given
        changes += [turn] if turn is not None else []
    for override in model.model.overrides:
        values[f"override:{override.id}"] = board.hold(model, [override.condition])[0]
    audience = model.model.audience
    values["applies"] = (
        pl.repeat(value=True, n=board.scene.size, dtype=pl.Boolean, eager=True)
        if audience is None
        else board.hold(model, [audience])[0]
    )
    frame = pl.DataFrame(values)
    outcome = totals.outcome(model, frame)
    _publish(board, model, outcome)
    return Evaluated(model, frame, outcome, _turns(board, model, values["applies"], changes))


def _from_conditions(board: Board, model: CompiledModel, values: dict[str, pl.Series]) -> None:
    rules = model.condition_rules
    held = board.hold(model, dict.fromkeys(condition for _, _, condition in rules))
    by_condition = dict(zip(dict.fromkeys(condition for _, _, condition in rules), held, strict=True))
    for place, rule, condition in rules:
        _put(values, model, place, rule, by_condition[condition])


def _put(values: dict[str, pl.Series], model: CompiledModel, place: int, rule: Rule, holds: pl.Series) -> None:
    """A rule that gives its whole worth or nothing."""
    gives = holds.cast(pl.Int64) * model.worths[place]
    if rule.worth == "milestone":
        values[f"milestone:{place}"] = gives.set(~holds, None)
        return
    values[f"rule:{place}"] = gives
    if place in model.first_matches:
        values[f"hit:{place}"] = holds


def _from_events(board: Board, model: CompiledModel, values: dict[str, pl.Series], changes: list[pl.Series]) -> None:
    for place, rule, trigger in model.event_rules:
        found = board.tally_of(trigger)
        then = trigger.count.then * model.unit if trigger.count.word == "first_points" else None
        _put_tally(values, model, place, rule, found, then)
        changes += found.next
        turn = _dated(board, trigger.types, trigger.where)
        changes += [turn] if turn is not None else []


def _put_tally(
    values: dict[str, pl.Series], model: CompiledModel, place: int, rule: Rule, found: Tally, then: int | None
) -> None:
    if rule.worth == "milestone":
        values[f"milestone:{place}"] = found.milestone(model.worths[place])
        return
    parts = found.gains(model.worths[place], then)
    values[f"rule:{place}"] = parts[0] if len(parts) == 1 else parts[0] + parts[1]
    if place in model.first_matches:
        values[f"hit:{place}"] = found.n > 0
    if is_smooth(found.asked.fading):
        signs = [model.worths[place]] if then is None else [model.worths[place], then]
        losses = [part for part, sign in zip(parts, signs, strict=False) if sign < 0]
        if losses:
            values[f"loss:{place}"] = losses[0] if len(losses) == 1 else losses[0] + losses[1]


def _from_silences(board: Board, model: CompiledModel, values: dict[str, pl.Series], changes: list[pl.Series]) -> None:
    tiers = silences.families(model)
    for place, rule, trigger in model.silence_rules:
        state = board.silence(trigger.of).with_columns(board.leads["at"])
        start, at = pl.col("start"), pl.col("at")
        family = tiers[silences.family(rule, trigger)]
        changes += state.select(
            pl.when(start + trigger.length > at).then(start + trigger.length).alias("reach"), "turn"
        ).get_columns()
        if trigger.kept:
            selection = silences.kept_selection(board.scene, rule, trigger, family)
            asked = Asked(("all", 0), trigger.fading)
            found = tally(board.scene, selection, [asked])[asked]
            _put_tally(values, model, place, rule, found, None)
            changes += found.next
        else:
            _put(values, model, place, rule, state.select(silences.holds(trigger, family, start, at)).to_series())


def _dated(board: Board, types: Types, where: Condition | None) -> pl.Series | None:
    """When a date on an event next turns, of those that a condition on it reads."""
    if where is None:
        return None
    if (types, where) not in board.dates:
        events, columns = board.scene.turns_of(types)
        events = events.with_columns((pl.col("t") + pl.col("age")).alias("at"))
        found = _all_turns(where, columns)
        rows = events.group_by("lead").agg(pl.min_horizontal(found).min().alias("next")) if found else None
        board.dates[types, where] = None if rows is None else board.scene.dense(rows, "next")
    return board.dates[types, where]


def _all_turns(condition: Condition, columns: Columns) -> list[pl.Expr]:
    return [turn for leaf in leaves(condition) if isinstance(leaf, Comparison) for turn in turns(leaf, columns)]


def _turns(board: Board, model: CompiledModel, applies: pl.Series, own: list[pl.Series]) -> pl.Series:
    """When the model next changes by itself; whom it does not score, when its audience may."""
    audience = model.model.audience
    of_audience = [] if audience is None else _condition_turns(board, model, [audience])
    every = own + _condition_turns(board, model, list(conditions(model.model)))
    if audience is None:
        return _earliest(every, board.scene.size)
    frame = pl.DataFrame(
        {
            "applies": applies,
            "every": _earliest(every, board.scene.size),
            "audience": _earliest(of_audience, board.scene.size),
        }
    )
    return frame.select(pl.when("applies").then("every").otherwise("audience")).to_series()


def _condition_turns(board: Board, model: CompiledModel, whole: Sequence[Condition]) -> list[pl.Series]:
    found: list[pl.Series] = []
    dates: list[pl.Expr] = []
    for leaf in dict.fromkeys(leaf for condition in whole for leaf in leaves(condition)):
        if isinstance(leaf, Comparison):
            dates += turns(leaf, board.scene.columns)
        elif isinstance(leaf, EventCount):
            found += board.tally_of_count(leaf).next
            turn = _dated(board, leaf.types, leaf.where)
            found += [turn] if turn is not None else []
        else:
            found.append(board.found[model.references[leaf.model].hash].turns)
    if dates:
        found.append(board.leads.select(pl.min_horizontal(dates).alias("next"))["next"])
    return found


def _earliest(changes: Sequence[pl.Series], size: int) -> pl.Series:
    changes = list({id(found): found for found in changes}.values())
    if not changes:
        return pl.repeat(None, size, dtype=pl.Int64, eager=True)
    if len(changes) == 1:
        return changes[0]
    frame = pl.DataFrame([found.alias(str(place)) for place, found in enumerate(changes)])
    return frame.select(pl.min_horizontal(pl.all()).alias("next")).to_series()


def _publish(board: Board, model: CompiledModel, outcome: pl.DataFrame) -> None:
    """Gives other models' conditions the columns they read."""
    if not any(model.hash == other.hash for user in board.models for other in user.references.values()):
        return
    prefix = f"of:{model.hash}"
    board.leads = board.leads.hstack(outcome.select(pl.all().name.prefix(f"{prefix}:")))
