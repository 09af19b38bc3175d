"""Receipts: the parts of a score, which sum to `raw` exactly, and what leads from there to the score shown."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import polars as pl

from assay.scoring.engine import awards
from assay.scoring.engine.compiling import CompiledModel
from assay.scoring.engine.evaluating import Board, evaluate
from assay.scoring.engine.frames import prepare
from assay.scoring.engine.gathering import gathered, split
from assay.scoring.engine.holding import Answers, from_conditions
from assay.scoring.engine.listing import Award, from_events, from_judgements, from_silences, moment
from assay.scoring.engine.machines import from_machines
from assay.scoring.engine.reasons import Reason, reason
from assay.scoring.engine.receipts import Adjustment, Explanation, Part
from assay.scoring.engine.scoring import scored
from assay.scoring.engine.settling import rounded, settle_awards
from assay.scoring.language import Model


def explain(model: CompiledModel, leads: pl.DataFrame, events: pl.DataFrame, at: datetime | None) -> list[Explanation]:
    """One explanation per lead, in the order of the leads; without `at`, each at the instant in its column `at`."""
    scene = prepare([model], leads, events, at)
    board = evaluate(scene, [model])
    found = awards.of_model(board, model)
    single, many = split(model, found)
    earned: list[list[Award]] = [[] for _ in range(scene.size)]
    for listed, of in (
        (from_conditions, single),
        (from_events, single),
        (from_silences, single),
        (from_judgements, single),
        (gathered, many),
        (from_machines, single),
    ):
        for lead, award in listed(board, model, of):
            earned[lead].append(award)
    outside = _outside(board, model)
    (totals,) = scored(board, [model])
    return [
        _explanation(model, row, moment(instant), awards_, outside.get(lead))
        for lead, (row, instant, awards_) in enumerate(
            zip(totals.iter_rows(named=True), scene.leads["at"], earned, strict=True)
        )
    ]


def _explanation(
    model: CompiledModel, row: dict[str, Any], at: datetime, earned: list[Award], outside: Part | None
) -> Explanation:
    row["dimensions"] = json.loads(row["dimensions"] or "{}")
    if outside is not None:
        return Explanation(**row, at=at, parts=(outside,), adjustments=())
    settle_awards(model, earned)
    parts = sorted(earned, key=lambda award: (award.place, award.order))
    return Explanation(
        **row,
        at=at,
        parts=tuple(_part(award, model) for award in parts),
        adjustments=tuple(_adjustments(model.model, row)),
    )


def _outside(board: Board, model: CompiledModel) -> dict[int, Part]:
    """Of the leads whom the model does not score, why."""
    audience = model.model.audience
    if audience is None:
        return {}
    answers = Answers(board, model, [audience])
    return {
        lead: Part(
            rule="audience",
            title=None,
            dimension=None,
            group=None,
            points=0,
            earned=0,
            counted=False,
            what=reason("only_for", condition=audience),
            because=answers.why_not(audience, lead),
            at=None,
            events=(),
        )
        for lead, answer in enumerate(answers.column(audience))
        if not answer
    }


def _part(award: Award, model: CompiledModel) -> Part:
    counted = award.refusal is None and (award.left != 0 or award.whole == 0)
    rule, unit = award.rule, model.unit
    return Part(
        rule=award.id,
        title=rule.title if rule else None,
        dimension=rule.dimension if rule else model.model.judgements.dimension,
        group=rule.group if rule else None,
        points=award.points if counted else 0,
        earned=rounded(award.whole, unit),
        counted=counted,
        what=award.what,
        because=tuple(_because(award, unit)),
        at=None if award.t is None else moment(award.t),
        events=award.events,
        events_behind=award.events_behind,
        judged=award.judged,
    )


def _because(award: Award, unit: int) -> list[Reason]:
    if award.refusal is not None:
        return [award.refusal]
    if award.whole and not award.units:
        return [reason("faded_away")]
    if award.reductions and award.left == 0:
        return [award.reductions[-1]]
    found = list(award.remarks)
    if award.units != award.whole:
        found.append(reason("faded", earned=rounded(award.whole, unit), points=rounded(award.units, unit)))
    if award.reductions:
        points, earned = award.points, rounded(award.units, unit)
        found.append(reason("rest", points=points, earned=earned, reasons=tuple(award.reductions)))
    return found


def _adjustments(model: Model, row: dict[str, Any]) -> Sequence[Adjustment]:
    found: list[Adjustment] = []
    raw, total = row["raw"], row["total"]
    low, high = model.scale.min, model.scale.max
    scaled = raw
    if high is not None and raw > high:
        scaled = high
        found.append(Adjustment("scale_max", None, high - raw, reason("scale_max", total=high)))
    elif low is not None and raw < low:
        scaled = low
        found.append(Adjustment("scale_min", None, low - raw, reason("scale_min", total=low)))
    for kind, name in (("set", row["override"]), ("disqualified", row["disqualified"])):
        override = next((each for each in model.overrides if each.id == name), None)
        if override is None:
            continue
        points = total - scaled if kind == "set" else 0
        told = reason(kind, total=total, override=override.id, reason=override.reason)
        found.append(Adjustment(kind, override.id, points, told))
    return found
