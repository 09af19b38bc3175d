"""What the engine asks of the frames it is given, and what it forgives."""

import subprocess
import sys
from datetime import datetime, timedelta

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


def leads(*ids: int) -> pl.DataFrame:
    columns = {"lead_id": ids, "first_seen_at": [None for _ in ids], "trait:t": ["1" for _ in ids]}
    return pl.DataFrame(columns, schema={"lead_id": pl.Int64, "first_seen_at": INSTANT, "trait:t": pl.String})


def events(*rows: tuple[int, str, str, str | None]) -> pl.DataFrame:
    full = [(lead, event_id, kind, AT - timedelta(hours=2), value) for lead, event_id, kind, value in rows]
    return pl.DataFrame(full, schema=EVENTS, orient="row")


def test_what_a_model_reads() -> None:
    assert (MODEL.name, MODEL.traits, MODEL.properties) == ("m", {"t"}, {"p"})
    assert MODEL.event_types == {"a.done", "b.done"}


def test_silence_of_any_type_reads_every_event() -> None:
    rules = [{"id": "a", "idle": {"for": "1h"}, "points": 1}]
    assert compile_model(load({"model": "m", "rules": rules})).event_types is None


def test_columns_and_types_of_the_answer() -> None:
    found = score([MODEL], leads(7, 8), events((7, "e", "a.done", "x")), AT)
    assert found.columns == [
        "model",
        "content_hash",
        "lead_id",
        "total",
        "raw",
        "dimensions",
        "stage",
        "grade",
        "next_change",
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


def test_many_leads_in_pieces_keep_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    other = compile_model(load({"model": "other", "rules": [{"id": "a", "on": "a.done", "points": 3}]}))
    people, happened = leads(*range(9)), events(*((lead, f"e{lead}", "a.done", "x") for lead in range(0, 9, 2)))
    whole = score([MODEL, other], people, happened, AT)
    monkeypatch.setattr("assay.scoring.engine.totals._MOST_CELLS", 10)
    assert score([MODEL, other], people, happened, AT).equals(whole)


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
