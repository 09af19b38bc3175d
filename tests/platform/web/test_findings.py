import pytest

from assay.scoring.language import Problem
from assay.web.findings import found_in

TEXT = """\
model: smb
rules:
  - {id: owner, points: 20}
  - id: pricing
    on: page.viewed
    count: {first: none}
stages:
  - {name: Lead, from: 50}
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        pytest.param("model", 1, id="top"),
        pytest.param("rules[0].points", 3, id="inside one line"),
        pytest.param("rules[1].count.first", 6, id="deep"),
        pytest.param("rules[1].points", 4, id="missing word: where it should stand"),
        pytest.param("rules[9]", 2, id="missing entry: its list"),
        pytest.param("", None, id="the document itself"),
        pytest.param("scale.max", None, id="nowhere"),
    ],
)
def test_the_line_of_a_path(path: str, line: int | None) -> None:
    (finding,) = found_in(TEXT, [Problem(path, "is wrong")])
    assert finding.line == line


def test_text_that_is_no_yaml_points_where_reading_stopped() -> None:
    (finding,) = found_in("model: smb\nrules: [\n", [Problem("", "is no YAML")])
    assert finding.line == 3


def test_an_endless_nest_is_no_trouble() -> None:
    (finding,) = found_in("[" * 5000, [Problem("", "is nested too deeply")])
    assert finding.message == "is nested too deeply"
