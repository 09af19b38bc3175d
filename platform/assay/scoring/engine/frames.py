"""The caller's frames made ready: each event once, in one order, with leads as small numbers.

Instants are whole microseconds (Int64) from here on. `lead` is the row number in the leads frame, `row` the place of
an event in the one order (lead, occurred_at, event_id), which no permutation of the input changes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property

import polars as pl

from assay.scoring.engine.compiling import CompiledModel
from assay.scoring.engine.conditions import Answers, comparisons, derived
from assay.scoring.engine.lists import answers
from assay.scoring.language import Comparison, Condition

INSTANT = pl.Datetime("us", "UTC")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass
class Selection:
    """Events of some types, in order, with what the conditions on them read."""

    events: pl.DataFrame
    answers: Answers


@dataclass
class Scene:
    """Everything one call scores, prepared once for all its models."""

    at: int
    leads: pl.DataFrame
    trait_answers: Answers
    events: pl.DataFrame
    property_comparisons: dict[tuple[str, ...], list[Comparison]]
    selections: dict[tuple[str, ...] | None, Selection] = field(default_factory=dict)
    #: Silences known already, by activity and whether ended ones are among them.
    silences: dict[tuple[tuple[str, ...] | None, bool], pl.DataFrame] = field(default_factory=dict)

    @cached_property
    def zeros(self) -> pl.Series:
        """A blank column: one value a lead, to be copied and filled in."""
        return pl.zeros(self.leads.height, dtype=pl.Int64, eager=True)

    @cached_property
    def falses(self) -> pl.Series:
        return pl.repeat(value=False, n=self.leads.height, dtype=pl.Boolean, eager=True)

    @cached_property
    def nulls(self) -> pl.Series:
        return pl.repeat(None, self.leads.height, dtype=pl.Int64, eager=True)

    def of_types(self, types: tuple[str, ...] | None) -> Selection:
        """The events of these types (None for all), selected once however many rules ask."""
        if types not in self.selections:
            events = self.events if types is None else self.events.filter(pl.col("type").is_in(types))
            found = self.property_comparisons.get(types or (), [])
            events = events.with_columns(derived(found, self.at)).set_sorted("lead")
            self.selections[types] = Selection(events, answers(events, found, self.at))
        return self.selections[types]


def microseconds(instant: datetime) -> int:
    if instant.tzinfo is None:
        raise ValueError("the instant to score at must know its time zone")
    delta = instant - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def prepare(models: Sequence[CompiledModel], leads: pl.DataFrame, events: pl.DataFrame, at: datetime) -> Scene:
    instant = microseconds(at)
    traits = sorted({name for model in models for name in model.traits})
    properties = sorted({name for model in models for name in model.properties})
    conditions = [condition for model in models for _, _, condition in model.trait_rules]
    people = _leads(leads, traits)
    trait_answers = answers(people, conditions, instant)
    people = people.with_columns(derived((part for whole in conditions for part in comparisons(whole)), instant))
    return Scene(
        at=instant,
        leads=people,
        trait_answers=trait_answers,
        events=_events(events, people.select("lead", "lead_id"), properties),
        property_comparisons=_by_types(models),
    )


def _leads(leads: pl.DataFrame, traits: Iterable[str]) -> pl.DataFrame:
    if leads["lead_id"].is_duplicated().any():
        raise ValueError("the leads frame holds a lead_id twice")
    first_seen = (
        pl.col("first_seen_at").cast(INSTANT).to_physical()
        if "first_seen_at" in leads.columns
        else pl.lit(None, pl.Int64)
    )
    return leads.select(
        pl.int_range(pl.len(), dtype=pl.UInt32).alias("lead"),
        "lead_id",
        first_seen.alias("first_seen"),
        *_texts("trait", traits, leads.columns),
    )


def _events(events: pl.DataFrame, people: pl.DataFrame, properties: Iterable[str]) -> pl.DataFrame:
    known = (
        events.lazy()
        .select(
            "lead_id",
            pl.col("event_id").cast(pl.String),
            pl.col("type").cast(pl.String),
            pl.col("occurred_at").cast(INSTANT).to_physical().alias("t"),
            *_texts("property", properties, events.columns),
        )
        .join(people.lazy(), on="lead_id", how="inner")
        .drop("lead_id")
        .collect()
    )
    # Distinct hashes prove distinct ids; the exact, slower look is needed only when two hashes agree.
    key = pl.struct("lead", "event_id").hash()
    if known.select(key.n_unique()).item() < known.height:
        texts = [name for name in known.columns if name.startswith("property:")]
        known = known.sort("lead", "t", "event_id", "type", *texts).unique(["lead", "event_id"], keep="first")
    return known.sort("lead", "t", "event_id").with_columns(pl.int_range(pl.len(), dtype=pl.UInt32).alias("row"))


def _texts(subject: str, names: Iterable[str], columns: Sequence[str]) -> list[pl.Expr]:
    """Text columns where blank text and an empty list are missing; a column not given is missing throughout."""
    found = []
    for name in (f"{subject}:{bare}" for bare in names):
        if name in columns:
            text = pl.col(name).cast(pl.String)
            found.append(pl.when(~text.str.strip_chars().is_in(["", "[]"])).then(text).alias(name))
        else:
            found.append(pl.lit(None, pl.String).alias(name))
    return found


def _by_types(models: Sequence[CompiledModel]) -> dict[tuple[str, ...], list[Comparison]]:
    found: dict[tuple[str, ...], list[Comparison]] = {}
    for model in models:
        for _, _, trigger in model.event_rules:
            where: Condition | None = trigger.where
            found.setdefault(trigger.types, []).extend(comparisons(where))
    return found
