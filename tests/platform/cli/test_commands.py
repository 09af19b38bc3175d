import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from assay.cli import COMMANDS, main
from assay.embedded import Embedded

RING = "test:" + "A" * 43


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


@pytest.mark.parametrize(
    ("command", "message"),
    [
        pytest.param(["worker", "intake"], "PostgreSQL is not reachable: ", id="worker"),
        pytest.param(["serve"], "PostgreSQL is not reachable: ", id="web"),
        pytest.param(["migrate"], "PostgreSQL is not reachable: ", id="migrate"),
        pytest.param(["run", "--no-demo"], "PostgreSQL is not reachable: ", id="all of them"),
    ],
)
def test_a_database_that_is_away_is_one_sentence(tmp_path: Path, command: list[str], message: str) -> None:
    nowhere = "postgresql://assay_app@127.0.0.1:1/assay"
    told = run(tmp_path, *command, database_url=nowhere, migration_database_url=nowhere)
    assert f"Error: {message}" in told
    assert "Traceback" not in told


def test_a_powerful_role_is_one_sentence(tmp_path: Path, servers: Embedded) -> None:
    told = run(tmp_path, "serve", database_url=servers.owner_url, redis_url=servers.redis_url)
    assert "Error: The database role 'assay_owner' is a superuser" in told
    assert "Traceback" not in told


def test_a_redis_that_is_away_is_one_sentence(tmp_path: Path, servers: Embedded) -> None:
    told = run(tmp_path, "worker", "intake", database_url=servers.database_url, redis_url="redis://127.0.0.1:1/0")
    assert "Error: Redis is not reachable: " in told
    assert "Traceback" not in told


def test_a_folder_that_cannot_be_made_is_one_sentence() -> None:
    told = run(Path("/proc/assay"), "run", "--no-demo")
    assert told.endswith("Set ASSAY_DATA_DIR to a folder that you may write to.\n")
    assert "Traceback" not in told


def run(data_dir: Path, *command: str, **settings: str) -> str:
    """What a command says that can't do its work."""
    given = {"data_dir": str(data_dir), "secret_key": "x" * 32, "sealing_keys": RING, "port": "18990", **settings}
    environ = os.environ | {f"ASSAY_{name.upper()}": value for name, value in given.items()}
    done = subprocess.run(
        [sys.executable, "-m", "assay.cli", *command],
        capture_output=True,
        text=True,
        env=environ,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    return done.stderr


def test_roles_are_printed_for_an_administrator() -> None:
    result = CliRunner().invoke(main, ["migrate", "--print-roles"])
    assert "CREATE ROLE assay_app" in result.output
