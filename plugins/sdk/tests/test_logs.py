"""A log that tells no secret."""

import logging
from typing import Any

import pytest

from assay_sdk import Log
from assay_sdk.logs import MASK, redacted


@pytest.mark.parametrize(
    "value",
    [
        pytest.param({"access_token": "s3cret-value"}, id="by its name"),
        pytest.param({"Authorization": "Bearer s3cret-value"}, id="header"),
        pytest.param({"outer": [{"api_key": "s3cret-value"}]}, id="deep within"),
        pytest.param("Bearer s3cret-value", id="bearer"),
        pytest.param("https://x.example/?a=1&access_token=s3cret-value", id="query"),
        pytest.param("https://user:s3cret-value@x.example/", id="address"),
        pytest.param('{"client_secret": "s3cret-value"}', id="JSON"),
        pytest.param("grant: refresh_token=s3cret-value", id="form"),
        pytest.param(ValueError("token=s3cret-value"), id="error"),
    ],
)
def test_secrets_are_masked(value: Any) -> None:
    told = str(redacted(value))
    assert "s3cret-value" not in told
    assert MASK in told


@pytest.mark.parametrize(
    "value",
    [
        pytest.param({"count": 3, "page": None, "is_done": True}, id="numbers"),
        pytest.param("contacts.read", id="words"),
        pytest.param("https://x.example/contacts?after=7", id="address"),
    ],
)
def test_all_else_is_told(value: Any) -> None:
    assert redacted(value) == value


def test_lines(caplog: pytest.LogCaptureFixture) -> None:
    log = Log("assay_sdk.test", connection="7")
    log.hide({"access_token": "plain-looking-words", "short": "abc", "expires": 3600})
    with caplog.at_level(logging.DEBUG):
        for write in (log.debug, log.info, log.warning, log.error):
            write("contacts.read", count=3, said="plain-looking-words", error=ValueError("of plain-looking-words"))
        log.bind(stream="deals").info("plain-looking-words")
    assert [record.levelname for record in caplog.records] == ["DEBUG", "INFO", "WARNING", "ERROR", "INFO"]
    assert "plain-looking-words" not in caplog.text
    assert "connection='7' count=3" in caplog.text
    assert "ValueError: of " in caplog.text
    assert "stream='deals'" in caplog.messages[-1]


def test_nothing_is_made_up_for_a_line_that_nobody_reads() -> None:
    class Costly:
        def __str__(self) -> str:
            raise AssertionError

    logging.getLogger("assay_sdk.quiet").setLevel(logging.ERROR)
    Log("assay_sdk.quiet").info("contacts.read", value=Costly())
