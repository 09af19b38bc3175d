"""What holds for every model and every history, tried on random ones; equal to a plain-Python oracle."""

import json
import random
from collections.abc import Callable
from datetime import datetime, timedelta
from types import ModuleType
from typing import Any

import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assay.scoring.engine import compile_model, explain, score
from assay.scoring.language import Model, load

Frames = Callable[..., pl.DataFrame]

EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
DAY_0 = datetime.fromisoformat("2026-03-01T00:00:00+00:00")
HOUR = timedelta(hours=1)
TYPES = ["page.viewed", "email.opened", "offer.downloaded"]
TEXTS = [
    None,
    "",
    "1",
    "2.0",
    "3",
    "NaN",
    "CFO",
    "cfo",
    "Owner of 3",
    '["1","CFO"]',
    "[2]",
    "[]",
    "2026-03-01",
    "2026-03-01T05:00:00Z",
]

lengths = st.sampled_from(["1h", "2h", "3h", "5h"])
points = st.sampled_from([-7, -2.5, -1, 0, 1, 2, 3.333, 10])
several = settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)


@st.composite
def comparisons(draw: st.DrawFn, subject: str) -> dict[str, Any]:
    scalar = st.sampled_from([1, 2, 3, "CFO", "owner of 3", "2", True])
    word, operand = draw(
        st.one_of(
            st.tuples(st.sampled_from(["is", "is_not", "contains"]), scalar),
            st.tuples(st.sampled_from(["in", "not_in"]), st.lists(scalar, min_size=1, max_size=3)),
            st.tuples(st.sampled_from(["starts_with", "ends_with"]), st.sampled_from(["c", "O", "3"])),
            st.tuples(st.sampled_from(["gt", "gte", "lt", "lte"]), st.sampled_from([1, 2, 2.5])),
            st.tuples(st.just("between"), st.just([1, 2])),
            st.tuples(st.just("matches"), st.sampled_from(["C", "^[0-9]+$"])),
            st.tuples(st.just("exists"), st.booleans()),
            st.tuples(st.sampled_from(["within", "older_than"]), lengths),
        )
    )
    return {subject: draw(st.sampled_from(["p", "q"])), word: operand}


def conditions(subject: str) -> st.SearchStrategy[dict[str, Any]]:
    return st.recursive(
        comparisons(subject),
        lambda inner: st.one_of(
            st.fixed_dictionaries({"all": st.lists(inner, min_size=1, max_size=2)}),
            st.fixed_dictionaries({"any": st.lists(inner, min_size=1, max_size=2)}),
            st.fixed_dictionaries({"not": inner}),
        ),
        max_leaves=3,
    )


counts = st.one_of(
    st.sampled_from(["each", "once", "once_while_active", "once_while_active"]),
    st.just({"once_per": "p"}),
    st.builds(lambda n: {"first": n}, st.integers(1, 3)),
    st.builds(lambda n: {"from": n}, st.integers(1, 3)),
    st.just({"first_points": 1, "then": 2}),
)
types = st.lists(st.sampled_from(TYPES), min_size=1, max_size=2, unique=True)
caps = st.fixed_dictionaries({}, optional={"max": st.sampled_from([0, 1, 5]), "min": st.sampled_from([-5, -1.5, 0])})


@st.composite
def rules(draw: st.DrawFn, place: int) -> dict[str, Any]:
    rule: dict[str, Any] = {"id": f"r{place}", "points": draw(points), **draw(caps)}
    kind = draw(st.sampled_from(["when", "on", "on", "idle", "idle"]))
    if kind == "when":
        rule["when"] = draw(conditions("trait"))
    elif kind == "on":
        rule["on"] = draw(types)
        rule["count"] = draw(counts)
        if isinstance(rule["count"], dict) and "first_points" in rule["count"]:
            del rule["points"]
        if draw(st.booleans()):
            rule["where"] = draw(conditions("property"))
    else:
        rule["idle"] = {
            "for": draw(lengths),
            "of": draw(st.one_of(st.just("any"), types)),
            "kept": draw(st.booleans()),
            "tiers": draw(st.sampled_from(["cumulative", "replace"])),
        }
    if (kind == "on" or rule.get("idle", {}).get("kept")) and draw(st.booleans()):
        rule["fades"] = {"after": draw(lengths)}
    where = draw(
        st.sampled_from([{}, {"dimension": "fit"}, {"dimension": "fit", "group": "g"}, {"dimension": "interest"}])
    )
    return rule | where


@st.composite
def models(draw: st.DrawFn) -> Model:
    group = draw(caps) | {"first_match": draw(st.booleans())}
    return load(
        {
            "model": "random",
            "dimensions": {"fit": {**draw(caps), "groups": {"g": group}}, "interest": draw(caps)},
            "rules": [draw(rules(place)) for place in range(draw(st.integers(1, 6)))],
            "scale": draw(st.sampled_from([{}, {"min": 0, "max": 10}, {"min": -3}])),
            "stages": [{"name": "warm", "from": 1}, {"name": "hot", "above": 4}],
            "grades": {"fit": {"A": 5, "B": 1, "D": 0}, "interest": {"1": 3, "4": 0}},
        }
    )


texts = st.fixed_dictionaries({"p": st.sampled_from(TEXTS), "q": st.sampled_from(TEXTS)})
hours = st.integers(0, 12)


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[dict[str, Any]], list[dict[str, Any]], datetime]:
    leads = [
        {
            "lead_id": f"lead{place}",
            "first_seen_at": draw(st.one_of(st.none(), hours.map(lambda hour: DAY_0 + hour * HOUR))),
            "traits": draw(texts),
        }
        for place in range(draw(st.integers(1, 2)))
    ]
    events = [
        {
            "lead_id": draw(st.sampled_from([*(lead["lead_id"] for lead in leads), "stranger"])),
            "event_id": f"e{place:02}",
            "type": draw(st.sampled_from(TYPES)),
            "occurred_at": DAY_0 + draw(hours) * HOUR,
            "properties": draw(texts),
        }
        for place in range(draw(st.integers(0, 10)))
    ]
    return leads, draw(st.permutations(events)), DAY_0 + draw(hours) * HOUR


def micro(instant: datetime | None) -> int | None:
    return None if instant is None else (instant - EPOCH) // timedelta(microseconds=1)


@several
@given(model=models(), history=histories())
def test_engine_equals_the_oracle(
    oracle: ModuleType, leads_frame: Frames, events_frame: Frames, model: Model, history: Any
) -> None:
    leads, events, at = history
    rows = score([compile_model(model)], leads_frame(leads), events_frame(events), at).iter_rows(named=True)
    for lead, row in zip(leads, rows, strict=True):
        own = [
            (event["event_id"], event["type"], micro(event["occurred_at"]), event["properties"])
            for event in events
            if event["lead_id"] == lead["lead_id"]
        ]
        expected = oracle.score(model, oracle.Lead(micro(lead["first_seen_at"]), lead["traits"]), own, micro(at))
        found = oracle.Result(row["total"], row["raw"], json.loads(row["dimensions"]), row["stage"], row["grade"])
        assert found == expected


@several
@given(model=models(), history=histories())
def test_parts_sum_to_raw(leads_frame: Frames, events_frame: Frames, model: Model, history: Any) -> None:
    leads, events, at = history
    compiled, people, happened = compile_model(model), leads_frame(leads), events_frame(events)
    rows = score([compiled], people, happened, at).iter_rows(named=True)
    for explanation, row in zip(explain(compiled, people, happened, at), rows, strict=True):
        assert sum(part.points for part in explanation.parts) == explanation.raw == row["raw"]
        for part in explanation.parts:
            assert part.counted or part.points == 0
            assert abs(part.points) <= abs(part.earned)
            assert part.points * part.earned >= 0


@several
@given(model=models(), history=histories(), seed=st.integers(0, 1000))
def test_order_and_repetition_change_nothing(
    leads_frame: Frames, events_frame: Frames, model: Model, history: Any, seed: int
) -> None:
    leads, events, at = history
    compiled = compile_model(model)
    shuffled = events + random.Random(seed).choices(events, k=4) if events else []
    random.Random(seed).shuffle(shuffled)
    people = leads_frame(leads)
    assert explain(compiled, people, events_frame(events), at) == explain(compiled, people, events_frame(shuffled), at)


@several
@given(model=models(), history=histories())
def test_nothing_changes_before_next_change(
    leads_frame: Frames, events_frame: Frames, model: Model, history: Any
) -> None:
    leads, events, at = history
    compiled, people, happened = compile_model(model), leads_frame(leads), events_frame(events)
    now = score([compiled], people, happened, at)
    for place, change in enumerate(now["next_change"]):
        if change is None:
            later = [at + hours * HOUR for hours in (1, 3, 6, 10, 30)] + [at + timedelta(days=4000)]
        else:
            assert change > at
            later = [at + (change - at) * part for part in (0.3, 0.7)] + [change - timedelta(microseconds=1)]
        for instant in later:
            then = score([compiled], people[place : place + 1], happened, instant)
            assert then.drop("next_change").rows() == now[place : place + 1].drop("next_change").rows()


@several
@given(one=models(), other=models(), history=histories())
def test_models_scored_together_do_not_touch_each_other(
    leads_frame: Frames, events_frame: Frames, one: Model, other: Model, history: Any
) -> None:
    leads, events, at = history
    people, happened = leads_frame(leads), events_frame(events)
    first, second = compile_model(one), compile_model(other)
    together = score([first, second], people, happened, at)
    apart = pl.concat([score([model], people, happened, at) for model in (first, second)])
    assert together.equals(apart)
