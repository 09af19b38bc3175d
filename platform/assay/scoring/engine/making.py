"""Rules of plugins: what they award becomes events that their own rule alone counts.

So their awards fade, are capped, told and replayed by the same code as all others, and the engine asks a plugin once
for each lead. Such an event's type is hidden from every other rule, and is no activity of the lead.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any

import msgspec
import polars as pl

from assay.scoring.language import ByKind, Count, Model, OnEvents, Rule, kinds
from assay_sdk import Award, Fact, LeadFacts
from assay_sdk.rules import Told

#: Of one lead, by one rule.
MOST_AWARDS = 10_000
_TYPE = "assay.made:"
# Stands in no id of anybody's.
_OF_RULE = "\x1f"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_EARLIEST, _LATEST = _EPOCH, datetime(9999, 12, 31, tzinfo=UTC)


class WrongAward(ValueError):
    """A plugin's rule gave something that is no award; the sentence names the plugin's kind."""


@dataclass(frozen=True)
class Made:
    """One kind with its parameters, and what it looks at."""

    trigger: ByKind
    type: str
    words: str
    traits: frozenset[str]
    properties: frozenset[str]
    #: None: events of all types.
    types: frozenset[str] | None


def made_by(model: Model) -> tuple[Made, ...]:
    """The kinds that a model uses, each once."""
    triggers = dict.fromkeys(
        replace(rule.trigger, fading=None) for rule in model.rules if isinstance(rule.trigger, ByKind)
    )
    return tuple(_made(trigger) for trigger in triggers)


def _made(trigger: ByKind) -> Made:
    kind, parameters = kinds.loaded(trigger)
    traits, properties = kinds.fields_of(trigger)
    types = kind.event_types(parameters)
    named = "\0".join((trigger.kind, trigger.parameters, *trigger.without))
    return Made(
        trigger,
        f"{_TYPE}{blake2b(named.encode(), digest_size=8).hexdigest()}",
        kind.reason(parameters),
        traits,
        properties,
        None if types is None else frozenset(types),
    )


def on_made(model: Model, made: Sequence[Made]) -> Model:
    """The model with each rule of a plugin's kind as a rule on the events that its awards are."""
    if not made:
        return model
    types = {one.trigger: one.type for one in made}
    return replace(model, rules=tuple(_on_made(rule, types) for rule in model.rules))


def _on_made(rule: Rule, types: Mapping[ByKind, str]) -> Rule:
    trigger = rule.trigger
    if not isinstance(trigger, ByKind):
        return rule
    type_ = types[replace(trigger, fading=None)]
    return replace(rule, trigger=OnEvents((type_,), None, Count(), trigger.fading))


def is_made(type_: str) -> bool:
    return type_.startswith(_TYPE)


def behind(event_id: str | None) -> tuple[str, ...]:
    """The event that an award rests on, as those who sent it know it; none for an award that rests on no single one."""
    id_ = (event_id or "").partition(_OF_RULE)[0]
    return (id_,) if id_ else ()


def with_made(made: Sequence[Made], people: pl.DataFrame, events: pl.DataFrame, *, hidden: str) -> pl.DataFrame:
    """The events, and those that the awards of these kinds are.

    ``hidden`` names the column that tells why an event counts nothing.
    """
    if not made or people.is_empty():
        return events
    counted = events.filter(pl.col(hidden).is_null()) if hidden in events.columns else events
    if "event_id" in counted.columns:
        counted = counted.unique(["lead", "event_id"], keep="any")
    return pl.concat([events, *(_events_of(one, people, counted) for one in made)], how="diagonal_relaxed")


def _events_of(made: Made, people: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    kind, parameters = kinds.loaded(made.trigger)
    facts = _facts(made, events)
    traits = [name for name in sorted(made.traits) if f"trait:{name}" in people.columns]
    rows: list[tuple[int, int, str, str]] = []
    for lead, *values in people.select("lead", *(f"trait:{name}" for name in traits)).iter_rows():
        ids, theirs = facts.get(lead, ([], []))
        awards = list(kind.awards(LeadFacts(_known(traits, values), tuple(theirs)), parameters))
        rows += _rows(made, lead, awards, ids)
    columns = {"lead": people.schema["lead"], "t": pl.Int64(), "type": pl.String(), "event_id": pl.String()}
    found = pl.DataFrame(rows, schema=columns, orient="row")
    return found if "event_id" in events.columns else found.drop("event_id")


def _rows(made: Made, lead: int, awards: Sequence[Award], ids: Sequence[str]) -> Iterator[tuple[int, int, str, str]]:
    if len(awards) > MOST_AWARDS:
        raise WrongAward(
            f"{made.trigger.kind} made {len(awards):,} awards for one lead; at most {MOST_AWARDS:,} count."
        )
    seen: dict[tuple[int, str], int] = {}
    for award in awards:
        t, id_ = _instant(made, award), _behind(made, award, ids)
        number = seen[t, id_] = seen.get((t, id_), -1) + 1
        yield lead, t, made.type, f"{id_}{_OF_RULE}{made.type}/{t}/{number}"


def _instant(made: Made, award: object) -> int:
    if not isinstance(award, Award):
        raise WrongAward(f"{made.trigger.kind} gave {type(award).__name__} instead of an Award.")
    if not isinstance(award.at, datetime) or award.at.utcoffset() is None or not _EARLIEST <= award.at <= _LATEST:
        raise WrongAward(f"{made.trigger.kind} made an award at {award.at!r}, which is no instant with a time zone.")
    return (award.at - _EPOCH) // _MICROSECOND


def _behind(made: Made, award: Award, ids: Sequence[str]) -> str:
    if award.event is None or not ids:
        return ""
    if not 0 <= award.event < len(ids):
        raise WrongAward(f"{made.trigger.kind} named event {award.event} of {len(ids)}.")
    return ids[award.event]


def _facts(made: Made, events: pl.DataFrame) -> dict[int, tuple[list[str], list[Fact]]]:
    """Each lead's events, oldest first, and their ids where they are known."""
    if made.types is None:
        chosen = events.filter(~pl.col("type").str.starts_with("assay."))
    elif made.types:
        chosen = events.filter(pl.col("type").is_in(sorted(made.types)))
    else:
        return {}
    names = [name for name in sorted(made.properties) if f"property:{name}" in chosen.columns]
    texts = [f"property:{name}" for name in names]
    has_ids = "event_id" in chosen.columns
    # Which of two of one instant comes first must not hang on how they were read.
    chosen = chosen.sort("lead", "t", "type", *texts, *(["event_id"] if has_ids else []), nulls_last=True)
    found: dict[int, tuple[list[str], list[Fact]]] = {}
    for row in chosen.select("lead", "t", "type", *texts, *(["event_id"] if has_ids else [])).iter_rows():
        lead, t, type_, *values = row
        id_ = values.pop() if has_ids else None
        properties = {
            name: told for name, value in zip(names, values, strict=True) if (told := _told(value)) is not None
        }
        ids, facts = found.setdefault(lead, ([], []))
        facts.append(Fact(type_, _EPOCH + t * _MICROSECOND, properties))
        if id_ is not None:
            ids.append(id_)
    return found


def _known(names: Sequence[str], values: Sequence[Any]) -> dict[str, Told]:
    return {name: told for name, value in zip(names, values, strict=True) if (told := _told(value)) is not None}


def _told(value: Any) -> Told | None:
    text = "" if value is None else str(value)
    if not text.strip() or text == "[]":
        return None
    if not text.startswith("["):
        return text
    try:
        return [str(each) for each in msgspec.json.decode(text, type=list[Any])]
    except msgspec.DecodeError:
        return text
