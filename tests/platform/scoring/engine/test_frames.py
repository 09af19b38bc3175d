"""What the engine asks of the frames it is given, and what it forgives."""

import subprocess
import sys
from datetime import datetime, timedelta
from typing import Any

import polars as pl
import pytest

from assay.scoring.engine import compile_model, explain, score
from assay.scoring.language import load

AT = datetime.fromisoformat("2026-03-02T00:00:00+00:00")
INSTANT = pl.Datetime("us", "UTC")
EVENTS = {
    "lead_id": pl.Int64,
    "event_id": pl.String,
    "type": pl.String,
    "occurred_at": INSTANT,
    "property:p": pl.String,
}
MODEL = compile_model(
    load(
        {
            "model": "m",
            "rules": [
                {"id": "a", "on": "a.done", "points": 1, "where": {"property": "p", "is": "x"}},
                {"id": "b", "when": {"trait": "t", "is": 1}, "points": 10},
                {"id": "c", "idle": {"for": "1h", "of": "b.done"}, "points": 100},
            ],
        }
    )
)


JUDGED = {"judgement", "points", "model", "expires_at", "reason", "by"}


def counted(types: str) -> dict[str, Any]:
    event = {"event": types, "where": {"property": "p", "is": 1}, "distinct": "q"}
    return {"id": "o", "when": event, "set": 0, "reason": "seen"}


def leads(*ids: int) -> pl.DataFrame:
    columns = {"lead_id": ids, "first_seen_at": [None for _ in ids], "trait:t": ["1" for _ in ids]}
    return pl.DataFrame(columns, schema={"lead_id": pl.Int64, "first_seen_at": INSTANT, "trait:t": pl.String})


def events(*rows: tuple[int, str, str, str | None]) -> pl.DataFrame:
    full = [(lead, event_id, kind, AT - timedelta(hours=2), value) for lead, event_id, kind, value in rows]
    return pl.DataFrame(full, schema=EVENTS, orient="row")


def test_what_a_model_reads() -> None:
    assert (MODEL.name, MODEL.traits, MODEL.properties) == ("m", {"t"}, {"p", *JUDGED})
    assert MODEL.event_types == {"a.done", "b.done", "assay.judgement", "assay.judgement_withdrawn"}
    assert MODEL.property_types["p"] == {"a.done"}
    assert MODEL.property_types["judgement"] == {"assay.judgement", "assay.judgement_withdrawn"}
    assert MODEL.property_types["reason"] == {"assay.judgement"}


@pytest.mark.parametrize(
    ("words", "types", "read"),
    [
        pytest.param({"judgements": False}, {"a.done"}, {"p": {"a.done"}}, id="no judgements"),
        pytest.param(
            {"judgements": False, "overrides": [counted("any")]}, None, {"p": None, "q": None}, id="counts of any type"
        ),
        pytest.param(
            {"judgements": False, "audience": counted("b.done")["when"]},
            {"a.done", "b.done"},
            {"p": {"a.done", "b.done"}, "q": {"b.done"}},
            id="counts of a type",
        ),
    ],
)
def test_which_properties_are_read_of_which_types(words: Any, types: Any, read: Any) -> None:
    rules = [{"id": "a", "on": "a.done", "points": 1, "where": {"property": "p", "is": "x"}}]
    found = compile_model(load({"model": "m", "rules": rules, **words}))
    assert (found.event_types, dict(found.property_types)) == (types, read)


def test_what_a_referenced_model_reads_is_read() -> None:
    rules = [{"id": "a", "when": {"model": "m", "score": {"gte": 1}}, "points": 1}]
    found = compile_model(load({"model": "over", "rules": rules}), {"m": MODEL})
    assert (found.traits, found.event_types) == (MODEL.traits, MODEL.event_types)
    assert found.properties == MODEL.properties
    assert found.references == {"m": MODEL}
    with pytest.raises(ValueError, match="refers to m, which is not given"):
        compile_model(load({"model": "over", "rules": rules}))


def test_the_hash_covers_the_versions_referred_to() -> None:
    other = compile_model(load({"model": "m", "rules": [{"id": "a", "on": "a.done", "points": 2}]}))
    over = load({"model": "over", "rules": [{"id": "a", "when": {"model": "m", "score": {"gte": 1}}, "points": 1}]})
    assert compile_model(over, {"m": MODEL}).hash != compile_model(over, {"m": other}).hash


def test_silence_of_any_type_reads_every_event() -> None:
    rules = [{"id": "a", "idle": {"for": "1h"}, "points": 1}]
    assert compile_model(load({"model": "m", "rules": rules})).event_types is None


def test_columns_and_types_of_the_answer() -> None:
    found = score([MODEL], leads(7, 8), events((7, "e", "a.done", "x")), AT)
    assert found.columns == [
        *("model", "content_hash", "lead_id", "applies", "total", "raw", "dimensions"),
        *("stage", "grade", "override", "disqualified", "next_change"),
    ]
    assert found.schema["lead_id"] == pl.Int64
    assert found.schema["total"] == found.schema["raw"] == pl.Int64
    assert found.schema["next_change"] == INSTANT
    assert found["content_hash"].unique().to_list() == [MODEL.hash]
    assert found["total"].to_list() == [111_000, 10_000]


def test_no_models_no_leads_no_events() -> None:
    full = score([MODEL], leads(7), events(), AT)
    assert score([], leads(7), events(), AT).schema == full.schema
    assert score([MODEL], leads(), events(), AT).schema == full.schema
    assert explain(MODEL, leads(), events(), AT) == []


def test_columns_not_given_are_missing_throughout() -> None:
    found = score(
        [MODEL], leads(7).drop("trait:t", "first_seen_at"), events((7, "e", "a.done", "x")).drop("property:p"), AT
    )
    assert found["total"].to_list() == [100_000]


def test_events_of_strangers_are_passed_over() -> None:
    assert score([MODEL], leads(7), events((9, "e", "a.done", "x")), AT)["total"].to_list() == [10_000]


def test_one_event_id_counts_once_for_a_lead_and_for_each_lead() -> None:
    found = score(
        [MODEL], leads(7, 8), events((7, "e", "a.done", "x"), (7, "e", "a.done", "x"), (8, "e", "a.done", "x")), AT
    )
    assert found["raw"].to_list() == [111_000, 111_000]


def test_a_lead_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="lead_id twice"):
        score([MODEL], leads(7, 7), events(), AT)


def test_an_instant_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        score([MODEL], leads(7), events(), AT.replace(tzinfo=None))


@pytest.mark.parametrize("most", ["_MOST_CELLS", "_MOST_EVENTS"])
def test_many_leads_in_stretches_keep_their_order(monkeypatch: pytest.MonkeyPatch, most: str) -> None:
    other = compile_model(load({"model": "other", "rules": [{"id": "a", "on": "a.done", "points": 3}]}))
    people, happened = leads(*range(9)), events(*((lead, f"e{lead}", "a.done", "x") for lead in range(0, 9, 2)))
    whole = score([MODEL, other], people, happened, AT)
    monkeypatch.setattr(f"assay.scoring.engine.scoring.{most}", 2)
    assert score([MODEL, other], people, happened, AT).equals(whole)
    assert score([MODEL, other], people, happened.reverse(), AT, distinct=True).equals(whole)


def test_each_lead_at_its_own_instant() -> None:
    happened = events(*((lead, f"e{lead}", "a.done", "x") for lead in (7, 8)))
    people = leads(7, 8).with_columns(pl.Series("at", [AT - timedelta(hours=3), AT], dtype=INSTANT))
    assert score([MODEL], people, happened, None)["raw"].to_list() == [10_000, 111_000]


@pytest.mark.parametrize("instants", [None, [AT, None]])
def test_a_lead_without_an_instant_is_refused(instants: list[datetime | None] | None) -> None:
    people = leads(7, 8) if instants is None else leads(7, 8).with_columns(pl.Series("at", instants, dtype=INSTANT))
    with pytest.raises(ValueError, match="instant to score it at"):
        score([MODEL], people, events(), None)


def test_one_model_asked_for_twice_answers_twice() -> None:
    found = score([MODEL, MODEL], leads(7), events(), AT)
    assert found.height == 2
    assert found[0].equals(found[1])


def test_importing_and_compiling_execute_nothing_that_a_fork_would_hang_on() -> None:
    program = """
import os, signal
from datetime import UTC, datetime
import polars as pl
from assay.scoring.engine import compile_model, score
from assay.scoring.language import load
document = {"model": "m", "rules": [{"id": "a", "when": {"trait": "t", "in": ["x", "y"]}, "points": 1}]}
model = compile_model(load(document))
child = os.fork()
if child == 0:
    signal.alarm(30)
    leads = pl.DataFrame({"lead_id": list(range(50_000)), "trait:t": ["x"] * 50_000})
    texts = {"event_id": pl.String, "type": pl.String}
    events = pl.DataFrame(schema={"lead_id": pl.Int64, **texts, "occurred_at": pl.Datetime("us", "UTC")})
    os._exit(0 if score([model], leads, events, datetime.now(UTC))["total"].sum() == 50_000_000 else 1)
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    assert subprocess.run([sys.executable, "-W", "ignore", "-c", program], timeout=60, check=False).returncode == 0
