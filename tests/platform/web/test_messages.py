import json
from typing import Any

import pytest

from assay.profiles.marks import NONE, Marks
from assay.web.messages import UNTOLD, readable

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
    message = readable(json.dumps(request_).encode(), "m-1", NONE)
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
    assert readable(body, "m-1", NONE).about == body.decode("utf-8", "replace")


def test_what_is_kept_out_of_sight_is_masked_in_the_part_and_in_the_whole() -> None:
    body = {"batch": [{"messageId": "m-0", "traits": {"salary": 9}}, {"messageId": "m-1", "traits": {"salary": 71234}}]}
    message = readable(json.dumps(body).encode(), "m-1", Marks(("salary",)))
    assert json.loads(message.about) == {"messageId": "m-1", "traits": {"salary": "•••"}}
    assert "71234" not in f"{message.about}{message.whole}"


def test_text_of_which_nobody_can_tell_is_not_shown_where_anything_is_kept_out() -> None:
    assert readable(b"salary=71234", "m-1", Marks(("salary",))).about == UNTOLD
