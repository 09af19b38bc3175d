import json
from typing import Any

import pytest

from assay.web.messages import readable

ONE = {"messageId": "m-1", "type": "track"}
BATCH = {"batch": [{"messageId": "m-0", "userId": "somebody else"}, ONE], "sentAt": "now"}


@pytest.mark.parametrize(
    ("request_", "about", "has_more"),
    [
        pytest.param(ONE, ONE, False, id="one message"),
        pytest.param(BATCH, ONE, True, id="one of a batch"),
        pytest.param({"batch": []}, {"batch": []}, False, id="an id that is not in it"),
        pytest.param([1, "m-1"], [1, "m-1"], False, id="no object"),
    ],
)
def test_opens_where_the_event_stands(request_: Any, about: Any, has_more: bool) -> None:
    message = readable(json.dumps(request_).encode(), "m-1")
    assert json.loads(message.about) == about
    assert (message.whole is not None) is has_more


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"no JSON", id="text"),
        pytest.param(b"\xff\xfe", id="no text"),
        pytest.param(b"[" * 100_000, id="endless"),
    ],
)
def test_what_is_no_json_is_shown_as_it_came(body: bytes) -> None:
    assert readable(body, "m-1").about == body.decode("utf-8", "replace")
