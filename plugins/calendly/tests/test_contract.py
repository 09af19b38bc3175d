"""Every request of ours, and the stand-in's answers, against Calendly's own description of its API."""

import importlib.util
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from assay_calendly.service import Calendly
from assay_calendly.simulator import CalendlySimulator
from assay_sdk import Link, egress
from assay_sdk.testing import SetClock

SPECS = Path(__file__).parents[3] / ".." / "shared" / "vendors" / "specs"
HOST = "https://api.calendly.com"

pytestmark = [
    pytest.mark.skipif(
        not (SPECS / "calendly.yaml").exists() or importlib.util.find_spec("openapi_core") is None,
        reason="the description is not beside this repository, or openapi-core is not installed",
    ),
    pytest.mark.filterwarnings("ignore:Unsupported scheme type"),
]


@pytest.fixture(scope="module")
def api() -> Any:
    import yaml
    from openapi_core import Config, OpenAPI

    found = importlib.util.spec_from_file_location("apply_overlay", SPECS / "apply_overlay.py")
    assert found is not None
    assert found.loader is not None
    overlaying = importlib.util.module_from_spec(found)
    found.loader.exec_module(overlaying)
    document = yaml.safe_load((SPECS / "calendly.yaml").read_text())
    for patch in json.loads((SPECS / "overlays" / "calendly.json").read_text())["patches"]:
        overlaying.apply(document, patch)
    # Calendly's original fails strict validation of documents.
    return OpenAPI.from_dict(json.loads(json.dumps(document, default=str)), config=Config(spec_validator_cls=None))


@pytest.fixture
def asked(link: Link) -> list[tuple[httpx.Request, httpx.Response]]:
    """What was asked from here on, and answered."""
    found: list[tuple[httpx.Request, httpx.Response]] = []

    def written(answer: httpx.Response) -> None:
        answer.read()
        found.append((answer.request, answer))

    client = egress.client()
    client.event_hooks = {"response": [written]}
    link.http._client = client
    return found


def as_described(request: httpx.Request) -> Any:
    import requests
    from openapi_core.contrib.requests import RequestsOpenAPIRequest

    path = request.url.raw_path.decode().partition("?")[0]
    body = request.content or None
    return RequestsOpenAPIRequest(
        requests.Request(
            request.method,
            HOST + path,
            params=dict(request.url.params.multi_items()),
            headers={"Authorization": request.headers["Authorization"], "Content-Type": "application/json"},
            data=body,
        )
    )


def test_no_request_of_ours_violates_it(
    api: Any, service: Calendly, simulator: CalendlySimulator, link: Link, asked: Any, clock: SetClock, reader: Any
) -> None:
    simulator.fill(120)
    invitee = simulator.book("ada@example.test")
    submission = simulator.submit(None, invitee=invitee)
    service.account(link)
    service.source.subscribe(link, "https://assay.example.test/hooks/calendly/1")
    service.source.subscribe(link, "https://assay.example.test/hooks/calendly/1")
    reader.run()
    clock.turn(timedelta(minutes=10))
    reader.run()
    reader.run("routing-forms")
    service.source.fetch(link, "submission", [submission["uri"].rpartition("/")[2]])
    service.source.fetch(link, "recap", [next(iter(simulator.quartz.meetings))])
    service.source.unsubscribe(link)
    assert len({(request.method, request.url.path.split("/")[1]) for request, _ in asked}) >= 8
    seen: set[tuple[str, str]] = set()
    for request, _ in asked:
        # One of each shape is enough: the others differ by what they name.
        shape = request.method, str(sorted(request.url.params)) + request.url.path.replace("/", " ")[:22]
        if shape not in seen:
            seen.add(shape)
            api.validate_request(as_described(request))


def test_a_wrong_request_would_be_told(api: Any, link: Link, asked: Any) -> None:
    link.http.get("/users/me")
    request = asked[-1][0]
    from openapi_core.exceptions import OpenAPIError

    for path in ("/webhook_subscriptions", "/scheduled_events?count=101"):
        wrong = httpx.Request("GET", HOST + path, headers=request.headers)
        with pytest.raises(OpenAPIError):
            api.validate_request(as_described(wrong))


def test_stand_ins_meetings_and_invitees_are_as_described(
    api: Any, simulator: CalendlySimulator, link: Link, asked: Any, reader: Any
) -> None:
    import requests
    from openapi_core.contrib.requests import RequestsOpenAPIResponse

    simulator.reschedule(simulator.book("ada@example.test"))
    simulator.mark_no_show(simulator.book("ben@example.test"))
    simulator.submit("cyd@example.test")
    reader.run()
    reader.run("routing-forms")
    assert asked
    for request, answer in asked:
        told = requests.Response()
        told.status_code, told._content = answer.status_code, answer.content
        told.headers["Content-Type"] = "application/json"
        api.validate_response(as_described(request), RequestsOpenAPIResponse(told))
