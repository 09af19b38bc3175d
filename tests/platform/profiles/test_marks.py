from typing import Any

import pytest

from assay.profiles.marks import MASK, Marks

MARKS = Marks(("salary", "health*", "company.revenue", "geo.exact"))


@pytest.mark.parametrize(
    ("name", "hidden"),
    [
        pytest.param("salary", True, id="the name"),
        pytest.param("Salary", True, id="in other letters"),
        pytest.param("salary.net", True, id="what is nested below it"),
        pytest.param("salary_band", False, id="a longer name"),
        pytest.param("company.salary", True, id="of the company"),
        pytest.param("healthInsurance", True, id="a beginning"),
        pytest.param("my_health", False, id="no beginning"),
        pytest.param("company.revenue", True, id="a company's own"),
        pytest.param("revenue", False, id="the lead's, where the company's is meant"),
        pytest.param("geo.exact.lat", True, id="below a dotted name"),
        pytest.param("geo", False, id="above it"),
    ],
)
def test_hides(name: str, hidden: bool) -> None:
    assert MARKS.hides(name) is hidden
    assert MARKS.masked({name: 1, "title": "CFO"}) == {name: MASK if hidden else 1, "title": "CFO"}


@pytest.mark.parametrize(
    ("tree", "masked"),
    [
        pytest.param(
            {"traits": {"salary": 9, "title": "CFO"}}, {"traits": {"salary": MASK, "title": "CFO"}}, id="deep"
        ),
        pytest.param({"traits": {"health": {"bmi": 30}}}, {"traits": {"health": MASK}}, id="an object as a whole"),
        pytest.param(
            {"p": {"geo": {"exact": [1, 2], "city": "Cluj"}}},
            {"p": {"geo": {"exact": MASK, "city": "Cluj"}}},
            id="a way",
        ),
        pytest.param([{"salary": 1}, {"salary": None}], [{"salary": MASK}, {"salary": None}], id="a list"),
        pytest.param({"traits": {"revenue": 5}}, {"traits": {"revenue": MASK}}, id="a company's, by its bare name"),
        pytest.param(
            {"values": [{"name": "salary", "value": "9"}, {"name": "title", "value": "CFO"}]},
            {"values": [{"name": "salary", "value": MASK}, {"name": "title", "value": "CFO"}]},
            id="a form",
        ),
        pytest.param(
            {"propertyName": "salary", "propertyValue": "9", "objectId": 5},
            {"propertyName": "salary", "propertyValue": MASK, "objectId": 5},
            id="a change of one property",
        ),
        pytest.param("salary", "salary", id="no object"),
    ],
)
def test_masks_messages(tree: Any, masked: Any) -> None:
    assert MARKS.masked_tree(tree) == masked


def test_without_marks_nothing_is_touched() -> None:
    tree = {"salary": 1}
    assert Marks().masked_tree(tree) is tree
    assert Marks().masked(tree) == tree
