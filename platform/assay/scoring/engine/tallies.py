"""How many awards each lead has, and when that next changes: counting by places in the one order of events.

A lead's events stand together by time, so those that have happened and have not faded are a stretch of rows. Where it
begins and ends is found for all leads at once from running counts; no row is looked at per rule but by those two.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import polars as pl

from assay.scoring.engine.chains import greedy
from assay.scoring.engine.fading import is_active, lasts, left, wait
from assay.scoring.engine.frames import Scene, Selection, counted_up
from assay.scoring.language import Count, Fading, OnEvents


@dataclass(frozen=True)
class Asked:
    """Awards to be counted: those of one trigger, of which `part` count ("first" or "from" a place, or all)."""

    part: tuple[str, int]
    fading: Fading | None


@dataclass(frozen=True)
class Tally:
    """One value a lead. `lo` and `hi` bound the rows of the awards that are active; `n` is how many they are."""

    selection: Selection
    asked: Asked
    lo: pl.Series
    hi: pl.Series
    n: pl.Series
    begins: pl.Series
    next: tuple[pl.Series, ...]

    @cached_property
    def first_age(self) -> pl.Series:
        """The age of the very first award, where that is active still."""
        return self._age_at(pl.select(pl.when((self.n > 0) & (self.lo == self.begins)).then(self.lo)).to_series())

    @cached_property
    def newest_age(self) -> pl.Series:
        return self._age_at(pl.select(pl.when(self.n > 0).then(self.hi - 1)).to_series())

    def _age_at(self, rows: pl.Series) -> pl.Series:
        return self.selection.events["age"].gather(rows)

    @property
    def is_graded(self) -> bool:
        """Whether awards of one rule may be worth different amounts."""
        fading = self.asked.fading
        return fading is not None and fading.kind != "after"

    def sum(self, worth: int) -> pl.Series:
        """The units all active awards give."""
        if not self.is_graded:
            return self.n * worth
        found = pl.select(pl.when(self.n > 0).then(self.lo).alias("lo"), pl.when(self.n > 0).then(self.hi).alias("hi"))
        running = self.selection.events.select(left(worth, self.asked.fading, pl.col("age")).cum_sum())
        if running.is_empty():
            return self.n
        upto = [
            pl.lit(running.to_series()).gather(pl.when(pl.col(name) > 0).then(pl.col(name) - 1)).fill_null(0)
            for name in ("hi", "lo")
        ]
        return found.select(upto[0] - upto[1]).to_series()

    def gains(self, worth: int, then: int | None) -> list[pl.Series]:
        """What the awards give, in one or two parts of one sign each; `then` is what later ones than the first give."""
        if then is None or then == worth:
            return [self.sum(worth)]
        ages = pl.DataFrame({"age": self.first_age})
        first, instead = (
            ages.select(pl.when(pl.col("age").is_not_null()).then(left(points, self.asked.fading, pl.col("age"))))
            .to_series()
            .fill_null(0)
            for points in (worth, then)
        )
        return [first, self.sum(then) - instead]

    def milestone(self, worth: int) -> pl.Series:
        """The largest award, which is the newest: none gains with age. Null where none is active."""
        ages = pl.DataFrame({"age": self.newest_age})
        return ages.select(
            pl.when(pl.col("age").is_not_null()).then(left(worth, self.asked.fading, pl.col("age")))
        ).to_series()


def counted(scene: Scene, trigger: OnEvents) -> tuple[Selection, Asked]:
    """The events of which the trigger's counting word chooses, and which part of them it takes."""
    count, fading = trigger.count, trigger.fading
    chosen = scene.of_types(trigger.types, trigger.where)
    match count.word:
        case "once":
            return chosen, Asked(("first", 1), fading)
        case "first" | "from":
            return chosen, Asked((count.word, count.number), fading)
        case "once_while_active":
            life = lasts(fading)
            if life is None:
                return chosen, Asked(("first", 1), fading)
            return _chosen(scene, trigger, count, life), Asked(("all", 0), fading)
        case "once_per":
            return _chosen(scene, trigger, count, 0), Asked(("all", 0), fading)
    return chosen, Asked(("all", 0), fading)


def _chosen(scene: Scene, trigger: OnEvents, count: Count, life: int) -> Selection:
    key = (trigger.types, trigger.where, count, life)
    if key not in scene.selections:
        base = scene.of_types(trigger.types, trigger.where)
        columns = [name for name in ("lead", "t", "age", "row") if name in base.events.columns]
        if count.word == "once_per":
            scene.selections[key] = base.only(is_first_of_value(count.property), columns)
        else:
            places = greedy(base.events.select("lead", "t"), life)
            scene.selections[key] = base.only(pl.lit(places), columns)
    return scene.selections[key]


def is_first_of_value(name: str) -> pl.Expr:
    value = pl.col(f"property:{name}")
    return value.is_not_null() & pl.struct("lead", value).is_first_distinct()


def tally(scene: Scene, selection: Selection, asked: Iterable[Asked]) -> dict[Asked, Tally]:
    """Every tally over one selection, at once."""
    wanted = list(dict.fromkeys(asked))
    rows = selection.events
    future = scene.has_future and not rows.is_empty()
    past = counted_up(rows.select(pl.col("age") >= 0).to_series(), selection.last) if future else None
    frame = pl.DataFrame({"b": selection.begins, "e": selection.ends})
    if past is not None:
        frame = frame.with_columns((pl.col("b") + past - past.shift(1, fill_value=0)).alias("past"))
    lives = sorted({life for one in wanted if (life := lasts(one.fading)) is not None})
    if lives and not rows.is_empty():
        dead = rows.select(
            (pl.col("age") >= life)
            .cum_sum()
            .gather(pl.lit(selection.last))
            .fill_null(0)
            .cast(pl.Int64)
            .alias(f"d{life}")
            for life in lives
        )
        frame = frame.hstack(dead)
    else:
        frame = frame.with_columns(pl.lit(0, pl.Int64).alias(f"d{life}") for life in lives)
    bounds = frame.select(expr for place, one in enumerate(wanted) for expr in _bounds(place, one, past is not None))
    found = bounds.select(
        expr for place, one in enumerate(wanted) for expr in _given(rows, place, one, past is not None)
    )
    # Of thousands of columns a frame finds each one slowly.
    columns = bounds.to_dict() | found.to_dict()
    return {one: _tally(scene, selection, one, columns, place) for place, one in enumerate(wanted)}


def _tally(scene: Scene, selection: Selection, one: Asked, columns: Mapping[str, pl.Series], place: int) -> Tally:
    lo, hi = columns[f"lo{place}"], columns[f"hi{place}"]
    turns = [columns[name] for name in (f"end{place}", f"come{place}") if name in columns]
    if one.fading is not None and one.fading.kind == "every":
        turns.append(_steps(scene, selection, lo, hi, one.fading))
    return Tally(selection, one, lo, hi, columns[f"n{place}"], columns[f"b{place}"], tuple(turns))


def _bounds(place: int, one: Asked, future: bool) -> list[pl.Expr]:
    """Where a lead's counted rows begin and end, and where those that are active do."""
    word, number = one.part
    begin = pl.min_horizontal(pl.col("b") + (number - 1), "e") if word == "from" else pl.col("b")
    end = pl.min_horizontal(pl.col("b") + number, "e") if word == "first" else pl.col("e")
    life = lasts(one.fading)
    dead = pl.col(f"d{life}")
    lo = begin if life is None else pl.max_horizontal(begin, pl.col("b") + dead - dead.shift(1, fill_value=0))
    hi = pl.min_horizontal(end, "past") if future else end
    found = [begin.alias(f"b{place}"), end.alias(f"e{place}"), lo.alias(f"lo{place}"), hi.alias(f"hi{place}")]
    return [*found, pl.max_horizontal(begin, "past").alias(f"f{place}")] if future else found


def _given(rows: pl.DataFrame, place: int, one: Asked, future: bool) -> list[pl.Expr]:
    """How many awards are active, when the oldest of them ends, and when the next one comes."""
    lo, hi = pl.col(f"lo{place}"), pl.col(f"hi{place}")
    found = [(hi - lo).clip(0).alias(f"n{place}")]
    if rows.is_empty():
        return found
    t, life = pl.lit(rows["t"]), lasts(one.fading)
    if life is not None:
        found.append((t.gather(pl.when(lo < hi).then(lo)) + life).alias(f"end{place}"))
    if future:
        comes = pl.col(f"f{place}")
        found.append(t.gather(pl.when(comes < pl.col(f"e{place}")).then(comes)).alias(f"come{place}"))
    return found


def _steps(scene: Scene, selection: Selection, lo: pl.Series, hi: pl.Series, fading: Fading) -> pl.Series:
    """When the next of the active awards steps down."""
    rows = (
        selection.events.with_columns(
            pl.int_range(pl.len(), dtype=pl.Int64).alias("place"),
            pl.lit(lo).gather("lead").alias("lo"),
            pl.lit(hi).gather("lead").alias("hi"),
        )
        .filter(pl.col("place").is_between("lo", "hi", closed="left") & is_active(fading, pl.col("age")))
        .group_by("lead")
        .agg((pl.col("t") + pl.col("age") + wait(fading, pl.col("age"))).min().alias("next"))
    )
    return scene.dense(rows, "next")
