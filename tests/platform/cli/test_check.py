"""`assay check`: model files and their examples."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from assay.cli.check import check

MODEL = """
model: m
rules: [{id: owner, when: {trait: title, is: CFO}, points: 20}]
stages: [{name: Warm, from: 10}]
"""
EXAMPLES = """
examples:
  - {name: a CFO, traits: {title: CFO}, expect: {total: 20, stage: Warm}}
  - {name: a clerk, traits: {title: Clerk}, expect: {at: 3d, total: 5, stage: Warm}}
"""


@pytest.mark.parametrize(
    ("text", "code", "told"),
    [
        pytest.param(MODEL, 0, "m: no examples\n", id="a model without examples"),
        pytest.param(MODEL + EXAMPLES.rsplit("  - ", 1)[0], 0, "m: 1 of 1 examples come true\n", id="all true"),
        pytest.param(
            MODEL + EXAMPLES,
            1,
            "m: 1 of 2 examples come true\n"
            "  a clerk: at 3d, total: expected 5, found 0\n"
            "  a clerk: at 3d, stage: expected Warm, found none\n",
            id="one that is not true",
        ),
    ],
)
def test_what_is_told(tmp_path: Path, text: str, code: int, told: str) -> None:
    (tmp_path / "m.yaml").write_text(text, "utf-8")
    result = CliRunner().invoke(check, [str(tmp_path / "m.yaml")])
    assert (result.exit_code, result.stdout) == (code, told)


def test_a_file_that_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text("model: m", "utf-8")
    result = CliRunner().invoke(check, [str(tmp_path / "m.yaml")])
    assert result.exit_code == 2
    assert "m.yaml: rules: is missing" in result.stderr
