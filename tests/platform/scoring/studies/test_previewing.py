"""Two versions on the same leads; what they differ in can be seen with the naked eye."""

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from assay.scoring.engine import compile_model, score
from assay.scoring.language import Model, load
from assay.scoring.studies.previewing import Neighbour, conclude, examine

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
OWNER = {"id": "owner", "when": {"trait": "title", "in": ["CFO", "Owner"]}, "points": 20}
PRICING = {"id": "pricing", "on": "page.viewed", "points": 15, "count": "once"}
IS_CFO = {"trait": "title", "is": "CFO"}
STAGES = [{"name": "Lead", "from": 15}, {"name": "MQL", "from": 30}]
NOBODY_ELSE = pl.DataFrame(schema={"lead_id": pl.Int64, "model_id": pl.Int64})

# Lead 1 is an owner who viewed a page, 2 an owner, 3 a clerk who viewed a page, 4 a clerk.
TITLES = {1: "Owner", 2: "CFO", 3: "Clerk", 4: "Clerk"}
VIEWED = (1, 3)


def model(*rules: dict[str, Any], **words: Any) -> Model:
    return load({"model": "sample", "rules": list(rules), "stages": STAGES, **words})


def facts() -> tuple[pl.DataFrame, pl.DataFrame]:
    instant = pl.Datetime("us", "UTC")
    leads = pl.DataFrame(
        {"lead_id": list(TITLES), "first_seen_at": [AT - timedelta(days=1)] * 4, "trait:title": list(TITLES.values())},
        schema_overrides={"first_seen_at": instant},
    )
    events = pl.DataFrame(
        {"lead_id": list(VIEWED), "type": ["page.viewed"] * 2, "occurred_at": [AT - timedelta(hours=1)] * 2},
        schema_overrides={"occurred_at": instant},
    )
    return leads, events


def previewed(live: Model | None, draft: Model, others: pl.DataFrame = NOBODY_ELSE) -> dict[str, Any]:
    """In two ranges, which have to add up."""
    leads, events = facts()
    old = None if live is None else compile_model(live)
    new = compile_model(draft)
    parts = [examine(new, old, some, events, AT, others=others) for some in (leads[:1], leads[1:])]
    return conclude([part.summary for part in parts], draft, live, [Neighbour(7, "other", "Other", 5)])


def stages(result: dict[str, Any]) -> dict[str, tuple[int, int, int, int]]:
    return {row["place"]: (row["before"], row["after"], row["enters"], row["leaves"]) for row in result["stages"]}


BEFORE = model(OWNER, PRICING)


class TestPreview:
    def test_the_same_model_changes_nobody(self) -> None:
        result = previewed(BEFORE, BEFORE)
        assert (result["leads"], result["changed"], result["moves"], result["rules"]) == (4, 0, [], [])
        assert stages(result) == {"stage:MQL": (1, 1, 0, 0), "stage:Lead": (2, 2, 0, 0), "none": (1, 1, 0, 0)}

    def test_without_a_live_version_everybody_enters(self) -> None:
        result = previewed(None, BEFORE)
        assert result["changed"] == 4
        assert stages(result)["stage:MQL"] == (0, 1, 1, 0)
        assert stages(result)["outside"] == (4, 0, 0, 4)
        assert {cause["cause"]: cause["leads"] for cause in result["causes"]} == {"audience": 4}

    def test_names_the_rule_that_moves_leads(self) -> None:
        result = previewed(BEFORE, model({**OWNER, "points": 30}, PRICING))
        assert result["changed"] == 2
        assert result["moves"] == [{"before": "stage:Lead", "after": "stage:MQL", "leads": 1}]
        assert result["causes"] == [{"cause": "rule:owner", "words": "title is CFO or Owner", "leads": 1}]
        (rule,) = result["rules"]
        assert (rule["rule"], rule["change"], rule["leads"], rule["up"], rule["down"]) == ("owner", "changed", 2, 2, 0)
        assert rule["points"] == 20_000
        assert [(mover["lead_id"], mover["moved"]) for mover in result["stage_movers"]] == [(2, 10_000)]

    def test_the_rule_that_goes_with_the_move_comes_first(self) -> None:
        draft = model({**OWNER, "points": 60}, {**PRICING, "points": -10})
        (mover,) = [mover for mover in previewed(BEFORE, draft)["movers"] if mover["lead_id"] == 1]
        assert [(rule["rule"], rule["points"]) for rule in mover["rules"]] == [("owner", 40_000), ("pricing", -25_000)]
        assert mover["moved"] == 15_000

    @pytest.mark.parametrize(
        ("words", "lead", "cause"),
        [
            pytest.param({"audience": {"trait": "title", "is": "Clerk"}}, 1, "audience", id="out of the audience"),
            pytest.param(
                {
                    "overrides": [
                        {"id": "no", "when": {"trait": "title", "is": "CFO"}, "disqualify": True, "reason": "r"}
                    ]
                },
                2,
                "override:no",
                id="disqualified",
            ),
            pytest.param(
                {"overrides": [{"id": "fix", "when": IS_CFO, "set": 0, "reason": "elsewhere"}]},
                2,
                "override:fix",
                id="overridden",
            ),
            pytest.param({"scale": {"max": 20}}, 1, "limits", id="cut off by the scale"),
            pytest.param({"stages": [{"name": "Lead", "from": 40}]}, 1, "stages", id="a stage begins elsewhere"),
        ],
    )
    def test_tells_what_else_moves_a_lead(self, words: dict[str, Any], lead: int, cause: str) -> None:
        leads, events = facts()
        changes = examine(
            compile_model(model(OWNER, PRICING, **words)), compile_model(BEFORE), leads, events, AT, others=NOBODY_ELSE
        ).changes
        assert dict(changes.select("lead_id", "cause").iter_rows())[lead] == cause

    def test_counts_disqualified_and_overridden(self) -> None:
        overrides = [
            {"id": "no", "when": {"trait": "title", "is": "CFO"}, "disqualify": True, "reason": "a student"},
            {"id": "fix", "when": {"trait": "title", "is": "Clerk"}, "set": 5, "reason": "fixed"},
        ]
        result = previewed(BEFORE, model(OWNER, PRICING, overrides=overrides))
        assert result["disqualified"] == {"before": 0, "after": 1, "newly": 1, "no_more": 0}
        assert result["overridden"] == {"before": 0, "after": 2, "newly": 2, "no_more": 0}
        assert stages(result)["disqualified"] == (0, 1, 1, 0)

    def test_rules_that_came_and_went_are_told_though_they_move_nobody(self) -> None:
        more = model(OWNER, PRICING, {"id": "unused", "on": "never.happens", "points": 1})
        for live, draft, change in ((BEFORE, more, "added"), (more, BEFORE, "removed")):
            rules = previewed(live, draft)["rules"]
            assert [(rule["rule"], rule["change"]) for rule in rules] == [("unused", change)]

    def test_counts_leads_shared_with_other_models(self) -> None:
        others = pl.DataFrame({"lead_id": [1, 2, 99], "model_id": [7, 7, 7]})
        (shared,) = previewed(BEFORE, BEFORE, others)["overlaps"]
        assert (shared["model"], shared["leads"], shared["precedence"]) == ("other", 2, 5)

    def test_totals_and_stages_are_those_of_the_engine(self) -> None:
        leads, events = facts()
        draft = compile_model(model({**OWNER, "points": 31}, PRICING))
        changes = examine(draft, None, leads, events, AT, others=NOBODY_ELSE).changes
        scored = score([draft], leads, events, AT, distinct=True)
        assert changes["after:total"].to_list() == scored["total"].to_list()
        assert [place.removeprefix("stage:") for place in changes["after:place"]] == [
            stage or "none" for stage in scored["stage"]
        ]

    def test_no_leads_at_all(self) -> None:
        result = conclude([], BEFORE, None)
        assert (result["leads"], result["totals"]["bins"], result["movers"]) == (0, [], [])
