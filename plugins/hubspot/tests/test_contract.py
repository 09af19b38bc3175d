"""The plugin's requests and the stand-in's answers, against a description of HubSpot's API."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from werkzeug.datastructures import Headers, ImmutableMultiDict

from assay_sdk import ScoreUpdate, egress

SPEC = Path(__file__).parents[4] / "shared" / "vendors" / "specs" / "hubspot.handwritten.json"
HOST = "https://api.hubapi.com"
#: What the description does not hold.
BESIDE = (
    "/marketing/",
    "/form-integrations/",
    "/email/",
    "/conversations/",
    "/appinstalls/",
    "/webhooks/",
    "/oauth/authorize",
)


class Exchange:
    """One call as openapi-core wants to see it."""

    def __init__(self, request: httpx.Request, answer: httpx.Response) -> None:
        from openapi_core.datatypes import RequestParameters

        url = urlsplit(str(request.url))
        self.host_url, self.path, self.full_url_pattern = HOST, url.path, f"{HOST}{url.path}"
        self.method, self.body = request.method.lower(), request.content or None
        self.content_type = request.headers.get("content-type", "").partition(";")[0]
        query = ImmutableMultiDict(parse_qsl(url.query))
        self.parameters = RequestParameters(query=query, header=Headers(request.headers.items()))
        self.answer = SimpleNamespace(
            status_code=answer.status_code,
            data=answer.content,
            content_type=answer.headers.get("content-type", "").partition(";")[0],
            headers=Headers(answer.headers.items()),
        )


@pytest.fixture
def exchanges(link):
    """All that goes out over this connection and comes back."""
    seen: list[tuple[httpx.Request, httpx.Response]] = []

    def keep(answer: httpx.Response) -> None:
        answer.read()
        seen.append((answer.request, answer))

    link.http.client.event_hooks = {"response": [keep]}
    return seen


@pytest.fixture
def description():
    openapi_core = pytest.importorskip("openapi_core")
    if not SPEC.exists():
        pytest.skip("The description lies outside the repository.")
    config = openapi_core.Config(spec_validator_cls=None)
    return openapi_core.OpenAPI.from_dict(json.loads(SPEC.read_text()), config=config)


def everything(simulator, link, service, clock, pulled):
    """Every kind of call that the plugin makes."""
    simulator.fill(120)
    portal = simulator.first
    rows = list(portal.contacts.rows.values())
    joined = simulator.merge(portal, rows[0], rows[1])
    for stream in service.source.streams:
        pages, _ = pulled(link, stream.name)
        clock.turn(timedelta(hours=7))
        simulator.archive(portal, next(portal.contacts.after(joined.id - 1, archived=False), rows[2]))
        pulled(link, stream.name, pages[-1].cursor)
        joined = rows[3]
    meeting = simulator.create(portal, "meetings", {"hs_meeting_outcome": "SCHEDULED"})
    service.source.fetch(link, "contact", [str(rows[0].id), str(rows[5].id), "999999"])
    service.source.fetch(link, "company", [str(next(iter(portal.tables["companies"].rows)))])
    service.source.fetch(link, "deal", [str(id_) for id_ in portal.deals.rows])
    service.source.fetch(link, "meeting", [str(meeting.id)])
    service.destination.prepare(link)
    at = datetime(2026, 9, 21, tzinfo=UTC)
    scores = [
        ScoreUpdate(id_, id_, None, None, None, "SMB", 87, None, "MQL", ("Why",), at, "https://a.test", "1")
        for id_ in (str(rows[6].id), "999999")
    ]
    service.destination.push(link, scores)


def test_requests_and_answers_are_as_described(simulator, link, service, clock, pulled, exchanges, description):
    everything(simulator, link, service, clock, pulled)
    checked = set()
    for request, answer in exchanges:
        path = urlsplit(str(request.url)).path
        if path.startswith(BESIDE) or "/meetings" in path:
            continue
        exchange = Exchange(request, answer)
        description.validate_request(exchange)
        description.validate_response(exchange, exchange.answer)
        checked.add((request.method, path))
    assert {
        ("GET", "/crm/objects/2026-03/contacts"),
        ("POST", "/crm/objects/2026-03/contacts/search"),
        ("POST", "/crm/objects/2026-03/deals/batch/read"),
        ("POST", "/crm/associations/2026-03/deals/contacts/batch/read"),
        ("GET", "/crm/pipelines/2026-03/deals"),
        ("POST", "/crm/properties/2026-03/contacts/groups"),
        ("POST", "/crm/properties/2026-03/contacts"),
        ("POST", "/crm/objects/2026-03/contacts/batch/update"),
        ("POST", "/oauth/2026-03/token"),
    } <= checked


def test_the_check_sees_what_is_wrong(description):
    body = json.dumps({"inputs": [{"id": "1", "properties": {"assay_score": 87}}]}).encode()
    url = f"{HOST}/crm/objects/2026-03/contacts/batch/update"
    headers = {"content-type": "application/json", "authorization": "Bearer x"}
    request = httpx.Request("POST", url, headers=headers, content=body)
    with pytest.raises(Exception, match=r"."):
        description.validate_request(Exchange(request, httpx.Response(200)))


def test_a_search_has_at_most_3_000_characters(simulator, connected, pulled):
    link = connected(properties=",".join(f"a_rather_long_property_name_number_{number}" for number in range(40)))
    bodies: list[bytes] = []
    link.http.client.event_hooks = {"request": [lambda request: bodies.append(request.content)]}
    simulator.fill(1)
    pulled(link, "contacts")
    assert 1000 < max(len(body) for body in bodies) <= 3000


def test_calls_go_out_through_the_guarded_client(simulator, link, service):
    egress.configure([])
    with pytest.raises(Exception, match="address"):
        service.source.pull(link, "contacts", None)
