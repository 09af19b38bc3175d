"""`count` and `fades`: which events award, and until when."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from assay.scoring.engine import Explanation

Run = Callable[..., Explanation]
DAY_0 = datetime.fromisoformat("2026-03-01T00:00:00+00:00")
TICK = 1 / 86_400_000_000


def rule(**words: Any) -> dict[str, Any]:
    return {"rules": [{"id": "r", "on": "a.done", **({"points": 10} if "points" not in words else {}), **words}]}


def done(*days: float, **properties: Any) -> list[tuple[Any, ...]]:
    return [(day, "a.done", properties) for day in days]


class TestCount:
    @pytest.mark.parametrize(
        ("count", "times", "expected"),
        [
            pytest.param("each", 3, 30, id="each"),
            pytest.param("once", 3, 10, id="once"),
            pytest.param("once_while_active", 3, 10, id="once_while_active without fading is once"),
            pytest.param({"first": 2}, 1, 10, id="first 2 of 1"),
            pytest.param({"first": 2}, 5, 20, id="first 2 of 5"),
            pytest.param({"from": 3}, 2, 0, id="from 3 of 2"),
            pytest.param({"from": 3}, 4, 20, id="from 3 of 4"),
        ],
    )
    def test_times(self, run: Run, count: Any, times: int, expected: int) -> None:
        assert run(rule(count=count), events=done(*range(times)), at=20).raw == expected * 1000

    @pytest.mark.parametrize(("times", "expected"), [(0, 0), (1, 1), (3, 5)])
    def test_first_points_then(self, run: Run, times: int, expected: int) -> None:
        model = {"rules": [{"id": "r", "on": "a.done", "count": {"first_points": 1, "then": 2}}]}
        assert run(model, events=done(*range(times)), at=20).raw == expected * 1000

    def test_once_per_value(self, run: Run) -> None:
        events = [*done(0, 1, offer="A"), *done(2, offer="B"), *done(3), *done(4, offer="a"), *done(5, offer=7)]
        found = run(rule(count={"once_per": "offer"}), events=events, at=20)
        assert [part.counted for part in found.parts] == [True, False, True, False, True, True]
        assert [part.why.split("; ")[-1] for part in found.parts if not part.counted] == [
            "counted once already for this offer",
            "the event has no offer",
        ]

    def test_where_decides_before_counting(self, run: Run) -> None:
        model = rule(count="once", where={"property": "path", "starts_with": "/pricing"})
        events = [
            (0, "a.done", {"path": "/"}),
            (1, "a.done", {"path": "/pricing"}),
            (2, "a.done", {"path": "/pricing/eu"}),
        ]
        found = run(model, events=events, at=20)
        assert [(part.events, part.counted) for part in found.parts] == [(("e1",), True), (("e2",), False)]

    def test_several_types_are_counted_together(self, run: Run) -> None:
        model = {"rules": [{"id": "r", "on": ["a.done", "b.done"], "points": 1, "count": {"first": 2}}]}
        events = [(0, "a.done"), (1, "b.done"), (2, "a.done"), (3, "c.done")]
        assert run(model, events=events, at=20).raw == 2000

    def test_the_same_instant_is_ordered_by_event_id(self, run: Run) -> None:
        found = run(rule(count="once"), events=done(1, 1, 1), at=20)
        assert [part.events for part in found.parts if part.counted] == [("e0",)]

    def test_once_is_not_again_after_it_faded(self, run: Run) -> None:
        model = rule(count="once", fades={"after": "60d"})
        assert run(model, events=done(0, 65), at=66).raw == 0

    def test_once_per_is_not_again_after_it_faded(self, run: Run) -> None:
        model = rule(count={"once_per": "offer"}, fades={"after": "60d"})
        assert run(model, events=done(0, 65, offer="A"), at=66).raw == 0


class TestOnceWhileActive:
    model = rule(count="once_while_active", fades={"after": "10d"})

    @pytest.mark.parametrize(
        ("days", "counted"),
        [
            pytest.param((0, 9, 10, 11), [0, 10], id="again at the instant it faded"),
            pytest.param((0, 10 - TICK, 15), [0, 15], id="not a tick before"),
            pytest.param((0, 1, 2, 11, 12, 21, 40), [0, 11, 21, 40], id="each from the award before, not the event"),
            pytest.param(tuple(range(100)), list(range(0, 100, 10)), id="a long chain"),
            pytest.param((3, 3, 13, 13), [3, 13], id="pairs at one instant"),
        ],
    )
    def test_chain(self, run: Run, days: tuple[float, ...], counted: list[float]) -> None:
        found = run(self.model, events=done(*days), at=200)
        earned = [part for part in found.parts if "not faded" not in part.why]
        assert [part.at for part in earned] == [DAY_0 + timedelta(days=day) for day in counted]

    def test_only_the_active_one_counts(self, run: Run) -> None:
        assert run(self.model, events=done(0, 5, 10), at=12).raw == 10_000


class TestFades:
    model = rule(fades={"after": "60d"})

    @pytest.mark.parametrize(
        ("day", "points"),
        [
            pytest.param(0, 10, id="the instant itself"),
            pytest.param(60 - TICK, 10, id="a tick before"),
            pytest.param(60, 0, id="gone at its age"),
            pytest.param(-TICK, 0, id="a tick before it happens"),
        ],
    )
    def test_edges(self, run: Run, day: float, points: int) -> None:
        assert run(self.model, events=done(0), at=day).raw == points * 1000

    def test_each_award_fades_by_itself(self, run: Run) -> None:
        totals = [run(self.model, events=done(0, 10), at=day).raw for day in (59, 60, 69, 70)]
        assert totals == [20_000, 10_000, 10_000, 0]

    def test_next_change_is_the_next_expiry(self, run: Run) -> None:
        assert run(self.model, events=done(0, 10), at=20).next_change == DAY_0 + timedelta(days=60)
        assert run(self.model, events=done(0, 10), at=60).next_change == DAY_0 + timedelta(days=70)
        assert run(self.model, events=done(0, 10), at=70).next_change is None

    def test_why_it_expired(self, run: Run) -> None:
        (part,) = run(self.model, events=done(0), at=70).parts
        assert part.why == "a.done on 2026-03-01 00:00 UTC; expired on 2026-04-30, 60 days after it was earned"
        assert (part.points, part.earned, part.counted) == (0, 10_000, False)

    def test_an_expiry_beyond_the_calendar_is_no_change(self, run: Run) -> None:
        far = (datetime.fromisoformat("9999-12-30T00:00:00+00:00") - DAY_0).days
        found = run(rule(fades={"after": "3650d"}), events=done(far), at=far)
        assert (found.raw, found.next_change) == (10_000, None)


class TestFuture:
    def test_an_event_counts_from_its_instant(self, run: Run) -> None:
        found = run(rule(), events=done(5), at=4)
        assert (found.raw, found.next_change) == (0, DAY_0 + timedelta(days=5))
        assert found.parts[0].why == "a.done on 2026-03-06 00:00 UTC; counts from 2026-03-06 00:00 UTC"
        assert run(rule(), events=done(5), at=5).raw == 10_000

    def test_a_left_out_future_event_changes_nothing(self, run: Run) -> None:
        assert run(rule(count="once"), events=done(0, 5), at=1).next_change is None


class TestManyRules:
    def test_each_keeps_its_own_awards(self, run: Run) -> None:
        days = range(40)
        model = {
            "rules": [
                *({"id": f"r{day}", "on": f"a.done{day}", "points": day} for day in days),
                *({"id": f"s{day}", "idle": {"for": f"{day + 1}d"}, "points": -day} for day in days),
            ]
        }
        found = run(model, events=[(0, f"a.done{day}") for day in days], at=100)
        assert {part.rule: part.points // 1000 for part in found.parts} == {
            **{f"r{day}": day for day in days},
            **{f"s{day}": -day for day in days},
        }
