"""Requests of Segment's own libraries, byte for byte as they were captured."""

import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from assay_sdk import Event, Message, Misunderstood
from assay_segment.source import Segment

CAPTURED = Path(__file__).parents[3] / ".." / "shared" / "vendors" / "fixtures" / "segment_sdk_requests.jsonl"
NOW = datetime(2026, 11, 21, 18, 30, tzinfo=UTC)
CALLS = {"t": "track", "i": "identify", "p": "page", "s": "screen", "g": "group", "a": "alias", "b": "batch"}

pytestmark = pytest.mark.skipif(not CAPTURED.exists(), reason="the captured requests are not beside this repository")


def captured() -> list[tuple[str, str]]:
    lines = [json.loads(line) for line in CAPTURED.read_text().splitlines()]
    found = [(one["path"].rpartition("/")[2], one["body"]) for one in lines if one["method"] == "POST" and one["body"]]
    return [(CALLS.get(call, call), body) for call, body in found if call != "m"]


def records(call: str, body: str) -> list[Any]:
    return list(Segment().normalise(Message(call, body.encode(), NOW)))


def test_every_item_is_understood() -> None:
    found = [record for call, body in captured() for record in records(call, body)]
    assert not [one.reason for one in found if isinstance(one, Misunderstood)]
    assert len(found) >= len(captured()) > 5


def test_the_same_by_webhook() -> None:
    """What a library sent and what Segment passes on of it have the same ids, so that both together count once."""
    for call, body in captured():
        read = json.loads(body)
        items = read["batch"] if call == "batch" else [read]
        passed_on = [{"type": call, **item} if call != "batch" else item for item in items]
        hooked = [one for one in records("hook", json.dumps(passed_on)) if isinstance(one, Event)]
        direct = [one for one in records(call, body) if isinstance(one, Event)]
        assert Counter((one.type, one.sender_id) for one in hooked) == Counter(
            (one.type, one.sender_id) for one in direct
        )
