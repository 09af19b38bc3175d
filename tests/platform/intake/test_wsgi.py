"""What is accepted is on disk; what isn't gets a status, a code, and a sentence that says what to mend."""

import base64
import gzip
import json
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from assay.intake import errors
from assay.intake.callers import Callers
from assay.intake.calls import WORDS
from assay.intake.errors import CannotKeep
from assay.intake.models import Message, Waiting
from assay.intake.writer import Received, Writer
from assay.intake.wsgi import Tracking
from assay_tenants import database
from assay_tenants.access.service import SignedUp
from assay_tenants.database import tenant_session
from assay_tenants.errors import AssayError
from assay_tenants.keys import list_keys, revoke_key

#: One request of each kind that Segment's libraries for Python, Node and browsers send, with made-up content.
REQUESTS = [json.loads(line) for line in Path(__file__).with_name("library_requests.jsonl").read_text().splitlines()]

TRACK: dict[str, Any] = {"userId": "u1", "event": "Demo Requested", "messageId": "m-1"}


@pytest.fixture
def tracking(app: Flask) -> Tracking:
    found: Tracking = app.extensions["tracking"]
    return found


def basic(key: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{key}:".encode()).decode()}


def refusals() -> list[type[AssayError]]:
    return [found for found in vars(errors).values() if isinstance(found, type) and issubclass(found, AssayError)]


def kept(tenant_id: int) -> list[Message]:
    with tenant_session(tenant_id) as session:
        messages = session.scalars(select(Message).where(Message.tenant_id == tenant_id).order_by(Message.id)).all()
        waiting = session.scalars(select(Waiting.message_id).where(Waiting.tenant_id == tenant_id)).all()
    assert {message.id for message in messages} == set(waiting)
    return list(messages)


def post(client: FlaskClient, path: str, body: Any, **headers: str) -> TestResponse:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return client.post(path, data=data, headers=headers)


class TestAccept:
    @pytest.mark.parametrize(
        ("call", "body"),
        [
            pytest.param("identify", {"userId": "u1", "traits": {"plan": "pro"}}, id="identify"),
            pytest.param("identify", {"anonymousId": "a1", "userId": None}, id="anonymous, with an explicit null"),
            pytest.param("identify", {"userId": 51}, id="a number as id"),
            pytest.param("track", TRACK, id="track"),
            pytest.param("page", {"userId": "u1", "name": "Pricing", "category": None}, id="page"),
            pytest.param("screen", {"userId": "u1", "name": "Home"}, id="screen"),
            pytest.param("group", {"userId": "u1", "groupId": "g1"}, id="group"),
            pytest.param("alias", {"userId": "u1", "previousId": "a1"}, id="alias"),
            pytest.param("batch", {"batch": []}, id="empty batch"),
            pytest.param("batch", {"batch": [{"type": "track", **TRACK}, 7, {"type": "?"}]}, id="batch with bad items"),
        ],
    )
    def test_message_is_kept_as_it_came(
        self, client: FlaskClient, tenant: SignedUp, call: str, body: dict[str, Any]
    ) -> None:
        answer = post(client, f"/v1/{call}", body, **basic(tenant.write_key))
        assert (answer.status_code, answer.json) == (200, {"success": True})
        [message] = kept(tenant.tenant_id)
        assert (message.call, message.body) == (call, json.dumps(body).encode())

    @pytest.mark.parametrize("end", ["", "/"], ids=["", "slash"])
    @pytest.mark.parametrize("word", WORDS)
    def test_every_path_keeps_its_call(self, client: FlaskClient, tenant: SignedUp, word: str, end: str) -> None:
        single = {"userId": "u1", "event": "E", "groupId": "g1", "previousId": "a1"}
        body = {"batch": [{"type": "track", **TRACK}]} if WORDS[word] == "batch" else single
        assert post(client, f"/v1/{word}{end}", body, **basic(tenant.write_key)).status_code == 200
        assert [message.call for message in kept(tenant.tenant_id)] == [WORDS[word]]

    def test_words_are_those_that_libraries_use(self) -> None:
        calls = {"identify", "track", "page", "screen", "group", "alias", "batch"}
        assert set(WORDS) == calls | {"i", "t", "p", "s", "g", "a", "b"} | {"import"}
        assert {WORDS[word] for word in WORDS} == calls
        assert WORDS["import"] == "batch"

    @pytest.mark.parametrize("path", ["/v1/m", "/v1/m/"])
    def test_metrics_are_taken_and_forgotten(self, client: FlaskClient, path: str) -> None:
        answer = client.post(path, data=b'{"series":[{"type":"Counter"}]}', content_type="text/plain")
        assert (answer.status_code, answer.json) == (200, {"success": True})

    def test_metrics_are_bounded(self, client: FlaskClient) -> None:
        answer = client.post("/v1/m", data=b" " * 600_000)
        assert (answer.status_code, answer.json["code"]) == (400, "body_too_large")

    @pytest.mark.parametrize(
        "content_type", ["application/json", "text/plain", "application/x-www-form-urlencoded", ""]
    )
    def test_content_type_does_not_matter(self, client: FlaskClient, tenant: SignedUp, content_type: str) -> None:
        answer = client.post(
            "/v1/track", data=json.dumps(TRACK), headers=basic(tenant.write_key), content_type=content_type
        )
        assert answer.status_code == 200
        assert len(kept(tenant.tenant_id)) == 1

    @pytest.mark.parametrize("where", ["basic", "bearer", "body", "first item"])
    def test_key_is_found(self, client: FlaskClient, tenant: SignedUp, where: str) -> None:
        key, item, body, headers = tenant.write_key, {"type": "track", **TRACK}, {}, {}
        match where:
            case "basic":
                headers = basic(key)
            case "bearer":
                headers = {"Authorization": f"Bearer {key}"}
            case "body":
                body = {"writeKey": key}
            case "first item":
                item["writeKey"] = key
        assert post(client, "/v1/batch", {"batch": [item], **body}, **headers).status_code == 200
        assert len(kept(tenant.tenant_id)) == 1

    def test_empty_user_name_leaves_the_key_to_the_body(self, client: FlaskClient, tenant: SignedUp) -> None:
        assert post(client, "/v1/track", TRACK | {"writeKey": tenant.write_key}, **basic("")).status_code == 200

    def test_gzip_is_inflated(self, client: FlaskClient, tenant: SignedUp) -> None:
        body = json.dumps(TRACK).encode()
        two_members = gzip.compress(body[:10]) + gzip.compress(body[10:])
        for sent in (gzip.compress(body), two_members):
            headers = basic(tenant.write_key) | {"Content-Encoding": "gzip"}
            assert client.post("/v1/track", data=sent, headers=headers).status_code == 200
        assert [message.body for message in kept(tenant.tenant_id)] == [body, body]

    def test_ids_sort_by_time(self, client: FlaskClient, tenant: SignedUp) -> None:
        for number in range(5):
            post(client, "/v1/track", TRACK | {"messageId": f"m-{number}"}, **basic(tenant.write_key))
        sent = [json.loads(message.body)["messageId"] for message in kept(tenant.tenant_id)]
        assert sent == [f"m-{number}" for number in range(5)]

    @pytest.mark.parametrize(
        "item",
        [
            pytest.param('{"type":"track","userId":"u","event":"E","properties":{"v":NaN}}', id="NaN"),
            pytest.param('{"type":"track","userId":"u","event":"E","properties":{"v":-Infinity}}', id="infinity"),
            pytest.param('{"type":"track","userId":"u","event":"\\ud800"}', id="half a letter"),
            pytest.param('{"type":"track","userId":"u","event":"\\u0000"}', id="U+0000"),
            pytest.param('{"type":"track","userId":"u","event":"E","properties":{"v":1e400}}', id="1e400"),
            pytest.param(
                '{"type":"track","userId":"u","event":"E","properties":{"v":' + "9" * 5000 + "}}", id="digits"
            ),
            pytest.param('{"type":"track","userId":"u","event":"' + "x" * 33_000 + '"}', id="over 32 KB"),
        ],
    )
    def test_one_bad_item_does_not_fail_its_batch(self, client: FlaskClient, tenant: SignedUp, item: str) -> None:
        body = f'{{"batch":[{{"type":"track","userId":"u","event":"Good"}},{item}],"writeKey":"{tenant.write_key}"}}'
        assert post(client, "/v1/batch", body.encode()).status_code == 200
        assert [message.body for message in kept(tenant.tenant_id)] == [body.encode()]

    def test_bytes_that_are_not_utf8_do_not_fail_their_batch(self, client: FlaskClient, tenant: SignedUp) -> None:
        body = b'{"batch":[{"type":"track","userId":"\xff","event":"E"}]}'
        assert post(client, "/v1/batch", body, **basic(tenant.write_key)).status_code == 200

    @pytest.mark.parametrize("sent", REQUESTS, ids=lambda sent: f"{sent['library']} {sent['call']}")
    def test_what_libraries_send(self, client: FlaskClient, tenant: SignedUp, sent: dict[str, Any]) -> None:
        headers = dict(sent["headers"])
        if headers.pop("Authorization", None):
            headers |= basic(tenant.write_key)
        inflated = sent["body"].replace("WRITE_KEY", tenant.write_key).encode()
        body = gzip.compress(inflated) if headers.get("Content-Encoding") == "gzip" else inflated
        assert client.post(f"/v1/{sent['call']}", data=body, headers=headers).status_code == 200
        assert [message.body for message in kept(tenant.tenant_id)] == [inflated]


DEEP = b'{"userId":"u","event":"e","properties":' + b'{"a":' * 4000 + b"1" + b"}" * 4001

REFUSALS = [
    pytest.param("track", b"", "malformed_json", None, "The body is empty; send a JSON object.", id="empty"),
    pytest.param(
        "track",
        b'{"userId":"u",}',
        "malformed_json",
        None,
        "The body is not valid JSON: trailing comma in object (byte 14).",
        id="trailing comma",
    ),
    pytest.param(
        "batch",
        b'{"batch":[{"type":"track"}',
        "malformed_json",
        None,
        "The body is not valid JSON: it ends too early, after byte 26.",
        id="cut off",
    ),
    pytest.param(
        "track",
        b'{"userId":NaN}',
        "malformed_json",
        None,
        "The body is not valid JSON: invalid character (byte 10).",
        id="NaN in a single call",
    ),
    pytest.param(
        "track",
        b'{"userId":"\xff"}',
        "malformed_json",
        None,
        "The body is not valid JSON: byte 11 is not UTF-8.",
        id="not UTF-8",
    ),
    pytest.param(
        "track",
        rb'{"userId":"a","event":"x","properties":{"a":"\ud83d"}}',
        "malformed_json",
        None,
        "The body is not valid JSON: it holds half a character, an escape such as \\ud83d without its other half.",
        id="half a character",
    ),
    pytest.param("track", DEEP, "malformed_json", None, "The body is nested too deeply.", id="deep"),
    pytest.param("track", b"[1]", "bad_input", None, "The body must be an object, not a list.", id="a list"),
    pytest.param(
        "batch", b'{"batch":{}}', "bad_input", "batch", "batch must be a list, not an object.", id="batch is no list"
    ),
    pytest.param("batch", b"{}", "bad_input", "batch", "batch is missing.", id="no batch"),
    pytest.param(
        "track",
        b'{"event":"E"}',
        "bad_input",
        "userId",
        "The call names nobody: userId or anonymousId is needed, as text.",
        id="nobody",
    ),
    pytest.param(
        "page",
        b'{"userId":"  ","anonymousId":null}',
        "bad_input",
        "userId",
        "The call names nobody: userId or anonymousId is needed, as text.",
        id="blank",
    ),
    pytest.param(
        "track",
        b'{"userId":["u"],"event":"E"}',
        "bad_input",
        "userId",
        "userId must be a whole number, text or null, not a list.",
        id="a list as id",
    ),
    pytest.param(
        "track",
        b'{"userId":"u","event":"E","properties":[1]}',
        "bad_input",
        "properties",
        "properties must be an object or null, not a list.",
        id="properties are a list",
    ),
    pytest.param(
        "track",
        b'{"userId":"u"}',
        "bad_input",
        "event",
        "event is missing: a track call says what was done, as text.",
        id="no event",
    ),
    pytest.param(
        "group",
        b'{"userId":"u"}',
        "bad_input",
        "groupId",
        "groupId is missing: a group call says which company it is, as text.",
        id="no groupId",
    ),
    pytest.param(
        "alias",
        b'{"userId":"u"}',
        "bad_input",
        "previousId",
        "previousId is missing: an alias call says who it was before, as text.",
        id="no previousId",
    ),
    pytest.param(
        "track",
        json.dumps(TRACK | {"messageId": "m" * 201}).encode(),
        "bad_input",
        "messageId",
        "messageId is longer than 200 characters.",
        id="long messageId",
    ),
    pytest.param(
        "track",
        json.dumps(TRACK | {"properties": {"text": "x" * 32_768}}).encode(),
        "event_too_large",
        None,
        "The event of 32,859 bytes is over the limit: 32,768 bytes (32 KB).",
        id="event over 32 KB",
    ),
    pytest.param(
        "batch",
        json.dumps({"batch": [1] * 2501}).encode(),
        "batch_too_large",
        "batch",
        "The batch has 2,501 items; at most 2,500 are accepted.",
        id="too many items",
    ),
    pytest.param(
        "batch",
        json.dumps({"batch": ["x" * 512_000]}).encode(),
        "body_too_large",
        None,
        "The body of 512,015 bytes is over the limit: 512,000 bytes (500 KB). Send smaller batches.",
        id="body over 500 KB",
    ),
]


class TestRefuse:
    @pytest.mark.parametrize(("call", "body", "code", "field", "message"), REFUSALS)
    def test_bad_request(
        self, client: FlaskClient, tenant: SignedUp, call: str, body: bytes, code: str, field: str | None, message: str
    ) -> None:
        answer = post(client, f"/v1/{call}", body, **basic(tenant.write_key))
        expected = {"code": code, "message": message} | ({"field": field} if field else {})
        assert (answer.status_code, answer.json) == (400, expected)
        assert kept(tenant.tenant_id) == []

    @pytest.mark.parametrize(
        ("body", "encoding", "code"),
        [
            pytest.param(gzip.compress(b" " * 600_000), "gzip", "body_too_large", id="inflates beyond 500 KB"),
            pytest.param(gzip.compress(b"\0" * 400_000_000, 9), "gzip", "body_too_large", id="gzip bomb"),
            pytest.param(gzip.compress(b"{}")[:-4], "gzip", "bad_gzip", id="gzip cut off"),
            pytest.param(b"{}", "gzip", "bad_gzip", id="not gzip"),
            pytest.param(b"{}", "br", "bad_input", id="another encoding"),
        ],
    )
    def test_bad_encoding(self, client: FlaskClient, tenant: SignedUp, body: bytes, encoding: str, code: str) -> None:
        answer = post(client, "/v1/track", body, **basic(tenant.write_key), **{"Content-Encoding": encoding})
        assert answer.status_code == 400
        assert answer.json is not None
        assert answer.json["code"] == code

    @pytest.mark.parametrize("chunk", [b"x" * 1000, b" "], ids=["long chunks", "short chunks"])
    def test_chunked_body_is_bounded(self, client: FlaskClient, tenant: SignedUp, chunk: bytes) -> None:
        class Endless:
            read_bytes = 0

            def read(self, size: int = -1) -> bytes:
                assert size >= 0, "read without a bound"
                self.read_bytes += min(size, len(chunk))
                return chunk[:size]

        stream = Endless()
        answer = client.post(
            "/v1/track",
            headers=basic(tenant.write_key),
            environ_overrides={"wsgi.input": stream, "wsgi.input_terminated": True, "CONTENT_LENGTH": ""},
        )
        assert answer.status_code == 400
        assert stream.read_bytes < 6_000_000

    @pytest.mark.parametrize(
        ("headers", "body", "message"),
        [
            pytest.param({}, {}, "No write key came with the request.", id="none"),
            pytest.param(basic("wk_1_nonsense"), {}, "The write key is unknown or was revoked.", id="malformed"),
            pytest.param(basic("x" * 5000), {}, "The write key is unknown or was revoked.", id="endless"),
            pytest.param(
                basic("wk_1_" + "a" * 44), {}, "The write key is unknown or was revoked.", id="well-formed, unknown"
            ),
            pytest.param({}, {"writeKey": "wk_1_" + "a" * 44}, "The write key is unknown or was revoked.", id="body"),
            pytest.param(
                {"Authorization": "Basic %%%"},
                {},
                "The Authorization header says Basic, but is not base64 of `user:password`.",
                id="not base64",
            ),
        ],
    )
    def test_key(self, client: FlaskClient, headers: dict[str, str], body: dict[str, Any], message: str) -> None:
        answer = post(client, "/v1/track", TRACK | body, **headers)
        assert answer.status_code == 401
        assert answer.json is not None
        assert answer.json["code"] == "wrong_write_key"
        assert answer.json["message"].startswith(message)
        assert "HTTP Basic" in answer.json["message"]

    def test_wrong_key_in_front_wins_over_the_one_in_the_body(self, client: FlaskClient, tenant: SignedUp) -> None:
        answer = post(client, "/v1/track", TRACK | {"writeKey": tenant.write_key}, **basic("wk_1_" + "a" * 44))
        assert answer.status_code == 401

    @pytest.mark.parametrize("path", ["/v1/", "/v1/tracks", "/v1/Track", "/v1/x", "/v1/projects/wk_1_a", "/v1/é"])
    @pytest.mark.parametrize("method", ["GET", "POST"])
    def test_other_paths_are_answered_for_programs(self, client: FlaskClient, path: str, method: str) -> None:
        answer = client.open(path, method=method)
        assert (answer.status_code, answer.json["code"]) == (404, "no_such_call")
        assert "/v1/batch" in answer.json["message"]

    @pytest.mark.parametrize("path", ["/v1/batch", "/v1/t", "/v1/m"])
    @pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
    def test_other_methods(self, client: FlaskClient, path: str, method: str) -> None:
        answer = client.open(path, method=method)
        assert (answer.status_code, answer.headers["Allow"]) == (405, "POST, OPTIONS")
        assert answer.json == {
            "code": "method_not_allowed",
            "message": f"{method} is not accepted here; send a POST.",
        }

    def test_head_has_no_body(self, client: FlaskClient) -> None:
        answer = client.head("/v1/batch")
        assert (answer.status_code, answer.headers["Allow"], answer.data) == (405, "POST, OPTIONS", b"")

    @pytest.mark.parametrize(
        ("path", "headers", "method"),
        [
            pytest.param("/v1/batch", basic("wk_1_" + "a" * 44), "POST", id="wrong key"),
            pytest.param("/v1/batch", {"Authorization": "Basic %%%"}, "POST", id="not base64"),
            pytest.param("/v1/batch", {"Authorization": "Basic \xdf"}, "POST", id="no letter of base64"),
            pytest.param("/v1/batch", {}, "PUT", id="wrong method"),
            pytest.param("/v1/nothing", {}, "POST", id="wrong path"),
        ],
    )
    def test_refused_early_is_still_read_to_its_end(
        self, client: FlaskClient, path: str, headers: dict[str, str], method: str
    ) -> None:
        stream = BytesIO(b"x" * 400_000)
        length = {"wsgi.input": stream, "CONTENT_LENGTH": "400000"}
        answer = client.open(path, method=method, headers=headers, environ_overrides=length)
        assert answer.status_code in (401, 404, 405)
        assert stream.tell() == 400_000

    @pytest.mark.parametrize(
        ("after", "told"),
        [
            pytest.param(timedelta(seconds=5), "5", id="whole seconds"),
            pytest.param(timedelta(seconds=0.2), "1", id="less than a second"),
            pytest.param(timedelta(seconds=7.1), "8", id="rounded up"),
            pytest.param(timedelta(hours=1), "300", id="longer than libraries wait"),
        ],
    )
    def test_when_to_send_again(
        self, client: FlaskClient, tenant: SignedUp, monkeypatch: pytest.MonkeyPatch, after: timedelta, told: str
    ) -> None:
        def keep(self: Writer, message: Received) -> None:
            raise CannotKeep(after=after)

        monkeypatch.setattr(Writer, "keep", keep)
        answer = post(client, "/v1/track", TRACK, **basic(tenant.write_key))
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, told)

    @pytest.mark.parametrize("refusal", refusals(), ids=lambda refusal: refusal.__name__)
    def test_no_refusal_has_a_status_that_libraries_send_again_for_hours(self, refusal: type[AssayError]) -> None:
        assert refusal.status not in (408, 410, 460)

    def test_failure_of_our_own(self, client: FlaskClient, tenant: SignedUp, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Writer, "keep", lambda self, message: 1 / 0)
        answer = post(client, "/v1/track", TRACK, **basic(tenant.write_key))
        assert answer.status_code == 500
        assert answer.json is not None
        assert set(answer.json) == {"code", "message"}

    def test_revoked_key_stops_within_five_seconds(
        self, client: FlaskClient, tracking: Tracking, tenant: SignedUp, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        now = 1000.0
        monkeypatch.setattr(tracking, "callers", Callers(clock=lambda: now))
        assert post(client, "/v1/track", TRACK, **basic(tenant.write_key)).status_code == 200
        [key] = list_keys(tenant.tenant_id, kind="write")
        revoke_key(tenant.tenant_id, key.id)
        now += 4.9
        assert post(client, "/v1/track", TRACK, **basic(tenant.write_key)).status_code == 401

    def test_database_away(
        self, client: FlaskClient, tracking: Tracking, tenant: SignedUp, servers: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tracking, "writer", Writer())
        assert post(client, "/v1/track", TRACK, **basic(tenant.write_key)).status_code == 200
        try:
            database.configure("postgresql://assay_app@/assay?host=/nowhere")
            for remembered in (True, False):
                if not remembered:
                    tracking.callers.forget()
                answer = post(client, "/v1/track", TRACK, **basic(tenant.write_key))
                assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
                assert answer.json is not None
                assert answer.json["code"] == "unavailable"
        finally:
            database.configure(servers.database_url)
        assert post(client, "/v1/track", TRACK, **basic(tenant.write_key)).status_code == 200
        assert len(kept(tenant.tenant_id)) == 2
