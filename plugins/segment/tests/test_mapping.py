"""Names of the tenant's own, and first events that are hard to cut out."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from marshmallow import ValidationError

from assay_sdk import Event, Message
from assay_segment.hooks import first_event
from assay_segment.service import SegmentSettings
from assay_segment.source import Segment

NOW = datetime(2026, 9, 21, 12, tzinfo=UTC)
MAPPING = "Demo Requested = meeting.booked\n\n  a=b Pressed=signup.completed \n"


def type_of(name: str, **settings: Any) -> str:
    body = json.dumps({"type": "track", "userId": "u", "messageId": "m", "event": name}).encode()
    [event] = Segment().normalise(Message("hook", body, NOW, settings))
    assert isinstance(event, Event)
    return event.type


@pytest.mark.parametrize(
    ("name", "settings", "type_"),
    [
        pytest.param("Demo Requested", {"mapping": MAPPING}, "meeting.booked", id="mapped"),
        pytest.param("demo requested ", {"mapping": MAPPING}, "meeting.booked", id="written otherwise"),
        pytest.param("a=b pressed", {"mapping": MAPPING}, "signup.completed", id="name with the sign in it"),
        pytest.param("Order Completed", {"mapping": "Order Completed = order.paid"}, "order.paid", id="known name"),
        pytest.param("Signed Up", {"mapping": MAPPING}, "signed.up", id="not in it"),
        pytest.param("Demo Requested", {}, "demo.requested", id="no mapping"),
        pytest.param("Demo Requested", {"mapping": "nonsense"}, "demo.requested", id="one that can't be read"),
    ],
)
def test_type(name: str, settings: dict[str, Any], type_: str) -> None:
    assert type_of(name, **settings) == type_


@pytest.mark.parametrize("line", ["Demo Requested", "= meeting.booked", "!! = meeting.booked", "Demo = Meeting Booked"])
def test_form_refuses_a_line_that_says_nothing(line: str) -> None:
    with pytest.raises(ValidationError, match="is no line such as"):
        SegmentSettings().load({"mapping": line})
    assert SegmentSettings().load({"mapping": MAPPING})["mapping"] == MAPPING


@pytest.mark.parametrize(
    ("first", "rest"),
    [
        pytest.param(b'{ "a" :\t1.50e+1 , "b":"\\u00e9\\ud800" }', b",{}", id="odd whitespace and numbers"),
        pytest.param('{"ü":"日本 ]}"}'.encode(), b',{"b":1}', id="other scripts"),
        pytest.param(b'{"a":1}', b',{"b":"\xff"}', id="no UTF-8 further on"),
        pytest.param(b'{"a":1' + b"0" * 5000 + b"}", b"", id="number without end"),
    ],
)
def test_first_event_is_cut_out_byte_for_byte(first: bytes, rest: bytes) -> None:
    assert first_event(b" [\n" + first + rest + b"]") == first
