"""What holds for every model and every history, tried on random ones; equal to a plain-Python oracle."""

import importlib.util
import json
import random
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from assay.scoring.engine import CompiledModel, compile_model, explain, outcomes, score
from assay.scoring.language import Model, content_hash, dump, load
from tests.amount import examples

EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
DAY_0 = datetime.fromisoformat("2026-03-01T00:00:00+00:00")
HOUR = timedelta(hours=1)
TICK = timedelta(microseconds=1)
TYPES = ["page.viewed", "email.opened", "offer.downloaded", "page.viewed", "email.opened", "form.submitted"]
TEXTS = [
    *(None, "", "1", "2.0", "3", "CFO", "cfo", "Owner of 3", '["1","CFO"]', "[2]", "[]", "=", "=x", "true"),
    *("2026-03-01", "2026-03-01T05:00:00Z", "ada@gmail.com", "ada@mailinator.com", "ada@acme.example", "a@k.c", "xxx"),
]
#: What may not change between two instants of change, where points drift smoothly.
STEADY = ["model", "applies", "stage", "grade", "override", "disqualified"]

Lead = dict[str, Any]
Event = dict[str, Any]
Frames = Callable[..., pl.DataFrame]


def tried(models: int) -> Callable[..., Any]:
    """So many pairs of models, the same ones each time."""
    return settings(
        max_examples=examples(models),
        # A failure names one lead and instant itself; to shrink it takes minutes and makes the history no simpler.
        phases=[Phase.generate],
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=[
            HealthCheck.too_slow,
            HealthCheck.data_too_large,
            HealthCheck.large_base_example,
            HealthCheck.function_scoped_fixture,
        ],
    )


def beside(path: str) -> ModuleType:
    file = Path(__file__).parent / path
    spec = importlib.util.spec_from_file_location(f"properties_{file.stem}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


strategies = beside("../language/strategies.py")
answers, documents, rules = strategies.answers, strategies.documents, strategies.rules
seeds = st.integers(0, 2**32 - 1)
ANSWERS = {
    "stages": [{"name": "low", "from": 0}, {"name": "high", "above": 3}],
    "grades": {"fit": {"A": 3, "D": -2}, "interest": {"1": 2, "4": -1.5}},
}
#: What random models seldom say: an award that may come again at the very instant it is gone, and a match for nothing.
AGAIN = {
    "id": "again",
    "on": ["page.viewed", "email.opened"],
    "count": "once_while_active",
    "points": 0.5,
    "fades": {"after": "2h"},
}
NOTHING = {"id": "nothing", "dimension": "fit", "group": "g", "when": {"trait": "p", "exists": True}, "points": 0}


@dataclass(frozen=True)
class Pair:
    """A model and one that it may ask."""

    base: CompiledModel
    asking: CompiledModel

    @property
    def models(self) -> list[CompiledModel]:
        return [self.base, self.asking]

    @property
    def others(self) -> dict[str, Model]:
        return {"base": self.base.model}


@st.composite
def pairs(draw: st.DrawFn, *, smooth: bool = True) -> Pair:
    base = draw(documents(name="base", smooth=smooth, texts_for_people=False)) | ANSWERS
    base["rules"] += [draw(rules(place, others=(), blocks=(), smooth=smooth)) for place in (10, 11, 12)]
    base["rules"] = [NOTHING, *base["rules"], AGAIN]
    asking = draw(documents(name="asking", others=("base",), smooth=smooth, texts_for_people=False))
    asking["rules"] += [draw(rules(place, others=("base",), blocks=(), smooth=smooth)) for place in (10, 11)]
    asked = draw(answers(("base",)))
    asking["rules"] += [
        {"id": "asks", "when": asked, "points": 1},
        {"id": "asks-not", "when": {"not": asked}, "points": 3},
    ]
    compiled = compile_model(load(base))
    return Pair(compiled, compile_model(load(asking), {"base": compiled}))


def texts(dice: random.Random) -> dict[str, str | None]:
    return {"p": dice.choice(TEXTS), "q": dice.choice(TEXTS)}


def crowd(dice: random.Random, size: int) -> tuple[list[Lead], list[Event]]:
    """Leads, and what happened to them within half a day, much of it at full hours."""
    leads: list[Lead] = []
    events: list[Event] = []
    for number in range(size):
        lead_id = f"lead{number:02}"
        seen = dice.choice([None, *(DAY_0 + hour * HOUR for hour in range(4))])
        leads.append({"lead_id": lead_id, "first_seen_at": seen, "traits": texts(dice)})
        for place in range(dice.choice([0, 1, 2, 3, 5, 8])):
            at = DAY_0 + dice.choice([dice.randrange(12), dice.randrange(12), 12 * dice.random()]) * HOUR
            event = {"lead_id": lead_id, "event_id": f"e{place}", "type": dice.choice(TYPES), "occurred_at": at}
            # A machine's: to all models as if it had not happened.
            by_machine = event["type"] == "email.opened" and dice.random() < 0.3
            events.append(event | {"properties": texts(dice), "discounted": "sender" if by_machine else None})
        for place in range(dice.choice([0, 0, 1, 2])):
            events += judgement(dice, lead_id, place)
    dice.shuffle(events)
    return leads, [*events, {**events[0], "lead_id": "stranger"}] if events else events


def judgement(dice: random.Random, lead_id: str, place: int) -> list[Event]:
    at, key = DAY_0 + dice.randrange(12) * HOUR, {"judgement": f"j{place}"}
    said: dict[str, str | None] = {**key, "points": dice.choice(["2", "-1.5", "0.001"])}
    said["model"] = dice.choice([None, "asking", "base", "another"])
    said["expires_at"] = dice.choice([None, (at + dice.randrange(5) * HOUR).isoformat()])
    made = {"lead_id": lead_id, "event_id": f"j{place}", "type": "assay.judgement", "occurred_at": at}
    back = at + dice.randrange(-1, 5) * HOUR
    withdrawn = made | {"event_id": f"w{place}", "type": "assay.judgement_withdrawn", "occurred_at": back}
    return [made | {"properties": said}, *([withdrawn | {"properties": key}] if dice.random() < 0.4 else [])]


def instants(dice: random.Random, lead: Lead, events: Iterable[Event]) -> list[datetime]:
    """Five: three where something may turn, or beside it; two anywhere."""
    begins = [DAY_0, *([lead["first_seen_at"]] if lead["first_seen_at"] else [])]
    begins += [event["occurred_at"] for event in events if event["lead_id"] == lead["lead_id"]]
    turns = [dice.choice(begins) + dice.randrange(6) * HOUR + dice.choice([-TICK, 0 * TICK, TICK]) for _ in range(3)]
    return [*turns, DAY_0 + 14 * dice.random() * HOUR, DAY_0 + dice.choice([-1, 6, 11, 24, 700]) * HOUR]


def looked_at(
    leads: Sequence[Lead], events: Sequence[Event], moments: Sequence[Sequence[datetime]]
) -> tuple[list[Lead], list[Event], list[datetime]]:
    """Each lead once for each of its moments, as a lead of its own with the same facts."""
    copies = [
        (lead, f"{lead['lead_id']}@{place}", at)
        for lead, own in zip(leads, moments, strict=True)
        for place, at in enumerate(own)
    ]
    return (
        [{**lead, "lead_id": name} for lead, name, _ in copies],
        [{**event, "lead_id": name} for lead, name, _ in copies for event in own_events(lead, events)],
        [at for _, _, at in copies],
    )


def own_events(lead: Lead, events: Iterable[Event]) -> list[Event]:
    return [event for event in events if event["lead_id"] == lead["lead_id"]]


def counted(events: Iterable[Event]) -> list[Event]:
    return [event for event in events if event.get("discounted") is None]


def micro(instant: datetime | None) -> int | None:
    return None if instant is None else (instant - EPOCH) // TICK


@dataclass(frozen=True)
class Engine:
    """The engine for leads and events as lists."""

    leads_frame: Frames
    events_frame: Frames

    def score(
        self, models: Sequence[CompiledModel], leads: Sequence[Lead], events: Sequence[Event], at: Any
    ) -> pl.DataFrame:
        return score(models, *self.frames(leads, events, at))

    def outcomes(
        self, models: Sequence[CompiledModel], leads: Sequence[Lead], events: Sequence[Event], at: Any
    ) -> list[pl.DataFrame]:
        """Of each model what `score` tells, but not when it changes: to find that out takes longer than the rest."""
        return [one.scores for one in outcomes(models, *self.frames(leads, events, at))]

    def frames(self, leads: Sequence[Lead], events: Sequence[Event], at: Any) -> tuple[pl.DataFrame, pl.DataFrame, Any]:
        people = self.leads_frame(leads)
        if isinstance(at, list):
            people, at = people.with_columns(at=pl.Series(at, dtype=pl.Datetime("us", "UTC"))), None
        return people, self.events_frame(events), at


@pytest.fixture(scope="session")
def engine(leads_frame: Frames, events_frame: Frames) -> Engine:
    return Engine(leads_frame, events_frame)


@tried(60)
@given(pair=pairs(), seed=seeds)
def test_engine_equals_the_oracle(oracle: ModuleType, engine: Engine, pair: Pair, seed: int) -> None:
    dice = random.Random(seed)
    leads, events = crowd(dice, 20)
    leads, events, at = looked_at(leads, events, [instants(dice, lead, events) for lead in leads])
    found = engine.outcomes(pair.models, leads, events, at)
    by_lead: dict[str, list[tuple[Any, ...]]] = {}
    for event in counted(events):
        said = (event["event_id"], event["type"], micro(event["occurred_at"]), event["properties"])
        by_lead.setdefault(event["lead_id"], []).append(said)
    for model, scores in zip(pair.models, found, strict=True):
        for lead, instant, row in zip(leads, at, scores.rows(named=True), strict=True):
            known = oracle.Lead(micro(lead["first_seen_at"]), lead["traits"])
            own = by_lead.get(lead["lead_id"], [])
            assert told(oracle, model, row) == oracle.score(model.model, known, own, micro(instant), pair.others), (
                json.dumps(dump(model.model), ensure_ascii=False),
                lead,
                own,
                instant,
            )


def told(oracle: ModuleType, model: CompiledModel, row: dict[str, Any]) -> Any:
    words = ("applies", "total", "raw", "stage", "grade", "override", "disqualified")
    return oracle.Result(dimensions=dimensions_of(model, row), **{word: row[word] for word in words})


def dimensions_of(model: CompiledModel, row: dict[str, Any]) -> dict[str, int] | None:
    names = [dimension.name for dimension in model.model.dimensions]
    return {name: row[f"dimension:{name}"] for name in names} if row["applies"] else None


def assert_equal(ours: Sequence[pl.DataFrame], theirs: Sequence[pl.DataFrame]) -> None:
    for one, other in zip(ours, theirs, strict=True):
        assert one.equals(other)


@tried(25)
@given(pair=pairs(), seed=seeds)
def test_what_is_told_adds_up(engine: Engine, pair: Pair, seed: int) -> None:
    dice = random.Random(seed)
    leads, events = crowd(dice, 8)
    at = DAY_0 + 16 * dice.random() * HOUR
    people, happened = engine.leads_frame(leads), engine.events_frame(events)
    rows = score([pair.asking], people, happened, at).rows(named=True)
    for explanation, row in zip(explain(pair.asking, people, happened, at), rows, strict=True):
        if not row["applies"]:
            continue
        assert sum(part.points for part in explanation.parts) == explanation.raw == row["raw"]
        assert explanation.raw + sum(one.points for one in explanation.adjustments) == explanation.total == row["total"]
        assert explanation.dimensions == json.loads(row["dimensions"])
        for name, points in explanation.dimensions.items():
            assert sum(part.points for part in explanation.parts if part.dimension == name) == points
        assert all(part.counted or part.points == 0 for part in explanation.parts)


@tried(25)
@given(pair=pairs(), seed=seeds)
def test_machines_are_told_and_change_nothing(engine: Engine, pair: Pair, seed: int) -> None:
    dice = random.Random(seed)
    leads, events = crowd(dice, 8)
    at = DAY_0 + 16 * dice.random() * HOUR
    assert_equal(
        engine.outcomes(pair.models, leads, events, at), engine.outcomes(pair.models, leads, counted(events), at)
    )
    people = engine.leads_frame(leads)
    with_them = explain(pair.asking, people, engine.events_frame(events), at)
    without = explain(pair.asking, people, engine.events_frame(counted(events)), at)
    for one, other in zip(with_them, without, strict=True):
        theirs = [part for part in one.parts if part.because and part.because[0].code == "machine_sender"]
        assert not any(part.counted or part.points for part in theirs)
        assert [part for part in one.parts if part not in theirs] == list(other.parts)
        assert (one.total, one.raw, one.next_change) == (other.total, other.raw, other.next_change)


@tried(30)
@given(pair=pairs(), seed=seeds)
def test_order_and_repetition_change_nothing(engine: Engine, pair: Pair, seed: int) -> None:
    dice = random.Random(seed)
    leads, events = crowd(dice, 8)
    at = DAY_0 + 12 * dice.random() * HOUR
    shuffled = events + dice.choices(events, k=4) if events else []
    dice.shuffle(shuffled)
    assert_equal(engine.outcomes(pair.models, leads, events, at), engine.outcomes(pair.models, leads, shuffled, at))
    people = engine.leads_frame(leads)
    told_once = explain(pair.asking, people, engine.events_frame(events), at)
    assert told_once == explain(pair.asking, people, engine.events_frame(shuffled), at)


@tried(25)
@given(pair=pairs(), seed=seeds)
def test_a_lead_alone_scores_as_among_others(engine: Engine, pair: Pair, seed: int) -> None:
    dice = random.Random(seed)
    leads, events = crowd(dice, 6)
    at = [instants(dice, lead, events)[0] for lead in leads]
    together = engine.outcomes(pair.models, leads, events, at)
    for place, lead in enumerate(leads):
        alone = engine.outcomes(pair.models, [lead], own_events(lead, events), at[place])
        assert_equal(alone, [scores[place : place + 1] for scores in together])
    first = engine.score([pair.asking], leads[:1], own_events(leads[0], events), at[0])
    assert first.equals(engine.score([pair.asking], leads, events, at)[:1])


@tried(25)
@given(pair=pairs(), seed=seeds)
def test_models_scored_together_do_not_touch_each_other(engine: Engine, pair: Pair, seed: int) -> None:
    dice = random.Random(seed)
    leads, events = crowd(dice, 6)
    at = DAY_0 + 12 * dice.random() * HOUR
    apart = pl.concat([engine.score([model], leads, events, at) for model in pair.models])
    together = engine.score(pair.models, leads, events, at)
    assert together.equals(apart)
    for model, scores in zip(pair.models, engine.outcomes(pair.models, leads, events, at), strict=True):
        rows = together.filter(pl.col("model") == model.name)
        names = [name for name in scores.columns if name in rows.columns]
        assert rows.select(names).equals(scores.select(names))
        dimensions = [None if told is None else json.loads(told) for told in rows["dimensions"]]
        assert dimensions == [dimensions_of(model, row) for row in scores.rows(named=True)]


@pytest.mark.parametrize("smooth", [False, True], ids=["discrete", "smooth"])
@tried(40)
@given(data=st.data(), seed=seeds)
def test_nothing_changes_before_next_change(engine: Engine, smooth: bool, data: st.DataObject, seed: int) -> None:
    pair = data.draw(pairs(smooth=smooth))
    dice = random.Random(seed)
    leads, events = crowd(dice, 8)
    at = DAY_0 + dice.choice([dice.randrange(14), 14 * dice.random()]) * HOUR
    now = engine.score([pair.asking], leads, events, at)
    moments = [probes(dice, at, change) for change in now["next_change"]]
    later = engine.score([pair.asking], *looked_at(leads, events, moments)).rows(named=True)
    steady = STEADY if pair.asking.smooth else [name for name in now.columns if name not in ("next_change", "lead_id")]
    for row, instants_of_row in zip(now.rows(named=True), moments, strict=True):
        for instant in instants_of_row:
            then = later.pop(0)
            assert [then[name] for name in steady] == [row[name] for name in steady], (row["lead_id"], instant, row)


def probes(dice: random.Random, at: datetime, change: datetime | None) -> list[datetime]:
    """Instants at which nothing may have changed."""
    if change is None:
        return [at + 12 * dice.random() * HOUR for _ in range(4)] + [at + 30 * HOUR, at + timedelta(days=4000)]
    assert change > at
    last = change - TICK
    return [at + (last - at) * dice.random() for _ in range(4)] + [last]


@tried(40)
@given(pair=pairs(), seed=seeds)
def test_merged_leads_score_as_the_union_of_their_facts(
    oracle: ModuleType, engine: Engine, pair: Pair, seed: int
) -> None:
    dice = random.Random(seed)
    (one, other), events = crowd(dice, 2)
    shared = [event for event in events if event["lead_id"] != "stranger"]
    union = [{**event, "event_id": f"{event['lead_id']}-{event['event_id']}", "lead_id": "merged"} for event in shared]
    merged = {**one, "lead_id": "merged", "traits": other["traits"] | {"p": one["traits"]["p"]}}
    at = DAY_0 + 12 * dice.random() * HOUR
    # Both had told of some of the events.
    told_twice = union + dice.choices(union, k=3) if union else union
    own = [
        (event["event_id"], event["type"], micro(event["occurred_at"]), event["properties"]) for event in counted(union)
    ]
    known = oracle.Lead(micro(merged["first_seen_at"]), merged["traits"])
    (scores,) = engine.outcomes([pair.asking], [merged], told_twice, at)
    assert told(oracle, pair.asking, scores.row(0, named=True)) == oracle.score(
        pair.asking.model, known, own, micro(at), pair.others
    )


@tried(30)
@given(pair=pairs(), seed=seeds)
def test_a_model_written_and_read_again_scores_the_same(engine: Engine, pair: Pair, seed: int) -> None:
    dice = random.Random(seed)
    leads, events = crowd(dice, 6)
    at = DAY_0 + 12 * dice.random() * HOUR
    model = load(json.loads(json.dumps(dump(pair.asking.model))))
    again = compile_model(model, {"base": pair.base})
    assert again.hash == pair.asking.hash
    assert content_hash(model) == content_hash(pair.asking.model)
    assert engine.score([again], leads, events, at).equals(engine.score([pair.asking], leads, events, at))
