"""Values as vendors write them."""

from datetime import UTC, datetime
from typing import Any

import pytest

from assay_sdk.values import instant, mail_address, part, words


@pytest.mark.parametrize(
    ("stated", "found"),
    [
        pytest.param(" Ada@Quartz.example.test ", "ada@quartz.example.test", id="an address"),
        pytest.param("ada@quartz", None, id="no dot"),
        pytest.param("ada@quartz.", None, id="nothing after the dot"),
        pytest.param("ada@.test", None, id="nothing before the dot"),
        pytest.param("ada@b@quartz.test", None, id="two signs"),
        pytest.param("ada lovelace@quartz.test", None, id="space"),
        pytest.param("n/a", None, id="none"),
        pytest.param(None, None, id="null"),
        pytest.param(7, None, id="no text"),
    ],
)
def test_email(stated: object, found: str | None) -> None:
    assert mail_address(stated) == found


@pytest.mark.parametrize(
    ("stated", "found"),
    [
        pytest.param("2026-09-21T12:00:00Z", datetime(2026, 9, 21, 12, tzinfo=UTC), id="UTC"),
        pytest.param(" 2026-09-21T15:00:00.5+03:00", datetime(2026, 9, 21, 12, 0, 0, 500_000, tzinfo=UTC), id="zone"),
        pytest.param("2026-09-21T12:00:00", datetime(2026, 9, 21, 12, tzinfo=UTC), id="no zone"),
        pytest.param("0001-01-01T00:00:00+14:00", None, id="beyond the calendar"),
        pytest.param("soon", None, id="no instant"),
        pytest.param("", None, id="empty"),
        pytest.param(1790000000, None, id="a number"),
        pytest.param(None, None, id="null"),
    ],
)
def test_instant(stated: object, found: datetime | None) -> None:
    assert instant(stated) == found


@pytest.mark.parametrize(
    ("name", "found"),
    [
        pytest.param("Demo Requested", ["demo", "requested"], id="words"),
        pytest.param("invited-friend_2", ["invited", "friend", "2"], id="signs"),
        pytest.param("Cerere Ofertă", ["cerere", "oferta"], id="accents"),
        pytest.param("Đã đăng ký", ["da", "dang", "ky"], id="a letter that is no accent"),
        pytest.param("预约", ["u9884", "u7ea6"], id="another script"),
        pytest.param("!?", [], id="no letter"),
    ],
)
def test_words(name: str, found: list[str]) -> None:
    assert words(name) == found


@pytest.mark.parametrize(
    ("parent", "found"),
    [
        pytest.param({"a": {"b": 1}}, {"b": 1}, id="an object"),
        pytest.param({"a": [1]}, {}, id="a list"),
        pytest.param({}, {}, id="none"),
        pytest.param(None, {}, id="no parent"),
    ],
)
def test_part(parent: Any, found: Any) -> None:
    assert part(parent, "a") == found
