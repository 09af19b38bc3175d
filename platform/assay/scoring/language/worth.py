"""What a rule's awards are worth, exactly, and the unit in which everything a model gives is a whole number."""

from collections.abc import Mapping
from fractions import Fraction
from math import lcm

from assay.scoring.language.model import Fading, Model, OnEvents, Rule, WhenHolds

#: A smooth fading is rounded to this part of what the model would otherwise need.
SMOOTHNESS = 1000
MOST_UNIT = 1_000_000
#: As many awards of one rule as fit into 64 bits, whatever the rule gives.
MOST_AWARDS = 1_000_000
#: As many of each of the others as fit beside them.
MOST_OF_EACH = 100_000
WHOLE = 100_000


def unit(model: Model) -> int:
    """How many parts a thousandth of a point is cut into, so that shares and steps are whole numbers of them."""
    shares = share_sums(model)
    parts = 1
    smooth = False
    for rule in model.rules:
        parts = lcm(parts, rule_parts(model, rule, shares))
        fading = fading_of(rule)
        smooth = smooth or (fading is not None and fading.kind in ("linear", "half_life"))
    return parts * SMOOTHNESS if smooth else parts


def worth(model: Model, rule: Rule, shares: Mapping[str, int] | None = None) -> Fraction:
    """Thousandths of one award; `shares` as `share_sums` gives them, for who asks about many rules."""
    if rule.worth != "share":
        return Fraction(rule.points)
    split, dimension = model.split, rule.dimension
    if split is None or dimension is None:
        raise ValueError(f"{rule.id} has a share of nothing")
    total = (share_sums(model) if shares is None else shares)[dimension]
    return Fraction(split.points, len(split.over)) * rule.points / total


def share_sums(model: Model) -> dict[str, int]:
    """The positive shares of each dimension, added."""
    sums: dict[str, int] = {}
    for rule in model.rules:
        if rule.worth == "share" and rule.dimension is not None and rule.points > 0:
            sums[rule.dimension] = sums.get(rule.dimension, 0) + rule.points
    return sums


def rule_parts(model: Model, rule: Rule, shares: Mapping[str, int]) -> int:
    """The parts of a thousandth that one rule alone needs."""
    worths = [worth(model, rule, shares)]
    trigger = rule.trigger
    if isinstance(trigger, OnEvents) and trigger.count.word == "first_points":
        worths.append(Fraction(trigger.count.then))
    fading = fading_of(rule)
    if fading is not None and fading.kind == "every":
        worths.extend([whole * fading.by / WHOLE for whole in worths])
    return lcm(*(value.denominator for value in worths))


def fading_of(rule: Rule) -> Fading | None:
    return None if isinstance(rule.trigger, WhenHolds) else rule.trigger.fading
