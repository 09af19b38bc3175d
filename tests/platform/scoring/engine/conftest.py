"""Leads and events by hand, with days counted from one first day."""

import importlib.util
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import polars as pl
import pytest

from assay.scoring.engine import CompiledModel, Explanation, compile_model, explain, score
from assay.scoring.language import load
from assay_sdk.flatten import as_text

DAY_0 = datetime(2026, 3, 1, tzinfo=UTC)
INSTANT = pl.Datetime("us", "UTC")

Run = Callable[..., Explanation]


@pytest.fixture(scope="session")
def oracle() -> ModuleType:
    spec = importlib.util.spec_from_file_location("scoring_oracle", Path(__file__).with_name("oracle.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up by name.
    sys.modules["scoring_oracle"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def leads_frame() -> Callable[..., pl.DataFrame]:
    def make(leads: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
        """Each lead: {"lead_id", "first_seen_at", "traits"}."""
        names = sorted({name for lead in leads for name in lead.get("traits", {})})
        columns = {
            "lead_id": pl.Series([lead["lead_id"] for lead in leads], dtype=pl.String),
            "first_seen_at": pl.Series([lead.get("first_seen_at") for lead in leads], dtype=INSTANT),
        }
        for name in names:
            values = [as_text(lead.get("traits", {}).get(name)) for lead in leads]
            columns[f"trait:{name}"] = pl.Series(values, dtype=pl.String)
        return pl.DataFrame(columns)

    return make


@pytest.fixture(scope="session")
def events_frame() -> Callable[..., pl.DataFrame]:
    def make(events: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
        """Each event: {"lead_id", "event_id", "type", "occurred_at", "properties"}, and why it is discounted."""
        names = sorted({name for event in events for name in event.get("properties", {})})
        columns = {
            name: pl.Series([event[name] for event in events], dtype=pl.String)
            for name in ("lead_id", "event_id", "type")
        }
        columns["occurred_at"] = pl.Series([event["occurred_at"] for event in events], dtype=INSTANT)
        for name in names:
            values = [as_text(event.get("properties", {}).get(name)) for event in events]
            columns[f"property:{name}"] = pl.Series(values, dtype=pl.String)
        if any("discounted" in event for event in events):
            columns["discounted"] = pl.Series([event.get("discounted") for event in events], dtype=pl.String)
        return pl.DataFrame(columns)

    return make


@pytest.fixture(scope="session")
def run(leads_frame: Callable[..., pl.DataFrame], events_frame: Callable[..., pl.DataFrame]) -> Run:
    """Scores one lead: traits, events as (day, type, properties…), at a day; checks that the receipt adds up.

    Two neighbours have the very same facts, ids of events included: nothing may leak from one to another.
    """

    def one(
        model: Mapping[str, Any],
        *,
        references: Sequence[Mapping[str, Any]] = (),
        traits: Mapping[str, Any] | None = None,
        events: Sequence[tuple[Any, ...]] = (),
        at: float = 0,
        first_seen: float | None = None,
    ) -> Explanation:
        others: dict[str, CompiledModel] = {}
        for document in references:
            others[document["model"]] = compile_model(load(document), others)
        compiled = compile_model(load({"model": "m", **model}), others)
        seen = None if first_seen is None else DAY_0 + timedelta(days=first_seen)
        names = ("neighbour", "lead", "other neighbour")
        leads = leads_frame([{"lead_id": name, "first_seen_at": seen, "traits": traits or {}} for name in names])
        happened = events_frame(
            [
                {
                    "lead_id": name,
                    "event_id": f"e{place}",
                    "type": event[1],
                    "occurred_at": DAY_0 + timedelta(days=event[0]),
                    "properties": event[2] if len(event) > 2 else {},
                }
                for place, event in enumerate(events)
                for name in names
            ]
        )
        instant = DAY_0 + timedelta(days=at)
        before, explanation, after = explain(compiled, leads, happened, instant)
        assert replace(before, lead_id="lead") == explanation == replace(after, lead_id="lead")
        rows = score([compiled], leads, happened, instant).drop("lead_id").rows(named=True)
        assert rows[0] == rows[1] == rows[2]
        row = rows[1]
        for name in ("applies", "total", "raw", "stage", "grade", "override", "disqualified", "next_change"):
            assert getattr(explanation, name) == row[name], name
        if row["applies"]:
            assert sum(part.points for part in explanation.parts) == row["raw"]
            assert row["raw"] + sum(step.points for step in explanation.adjustments) == row["total"]
            assert explanation.dimensions == json.loads(row["dimensions"])
        assert all(part.points == 0 for part in explanation.parts if not part.counted)
        _agrees_with_itself(compiled, leads, happened, instant)
        return explanation

    return one


def _agrees_with_itself(model: CompiledModel, leads: pl.DataFrame, events: pl.DataFrame, instant: datetime) -> None:
    """One instant for all is that instant for each; a lead alone is a lead among others; order and ids play no part."""
    whole = score([model], leads, events, instant)
    each = leads.with_columns(pl.lit(instant, INSTANT).alias("at"))
    shuffled = events.sample(fraction=1, shuffle=True, seed=7)
    assert score([model], each, shuffled, None).equals(whole)
    assert score([model], leads, shuffled.drop("event_id"), instant, distinct=True).equals(whole)
    other = each.with_columns(pl.Series("at", [instant - timedelta(days=9), instant, instant - timedelta(days=40)]))
    assert score([model], other, events, None)[1].equals(whole[1])
    assert score([model], leads[1:2], events, instant).equals(whole[1])
