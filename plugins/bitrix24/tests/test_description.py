"""What the plugin asks, and the stand-in answers, is what Bitrix24's own descriptions of its methods allow."""

import json
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from assay_bitrix24.service import Bitrix24
from assay_bitrix24.simulator import Bitrix24Simulator
from assay_bitrix24.simulator.portals import LEAD
from assay_sdk import Link, ScoreUpdate
from assay_sdk.testing import SetClock

DESCRIPTIONS = Path(__file__).parents[3] / ".." / "shared" / "vendors" / "specs" / "bitrix24.json"
#: Of these there is no description.
WITHOUT = {"app.info", "event.get", "batch"}
#: Stated on the methods' pages beside their tables of parameters.
BESIDE = {
    "event.offline.get": {"clear", "auth_connector"},
    "crm.item.update": {"auth_connector"},
    # Of methods without parameters of their own the description lists the answer's.
    "crm.lead.userfield.list": {"filter", "order"},
}


def fits(base: str, value: Any) -> bool:
    """Whether a value is of a type; in a part of a batch all values are texts, and PHP's lists are objects."""
    match base:
        case "integer":
            return str(value).lstrip("-").isdecimal()
        case "string":
            return isinstance(value, str)
        case "boolean":
            return value in ("Y", "N", "1", "0", 0, 1, True, False)
        case "array":
            return isinstance(value, list | dict)
        case "object":
            return isinstance(value, dict)
    return True


def faults(methods: Mapping[str, Any], method: str, given: Mapping[str, Any]) -> list[str]:
    parameters = {row["name"]: row for row in methods[method]["params"]}
    known = parameters.keys() | BESIDE.get(method, set())
    is_offline = method == "event.bind" and given.get("event_type") == "offline"
    found = [
        f"{method}: {name} is missing"
        for name, row in parameters.items()
        # An offline event is kept in the queue: it has no handler.
        if row.get("required") is True and name not in given and not (is_offline and name == "handler")
    ]
    found += [f"{method}: {name} is not described" for name in given if name not in known]
    return found + [
        f"{method}: {name} is no {parameters[name]['base']}"
        for name, value in given.items()
        if name in parameters and not fits(parameters[name]["base"], value)
    ]


def unlike(example: Any, answer: Any, at: str) -> set[str]:
    """Where an answer holds something of another kind than the example; what only one of them has says nothing."""
    if example is None or answer is None or at.endswith("EVENT_DATA"):
        # An event's data are an object, which the example leaves out.
        return set()
    if isinstance(example, dict) and isinstance(answer, dict):
        both = example.keys() & answer.keys()
        return {fault for name in both for fault in unlike(example[name], answer[name], f"{at}.{name}")}
    if isinstance(example, list) and isinstance(answer, list):
        return {fault for one in answer for fault in unlike(example[0], one, f"{at}[]")} if example else set()
    kinds = [float if type(one) is int else type(one) for one in (example, answer)]
    return set() if kinds[0] is kinds[1] else {f"{at} is {answer!r}, unlike {example!r}"}


@pytest.mark.skipif(not DESCRIPTIONS.exists(), reason="Bitrix24's descriptions are not here")
def test_requests_and_answers_fit_their_descriptions(
    service: Bitrix24, link: Link, simulator: Bitrix24Simulator, clock: SetClock, exchanges: Any
) -> None:
    methods = json.loads(DESCRIPTIONS.read_text())["methods"]
    simulator.fill(130)
    source, destination = service.source, service.destination
    source.subscribe(link, "https://assay.example.test/hooks/bitrix24/c1")
    simulator.portal.happened("ONCRMLEADDELETE", 3, clock.now())
    for stream in source.streams:
        cursor = None
        for _ in range(4):
            cursor = source.pull(link, stream.name, cursor).cursor
            clock.turn(timedelta(seconds=30))
    for kind in ("lead", "contact", "company", "deal", "activity"):
        source.fetch(link, kind, ["1", "2"])
    destination.prepare(link)
    given = ScoreUpdate(
        "k", "lead:1", None, None, None, "M", 9, "A", "MQL", ("Why.",), clock.now(), "https://x.test", "1"
    )
    destination.push(link, [given])
    source.unsubscribe(link)
    assert simulator.portal.rows[LEAD][1]["UF_CRM_ASSAY_SCORE"] == 9
    asked = {method for method, _ in simulator.requests}
    assert asked - WITHOUT <= methods.keys()
    assert len(asked) >= 15
    wrong = {
        fault
        for method, parameters in simulator.requests
        if method not in WITHOUT
        for fault in faults(methods, method, parameters)
    }
    assert not wrong
    answered = [(call.url.path.rpartition("/")[2], answer.json()) for call, answer in exchanges if answer.is_success]
    held = [
        (method, methods[method]["resultExample"], body)
        for method, body in answered
        if method not in WITHOUT and "resultExample" in methods[method]
    ]
    assert len({method for method, _, _ in held}) >= 7
    assert not {fault for method, example, body in held for fault in unlike(example, body, method)}


@pytest.mark.skipif(not DESCRIPTIONS.exists(), reason="Bitrix24's descriptions are not here")
@pytest.mark.parametrize(
    ("method", "given"),
    [
        pytest.param("crm.item.list", {"filter": {}}, id="a parameter is missing"),
        pytest.param("crm.item.list", {"entityTypeId": "lead"}, id="a type is wrong"),
        pytest.param("crm.item.list", {"entityTypeId": 1, "page": 2}, id="a parameter is made up"),
    ],
)
def test_the_check_finds_faults(method: str, given: dict[str, Any]) -> None:
    assert faults(json.loads(DESCRIPTIONS.read_text())["methods"], method, given)


@pytest.mark.parametrize(
    ("answer", "fits"),
    [
        pytest.param({"result": [{"id": 1}], "total": 4}, True, id="alike"),
        pytest.param({"result": [{"id": None}], "more": 4}, True, id="what one of them lacks"),
        pytest.param({"result": [{"id": "1"}]}, False, id="a text for a number"),
        pytest.param({"result": {"id": 1}}, False, id="an object for a list"),
        pytest.param({"result": [{"id": True}]}, False, id="a truth for a number"),
    ],
)
def test_the_check_of_answers_finds_faults(answer: Any, fits: bool) -> None:
    assert (not unlike({"result": [{"id": 5}], "total": 1.5}, answer, "x")) is fits
