"""The language once more, in plain Python and straight from its definitions: slow, and written without the engine.

Instants are whole microseconds. A lead is its first sight (or None) and its traits as texts; an event is
(event_id, type, instant, properties as texts).
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from assay.scoring.language import Comparison, Condition, Every, Model, OnEvents, Rule, Some, WhenSilent, WhenTraits

Texts = Mapping[str, str | None]
Event = tuple[str, str, int, Texts]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Lead:
    first_seen: int | None
    traits: Texts


@dataclass(frozen=True)
class Result:
    total: int
    raw: int
    dimensions: dict[str, int]
    stage: str | None
    grade: str | None


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


def same(text: str, value: object) -> bool:
    if isinstance(value, bool):
        return text.lower() == str(value).lower()
    if isinstance(value, (int, float)):
        return number(text) == value
    return text.lower() == str(value).lower()


def compare(comparison: Comparison, text: str | None, at: int) -> bool | None:
    word, operand = comparison.word, comparison.operand
    if text is not None and text.strip() in ("", "[]"):
        text = None
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
        if value is None:
            return None
        if word == "between":
            return values[0] <= value <= values[1]
        return {"gt": value > operand, "gte": value >= operand, "lt": value < operand, "lte": value <= operand}[word]
    if word == "matches":
        return re.search(str(operand), text) is not None
    low, wanted = text.lower(), str(operand).lower()
    return {"contains": wanted in low, "starts_with": low.startswith(wanted), "ends_with": low.endswith(wanted)}[word]


def holds(condition: Condition, texts: Texts, at: int) -> bool | None:
    if isinstance(condition, Comparison):
        return compare(condition, texts.get(condition.name), at)
    if isinstance(condition, (Every, Some)):
        answers = [holds(part, texts, at) for part in condition.conditions]
        decisive = isinstance(condition, Some)
        if decisive in answers:
            return decisive
        return None if None in answers else not decisive
    answer = holds(condition.condition, texts, at)
    return None if answer is None else not answer


def event_awards(rule: Rule, trigger: OnEvents, events: Sequence[Event], at: int) -> list[tuple[int, int]]:
    """(instant, points) of every award the rule's words allow, whenever it counts."""
    found: list[tuple[int, int]] = []
    seen: set[str] = set()
    matching = 0
    for _, event_type, t, properties in events:
        if event_type not in trigger.types:
            continue
        if trigger.where is not None and holds(trigger.where, properties, at) is not True:
            continue
        matching += 1
        count, points = trigger.count, rule.points
        match count.word:
            case "once":
                allowed = matching == 1
            case "once_while_active":
                lasts = trigger.expires_after
                allowed = not found or (lasts is not None and t >= found[-1][0] + lasts)
            case "once_per":
                value = properties.get(count.property)
                value = None if value is None or value.strip() in ("", "[]") else value
                allowed = value is not None and value not in seen
                if value is not None:
                    seen.add(value)
            case "first":
                allowed = matching <= count.number
            case "from":
                allowed = matching >= count.number
            case "first_points":
                allowed = True
                points = count.number if matching == 1 else count.then
            case _:
                allowed = True
        if allowed:
            found.append((t, points))
    return found


def reference(trigger: WhenSilent, lead: Lead, events: Sequence[Event], at: int) -> int | None:
    """When the silence of an instant began."""
    matching = [t for _, kind, t, _ in events if t <= at and (trigger.of is None or kind in trigger.of)]
    if matching:
        return max(matching)
    if lead.first_seen is not None:
        return lead.first_seen
    return min((t for _, _, t, _ in events if t <= at), default=None)


def reached(trigger: WhenSilent, lead: Lead, events: Sequence[Event], begins: int, at: int) -> bool:
    """Whether the silence that began then counts for this tier at the instant."""
    reaches = begins + trigger.length
    if reaches > at or reference(trigger, lead, events, reaches) != begins:
        return False
    return trigger.kept or reference(trigger, lead, events, at) == begins


def silence_awards(
    model: Model, rule: Rule, trigger: WhenSilent, lead: Lead, events: Sequence[Event], at: int
) -> list[tuple[int, int]]:
    family = [
        other.trigger
        for other in model.rules
        if isinstance(other.trigger, WhenSilent)
        and (other.trigger.of, other.dimension, other.group) == (trigger.of, rule.dimension, rule.group)
    ]
    begins = {t for _, _, t, _ in events} | ({lead.first_seen} if lead.first_seen is not None else set())
    found = []
    for begin in begins:
        if not reached(trigger, lead, events, begin, at):
            continue
        deeper = [other for other in family if other.replaces and other.length > trigger.length]
        if not any(reached(other, lead, events, begin, at) for other in deeper):
            found.append((begin + trigger.length, rule.points))
    return found


def counting(awards: Sequence[tuple[int, int]], lasts: int | None, at: int) -> list[int]:
    return [points for t, points in awards if t <= at and (lasts is None or at - t < lasts)]


def clamp(value: int, low: int | None, high: int | None) -> int:
    if low is not None:
        value = max(value, low)
    return value if high is None else min(value, high)


def score(model: Model, lead: Lead, happened: Sequence[Event], at: int) -> Result:
    events = sorted({event[0]: event for event in happened}.values(), key=lambda event: (event[2], event[0]))
    given: list[list[int]] = []
    for rule in model.rules:
        trigger = rule.trigger
        if isinstance(trigger, WhenTraits):
            given.append([rule.points] if holds(trigger.condition, lead.traits, at) is True else [])
        elif isinstance(trigger, OnEvents):
            given.append(counting(event_awards(rule, trigger, events, at), trigger.expires_after, at))
        else:
            awards = silence_awards(model, rule, trigger, lead, events, at)
            given.append(counting(awards, trigger.expires_after, at))
    capped = [clamp(sum(points), rule.min, rule.max) for rule, points in zip(model.rules, given, strict=True)]
    dimensions: dict[str, int] = {}
    for dimension in model.dimensions:
        places = [place for place, rule in enumerate(model.rules) if rule.dimension == dimension.name]
        value = sum(capped[place] for place in places if model.rules[place].group is None)
        for group in dimension.groups:
            members = [place for place in places if model.rules[place].group == group.name]
            if group.first_match:
                members = [place for place in members if given[place]][:1]
            value += clamp(sum(capped[place] for place in members), group.min, group.max)
        dimensions[dimension.name] = clamp(value, dimension.min, dimension.max)
    raw = sum(dimensions.values())
    raw += sum(capped[place] for place, rule in enumerate(model.rules) if rule.dimension is None)
    total = clamp(raw, model.scale.min, model.scale.max)
    stage = None
    for step in model.stages:
        if total > step.threshold or (step.inclusive and total == step.threshold):
            stage = step.name
    return Result(total, raw, dimensions, stage, graded(model, dimensions))


def graded(model: Model, dimensions: Mapping[str, int]) -> str | None:
    marks = []
    for grade in model.grades:
        mark = next((band.mark for band in grade.bands if dimensions[grade.dimension] >= band.threshold), None)
        if mark is None:
            return None
        marks.append(mark)
    return "".join(marks) or None
