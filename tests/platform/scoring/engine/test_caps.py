"""Rule, group, dimension, scale, stages and grades; and what the caps take from single parts."""

from collections.abc import Callable
from typing import Any, ClassVar

import pytest

from assay.scoring.engine import Explanation

Run = Callable[..., Explanation]


def on(rule_id: str, points: float, **words: Any) -> dict[str, Any]:
    return {"id": rule_id, "on": f"{rule_id}.done", "points": points, **words}


def has(rule_id: str, points: float, **words: Any) -> dict[str, Any]:
    return {"id": rule_id, "when": {"trait": rule_id, "is": True}, "points": points, **words}


def left(found: Explanation) -> list[tuple[str, int]]:
    return [(part.rule, part.points // 1000) for part in found.parts]


class TestRuleCaps:
    def test_the_latest_award_gives_way(self, run: Run) -> None:
        found = run({"rules": [on("a", 5, max=12)]}, events=[(2, "a.done"), (0, "a.done"), (1, "a.done")], at=9)
        assert [(part.events, part.points) for part in found.parts] == [
            (("e1",), 5000),
            (("e2",), 5000),
            (("e0",), 2000),
        ]
        assert (
            found.parts[2].why
            == "a.done on 2026-03-03 00:00 UTC; 2 of 5 points, the rest is over the cap of 12 for rule a"
        )

    def test_a_fully_capped_part_says_so(self, run: Run) -> None:
        found = run({"rules": [on("a", 5, max=5)]}, events=[(0, "a.done"), (1, "a.done")], at=9)
        assert (found.parts[1].points, found.parts[1].counted) == (0, False)
        assert found.parts[1].why.endswith("; over the cap of 5 for rule a")

    def test_losses_stop_at_min(self, run: Run) -> None:
        found = run({"rules": [on("a", -5, min=-7.5)]}, events=[(0, "a.done"), (1, "a.done"), (2, "a.done")], at=9)
        assert found.raw == -7500
        assert found.parts[1].why.endswith("; -2.5 of -5 points, the rest is below the floor of -7.5 for rule a")


class TestGroupsAndDimensions:
    model: ClassVar[dict[str, Any]] = {
        "dimensions": {"d": {"max": 10, "groups": {"g": {"max": 6}}}},
        "rules": [
            on("a", 4, dimension="d", group="g"),
            on("b", 4, dimension="d", group="g"),
            on("c", 7, dimension="d"),
        ],
    }

    def test_group_then_dimension(self, run: Run) -> None:
        found = run(self.model, events=[(0, "a.done"), (1, "b.done"), (2, "c.done")], at=9)
        assert left(found) == [("a", 4), ("b", 2), ("c", 4)]
        assert (found.dimensions, found.raw) == ({"d": 10_000}, 10_000)

    def test_the_latest_gives_way_in_the_dimension_too(self, run: Run) -> None:
        found = run(self.model, events=[(2, "a.done"), (1, "b.done"), (0, "c.done")], at=9)
        assert left(found) == [("a", 0), ("b", 3), ("c", 7)]
        assert found.parts[0].why.endswith("; over the cap of 10 for dimension d")
        assert "over the cap of 10 for dimension d" in found.parts[1].why

    def test_traits_are_the_earliest(self, run: Run) -> None:
        model = {"dimensions": {"d": {"max": 5}}, "rules": [on("a", 4, dimension="d"), has("b", 4, dimension="d")]}
        assert left(run(model, traits={"b": True}, events=[(0, "a.done")], at=9)) == [("a", 1), ("b", 4)]

    def test_traits_among_themselves_in_the_order_of_the_rules(self, run: Run) -> None:
        model = {"dimensions": {"d": {"max": 5}}, "rules": [has("a", 4, dimension="d"), has("b", 4, dimension="d")]}
        assert left(run(model, traits={"a": True, "b": True})) == [("a", 4), ("b", 1)]

    def test_a_loss_makes_room_under_a_cap(self, run: Run) -> None:
        model = {"dimensions": {"d": {"max": 5}}, "rules": [on("a", 6, dimension="d"), on("b", -2, dimension="d")]}
        assert left(run(model, events=[(0, "a.done"), (1, "b.done")], at=9)) == [("a", 6), ("b", -2)]

    def test_a_dimension_floor(self, run: Run) -> None:
        model = {"dimensions": {"d": {"min": 0}}, "rules": [on("a", 3, dimension="d"), on("b", -9, dimension="d")]}
        assert left(run(model, events=[(0, "a.done"), (1, "b.done")], at=9)) == [("a", 3), ("b", -3)]

    def test_a_rule_without_dimension_goes_straight_to_raw(self, run: Run) -> None:
        model = {"dimensions": {"d": {"max": 5}}, "rules": [has("a", 4, dimension="d"), has("b", 40)]}
        found = run(model, traits={"a": True, "b": True})
        assert (found.raw, found.dimensions) == (44_000, {"d": 4000})


class TestFirstMatch:
    model: ClassVar[dict[str, Any]] = {
        "dimensions": {"fit": {"groups": {"size": {"first_match": True}}}},
        "rules": [
            {
                "id": "large",
                "dimension": "fit",
                "group": "size",
                "when": {"trait": "staff", "gte": 1000},
                "points": 200,
            },
            {"id": "tiny", "dimension": "fit", "group": "size", "when": {"trait": "staff", "lt": 5}, "points": -40},
            {
                "id": "known",
                "dimension": "fit",
                "group": "size",
                "when": {"trait": "staff", "exists": True},
                "points": 30,
            },
        ],
    }

    @pytest.mark.parametrize(("staff", "points"), [(5000, 200), (1, -40), (50, 30), (None, 0)])
    def test_the_first_rule_alone(self, run: Run, staff: int | None, points: int) -> None:
        assert run(self.model, traits={"staff": staff}).raw == points * 1000

    def test_the_others_say_which_came_first(self, run: Run) -> None:
        found = run(self.model, traits={"staff": 5000})
        assert left(found) == [("large", 200), ("known", 0)]
        assert found.parts[1].why == "staff is known; rule large matched first in group size"

    def test_a_rule_whose_awards_expired_leaves_its_place(self, run: Run) -> None:
        model = {
            "dimensions": {"d": {"groups": {"g": {"first_match": True}}}},
            "rules": [
                on("a", 9, dimension="d", group="g", fades={"after": "10d"}),
                on("b", 5, dimension="d", group="g"),
            ],
        }
        events = [(0, "a.done"), (0, "b.done")]
        assert [run(model, events=events, at=day).raw for day in (9, 10)] == [9000, 5000]

    @pytest.mark.parametrize(
        ("stopper", "facts"),
        [
            pytest.param(has("a", 0), {"traits": {"a": True, "b": True}}, id="trait"),
            pytest.param(on("a", 0), {"traits": {"b": True}, "events": [(0, "a.done")]}, id="event"),
            pytest.param(on("a", 7, max=0), {"traits": {"b": True}, "events": [(0, "a.done")]}, id="capped to nothing"),
        ],
    )
    def test_a_match_for_nothing_stops_the_others(self, run: Run, stopper: dict[str, Any], facts: Any) -> None:
        place = {"dimension": "d", "group": "g"}
        model = {
            "dimensions": {"d": {"groups": {"g": {"first_match": True}}}},
            "rules": [stopper | place, has("b", 5, **place)],
        }
        found = run(model, **facts)
        assert found.raw == 0
        assert found.parts[1].why == "b is true; rule a matched first in group g"


class TestScale:
    @pytest.mark.parametrize(("points", "total"), [(130, 100), (-40, 0), (70.25, 70.25)])
    def test_shown_and_raw(self, run: Run, points: float, total: float) -> None:
        found = run({"rules": [has("a", points)], "scale": {"min": 0, "max": 100}}, traits={"a": True})
        assert (found.total, found.raw) == (total * 1000, points * 1000)


class TestStages:
    @pytest.mark.parametrize(
        ("points", "stage"),
        [(9, None), (10, "Prospect"), (49.999, "Prospect"), (50, "Lead"), (70, "Lead"), (70.01, "Hot")],
    )
    def test_edges(self, run: Run, points: float, stage: str | None) -> None:
        stages = [{"name": "Prospect", "from": 10}, {"name": "Lead", "from": 50}, {"name": "Hot", "above": 70}]
        assert run({"rules": [has("a", points)], "stages": stages}, traits={"a": True}).stage == stage

    def test_a_stage_may_begin_below_zero(self, run: Run) -> None:
        stages = [{"name": "cold", "from": -1000}, {"name": "warm", "from": 30}]
        assert run({"rules": [has("a", 5)], "stages": stages}).stage == "cold"

    @pytest.mark.parametrize("edge", [{"above": 100}, {"from": 101}])
    def test_stages_read_the_shown_total(self, run: Run, edge: dict[str, int]) -> None:
        model = {"rules": [has("a", 130)], "scale": {"max": 100}, "stages": [{"name": "beyond", **edge}]}
        assert run(model, traits={"a": True}).stage is None


class TestGrades:
    @pytest.mark.parametrize(
        ("fit", "interest", "grade"),
        [(40, 45, "A1"), (39.999, 44, "B2"), (10, 15, "C3"), (0, 0, "D4"), (-1, 45, None)],
    )
    def test_grid(self, run: Run, fit: float, interest: float, grade: str | None) -> None:
        model = {
            "dimensions": {"interest": {}, "fit": {}},
            "rules": [has("a", fit, dimension="fit"), has("b", interest, dimension="interest")],
            "grades": {
                "interest": {"1": 45, "2": 30, "3": 15, "4": 0},
                "fit": {"A": 40, "B": 25, "C": 10, "D": 0},
            },
        }
        assert run(model, traits={"a": True, "b": True}).grade == grade


def test_points_are_exact_thousandths(run: Run) -> None:
    found = run(
        {"rules": [on("a", 0.1), on("b", 66.667)]}, events=[(day, "a.done") for day in range(3)] + [(0, "b.done")], at=9
    )
    assert found.raw == 66_967


def test_no_leads_and_no_events(run: Run) -> None:
    assert run({"rules": [on("a", 1)]}).parts == ()


class TestShares:
    """Equal blocks, equal shares within them; what is shown adds up whatever was rounded."""

    company: ClassVar[list[str]] = ["size", "place", "industry"]
    behaviour: ClassVar[list[str]] = ["documents", "demo", "needs", "questions", "quote"]
    model: ClassVar[dict[str, Any]] = {
        "dimensions": {"company": {}, "contact": {}, "behaviour": {}},
        "split": {"points": 100, "over": ["company", "contact", "behaviour"]},
        "rules": [
            *({"id": n, "dimension": "company", "when": {"trait": n, "is": 1}, "share": 1} for n in company),
            {"id": "position", "dimension": "contact", "when": {"trait": "position", "is": 1}, "share": 2},
            *({"id": n, "dimension": "behaviour", "on": f"asked.{n}", "count": "once", "share": 1} for n in behaviour),
            {
                "id": "missed",
                "dimension": "behaviour",
                "when": {"event": "call.missed", "count": {"gte": 3}},
                "share": -1,
            },
            has("breaker", -100),
        ],
        "scale": {"min": 0},
        "stages": [{"name": "cold", "from": 0}, {"name": "warm", "from": 30}, {"name": "hot", "above": 70}],
    }
    everything: ClassVar[dict[str, int]] = dict.fromkeys([*company, "position"], 1)

    @pytest.mark.parametrize(
        ("traits", "asked", "missed", "total", "stage"),
        [
            pytest.param(everything, 5, 0, 100_000, "hot", id="all"),
            pytest.param(everything, 0, 0, 66_667, "warm", id="attributes alone are not hot"),
            pytest.param({}, 0, 0, 0, "cold", id="nothing"),
            pytest.param(everything, 1, 0, 73_333, "hot", id="and asks for a quote"),
            pytest.param(everything | {"breaker": True}, 5, 0, 0, "cold", id="a deal-breaker"),
            pytest.param({"size": 1}, 0, 0, 11_111, "cold", id="one share"),
            pytest.param(everything, 0, 2, 66_667, "warm", id="missed twice"),
            pytest.param(everything, 0, 3, 60_000, "warm", id="missed three times"),
            pytest.param(everything, 0, 4, 60_000, "warm", id="once"),
        ],
    )
    def test_equal_blocks(
        self, run: Run, traits: dict[str, Any], asked: int, missed: int, total: int, stage: str
    ) -> None:
        events = [(0, f"asked.{name}") for name in self.behaviour[:asked]] + [(0, "call.missed")] * missed
        found = run(self.model, traits=traits, events=events)
        assert (found.total, found.stage) == (total, stage)

    def test_dimensions_add_up_to_the_thousandth(self, run: Run) -> None:
        found = run(self.model, traits=self.everything, events=[(0, "asked.quote")])
        assert found.dimensions == {"company": 33_333, "contact": 33_334, "behaviour": 6666}
        assert sum(found.dimensions.values()) == found.raw == 73_333
