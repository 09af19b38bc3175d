import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay_sdk import Deletion, Event, Identifiers, Identify, Message, Misunderstood, Refused, Request
from assay_sdk.signatures import sign
from assay_segment.hooks import LARGEST_DELIVERY, first_event
from assay_segment.ours import LIBRARY
from assay_segment.source import Segment

NOW = datetime(2026, 9, 21, 14, 0, tzinfo=UTC)
AT = datetime(2026, 9, 21, 12, tzinfo=UTC)
STATED = "2026-09-21T12:00:00.000Z"
SECRET = "seg-made-up-shared-secret-0001"
FIRST = (
    '{"type":"track","messageId":"m-1","userId":"u1","event":"Demo Requested","properties":{"value":12.5},'
    '"timestamp":"2026-09-21T12:00:00.000Z"}'
)
SECOND = (
    '{"type":"identify","messageId":"m-2","userId":"u1","traits":{"email":"ada@example.test"},'
    '"timestamp":"2026-09-21T12:00:01.000Z"}'
)
OF_FIRST, OF_WHOLE = "c48d4b047ca3e8657642e43830c09a42d73b6fe0", "df244d075daac4554e56b97b1d5110e834b9cd7d"
VECTORS = Path(__file__).parents[3] / ".." / "shared" / "vendors" / "fixtures" / "signature_vectors.json"


def check(body: bytes, signature: str | None, secret: str | None = SECRET) -> None:
    headers = {} if signature is None else {"x-signature": signature}
    request = Request("POST", "https://assay.example.test/hooks/segment/1", headers, body, NOW)
    Segment().verify(request, {}, {"unsigned": True} if secret is None else {"shared_secret": secret})


def read(body: Any) -> list[Any]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return list(Segment().normalise(Message("hook", raw, NOW)))


class TestVerify:
    @pytest.mark.parametrize(
        ("body", "signature"),
        [
            pytest.param(FIRST, OF_FIRST, id="one event"),
            pytest.param(f"[{FIRST},{SECOND}]", OF_FIRST, id="batch signature covers the first element only"),
            pytest.param(f" [ {FIRST} , {SECOND}]", OF_FIRST, id="white space is not signed"),
            pytest.param(f"[{FIRST},{SECOND}]", OF_WHOLE, id="whole-body form"),
        ],
    )
    def test_accepted(self, body: str, signature: str) -> None:
        check(body.encode(), signature)

    @pytest.mark.parametrize(
        ("body", "signature"),
        [
            pytest.param(f"[{FIRST},{SECOND}]", None, id="none"),
            pytest.param(FIRST.replace("12.5", "99.5"), OF_FIRST, id="changed"),
            pytest.param(f"[{FIRST.replace('12.5', '12.50')},{SECOND}]", OF_FIRST, id="number written otherwise"),
            pytest.param(f"[{SECOND},{FIRST}]", OF_FIRST, id="second event in the first one's place"),
            pytest.param(f"[{FIRST}", OF_FIRST + "é", id="letters that no signature has"),
            pytest.param("[", OF_FIRST, id="no JSON"),
            pytest.param("[" * 100_000, OF_FIRST, id="nested without end"),
            pytest.param(f"x[{FIRST}]", OF_FIRST, id="something before the list"),
            pytest.param("", "", id="nothing"),
        ],
    )
    def test_refused(self, body: str, signature: str | None) -> None:
        with pytest.raises(Refused):
            check(body.encode(), signature)

    def test_without_a_secret_the_address_is_the_proof(self) -> None:
        check(FIRST.encode(), None, None)

    def test_secret_that_got_lost_lets_nobody_in(self) -> None:
        with pytest.raises(Refused):
            check(FIRST.encode(), OF_FIRST, "")

    def test_unicode_and_numbers_are_hashed_as_they_came(self) -> None:
        event = '{"type":"track","userId":"u1","event":"Cerere ofertă","properties":{"a":1.0,"b":1e2,"c":"\\u0041"}}'
        check(f"[{event},{SECOND}]".encode(), sign(SECRET, event.encode(), digest="sha1"))

    @given(st.lists(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5)))
    def test_first_event_is_the_first_event(self, events: list[Any]) -> None:
        texts = [json.dumps(event, ensure_ascii=False) for event in events]
        found = first_event(("[" + " , ".join(texts) + "]").encode(errors="replace"))
        assert found == (texts[0].encode(errors="replace") if texts else None)

    @pytest.mark.skipif(not VECTORS.exists(), reason="the vectors are not beside this repository")
    def test_vectors(self) -> None:
        mine = [one for one in json.loads(VECTORS.read_text()) if one["vendor"] == "segment"]
        assert len(mine) == 3
        for vector in mine:
            check(vector["body"].encode(), vector["headers"]["X-Signature"], vector["secret"])


class TestSplit:
    def split(self, body: bytes) -> list[bytes]:
        request = Request("POST", "https://assay.example.test/hooks/segment/1", {}, body, NOW)
        return [delivery.body for delivery in Segment().split(request)]

    def test_write_key_is_not_kept(self) -> None:
        [body] = self.split(b'{"type":"track","writeKey": "wk_live","event":"say \\"writeKey\\": \\"x\\""}')
        assert b"wk_live" not in body
        assert json.loads(body)["event"] == 'say "writeKey": "x"'

    def test_large_batch_is_kept_in_parts(self) -> None:
        events = [
            {"type": "track", "messageId": str(n), "event": "x", "properties": {"a": "y" * 900}} for n in range(4000)
        ]
        bodies = self.split(json.dumps(events).encode())
        assert len(bodies) > 1
        assert max(map(len, bodies)) <= LARGEST_DELIVERY + 2
        assert [event for body in bodies for event in json.loads(body)] == events

    @pytest.mark.parametrize("body", [b"[" + b"x" * LARGEST_DELIVERY, b"nonsense", b""])
    def test_what_is_no_json_is_kept_for_the_dead_letter(self, body: bytes) -> None:
        assert self.split(body) == [body]


class TestNormalise:
    def test_one_event(self) -> None:
        assert read(FIRST.encode()) == [Event(Identifiers(user_id="u1"), "demo.requested", {"value": 12.5}, AT, "m-1")]

    def test_list_of_events(self) -> None:
        event, identify = read(f"[{FIRST},{SECOND}]".encode())
        assert isinstance(event, Event)
        assert identify == Identify(
            Identifiers(user_id="u1", email="ada@example.test"),
            {"email": "ada@example.test"},
            AT + timedelta(seconds=1),
        )

    def test_functions_post_batches_and_events_without_a_type(self) -> None:
        [batched] = read({"batch": [json.loads(FIRST)]})
        assert isinstance(batched, Event)
        [guessed] = read({"event": "Trial Started", "userId": "u1", "timestamp": STATED, "messageId": "m"})
        assert guessed == Event(Identifiers(user_id="u1"), "trial.started", {}, AT, "m")

    def test_classic_delete_erases(self) -> None:
        assert read({"type": "delete", "userId": "u1", "timestamp": STATED}) == [
            Deletion(Identifiers(user_id="u1"), "segment", AT, erased=True)
        ]

    def test_delete_by_write_key_erases_nobody(self) -> None:
        body = json.dumps({"batch": [{"type": "delete", "userId": "u1"}]}).encode()
        [refused] = Segment().normalise(Message("batch", body, NOW))
        assert isinstance(refused, Misunderstood)

    def test_bad_item_does_not_fail_the_others(self) -> None:
        good, bad, worse = read([json.loads(FIRST), {"type": "track", "event": "x"}, 7])
        assert isinstance(good, Event)
        assert (bad.field, bad.position) == ("[1].userId", 1)
        assert (worse.field, worse.position) == ("[2]", 2)

    @pytest.mark.parametrize("body", [b"", b"[", b"nonsense", b"[1", b'{"batch": 7}', b"\xff", b"null", b"[" * 5000])
    def test_nonsense_is_a_dead_letter(self, body: bytes) -> None:
        try:
            found = read(body)
        except Misunderstood:
            return
        assert all(isinstance(one, Misunderstood) for one in found)

    def test_user_id_that_is_explicitly_null(self) -> None:
        [event] = read({"type": "page", "userId": None, "anonymousId": "d1", "timestamp": STATED})
        assert event.ids == Identifiers(anonymous_id="d1")

    @pytest.mark.parametrize(
        ("fields", "at"),
        [
            pytest.param(
                {"timestamp": STATED, "originalTimestamp": "2020-01-01T00:00:00Z", "sentAt": "2020-01-01T00:00:01Z"},
                AT,
                id="timestamp is right, the client's clock is not",
            ),
            pytest.param(
                {
                    "originalTimestamp": "2020-01-01T00:00:00Z",
                    "sentAt": "2020-01-01T00:00:10Z",
                    "receivedAt": "2026-09-21T12:00:10Z",
                },
                AT,
                id="without it, as long before Segment's receipt",
            ),
            pytest.param({"receivedAt": STATED}, AT, id="Segment's receipt alone"),
            pytest.param({}, NOW, id="nothing but our receipt"),
        ],
    )
    def test_clock_skew(self, fields: dict[str, Any], at: datetime) -> None:
        [event] = read({"type": "track", "event": "x", "userId": "u1", **fields})
        assert event.at == at

    @pytest.mark.parametrize(
        ("fields", "other", "is_same"),
        [
            pytest.param({"timestamp": STATED}, {}, True, id="the same again"),
            pytest.param(
                {"timestamp": STATED, "sentAt": STATED}, {"sentAt": "2026-09-21T12:30:00Z"}, True, id="sent later"
            ),
            pytest.param({"timestamp": STATED}, {"timestamp": "2026-09-21T12:00:01Z"}, False, id="at another instant"),
            pytest.param({"timestamp": STATED}, {"userId": "u2"}, False, id="somebody else"),
            pytest.param({"timestamp": STATED}, {"properties": {"plan": "pro"}}, False, id="something else"),
        ],
    )
    def test_what_has_no_message_id_is_named_by_what_it_says(
        self, fields: dict[str, Any], other: dict[str, Any], is_same: bool
    ) -> None:
        event = {"type": "track", "event": "x", "userId": "u1", **fields}
        [first], [second] = read(event), read([{**event, **other}])
        assert 0 < len(first.sender_id) <= 200
        assert (first.sender_id == second.sender_id) is is_same

    def test_what_says_neither_its_id_nor_its_instant_has_no_name(self) -> None:
        [event] = read({"type": "page", "userId": "u1", "receivedAt": STATED})
        assert event.sender_id == ""

    @pytest.mark.parametrize("call", ["hook", "identify"])
    @pytest.mark.parametrize(
        "mine",
        [
            pytest.param({"messageId": "leadscore-1148-20260921T1200-3f2c"}, id="by its messageId"),
            pytest.param({"context": {"library": {"name": LIBRARY, "version": "1"}}}, id="by its library"),
        ],
    )
    def test_loop_guard(self, call: str, mine: dict[str, Any]) -> None:
        body = {"type": "identify", "userId": "u1", "traits": {"plan": "pro"}, **mine}
        assert list(Segment().normalise(Message(call, json.dumps(body).encode(), NOW))) == []

    def test_our_own_traits_are_left_out(self) -> None:
        [found] = read({"type": "identify", "userId": "u1", "traits": {"assay_score": 87, "plan": "pro"}})
        assert found.traits == {"plan": "pro"}

    @given(st.permutations(range(8)), st.lists(st.integers(0, 7)))
    def test_order_and_duplicates_make_no_difference(self, order: list[int], again: list[int]) -> None:
        events = [{**json.loads(FIRST), "messageId": f"m-{n}", "event": f"Event {n}"} for n in range(8)]
        whole = {record.sender_id: record for record in read(events)}
        found = {record.sender_id: record for n in [*order, *again] for record in read(events[n])}
        assert found == whole
