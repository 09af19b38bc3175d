"""What would change a score: what changes by itself, and the fewest single things that lead to the next stage.

Nothing is estimated. What might happen is given to the engine as if it had, to copies of the lead, many in one call.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from assay.scoring.engine.compiling import CompiledModel
from assay.scoring.engine.explaining import explain
from assay.scoring.engine.reaching import LARGEST_SET, reach
from assay.scoring.engine.receipts import Explanation
from assay.scoring.engine.supposing import KEPT_FOR_WAYS, Action, Supposed, candidates
from assay.scoring.language import Stage

HORIZON = timedelta(days=90)
MOST_STEPS = 5
#: How often the next change after the last one is asked for; of a score that fades, after every day's.
_MOST_ROUNDS, _MOST_ROUNDS_A_DAY = 8, 4
#: Events told twice to say which rules turn.
_MOST_EXPLAINED = 10_000
_DAY = timedelta(days=1)
_MOMENT = timedelta(microseconds=1)
#: What makes a change worth telling, whatever the total does.
_OUTCOMES = ("applies", "stage", "grade", "override", "disqualified")

__all__ = ["Action", "Hint", "Outlook", "Standing", "Step", "Turn", "Way", "outlook"]


@dataclass(frozen=True, slots=True)
class Standing:
    applies: bool
    total: int | None
    stage: str | None
    grade: str | None
    override: str | None
    disqualified: str | None


@dataclass(frozen=True, slots=True)
class Turn:
    """A rule that gives more or less from then on."""

    rule: str
    title: str | None
    points: int


@dataclass(frozen=True, slots=True)
class Step:
    """An instant at which the score changes without news."""

    at: datetime
    before: Standing
    after: Standing
    turns: tuple[Turn, ...]


@dataclass(frozen=True, slots=True)
class Way:
    """A smallest set of single things after which the lead stands at the stage, as scoring it with them says."""

    actions: tuple[Action, ...]
    stage: str
    total: int


@dataclass(frozen=True, slots=True)
class Hint:
    """Something to know beside: why there is nothing to reach, or what was not tried."""

    code: str
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Outlook:
    model: str
    content_hash: str
    lead_id: int | str
    at: datetime
    now: Standing
    next_stage: str | None
    steps: tuple[Step, ...]
    ways: tuple[Way, ...]
    hints: tuple[Hint, ...]


def outlook(model: CompiledModel, lead: pl.DataFrame, events: pl.DataFrame, at: datetime) -> Outlook:
    """Of one lead: a frame of one row, and its events."""
    supposed = Supposed(model, lead, events)
    is_too_much = not supposed.affords(1, changing=True, keep=KEPT_FOR_WAYS)
    now = (supposed.rows if is_too_much else supposed.changing)([at])[0]
    target = _target(model, now)
    steps: tuple[Step, ...] = ()
    if is_too_much:
        hints = [Hint("too_much", {"count": supposed.asked, "events": events.height})]
    else:
        steps, hints = _steps(supposed, now, at)
    found: tuple[Way, ...] = ()
    if isinstance(target, Hint):
        hints.append(target)
    else:
        hints.append(_missing(target, now))
        if not is_too_much:
            found, more = _ways(supposed, target, at)
            hints += more
    return Outlook(
        model=model.name,
        content_hash=model.hash,
        lead_id=lead["lead_id"][0],
        at=at,
        now=_standing(now),
        next_stage=None if isinstance(target, Hint) else target.name,
        steps=steps,
        ways=found,
        hints=tuple(hints),
    )


def _standing(row: Mapping[str, Any]) -> Standing:
    return Standing(**{name: row[name] for name in ("total", *_OUTCOMES)})


def _steps(supposed: Supposed, now: Mapping[str, Any], at: datetime) -> tuple[tuple[Step, ...], list[Hint]]:
    smooth = supposed.model.smooth
    instants, every = _turning_points(supposed, now, at, daily=smooth)
    rows = supposed.rows([moment for instant in instants for moment in (instant - _MOMENT, instant)])
    pairs = list(zip(instants, rows[::2], rows[1::2], strict=True))
    # Within a microsecond a smooth fading moves a total by a rounding at most.
    told = [each for each in pairs if _differ(each[1], each[2], by=1 if smooth else 0)][:MOST_STEPS]
    hints = [] if every else [Hint("not_looked", {})]
    if smooth and pairs and not told and pairs[-1][2]["total"] not in (None, now["total"]):
        hints.append(Hint("fades_on", {"total": pairs[-1][2]["total"], "day": pairs[-1][0]}))
    if not told:
        return (), hints
    turns = _turns_at(supposed, [instant for instant, *_ in told])
    return tuple(Step(at, _standing(before), _standing(after), turns.get(at, ())) for at, before, after in told), hints


def _turning_points(
    supposed: Supposed, now: Mapping[str, Any], at: datetime, *, daily: bool
) -> tuple[list[datetime], bool]:
    """The next instants at which something can change, in order, of a score that fades also one a day; and whether
    there was time to look for all of them.
    """
    until, every = at + HORIZON, True
    found: set[datetime] = set()
    waiting = [now["next_change"]]
    if daily:
        grid = [at + _DAY * day for day in range(1, HORIZON // _DAY)]
        few = _affordable(supposed, len(grid))
        every = few == len(grid)
        waiting += [row["next_change"] for row in supposed.changing(grid[:few])] if few else []
    for _ in range(_MOST_ROUNDS_A_DAY if daily else _MOST_ROUNDS):
        fresh = sorted({instant for instant in waiting if instant is not None and instant <= until} - found)
        if not fresh or len(found) >= HORIZON // _DAY * 2:
            break
        few = _affordable(supposed, len(found) + len(fresh)) - len(found)
        if few < len(fresh):
            every = False
            fresh = fresh[: max(few, 0)]
        if not fresh:
            break
        found.update(fresh)
        waiting = [row["next_change"] for row in supposed.changing(fresh)]
    return sorted(found), every


def _affordable(supposed: Supposed, instants: int) -> int:
    """Of so many instants, at how many there is time to look: what comes before and after each is scored too."""
    return supposed.affords(2 * instants, changing=True, keep=KEPT_FOR_WAYS) // 2


def _differ(before: Mapping[str, Any], after: Mapping[str, Any], *, by: int) -> bool:
    if any(before[name] != after[name] for name in _OUTCOMES):
        return True
    return before["total"] is not None and abs(before["total"] - after["total"]) > by


def _turns_at(supposed: Supposed, instants: Sequence[datetime]) -> dict[datetime, tuple[Turn, ...]]:
    """Which rules turn at the instants: at the first of them only, for a lead of very many events."""
    few = instants[: _MOST_EXPLAINED // (supposed.events.height + 1)]
    if not few or supposed.affords(2 * len(few), changing=True) < 2 * len(few):
        return {}
    leads, events = supposed.copies([moment for instant in few for moment in (instant - _MOMENT, instant)])
    explained = explain(supposed.model, leads, events, None)
    return {
        instant: _turns(*both)
        for instant, both in zip(few, zip(explained[::2], explained[1::2], strict=True), strict=True)
    }


def _turns(before: Explanation, after: Explanation) -> tuple[Turn, ...]:
    titles = {part.rule: part.title for part in (*before.parts, *after.parts)}
    given = [
        {rule: sum(part.points for part in each.parts if part.rule == rule) for rule in titles}
        for each in (before, after)
    ]
    return tuple(
        Turn(rule, title, given[1][rule] - given[0][rule])
        for rule, title in titles.items()
        if given[1][rule] != given[0][rule]
    )


def _target(model: CompiledModel, now: Mapping[str, Any]) -> Stage | Hint:
    """The next higher stage, or why there is none to reach."""
    stages = model.model.stages
    if not now["applies"]:
        return Hint("outside", {})
    if now["disqualified"] is not None:
        return Hint("disqualified", {"override": now["disqualified"]})
    setting = next((each for each in model.model.overrides if each.id == now["override"]), None)
    if setting is not None and setting.set is not None:
        return Hint("overridden", {"override": setting.id, "total": setting.set})
    if not stages:
        return Hint("no_stages", {})
    return next((stage for stage in stages if not _reached(stage, now)), Hint("at_top", {}))


def _reached(stage: Stage, row: Mapping[str, Any]) -> bool:
    if row["total"] is None or row["disqualified"] is not None:
        return False
    total: int = row["total"]
    return total >= stage.threshold if stage.inclusive else total > stage.threshold


def _missing(stage: Stage, now: Mapping[str, Any]) -> Hint:
    if stage.inclusive:
        return Hint("missing", {"stage": stage.name, "missing": stage.threshold - now["total"]})
    return Hint("more_than", {"stage": stage.name, "total": stage.threshold})


def _ways(supposed: Supposed, target: Stage, at: datetime) -> tuple[tuple[Way, ...], list[Hint]]:
    things, left_out = candidates(supposed.model, at)
    found, every = reach(supposed, things, at, lambda row: _reached(target, row))
    ways = tuple(Way(actions, row["stage"], row["total"]) for actions, row in found)
    hints = [Hint("cannot_make_up", {"title": rule.title or rule.id}) for rule in left_out]
    if not found:
        hints.append(Hint("none_found", {"count": LARGEST_SET, "stage": target.name}))
    if not every:
        hints.append(Hint("not_tried", {"count": LARGEST_SET}))
    return ways, hints
