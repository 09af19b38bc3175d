"""Our calls against Intercom's own description of its API, where that is at hand."""

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx
import pytest

from assay_intercom.service import Intercom
from assay_sdk import Link

from .test_destination import UPDATE

openapi_core = pytest.importorskip("openapi_core")
requests = pytest.importorskip("requests")
yaml = pytest.importorskip("yaml")
SPECS = Path(__file__).parents[3] / ".." / "shared" / "vendors" / "specs"
HOST = "https://api.intercom.io"


@pytest.fixture(scope="module")
def description() -> Any:
    if not (SPECS / "intercom.yaml").exists():
        pytest.skip("Intercom's description is not here.")
    sys.path.insert(0, str(SPECS))
    try:
        apply = import_module("apply_overlay").apply
    finally:
        sys.path.remove(str(SPECS))
    overlay = json.loads((SPECS / "overlays" / "intercom.json").read_text())
    document = yaml.safe_load((SPECS / overlay["base"]).read_text())
    for patch in overlay["patches"]:
        apply(document, patch)
    return openapi_core.OpenAPI.from_dict(document, config=openapi_core.Config(spec_validator_cls=None))


def violations(description: Any, call: httpx.Request) -> str:
    """What is wrong with a call; empty when nothing is."""
    wrapped = import_module("openapi_core.contrib.requests").RequestsOpenAPIRequest(
        requests.Request(
            call.method,
            HOST + call.url.path,
            headers={name: value for name, value in call.headers.items() if name != "host"},
            params=dict(call.url.params),
            data=call.content,
        )
    )
    try:
        description.validate_request(wrapped)
    except import_module("openapi_core.exceptions").OpenAPIError as error:
        return f"{call.method} {call.url}: {error!r} {error.__cause__!r}"
    return ""


@pytest.fixture
def sent(link: Link) -> Iterator[list[httpx.Request]]:
    """Calls that leave from now on."""
    calls: list[httpx.Request] = []
    link.http.client.event_hooks = {"request": [calls.append], "response": []}
    yield calls
    link.http.close()


def test_every_call_is_as_described(
    description: Any, service: Intercom, link: Link, door: Any, platform: Any, sent: list[httpx.Request], later: Any
) -> None:
    here = door.at()
    firms = [door.workspaces["a1b2c3d4"].add_company(1_789_000_000, f"Firm {n}")["id"] for n in range(12)]
    old, someone = here.arrive(), here.arrive(companies=firms, email="ada@example.test")
    talk = here.chat(someone)
    here.reply(talk, someone)
    door.fill(160)
    for _ in range(2):
        for stream in ("contacts", "conversations", "companies"):
            platform.follow(stream)
        later(hours=1)
    here.merge(old, someone)
    platform.fetch("contact", old)
    platform.fetch("conversation", talk)
    assert service.source is not None
    assert service.destination is not None
    service.source.subscribe(link, "https://assay.example.test/hooks/intercom")
    service.destination.prepare(link)
    door.workspaces["a1b2c3d4"].attributes["assay_grade"]["archived"] = True
    service.destination.push(link, [replace(UPDATE, vendor_id=someone)])
    kinds = {(call.method, call.url.path.split("/")[1], call.url.path.split("/")[-1]) for call in sent}
    assert len(kinds) >= 12
    assert [found for call in sent if (found := violations(description, call))] == []


def test_wrong_calls_are_told_apart(description: Any) -> None:
    """Otherwise the test above would say nothing."""
    headers = {"Authorization": "Bearer t", "Content-Type": "application/json"}
    for method, path, body in (
        ("GET", "/contacts?per_page=1000", None),
        ("POST", "/contacts/search", {"sort": {"order": "sideways"}}),
        ("POST", "/data_attributes", {"name": "x", "model": "planet", "data_type": "string"}),
        ("GET", "/nowhere", None),
    ):
        call = httpx.Request(method, HOST + path, headers=headers, json=body)
        assert violations(description, call), path
