"""Signatures of webhooks."""

import base64
import hmac
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from assay_sdk import Refused, Stale
from assay_sdk.signatures import is_equal, require, require_recent, sign

BODY = b'{"a": 1}'
NOW = datetime(2026, 9, 21, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="sha256 in hex"),
        pytest.param({"digest": "sha1"}, id="sha1"),
        pytest.param({"encoding": "base64"}, id="base64"),
        pytest.param({"digest": "sha512", "encoding": "base64"}, id="sha512 in base64"),
    ],
)
def test_what_is_signed_is_accepted(options: dict[str, Any]) -> None:
    mac = hmac.new(b"key", BODY, options.get("digest", "sha256"))
    shown = base64.b64encode(mac.digest()).decode() if "encoding" in options else mac.hexdigest()
    assert sign("key", BODY, **options) == shown
    require(shown, BODY, ["key"], **options)


@pytest.mark.parametrize(
    ("given", "secrets", "words"),
    [
        pytest.param("", ["key"], "missing", id="none"),
        pytest.param(sign("key", b"other"), ["key"], "not that of this body", id="of another body"),
        pytest.param(sign("other", BODY), ["key"], "not that of this body", id="another's key"),
        pytest.param(sign("key", BODY)[:-1], ["key"], "not that of this body", id="too short"),
        pytest.param(sign("key", BODY) + "é€", ["key"], "not that of this body", id="not ASCII"),
        pytest.param("\udcff" * 64, ["key"], "not that of this body", id="half characters"),
        pytest.param(sign("", BODY), [""], "not that of this body", id="empty key"),
        pytest.param(sign("key", BODY), [], "not that of this body", id="no key"),
    ],
)
def test_anything_else_is_refused(given: str, secrets: list[str], words: str) -> None:
    with pytest.raises(Refused, match=words):
        require(given, BODY, secrets)


def test_two_secrets_are_good_while_one_is_replaced() -> None:
    for secret in ("old", "new"):
        require(sign(secret, BODY), BODY, ["old", "new"])


@pytest.mark.parametrize(
    ("age", "is_good"),
    [
        pytest.param(0, True, id="now"),
        pytest.param(300, True, id="just in time"),
        pytest.param(301, False, id="too old"),
        pytest.param(-60, True, id="clocks differ"),
        pytest.param(-61, False, id="from the future"),
    ],
)
def test_how_old_a_signature_may_be(age: int, is_good: bool) -> None:
    signed_at = NOW - timedelta(seconds=age)
    if is_good:
        require_recent(signed_at, NOW, tolerance=timedelta(minutes=5))
        return
    with pytest.raises(Stale) as raised:
        require_recent(signed_at, NOW, tolerance=timedelta(minutes=5))
    assert raised.value.http_status == 400


@pytest.mark.parametrize(
    ("one", "other", "same"), [("a", "a", True), ("a", "b", False), ("é", "e", False), ("", "", True)]
)
def test_texts_are_compared(one: str, other: str, same: bool) -> None:
    assert is_equal(one, other) is same
