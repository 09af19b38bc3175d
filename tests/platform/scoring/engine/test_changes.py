"""What would change a score: steps by itself, and sets of things that the engine itself confirms."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from assay.scoring.engine import compile_model
from assay.scoring.engine.changes import Outlook, Way, outlook
from assay.scoring.engine.supposing import Supposed
from assay.scoring.language import load

Frames = Callable[..., pl.DataFrame]
Look = Callable[..., Outlook]

DAY_0 = datetime(2026, 3, 1, tzinfo=UTC)
STAGES = [{"name": "Prospect", "from": 10}, {"name": "Lead", "from": 50}, {"name": "MQL", "above": 75}]


@pytest.fixture
def look(leads_frame: Frames, events_frame: Frames) -> Look:
    """Looks ahead of one lead; each way it finds is tried once more, and every smaller set with it."""

    def one(
        model: dict[str, Any],
        *,
        traits: dict[str, Any] | None = None,
        events: list[tuple[Any, ...]] = [],  # noqa: B006 # never changed
        at: float = 0,
    ) -> Outlook:
        compiled = compile_model(load({"model": "m", "stages": STAGES, **model}))
        lead = leads_frame([{"lead_id": "a", "first_seen_at": DAY_0, "traits": traits or {}}])
        happened = events_frame(
            [
                {
                    "lead_id": "a",
                    "event_id": f"e{place}",
                    "type": event[1],
                    "occurred_at": DAY_0 + timedelta(days=event[0]),
                    "properties": event[2] if len(event) > 2 else {},
                }
                for place, event in enumerate(events)
            ]
        )
        now = DAY_0 + timedelta(days=at)
        found = outlook(compiled, lead, happened, now)
        for way in found.ways:
            (row,) = Supposed(compiled, lead, happened).rows([now], [way.actions])
            assert (row["stage"], row["total"]) == (way.stage, way.total)
            assert way.stage != found.now.stage
        return found

    return one


def told(way: Way) -> list[tuple[str, int]]:
    return [(action.type or ",".join(action.traits), action.count) for action in way.actions]


FORM = {"id": "form", "on": "form.submitted", "points": 50, "count": "once"}
OFFER = {"id": "offer", "on": "offer.downloaded", "count": {"once_per": "offer_id"}, "points": 10}
VISIT = {"id": "visit", "on": "page.viewed", "points": 3}
BOOKING = {"id": "booking", "on": "meeting.booked", "milestone": 75}
TITLE = {"id": "title", "when": {"trait": "title", "in": ["CFO", "Owner"]}, "points": 20}


class TestWays:
    def test_few_things_before_many(self, look: Look) -> None:
        found = look({"rules": [FORM, OFFER, BOOKING]}, events=[(0, "offer.downloaded", {"offer_id": 1})] * 1)
        assert found.next_stage == "Lead"
        assert [told(way) for way in found.ways] == [
            [("form.submitted", 1)],
            [("meeting.booked", 1)],
            [("offer.downloaded", 4)],
        ]
        assert found.ways[0].total == 60_000

    def test_things_together(self, look: Look) -> None:
        rules = [TITLE, {**OFFER, "count": "once", "points": 30}, {**FORM, "points": 20}]
        found = look({"rules": rules}, traits={"title": "Clerk"})
        assert found.next_stage == "Prospect"
        assert [told(way) for way in found.ways] == [
            [("offer.downloaded", 1)],
            [("form.submitted", 1)],
            [("title", 1)],
        ]
        then = look({"rules": rules}, events=[(0, "form.submitted")])
        assert [told(way) for way in then.ways] == [[("offer.downloaded", 1)]]

    def test_no_set_holds_a_smaller_one(self, look: Look) -> None:
        rules = [TITLE, FORM, VISIT, OFFER]
        found = look({"rules": rules}, events=[(0, "page.viewed")] * 10)
        keys = [{action.key: action.count for action in way.actions} for way in found.ways]
        for place, larger in enumerate(keys):
            for other in keys[:place] + keys[place + 1 :]:
                assert not all(larger.get(key, 0) >= count for key, count in other.items())
        assert len(found.ways) <= 5

    def test_how_often_one_thing_has_to_happen(self, look: Look) -> None:
        found = look({"rules": [VISIT]}, events=[(0, "page.viewed")] * 4)
        assert [told(way) for way in found.ways] == [[("page.viewed", 13)]]
        assert found.ways[0].total == 51_000

    @pytest.mark.parametrize(
        "where",
        [
            pytest.param({"property": "p", "is": "x"}, id="is"),
            pytest.param({"property": "p", "in": [7, 8]}, id="in"),
            pytest.param({"property": "p", "is_not": "x"}, id="is not"),
            pytest.param({"property": "p", "contains": "x"}, id="contains"),
            pytest.param(
                {"all": [{"property": "p", "starts_with": "/a"}, {"property": "p", "ends_with": "z"}]}, id="ends"
            ),
            pytest.param({"all": [{"property": "n", "gt": 5}, {"property": "n", "lte": 6.5}]}, id="bounds"),
            pytest.param({"property": "n", "lt": -3}, id="below"),
            pytest.param({"property": "n", "between": [2, 4]}, id="between"),
            pytest.param({"property": "p", "exists": True}, id="known"),
            pytest.param({"property": "p", "exists": False}, id="not known"),
            pytest.param({"property": "d", "within": "3d"}, id="within"),
            pytest.param({"property": "d", "older_than": "3d"}, id="older"),
            pytest.param({"property": "e", "is_valid_email": True}, id="an address"),
            pytest.param({"property": "e", "is_free_email": False}, id="a company's address"),
            pytest.param({"property": "e", "looks_fake": False}, id="a name"),
            pytest.param({"not": {"any": [{"property": "p", "is": "x"}, {"property": "n", "gt": 3}]}}, id="not any"),
            pytest.param({"any": [{"property": "p", "matches": "^x"}, {"property": "p", "is": "y"}]}, id="or"),
        ],
    )
    def test_properties_are_made_up(self, look: Look, where: dict[str, Any]) -> None:
        found = look({"rules": [{"id": "r", "on": "a.done", "where": where, "points": 10}]})
        assert [told(way) for way in found.ways] == [[("a.done", 1)]]

    def test_what_cannot_be_made_up_is_said(self, look: Look) -> None:
        rule = {"id": "r", "on": "a.done", "where": {"property": "p", "matches": "^[a-z]{3}$"}, "points": 10}
        found = look({"rules": [rule]})
        assert (found.ways, [hint.code for hint in found.hints]) == ((), ["missing", "cannot_make_up", "none_found"])

    def test_a_count_of_events_that_is_not_full(self, look: Look) -> None:
        rule = {
            "id": "series",
            "when": {"event": "email.opened", "distinct": "mail_id", "within": "30d", "count": {"gte": 4}},
            "points": 10,
        }
        found = look({"rules": [rule]}, events=[(0, "email.opened", {"mail_id": n}) for n in range(2)], at=1)
        assert [told(way) for way in found.ways] == [[("email.opened", 2)]]

    def test_a_silence_that_ends(self, look: Look) -> None:
        rules = [{**TITLE}, {"id": "silent", "idle": {"for": "30d", "of": "page.viewed"}, "points": -15}]
        found = look({"rules": rules}, traits={"title": "CFO"}, at=40)
        assert [told(way) for way in found.ways] == [[("page.viewed", 1)]]

    @pytest.mark.parametrize(
        ("model", "traits", "hint"),
        [
            pytest.param({"stages": []}, {}, "no_stages", id="no stages"),
            pytest.param({}, {"title": "Owner", "n": 1}, "at_top", id="at the top"),
            pytest.param({"audience": {"trait": "n", "is": 2}}, {}, "outside", id="outside the audience"),
            pytest.param(
                {"overrides": [{"id": "o", "when": {"trait": "n", "exists": False}, "set": 1, "reason": "new"}]},
                {},
                "overridden",
                id="overridden",
            ),
            pytest.param(
                {
                    "overrides": [
                        {"id": "o", "when": {"trait": "n", "exists": False}, "disqualify": True, "reason": "new"}
                    ]
                },
                {},
                "disqualified",
                id="disqualified",
            ),
        ],
    )
    def test_nothing_to_reach(self, look: Look, model: dict[str, Any], traits: dict[str, Any], hint: str) -> None:
        rules = [{**TITLE, "points": 50}, {"id": "n", "when": {"trait": "n", "is": 1}, "points": 50}]
        found = look({"rules": rules, **model}, traits=traits)
        assert (found.next_stage, found.ways, found.hints[-1].code) == (None, (), hint)


class TestSteps:
    def test_what_changes_by_itself(self, look: Look) -> None:
        rules = [{**FORM, "fades": {"after": "60d"}}, {"id": "silent", "idle": {"for": "30d"}, "points": -15}]
        found = look({"rules": rules}, events=[(0, "form.submitted")], at=1)
        assert [
            ((step.at - DAY_0).days, step.before.total, step.after.total, step.after.stage) for step in found.steps
        ] == [(30, 50_000, 35_000, "Prospect"), (60, 35_000, -15_000, None)]
        assert [(turn.rule, turn.points) for turn in found.steps[0].turns] == [("silent", -15_000)]
        assert [(turn.rule, turn.points) for turn in found.steps[1].turns] == [("form", -50_000)]

    def test_nothing_changes(self, look: Look) -> None:
        assert look({"rules": [FORM]}, events=[(0, "form.submitted")], at=1).steps == ()

    def test_beyond_three_months_nothing_is_told(self, look: Look) -> None:
        assert look({"rules": [{**FORM, "fades": {"after": "100d"}}]}, events=[(0, "form.submitted")], at=1).steps == ()

    def test_fading_away_from_a_stage(self, look: Look) -> None:
        rules = [{**FORM, "points": 60, "fades": {"linear": "60d"}}]
        found = look({"rules": rules}, events=[(0, "form.submitted")], at=1)
        assert [((step.at - DAY_0).days, step.before.stage, step.after.stage) for step in found.steps][:2] == [
            (10, "Lead", "Prospect"),
            (50, "Prospect", None),
        ]

    def test_fading_without_reaching_a_threshold(self, look: Look) -> None:
        rules = [{**FORM, "points": 9, "fades": {"half_life": "30d"}}]
        found = look({"rules": rules}, events=[(0, "form.submitted")])
        assert found.steps == ()
        assert found.hints[0].code == "fades_on"


class TestLargeModels:
    def test_nothing_is_looked_for_where_it_would_take_too_long(self, look: Look) -> None:
        counts = [
            {"id": f"r{n}", "when": {"event": "a.done", "within": f"{n + 1}h", "count": {"gte": 2}}, "points": 1}
            for n in range(2_500)
        ]
        found = look({"rules": counts}, events=[(0, "a.done")], at=1)
        assert (found.steps, found.ways, found.next_stage) == ((), (), "Prospect")
        assert [(hint.code, hint.values.get("events")) for hint in found.hints] == [("too_much", 1), ("missing", None)]
        assert found.now.total == 0

    def test_what_was_not_tried_is_said(self, look: Look) -> None:
        rules = [{"id": f"r{n}", "on": f"type.no_{n}", "points": 0.001, "count": "once"} for n in range(60)]
        found = look({"rules": rules})
        assert (found.ways, [hint.code for hint in found.hints]) == ((), ["missing", "none_found", "not_tried"])

    def test_few_instants_of_a_model_that_fades(self, look: Look) -> None:
        rules = [{"id": f"r{n}", "on": "a.done", "points": 1, "fades": {"linear": f"{n + 9}d"}} for n in range(300)]
        found = look({"rules": rules}, events=[(0, "a.done")], at=1)
        assert "not_looked" in [hint.code for hint in found.hints]
