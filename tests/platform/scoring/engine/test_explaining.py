"""Receipts: every part with what it rests on and why it counts less or nothing, adding up exactly."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import polars as pl
import pytest

from assay.scoring.engine import Explanation, compile_model, explain
from assay.scoring.language import load

Frames = Callable[..., pl.DataFrame]
Run = Callable[..., Explanation]

DAY_0 = datetime(2026, 3, 1, tzinfo=UTC)


def whys(found: Explanation) -> list[str]:
    return [part.why for part in found.parts]


def points(found: Explanation) -> list[int]:
    return [part.points for part in found.parts]


VISIT = {"id": "visit", "on": "page.viewed", "points": 10}


class TestWhyNothing:
    @pytest.mark.parametrize(
        ("rule", "days", "at", "code"),
        [
            pytest.param({"count": "once"}, [0, 1], 2, "counted_once", id="once"),
            pytest.param({"count": {"once_per": "path"}}, [0, 1], 2, "counted_for_value", id="once per value"),
            pytest.param({"count": {"once_per": "nothing"}}, [0], 2, "without_value", id="without the value"),
            pytest.param({"count": {"first": 1}}, [0, 1], 2, "beyond_first", id="beyond the first"),
            pytest.param({"count": {"from": 2}}, [0], 2, "before_from", id="before it counts"),
            pytest.param(
                {"count": "once_while_active", "fades": {"after": "5d"}}, [0, 1], 2, "still_active", id="still active"
            ),
            pytest.param({"fades": {"after": "5d"}}, [0], 5, "expired", id="expired"),
            pytest.param({"fades": {"linear": "5d"}}, [0], 5, "faded_away", id="faded to nothing"),
            pytest.param({"fades": {"every": "5d", "by": "50%"}}, [0], 10, "faded_away", id="stepped down to nothing"),
            pytest.param({}, [3], 2, "future", id="in the future"),
            pytest.param({"max": 10}, [0, 1], 2, "over_rule", id="over the rule's cap"),
        ],
    )
    def test_events(self, run: Run, rule: dict[str, Any], days: list[int], at: int, code: str) -> None:
        found = run({"rules": [VISIT | rule]}, events=[(day, "page.viewed", {"path": "/"}) for day in days], at=at)
        last = found.parts[-1]
        assert (last.counted, last.points, [told.code for told in last.because]) == (False, 0, [code])
        assert last.what.code == "event"
        assert last.events == (f"e{len(days) - 1}",)

    def test_a_silence_that_is_not_long_enough_yet(self, run: Run) -> None:
        silence = {"id": "silent", "idle": {"for": "30d"}, "points": -15}
        (part,) = run({"rules": [silence]}, events=[(0, "a.done")], at=10).parts
        assert (part.counted, part.at) == (False, DAY_0 + timedelta(days=30))
        assert part.why == (
            "no activity for 30 days since 2026-03-01 00:00 UTC; counts from 2026-03-31 00:00 UTC, "
            "if nothing happens before"
        )

    def test_a_silence_that_is_known_to_end_is_not_told(self, run: Run) -> None:
        silence = {"id": "silent", "idle": {"for": "30d"}, "points": -15}
        assert run({"rules": [silence]}, events=[(0, "a.done"), (20, "a.done")], at=10).parts == ()

    def test_what_is_not_known(self, run: Run) -> None:
        rules = [
            {"id": "both", "when": {"all": [{"trait": "title", "is": "CFO"}, {"trait": "size", "gt": 5}]}, "points": 1},
            {"id": "plain", "when": {"trait": "title", "is": "Clerk"}, "points": 1},
        ]
        assert whys(run({"rules": rules}, traits={"title": "CFO"})) == [
            "title is CFO and size is above 5; not known: size"
        ]

    def test_a_rule_that_matched_first(self, run: Run) -> None:
        model = {
            "dimensions": {"fit": {"groups": {"size": {"first_match": True}}}},
            "rules": [
                {"id": name, "dimension": "fit", "group": "size", "when": {"trait": "n", "gt": edge}, "points": edge}
                for name, edge in (("large", 100), ("small", 10))
            ],
        }
        found = run(model, traits={"n": 500})
        assert points(found) == [100_000, 0]
        assert whys(found)[1] == "n is above 10; rule large matched first in group size"


class TestCounts:
    SERIES: ClassVar[dict[str, Any]] = {
        "id": "series",
        "when": {"event": "email.opened", "within": "30d", "count": {"gte": 4}},
        "points": 10,
    }

    def test_the_window_is_not_full(self, run: Run) -> None:
        (part,) = run({"rules": [self.SERIES]}, events=[(day, "email.opened") for day in range(3)], at=5).parts
        assert (part.points, part.why.rpartition("; ")[2]) == (0, "so far 3 of 4")
        assert (part.events, part.events_behind) == (("e0", "e1", "e2"), 3)

    def test_events_out_of_the_window_are_not_behind_it(self, run: Run) -> None:
        found = run({"rules": [self.SERIES]}, events=[(day, "email.opened") for day in (0, 40, 41, 42, 43)], at=45)
        assert (found.parts[0].points, found.parts[0].events) == (10_000, ("e1", "e2", "e3", "e4"))

    def test_of_very_many_events_the_newest_are_listed(self, run: Run) -> None:
        found = run({"rules": [self.SERIES]}, events=[(day / 10, "email.opened") for day in range(50)], at=5)
        assert (len(found.parts[0].events), found.parts[0].events_behind) == (20, 50)
        assert found.parts[0].events[-1] == "e49"


class TestMilestones:
    def model(self, **booking: Any) -> dict[str, Any]:
        return {
            "dimensions": {"interest": {}},
            "rules": [
                VISIT | {"dimension": "interest"},
                {"id": "booking", "dimension": "interest", "on": "meeting.booked", "milestone": 75} | booking,
                {"id": "attended", "dimension": "interest", "on": "meeting.attended", "milestone": 100},
            ],
        }

    @pytest.mark.parametrize(
        ("events", "expected", "told"),
        [
            pytest.param(["meeting.booked"], [75_000], "lifts interest from 0 to 75", id="alone"),
            pytest.param(
                ["page.viewed", "meeting.booked"],
                [10_000, 65_000],
                "lifts interest from 10 to 75",
                id="beside the rest",
            ),
            pytest.param(
                ["page.viewed"] * 8 + ["meeting.booked"],
                [10_000] * 8 + [0],
                "the rest gives 80 already, so a lift to 75 adds nothing",
                id="below the rest",
            ),
            pytest.param(
                ["meeting.booked", "meeting.attended"],
                [0, 100_000],
                "rule attended lifts higher, to 100",
                id="below another",
            ),
            pytest.param(["meeting.booked"] * 2, [0, 75_000], "counted once already", id="twice"),
        ],
    )
    def test_what_is_lifted(self, run: Run, events: list[str], expected: list[int], told: str) -> None:
        found = run(self.model(), events=[(0, kind) for kind in events])
        assert sorted(points(found)) == sorted(expected)
        assert any(why.endswith(told) for why in whys(found))

    def test_the_score_itself_is_lifted(self, run: Run) -> None:
        rules = [VISIT, {"id": "booking", "on": "meeting.booked", "milestone": 75}]
        found = run({"rules": rules}, events=[(0, "page.viewed"), (0, "meeting.booked")])
        assert (found.raw, points(found)) == (75_000, [10_000, 65_000])
        assert whys(found)[1].endswith("lifts the score from 10 to 75")


class TestFading:
    def test_what_is_left_is_told(self, run: Run) -> None:
        found = run({"rules": [VISIT | {"fades": {"linear": "10d"}}]}, events=[(0, "page.viewed")], at=5)
        assert (found.raw, found.parts[0].earned) == (5_000, 10_000)
        assert whys(found)[0].endswith("; faded from 10 to 5 points")


class TestShares:
    def test_parts_add_up_to_the_thousandth(self, run: Run) -> None:
        names = ["company", "contact", "behaviour"]
        rules = [
            {"id": f"{name}-{place}", "dimension": name, "when": {"trait": "t", "is": place % 2}, "share": 1}
            for name in names
            for place in range(5)
        ]
        model = {"dimensions": {name: {} for name in names}, "split": {"points": 100, "over": names}, "rules": rules}
        found = run(model, traits={"t": 0})
        assert found.raw == 60_000
        assert sum(points(found)) == 60_000
        assert {part.points for part in found.parts} == {6_666, 6_667}


class TestAdjustments:
    MODEL: ClassVar[dict[str, Any]] = {
        "rules": [VISIT],
        "scale": {"min": 5, "max": 25},
        "stages": [{"name": "Warm", "from": 1}],
        "overrides": [
            {"id": "area", "when": {"trait": "country", "is": "US"}, "set": 0, "reason": "outside the area"},
            {"id": "never", "when": {"trait": "student", "is": True}, "disqualify": True, "reason": "a student"},
        ],
    }

    @pytest.mark.parametrize(
        ("visits", "traits", "steps", "total"),
        [
            pytest.param(2, {}, [], 20_000, id="none"),
            pytest.param(3, {}, [("scale_max", -5_000, "the scale of this model ends at 25")], 25_000, id="the top"),
            pytest.param(0, {}, [("scale_min", 5_000, "the scale of this model begins at 5")], 5_000, id="the bottom"),
            pytest.param(
                3,
                {"country": "US"},
                [
                    ("scale_max", -5_000, "the scale of this model ends at 25"),
                    ("set", -25_000, "set to 0 by area: outside the area"),
                ],
                0,
                id="set",
            ),
            pytest.param(
                2,
                {"student": True},
                [("disqualified", 0, "disqualified by never: a student")],
                20_000,
                id="disqualified",
            ),
        ],
    )
    def test_from_the_sum_to_the_score(
        self, run: Run, visits: int, traits: dict[str, Any], steps: list[tuple[str, int, str]], total: int
    ) -> None:
        found = run(self.MODEL, traits=traits, events=[(0, "page.viewed")] * visits)
        assert [(step.kind, step.points, step.why) for step in found.adjustments] == steps
        assert found.total == total


class TestAudience:
    def test_whom_the_model_is_for(self, run: Run) -> None:
        model = {"rules": [VISIT], "audience": {"trait": "country", "is": "VN"}}
        found = run(model, traits={"country": "CH"}, events=[(0, "page.viewed")])
        assert (found.applies, found.total, found.raw, found.dimensions) == (False, None, None, {})
        assert whys(found) == ["this model is only for leads where country is VN"]


class TestJudgements:
    MODEL: ClassVar[dict[str, Any]] = {"rules": [VISIT], "judgements": {"max": 20}}

    def judged(self, day: float, **more: Any) -> tuple[float, str, dict[str, Any]]:
        return (day, "assay.judgement", {"judgement": "k", "points": 15, "by": "Ana", "reason": "budget"} | more)

    def test_who_and_why(self, run: Run) -> None:
        (part,) = run(self.MODEL, events=[self.judged(0)], at=1).parts
        assert (part.rule, part.points, part.why) == (
            "judgement",
            15_000,
            "judged by Ana on 2026-03-01 00:00 UTC: budget",
        )
        assert part.judged is not None
        assert (part.judged.key, part.judged.by, part.judged.reason) == ("k", "Ana", "budget")

    @pytest.mark.parametrize(
        ("events", "why"),
        [
            pytest.param([{"expires_at": "2026-03-03T00:00:00Z"}], "valid until 2026-03-03 00:00 UTC", id="expired"),
            pytest.param([{}, None], "withdrawn on 2026-03-02 00:00 UTC", id="withdrawn"),
        ],
    )
    def test_what_counts_no_more(self, run: Run, events: list[dict[str, Any] | None], why: str) -> None:
        happened = [
            self.judged(0, **each) if each is not None else (1, "assay.judgement_withdrawn", {"judgement": "k"})
            for each in events
        ]
        (part,) = run(self.MODEL, events=happened, at=5).parts
        assert (part.counted, part.why.rpartition("; ")[2]) == (False, why)

    def test_over_their_cap(self, run: Run) -> None:
        found = run(self.MODEL, events=[self.judged(0), self.judged(1, judgement="l")], at=2)
        assert points(found) == [15_000, 5_000]
        assert whys(found)[1].endswith("; 5 of 15 points, the rest is over the cap of 20 for judgements")


class TestOtherModels:
    BASE: ClassVar[dict[str, Any]] = {
        "model": "base",
        "audience": {"trait": "country", "is": "VN"},
        "dimensions": {"fit": {}},
        "rules": [{"id": "cfo", "dimension": "fit", "when": {"trait": "title", "is": "CFO"}, "points": 30}],
        "stages": [{"name": "Warm", "from": 10}],
    }

    @pytest.mark.parametrize(
        ("asked", "traits", "why"),
        [
            pytest.param({"stage": {"is": "Hot"}}, {"title": "CFO"}, "model base says Warm", id="stage"),
            pytest.param({"stage": {"is": "Hot"}}, {}, "model base sees no stage", id="no stage"),
            pytest.param({"score": {"gt": 30}}, {"title": "CFO"}, "model base gives 30 points", id="score"),
            pytest.param(
                {"dimension": "fit", "score": {"gt": 30}}, {}, "model base gives 0 points for fit", id="dimension"
            ),
            pytest.param({"disqualified": True}, {}, "model base does not disqualify this lead", id="not disqualified"),
            pytest.param(
                {"score": {"gt": 1}}, {"country": "CH"}, "model base does not score this lead", id="out of its audience"
            ),
        ],
    )
    def test_what_they_say(
        self, leads_frame: Frames, events_frame: Frames, asked: dict[str, Any], traits: dict[str, Any], why: str
    ) -> None:
        base = compile_model(load(self.BASE))
        rule = {"id": "follows", "when": {"model": "base", **asked}, "points": 5}
        model = compile_model(load({"model": "m", "rules": [rule]}), {"base": base})
        leads = leads_frame([{"lead_id": "a", "first_seen_at": None, "traits": {"country": "VN"} | traits}])
        (found,) = explain(model, leads, events_frame([]), DAY_0)
        assert whys(found)[0].rpartition("; ")[2] == why


def test_each_lead_at_its_own_instant(leads_frame: Frames, events_frame: Frames) -> None:
    model = compile_model(load({"model": "m", "rules": [VISIT | {"fades": {"after": "10d"}}]}))
    leads = leads_frame([{"lead_id": name, "first_seen_at": None} for name in ("a", "b")])
    instants = [DAY_0 + timedelta(days=day) for day in (9, 10)]
    happened = [{"lead_id": n, "event_id": "e", "type": "page.viewed", "occurred_at": DAY_0} for n in ("a", "b")]
    found = explain(model, leads.with_columns(pl.Series("at", instants)), events_frame(happened), None)
    assert [(each.at, each.total) for each in found] == [(instants[0], 10_000), (instants[1], 0)]
