import json
import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay_sdk import Alias, Company, Event, Identifiers, Identify, Message, Misunderstood, Record
from assay_segment.source import Segment

NOW = datetime(2026, 9, 21, 12, 0, 30, tzinfo=UTC)
STATED = "2026-09-21T12:00:00.000Z"
AT = datetime(2026, 9, 21, 12, tzinfo=UTC)
URL = "https://q.example.test/pricing?a=1"
U1 = Identifiers(user_id="u1")


def read(call: str, body: dict[str, Any], *, received_at: datetime = NOW) -> list[Record | Misunderstood]:
    return list(Segment().normalise(Message(call, json.dumps(body).encode(), received_at)))


def one(call: str, **fields: Any) -> Record:
    [record] = read(call, {"userId": "u1", "timestamp": STATED, **fields})
    assert not isinstance(record, Misunderstood), record.reason
    return record


CALLS = [
    pytest.param(
        "identify",
        {"traits": {"email": " Ada@Quartz.Example.test ", "company": {"employees": 40}, "tags": ["a"], "gone": None}},
        Identify(
            Identifiers(user_id="u1", email="ada@quartz.example.test"),
            {"email": " Ada@Quartz.Example.test ", "company.employees": 40, "tags": ["a"]},
            AT,
        ),
        id="identify: traits flat, e-mail an identifier",
    ),
    pytest.param(
        "identify",
        {"userId": "Ada@quartz.example.test", "anonymousId": None, "traits": None},
        Identify(Identifiers(user_id="Ada@quartz.example.test", email="ada@quartz.example.test"), {}, AT),
        id="identify: user id that is an e-mail",
    ),
    pytest.param(
        "identify",
        {"userId": None, "anonymousId": "d1", "traits": {"email": "not one"}},
        Identify(Identifiers(anonymous_id="d1"), {"email": "not one"}, AT),
        id="identify: anonymous, with what is no e-mail",
    ),
    pytest.param("identify", {"userId": 51}, Identify(Identifiers(user_id="51"), {}, AT), id="identify: number as id"),
    pytest.param(
        "track",
        {"event": "Demo Requested", "messageId": "m1", "properties": {"value": 12.5, "cart": {"items": 2}, "x": None}},
        Event(U1, "demo.requested", {"value": 12.5, "cart.items": 2}, AT, "m1"),
        id="track",
    ),
    pytest.param(
        "track",
        {"event": "offer.downloaded", "context": {"campaign": {"source": "mail", "name": None}}, "properties": None},
        Event(U1, "offer.downloaded", {"campaign.source": "mail"}, AT, ""),
        id="track: campaign, no messageId",
    ),
    pytest.param(
        "page",
        {
            "name": "Pricing",
            "category": None,
            "context": {"page": {"path": "/pricing", "url": URL, "title": "T", "x": 1}},
        },
        Event(
            U1,
            "page.viewed",
            {"path": "/pricing", "url": URL, "title": "T", "name": "Pricing"},
            AT,
            "",
        ),
        id="page: from its context",
    ),
    pytest.param(
        "page",
        {"properties": {"url": URL, "name": "Mine"}, "name": "Theirs"},
        Event(U1, "page.viewed", {"url": URL, "name": "Mine", "path": "/pricing"}, AT, ""),
        id="page: path from its url",
    ),
    pytest.param(
        "page",
        {
            "properties": {"url": "https://q.example.test/offers"},
            "context": {"page": {"path": "/pricing", "url": "https://q.example.test/pricing", "title": "Pricing"}},
        },
        Event(U1, "page.viewed", {"url": "https://q.example.test/offers", "path": "/offers"}, AT, ""),
        id="page: another one's path is not taken",
    ),
    pytest.param(
        "page",
        {"properties": {"url": "http://[broken"}},
        Event(U1, "page.viewed", {"url": "http://[broken"}, AT, ""),
        id="page: url that is none",
    ),
    pytest.param(
        "screen",
        {"name": "Home", "category": "App", "properties": {"tab": 1}},
        Event(U1, "screen.viewed", {"name": "Home", "category": "App", "tab": 1}, AT, ""),
        id="screen",
    ),
    pytest.param(
        "group",
        {"groupId": 7, "traits": {"name": "Quartz & Co", "address": {"city": "Iași"}}},
        Company(U1, "7", {"name": "Quartz & Co", "address.city": "Iași"}, AT),
        id="group",
    ),
    pytest.param(
        "alias",
        {"previousId": "d1"},
        Alias(U1, Identifiers(user_id="d1", anonymous_id="d1"), AT),
        id="alias: the old name stands for a device and for a person",
    ),
    pytest.param(
        "alias",
        {"previousId": "Old@quartz.example.test"},
        Alias(
            U1,
            Identifiers(
                user_id="Old@quartz.example.test",
                email="old@quartz.example.test",
                anonymous_id="Old@quartz.example.test",
            ),
            AT,
        ),
        id="alias: from an e-mail",
    ),
    pytest.param(
        "alias",
        {"previousId": "u1", "anonymousId": "d1"},
        Identify(Identifiers(user_id="u1", anonymous_id="d1"), {}, AT),
        id="alias: of oneself",
    ),
]


@pytest.mark.parametrize(("call", "fields", "record"), CALLS)
def test_call(call: str, fields: dict[str, Any], record: Record) -> None:
    assert one(call, **fields) == record


@pytest.mark.parametrize(
    ("name", "type_"),
    [
        ("Demo Requested", "demo.requested"),
        ("offer.downloaded", "offer.downloaded"),
        ("offer_v2.downloaded", "offer_v2.downloaded"),
        ("demo_requested", "demo.requested"),
        ("  Sign-Up / Step 2  ", "sign.up.step.2"),
        ("Email Opened", "email.opened"),
        ("Email Link Clicked", "email.clicked"),
        ("Email Bounced", "email.bounced"),
        ("Unsubscribed", "unsubscribed"),
        ("Live Chat Conversation Started", "chat.started"),
        ("Order Completed", "deal.won"),
        ("Đặt Lịch Hẹn", "dat.lich.hen"),
        ("Cerere Ofertă", "cerere.oferta"),
        ("预约 Demo", "u9884.u7ea6.demo"),
    ],
)
def test_event_name(name: str, type_: str) -> None:
    record = one("track", event=name)
    assert isinstance(record, Event)
    assert record.type == type_


INSTANTS = [
    pytest.param({}, NOW, id="none stated: its receipt"),
    pytest.param({"timestamp": None}, NOW, id="null"),
    pytest.param({"timestamp": STATED}, AT, id="stated"),
    pytest.param({"timestamp": "2026-09-21T14:00:00.000000+02:00"}, AT, id="with an offset"),
    pytest.param({"timestamp": "2026-09-21T12:00:00"}, AT, id="without a zone: UTC"),
    pytest.param({"timestamp": STATED, "sentAt": "2026-09-21T12:00:30.000Z"}, AT, id="right clock"),
    pytest.param({"timestamp": STATED, "sentAt": "2026-09-21T12:00:27.000Z"}, AT, id="right clock, slow network"),
    pytest.param({"timestamp": "2026-09-21T13:00:00Z", "sentAt": "2026-09-21T13:00:30Z"}, AT, id="an hour ahead"),
    pytest.param({"timestamp": "1999-12-31T23:59:30Z", "sentAt": "2000-01-01T00:00:00Z"}, AT, id="years behind"),
    pytest.param({"timestamp": "2026-08-21T12:00:00Z", "sentAt": NOW.isoformat()}, AT - timedelta(days=31), id="late"),
    pytest.param(
        {
            "timestamp": "2026-09-21T12:59:00Z",
            "originalTimestamp": "2026-09-21T13:00:00Z",
            "sentAt": "2026-09-21T13:00:30Z",
        },
        AT,
        id="the original one counts",
    ),
    pytest.param({"timestamp": STATED, "sentAt": "soon"}, AT, id="sentAt that is none"),
]


@pytest.mark.parametrize(("fields", "at"), INSTANTS)
@pytest.mark.parametrize("is_batch", [False, True], ids=["single", "batch"])
def test_instant(fields: dict[str, Any], at: datetime, is_batch: bool) -> None:
    call = {"type": "page", "userId": "u1", **fields}
    sent_at = call.pop("sentAt", None)
    body = {"batch": [call], "sentAt": sent_at} if is_batch else call | {"sentAt": sent_at}
    [record] = read("batch" if is_batch else "page", body)
    assert isinstance(record, Event)
    assert record.at == at


class TestBatch:
    def test_context_of_the_batch_holds_for_its_items(self) -> None:
        first, second = read(
            "batch",
            {
                "context": {"campaign": {"source": "mail", "medium": "cpc"}, "ip": "203.0.113.7"},
                "batch": [
                    {"type": "track", "userId": "u1", "event": "a.b"},
                    {"type": "track", "userId": "u1", "event": "a.b", "context": {"campaign": {"source": "own"}}},
                ],
            },
        )
        assert isinstance(first, Event)
        assert isinstance(second, Event)
        assert first.properties == {"campaign.source": "mail", "campaign.medium": "cpc"}
        assert second.properties == {"campaign.source": "own", "campaign.medium": "cpc"}

    def test_body_that_is_no_batch(self) -> None:
        with pytest.raises(Misunderstood) as refused:
            read("batch", {"batch": 7})
        assert (refused.value.field, refused.value.reason) == ("batch", "batch must be a list, not a whole number.")

    def test_bad_item_is_named_and_the_others_are_read(self) -> None:
        good = {"type": "page", "userId": "u1"}
        found = read("batch", {"batch": [good, {"type": "page"}, good]})
        assert [type(record) for record in found] == [Event, Misunderstood, Event]
        bad = found[1]
        assert isinstance(bad, Misunderstood)
        assert (bad.position, bad.field, bad.excerpt) == (1, "batch[1].userId", '{"type": "page"}')


TEXT = st.text("aặ☃\0", max_size=5)
ITEMS = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["identify", "track", "page", "screen", "group", "alias", "nonsense"]),
        "userId": st.sampled_from([None, "u1", "ada@quartz.example.test", 7]),
        "anonymousId": st.sampled_from([None, "d1"]),
        "messageId": st.integers(0, 10**9).map(str),
        "timestamp": st.sampled_from([STATED, "2026-09-20T00:00:00.123456+00:00", "rubbish"]),
        "event": st.sampled_from(["Demo Requested", "offer.downloaded", "", None]),
        "properties": st.dictionaries(TEXT, st.none() | st.integers() | TEXT, max_size=3),
        "groupId": st.sampled_from([None, "g1"]),
        "previousId": st.sampled_from([None, "d1", "u1"]),
    }
)


def content(found: Iterable[Record | Misunderstood]) -> list[str]:
    return sorted(one.reason if isinstance(one, Misunderstood) else repr(one) for one in found)


@given(st.lists(ITEMS, max_size=12), st.lists(st.integers(1, 4), min_size=12, max_size=12), st.randoms())
def test_any_split_over_batches_gives_the_same_records(
    sent: list[dict[str, Any]], sizes: list[int], chance: random.Random
) -> None:
    together = content(read("batch", {"batch": sent, "sentAt": NOW.isoformat()}))
    shuffled = chance.sample(sent, len(sent))
    apart: list[Record | Misunderstood] = []
    while shuffled:
        size = sizes.pop()
        part, shuffled = shuffled[:size], shuffled[size:]
        received_at = NOW + timedelta(seconds=chance.uniform(0, 4))
        if size == 1 and part[0]["type"] != "nonsense":
            apart += read(part[0]["type"], part[0] | {"sentAt": NOW.isoformat()}, received_at=received_at)
        else:
            apart += read("batch", {"batch": part, "sentAt": NOW.isoformat()}, received_at=received_at)
    assert content(apart) == together
