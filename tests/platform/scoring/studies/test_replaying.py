from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from assay.scoring.language import Model, load
from assay.scoring.studies.replaying import INSTANT, Outcomes, conclude, instants_of, look_back

T0 = datetime(2026, 3, 1, tzinfo=UTC)
WEEK = timedelta(days=7)
INSTANTS = [T0 + number * WEEK for number in range(4)]
NO_ENDINGS = pl.DataFrame(schema={"lead_id": pl.Int64, "outcome": pl.String, "ended_at": INSTANT})
OUT, NONE, LEAD, MQL = "outside", "none", "stage:Lead", "stage:MQL"


def model() -> Model:
    stages = [{"name": "Lead", "from": 10}, {"name": "MQL", "from": 30}]
    return load({"model": "sample", "rules": [{"id": "a", "on": "a.b", "points": 1}], "stages": stages})


def stood(**leads: list[tuple[str, str]]) -> pl.DataFrame:
    """By lead: (draft, live) at each instant from the first on."""
    rows = [
        (instant, int(name.removeprefix("lead")), draft, live, OUT)
        for name, places in leads.items()
        for instant, (draft, live) in enumerate(places)
    ]
    schema = {"instant": pl.Int64, "lead_id": pl.Int64, "draft": pl.String, "live": pl.String, "recorded": pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row")


def replayed(
    *parts: pl.DataFrame, endings: pl.DataFrame = NO_ENDINGS, outcomes: Outcomes | None = None
) -> dict[str, Any]:
    outcomes = outcomes or Outcomes()
    summaries = [look_back(part, endings, INSTANTS, model(), model(), outcomes) for part in parts]
    return conclude(summaries, INSTANTS, model(), model(), outcomes)


class TestInstants:
    @pytest.mark.parametrize(
        ("days", "every", "found"),
        [
            pytest.param(14, 7, [0, 7, 14], id="even"),
            pytest.param(10, 7, [0, 7, 10], id="the end is always looked at"),
            pytest.param(3, 7, [0, 3], id="one step is longer than it all"),
        ],
    )
    def test_even_steps_and_the_end(self, days: int, every: int, found: list[int]) -> None:
        instants = instants_of(T0, T0 + timedelta(days=days), timedelta(days=every))
        assert instants == [T0 + timedelta(days=day) for day in found]


class TestReplay:
    def test_counts_who_stood_where_and_who_entered(self) -> None:
        result = replayed(
            stood(lead1=[(NONE, NONE), (LEAD, NONE), (LEAD, LEAD), (MQL, LEAD)]),
            stood(lead2=[(LEAD, LEAD), (LEAD, LEAD), (NONE, LEAD), (LEAD, LEAD)]),
        )
        draft = [instant["draft"] for instant in result["instants"]]
        assert [each["stood"] for each in draft] == [
            {NONE: 1, LEAD: 1},
            {LEAD: 2},
            {LEAD: 1, NONE: 1},
            {MQL: 1, LEAD: 1},
        ]
        assert [each["entered"] for each in draft] == [{}, {LEAD: 1}, {NONE: 1}, {MQL: 1, LEAD: 1}]
        assert result["places"] == [MQL, LEAD, NONE, OUT]

    def test_a_lead_that_is_new_enters_where_it_stands(self) -> None:
        late = stood(lead1=[(LEAD, LEAD)] * 4).filter(pl.col("instant") >= 2)
        assert [each["draft"]["entered"] for each in replayed(late)["instants"]] == [{}, {}, {LEAD: 1}, {}]

    def test_tells_who_was_called_earlier_and_by_how_long(self) -> None:
        result = replayed(
            stood(
                lead1=[(LEAD, NONE), (LEAD, NONE), (LEAD, LEAD), (LEAD, LEAD)],
                lead2=[(NONE, LEAD), (LEAD, LEAD), (LEAD, LEAD), (LEAD, LEAD)],
                lead3=[(NONE, NONE), (NONE, NONE), (NONE, NONE), (LEAD, NONE)],
            ),
            stood(
                lead4=[(MQL, LEAD), (MQL, LEAD), (MQL, LEAD), (MQL, LEAD)],
                lead5=[(NONE, NONE), (NONE, LEAD), (NONE, NONE), (NONE, NONE)],
            ),
        )
        mql, lead = result["called"]
        assert (lead["stage"], lead["earlier"], lead["earlier_by"], lead["later"], lead["later_by"]) == (
            "Lead",
            1,
            14,
            1,
            7,
        )
        # To stand at MQL is to stand at Lead or above.
        assert (lead["same"], lead["only_draft"], lead["only_live"]) == (1, 1, 1)
        assert [(each["lead_id"], each["days"]) for each in lead["leads"]] == [(1, 14), (2, -7)]
        assert (mql["stage"], mql["only_draft"], mql["earlier"]) == ("MQL", 1, 0)

    def test_tells_where_the_won_stood_before(self) -> None:
        endings = pl.DataFrame(
            {
                "lead_id": [1, 2, 3],
                "outcome": ["won", "won", "won"],
                "ended_at": [T0 + 2 * WEEK, T0 + 2 * WEEK, T0 + timedelta(days=1)],
            },
            schema_overrides={"ended_at": INSTANT},
        )
        places = stood(
            lead1=[(NONE, NONE), (LEAD, NONE), (MQL, MQL), (MQL, MQL)],
            lead2=[(NONE, NONE), (NONE, LEAD), (MQL, MQL), (MQL, MQL)],
            lead3=[(MQL, MQL)] * 4,
        )
        chosen = Outcomes(won="deal.won", before=timedelta(days=5))
        (won,) = replayed(places, endings=endings, outcomes=chosen)["outcomes"]
        assert (won["leads"], won["not_known"]) == (3, 1)
        assert won["stood"] == [
            {"place": LEAD, "draft": 1, "live": 1},
            {"place": NONE, "draft": 1, "live": 1},
        ]

    def test_without_a_live_version_there_is_nothing_to_compare(self) -> None:
        part = stood(lead1=[(LEAD, OUT)] * 4)
        summary = look_back(part, NO_ENDINGS, INSTANTS, model(), None, Outcomes())
        result = conclude([summary], INSTANTS, model(), None, Outcomes())
        assert result["called"] == []
        assert "live" not in result["instants"][0]
