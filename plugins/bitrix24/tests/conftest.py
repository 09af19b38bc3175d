"""A portal's stand-in that is really served, and a connection to it."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import pytest
from assay_bitrix24.service import Bitrix24
from assay_bitrix24.simulator import Bitrix24Simulator

from assay_sdk import Delivery, Link, LocalLimiter, Message, Page, Record, Request, egress
from assay_sdk.errors import Misunderstood
from assay_sdk.testing import SetClock, connect, running

URL = "https://hooks.assay.example.test/hooks/bitrix24/c1"


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def service() -> Bitrix24:
    return Bitrix24()


@pytest.fixture
def simulator(clock: SetClock) -> Iterator[Bitrix24Simulator]:
    egress.configure(["127.0.0.1", "::1"])
    stand_in = Bitrix24Simulator(clock=clock)
    try:
        with running(stand_in):
            yield stand_in
    finally:
        egress.configure([])


@pytest.fixture
def link(service: Bitrix24, simulator: Bitrix24Simulator, clock: SetClock) -> Link:
    return connect(service, simulator, clock=clock, limiter=LocalLimiter(clock.seconds))


def normalised(service: Bitrix24, page: Page, at: datetime) -> list[Record | Misunderstood]:
    """The records of a page's bodies."""
    return [
        record for body in page.bodies for record in service.source.normalise(Message("pull/x", body, at))
    ]


def loaded(service: Bitrix24, link: Link, stream: str, cursor: Any = None) -> tuple[list[Any], Any]:
    """All records of a stream to its end for now, and its cursor."""
    found: list[Any] = []
    while True:
        page = service.source.pull(link, stream, cursor)
        found += normalised(service, page, link.clock.now())
        cursor = page.cursor
        if not page.more:
            return found, cursor


def posted(body: bytes, at: datetime) -> Request:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    return Request("POST", URL, headers, body, at)


def form(**fields: str) -> bytes:
    """An event's form: ``auth_x`` stands for ``auth[x]``."""
    named = {
        f"auth[{name.removeprefix('auth_')}]" if name.startswith("auth_") else name: value
        for name, value in fields.items()
    }
    return urlencode({name.replace("field_id", "data[FIELDS][ID]"): value for name, value in named.items()}).encode()


def delivered(service: Bitrix24, link: Link, body: bytes) -> list[Delivery]:
    """As the hook door does it."""
    request = posted(body, link.clock.now())
    service.source.verify(request, link.app, link.secrets)
    return list(service.source.split(request))
