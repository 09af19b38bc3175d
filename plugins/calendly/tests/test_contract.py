"""Our requests, and the stand-in's answers, against Calendly's own description of its API."""

from datetime import timedelta
from typing import Any

import httpx
import pytest

from assay_calendly import api
from assay_calendly.service import Calendly
from assay_calendly.simulator import CalendlySimulator
from assay_calendly.subscriptions import GROUPS
from assay_sdk import Link, NeedsReconnect, Refused
from assay_sdk.testing import SetClock

HOST = "https://api.calendly.com"
pytestmark = pytest.mark.filterwarnings("ignore:Unsupported scheme type")
HEADERS = {"Authorization": "Bearer t", "Content-Type": "application/json"}
#: What Calendly has added since the description was written.
BEYOND = {
    "scheduling_method": "of an invitee",
    "invitee_scheduled_by": "of an invitee",
    "user_email": "of a meeting's host",
    "created_at": "of a cancellation",
    "code": "of an error's detail",
    **{event: "may be subscribed to" for group in GROUPS for event in group.events},
}


@pytest.fixture
def description(described: Any) -> Any:
    return described("calendly.yaml", "calendly.json")


def test_requests_and_answers_are_as_described(
    description: Any,
    service: Calendly,
    simulator: CalendlySimulator,
    link: Link,
    exchanges: Any,
    clock: SetClock,
    reader: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Several pages, of few each.
    monkeypatch.setattr(api, "LARGEST_PAGE", 10)
    simulator.fill(20)
    submission = simulator.submit(None, invitee=simulator.book("ada@example.test"))
    simulator.reschedule(simulator.book("ben@example.test"))
    simulator.mark_no_show(simulator.book("cyd@example.test"))
    simulator.cancel(simulator.book("dee@example.test"), by="host")
    simulator.submit("eve@example.test")
    service.account(link)
    for _ in range(2):
        service.source.subscribe(link, "https://assay.example.test/hooks/calendly/1")
    reader.run()
    clock.turn(timedelta(minutes=10))
    reader.run()
    reader.run("routing-forms")
    service.source.fetch(link, "submission", [submission["uri"].rpartition("/")[2], "NOBODY"])
    service.source.fetch(link, "recap", [next(iter(simulator.quartz.meetings)), "NOBODY"])
    service.source.unsubscribe(link)
    assert {(request.method, request.url.path.split("/")[1], answer.status_code) for request, answer in exchanges} >= {
        *(("GET", name, 200) for name in ("users", "organization_memberships", "scheduled_events", "routing_forms")),
        *(("GET", name, 404) for name in ("scheduled_events", "routing_form_submissions")),
        *(("GET", name, 200) for name in ("routing_form_submissions", "webhook_subscriptions")),
        ("POST", "webhook_subscriptions", 201),
        ("DELETE", "webhook_subscriptions", 204),
    }
    assert description.faults(exchanges, BEYOND) == []


@pytest.mark.parametrize(
    ("status", "path", "error"),
    [
        pytest.param(400, "/scheduled_events", Refused, id="whose meetings is not said"),
        pytest.param(401, "/users/me", NeedsReconnect, id="access that was taken back"),
        pytest.param(403, f"/routing_forms?organization={HOST}/organizations/OTHER", Refused, id="somebody else's"),
        pytest.param(404, "/scheduled_events/NOBODY", Refused, id="nothing there"),
    ],
)
def test_refusals_are_as_described(
    status: int,
    path: str,
    error: type[Exception],
    description: Any,
    simulator: CalendlySimulator,
    link: Link,
    exchanges: Any,
) -> None:
    for grant in simulator.grants:
        grant.revoked = status == 401
    with pytest.raises(error):
        link.http.get(path)
    request, answer = exchanges[0]
    assert answer.status_code == status
    assert description.of_answer(request, answer, BEYOND) == []


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        pytest.param("GET", "/webhook_subscriptions", None, id="parameters that are missing"),
        pytest.param("GET", "/scheduled_events?count=101", None, id="a page that is too large"),
        pytest.param("POST", "/webhook_subscriptions", {"url": "https://a.test"}, id="fields that are missing"),
        pytest.param("GET", "/nowhere", None, id="no such call"),
    ],
)
def test_a_wrong_request_is_told(method: str, path: str, body: Any, description: Any) -> None:
    """Otherwise what stands above would say nothing."""
    assert description.of_request(httpx.Request(method, HOST + path, headers=HEADERS, json=body), BEYOND)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"resource": {"uri": f"{HOST}/users/A"}}, id="fields that are missing"),
        pytest.param({"resource": {}, "collection": []}, id="a field that nobody described"),
    ],
)
def test_a_wrong_answer_is_told(body: Any, description: Any) -> None:
    request = httpx.Request("GET", f"{HOST}/users/me", headers=HEADERS)
    assert description.of_answer(request, httpx.Response(200, json=body), BEYOND)
