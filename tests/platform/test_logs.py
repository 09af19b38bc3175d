import json
import logging
import sys
import threading
from datetime import datetime, timedelta

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
    assert datetime.fromisoformat(ours["timestamp"]).utcoffset() == timedelta(0)


def test_a_line_break_makes_no_second_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("INFO", process="web")
    structlog.get_logger().info("web.refused", path='/\n{"event": "invented"}\r')
    line, rest = capsys.readouterr().err.split("\n")
    assert json.loads(line)["path"].startswith("/\n{")
    assert (rest, "\r" in line) == ("", False)


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


ISSUED = "ak_1f_" + "A1" * 22
JWT = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJlc2lnbmF0dXJl"


@pytest.mark.parametrize(
    ("told", "hidden", "left"),
    [
        pytest.param(f"GET /api?x={ISSUED}&y=1", "A1A1A1", "ak_1f_", id="a key of ours"),
        pytest.param(f"the key assay_{ISSUED}A1A1A1 of", "A1A1A1", "assay_ak_1f_", id="a key for programs"),
        pytest.param(f"Authorization: Bearer {ISSUED}", "A1A1A1", "Authorization", id="bearer"),
        pytest.param("authorization: Basic YWRhOmh1bnRlcjI=", "YWRhOmh1", "Basic", id="basic"),
        pytest.param(f"got {JWT} from", "c2lnbmF0", "from", id="signed token"),
        pytest.param("GET /reset?key=hunter2&lang=vi", "hunter2", "lang=vi", id="key in a query"),
        pytest.param("GET /callback?code=hunter2&state=hunter2", "hunter2", "/callback", id="code and state"),
        pytest.param("grant_type=x&client_secret=hunter2&a=b", "hunter2", "a=b", id="form"),
        pytest.param('{"client_secret": "hunter2", "a": 1}', "hunter2", ": 1}", id="JSON"),
        pytest.param('"{\\"refresh_token\\": \\"hunter2\\"}"', "hunter2", "refresh", id="JSON in JSON"),
        pytest.param("Thing(password='hunter2', id=7)", "hunter2", "id=7", id="repr"),
        pytest.param("Cookie: a=b; assay_session=hunter2; c=d", "hunter2", "c=d", id="cookie"),
        pytest.param("redis://:hunter2@h:6379/0 is away", "hunter2", "is away", id="address"),
        pytest.param("$argon2id$v=19$m=65536$hunter2$x", "hunter2", "", id="hash of a password"),
        pytest.param("-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----", "hunter2", "END", id="PEM"),
    ],
)
@pytest.mark.parametrize("place", ["message", "value", "nested", "traceback", "object"])
@pytest.mark.parametrize("on_terminal", [False, True], ids=["json", "terminal"])
def test_secrets_are_known_by_their_looks(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    told: str,
    hidden: str,
    left: str,
    place: str,
    on_terminal: bool,
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: on_terminal, raising=False)
    logs.configure("INFO", process="web")
    log = structlog.get_logger()
    if place == "message":
        logging.getLogger("somebody.else").warning("said: %s", told)
    elif place == "value":
        log.info("said", what=told)
    elif place == "nested":
        log.info("said", what={"deeper": [told]})
    elif place == "object":
        log.info("said", what=_Talkative(told))
    else:
        try:
            raise ValueError(told)
        except ValueError:
            log.exception("said")
    line = capsys.readouterr().err
    assert hidden not in line
    assert left in line


class _Talkative:
    def __init__(self, told: str) -> None:
        self.told = told

    def __repr__(self) -> str:
        return f"<{self.told}>"


@pytest.mark.parametrize(
    "told",
    [
        "resealing.ended column=tenancy.connections.credentials key=202611 left_over=0",
        "model.published state=running code=conflict hash=9f86d081884c7d659a2feaa0c55ad015",
        "GET /leads?page=2&sort=name",
        "Your password needs 10 to 200 characters.",
        "token_type none",
    ],
)
def test_what_is_no_secret_stays(told: str) -> None:
    assert logs.hide(told) == told


def test_a_crash_is_logged_like_all_else(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    logs.configure("INFO", process="worker")
    logs.watch_for_crashes()
    sys.excepthook(ValueError, ValueError(f"{ISSUED} at redis://:hunter2@h"), None)
    line = json.loads(capsys.readouterr().err)
    assert line["event"] == "process.failed"
    assert "hunter2" not in str(line)
    assert "A1A1" not in str(line)
