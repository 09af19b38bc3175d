"""The hot path: every rule of every model over all leads at once, then caps, scale, stage and grade."""

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import polars as pl

from assay.scoring.engine import awards, silences
from assay.scoring.engine.awards import sums
from assay.scoring.engine.compiling import CompiledModel
from assay.scoring.engine.conditions import column, comparisons, expression
from assay.scoring.engine.frames import INSTANT, Scene, prepare
from assay.scoring.language import Comparison, Condition, Model, OnEvents, Rule

#: Leads times rules held in memory at once.
_MOST_CELLS = 30_000_000
#: Polars plans slowly over very many expressions at once.
_MOST_EXPRESSIONS = 500
# Past the last instant Python and PostgreSQL can both hold, a change is no news to anybody.
_LAST_INSTANT = 253_402_300_799_999_999


@dataclass(frozen=True)
class Given:
    """What one rule gives each lead, before caps: dense columns in the order of the leads.

    `hit` tells whether the rule matches, be it for 0 points; only first-match groups ask.
    """

    points: pl.Series
    hit: pl.Series | None = None
    changes: tuple[pl.Series, ...] = ()


def score(models: Sequence[CompiledModel], leads: pl.DataFrame, events: pl.DataFrame, at: datetime) -> pl.DataFrame:
    """One row per model and lead, in the order given.

    Columns: model, content_hash, lead_id, total, raw (thousandths), dimensions (JSON text: name → thousandths after
    caps), stage, grade, next_change (the earliest instant after `at` when any of it can change without news).
    """
    rules = max((len(model.model.rules) for model in models), default=0)
    if leads.height > 1 and leads.height * rules > _MOST_CELLS:
        half = leads.height // 2
        parts = [score(models, part, events, at) for part in (leads[:half], leads[half:])]
        order = {name: place for place, name in enumerate(dict.fromkeys(model.hash for model in models))}
        both = pl.concat(parts)
        place = both["content_hash"].replace_strict(list(order), list(order.values()), return_dtype=pl.UInt32)
        return both.with_columns(place.alias("place")).sort("place", maintain_order=True).drop("place")
    return score_scene(models, prepare(models, leads, events, at))


def score_scene(models: Sequence[CompiledModel], scene: Scene) -> pl.DataFrame:
    shared = _earned(models, scene)
    frames = [_total(model, scene, shared) for model in models]
    return pl.concat(frames) if frames else _nothing(scene)


def _nothing(scene: Scene) -> pl.DataFrame:
    schema: dict[str, pl.DataType | type[pl.DataType]] = {
        "model": pl.String,
        "content_hash": pl.String,
        "lead_id": scene.leads.schema["lead_id"],
        "total": pl.Int64,
        "raw": pl.Int64,
        "dimensions": pl.String,
        "stage": pl.String,
        "grade": pl.String,
        "next_change": INSTANT,
    }
    return pl.DataFrame(schema=schema)


_Key = tuple[OnEvents, int]


def _earned(models: Sequence[CompiledModel], scene: Scene) -> dict[_Key, pl.DataFrame]:
    """What each distinct event rule gives; rules that several models share are evaluated once."""
    wanted = dict.fromkeys((trigger, rule.points) for model in models for _, rule, trigger in model.event_rules)
    plans = [
        sums(awards.of_events(scene, trigger, points), trigger.expires_after, scene.at) for trigger, points in wanted
    ]
    return dict(zip(wanted, awards.collected(plans), strict=True))


def _total(model: CompiledModel, scene: Scene, shared: dict[_Key, pl.DataFrame]) -> pl.DataFrame:
    firsts = {place for place, _ in _first_matches(model.model)}
    given = _from_traits(model, scene, firsts)
    for place, rule, trigger in model.event_rules:
        given[place] = _dense(shared[trigger, rule.points], scene, hit=place in firsts)
    given |= _from_silences(model, scene, firsts)
    changes = [change for found in given.values() for change in found.changes]
    changes += _date_changes(model, scene)
    columns = [found.points.alias(f"rule:{place}") for place, found in given.items()]
    columns += [found.hit.alias(f"hit:{place}") for place, found in given.items() if found.hit is not None]
    frame = scene.leads.select("lead_id").hstack(columns)
    return (
        frame.lazy()
        .with_columns(_firsts(model.model))
        .with_columns(_capped_rules(model.model))
        .with_columns(_groups(model.model))
        .with_columns(_dimensions(model.model))
        .with_columns(_raw(model.model).alias("raw"))
        .with_columns(_clamped(pl.col("raw"), model.model.scale.min, model.model.scale.max).alias("total"))
        .select(
            pl.lit(model.name).alias("model"),
            pl.lit(model.hash).alias("content_hash"),
            "lead_id",
            "total",
            "raw",
            _as_json(model.model).alias("dimensions"),
            _stage(model.model).alias("stage"),
            _grade(model.model).alias("grade"),
        )
        .collect()
        .with_columns(_earliest(changes, scene.leads.height).alias("next_change"))
    )


def _from_traits(model: CompiledModel, scene: Scene, firsts: Container[int]) -> dict[int, Given]:
    found: dict[int, Given] = {}
    rules = model.trait_rules
    for begin in range(0, len(rules), _MOST_EXPRESSIONS):
        part = rules[begin : begin + _MOST_EXPRESSIONS]
        gives = [
            pl.when(trait_holds(scene, condition)).then(rule.points).otherwise(0).cast(pl.Int64).alias(str(place))
            for place, rule, condition in part
        ]
        hits = scene.leads.select(
            trait_holds(scene, condition).alias(str(place)) for place, _, condition in part if place in firsts
        )
        for (place, *_), points in zip(part, scene.leads.select(gives), strict=True):
            found[place] = Given(points, hits[str(place)] if place in firsts else None)
    return found


def trait_holds(scene: Scene, condition: Condition) -> pl.Expr:
    return expression(condition, scene.trait_answers).fill_null(value=False)


def _from_silences(model: CompiledModel, scene: Scene, firsts: Container[int]) -> dict[int, Given]:
    tiers = silences.families(model.silence_rules)
    known = known_silences(model, scene)
    plans = []
    for _, rule, trigger in model.silence_rules:
        family = tiers[silences.family(rule, trigger)]
        earned = silences.awards(scene, rule, trigger, family, known[trigger.of])
        plans.append(sums(earned, trigger.expires_after, scene.at))
        plans.append(silences.changes(scene, trigger, known[trigger.of]))
    collected = awards.collected(plans)
    found: dict[int, Given] = {}
    for (place, _, _), gives, turns in zip(model.silence_rules, collected[::2], collected[1::2], strict=True):
        dense = _dense(gives, scene, hit=place in firsts)
        found[place] = replace(dense, changes=(*dense.changes, *_changes(turns, scene)))
    return found


def known_silences(model: CompiledModel, scene: Scene) -> dict[silences.Types, pl.DataFrame]:
    """The silences each activity's idle rules look at, ended ones only where a rule keeps them."""
    kept: dict[silences.Types, bool] = {}
    for _, _, trigger in model.silence_rules:
        kept[trigger.of] = kept.get(trigger.of, False) or trigger.kept
    found: dict[silences.Types, pl.DataFrame] = {}
    for of, ended in kept.items():
        if (of, ended) not in scene.silences:
            scene.silences[of, ended] = silences.silences(scene, of, ended_too=ended)
        found[of] = scene.silences[of, ended]
    return found


def _dense(sparse: pl.DataFrame, scene: Scene, *, hit: bool) -> Given:
    return Given(
        points=_scattered(sparse, "points", scene.zeros),
        hit=_scattered(sparse, "hit", scene.falses) if hit else None,
        changes=_changes(sparse, scene),
    )


def _changes(sparse: pl.DataFrame, scene: Scene) -> tuple[pl.Series, ...]:
    return (_scattered(sparse, "next", scene.nulls),) if sparse["next"].null_count() < sparse.height else ()


def _scattered(sparse: pl.DataFrame, name: str, blank: pl.Series) -> pl.Series:
    return blank.clone().scatter(sparse["lead"], sparse[name]) if sparse.height else blank


def _earliest(changes: list[pl.Series], size: int) -> pl.Series:
    if not changes:
        return pl.repeat(None, size, dtype=INSTANT, eager=True)
    first = pl.DataFrame([found.alias(str(place)) for place, found in enumerate(changes)]).select(
        pl.min_horizontal(pl.all()).alias("next")
    )["next"]
    return first.set(first > _LAST_INSTANT, None).cast(INSTANT)


def _date_changes(model: CompiledModel, scene: Scene) -> list[pl.Series]:
    """When `within` and `older_than` next turn, on traits and on the properties of events."""
    found: list[pl.Series] = []
    on_leads = {part: _turns(part, scene.at) for _, _, whole in model.trait_rules for part in comparisons(whole)}
    turns = [turn for turn in on_leads.values() if turn is not None]
    if turns:
        found.append(scene.leads.select(pl.min_horizontal(turns).alias("next"))["next"])
    for _, _, trigger in model.event_rules:
        on_events = [_turns(part, scene.at) for part in comparisons(trigger.where)]
        turns = [turn for turn in on_events if turn is not None]
        if turns:
            events = scene.of_types(trigger.types).events
            sparse = events.group_by("lead").agg(pl.min_horizontal(turns).min().alias("next"))
            found.extend(_changes(sparse, scene))
    return found


def _turns(comparison: Comparison, at: int) -> pl.Expr | None:
    if comparison.word not in ("within", "older_than"):
        return None
    age = pl.col(f"age:{column(comparison)}")
    length = pl.lit(comparison.operand, pl.Int64)
    reaches = pl.when(age < length).then(at + length - age)
    if comparison.word == "older_than":
        return reaches
    return pl.when(age < 0).then(at - age).otherwise(reaches)


def _first_matches(model: Model) -> list[tuple[int, Rule]]:
    groups = {
        (dimension.name, group.name)
        for dimension in model.dimensions
        for group in dimension.groups
        if group.first_match
    }
    return [(place, rule) for place, rule in enumerate(model.rules) if (rule.dimension, rule.group) in groups]


def _firsts(model: Model) -> list[pl.Expr]:
    """For each first-match group, the place of the rule that matches first."""
    hits: dict[str, list[pl.Expr]] = {}
    for place, rule in _first_matches(model):
        hits.setdefault(_first(rule), []).append(pl.when(pl.col(f"hit:{place}")).then(place))
    return [pl.coalesce(places).alias(name) for name, places in hits.items()]


def _first(rule: Rule) -> str:
    return f"first:{rule.dimension}/{rule.group}"


def _capped_rules(model: Model) -> list[pl.Expr]:
    """Each rule within its own caps; in a first-match group, only the first rule that matches."""
    first_matches = {place for place, _ in _first_matches(model)}
    found: list[pl.Expr] = []
    for place, rule in enumerate(model.rules):
        if rule.min is None and rule.max is None and place not in first_matches:
            continue
        points = _clamped(pl.col(f"rule:{place}"), rule.min, rule.max)
        if place in first_matches:
            points = pl.when(pl.col(_first(rule)) == place).then(points).otherwise(0)
        found.append(points.alias(f"rule:{place}"))
    return found


def _groups(model: Model) -> list[pl.Expr]:
    return [
        _clamped(
            _sum(f"rule:{place}" for place, rule in enumerate(model.rules) if _is_in(rule, dimension.name, group.name)),
            group.min,
            group.max,
        ).alias(f"group:{dimension.name}/{group.name}")
        for dimension in model.dimensions
        for group in dimension.groups
    ]


def _dimensions(model: Model) -> list[pl.Expr]:
    found: list[pl.Expr] = []
    for dimension in model.dimensions:
        names = [f"group:{dimension.name}/{group.name}" for group in dimension.groups]
        names += [f"rule:{place}" for place, rule in enumerate(model.rules) if _is_in(rule, dimension.name, None)]
        found.append(_clamped(_sum(names), dimension.min, dimension.max).alias(f"dimension:{dimension.name}"))
    return found


def _raw(model: Model) -> pl.Expr:
    names = [f"dimension:{dimension.name}" for dimension in model.dimensions]
    names += [f"rule:{place}" for place, rule in enumerate(model.rules) if rule.dimension is None]
    return _sum(names)


def _is_in(rule: Rule, dimension: str, group: str | None) -> bool:
    return rule.dimension == dimension and rule.group == group


def _sum(names: Iterable[str]) -> pl.Expr:
    columns = list(names)
    return pl.sum_horizontal(columns) if columns else pl.lit(0, pl.Int64)


def _clamped(points: pl.Expr, low: int | None, high: int | None) -> pl.Expr:
    return points if low is None and high is None else points.clip(low, high)


def _as_json(model: Model) -> pl.Expr:
    if not model.dimensions:
        return pl.lit("{}")
    parts: list[pl.Expr] = []
    for place, dimension in enumerate(model.dimensions):
        # Names of dimensions are letters, digits, `_`, `-` and `.`: nothing to escape.
        parts.append(pl.lit(f'{"," if place else "{"}"{dimension.name}":'))
        parts.append(pl.col(f"dimension:{dimension.name}").cast(pl.String))
    return pl.concat_str([*parts, pl.lit("}")])


def _stage(model: Model) -> pl.Expr:
    stage = pl.lit(None, pl.String)
    for begins in model.stages:
        edge = pl.lit(begins.threshold, pl.Int64)
        reached = pl.col("total") >= edge if begins.inclusive else pl.col("total") > edge
        stage = pl.when(reached).then(pl.lit(begins.name)).otherwise(stage)
    return stage


def _grade(model: Model) -> pl.Expr:
    """Both halves or none: a value below the lowest band has no mark."""
    if not model.grades:
        return pl.lit(None, pl.String)
    halves: list[pl.Expr] = []
    for grade in model.grades:
        half = pl.lit(None, pl.String)
        for band in reversed(grade.bands):
            reached = pl.col(f"dimension:{grade.dimension}") >= band.threshold
            half = pl.when(reached).then(pl.lit(band.mark)).otherwise(half)
        halves.append(half)
    return pl.concat_str(halves)
