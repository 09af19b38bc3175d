import subprocess
import sys

import pytest
from click.testing import CliRunner

from assay.cli import COMMANDS, main


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_itself(command: str) -> None:
    result = CliRunner().invoke(main, [command, "--help"])
    assert result.exit_code == 0, result.output
    assert command in CliRunner().invoke(main, ["--help"]).output


@pytest.mark.parametrize(
    ("command", "unwanted"),
    [
        pytest.param("score", ("flask", "rq", "psycopg"), id="score needs no server"),
        pytest.param(
            "run", ("polars", "flask", "sqlalchemy", "rq", "psycopg", "psutil"), id="the supervisor stays small"
        ),
        pytest.param("timetable", ("polars", "flask"), id="the timetable stays small"),
    ],
)
def test_a_command_loads_what_it_needs(command: str, unwanted: tuple[str, ...]) -> None:
    code = (
        "import sys; from assay.cli import main; main(['" + command + "', '--help'], standalone_mode=False);"
        f"print([name for name in {unwanted!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_bad_setting_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSAY_PORT", "many")
    result = CliRunner().invoke(main, ["doctor"])
    assert result.exit_code == 1
    assert result.output.startswith("Error: ASSAY_PORT is not a number: 'many'. Accepted:")


def test_roles_are_printed_for_an_administrator() -> None:
    result = CliRunner().invoke(main, ["migrate", "--print-roles"])
    assert "CREATE ROLE assay_app" in result.output
