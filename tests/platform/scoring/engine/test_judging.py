"""Judgements: what people add and take, from when until when."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from assay.scoring.engine import Explanation

Run = Callable[..., Explanation]
DAY_0 = datetime.fromisoformat("2026-03-01T00:00:00+00:00")


def judged(day: float, points: Any = 15, key: str = "j", **words: Any) -> tuple[float, str, dict[str, Any]]:
    facts = {"judgement": key, "points": points, "reason": "budget confirmed", "by": "rep@example.test"}
    return day, "assay.judgement", facts | words


def withdrawn(day: float, key: str = "j") -> tuple[float, str, dict[str, Any]]:
    return day, "assay.judgement_withdrawn", {"judgement": key}


def model(**words: Any) -> dict[str, Any]:
    return {"rules": [{"id": "r", "when": {"trait": "x", "exists": True}, "points": 94}], **words}


@pytest.mark.parametrize(
    ("events", "day", "total"),
    [
        pytest.param([judged(1)], 0, 94, id="not yet"),
        pytest.param([judged(1)], 1, 109, id="from its instant"),
        pytest.param([judged(1), withdrawn(5)], 4, 109, id="until it is withdrawn"),
        pytest.param([judged(1), withdrawn(5)], 5, 94, id="withdrawn restores exactly"),
        pytest.param([judged(1), withdrawn(1)], 3, 94, id="withdrawn at its instant never counts"),
        pytest.param([judged(1), withdrawn(0)], 3, 94, id="withdrawn before it never counts"),
        pytest.param([judged(1), withdrawn(2, "k")], 3, 109, id="another one is withdrawn"),
        pytest.param([judged(1, expires_at="2026-03-04")], 2.9, 109, id="before it expires"),
        pytest.param([judged(1, expires_at="2026-03-04")], 3, 94, id="expired"),
        pytest.param([judged(1, expires_at="2026-03-04"), withdrawn(2)], 2, 94, id="withdrawn before it expires"),
        pytest.param([judged(1, expires_at="2026-03-01")], 2, 94, id="expired before it was given"),
        pytest.param([judged(1, -20.5), judged(2, 3, "k")], 2, 76.5, id="several add"),
        pytest.param([judged(1, model="m")], 2, 109, id="about this model"),
        pytest.param([judged(1, model="other")], 2, 94, id="about another"),
        pytest.param([judged(1, "many")], 2, 94, id="no number"),
    ],
)
def test_when_it_counts(run: Run, events: list[Any], day: float, total: float) -> None:
    assert run(model(), traits={"x": 1}, events=events, at=day).total == total * 1000


@pytest.mark.parametrize(
    ("words", "total"),
    [
        pytest.param({"judgements": False}, 94, id="not counted"),
        pytest.param({"judgements": {"max": 20, "min": -20}}, 114, id="bounded"),
        pytest.param({"judgements": {"dimension": "d"}, "dimensions": {"d": {"max": 30}}}, 124, id="in a dimension"),
    ],
)
def test_how_it_counts(run: Run, words: dict[str, Any], total: float) -> None:
    assert run(model(**words), traits={"x": 1}, events=[judged(0, 40)]).total == total * 1000


def test_it_is_no_activity(run: Run) -> None:
    silent = {"id": "s", "idle": {"for": "10d"}, "points": -5}
    events = {"id": "e", "when": {"event": "any", "count": {"gte": 2}}, "points": 50}
    found = run({"rules": [silent, events]}, events=[(0, "a.done"), judged(8, 1)], at=10)
    assert found.total == -5000 + 1000


@pytest.mark.parametrize(
    ("at", "expected"), [(0, 1), (1, 3), (3, None)], ids=["until it begins", "until it expires", "then never"]
)
def test_next_change(run: Run, at: float, expected: float | None) -> None:
    found = run(model(), traits={"x": 1}, events=[judged(1, expires_at="2026-03-04")], at=at)
    assert found.next_change == (None if expected is None else DAY_0 + timedelta(days=expected))
