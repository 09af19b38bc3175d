import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from assay_tenants.access.service import SignedUp

ADDRESS = "/settings/refused-messages"


@pytest.fixture
def refused(client: Any, tenant: SignedUp, work_off: Callable[[int], int]) -> None:
    """Three items that can't be understood, in two requests, and one that can."""
    who = {"userId": "u1"}
    batches = [
        [{"type": "track", "messageId": "m1", **who, "event": "Demo Requested"}, {"type": "<b>dance</b>", **who}],
        [{"type": "identify", "messageId": "m3"}, {"type": "track", "messageId": "m4", **who}],
    ]
    for batch in batches:
        answer = client.post("/v1/batch", data=json.dumps({"batch": batch}), auth=(tenant.write_key, ""))
        assert answer.status_code == 200, answer.text
    work_off(tenant.tenant_id)


def excerpts(page: str) -> list[str]:
    return re.findall(r'<pre class="excerpt"><code>(.*?)</code>', page, re.DOTALL)


def test_settings_lead_to_them(person: Any, refused: None) -> None:
    assert ADDRESS in person.opens("/settings").text


def test_an_account_without_any_is_told_so(person: Any) -> None:
    assert "Every message so far was understood" in person.opens(ADDRESS).text
    assert "Every message so far was understood" in person.opens("/settings").text


def test_each_says_what_was_wrong_and_where_the_newest_first(person: Any, refused: None) -> None:
    page = person.opens(ADDRESS).text
    assert ["m3" in text or "m4" in text for text in excerpts(page)] == [True, True, False]
    assert "<code>batch[1].type</code>" in page
    assert "<b>dance" not in page


def test_leads_to_the_whole_message_as_it_came(person: Any, refused: None) -> None:
    address = re.findall(rf'href="({ADDRESS}/[0-9a-f-]+)"', person.opens(ADDRESS).text)[-1]
    page = person.opens(address).text
    assert len(excerpts(page)) == 1
    assert "Demo Requested" in page
    assert "&lt;b&gt;dance" in page


def test_comes_in_pages(person: Any, refused: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("assay.web.refused.PAGE", 2)
    first = person.opens(ADDRESS).text
    more = re.search(rf'hx-get="({ADDRESS}[?]cursor=[^"]+)"', first)
    assert more
    rest = person.opens(more[1].replace("&amp;", "&"), HX_Request="true", HX_Target="li#more").text
    assert (len(excerpts(first)), len(excerpts(rest))) == (2, 1)
    assert "<html" not in rest


def test_a_cursor_of_something_else_is_refused(person: Any) -> None:
    assert person.opens(f"{ADDRESS}?cursor=x").status_code == 422


def test_a_message_that_was_understood_is_none_of_them(person: Any, refused: None) -> None:
    assert person.opens(f"{ADDRESS}/0190a3a4-0000-7000-8000-000000000000").status_code == 404
