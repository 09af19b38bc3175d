"""Receipts: the parts of a score, which sum to `raw` exactly, and the parts that count nothing, with why."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from assay.scoring.engine import awards, silences
from assay.scoring.engine.compiling import CompiledModel
from assay.scoring.engine.frames import Scene, prepare
from assay.scoring.engine.totals import known_silences, score_scene, trait_holds
from assay.scoring.language import OnEvents, Rule, WhenSilent, describe
from assay.scoring.language.quantities import number, spoken

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Part:
    """One award, or one that was left out: then `counted` is False, `points` 0, and `why` says the reason.

    `points` are thousandths after every cap; `earned` are those of the award itself. `at` is the award's own instant,
    None for traits. `events` are the event ids behind it.
    """

    rule: str
    title: str | None
    dimension: str | None
    group: str | None
    points: int
    earned: int
    counted: bool
    why: str
    at: datetime | None
    events: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """A lead's score under one model with all its parts, in the order of the rules, then of time."""

    model: str
    content_hash: str
    lead_id: int | str
    at: datetime
    total: int
    raw: int
    dimensions: dict[str, int]
    stage: str | None
    grade: str | None
    next_change: datetime | None
    parts: tuple[Part, ...]


@dataclass(slots=True)
class _Award:
    """An award on its way through the caps; `left` is what they leave of it."""

    place: int
    rule: Rule
    what: str
    t: int | None
    event_id: str | None
    points: int
    refusal: str | None
    left: int = 0
    reductions: list[str] = field(default_factory=list)

    @property
    def order(self) -> tuple[bool, int, str, int]:
        return (self.t is not None, self.t or 0, self.event_id or "", self.place)

    def part(self) -> Part:
        counted = self.refusal is None and (self.left != 0 or self.points == 0)
        why = self.what
        if self.refusal is not None:
            why = f"{self.what}; {self.refusal}"
        elif self.reductions and self.left == 0:
            why = f"{self.what}; {self.reductions[-1]}"
        elif self.reductions:
            reasons = " and ".join(self.reductions)
            why = f"{self.what}; {number(self.left)} of {number(self.points)} points, the rest is {reasons}"
        rule = self.rule
        return Part(
            rule=rule.id,
            title=rule.title,
            dimension=rule.dimension,
            group=rule.group,
            points=self.left if counted else 0,
            earned=self.points,
            counted=counted,
            why=why,
            at=None if self.t is None else _instant(self.t),
            events=() if self.event_id is None else (self.event_id,),
        )


def explain(model: CompiledModel, leads: pl.DataFrame, events: pl.DataFrame, at: datetime) -> list[Explanation]:
    """One explanation per lead, in the order of the leads."""
    scene = prepare([model], leads, events, at)
    found: list[list[_Award]] = [[] for _ in range(scene.leads.height)]
    for lead, award in _awards(model, scene):
        found[lead].append(award)
    totals = score_scene([model], scene).iter_rows(named=True)
    return [_explanation(model, row, at, earned) for row, earned in zip(totals, found, strict=True)]


def _explanation(model: CompiledModel, row: dict[str, Any], at: datetime, earned: list[_Award]) -> Explanation:
    _apply_caps(model, earned)
    row["dimensions"] = json.loads(str(row["dimensions"]))
    parts = sorted(earned, key=lambda award: (award.place, award.order))
    return Explanation(**row, at=at, parts=tuple(award.part() for award in parts))


def _awards(model: CompiledModel, scene: Scene) -> Iterator[tuple[int, _Award]]:
    for place, rule, condition in model.trait_rules:
        held = scene.leads.filter(trait_holds(scene, condition))["lead"]
        for lead in held:
            yield lead, _Award(place, rule, describe(condition), None, None, rule.points, None, rule.points)
    known = known_silences(model, scene)
    tiers = silences.families(model.silence_rules)
    names = scene.events.lazy().select("row", "event_id", "type")
    plans: list[tuple[int, Rule, OnEvents | WhenSilent, pl.LazyFrame]] = [
        (place, rule, trigger, awards.of_events(scene, trigger, rule.points))
        for place, rule, trigger in model.event_rules
    ]
    for place, rule, silence in model.silence_rules:
        family = tiers[silences.family(rule, silence)]
        plans.append((place, rule, silence, silences.awards(scene, rule, silence, family, known[silence.of])))
    frames = awards.collected([frame.join(names, on="row", how="left") for *_, frame in plans])
    for (place, rule, trigger, _), frame in zip(plans, frames, strict=True):
        for row in frame.select("lead", "t", "points", "verdict", "event_id", "type").iter_rows():
            lead, t, points, verdict, event_id, event_type = row
            what = _what(trigger, t, event_type)
            refusal = _refusal(trigger, verdict, t, scene.at)
            yield lead, _Award(place, rule, what, t, event_id, points, refusal, 0 if refusal else points)


def _what(trigger: OnEvents | WhenSilent, t: int, event_type: str | None) -> str:
    if isinstance(trigger, OnEvents):
        return f"{event_type} on {_shown(t)}"
    activity = "activity" if trigger.of is None else " or ".join(trigger.of)
    return f"no {activity} for {spoken(trigger.length)} since {_shown(t - trigger.length)}"


def _refusal(trigger: OnEvents | WhenSilent, verdict: int, t: int, at: int) -> str | None:
    if verdict != awards.COUNTS:
        return _left_out(trigger, verdict)
    if t > at:
        return f"counts from {_shown(t)}"
    lasts = trigger.expires_after
    if lasts is not None and t + lasts <= at:
        return f"expired on {_instant(t + lasts):%Y-%m-%d}, {spoken(lasts)} after it was earned"
    return None


def _left_out(trigger: OnEvents | WhenSilent, verdict: int) -> str:
    if isinstance(trigger, WhenSilent):
        return "replaced by a longer silence"
    count = trigger.count
    return {
        awards.COUNTED_ONCE: "counted once already",
        awards.COUNTED_FOR_VALUE: f"counted once already for this {count.property}",
        awards.BEYOND_FIRST: f"only the first {count.number} {'counts' if count.number == 1 else 'count'}",
        awards.BEFORE_FROM: f"counts from the {_ordinal(count.number)} time on",
        awards.WITHOUT_VALUE: f"the event has no {count.property}",
        awards.STILL_ACTIVE: "counted once already, and that award had not faded",
    }[verdict]


def _apply_caps(model: CompiledModel, earned: list[_Award]) -> None:
    """Rule, then group, then dimension: the same sums as the totals, allotted to single awards."""
    ordered = sorted(earned, key=lambda award: award.order)
    by_rule: dict[int, list[_Award]] = {}
    for award in ordered:
        by_rule.setdefault(award.place, []).append(award)
    hits = {place for place, found in by_rule.items() if any(award.refusal is None for award in found)}
    for place, found in by_rule.items():
        rule = model.model.rules[place]
        _cap(found, rule.min, rule.max, f"rule {rule.id}")
    for dimension in model.model.dimensions:
        inside = [award for award in ordered if award.rule.dimension == dimension.name]
        for group in dimension.groups:
            members = [award for award in inside if award.rule.group == group.name]
            if group.first_match:
                _keep_first(members, hits)
            _cap(members, group.min, group.max, f"group {group.name}")
        _cap(inside, dimension.min, dimension.max, f"dimension {dimension.name}")


def _keep_first(members: Sequence[_Award], hits: set[int]) -> None:
    first = min((award.place for award in members if award.place in hits), default=None)
    for award in members:
        if first is not None and award.place > first and award.refusal is None:
            winner = next(other.rule.id for other in members if other.place == first)
            award.refusal = f"rule {winner} matched first in group {award.rule.group}"
            award.left = 0


def _cap(members: Sequence[_Award], low: int | None, high: int | None, name: str) -> None:
    """Takes what is over `high` from the latest gains, what is under `low` from the latest losses."""
    total = sum(award.left for award in members)
    if high is not None and total > high:
        excess, sign, reason = total - high, 1, f"over the cap of {number(high)} for {name}"
    elif low is not None and total < low:
        excess, sign, reason = low - total, -1, f"below the floor of {number(low)} for {name}"
    else:
        return
    for award in reversed(members):
        taken = min(excess, max(sign * award.left, 0))
        if taken:
            award.left -= sign * taken
            award.reductions.append(reason)
            excess -= taken


def _instant(t: int) -> datetime:
    return _EPOCH + timedelta(microseconds=t)


def _shown(t: int) -> str:
    return f"{_instant(t):%Y-%m-%d %H:%M} UTC"


def _ordinal(place: int) -> str:
    suffix = "th" if place % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(place % 10, "th")
    return f"{place}{suffix}"
