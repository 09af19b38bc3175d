"""Adjustments by people: each counts from its instant until it expires or is withdrawn, whichever is first."""

import polars as pl

from assay.scoring.engine.compiling import JUDGEMENT, WITHDRAWN, CompiledModel
from assay.scoring.engine.conditions import instant, number
from assay.scoring.engine.frames import Scene

# More thousandths than anybody may give; beyond it a fact is no adjustment.
_MOST = 1_000_000_000


def judgements(scene: Scene, model: CompiledModel) -> pl.DataFrame:
    """Those about this model, in order: lead, t, age, row (where rows are known), worth in units, ends, active."""
    given = scene.of_types((JUDGEMENT,)).events
    withdrawn = scene.of_types((WITHDRAWN,)).events
    key = "property:judgement"
    first = withdrawn.drop_nulls(key).group_by("lead", key).agg(pl.col("t").min().alias("withdrawn"))
    thousandths = (number(pl.col("property:points")) * 1000).round(mode="half_to_even")
    asked = pl.col("property:model").fill_null(model.name) == model.name
    ends = pl.min_horizontal(instant(pl.col("property:expires_at")), "withdrawn")
    return (
        given.filter(asked)
        .join(first, on=["lead", key], how="left", maintain_order="left")
        .with_columns(thousandths.alias("points"), ends.alias("ends"))
        .filter(pl.col("points").abs() <= _MOST)
        .filter(pl.col("ends").is_null() | (pl.col("ends") > pl.col("t")))
        .select(
            *(name for name in ("lead", "t", "age", "row") if name in given.columns),
            (pl.col("points").cast(pl.Int64) * model.unit).alias("worth"),
            "ends",
            ((pl.col("age") >= 0) & (pl.col("ends").is_null() | (pl.col("ends") > pl.col("t") + pl.col("age")))).alias(
                "active"
            ),
        )
    )


def has_any(scene: Scene) -> bool:
    """Whether anybody adjusted anything, be it under another model."""
    return not scene.of_types((JUDGEMENT,)).events.is_empty()


def given(scene: Scene, model: CompiledModel) -> tuple[pl.Series, pl.Series | None]:
    """Per lead, the units that count now, and when that next changes."""
    if not has_any(scene):
        return scene.zeros, None
    found = judgements(scene, model)
    if found.is_empty():
        return scene.zeros, None
    at = pl.col("t") + pl.col("age")
    turn = pl.when(pl.col("age") < 0).then("t").when(pl.col("ends") > at).then("ends")
    sums = found.group_by("lead").agg(
        pl.when("active").then("worth").otherwise(0).sum().alias("worth"), turn.min().alias("next")
    )
    return scene.dense(sums, "worth", 0), scene.dense(sums, "next")
