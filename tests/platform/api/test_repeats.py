"""Idempotency keys: a request is done once, and its answer repeated."""

import gzip
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from threading import Event
from typing import Any

import pytest
from flask import Flask, Response
from sqlalchemy import func, select, update

from assay.api import repeats
from assay.intake import idempotency
from assay.intake.idempotency import RememberedAnswer
from assay.intake.models import Message
from assay.profiles.models import KeptEvent
from assay_tenants.access.service import SignedUp
from assay_tenants.database import tenant_session
from assay_tenants.keys import issue_key

GOOD = {"type": "page.viewed", "user_id": "u1"}
BATCH = {"events": [GOOD, {"type": "Bad"}, GOOD]}
KEY = {"Idempotency-Key": "0c8f"}
YAML = {"Content-Type": "application/yaml"}
MODEL = "{model: sample, rules: [{id: a, on: page.viewed, points: 1}]}"


def count(tenant: SignedUp, table: Any) -> int:
    with tenant_session(tenant.tenant_id) as session:
        query = select(func.count()).select_from(table).where(table.tenant_id == tenant.tenant_id)
        return session.execute(query).scalar_one()


def changed(tenant: SignedUp, **values: Any) -> None:
    with tenant_session(tenant.tenant_id) as session:
        session.execute(update(RememberedAnswer).where(RememberedAnswer.tenant_id == tenant.tenant_id).values(**values))


class TestRepeated:
    def test_same_answer_without_doing_it_again(self, call: Any, tenant: SignedUp) -> None:
        first, second = (call("POST", "/events", json=BATCH, headers=KEY) for _ in range(2))
        assert (first.status_code, second.status_code) == (207, 207)
        assert (first.data, first.mimetype) == (second.data, second.mimetype)
        assert repeats.REPLAYED not in first.headers
        assert second.headers[repeats.REPLAYED] == "true"
        assert count(tenant, Message) == 1

    def test_compressed_anew_it_is_the_same_request(self, call: Any, tenant: SignedUp) -> None:
        for mtime in (1, 2):
            body = gzip.compress(json.dumps(BATCH).encode(), mtime=mtime)
            headers = {**KEY, "Content-Type": "application/json", "Content-Encoding": "gzip"}
            assert call("POST", "/events", data=body, headers=headers).status_code == 207
        assert count(tenant, Message) == 1

    def test_other_routes_too(self, call: Any) -> None:
        first, second = (call("POST", "/models", data=MODEL, headers={**KEY, **YAML}) for _ in range(2))
        assert (first.status_code, first.data) == (second.status_code, second.data) == (201, first.data)
        assert second.headers[repeats.REPLAYED] == "true"
        assert first.headers.get("ETag") == second.headers.get("ETag")
        assert call("POST", "/models", data=MODEL, headers=YAML).status_code == 409

    def test_a_file_is_read_once(self, call: Any) -> None:
        headers = {**KEY, "Content-Type": "text/csv"}
        answers = [call("POST", "/imports?kind=leads", data="id\n1\n", headers=headers) for _ in range(2)]
        assert [answer.json["id"] for answer in answers] == [answers[0].json["id"]] * 2
        other = call("POST", "/imports?kind=leads", data="id\n1\n2\n", headers=headers)
        assert (other.status_code, other.get_json(force=True)["code"]) == (422, "idempotency_key_reused")

    def test_another_key_brings_events_of_its_own(
        self, call: Any, tenant: SignedUp, work_off: Callable[[int], int]
    ) -> None:
        for key in ("first", "second"):
            assert call("POST", "/events", json=BATCH, headers={"Idempotency-Key": key}).json["accepted"] == 2
        work_off(tenant.tenant_id)
        assert count(tenant, KeptEvent) == 4

    def test_without_a_key_each_is_done(self, call: Any, tenant: SignedUp) -> None:
        for _ in range(2):
            call("POST", "/events", json=BATCH)
        assert count(tenant, Message) == 2
        assert count(tenant, RememberedAnswer) == 0

    def test_neighbours_keys_are_their_own(
        self, call: Any, make_caller: Any, tenant: SignedUp, neighbour: SignedUp
    ) -> None:
        call("POST", "/events", json=BATCH, headers=KEY)
        answer = make_caller(neighbour.tenant_id)("POST", "/events", json=BATCH, headers=KEY)
        assert repeats.REPLAYED not in answer.headers
        assert (count(tenant, Message), count(neighbour, Message)) == (1, 1)

    def test_a_day_later_it_is_another_request(self, call: Any, tenant: SignedUp) -> None:
        call("POST", "/events", json=BATCH, headers=KEY)
        changed(tenant, created_at=datetime.now(UTC) - timedelta(hours=24, seconds=1))
        answer = call("POST", "/events", json={"events": [GOOD]}, headers=KEY)
        assert (answer.status_code, answer.json["accepted"]) == (200, 1)


@pytest.mark.parametrize(("path", "body"), [
    pytest.param("/events", {"events": [GOOD]}, id="another body"),
    pytest.param("/leads", BATCH, id="another path"),
    pytest.param("/events?x=1", BATCH, id="another query"),
])  # fmt: skip
def test_key_of_another_request_is_refused(call: Any, tenant: SignedUp, path: str, body: Any) -> None:
    call("POST", "/events", json=BATCH, headers=KEY)
    answer = call("POST", path, json=body, headers=KEY)
    problem = answer.get_json(force=True)
    assert (answer.status_code, problem["code"]) == (422, "idempotency_key_reused")
    assert problem["errors"][0]["field"] == "Idempotency-Key"
    assert count(tenant, Message) == 1


@pytest.mark.parametrize("key", ["", " ", "x" * 256, "é", "a\tb"], ids=["empty", "blank", "long", "accent", "tab"])
def test_what_is_no_key(call: Any, tenant: SignedUp, key: str) -> None:
    answer = call("POST", "/events", json=BATCH, headers={"Idempotency-Key": key})
    assert answer.status_code == 422
    assert "1 to 255 printable ASCII" in answer.get_json(force=True)["detail"]
    assert count(tenant, Message) == 0


class TestNothingWasDone:
    def test_a_refusal_is_not_remembered(self, call: Any, tenant: SignedUp) -> None:
        assert call("POST", "/events", json={"events": [{}]}, headers=KEY).status_code == 422
        assert count(tenant, RememberedAnswer) == 0
        assert call("POST", "/events", json=BATCH, headers=KEY).status_code == 207

    def test_a_failure_is_not_remembered(
        self, call: Any, api_app: Flask, tenant: SignedUp, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as broken:
            broken.setattr(api_app.extensions["tracking"].writer, "keep", lambda _: 1 / 0)
            assert call("POST", "/events", json=BATCH, headers=KEY).status_code == 500
        answer = call("POST", "/events", json=BATCH, headers=KEY)
        assert answer.status_code == 207
        assert repeats.REPLAYED not in answer.headers


class TestAtTheSameTime:
    def test_the_second_waits_for_the_first(
        self, make_caller: Any, api_app: Flask, tenant: SignedUp, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        writer = api_app.extensions["tracking"].writer
        begun, go_on, keep = Event(), Event(), writer.keep

        def slowly(message: Any) -> None:
            begun.set()
            assert go_on.wait(20)
            keep(message)

        monkeypatch.setattr(writer, "keep", slowly)
        call = make_caller(tenant.tenant_id)
        with ThreadPoolExecutor(1) as pool:
            first = pool.submit(call, "POST", "/events", json=BATCH, headers=KEY)
            assert begun.wait(20)
            second = make_caller(tenant.tenant_id)("POST", "/events", json=BATCH, headers=KEY)
            go_on.set()
        assert (second.status_code, second.get_json(force=True)["code"]) == (409, "idempotency_key_in_use")
        assert second.headers["Retry-After"] == "1"
        assert first.result().status_code == 207

    def test_fifty_through_the_real_server(self, port: int, tenant: SignedUp, work_off: Callable[[int], int]) -> None:
        secret = issue_key(tenant.tenant_id, kind="api", name="Fifty").secret
        headers = {**KEY, "Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
        body = json.dumps({"events": [GOOD] * 10})

        def send(_: int) -> tuple[int, bytes]:
            while True:
                connection = HTTPConnection("127.0.0.1", port, timeout=30)
                connection.request("POST", "/api/v1/events", body, headers)
                answer = connection.getresponse()
                content = answer.read()
                connection.close()
                if answer.status != 409:
                    return answer.status, content

        with ThreadPoolExecutor(50) as pool:
            answers = set(pool.map(send, range(50)))
        assert [status for status, _ in answers] == [200]
        assert count(tenant, Message) == 1
        work_off(tenant.tenant_id)
        assert count(tenant, KeptEvent) == 10


class TestCrash:
    def test_between_keeping_and_remembering_counts_once(
        self, call: Any, tenant: SignedUp, work_off: Callable[[int], int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as died:
            died.setattr(idempotency.Claim, "remember", lambda *_: None)
            assert call("POST", "/events", json=BATCH, headers=KEY).status_code == 207
        assert call("POST", "/events", json=BATCH, headers=KEY).status_code == 409
        changed(tenant, claimed_to=datetime.now(UTC) - timedelta(seconds=1))
        answer = call("POST", "/events", json=BATCH, headers=KEY)
        assert (answer.status_code, answer.json["accepted"]) == (207, 2)
        assert count(tenant, Message) == 2
        work_off(tenant.tenant_id)
        assert count(tenant, KeptEvent) == 2

    def test_who_comes_too_late_changes_nothing(self, tenant: SignedUp) -> None:
        slow = idempotency.claim(tenant.tenant_id, "k", b"f", lease=timedelta(0))
        other = idempotency.claim(tenant.tenant_id, "k", b"f")
        assert isinstance(slow, idempotency.Claim)
        assert isinstance(other, idempotency.Claim)
        slow.remember(idempotency.Answer(200, [], b"slow"))
        slow.release()
        other.remember(idempotency.Answer(201, [("ETag", "x")], b"other"))
        answer = idempotency.claim(tenant.tenant_id, "k", b"f")
        assert answer == idempotency.Answer(201, [("ETag", "x")], b"other")

    def test_an_abandoned_key_stays_that_requests(self, tenant: SignedUp) -> None:
        idempotency.claim(tenant.tenant_id, "k", b"f", lease=timedelta(0))
        with pytest.raises(idempotency.AnotherRequest):
            idempotency.claim(tenant.tenant_id, "k", b"another")


class TestPrune:
    def test_forgets_what_is_older_than_a_day(
        self, call: Any, tenant: SignedUp, neighbour: SignedUp, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(idempotency, "_PRUNED", 2)
        for number in range(5):
            idempotency.claim(tenant.tenant_id, f"old {number}", b"f")
        changed(tenant, created_at=datetime.now(UTC) - timedelta(hours=25))
        idempotency.claim(tenant.tenant_id, "new", b"f")
        idempotency.claim(neighbour.tenant_id, "new", b"f")
        assert idempotency.prune() >= 5
        assert (count(tenant, RememberedAnswer), count(neighbour, RememberedAnswer)) == (1, 1)


def test_an_answer_that_is_too_large_is_not_remembered(
    api_app: Flask, tenant: SignedUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = idempotency.claim(tenant.tenant_id, "k", b"f")
    assert isinstance(claim, idempotency.Claim)
    monkeypatch.setattr(idempotency, "LARGEST_ANSWER", 10)
    claim.remember(idempotency.Answer(200, [], b"x" * 11))
    with pytest.raises(idempotency.StillUnderWay):
        idempotency.claim(tenant.tenant_id, "k", b"f")


def test_every_post_of_the_api_is_described_with_the_header(api_app: Flask) -> None:
    document = api_app.test_client().get("/api/v1/openapi.json").json
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if method != "parameters":
                names = [each["name"] for each in operation.get("parameters", [])]
                assert (repeats.HEADER in names) == (method == "post"), (method, path)


def test_a_streamed_answer_is_not_remembered(api_app: Flask, tenant: SignedUp) -> None:
    from flask import g

    from assay.api.bearers import Caller

    with api_app.test_request_context("/api/v1/x", method="POST"):
        g.api_caller = Caller(tenant.tenant_id, frozenset(), "key", "1", "API key 1")
        repeats.answered_once("k", b"f", lambda: Response(iter([b"a"])))
    assert count(tenant, RememberedAnswer) == 0
