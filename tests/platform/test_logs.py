import json
import logging

import pytest
import structlog

from assay import logs

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
