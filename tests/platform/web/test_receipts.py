from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from assay.scoring.engine import Adjustment, Explanation, Part
from assay.scoring.engine.reasons import reason
from assay.scoring.engine.receipts import Judged
from assay.web.receipts import MOST_AWARDS, receipt_of

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def part(rule: str, points: int, *, event: str | None = None, counted: bool = True, title: str | None = None) -> Part:
    events = (event,) if event else ()
    what = reason("event", type="page.viewed", at=NOW)
    return Part(rule, title, "interest", None, points, points, counted, what, (), NOW, events, len(events))


def explanation(*parts: Part, **changed: Any) -> Explanation:
    raw = sum(each.points for each in parts)
    plain = Explanation(
        model="smb",
        content_hash="hash",
        lead_id=1,
        at=NOW,
        applies=True,
        total=raw,
        raw=raw,
        dimensions={"interest": raw},
        stage=None,
        grade=None,
        override=None,
        disqualified=None,
        next_change=None,
        parts=parts,
        adjustments=(),
    )
    return replace(plain, **changed)


def test_a_line_holds_all_that_a_rule_gave() -> None:
    shown = receipt_of(
        explanation(
            part("owner", 20_000, title="Owner or CFO"),
            part("visits", 3_000, event="a"),
            part("visits", 3_000, event="b"),
            part("visits", 0, event="c", counted=False),
        ),
        {},
    )
    assert [(line.title, line.points, line.count) for line in shown.counted] == [
        ("Owner or CFO", 20_000, 1),
        ("visits", 6_000, 2),
    ]
    assert [(line.title, line.count) for line in shown.uncounted] == [("visits", 1)]
    assert shown.counted[-1].fall is not None
    assert shown.counted[-1].fall.running == shown.raw == shown.waterfall.total
    assert shown.counting_events == {"a", "b"}
    assert shown.events == {"a", "b", "c"}


def test_thousands_of_awards_are_summed_and_the_newest_told() -> None:
    visits = [part("visits", 1, event=f"e{number}") for number in range(10_000)]
    (line,) = receipt_of(explanation(*visits), {}).counted
    assert (line.points, line.count, line.untold) == (10_000, 10_000, 10_000 - MOST_AWARDS)
    assert line.awards[0].events == ("e9999",)


def test_what_leads_from_the_sum_to_the_score_is_kept() -> None:
    end = Adjustment("scale_max", None, -40_000, reason("scale_max", total=100_000))
    shown = receipt_of(explanation(part("rule", 140_000), total=100_000, adjustments=(end,)), {})
    assert [(step.points, step.why) for step in shown.adjustments] == [(-40_000, "the scale of this model ends at 100")]


def test_a_lead_outside_the_audience_has_no_score() -> None:
    outside = part("audience", 0, counted=False)
    shown = receipt_of(explanation(outside, applies=False, total=None, raw=None, dimensions={}), {})
    assert (shown.total, shown.counted, len(shown.uncounted)) == (None, [], 1)


@pytest.mark.parametrize(
    ("document", "cap", "fill"),
    [
        pytest.param({"dimensions": {"interest": {"max": 62.5}}}, 62_500, 64, id="capped"),
        pytest.param({"dimensions": {"interest": None}}, None, 100, id="without a cap"),
        pytest.param({}, None, 100, id="not described"),
    ],
)
def test_a_dimension_is_measured_against_its_cap(document: dict[str, Any], cap: int | None, fill: int) -> None:
    (dimension,) = receipt_of(explanation(part("rule", 40_000)), document).dimensions
    assert (dimension.points, dimension.max, dimension.fill) == (40_000, cap, fill)


def test_points_by_people_are_called_so() -> None:
    """There is no rule of the model whose title or id could stand there."""
    given = replace(part("judgement", 15_000, event="a"), judged=Judged("k", "Petra", "met him"))
    assert [line.title for line in receipt_of(explanation(given), {}).counted] == ["Judgement"]
