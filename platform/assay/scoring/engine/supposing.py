"""Copies of one lead at other instants, and with things that did not happen: scored many at once by the engine."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import polars as pl

from assay.scoring.engine.comparing import outcomes
from assay.scoring.engine.compiling import CompiledModel, in_order
from assay.scoring.engine.frames import INSTANT
from assay.scoring.engine.making import is_made
from assay.scoring.engine.scoring import score
from assay.scoring.engine.wishes import CannotMakeUp, examples
from assay.scoring.language import (
    Condition,
    EventCount,
    Every,
    OfModel,
    OnEvents,
    Rule,
    Some,
    WhenHolds,
    WhenSilent,
    leaves,
)

#: Copies of events that one call is given.
MOST_ROWS = 200_000
#: What may be spent on looking ahead of one lead, and what is kept of it for the ways; all in seconds, as estimated.
MOST_SPENT = 4.0
KEPT_FOR_WAYS = 1.5
#: What a call takes at all, for each thing a model asks of events, and for each event that each of them looks at.
_A_CALL, _AN_ASKING, _A_FADING_ASKING, _AN_EVENT = 0.015, 0.6e-3, 1.5e-3, 30e-9


@dataclass(frozen=True, slots=True)
class Action:
    """A single thing that might happen, `count` times: an event, or a trait that comes to hold.

    `condition` is what the rule asks of it; `properties` and `traits` are examples that satisfy it.
    """

    rule: str
    title: str | None
    type: str | None
    properties: Mapping[str, str | None]
    #: A property that is different each time it happens.
    varying: str | None
    traits: Mapping[str, str | None]
    condition: Condition | None
    count: int = 1

    @property
    def is_event(self) -> bool:
        return self.type is not None

    @property
    def key(self) -> tuple[object, ...]:
        """The same thing, whichever rule asks for it."""
        values = self.properties if self.is_event else self.traits
        return self.type, self.varying, tuple(sorted(values.items(), key=str))


Actions = tuple[Action, ...]


@dataclass
class Supposed:
    """One lead as it is, to be copied; what scoring the copies takes is estimated before, and `left` counts it down."""

    model: CompiledModel
    lead: pl.DataFrame
    events: pl.DataFrame
    left: float = MOST_SPENT
    asked: int = field(init=False)
    _a_call: float = field(init=False)

    def __post_init__(self) -> None:
        models = in_order([self.model])
        self.asked = sum(len(each.model.rules) + len(each.event_counts) for each in models)
        each_takes = _A_FADING_ASKING if self.model.smooth else _AN_ASKING
        self._a_call = _A_CALL + self.asked * each_takes

    def takes(self, copies: int, *, changing: bool = False) -> float:
        """Seconds, as a rule; `next_change` takes as long again."""
        calls = -(-copies // self.most_copies)
        once = calls * self._a_call + copies * self.events.height * self.asked * _AN_EVENT
        return once * 2 if changing else once

    def affords(self, copies: int, *, changing: bool = False, keep: float = 0) -> int:
        """Of so many copies, how many can be scored with what is left."""
        while copies and self.takes(copies, changing=changing) > self.left - keep:
            copies //= 2
        return copies

    def copies(self, instants: Sequence[datetime], added: Sequence[Actions] = ()) -> tuple[pl.DataFrame, pl.DataFrame]:
        """A copy for each instant; `added` says for each what happened to it at that instant."""
        number = pl.DataFrame(
            {"lead_id": pl.int_range(len(instants), eager=True), "at": pl.Series(instants, dtype=INSTANT)}
        )
        leads = number.join(self.lead.drop("lead_id", "at", strict=False), how="cross")
        events = number.select("lead_id").join(self.events.drop("lead_id"), how="cross")
        if any(added):
            leads = leads.with_columns(_traits(leads, added))
            happened = _happened(instants, added)
            if not happened.is_empty():
                events = pl.concat([_texts(events), happened], how="diagonal")
        return leads, events

    def rows(self, instants: Sequence[datetime], added: Sequence[Actions] = ()) -> list[dict[str, Any]]:
        """What comes out for each copy, in order, in as few calls as their events allow."""
        self.left -= self.takes(len(instants))
        return self._rows(instants, added, self._outcome)

    def changing(self, instants: Sequence[datetime]) -> list[dict[str, Any]]:
        """The same with `next_change`, which takes twice as long."""
        self.left -= self.takes(len(instants), changing=True)
        return self._rows(instants, (), lambda leads, events: score([self.model], leads, events, None))

    def _outcome(self, leads: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
        return outcomes([self.model], leads, events, None)[0].scores

    def _rows(
        self,
        instants: Sequence[datetime],
        added: Sequence[Actions],
        scored: Callable[[pl.DataFrame, pl.DataFrame], pl.DataFrame],
    ) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for begin in range(0, len(instants), self.most_copies):
            part = slice(begin, begin + self.most_copies)
            found += scored(*self.copies(instants[part], added[part])).rows(named=True)
        return found

    @property
    def most_copies(self) -> int:
        """How many copies one call may hold."""
        return max(1, MOST_ROWS // (self.events.height + 1))


def _traits(leads: pl.DataFrame, added: Sequence[Actions]) -> list[pl.Series]:
    names = {name for actions in added for action in actions for name in action.traits}
    columns = []
    for name in sorted(names):
        column = f"trait:{name}"
        values = leads[column].cast(pl.String).to_list() if column in leads.columns else [None] * leads.height
        for place, actions in enumerate(added):
            for action in actions:
                values[place] = action.traits.get(name, values[place])
        columns.append(pl.Series(column, values, dtype=pl.String))
    return columns


def _happened(instants: Sequence[datetime], added: Sequence[Actions]) -> pl.DataFrame:
    rows = [
        {
            "lead_id": place,
            "event_id": f"supposed:{step}:{time}",
            "type": action.type,
            "occurred_at": at,
            **{f"property:{name}": value for name, value in _properties(action, step, time).items()},
        }
        for place, (at, actions) in enumerate(zip(instants, added, strict=True))
        for step, action in enumerate(actions)
        if action.is_event
        for time in range(action.count)
    ]
    names = {name: None for row in rows for name in row if name.startswith("property:")}
    return pl.DataFrame(
        rows,
        schema={
            "lead_id": pl.Int64,
            "event_id": pl.String,
            "type": pl.String,
            "occurred_at": INSTANT,
            **dict.fromkeys(names, pl.String),
        },
        orient="row",
    )


def _properties(action: Action, step: int, time: int) -> dict[str, str | None]:
    varying = {} if action.varying is None else {action.varying: f"supposed {step}.{time}"}
    return {**varying, **action.properties}


def _texts(events: pl.DataFrame) -> pl.DataFrame:
    return events.with_columns(
        pl.col("event_id", "type").cast(pl.String), pl.col("^property:.*$").cast(pl.String)
    ).with_columns(pl.col("occurred_at").cast(INSTANT))


def candidates(model: CompiledModel, at: datetime) -> tuple[list[Action], list[Rule]]:
    """Single things that rules ask for, events first; and the rules of which no example can be made up."""
    found: dict[tuple[object, ...], Action] = {}
    left_out: list[Rule] = []
    for rule in model.model.rules:
        try:
            for action in _asked_by(rule, at):
                found.setdefault(action.key, action)
        except CannotMakeUp:
            left_out.append(rule)
    return sorted(found.values(), key=lambda action: not action.is_event), left_out


def _asked_by(rule: Rule, at: datetime) -> Iterator[Action]:
    trigger = rule.trigger
    bare = Action(rule.id, rule.title, None, {}, None, {}, None)
    if isinstance(trigger, OnEvents):
        if any(is_made(type_) for type_ in trigger.types):
            # What a plugin would make of a further event, it alone knows.
            raise CannotMakeUp
        if max(rule.points, trigger.count.then) > 0:
            varying = trigger.count.property or None
            properties = examples(trigger.where, at)
            yield replace(bare, type=trigger.types[0], properties=properties, varying=varying, condition=trigger.where)
    elif isinstance(trigger, WhenSilent):
        if rule.points < 0 and not trigger.kept and trigger.of is not None:
            yield replace(bare, type=trigger.of[0])
    elif isinstance(trigger, WhenHolds) and rule.points > 0:
        yield from _coming_to_hold(bare, trigger, at)


def _coming_to_hold(bare: Action, trigger: WhenHolds, at: datetime) -> Iterator[Action]:
    """Traits all at once; what is asked of events, or joined with it, part by part."""
    condition = trigger.condition
    parts = condition.conditions if isinstance(condition, (Every, Some)) else (condition,)
    if not any(isinstance(leaf, (EventCount, OfModel)) for leaf in leaves(condition)):
        parts = (condition,)
    for part in parts:
        if isinstance(part, EventCount):
            if part.types is None or part.word in ("lt", "lte"):
                raise CannotMakeUp
            properties = examples(part.where, at)
            yield replace(bare, type=part.types[0], properties=properties, varying=part.distinct, condition=part.where)
        else:
            traits = examples(part, at)
            if None in traits.values():
                # Nobody forgets what is known of a lead.
                raise CannotMakeUp
            yield replace(bare, traits=traits, condition=part)
