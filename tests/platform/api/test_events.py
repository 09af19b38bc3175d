"""Events sent to our own API: what is accepted, what is refused and by which name, and what comes of it."""

import gzip
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from assay.intake.models import Message
from assay.normalise.queries import list_dead_letters
from assay.profiles.models import KeptEvent
from assay_tenants.access.service import SignedUp
from assay_tenants.database import tenant_session
from assay_tenants.models import Source

JSON = {"Content-Type": "application/json"}
GOOD: dict[str, Any] = {"type": "page.viewed", "user_id": "u1"}
Send = Callable[..., Any]


def events_of(tenant: SignedUp) -> list[KeptEvent]:
    with tenant_session(tenant.tenant_id) as session:
        query = select(KeptEvent).where(KeptEvent.tenant_id == tenant.tenant_id)
        return list(session.scalars(query.order_by(KeptEvent.occurred_at, KeptEvent.sender_id)))


def messages_of(tenant: SignedUp) -> list[Message]:
    with tenant_session(tenant.tenant_id) as session:
        return list(session.scalars(select(Message).where(Message.tenant_id == tenant.tenant_id).order_by(Message.id)))


@pytest.fixture
def send(call: Any) -> Send:
    def send(*records: str | dict[str, Any], **headers: str) -> Any:
        written = [record if isinstance(record, str) else json.dumps(record) for record in records]
        body = '{"events":[' + ",".join(written) + "]}"
        return call(
            "POST", "/events", data=body, headers={**JSON, **{k.replace("_", "-"): v for k, v in headers.items()}}
        )

    return send


class TestAccepted:
    def test_comes_out_as_it_was_sent(self, send: Send, tenant: SignedUp, work_off: Callable[[int], int]) -> None:
        properties = {"path": "/pricing", "value": 12.5, "seats": 40, "trial": True, "note": None, "plan": {"tier": 2}}
        answer = send({**GOOD, "id": "e1", "occurred_at": "2026-03-01T16:30:00.25+07:00", "properties": properties})
        assert (answer.status_code, answer.json["accepted"], answer.json["refused"]) == (200, 1, [])
        work_off(tenant.tenant_id)
        (event,) = events_of(tenant)
        assert (event.type, event.sender_id) == ("page.viewed", "e1")
        assert event.occurred_at == datetime(2026, 3, 1, 9, 30, 0, 250_000, tzinfo=UTC)
        assert event.properties == {"path": "/pricing", "value": 12.5, "seats": 40, "trial": True, "plan.tier": 2}
        assert str(event.message_id) == answer.json["message_id"]

    def test_belongs_to_a_source_of_its_own(self, send: Send, tenant: SignedUp) -> None:
        send(GOOD)
        send(GOOD)
        with tenant_session(tenant.tenant_id) as session:
            query = select(Source.name).where(Source.tenant_id == tenant.tenant_id, Source.plugin == "assay")
            assert session.scalars(query).all() == ["API"]

    def test_a_tenants_own_source_of_that_name_is_left_alone(
        self, make_caller: Any, neighbour: SignedUp, work_off: Callable[[int], int]
    ) -> None:
        with tenant_session(neighbour.tenant_id) as session:
            session.add(
                Source(tenant_id=neighbour.tenant_id, name="API", plugin="segment", created_at=datetime.now(UTC))
            )
        answer = make_caller(neighbour.tenant_id)("POST", "/events", json={"events": [GOOD]})
        assert answer.status_code == 200
        work_off(neighbour.tenant_id)
        assert len(events_of(neighbour)) == 1

    def test_gzip(self, call: Any, tenant: SignedUp) -> None:
        body = json.dumps({"events": [GOOD]}).encode()
        answer = call("POST", "/events", data=gzip.compress(body), headers={**JSON, "Content-Encoding": "gzip"})
        assert answer.status_code == 200
        assert [message.body for message in messages_of(tenant)] == [body]

    def test_time_defaults_to_the_receipt(self, send: Send, tenant: SignedUp, work_off: Callable[[int], int]) -> None:
        send(GOOD)
        work_off(tenant.tenant_id)
        (event,) = events_of(tenant)
        assert event.occurred_at == event.received_at

    def test_id_sent_again_counts_once(self, send: Send, tenant: SignedUp, work_off: Callable[[int], int]) -> None:
        send({**GOOD, "id": "e1"}, {**GOOD, "id": "e2"})
        send({**GOOD, "id": "e2"}, {**GOOD, "id": "e3"})
        work_off(tenant.tenant_id)
        assert sorted(event.sender_id for event in events_of(tenant)) == ["e1", "e2", "e3"]

    def test_without_ids_each_counts(self, send: Send, tenant: SignedUp, work_off: Callable[[int], int]) -> None:
        send(GOOD, GOOD)
        send(GOOD)
        work_off(tenant.tenant_id)
        assert len(events_of(tenant)) == 3

    @pytest.mark.parametrize("number", [2_500])
    def test_the_most_there_may_be(self, send: Send, number: int) -> None:
        assert send(*([GOOD] * number)).json["accepted"] == number


SOON = (datetime.now(UTC) + timedelta(hours=23)).isoformat()
LATE = (datetime.now(UTC) + timedelta(hours=25)).isoformat()


def with_(**fields: Any) -> str:
    return json.dumps({**GOOD, **fields})


def deep(levels: int) -> str:
    return '{"type":"a","user_id":"u","properties":' + '{"a":' * levels + "1" + "}" * levels + "}"


@pytest.mark.parametrize(("record", "field", "code", "words"), [
    pytest.param(with_(usr_id="u"), "usr_id", "unknown_field", "did you mean user_id?", id="unknown field"),
    pytest.param('{"user_id":"u"}', "type", "missing", "needed", id="no type"),
    pytest.param('{"type":"a"}', None, "nobody", "user_id, email, anonymous_id or vendor_ids", id="nobody"),
    pytest.param('{"type":"a","vendor_ids":{}}', None, "nobody", "names nobody", id="no vendor"),
    pytest.param("7", None, "wrong_type", "must be a JSON object, not a number", id="a number"),
    pytest.param("null", None, "wrong_type", "not null", id="null"),
    pytest.param("[]", None, "wrong_type", "not a list", id="a list"),
    pytest.param("", None, "malformed", "between two commas", id="nothing"),
    pytest.param('{"type":"a" "user_id":"u"}', None, "malformed", "expected ','", id="a comma is missing"),
    pytest.param(with_(type=1), "type", "wrong_type", "must be text, not a whole number", id="type of a wrong type"),
    pytest.param(with_(type="Page Viewed"), "type", "bad_format", "page.viewed", id="type in words"),
    pytest.param(with_(type="page.viewed\n"), "type", "bad_format", "page.viewed", id="type and a line's end"),
    pytest.param(with_(type=""), "type", "empty", "send a text", id="empty type"),
    pytest.param(with_(type="a" * 201), "type", "too_long", "201 characters; at most 200", id="long type"),
    pytest.param(with_(type="assay.judged"), "type", "reserved", "rename it", id="a type of ours"),
    pytest.param(with_(user_id=7), "user_id", "wrong_type", "text or null", id="a number for an id"),
    pytest.param(with_(user_id=""), "user_id", "empty", "leave it out", id="empty id"),
    pytest.param(with_(user_id=" \t"), "user_id", "empty", "leave it out", id="blank id"),
    pytest.param(with_(user_id="x" * 513), "user_id", "too_long", "at most 512", id="long id"),
    pytest.param(with_(user_id="a\0"), "user_id", "bad_character", "U+0000", id="null character"),
    pytest.param(with_(anonymous_id=" "), "anonymous_id", "empty", "blank", id="blank device"),
    pytest.param(with_(email="n/a"), "email", "bad_format", "ada@example.com, not 'n/a'", id="no address"),
    pytest.param(with_(email="a@b\0.c"), "email", "bad_format", "address", id="address with a null character"),
    pytest.param(with_(vendor_ids={"hubspot": 51}), "vendor_ids.hubspot", "wrong_type", "text", id="vendor's number"),
    pytest.param(with_(vendor_ids={"hubspot": ""}), "vendor_ids.hubspot", "empty", "text", id="vendor's nothing"),
    pytest.param(with_(vendor_ids={"Hub Spot": "5"}), "vendor_ids", "bad_format", "lower-case", id="vendor's name"),
    pytest.param(with_(id=""), "id", "empty", "leave it out", id="empty event id"),
    pytest.param(with_(id="x" * 201), "id", "too_long", "at most 200", id="long event id"),
    pytest.param(with_(occurred_at="yesterday"), "occurred_at", "bad_instant", "not 'yesterday'", id="in words"),
    pytest.param(with_(occurred_at="2026-03-01T09:30:00"), "occurred_at", "bad_instant", "offset", id="no zone"),
    pytest.param(with_(occurred_at="2026-02-30T09:30:00Z"), "occurred_at", "bad_instant", "", id="no such day"),
    pytest.param(with_(occurred_at=1_770_000_000), "occurred_at", "bad_instant", "2026-03-01T09:30:00Z", id="seconds"),
    pytest.param(with_(occurred_at=LATE), "occurred_at", "too_far_ahead", "24 hours ahead", id="far ahead"),
    pytest.param(with_(occurred_at="9999-12-31T23:59:59-12:00"), "occurred_at", "too_far_ahead", "", id="year 9999"),
    pytest.param(with_(occurred_at="1969-12-31T23:59:59Z"), "occurred_at", "too_early", "1970-01-01", id="1969"),
    pytest.param(with_(occurred_at="0001-01-01T00:00:00+14:00"), "occurred_at", "too_early", "", id="year 1"),
    pytest.param(with_(properties=[]), "properties", "wrong_type", "an object or null, not a list", id="a list"),
    pytest.param(with_(properties={"a": {"b": "\0"}}), "properties.a.b", "bad_character", "U+0000", id="null inside"),
    pytest.param(with_(properties={"a\0": 1}), "properties.a␀", "bad_character", "U+0000", id="null in a name"),
    pytest.param(with_(properties={"a": [2**64]}), "properties.a[0]", "bad_number", "64 bits", id="beyond 64 bits"),
    pytest.param(with_(properties={"a": -(2**63) - 1}), "properties.a", "bad_number", "text", id="below 64 bits"),
    pytest.param(with_(properties={"a": float("nan")}), "properties.a", "bad_number", "NaN", id="NaN"),
    pytest.param(with_(properties={"a": [float("inf")]}), "properties.a[0]", "bad_number", "finite", id="infinite"),
    pytest.param('{"type":"a","user_id":"u","properties":{"x":1e400}}', "properties.x", "bad_number", "", id="1e400"),
    pytest.param('{"type":"a","user_id":"u","properties":{"x":' + "9" * 5000 + "}}", "properties.x", "bad_number", "",
                 id="5,000 digits"),
    pytest.param('{"type":"a","user_id":"\\ud83d"}', "user_id", "bad_character", "half a character", id="high half"),
    pytest.param('{"type":"a","user_id":"\\ude00"}', "user_id", "bad_character", "half a character", id="low half"),
    pytest.param('{"type":"a","user_id":"u","properties":{"k\\udc00":1}}', "properties", "bad_character", "",
                 id="half a character in a name"),
    pytest.param(deep(9), "properties" + ".a" * 9, "too_deep", "8 levels", id="nine levels"),
    pytest.param(deep(900), "properties" + ".a" * 9, "too_deep", "8 levels", id="900 levels"),
    pytest.param(deep(5000), None, "too_deep", "8 levels", id="5,000 levels"),
    pytest.param(with_(properties={"a": "x" * 33_000}), None, "too_large", "32,768 bytes (32 KB)", id="33,000 bytes"),
    pytest.param(with_(properties={"k" * 1000: {str(n): 1 for n in range(100)}}), "properties", "too_large", "65,536",
                 id="long names repeated"),
])  # fmt: skip
class TestRefused:
    def test_is_named_and_its_neighbours_are_kept(
        self, send: Send, tenant: SignedUp, work_off: Callable[[int], int],
        record: str, field: str | None, code: str, words: str,
    ) -> None:  # fmt: skip
        answer = send({**GOOD, "id": "before"}, record, {**GOOD, "id": "after"})
        assert (answer.status_code, answer.json["accepted"]) == (207, 2), answer.text
        (refused,) = answer.json["refused"]
        assert (refused["index"], refused["field"], refused["code"]) == (1, field, code), refused
        assert words in refused["message"]
        work_off(tenant.tenant_id)
        assert sorted(event.sender_id for event in events_of(tenant)) == ["after", "before"]
        assert list_dead_letters(tenant.tenant_id, 10).letters == []


@pytest.mark.parametrize("record", [
    pytest.param(with_(occurred_at=SOON), id="soon"),
    pytest.param(with_(occurred_at="1970-01-01T00:00:00Z"), id="the first instant"),
    pytest.param(with_(occurred_at=None, id=None, email=None, properties=None, vendor_ids=None), id="nulls"),
    pytest.param(with_(properties={"a": 2**64 - 1, "b": -(2**63), "c": [None, {"d": []}]}), id="the edges of numbers"),
    pytest.param('{"type":"\\u0061","user_id":"\\ud83d\\ude00"}', id="escapes"),
    pytest.param(deep(8), id="eight levels"),
    pytest.param(with_(properties={"events": [1]}), id="a property called events"),
    pytest.param('{"type":"a","type":"b","user_id":"u"}', id="a field twice: the last one stands"),
])  # fmt: skip
def test_is_accepted_and_understood(send: Send, tenant: SignedUp, work_off: Callable[[int], int], record: str) -> None:
    answer = send(record)
    assert answer.status_code == 200, answer.text
    work_off(tenant.tenant_id)
    assert len(events_of(tenant)) == 1
    assert list_dead_letters(tenant.tenant_id, 10).letters == []


class TestWhole:
    def test_none_accepted(self, send: Send, tenant: SignedUp) -> None:
        answer = send({"type": "a"}, "7")
        assert (answer.status_code, answer.mimetype) == (422, "application/problem+json")
        problem = answer.get_json(force=True)
        assert (problem["code"], problem["accepted"]) == ("none_accepted", 0)
        assert [refused["index"] for refused in problem["refused"]] == [0, 1]
        assert messages_of(tenant) == []

    @pytest.mark.parametrize(("body", "field", "words"), [
        pytest.param("", None, "empty", id="nothing"),
        pytest.param("[]", None, "must be a JSON object", id="a list"),
        pytest.param("{", None, "not valid JSON", id="half"),
        pytest.param("nonsense", None, "not valid JSON", id="no JSON"),
        pytest.param("{}", "events", "missing", id="no events"),
        pytest.param('{"events":{}}', "events", "must be a list", id="no list"),
        pytest.param('{"events":[]}', "events", "at least one", id="none"),
        pytest.param('{"event":[]}', "event", "accepted is events", id="misspelt"),
        pytest.param('{"events":[],"sent_at":1}', "sent_at", "accepted is events", id="something else beside"),
        pytest.param('{"events":[1],"events":[2]}', None, "twice", id="twice"),
        pytest.param("[" * 100_000, None, "JSON object", id="deep"),
        pytest.param('{"events":[' + "1," * 2500 + "1]}", "events", "2,501 records; at most 2,500", id="too many"),
    ])  # fmt: skip
    def test_unreadable(self, call: Any, body: str, field: str | None, words: str) -> None:
        answer = call("POST", "/events", data=body, headers=JSON)
        problem = answer.get_json(force=True)
        assert (answer.status_code, problem["code"]) == (422, "bad_input")
        assert words in problem["detail"]
        assert [error["field"] for error in problem.get("errors", [])] == ([field] if field else [])

    def test_broken_bytes_are_one_records_fault(self, call: Any) -> None:
        body = b'{"events":[{"type":"a","user_id":"\xff"},{"type":"a","user_id":"u"}]}'
        answer = call("POST", "/events", data=body, headers=JSON)
        assert (answer.status_code, answer.json["refused"][0]["field"]) == (207, "user_id")

    @pytest.mark.parametrize(("headers", "body", "status", "words"), [
        pytest.param({"Content-Type": "text/plain"}, b"{}", 415, "application/json", id="another type"),
        pytest.param(JSON, b" " * 600_000, 413, "512,000 bytes", id="too large"),
        pytest.param({**JSON, "Content-Encoding": "gzip"}, gzip.compress(b"\0" * 5_000_000), 413, "KB", id="bomb"),
        pytest.param({**JSON, "Content-Encoding": "gzip"}, b"{}", 422, "not gzip", id="no gzip"),
        pytest.param({**JSON, "Content-Encoding": "br"}, b"{}", 422, "br", id="another encoding"),
    ])  # fmt: skip
    def test_cant_be_read_at_all(
        self, call: Any, headers: dict[str, str], body: bytes, status: int, words: str
    ) -> None:
        answer = call("POST", "/events", data=body, headers=headers)
        assert (answer.status_code, answer.mimetype) == (status, "application/problem+json")
        assert words in answer.get_json(force=True)["detail"]

    def test_needs_an_api_key(self, api_app: Any, tenant: SignedUp) -> None:
        client = api_app.test_client()
        headers = {"Authorization": f"Bearer {tenant.write_key}"}
        assert client.post("/api/v1/events", json={"events": [GOOD]}).status_code == 401
        assert client.post("/api/v1/events", json={"events": [GOOD]}, headers=headers).status_code == 401

    def test_what_cant_be_kept_is_not_accepted(self, send: Send, api_app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        from assay.intake.errors import CannotKeep

        def cannot(_: object) -> None:
            raise CannotKeep(after=timedelta(seconds=5))

        monkeypatch.setattr(api_app.extensions["tracking"].writer, "keep", cannot)
        answer = send(GOOD)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
