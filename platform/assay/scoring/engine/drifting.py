"""When points that fade without steps next change what a lead is: the crossing of a threshold, to the microsecond.

Between two instants at which something changes in steps every award only loses worth, so what each rule gives at both
ends bounds what it gives between, and caps, sums and clamps keep bounds in order. A stretch of time in which a
threshold lies between the bounds is cut into shorter ones until a single microsecond is left.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import or_

import polars as pl

from assay.scoring.engine.compiling import CompiledModel
from assay.scoring.engine.evaluating import Evaluated, evaluate
from assay.scoring.engine.frames import Scene, moved
from assay.scoring.engine.totals import overridden, rounded, shown, summed
from assay.scoring.language import OfModel

_DAY = 86_400_000_000
#: Rows of events looked at in one round of the search.
_MOST_ROWS = 200_000
_FEWEST_CUTS, _MOST_CUTS = 4, 1024
#: How many false alarms a search follows before it rather wakes the lead early.
_MOST_ALARMS = 20


@dataclass(frozen=True)
class _Edge:
    """A threshold of a model's total or of one of its dimensions; reached by ≥ or, when exclusive, by >."""

    column: str
    threshold: int
    inclusive: bool

    def reached(self, prefix: str = "") -> pl.Expr:
        value = pl.col(prefix + self.column)
        return value >= self.threshold if self.inclusive else value > self.threshold


_Found = Mapping[str, Evaluated]


def settle(scene: Scene, one: Evaluated, found: _Found) -> pl.Series:
    """Per lead the next instant at which anything can change; drifting alone is looked at once a day."""
    model = one.model
    if not model.smooth:
        return one.turns
    who = _drifting(model, found)
    if who.is_empty():
        return one.turns
    at = scene.leads["at"].gather(who)
    turns = pl.DataFrame({"turn": one.turns.gather(who), "at": at})
    ends = turns.select(pl.min_horizontal("turn", pl.col("at") + _DAY).alias("end")).to_series()
    later = evaluate(moved(scene, who, ends - 1), [model]).found
    alarmed = _alarms(model, _some(found, who), later)
    crossings = _search(scene, model, who.filter(alarmed), at.filter(alarmed), ends.filter(alarmed))
    change = one.turns.clone().scatter(who, ends)
    return change.scatter(who.filter(alarmed), crossings) if alarmed.any() else change


def _drifting(model: CompiledModel, found: _Found) -> pl.Series:
    """The leads with an award that loses worth right now, here or in a model this one refers to."""
    masks: list[pl.Series] = []
    for other in model.closure:
        values = found[other.hash].values
        names = [name for place in other.smooth_rules for name in _smooth_columns(place) if name in values.columns]
        if names:
            own = pl.any_horizontal(pl.col(name).fill_null(0) != 0 for name in names)
            masks.append(values.select((own & pl.col("applies")).alias("drifts")).to_series())
    return reduce(or_, masks).arg_true()


def _smooth_columns(place: int) -> tuple[str, ...]:
    return f"rule:{place}", f"loss:{place}", f"milestone:{place}"


def _some(found: _Found, who: pl.Series) -> dict[str, Evaluated]:
    return {
        key: Evaluated(one.model, one.values[who], one.outcome[who], one.turns.gather(who))
        for key, one in found.items()
    }


def _search(scene: Scene, model: CompiledModel, who: pl.Series, begin: pl.Series, end: pl.Series) -> pl.Series:
    """Per lead the first instant after `begin` and before `end` at which a threshold is crossed, else `end`."""
    waiting = pl.DataFrame(
        {"slot": pl.int_range(len(who), eager=True), "who": who, "lo": begin, "hi": end - 1, "end": end}
    ).with_columns(pl.lit(0).alias("alarms"))
    answer = end.clone()
    while not waiting.is_empty():
        found = _first_alarms(scene, model, waiting, _cuts(scene, waiting["who"]))
        narrow = (pl.col("high") - pl.col("low") == 1).fill_null(value=False)
        # A stretch that turns out free of crossings, or a microsecond in which only the bounds lay on two sides.
        false = pl.col("low").is_null() | (narrow & ~pl.col("crossed"))
        reached = pl.when(pl.col("low").is_null()).then("hi").otherwise("high")
        found = found.with_columns(false.alias("false"), reached.alias("reached"))
        crossed = (narrow & ~pl.col("false")) | (pl.col("false") & (pl.col("alarms") >= _MOST_ALARMS))
        settled = found.filter(crossed & (pl.col("reached") < pl.col("end") - 1) | (narrow & ~pl.col("false")))
        if not settled.is_empty():
            answer = answer.scatter(settled["slot"], settled["reached"])
        waiting = (
            found.filter(~crossed)
            .select(
                "slot",
                "who",
                pl.when("false").then("reached").otherwise("low").alias("lo"),
                pl.when("false").then(pl.col("end") - 1).otherwise("high").alias("hi"),
                "end",
                (pl.col("alarms") + pl.col("false").cast(pl.Int32)).alias("alarms"),
            )
            .filter(pl.col("lo") < pl.col("hi"))
        )
    return answer


def _cuts(scene: Scene, who: pl.Series) -> int:
    rows = (scene.every.ends.gather(who) - scene.every.begins.gather(who)).sum() + 10 * len(who)
    return int(min(max(_MOST_ROWS // rows, _FEWEST_CUTS), _MOST_CUTS))


def _first_alarms(scene: Scene, model: CompiledModel, waiting: pl.DataFrame, cuts: int) -> pl.DataFrame:
    """The first part of each stretch that alarms, from `low` to `high` (null where none does).

    `crossed` tells whether a threshold is reached at one of its ends and not at the other.
    """
    points = (
        waiting.with_columns(pl.lit(list(range(cuts + 1)), pl.List(pl.Int64)).alias("part"))
        .explode("part")
        .with_columns((pl.col("lo") + (pl.col("hi") - pl.col("lo")) * pl.col("part") // cuts).alias("at"))
    )
    found = evaluate(moved(scene, points["who"], points["at"]), [model]).found
    before, after = (
        points.select(which).to_series().arg_true() for which in (pl.col("part") < cuts, pl.col("part") > 0)
    )
    early, late = _some(found, before), _some(found, after)
    pairs = pl.DataFrame(
        {
            "slot": points["slot"].gather(before),
            "low": points["at"].gather(before),
            "high": points["at"].gather(after),
            "crossed": _crossings(model, early, late),
        }
    ).filter(_alarms(model, early, late))
    first = pairs.group_by("slot", maintain_order=True).first()
    return waiting.join(first, on="slot", how="left", maintain_order="left")


def _alarms(model: CompiledModel, early: _Found, late: _Found) -> pl.Series:
    """Whether a threshold lies between the bounds of what is given from one instant to the other."""
    masks = []
    for hash_, edges in _watched(model).items():
        bounds = _bounds(early[hash_], late[hash_])
        differs = pl.any_horizontal(edge.reached("low:") != edge.reached("high:") for edge in edges)
        masks.append(bounds.select(differs.fill_null(value=False).alias("differs")).to_series())
    return _either(masks, early[model.hash])


def _crossings(model: CompiledModel, early: _Found, late: _Found) -> pl.Series:
    """Whether a threshold is reached at one instant and not at the other."""
    masks = []
    for hash_, edges in _watched(model).items():
        names = list(dict.fromkeys(edge.column for edge in edges))
        both = pl.concat(
            [
                early[hash_].outcome.select(pl.col(names).name.prefix("low:")),
                late[hash_].outcome.select(pl.col(names).name.prefix("high:")),
            ],
            how="horizontal",
        )
        differs = pl.any_horizontal(edge.reached("low:") != edge.reached("high:") for edge in edges)
        masks.append(both.select(differs.fill_null(value=False).alias("differs")).to_series())
    return _either(masks, early[model.hash])


def _either(masks: list[pl.Series], one: Evaluated) -> pl.Series:
    none = pl.repeat(value=False, n=one.values.height, dtype=pl.Boolean, eager=True)
    return reduce(or_, masks, none)


def _bounds(early: Evaluated, late: Evaluated) -> pl.DataFrame:
    """`low:` and `high:` of total and dimensions, in thousandths, where the model applies."""
    model = early.model
    low, high = [], []
    for place in sorted(model.smooth_rules):
        gain, loss, milestone = _smooth_columns(place)
        if milestone in early.values.columns:
            low.append(late.values[milestone])
            continue
        zero = early.values[gain] * 0
        before, after = (one.values[loss] if loss in one.values.columns else zero for one in (early, late))
        low.append((late.values[gain] - after + before).alias(gain))
        high.append((early.values[gain] - before + after).alias(gain))
    frames = []
    for prefix, changed in (("low", low), ("high", high)):
        sums = summed(model, early.values.with_columns(changed))
        frames.append(sums.select(pl.col("raw").alias(f"{prefix}:raw"), *_running(model, prefix)))
    fixed = early.values.select("applies", *overridden(model.model))
    both = pl.concat([*frames, fixed], how="horizontal")
    total = [
        pl.when("applies")
        .then(shown(model.model, rounded(pl.col(f"{prefix}:raw"), model.unit)))
        .alias(f"{prefix}:total")
        for prefix in ("low", "high")
    ]
    return both.select(*total, *_dimension_bounds(model))


def _running(model: CompiledModel, prefix: str) -> Iterator[pl.Expr]:
    total = pl.lit(0, pl.Int64)
    for dimension in model.model.dimensions:
        name = f"dimension:{dimension.name}"
        yield pl.col(name).alias(f"{prefix}:own:{name}")
        yield total.alias(f"{prefix}:before:{name}")
        total = total + pl.col(name)
        yield total.alias(f"{prefix}:after:{name}")


def _dimension_bounds(model: CompiledModel) -> Iterator[pl.Expr]:
    """A dimension's thousandths are the difference of two rounded sums, and within one of its own."""
    unit = model.unit
    for dimension in model.model.dimensions:
        name = f"dimension:{dimension.name}"
        for prefix, other, slack in (("low", "high", -1), ("high", "low", 1)):
            own = rounded(pl.col(f"{prefix}:own:{name}"), unit) + (slack if unit > 1 else 0)
            apart = rounded(pl.col(f"{prefix}:after:{name}"), unit) - rounded(pl.col(f"{other}:before:{name}"), unit)
            tighter = pl.max_horizontal(own, apart) if prefix == "low" else pl.min_horizontal(own, apart)
            yield pl.when("applies").then(tighter).alias(f"{prefix}:{name}")


def _watched(model: CompiledModel) -> dict[str, list[_Edge]]:
    """By model, the thresholds that decide what this one is: its own, and those its conditions on others ask about."""
    found: dict[str, dict[_Edge, None]] = {model.hash: dict.fromkeys(_own_edges(model))}
    for user in model.closure:
        for leaf in user.leaves:
            if isinstance(leaf, OfModel) and user.references[leaf.model].smooth:
                other = user.references[leaf.model]
                found.setdefault(other.hash, {}).update(dict.fromkeys(_asked_edges(leaf, other)))
    return {key: list(edges) for key, edges in found.items() if edges}


def _own_edges(model: CompiledModel) -> Iterator[_Edge]:
    for stage in model.model.stages:
        yield _Edge("total", stage.threshold, stage.inclusive)
    for grade in model.model.grades:
        for band in grade.bands:
            yield _Edge(f"dimension:{grade.dimension}", band.threshold, inclusive=True)


def _asked_edges(asked: OfModel, other: CompiledModel) -> Iterator[_Edge]:
    if asked.aspect in ("stage", "grade"):
        yield from _own_edges(other)
    if asked.aspect != "score":
        return
    column = "total" if asked.dimension is None else f"dimension:{asked.dimension}"
    low, high = asked.operand if isinstance(asked.operand, tuple) else (asked.operand, asked.operand)
    if asked.word in ("is", "between", "gte", "lt"):
        yield _Edge(column, int(low), inclusive=True)
    if asked.word in ("is", "between", "gt", "lte"):
        yield _Edge(column, int(high), inclusive=False)
