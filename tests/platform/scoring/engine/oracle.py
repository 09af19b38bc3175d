"""The language once more, in plain Python and straight from its definitions: slow, and written without the engine.

Instants are whole microseconds. A lead is its first sight (or None) and its traits as texts; an event is
(event_id, type, instant, properties as texts). Points are fractions of a thousandth, rounded where they are told.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from math import lcm

from assay.scoring.language import (
    Comparison,
    Condition,
    EventCount,
    Every,
    Fading,
    Model,
    OfModel,
    OnEvents,
    Rule,
    Some,
    WhenHolds,
    WhenSilent,
)

Texts = Mapping[str, str | None]
Event = tuple[str, str, int, Texts]
Others = Mapping[str, Model]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
WHOLE = 100_000
#: Of the texts that the tests try, for the words about data quality.
FREE, DISPOSABLE, FAKE = {"gmail.com"}, {"mailinator.com"}, {"xxx", "="}


@dataclass(frozen=True)
class Lead:
    first_seen: int | None
    traits: Texts


@dataclass(frozen=True)
class Result:
    applies: bool
    total: int | None = None
    raw: int | None = None
    dimensions: dict[str, int] | None = None
    stage: str | None = None
    grade: str | None = None
    override: str | None = None
    disqualified: str | None = None


@dataclass(frozen=True)
class Facts:
    """What is known of a lead, looked at from one instant, and the models that may be asked about it."""

    lead: Lead
    events: Sequence[Event]
    at: int
    others: Others

    @property
    def activity(self) -> list[Event]:
        return [event for event in self.events if not event[1].startswith("assay.")]


def number(text: str) -> float | None:
    bare = text.strip()
    if not re.fullmatch(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?", bare):
        return None
    value = float(bare)
    return value if abs(value) != float("inf") else None


def instant(text: str) -> int | None:
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    aware = found if found.tzinfo else found.replace(tzinfo=UTC)
    return (aware - EPOCH) // timedelta(microseconds=1)


def elements(text: str) -> list[str] | None:
    if not text.startswith("["):
        return None
    return [item if isinstance(item, str) else json.dumps(item) for item in json.loads(text)]


def known(text: str | None) -> str | None:
    return None if text is None or text.strip() in ("", "[]") else text


def same(text: str, value: object) -> bool:
    if isinstance(value, bool):
        return text.lower() == str(value).lower()
    if isinstance(value, (int, float)):
        return number(text) == value
    return text.lower() == str(value).lower()


def compare(comparison: Comparison, text: str | None, at: int) -> bool | None:
    word, operand = comparison.word, comparison.operand
    text = known(text)
    if word == "exists":
        return (text is not None) == operand
    if text is None:
        return None
    values = operand if isinstance(operand, tuple) else (operand,)
    listed = elements(text)
    if word in ("is_not", "not_in"):
        return not any(same(item, value) for item in listed or [text] for value in values)
    if listed is not None:
        if word == "contains":
            return any(same(item, operand) for item in listed)
        answers = [compare(comparison, item, at) for item in listed]
        return True if True in answers else None if None in answers else False
    if word in ("is", "in"):
        return any(same(text, value) for value in values)
    if word in ("within", "older_than"):
        when = instant(text)
        if when is None:
            return None
        return at - when >= operand if word == "older_than" else 0 <= at - when < operand
    if word in ("gt", "gte", "lt", "lte", "between"):
        value = number(text)
        return None if value is None else measured(word, value, operand)
    if word in ("is_valid_email", "is_free_email", "is_disposable_email", "looks_fake"):
        answer = quality(word, text.lower())
        return None if answer is None else answer == operand
    if word == "matches":
        return re.search(str(operand), text) is not None
    low, wanted = text.lower(), str(operand).lower()
    return {"contains": wanted in low, "starts_with": low.startswith(wanted), "ends_with": low.endswith(wanted)}[word]


def quality(word: str, text: str) -> bool | None:
    address = re.fullmatch(r"[a-z.]+@((?:[a-z]+\.)+[a-z]+)", text)
    if word == "looks_fake":
        return text in FAKE
    if word == "is_valid_email":
        return address is not None and len(address[1].split(".")[-1]) > 1
    return None if address is None else address[1] in (FREE if word == "is_free_email" else DISPOSABLE)


def measured(word: str, value: float, operand: object) -> bool:
    if word == "between":
        low, high = operand
        return low <= value <= high
    return {
        "is": value == operand,
        "gt": value > operand,
        "gte": value >= operand,
        "lt": value < operand,
        "lte": value <= operand,
    }[word]


def joined(decisive: bool, answers: Iterable[bool | None]) -> bool | None:
    """`any` is decided by one true part, `all` by one false; else one unknown part leaves it open."""
    found = list(answers)
    if decisive in found:
        return decisive
    return None if None in found else not decisive


def holds(condition: Condition, facts: Facts, texts: Texts) -> bool | None:
    if isinstance(condition, Comparison):
        return compare(condition, texts.get(condition.name), facts.at)
    if isinstance(condition, EventCount):
        return measured(condition.word, counted(condition, facts), condition.operand)
    if isinstance(condition, OfModel):
        return says(condition, facts)
    if isinstance(condition, (Every, Some)):
        return joined(isinstance(condition, Some), (holds(part, facts, texts) for part in condition.conditions))
    answer = holds(condition.condition, facts, texts)
    return None if answer is None else not answer


def counted(asked: EventCount, facts: Facts) -> int:
    found = []
    for _, kind, t, properties in facts.activity:
        age = facts.at - t
        if age < 0 or (asked.within is not None and age >= asked.within):
            continue
        if asked.types is not None and kind not in asked.types:
            continue
        if asked.where is None or holds(asked.where, facts, properties) is True:
            found.append(properties)
    if asked.distinct is None:
        return len(found)
    return len({known(properties.get(asked.distinct)) for properties in found} - {None})


def says(asked: OfModel, facts: Facts) -> bool | None:
    found = result(facts.others[asked.model], facts)
    if asked.aspect == "applies":
        return found.applies == asked.operand
    if not found.applies:
        return None
    if asked.aspect == "disqualified":
        return (found.disqualified is not None) == asked.operand
    if asked.aspect == "score":
        value = found.total if asked.dimension is None else found.dimensions[asked.dimension]
        return measured(asked.word, value, asked.operand)
    text = found.stage if asked.aspect == "stage" else found.grade
    if asked.word == "exists":
        return (text is not None) == asked.operand
    if text is None:
        return None
    wanted = asked.operand if isinstance(asked.operand, tuple) else (asked.operand,)
    return any(same(text, value) for value in wanted) == (asked.word in ("is", "in"))


# Worth


def worth(model: Model, rule: Rule) -> Fraction:
    """A whole award, in thousandths."""
    if rule.worth != "share":
        return Fraction(rule.points)
    block = Fraction(model.split.points, len(model.split.over))
    shares = [
        other.points
        for other in model.rules
        if other.worth == "share" and other.dimension == rule.dimension and other.points > 0
    ]
    return block / sum(shares) * rule.points


def fading(rule: Rule) -> Fading | None:
    return None if isinstance(rule.trigger, WhenHolds) else rule.trigger.fading


def unit(model: Model) -> int:
    """Into how many pieces this model divides a thousandth."""
    pieces, smooth = [1], False
    for rule in model.rules:
        fades = fading(rule)
        awards = [worth(model, rule)]
        if isinstance(rule.trigger, OnEvents) and rule.trigger.count.word == "first_points":
            awards = [Fraction(rule.trigger.count.number), Fraction(rule.trigger.count.then)]
        if fades is not None and fades.kind == "every":
            awards += [award * fades.by / WHOLE for award in awards]
        smooth = smooth or (fades is not None and fades.kind in ("linear", "half_life"))
        pieces += [award.denominator for award in awards]
    return lcm(*pieces) * (1000 if smooth else 1)


def ends(fades: Fading | None) -> int | None:
    """The age at which an award is gone for good."""
    if fades is None or fades.kind == "half_life":
        return None
    if fades.kind == "every":
        return fades.length * -(-WHOLE // fades.by)
    return fades.length


def faded(whole: Fraction, fades: Fading | None, age: int) -> Fraction | None:
    """What is left of an award in its unit's whole numbers; None when it is gone."""
    end = ends(fades)
    if end is not None and age >= end:
        return None
    if fades is None or fades.kind == "after":
        return whole
    if fades.kind == "every":
        return whole * max(0, WHOLE - age // fades.length * fades.by) / WHOLE
    assert whole.denominator == 1
    left = 1 - age / fades.length if fades.kind == "linear" else 0.5 ** (age / fades.length)
    return Fraction(round(int(whole) * left))


# Awards: (instant, thousandths) of each that the words of a rule allow, whenever it counts


def event_awards(model: Model, rule: Rule, trigger: OnEvents, facts: Facts) -> list[tuple[int, Fraction]]:
    found: list[tuple[int, Fraction]] = []
    seen: set[str] = set()
    matching = 0
    for _, kind, t, properties in facts.events:
        if kind not in trigger.types:
            continue
        if trigger.where is not None and holds(trigger.where, facts, properties) is not True:
            continue
        matching += 1
        count, points = trigger.count, worth(model, rule)
        match count.word:
            case "once":
                allowed = matching == 1
            case "once_while_active":
                lasts = ends(trigger.fading)
                allowed = not found or (lasts is not None and t >= found[-1][0] + lasts)
            case "once_per":
                value = known(properties.get(count.property))
                allowed = value is not None and value not in seen
                if value is not None:
                    seen.add(value)
            case "first":
                allowed = matching <= count.number
            case "from":
                allowed = matching >= count.number
            case "first_points":
                allowed = True
                points = Fraction(count.number if matching == 1 else count.then)
            case _:
                allowed = True
        if allowed:
            found.append((t, points))
    return found


def silence_began(trigger: WhenSilent, facts: Facts, at: int) -> int | None:
    """When the silence of an instant began."""
    past = [event for event in facts.activity if event[2] <= at]
    matching = [t for _, kind, t, _ in past if trigger.of is None or kind in trigger.of]
    if matching:
        return max(matching)
    if facts.lead.first_seen is not None:
        return facts.lead.first_seen
    return min((t for _, _, t, _ in past), default=None)


def reached(trigger: WhenSilent, facts: Facts, begins: int) -> bool:
    """Whether the silence that began then counts for this tier."""
    reaches = begins + trigger.length
    if reaches > facts.at or silence_began(trigger, facts, reaches) != begins:
        return False
    return trigger.kept or silence_began(trigger, facts, facts.at) == begins


def silence_awards(model: Model, rule: Rule, trigger: WhenSilent, facts: Facts) -> list[tuple[int, Fraction]]:
    deeper = [
        other.trigger
        for other in model.rules
        if isinstance(other.trigger, WhenSilent)
        and other.trigger.replaces
        and other.trigger.length > trigger.length
        and (other.trigger.of, other.dimension, other.group) == (trigger.of, rule.dimension, rule.group)
    ]
    begins = {t for _, _, t, _ in facts.activity}
    if facts.lead.first_seen is not None:
        begins.add(facts.lead.first_seen)
    return [
        (begin + trigger.length, worth(model, rule))
        for begin in sorted(begins)
        if reached(trigger, facts, begin) and not any(reached(other, facts, begin) for other in deeper)
    ]


def left_of(model: Model, rule: Rule, facts: Facts, pieces: int) -> list[Fraction]:
    """What each active award of a rule is worth now, in the model's unit."""
    trigger = rule.trigger
    if isinstance(trigger, WhenHolds):
        holding = holds(trigger.condition, facts, facts.lead.traits) is True
        return [worth(model, rule) * pieces] if holding else []
    if isinstance(trigger, OnEvents):
        awards = event_awards(model, rule, trigger, facts)
    else:
        awards = silence_awards(model, rule, trigger, facts)
    left = [faded(points * pieces, trigger.fading, facts.at - t) for t, points in awards if t <= facts.at]
    return [points for points in left if points is not None]


def judgements(model: Model, facts: Facts) -> list[int]:
    """Thousandths of each adjustment by a person that counts now."""
    found = []
    for _, kind, t, properties in facts.events:
        if kind != "assay.judgement" or t > facts.at or properties.get("model") not in (None, model.name):
            continue
        key = properties["judgement"]
        until = [
            withdrawn
            for _, other, withdrawn, said in facts.events
            if other == "assay.judgement_withdrawn" and said.get("judgement") == key
        ]
        if properties.get("expires_at") is not None:
            until.append(instant(properties["expires_at"]))
        if all(facts.at < end for end in until):
            found.append(round(Fraction(properties["points"]) * 1000))
    return found


# Sums


def clamp(value: Fraction, low: int | None, high: int | None, pieces: int) -> Fraction:
    if low is not None:
        value = max(value, Fraction(low * pieces))
    return value if high is None else min(value, Fraction(high * pieces))


def judged(model: Model, facts: Facts, pieces: int) -> Fraction:
    own = model.judgements
    if not own.counted:
        return Fraction(0)
    return clamp(Fraction(sum(judgements(model, facts)) * pieces), own.min, own.max, pieces)


def summed(model: Model, facts: Facts, pieces: int) -> tuple[list[Fraction], Fraction]:
    """Each dimension and the score before rounding, in the model's unit."""
    given = {rule.id: left_of(model, rule, facts, pieces) for rule in model.rules}
    adding = [rule for rule in model.rules if rule.worth != "milestone"]
    capped = {rule.id: clamp(sum(given[rule.id], Fraction(0)), rule.min, rule.max, pieces) for rule in adding}

    def lifted(name: str | None, rest: Fraction) -> Fraction:
        milestones = [
            award
            for rule in model.rules
            if rule.worth == "milestone" and rule.dimension == name
            for award in given[rule.id]
        ]
        return max([rest, *milestones])

    dimensions = []
    for dimension in model.dimensions:
        rules = [rule for rule in adding if rule.dimension == dimension.name]
        value = sum((capped[rule.id] for rule in rules if rule.group is None), Fraction(0))
        for group in dimension.groups:
            members = [rule for rule in rules if rule.group == group.name]
            if group.first_match:
                members = [rule for rule in members if given[rule.id]][:1]
            inside = sum((capped[rule.id] for rule in members), Fraction(0))
            value += clamp(inside, group.min, group.max, pieces)
        if model.judgements.dimension == dimension.name:
            value += judged(model, facts, pieces)
        dimensions.append(clamp(lifted(dimension.name, value), dimension.min, dimension.max, pieces))
    raw = sum(dimensions, Fraction(0)) + sum(
        (capped[rule.id] for rule in adding if rule.dimension is None), Fraction(0)
    )
    if model.judgements.dimension is None:
        raw += judged(model, facts, pieces)
    return dimensions, lifted(None, raw)


def told(values: Sequence[Fraction], pieces: int) -> list[int]:
    """Thousandths by running sums, so that what is told of the parts adds up to what is told of the sum."""
    edges = [0, *(round(sum(values[: place + 1], Fraction(0)) / pieces) for place in range(len(values)))]
    return [after - before for before, after in pairwise(edges)]


def result(model: Model, facts: Facts) -> Result:
    traits = facts.lead.traits
    if model.audience is not None and holds(model.audience, facts, traits) is not True:
        return Result(applies=False)
    pieces = unit(model)
    exact, exact_raw = summed(model, facts, pieces)
    dimensions = dict(zip((one.name for one in model.dimensions), told(exact, pieces), strict=True))
    raw = round(exact_raw / pieces)
    total = int(clamp(Fraction(raw), model.scale.min, model.scale.max, 1))
    holding = [override for override in model.overrides if holds(override.condition, facts, traits) is True]
    fixed = next((override for override in holding if override.set is not None), None)
    barred = next((override for override in holding if override.disqualify), None)
    if fixed is not None:
        total = fixed.set
    return Result(
        applies=True,
        total=total,
        raw=raw,
        dimensions=dimensions,
        stage=None if barred else staged(model, total),
        grade=None if barred else graded(model, dimensions),
        override=fixed.id if fixed else None,
        disqualified=barred.id if barred else None,
    )


def staged(model: Model, total: int) -> str | None:
    stage = None
    for step in model.stages:
        if total > step.threshold or (step.inclusive and total == step.threshold):
            stage = step.name
    return stage


def graded(model: Model, dimensions: Mapping[str, int]) -> str | None:
    marks = []
    for grade in model.grades:
        mark = next((band.mark for band in grade.bands if dimensions[grade.dimension] >= band.threshold), None)
        if mark is None:
            return None
        marks.append(mark)
    return "".join(marks) or None


def score(model: Model, lead: Lead, happened: Sequence[Event], at: int, others: Others | None = None) -> Result:
    """`others`: the models that `model` asks about, and those that they do, by name."""
    events = sorted({event[0]: event for event in happened}.values(), key=lambda event: (event[2], event[0]))
    return result(model, Facts(lead, events, at, others or {}))
