"""Caps, milestones and first matches, and the rounding, allotted to single awards: the totals' own sums."""

from collections.abc import Sequence

from assay.scoring.engine.compiling import CompiledModel
from assay.scoring.engine.listing import Award
from assay.scoring.engine.reasons import Reason, reason


def rounded(units: int, unit: int) -> int:
    """Thousandths from units, halves to the even one."""
    whole, rest = divmod(units, unit)
    return whole + (rest * 2 > unit or (rest * 2 == unit and whole % 2 != 0))


def settle_awards(model: CompiledModel, earned: list[Award]) -> None:
    """What is left of each award after caps, and its `points`: thousandths that add up to `raw`."""
    ordered = sorted(earned, key=lambda award: award.order)
    unit = model.unit
    hits = _cap_rules(model, ordered)
    for award in earned:
        if award.is_milestone:
            award.left = 0
    for dimension in model.model.dimensions:
        inside = [award for award in ordered if _dimension_of(model, award) == dimension.name]
        for group in dimension.groups:
            members = [award for award in inside if award.rule is not None and award.rule.group == group.name]
            if group.first_match:
                _keep_first(members, hits)
            _cap(members, group.min, group.max, unit, "group", group.name)
        _lift(inside, unit, dimension.name)
        _cap(inside, dimension.min, dimension.max, unit, "dimension", dimension.name)
    _lift(ordered, unit, None)
    _allot(model, earned)


def _dimension_of(model: CompiledModel, award: Award) -> str | None:
    return model.model.judgements.dimension if award.rule is None else award.rule.dimension


def _cap_rules(model: CompiledModel, ordered: Sequence[Award]) -> set[int]:
    """Each rule within its own caps; returns the places of the rules that match."""
    by_rule: dict[int, list[Award]] = {}
    for award in ordered:
        by_rule.setdefault(award.place, []).append(award)
    for place, found in by_rule.items():
        if place == len(model.model.rules):
            judgements = model.model.judgements
            _cap(found, judgements.min, judgements.max, model.unit, "judgements", "")
        else:
            rule = model.model.rules[place]
            _cap(found, rule.min, rule.max, model.unit, "rule", rule.id)
    return {place for place, found in by_rule.items() if any(award.refusal is None for award in found)}


def _keep_first(members: Sequence[Award], hits: set[int]) -> None:
    first = min((award.place for award in members if award.place in hits), default=None)
    if first is None:
        return
    winner = next(award for award in members if award.place == first)
    for award in members:
        if award.place > first and award.refusal is None:
            group = award.rule.group if award.rule else None
            award.refusal = reason("other_first", rule=winner.id, group=group)
            award.left = 0


def _lift(members: Sequence[Award], unit: int, dimension: str | None) -> None:
    """The highest milestone that is active lifts the sum of the rest to itself; None: the score itself."""
    milestones = [
        award
        for award in members
        if award.refusal is None and award.rule is not None and award.is_milestone and award.rule.dimension == dimension
    ]
    if not milestones:
        return
    top = max(milestones, key=lambda award: (award.units, -award.place))
    rest = sum(award.left for award in members)
    milestone = rounded(top.units, unit)
    for award in milestones:
        if award is top:
            continue
        if award.place == top.place and award.units == top.units:
            award.refusal = reason("counted_once")
        else:
            award.refusal = reason("higher_milestone", rule=top.id, milestone=milestone)
    below = rounded(rest, unit)
    if rest >= top.units:
        top.refusal = reason("below_milestone", rest=below, milestone=milestone)
        return
    top.left = top.units - rest
    if dimension is None:
        top.remarks.append(reason("lifts_score", rest=below, milestone=milestone))
    else:
        top.remarks.append(reason("lifts", dimension=dimension, rest=below, milestone=milestone))


def _cap(members: Sequence[Award], low: int | None, high: int | None, unit: int, scope: str, name: str) -> None:
    """Takes what is over `high` from the latest gains, what is under `low` from the latest losses."""
    total = sum(award.left for award in members)
    if high is not None and total > high * unit:
        excess, sign, told = total - high * unit, 1, _cut(f"over_{scope}", high, name)
    elif low is not None and total < low * unit:
        excess, sign, told = low * unit - total, -1, _cut(f"under_{scope}", low, name)
    else:
        return
    for award in reversed(members):
        taken = min(excess, max(sign * award.left, 0))
        if taken:
            award.left -= sign * taken
            award.reductions.append(told)
            excess -= taken


def _cut(code: str, cap: int, name: str) -> Reason:
    return reason(code, cap=cap, **({"name": name} if name else {}))


def _allot(model: CompiledModel, earned: Sequence[Award]) -> None:
    """Each gets what it adds to the rounded running sum: dimension by dimension, then what stands in none."""
    places = {dimension.name: place for place, dimension in enumerate(model.model.dimensions)}
    last = len(places)

    def stand(award: Award) -> tuple[int, int, tuple[bool, int, str, int]]:
        dimension = _dimension_of(model, award)
        return places[dimension] if dimension is not None else last, award.place, award.order

    running = before = 0
    for award in sorted(earned, key=stand):
        running += award.left
        after = rounded(running, model.unit)
        award.points, before = after - before, after
