"""What publishing a draft would change: the draft and the live version beside each other, lead by lead.

Pure, on the engine's frames. Leads come in ranges; `examine` makes a summary of each, and `conclude` adds them up, so
that memory holds one range whatever the number of leads.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl

from assay.scoring import engine, language
from assay.scoring.studies.rule_words import rule_changes, rules_words
from assay.scoring.studies.spreads import binned, counted_totals

Summary = dict[str, Any]

#: How a place is written that is no stage; a stage is written with STAGE before its name.
OUTSIDE, DISQUALIFIED, NO_STAGE, STAGE = "outside", "disqualified", "none", "stage:"

_MOVERS = 25
_CAUSES = 3
_SIDES = ("before", "after")
#: What a person sees of a score: any of it makes a lead one that changes.
_SEEN = ("applies", "total", "place", "grade", "override", "disqualified")


@dataclass(frozen=True)
class Examined:
    summary: Summary
    #: A row for each lead that changes.
    changes: pl.DataFrame


def place_of() -> pl.Expr:
    """Where a lead stands, of the columns that the engine gives."""
    return (
        pl.when(~pl.col("applies"))
        .then(pl.lit(OUTSIDE))
        .when(pl.col("disqualified").is_not_null())
        .then(pl.lit(DISQUALIFIED))
        .when(pl.col("stage").is_null())
        .then(pl.lit(NO_STAGE))
        .otherwise(pl.lit(STAGE) + pl.col("stage"))
    )


def examine(
    draft: engine.CompiledModel,
    live: engine.CompiledModel | None,
    leads: pl.DataFrame,
    events: pl.DataFrame,
    at: datetime,
    *,
    others: pl.DataFrame,
) -> Examined:
    """``others`` holds which lead (lead_id) is scored by which other live model (model_id)."""
    *before, after = engine.outcomes([draft] if live is None else [live, draft], leads, events, at, distinct=True)
    old = before[0].scores if before else after.scores.clear(leads.height).with_columns(applies=False)
    both = leads.select("lead_id").hstack(_side("before", old)).hstack(_side("after", after.scores))
    differences = [pl.col(f"before:{name}").ne_missing(pl.col(f"after:{name}")) for name in _SEEN]
    both = both.with_columns(
        moved=pl.col("after:total").fill_null(0) - pl.col("before:total").fill_null(0),
        differs=pl.any_horizontal(differences),
    )
    rows = both["differs"].arg_true()
    changed = both[rows]
    deltas = _deltas(changed, before[0].points(rows) if before else None, after.points(rows))
    changed = _with_causes(changed, deltas)
    return Examined(_summary(both, changed, deltas, others), changed.drop("differs"))


def _side(name: str, scores: pl.DataFrame) -> pl.DataFrame:
    return scores.with_columns(place=place_of()).select(
        pl.col(column).alias(f"{name}:{column}") for column in ("raw", *_SEEN)
    )


def _deltas(changed: pl.DataFrame, before: pl.DataFrame | None, after: pl.DataFrame) -> pl.DataFrame:
    """By how much each rule moves each lead that is scored before and after; the most telling first."""
    staying = changed["before:applies"] & changed["after:applies"]
    nothing = pl.zeros(changed.height, dtype=pl.Int64, eager=True)
    old = {} if before is None else {column.name: column for column in before}
    new = {column.name: column for column in after}
    row = pl.int_range(changed.height, dtype=pl.UInt32, eager=True)
    found = [pl.DataFrame(schema={"row": pl.UInt32, "rule": pl.String, "points": pl.Int64})]
    for name in dict.fromkeys([*new, *old]):
        points = new.get(name, nothing) - old.get(name, nothing)
        moves = staying & (points != 0)
        if moves.any():
            part = pl.DataFrame({"row": row.filter(moves), "points": points.filter(moves)})
            found.append(part.select("row", pl.lit(name).alias("rule"), "points"))
    deltas = pl.concat(found)
    along = deltas["points"].sign() == changed["moved"].gather(deltas["row"]).sign()
    return deltas.with_columns(along=along).sort(
        "row", "along", pl.col("points").abs(), descending=[False, True, True], maintain_order=True
    )


def _with_causes(changed: pl.DataFrame, deltas: pl.DataFrame) -> pl.DataFrame:
    """With the rules that move each lead most, and the one cause that is named first."""
    told = deltas.group_by("row", maintain_order=True).agg(
        pl.col("rule").head(_CAUSES).alias("rules"),
        pl.col("points").head(_CAUSES),
        pl.col("rule").first().alias("main"),
        pl.col("along").first(),
    )
    overridden = pl.col("before:override").ne_missing(pl.col("after:override")) | pl.col(
        "before:disqualified"
    ).ne_missing(pl.col("after:disqualified"))
    by_override = [pl.col(f"{side}:{what}") for what in ("disqualified", "override") for side in ("after", "before")]
    cause = (
        pl.when(pl.col("before:applies") != pl.col("after:applies"))
        .then(pl.lit("audience"))
        .when(overridden)
        .then(pl.lit("override:") + pl.coalesce(_newly("disqualified"), _newly("override"), *by_override))
        .when(pl.col("main").is_not_null() & (pl.col("along") | (pl.col("moved") == 0)))
        .then(pl.lit("rule:") + pl.col("main"))
        .when(pl.col("moved") != 0)
        .then(pl.lit("limits"))
        .otherwise(pl.lit("stages"))
    )
    return (
        changed.with_row_index("row")
        .join(told, on="row", how="left", maintain_order="left")
        .with_columns(cause=cause)
        .drop("row", "main", "along")
    )


def _newly(what: str) -> pl.Expr:
    """The override that makes the difference, where one does."""
    differs = pl.col(f"before:{what}").ne_missing(pl.col(f"after:{what}"))
    return pl.when(differs).then(pl.coalesce(f"after:{what}", f"before:{what}"))


def _summary(both: pl.DataFrame, changed: pl.DataFrame, deltas: pl.DataFrame, others: pl.DataFrame) -> Summary:
    moving = changed.filter(pl.col("before:place") != pl.col("after:place"))
    up, down = (changed.filter(pl.col("moved") > 0), changed.filter(pl.col("moved") < 0))
    shared = others.join(both.filter("after:applies").select("lead_id"), on="lead_id", how="semi")
    return {
        "leads": both.height,
        "changed": changed.height,
        "moves": [list(row) for row in both.group_by("before:place", "after:place").len().iter_rows()],
        "totals": {side: counted_totals(both[f"{side}:total"]) for side in _SIDES},
        "rules": [
            list(row)
            for row in deltas.group_by("rule")
            .agg(pl.len(), (pl.col("points") > 0).sum().alias("up"), pl.col("points").sum())
            .iter_rows()
        ],
        "causes": [list(row) for row in moving.group_by("cause").len().iter_rows()],
        "disqualified": _turned(both, "disqualified"),
        "overridden": _turned(both, "override"),
        "risers": _movers(up.top_k(_MOVERS, by="moved")),
        "fallers": _movers(down.bottom_k(_MOVERS, by="moved")),
        "stage_movers": _movers(moving.top_k(2 * _MOVERS, by=pl.col("moved").abs())),
        "overlaps": [list(row) for row in shared.group_by("model_id").len().iter_rows()],
    }


def _turned(both: pl.DataFrame, what: str) -> list[int]:
    """How many are so before, after, newly and no more."""
    before, after = both[f"before:{what}"].is_not_null(), both[f"after:{what}"].is_not_null()
    return [int(some.sum()) for some in (before, after, ~before & after, before & ~after)]


def _movers(some: pl.DataFrame) -> list[dict[str, Any]]:
    return [
        {
            "lead_id": row["lead_id"],
            **{side: {what: row[f"{side}:{what}"] for what in ("total", "place", "grade")} for side in _SIDES},
            "moved": row["moved"],
            "cause": row["cause"],
            "rules": [list(pair) for pair in zip(row["rules"] or (), row["points"] or (), strict=True)],
        }
        for row in some.iter_rows(named=True)
    ]


@dataclass(frozen=True)
class Neighbour:
    """Another live model."""

    id: int
    name: str
    title: str
    precedence: int


def conclude(
    summaries: Sequence[Summary],
    draft: language.Model,
    live: language.Model | None,
    neighbours: Iterable[Neighbour] = (),
) -> dict[str, Any]:
    """All ranges together, with points as thousandths."""
    words = rules_words(live, draft)
    moves: Counter[tuple[str, str]] = Counter()
    for summary in summaries:
        for before, after, leads in summary["moves"]:
            moves[before, after] += leads
    return {
        "leads": sum(summary["leads"] for summary in summaries),
        "changed": sum(summary["changed"] for summary in summaries),
        "stages": _stages(moves, draft, live),
        "moves": [
            {"before": before, "after": after, "leads": leads}
            for (before, after), leads in moves.most_common()
            if before != after
        ],
        "causes": _causes(summaries, words),
        "rules": _rules(summaries, words, rule_changes(live, draft)),
        "totals": binned([summary["totals"] for summary in summaries]),
        **{name: _summed(summaries, name) for name in ("disqualified", "overridden")},
        "movers": _top(summaries, ("risers", "fallers"), words),
        "stage_movers": _top(summaries, ("stage_movers",), words),
        "overlaps": _overlaps(summaries, neighbours, draft),
    }


def _stages(moves: Mapping[tuple[str, str], int], draft: language.Model, live: language.Model | None) -> list[Summary]:
    """Best first, then those at none; what enters and leaves each is what actions follow."""
    named = {stage.name: stage.threshold for model in (live, draft) if model for stage in model.stages}
    ranked = [STAGE + name for name in sorted(named, key=lambda name: -named[name])]
    found = []
    for place in (*ranked, NO_STAGE, DISQUALIFIED, OUTSIDE):
        row = {
            "place": place,
            "before": sum(leads for (before, _), leads in moves.items() if before == place),
            "after": sum(leads for (_, after), leads in moves.items() if after == place),
            "enters": sum(leads for (before, after), leads in moves.items() if after == place != before),
            "leaves": sum(leads for (before, after), leads in moves.items() if before == place != after),
        }
        if place in ranked or row["before"] or row["after"]:
            found.append(row)
    return found


def _causes(summaries: Sequence[Summary], words: Mapping[str, str]) -> list[Summary]:
    """Why leads come to another place, the most frequent cause first."""
    found: Counter[str] = Counter()
    for summary in summaries:
        for cause, leads in summary["causes"]:
            found[cause] += leads
    return [
        {"cause": cause, "words": cause_words(cause, words), "leads": leads} for cause, leads in found.most_common()
    ]


def cause_words(cause: str, words: Mapping[str, str]) -> str:
    kind, _, id_ = cause.partition(":")
    if kind in ("rule", "override"):
        return words.get(id_) or id_
    return {
        "audience": "the audience",
        "limits": "caps, shares or the scale",
        "stages": "where stages and grades begin",
    }[kind]


def _rules(summaries: Sequence[Summary], words: Mapping[str, str], changes: Mapping[str, str]) -> list[Summary]:
    """Every rule that was touched or moves anybody, those that move most leads first."""
    leads, up, points = Counter[str](), Counter[str](), Counter[str]()
    for summary in summaries:
        for rule, count, rising, sum_ in summary["rules"]:
            leads[rule] += count
            up[rule] += rising
            points[rule] += sum_
    wanted = [rule for rule in dict.fromkeys([*changes, *leads]) if leads[rule] or changes.get(rule) != "same"]
    return [
        {
            "rule": rule,
            "words": words.get(rule, rule),
            "change": changes.get(rule, "same"),
            "leads": leads[rule],
            "up": up[rule],
            "down": leads[rule] - up[rule],
            "points": points[rule],
        }
        for rule in sorted(wanted, key=lambda rule: -leads[rule])
    ]


def _summed(summaries: Sequence[Summary], name: str) -> dict[str, int]:
    sums = [sum(summary[name][place] for summary in summaries) for place in range(4)]
    return dict(zip(("before", "after", "newly", "no_more"), sums, strict=True))


def _top(summaries: Sequence[Summary], names: Sequence[str], words: Mapping[str, str]) -> list[Summary]:
    found = []
    for name in names:
        some = [mover for summary in summaries for mover in summary[name]]
        some.sort(key=lambda mover: (-abs(mover["moved"]), mover["lead_id"]))
        found += some[: 2 * _MOVERS // len(names)]
    found.sort(key=lambda mover: (-abs(mover["moved"]), mover["lead_id"]))
    return [
        mover
        | {
            "cause_words": cause_words(mover["cause"], words),
            "rules": [
                {"rule": rule, "words": words.get(rule, rule), "points": points} for rule, points in mover["rules"]
            ],
        }
        for mover in found
    ]


def _overlaps(summaries: Sequence[Summary], neighbours: Iterable[Neighbour], draft: language.Model) -> list[Summary]:
    shared: Counter[int] = Counter()
    for summary in summaries:
        for model_id, leads in summary["overlaps"]:
            shared[model_id] += leads
    return [
        {
            "model": each.name,
            "title": each.title,
            "leads": shared[each.id],
            "precedence": each.precedence,
            "draft_precedence": draft.precedence,
        }
        for each in neighbours
        if shared[each.id]
    ]
