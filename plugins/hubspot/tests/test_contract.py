"""The plugin's requests and the stand-in's answers, against a description of HubSpot's API."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from assay_sdk import ScoreUpdate, egress

#: What the description does not hold: it is ours, and speaks of contacts, companies, deals and the login.
BESIDE = (
    "/marketing/",
    "/form-integrations/",
    "/email/",
    "/conversations/",
    "/appinstalls/",
    "/webhooks/",
    "/oauth/authorize",
    "/crm/objects/2026-03/meetings",
    "/crm/associations/2026-03/meetings",
)


@pytest.fixture
def description(described):
    return described("hubspot.handwritten.json")


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
    held = [(request, answer) for request, answer in exchanges if not request.url.path.startswith(BESIDE)]
    assert {(request.method, request.url.path) for request, _ in held} >= {
        ("GET", "/crm/objects/2026-03/contacts"),
        ("POST", "/crm/objects/2026-03/contacts/search"),
        ("POST", "/crm/objects/2026-03/deals/batch/read"),
        ("POST", "/crm/associations/2026-03/deals/contacts/batch/read"),
        ("GET", "/crm/pipelines/2026-03/deals"),
        ("POST", "/crm/properties/2026-03/contacts/groups"),
        ("POST", "/crm/properties/2026-03/contacts"),
        ("POST", "/crm/objects/2026-03/contacts/batch/update"),
        ("POST", "/oauth/2026-03/token"),
    }
    # What a property is made with it is shown with.
    assert description.faults(held, beyond={"description"}) == []


@pytest.mark.parametrize(
    "properties",
    [
        pytest.param({"assay_score": 87}, id="a number for a text"),
        pytest.param(None, id="none"),
    ],
)
def test_a_wrong_request_is_told(properties, description):
    url = "https://api.hubapi.com/crm/objects/2026-03/contacts/batch/update"
    body = {"inputs": [{"id": "1", "properties": properties}]}
    assert description.of_request(httpx.Request("POST", url, headers={"authorization": "Bearer t"}, json=body))


def test_a_wrong_answer_is_told(description):
    request = httpx.Request("GET", "https://api.hubapi.com/crm/objects/2026-03/contacts")
    assert description.of_answer(request, httpx.Response(200, json={"results": [{"id": 7}]}))


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
