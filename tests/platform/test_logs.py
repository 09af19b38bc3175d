import json
import logging

import pytest
import structlog
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from assay import logs
from assay_tenants import database

SECRET = "hunter2-hunter2"


@pytest.fixture(autouse=True)
def _as_before() -> object:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def test_a_line_is_json_and_names_its_process(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("INFO", process="web")
    structlog.get_logger().info("lead.merged", lead=7)
    logging.getLogger("somebody.else").warning("went %s", "wrong")
    ours, theirs = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert (ours["event"], ours["lead"], ours["process"], ours["level"]) == ("lead.merged", 7, "web", "info")
    assert (theirs["event"], theirs["process"]) == ("went wrong", "web")


@pytest.mark.parametrize(
    "told",
    [
        pytest.param({"password": SECRET}, id="by name"),
        pytest.param({"write_key": SECRET}, id="write key"),
        pytest.param({"Authorization": SECRET}, id="header"),
        pytest.param({"error": f"could not reach postgresql://u:{SECRET}@h/d"}, id="inside an address"),
    ],
)
def test_secrets_are_masked(capsys: pytest.CaptureFixture[str], told: dict[str, str]) -> None:
    logs.configure("INFO", process="web")
    structlog.get_logger().error("failed", **told)
    line = capsys.readouterr().err
    assert SECRET not in line
    assert "failed" in line


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param("SELECT CAST(:fact AS integer)", id="a value it can't read"),
        pytest.param("SELECT CAST(:fact AS text) FROM nowhere.at_all", id="a parameter of what fails"),
        pytest.param("SELECT CAST(CAST(:fact AS text) AS json)", id="a line it quotes"),
    ],
)
def test_what_the_database_refuses_is_logged_without_anybodys_facts(
    connected: None, capsys: pytest.CaptureFixture[str], statement: str
) -> None:
    logs.configure("INFO", process="web")
    try:
        with database.engine().connect() as connection:
            connection.execute(text(statement), {"fact": SECRET})
    except DBAPIError:
        structlog.get_logger().exception("failed")
    line = capsys.readouterr().err
    assert "failed" in line
    assert SECRET not in line
