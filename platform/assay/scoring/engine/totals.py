"""From what the rules give to what is shown: caps, milestones, dimensions, raw, total, overrides, stage and grade.

Values are a frame with one row a lead: `rule:<place>` in units (the place after the last rule is that of judgements),
`milestone:<place>` (null while none is active), `hit:<place>` of rules in first-match groups, `loss:<place>` of
drifting rules that deduct, `override:<id>` and `applies`.
"""

from collections.abc import Iterable, Iterator

import polars as pl

from assay.scoring.engine.compiling import CompiledModel
from assay.scoring.language import Model

_Place = tuple[str | None, str | None]


def outcome(model: CompiledModel, values: pl.DataFrame) -> pl.DataFrame:
    """applies, total, raw, dimension:<name> (thousandths), stage, grade, override, disqualified; null where it does
    not apply.
    """
    frame = summed(model, values)
    names = [f"dimension:{dimension.name}" for dimension in model.model.dimensions]
    frame = frame.select(
        "applies",
        *overridden(model.model),
        *allotted(names, model.unit),
        rounded(pl.col("raw"), model.unit).alias("raw"),
    )
    frame = frame.with_columns(shown(model.model, pl.col("raw")).alias("total"))
    frame = frame.with_columns(_stage(model.model), _grade(model.model))
    found = frame.select("applies", "total", "raw", *names, "stage", "grade", "override", "disqualified")
    if model.model.audience is None:
        return found
    return found.with_columns(pl.when("applies").then(pl.exclude("applies")))


def summed(model: CompiledModel, values: pl.DataFrame) -> pl.DataFrame:
    """Adds `dimension:<name>` and `raw`, in units."""
    frame = values
    inside, milestones = _inside(model), _milestones(model.model)
    for step in (_firsts(model), _capped_rules(model), _groups(model, inside)):
        if step:
            frame = frame.with_columns(step)
    dimensions = [
        _clamped(
            _lifted(_sum(_names(model.model, name, inside)), milestones.get(name, [])), low, high, model.unit
        ).alias(f"dimension:{name}")
        for name, low, high in ((one.name, one.min, one.max) for one in model.model.dimensions)
    ]
    if dimensions:
        frame = frame.with_columns(dimensions)
    names = [f"dimension:{dimension.name}" for dimension in model.model.dimensions] + inside.get((None, None), [])
    return frame.with_columns(_lifted(_sum(names), milestones.get(None, [])).alias("raw"))


def _inside(model: CompiledModel) -> dict[_Place, list[str]]:
    """The columns that add up in each dimension and group, judgements last."""
    found: dict[_Place, list[str]] = {}
    for place, rule in enumerate(model.model.rules):
        if rule.worth != "milestone":
            found.setdefault((rule.dimension, rule.group), []).append(f"rule:{place}")
    if model.model.judgements.counted:
        found.setdefault((model.model.judgements.dimension, None), []).append(f"rule:{len(model.model.rules)}")
    return found


def _milestones(model: Model) -> dict[str | None, list[str]]:
    found: dict[str | None, list[str]] = {}
    for place, rule in enumerate(model.rules):
        if rule.worth == "milestone":
            found.setdefault(rule.dimension, []).append(f"milestone:{place}")
    return found


def _names(model: Model, dimension: str, inside: dict[_Place, list[str]]) -> list[str]:
    groups = next(one.groups for one in model.dimensions if one.name == dimension)
    return [f"group:{dimension}/{group.name}" for group in groups] + inside.get((dimension, None), [])


def _firsts(model: CompiledModel) -> list[pl.Expr]:
    """For each first-match group, the place of the rule that matches first."""
    hits: dict[str, list[pl.Expr]] = {}
    for place in sorted(model.first_matches):
        hits.setdefault(_first(model, place), []).append(pl.when(pl.col(f"hit:{place}")).then(place))
    return [pl.coalesce(places).alias(name) for name, places in hits.items()]


def _first(model: CompiledModel, place: int) -> str:
    rule = model.model.rules[place]
    return f"first:{rule.dimension}/{rule.group}"


def _capped_rules(model: CompiledModel) -> list[pl.Expr]:
    """Each rule within its own caps; in a first-match group, only the first rule that matches."""
    found: list[pl.Expr] = []
    caps = [(rule.min, rule.max) for rule in model.model.rules]
    judgements = model.model.judgements
    for place, (low, high) in enumerate([*caps, (judgements.min, judgements.max)]):
        capped = (low, high) != (None, None) and (place < len(caps) or judgements.counted)
        if not capped and place not in model.first_matches:
            continue
        points = _clamped(pl.col(f"rule:{place}"), low, high, model.unit)
        if place in model.first_matches:
            points = pl.when(pl.col(_first(model, place)) == place).then(points).otherwise(0)
        found.append(points.alias(f"rule:{place}"))
    return found


def _groups(model: CompiledModel, inside: dict[_Place, list[str]]) -> list[pl.Expr]:
    return [
        _clamped(_sum(inside.get((dimension.name, group.name), [])), group.min, group.max, model.unit).alias(
            f"group:{dimension.name}/{group.name}"
        )
        for dimension in model.model.dimensions
        for group in dimension.groups
    ]


def _sum(names: Iterable[str]) -> pl.Expr:
    every = list(names)
    return pl.sum_horizontal(every) if every else pl.lit(0, pl.Int64)


def _lifted(sum_of_rest: pl.Expr, milestones: list[str]) -> pl.Expr:
    return pl.max_horizontal(sum_of_rest, *milestones) if milestones else sum_of_rest


def _clamped(points: pl.Expr, low: int | None, high: int | None, unit: int = 1) -> pl.Expr:
    if low is None and high is None:
        return points
    return points.clip(None if low is None else low * unit, None if high is None else high * unit)


def rounded(units: pl.Expr, unit: int) -> pl.Expr:
    """Thousandths from units, halves to the even one."""
    if unit == 1:
        return units
    whole = units // unit
    twice = (units - whole * unit) * 2
    up = (twice > unit) | ((twice == unit) & (whole % 2 != 0))
    return whole + up.cast(pl.Int64)


def allotted(names: list[str], unit: int) -> list[pl.Expr]:
    """Each dimension's thousandths: what it adds to the rounded running sum, so that they add up exactly."""
    if unit == 1:
        return [pl.col(name) for name in names]
    running = [pl.lit(0, pl.Int64)]
    for name in names:
        running.append(running[-1] + pl.col(name))
    return [
        (rounded(after, unit) - rounded(before, unit)).alias(name)
        for name, before, after in zip(names, running[:-1], running[1:], strict=True)
    ]


def overridden(model: Model) -> Iterator[pl.Expr]:
    """Which override fixes the total, at what, and which disqualifies: of several the first in the document."""
    fixing = [one for one in model.overrides if one.set is not None]
    disqualifying = [one for one in model.overrides if one.disqualify]
    first = {"override": fixing, "disqualified": disqualifying}
    for name, overrides in first.items():
        ids = [pl.when(f"override:{one.id}").then(pl.lit(one.id)) for one in overrides]
        yield (pl.coalesce(ids) if ids else pl.lit(None, pl.String)).alias(name)
    fixed = [pl.when(f"override:{one.id}").then(pl.lit(one.set, pl.Int64)) for one in fixing]
    yield (pl.coalesce(fixed) if fixed else pl.lit(None, pl.Int64)).alias("fixed")


def shown(model: Model, raw: pl.Expr) -> pl.Expr:
    """The total: what an override fixes (the column `fixed`), or raw within the scale."""
    return pl.coalesce("fixed", _clamped(raw, model.scale.min, model.scale.max))


def _stage(model: Model) -> pl.Expr:
    stage = pl.lit(None, pl.String)
    for begins in model.stages:
        edge = pl.lit(begins.threshold, pl.Int64)
        reached = pl.col("total") >= edge if begins.inclusive else pl.col("total") > edge
        stage = pl.when(reached).then(pl.lit(begins.name)).otherwise(stage)
    return pl.when(pl.col("disqualified").is_null()).then(stage).alias("stage")


def _grade(model: Model) -> pl.Expr:
    """Both halves or none: a value below the lowest band has no mark."""
    if not model.grades:
        return pl.lit(None, pl.String).alias("grade")
    halves: list[pl.Expr] = []
    for grade in model.grades:
        half = pl.lit(None, pl.String)
        for band in reversed(grade.bands):
            reached = pl.col(f"dimension:{grade.dimension}") >= band.threshold
            half = pl.when(reached).then(pl.lit(band.mark)).otherwise(half)
        halves.append(half)
    return pl.when(pl.col("disqualified").is_null()).then(pl.concat_str(halves)).alias("grade")


def as_json(model: Model) -> pl.Expr:
    """Dimensions and their thousandths as JSON text, in document order."""
    if not model.dimensions:
        return pl.lit("{}")
    parts: list[pl.Expr] = []
    for place, dimension in enumerate(model.dimensions):
        # Names of dimensions are letters, digits, `_`, `-` and `.`: nothing to escape.
        parts.append(pl.lit(f'{"," if place else "{"}"{dimension.name}":'))
        parts.append(pl.col(f"dimension:{dimension.name}").cast(pl.String))
    return pl.concat_str([*parts, pl.lit("}")])
