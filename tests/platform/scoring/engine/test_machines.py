"""Opens and clicks of machines in receipts: told, with why, and counting nothing."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import polars as pl
import pytest

from assay.scoring.engine import compile_model, explain, score
from assay.scoring.engine.machines import MOST_TOLD, why
from assay.scoring.engine.reasons import english
from assay.scoring.language import load

AT = datetime.fromisoformat("2026-03-01T00:00:00+00:00")
Frames = Callable[..., pl.DataFrame]

MODEL = compile_model(
    load(
        {
            "model": "m",
            "rules": [
                {"id": "opens", "on": "email.opened", "points": 2, "where": {"property": "mail", "is": "a"}},
                {"id": "first", "on": "email.opened", "points": 5, "count": "once"},
                {"id": "silent", "idle": {"for": "30d", "of": "any"}, "points": -7},
                {"id": "none", "when": {"event": "email.opened", "count": {"is": 0}}, "points": 1},
                {"id": "any", "when": {"event": "any", "count": {"gte": 1}}, "points": 100},
            ],
        }
    )
)


@pytest.fixture
def told(leads_frame: Frames, events_frame: Frames) -> Callable[..., Any]:
    def explained(*events: tuple[float, str | None, str]) -> Any:
        """Each open: days ago, why it is discounted, and the mail."""
        people = leads_frame([{"lead_id": "ada", "first_seen_at": AT - timedelta(days=60)}])
        happened = events_frame(
            [
                {
                    "lead_id": "ada",
                    "event_id": f"e{place}",
                    "type": "email.opened",
                    "occurred_at": AT - timedelta(days=ago),
                    "properties": {"mail": mail},
                    "discounted": reason,
                }
                for place, (ago, reason, mail) in enumerate(events)
            ]
        )
        (found,) = explain(MODEL, people, happened, AT)
        (row,) = score([MODEL], people, happened, AT).rows(named=True)
        assert (row["total"], row["next_change"]) == (found.total, found.next_change)
        return found

    return explained


def test_they_count_for_no_rule_no_count_and_end_no_silence(told: Callable[..., Any]) -> None:
    assert told((1, "delivered:2", "a")).total == -7_000 + 1_000
    assert told((1, None, "a")).total == 2_000 + 5_000 + 100_000


def test_a_person_after_a_machine_is_the_first(told: Callable[..., Any]) -> None:
    assert told((2, "apple", "b"), (1, None, "b")).total == 5_000 + 100_000


def test_receipts_tell_each_rule_that_would_have_counted_it(told: Callable[..., Any]) -> None:
    parts = {part.rule: part for part in told((1, "delivered:2", "a")).parts if part.events}
    assert parts.keys() == {"opens", "first"}
    assert [(part.points, part.counted, part.events) for part in parts.values()] == [(0, False, ("e0",))] * 2
    assert parts["opens"].why == (
        "email.opened on 2026-02-28 00:00 UTC; by a machine: 2 seconds after it was delivered"
    )
    assert {part.rule for part in told((1, "apple", "b")).parts if part.events} == {"first"}


def test_very_many_are_told_together_with_how_many_they_are(told: Callable[..., Any]) -> None:
    many = [(1.0, "apple", "a")] * MOST_TOLD
    assert len([part for part in told(*many).parts if part.rule == "opens"]) == MOST_TOLD
    (part,) = [part for part in told(*many, (2, "apple", "a")).parts if part.rule == "opens"]
    assert (part.points, part.counted, part.events_behind) == (0, False, MOST_TOLD + 1)


@pytest.mark.parametrize(
    ("discounted", "sentence"),
    [
        ("sender", "by a machine, as the sender says"),
        ("scanner:Barracuda", "by a machine: Barracuda"),
        ("apple", "by a machine: Apple Mail, which fetches every mail in advance"),
        ("early", "by a machine: before it was delivered"),
        ("delivered:1", "by a machine: 1 second after it was delivered"),
        ("sent:0", "by a machine: 0 seconds after it was sent"),
        ("links:4", "by a machine: 4 links at once"),
    ],
)
def test_every_code_has_its_sentence(discounted: str, sentence: str) -> None:
    assert english(why(discounted)) == sentence
