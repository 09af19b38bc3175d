"""`overrides` and `audience`: what is shown in place of the score, and whom a model scores at all."""

from collections.abc import Callable
from typing import Any, ClassVar

import pytest

from assay.scoring.engine import Explanation

Run = Callable[..., Explanation]
AREA = {"id": "area", "when": {"trait": "country", "not_in": ["VN", "CH"]}, "set": 0, "reason": "outside the area"}


def scored(points: float = 75, **words: Any) -> dict[str, Any]:
    return {
        "rules": [{"id": "r", "when": {"trait": "x", "is": 1}, "points": points}],
        "scale": {"min": 10, "max": 100},
        "stages": [{"name": "cold", "from": 0}, {"name": "hot", "from": 50}],
        **words,
    }


class TestSet:
    @pytest.mark.parametrize(
        ("country", "total", "override", "stage"),
        [
            pytest.param("US", 0, "area", "cold", id="outside: fixed, below the scale too"),
            pytest.param("VN", 75, None, "hot", id="corrected"),
            pytest.param(None, 75, None, "hot", id="unknown overrides nothing"),
        ],
    )
    def test_outside_the_area(
        self, run: Run, country: str | None, total: int, override: str | None, stage: str
    ) -> None:
        found = run(scored(overrides=[AREA]), traits={"x": 1, "country": country})
        assert (found.total, found.raw, found.override, found.stage) == (total * 1000, 75_000, override, stage)

    def test_the_first_in_the_document_wins(self, run: Run) -> None:
        high = {"id": "high", "when": {"trait": "x", "is": 1}, "set": 500, "reason": "vip"}
        found = run(scored(overrides=[high, AREA]), traits={"x": 1, "country": "US"})
        assert (found.total, found.override) == (500_000, "high")


class TestDisqualify:
    never: ClassVar[dict[str, Any]] = {
        "id": "never",
        "when": {
            "all": [
                {"trait": "occupation", "in": ["student", "unemployed"]},
                {"event": "email.opened", "within": "60d", "count": {"lt": 1}},
                {"event": "page.viewed", "count": {"is": 0}},
            ]
        },
        "disqualify": True,
        "reason": "student without interest",
    }

    @pytest.mark.parametrize(
        ("occupation", "events", "disqualified"),
        [
            pytest.param("student", [(-61, "email.opened")], "never", id="last open 61 days ago"),
            pytest.param("student", [(-60, "email.opened")], "never", id="exactly 60 days ago"),
            pytest.param("student", [(-59.9, "email.opened")], None, id="opened lately"),
            pytest.param("student", [(-61, "email.opened"), (-300, "page.viewed")], None, id="read a page once"),
            pytest.param("engineer", [(-61, "email.opened")], None, id="no student"),
            pytest.param(None, [(-61, "email.opened")], None, id="unknown"),
        ],
    )
    def test_student_without_interest(
        self, run: Run, occupation: str | None, events: list[Any], disqualified: str | None
    ) -> None:
        model = scored(25, overrides=[self.never], stages=[{"name": "MQL", "above": 20}])
        found = run(model, traits={"x": 1, "occupation": occupation}, events=events)
        assert (found.total, found.disqualified) == (25_000, disqualified)
        assert found.stage == (None if disqualified else "MQL")

    def test_no_grade_and_the_first_reason(self, run: Run) -> None:
        model = {
            "dimensions": {"fit": {}, "interest": {}},
            "rules": [{"id": "r", "dimension": "fit", "when": {"trait": "x", "is": 1}, "points": 50}],
            "grades": {"fit": {"A": 40, "B": 25, "C": 10, "D": 0}, "interest": {"1": 45, "2": 30, "3": 15, "4": 0}},
            "overrides": [
                {"id": "a", "when": {"trait": "y", "is": 1}, "disqualify": True, "reason": "a"},
                {"id": "b", "when": {"trait": "x", "is": 1}, "disqualify": True, "reason": "b"},
                {"id": "c", "when": {"trait": "x", "is": 1}, "disqualify": True, "reason": "c"},
            ],
        }
        found = run(model, traits={"x": 1})
        assert (found.disqualified, found.grade, found.dimensions) == ("b", None, {"fit": 50_000, "interest": 0})


class TestAudience:
    model: ClassVar[dict[str, Any]] = scored(audience={"all": [{"trait": "staff", "lt": 50}]})

    @pytest.mark.parametrize(
        ("staff", "applies"), [(49, True), (50, False), pytest.param(None, False, id="unknown does not apply")]
    )
    def test_whom_it_scores(self, run: Run, staff: int | None, applies: bool) -> None:
        found = run(self.model, traits={"x": 1, "staff": staff})
        assert found.applies is applies
        expected = (75_000, 75_000, "hot") if applies else (None, None, None)
        assert (found.total, found.raw, found.stage) == expected


@pytest.mark.parametrize(("staff", "points"), [(24, 0), (25, 10), (26, 10)])
def test_company_size(run: Run, staff: int, points: int) -> None:
    rule = {"id": "size", "when": {"trait": "company.employees", "gte": 25}, "points": 10}
    assert run({"rules": [rule]}, traits={"company.employees": staff}).total == points * 1000
