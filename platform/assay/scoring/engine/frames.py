"""The caller's frames made ready: each event once, in one order, with leads as small numbers.

Instants are whole microseconds (Int64) from here on. `lead` is the row number in the scene's leads; `age` is how long
ago an event was at its lead's own instant `at`, below 0 in the future. Which of two events of one instant comes first
never changes what a lead gets, so `event_id` decides it only where somebody is to be shown the events: there `row` is
the place of an event in the one order (lead, occurred_at, event_id).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property, reduce
from operator import or_

import polars as pl

from assay.scoring.engine.compiling import JUDGEMENT, OURS, WITHDRAWN, CompiledModel, Types, in_order, names_in
from assay.scoring.engine.conditions import Columns, derived, expression
from assay.scoring.engine.lists import answered
from assay.scoring.engine.making import Made, with_made
from assay.scoring.engine.qualities import with_qualities
from assay.scoring.language import Comparison, Condition, OnEvents, WhenSilent, leaves

INSTANT = pl.Datetime("us", "UTC")
#: Why an event counts nothing, in the caller's frame; null where it counts.
DISCOUNTED = "discounted"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# A lead and an instant in one whole number sort faster than in two columns.
_KEY = 2**62
# Comparing with more types one by one is slower than looking them up.
_FEW = 8


@dataclass
class Selection:
    """Some events of a scene, by lead and time. `ends` tells after which row each lead's own are over."""

    events: pl.DataFrame
    ends: pl.Series

    @cached_property
    def begins(self) -> pl.Series:
        return self.ends.shift(1, fill_value=0)

    @cached_property
    def last(self) -> pl.Series:
        """Each lead's last row, or another one before it; null while there is none."""
        return pl.select(pl.when(self.ends > 0).then(self.ends - 1)).to_series()

    def only(self, mask: pl.Expr, columns: Sequence[str] | None = None) -> "Selection":
        """The events for which the mask is true."""
        # Asked of the few columns it needs: a query over thousands of them takes a millisecond to begin.
        asked = [self.events.get_column(name) for name in dict.fromkeys(mask.meta.root_names()) or ("lead",)]
        kept = pl.DataFrame(asked).select(mask.fill_null(value=False).alias("kept"))["kept"]
        rows = self.events if columns is None else pl.DataFrame([self.events.get_column(name) for name in columns])
        return Selection(rows.filter(kept), counted_up(kept, self.last))


def counted_up(mask: pl.Series, last: pl.Series) -> pl.Series:
    """How many rows are marked up to each lead's last row."""
    return pl.select(pl.lit(mask).cum_sum().gather(pl.lit(last)).fill_null(0).cast(pl.Int64)).to_series()


def by_lead(rows: pl.DataFrame, leads: int) -> Selection:
    """Rows that stand in order already."""
    ends = rows["lead"].search_sorted(pl.int_range(leads, dtype=pl.UInt32, eager=True), side="right")
    return Selection(rows, ends.cast(pl.Int64))


@dataclass
class Scene:
    """Some leads at their instants with their events: what one evaluation of several models looks at."""

    reads: "Reads"
    #: lead, lead_id, at, first_seen, trait:…, and what conditions on traits read beside.
    leads: pl.DataFrame
    columns: Columns
    #: lead, t, age, type, kind, property:…; and row and event_id where they are to be shown.
    every: Selection
    selections: dict[tuple[object, ...], Selection] = field(default_factory=dict)
    #: Events that count nothing, with why they don't; None where there are none, or none are to be shown.
    discounted: "Scene | None" = None

    @property
    def events(self) -> pl.DataFrame:
        return self.every.events

    @property
    def size(self) -> int:
        return self.leads.height

    @cached_property
    def has_future(self) -> bool:
        return bool(self.events.select((pl.col("age") < 0).any()).item())

    @cached_property
    def zeros(self) -> pl.Series:
        return pl.zeros(self.size, dtype=pl.Int64, eager=True)

    @cached_property
    def _present(self) -> frozenset[int | None]:
        return frozenset(self.events["kind"].unique())

    def of_types(self, types: Types, where: Condition | None = None) -> Selection:
        """The events of these types (None for all that are activity), selected once however many rules ask."""
        if (types, where) in self.selections:
            return self.selections[types, where]
        if where is None:
            names, present = (
                self._kept(types),
                types is None or any(self.reads.kinds[name] in self._present for name in types),
            )
            found = (
                self.every.only(self._are(types), names)
                if present
                else Selection(self.events.clear().select(names), self.zeros)
            )
            texts = _texts("property", self.reads.texts.get(types, ()), self.events.columns)
            if texts:
                found = Selection(found.events.with_columns(texts), found.ends)
        elif self.of_types(types).events.is_empty():
            found = self.of_types(types)
        else:
            base, columns = self._asked(types)
            found = base.only(expression(where, columns), self.of_types(types).events.columns)
        self.selections[types, where] = found
        return found

    def turns_of(self, types: Types) -> tuple[pl.DataFrame, Columns]:
        """The events of these types with what the conditions on them read, dates among it."""
        base, columns = self._asked(types)
        return base.events, columns

    def _asked(self, types: Types) -> tuple[Selection, Columns]:
        key = ("asked", types)
        if key not in self.selections:
            base = self.of_types(types)
            comparisons = self.reads.wheres.get(types, [])
            at = pl.col("t") + pl.col("age")
            events, columns = answered(base.events, comparisons, at)
            self.selections[key] = Selection(events.with_columns(derived(comparisons, at)), base.ends)
            self._lists[types] = columns
        return self.selections[key], self._lists[types]

    @cached_property
    def _lists(self) -> dict[Types, Columns]:
        return {}

    def _are(self, types: Types) -> pl.Expr:
        if types is None:
            return ~pl.col("type").str.starts_with(OURS)
        if len(types) == 1:
            return pl.col("kind") == self.reads.kinds[types[0]]
        codes = [self.reads.kinds[name] for name in types]
        if len(codes) > _FEW:
            return pl.col("kind").is_in(codes)
        return reduce(or_, (pl.col("kind") == code for code in codes))

    def _kept(self, types: Types) -> list[str]:
        names = ["lead", "t", "age", "row", *(f"property:{name}" for name in self.reads.texts.get(types, ()))]
        return [name for name in names if name in self.events.columns]

    def dense(self, sparse: pl.DataFrame, name: str, blank: object = None) -> pl.Series:
        """One value a lead from rows that name leads, each once."""
        values = sparse[name]
        whole = pl.repeat(blank, self.size, dtype=values.dtype, eager=True)
        return whole.scatter(sparse["lead"], values) if sparse.height else whole


@dataclass(frozen=True)
class Reads:
    """What some models read of the frames."""

    traits: tuple[str, ...]
    #: Traits that are worked out of those.
    computed: tuple[str, ...]
    properties: tuple[str, ...]
    #: Comparisons on traits, and on properties by the types whose events they are asked of.
    comparisons: tuple[Comparison, ...]
    wheres: Mapping[Types, list[Comparison]]
    texts: Mapping[Types, list[str]]
    #: A small number for each event type that is named.
    kinds: Mapping[str, int]
    #: Rules of plugins' kinds, each once.
    made: tuple[Made, ...]


def reads(models: Sequence[CompiledModel]) -> Reads:
    every = in_order(models)
    wheres: dict[Types, dict[Comparison, None]] = {}
    texts: dict[Types, dict[str, None]] = {}
    kinds = {JUDGEMENT, WITHDRAWN}

    def ask(types: Types, where: Condition | None, by: str | None) -> None:
        found = [] if where is None else [leaf for leaf in leaves(where) if isinstance(leaf, Comparison)]
        wheres.setdefault(types, {}).update(dict.fromkeys(found))
        texts.setdefault(types, {}).update(dict.fromkeys([*names_in(where), *([by] if by else [])]))
        kinds.update(types or ())

    for model in every:
        for rule in model.model.rules:
            if isinstance(rule.trigger, OnEvents):
                ask(rule.trigger.types, rule.trigger.where, rule.trigger.count.property or None)
            elif isinstance(rule.trigger, WhenSilent):
                kinds.update(rule.trigger.of or ())
        for count in model.event_counts:
            ask(count.types, count.where, count.distinct)
    texts[(JUDGEMENT,)] = dict.fromkeys(("judgement", "points", "model", "expires_at"))
    texts[(WITHDRAWN,)] = {"judgement": None}
    return Reads(
        traits=tuple(sorted({name for model in every for name in model.traits})),
        computed=tuple(sorted({name for model in every for name in model.computed})),
        properties=tuple(sorted({name for model in every for name in model.properties})),
        comparisons=tuple(
            dict.fromkeys(leaf for model in every for leaf in model.leaves if isinstance(leaf, Comparison))
        ),
        wheres={types: list(found) for types, found in wheres.items()},
        texts={types: list(found) for types, found in texts.items()},
        kinds={name: code for code, name in enumerate(sorted(kinds))},
        made=tuple(dict.fromkeys(one for model in every for one in model.made)),
    )


def microseconds(instant: datetime) -> int:
    if instant.tzinfo is None:
        raise ValueError("the instant to score at must know its time zone")
    delta = instant - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def prepare(models: Sequence[CompiledModel], leads: pl.DataFrame, events: pl.DataFrame, at: datetime | None) -> Scene:
    """A scene for showing: with the ids of events, in the one order."""
    read = reads(models)
    people = people_of(read, leads, at)
    return scene_of(read, people, events_of(read, events, people, ids=True), ids=True, distinct=False)


def people_of(read: Reads, leads: pl.DataFrame, at: datetime | None) -> pl.DataFrame:
    if leads["lead_id"].is_duplicated().any():
        raise ValueError("the leads frame holds a lead_id twice")
    missing = pl.lit(None, pl.Int64)
    if at is not None:
        instant = pl.lit(microseconds(at), pl.Int64)
    elif "at" not in leads.columns or leads["at"].null_count():
        raise ValueError("each lead needs the instant to score it at: in `at`, or in the column of that name")
    else:
        instant = pl.col("at").cast(INSTANT).to_physical()
    seen = "first_seen_at" in leads.columns
    return leads.select(
        pl.int_range(pl.len(), dtype=pl.UInt32).alias("lead"),
        "lead_id",
        instant.alias("at"),
        (pl.col("first_seen_at").cast(INSTANT).to_physical() if seen else missing).alias("first_seen"),
        *(name for name in (f"trait:{bare}" for bare in read.traits) if name in leads.columns),
    )


def events_of(read: Reads, events: pl.DataFrame, people: pl.DataFrame, *, ids: bool) -> pl.DataFrame:
    """The events of these leads: which lead's, when, and what is read of them."""
    codes = events.select("lead_id").join(
        people.select("lead_id", "lead"), on="lead_id", how="left", maintain_order="left"
    )["lead"]
    known = events.select(
        codes,
        pl.col("occurred_at").cast(INSTANT).to_physical().alias("t"),
        pl.col("type").cast(pl.String),
        *([pl.col("event_id").cast(pl.String)] if ids else []),
        *([pl.col(DISCOUNTED).cast(pl.String)] if DISCOUNTED in events.columns else []),
        *(name for name in (f"property:{bare}" for bare in read.properties) if name in events.columns),
    )
    known = known.filter(pl.col("lead").is_not_null()) if codes.null_count() else known
    return with_made(read.made, people, known, hidden=DISCOUNTED)


def scene_of(read: Reads, people: pl.DataFrame, events: pl.DataFrame, *, ids: bool, distinct: bool) -> Scene:
    """The scene of a stretch of leads, whose events these are in any order."""
    first = people["lead"][0] if people.height else 0
    people = people.with_columns(pl.col("lead") - first)
    events = events.with_columns(pl.col("lead") - first)
    if not distinct:
        events = _each_once(events)
    counted, others = events, None
    if DISCOUNTED in events.columns:
        # To all rules they did not happen.
        others = events.filter(pl.col(DISCOUNTED).is_not_null()) if ids else None
        counted = events.filter(pl.col(DISCOUNTED).is_null()).drop(DISCOUNTED)
    scene = at_instants(read, people, by_lead(_ordered(read, counted, people, ids=ids), people.height))
    if others is not None and others.height:
        every = by_lead(_ordered(read, others, people, ids=ids), people.height)
        scene.discounted = Scene(read, scene.leads, scene.columns, every)
    return scene


def _ordered(read: Reads, events: pl.DataFrame, people: pl.DataFrame, *, ids: bool) -> pl.DataFrame:
    if ids:
        events = events.sort("lead", "t", "event_id").with_row_index("row")
    else:
        events = events.drop("event_id", strict=False).sort(_order(events, people.height))
    kinds = pl.Enum(list(read.kinds))
    return events.with_columns(
        (pl.lit(people["at"]).gather("lead") - pl.col("t")).alias("age"),
        pl.col("type").cast(kinds, strict=False).to_physical().alias("kind"),
    )


def at_instants(read: Reads, people: pl.DataFrame, every: Selection) -> Scene:
    """A scene whose instants stand in `at`; `people` are bare, without what conditions derive."""
    people = people.with_columns(_texts("trait", read.traits, people.columns))
    people = with_qualities(people, [name for name in read.computed if f"trait:{name}" not in people.columns])
    people, columns = answered(people, read.comparisons, pl.col("at"))
    return Scene(read, people.with_columns(derived(read.comparisons, pl.col("at"))), columns, every)


def moved(scene: Scene, who: pl.Series, at: pl.Series) -> Scene:
    """The same leads at other instants; a lead may be asked for several times."""
    bare = [name for name in scene.leads.columns if name in ("lead_id", "first_seen") or name.startswith("trait:")]
    people = scene.leads.select(bare)[who].select(
        pl.int_range(pl.len(), dtype=pl.UInt32).alias("lead"), pl.lit(at).alias("at"), pl.all()
    )
    bounds = pl.select(pl.lit(scene.every.begins).gather(who).alias("begin"), pl.lit(scene.every.ends).gather(who))
    bounds.columns = ["begin", "end"]
    rows = bounds.select(
        pl.int_ranges("begin", "end").alias("row"), pl.int_range(pl.len(), dtype=pl.UInt32).alias("lead")
    )
    rows = rows.explode("row").drop_nulls()
    events = scene.events.drop("lead", "age")[rows["row"]].with_columns(rows["lead"])
    events = events.with_columns((pl.lit(at).gather("lead") - pl.col("t")).alias("age"))
    return at_instants(scene.reads, people, by_lead(events, people.height))


def _each_once(events: pl.DataFrame) -> pl.DataFrame:
    """Of events of one id the lowest; distinct hashes prove distinct ids, so few calls need the exact, slower look."""
    key = pl.struct("lead", "event_id").hash()
    if events.select(key.n_unique()).item() == events.height:
        return events
    texts = [name for name in events.columns if name.startswith("property:")]
    return events.sort("lead", "t", "event_id", "type", *texts).unique(["lead", "event_id"], keep="first")


def _order(events: pl.DataFrame, leads: int) -> list[pl.Expr]:
    low, high = events.select(pl.col("t").min().alias("low"), pl.col("t").max().alias("high")).row(0)
    span = high - low + 1 if low is not None else 1
    if leads * span >= _KEY:
        return [pl.col("lead"), pl.col("t")]
    return [pl.col("lead").cast(pl.Int64) * span + (pl.col("t") - low)]


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
