"""The tracking calls through the real server: what only shows on the wire."""

import gzip
import json
import time
from collections.abc import Iterator
from http.client import HTTPConnection

import pytest
from segment.analytics.client import Client
from sqlalchemy import select

from assay.intake.models import Message
from assay_tenants.access.service import SignedUp
from assay_tenants.database import tenant_session

TRACK = b'{"userId":"u1","event":"Demo Requested"}'


@pytest.fixture
def connection(port: int) -> Iterator[HTTPConnection]:
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    yield connection
    connection.close()


def kept(tenant: SignedUp) -> list[Message]:
    with tenant_session(tenant.tenant_id) as session:
        query = select(Message).where(Message.tenant_id == tenant.tenant_id).order_by(Message.id)
        return list(session.scalars(query))


def bearer(tenant: SignedUp) -> dict[str, str]:
    return {"Authorization": f"Bearer {tenant.write_key}"}


@pytest.mark.parametrize("is_gzipped", [False, True], ids=["plain", "gzip"])
def test_the_official_library(port: int, tenant: SignedUp, is_gzipped: bool) -> None:
    client = Client(tenant.write_key, host=f"http://127.0.0.1:{port}", gzip=is_gzipped, max_retries=1)
    client.identify("u1", {"email": "ada@quartz.example.test", "company": {"employees": 40}})
    client.track("u1", "Demo Requested", {"value": 12.5, "note": "ặ"})
    client.page("u1", None, "Pricing", {"url": "https://quartz.example.test/pricing"})
    client.screen("u1", None, "Home")
    client.group("u1", "g1", {"name": "Quartz & Co"})
    client.alias("device-1", "u1")
    client.flush()
    client.join()
    items = [item for message in kept(tenant) for item in json.loads(message.body)["batch"]]
    assert {message.call for message in kept(tenant)} == {"batch"}
    assert [item["type"] for item in items] == ["identify", "track", "page", "screen", "group", "alias"]


def test_library_with_a_wrong_key_is_told_once(port: int) -> None:
    told: list[Exception] = []
    client = Client(
        "wk_1_" + "a" * 44, host=f"http://127.0.0.1:{port}", on_error=lambda error, _: told.append(error), max_retries=3
    )
    client.track("u1", "Demo Requested")
    started = time.monotonic()
    client.flush()
    client.join()
    [error] = told
    assert "The write key is unknown or was revoked." in str(error)
    assert time.monotonic() - started < 5


class TestOnTheWire:
    def test_chunked_body(self, connection: HTTPConnection, tenant: SignedUp) -> None:
        chunks = iter([TRACK[:10], TRACK[10:]])
        connection.request("POST", "/v1/track", chunks, bearer(tenant), encode_chunked=True)
        assert connection.getresponse().read() == b'{"success":true}'
        assert [message.body for message in kept(tenant)] == [TRACK]

    @pytest.mark.parametrize("megabytes", [1, 3])
    @pytest.mark.parametrize("is_chunked", [False, True], ids=["with length", "chunked"])
    def test_large_body_is_refused_and_the_sender_hears_it(
        self, connection: HTTPConnection, tenant: SignedUp, megabytes: int, is_chunked: bool
    ) -> None:
        body = b" " * (megabytes * 1024 * 1024)
        chunks = (body[start : start + 65536] for start in range(0, len(body), 65536))
        sent = chunks if is_chunked else body
        connection.request("POST", "/v1/batch", sent, bearer(tenant), encode_chunked=is_chunked)
        answer = connection.getresponse()
        assert (answer.status, json.loads(answer.read())["code"]) == (400, "body_too_large")

    def test_gzip_bomb(self, connection: HTTPConnection, tenant: SignedUp) -> None:
        bomb = gzip.compress(b"\0" * 400_000_000)
        started = time.monotonic()
        connection.request("POST", "/v1/batch", bomb, bearer(tenant) | {"Content-Encoding": "gzip"})
        answer = connection.getresponse()
        assert (answer.status, json.loads(answer.read())["code"]) == (400, "body_too_large")
        assert time.monotonic() - started < 2

    def test_connection_serves_on_after_a_refusal(self, connection: HTTPConnection, tenant: SignedUp) -> None:
        for body, status in ((b"{", 400), (TRACK, 200), (b"x" * 40_000, 400), (TRACK, 200)):
            connection.request("POST", "/v1/track", body, bearer(tenant))
            answer = connection.getresponse()
            answer.read()
            assert answer.status == status
        assert len(kept(tenant)) == 2
