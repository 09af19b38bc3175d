"""Our calls and the stand-in's answers against Intercom's own description of its API, where that is at hand."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest

from assay_intercom.service import Intercom
from assay_sdk import Link, NeedsReconnect, Refused

from .test_destination import UPDATE

HEADERS = {"Authorization": "Bearer t", "Content-Type": "application/json"}
#: What Intercom has though its description does not know it, and how we know.
BEYOND = {
    "type": "lists inside of a contact say so in the description's own examples",
    "data": "of a contact's companies: so in that operation's own example, `companies` in its schema",
    "email": "leads may have none",
    "datetime": "an attribute may be made of this type, so it is listed with it",
    "400 to PUT /contacts": "an attribute that is archived can't be written",
    "404 to GET /contacts": "a contact may have been deleted",
}


@pytest.fixture
def description(described: Any) -> Any:
    return described("intercom.yaml", "intercom.json")


def test_calls_and_answers_are_as_described(
    description: Any,
    service: Intercom,
    link: Link,
    door: Any,
    platform: Any,
    exchanges: Any,
    later: Callable[..., None],
) -> None:
    here = door.at()
    firms = [door.workspaces["a1b2c3d4"].add_company(1_789_000_000, f"Firm {n}")["id"] for n in range(12)]
    old, someone = here.arrive(), here.arrive(companies=firms, email="ada@example.test")
    talk = here.chat(someone)
    here.reply(talk, someone)
    here.reply(talk, someone, by_admin=True)
    here.rate(talk, someone, 4)
    door.fill(160)
    for _ in range(2):
        for stream in ("contacts", "conversations", "companies"):
            platform.follow(stream)
        later(hours=1)
    user = here.arrive(role="user", external_id="u-1")
    here.merge(old, user)
    platform.follow("contacts")
    platform.fetch("contact", old, "67-unknown")
    platform.fetch("conversation", talk, "999999")
    assert service.source is not None
    assert service.destination is not None
    service.source.subscribe(link, "https://assay.example.test/hooks/intercom")
    service.destination.prepare(link)
    door.workspaces["a1b2c3d4"].attributes["assay_grade"]["archived"] = True
    service.destination.push(link, [replace(UPDATE, vendor_id=someone)])
    assert {(call.method, call.url.path.split("/")[1], answer.status_code) for call, answer in exchanges} >= {
        *(("GET", "contacts", status) for status in (200, 404, 410)),
        *(("PUT", "contacts", status) for status in (200, 400)),
        *(("GET", "conversations", status) for status in (200, 404)),
        *(("POST", name, 200) for name in ("contacts", "conversations", "data_attributes")),
        *(("GET", name, 200) for name in ("me", "companies", "data_attributes")),
        ("PUT", "data_attributes", 200),
    }
    assert description.faults(exchanges, BEYOND) == []


@pytest.mark.parametrize(
    ("status", "error"),
    [
        pytest.param(400, Refused, id="a search that is none"),
        pytest.param(401, NeedsReconnect, id="access that was taken back"),
    ],
)
def test_refusals_are_as_described(
    status: int, error: type[Exception], description: Any, link: Link, door: Any, exchanges: Any
) -> None:
    for grant in door.grants:
        grant.revoked = status == 401
    with pytest.raises(error):
        link.http.post("/contacts/search", json={"query": {"field": "updated_at", "operator": ">=", "value": "1"}})
    [(call, answer)] = exchanges
    assert answer.status_code == status
    assert description.of_answer(call, answer) == []


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        pytest.param("GET", "/contacts?per_page=1000", None, id="a page that is too large"),
        pytest.param("POST", "/contacts/search", {"sort": {"order": "sideways"}}, id="no query"),
        pytest.param("POST", "/data_attributes", {"name": "x", "model": "planet", "data_type": "string"}, id="value"),
        pytest.param("PUT", "/contacts/1", {"costum_attributes": {}}, id="a field that is misspelt"),
        pytest.param("GET", "/nowhere", None, id="no such call"),
    ],
)
def test_a_wrong_call_is_told(method: str, path: str, body: Any, description: Any) -> None:
    """Otherwise what stands above would say nothing."""
    call = httpx.Request(method, "https://api.intercom.io" + path, headers=HEADERS, json=body)
    assert description.of_request(call, BEYOND)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"type": "contact", "id": 7}, id="a number for a text"),
        pytest.param({"type": "contact", "emial": "ada@example.test"}, id="a field that is misspelt"),
    ],
)
def test_a_wrong_answer_is_told(body: Any, description: Any) -> None:
    call = httpx.Request("GET", "https://api.intercom.io/contacts/1", headers=HEADERS)
    assert description.of_answer(call, httpx.Response(200, json=body), BEYOND)
