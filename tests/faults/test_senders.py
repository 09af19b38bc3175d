"""Senders that repeat themselves, come late, contradict each other, flood, or send what nobody can read."""

import gzip
import json
import random
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import text

from assay_tenants.database import tenant_session


def test_one_batch_sent_fifty_times_at_once(books) -> None:
    items = books.items(100)
    with ThreadPoolExecutor(10) as threads:
        list(threads.map(lambda _: books.send(items), range(50)))
    books.balance()


def test_answers_that_never_arrive(plant, books) -> None:
    for _ in range(20):
        items = books.items(5)
        body = json.dumps({"batch": items, "writeKey": books.write_key}).encode()
        head = f"POST /v1/batch HTTP/1.1\r\nHost: quartz.test\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        with socket.create_connection(("127.0.0.1", plant.port)) as connection:
            connection.sendall(head + body)
        books.send(items)
    books.balance()


def test_events_in_reverse_late_and_ahead(books) -> None:
    now = datetime.now(UTC)
    items = books.items(120)
    for number, item in enumerate(items):
        # Most of a year ago, some up to a day ahead: none is beyond what is accepted.
        item["timestamp"] = (now + timedelta(hours=23) - timedelta(days=7 * (number % 60), minutes=number)).isoformat()
    for start in range(0, len(items), 20):
        books.send(items[start : start + 20][::-1])
    # Scores of what lies ahead are due then, and not before.
    books.settle()
    assert books.found() == dict.fromkeys(books.accepted, 1)
    assert books.stored() == books.recomputed()


@pytest.mark.parametrize(
    ("stated", "kept"),
    [
        pytest.param({"timestamp": "0001-01-01T00:00:00Z"}, False, id="the year one"),
        pytest.param({"timestamp": "9999-12-31T23:59:59Z"}, False, id="the last year"),
        pytest.param({"timestamp": "+10y"}, False, id="no instant"),
        pytest.param({}, True, id="no timestamp"),
    ],
)
def test_instants_beyond_reason_are_told_and_hold_up_nobody(books, stated, kept) -> None:
    odd = books.item(3) | stated
    good = books.items(10)
    books.send([*good[:5], odd, *good[5:]])
    if not kept:
        books.accepted.discard(odd["messageId"])
    books.balance()
    letters = books.rows("SELECT reason FROM intake.dead_letters WHERE tenant_id = :t")
    assert len(letters) == (0 if kept else 1)


def test_a_clock_that_is_an_hour_wrong_is_put_right(plant, books) -> None:
    wrong = datetime.now(UTC) - timedelta(hours=1)
    item = books.item(3) | {"timestamp": wrong.isoformat()}
    answer = httpx.post(
        f"{plant.address}/v1/batch",
        json={"batch": [item], "sentAt": (wrong + timedelta(seconds=1)).isoformat()},
        auth=(books.write_key, ""),
    )
    assert answer.status_code == 200
    books.accepted.add(item["messageId"])
    books.balance()
    (row,) = books.rows("SELECT occurred_at FROM profiles.events WHERE tenant_id = :t")
    assert abs(row.occurred_at - datetime.now(UTC)) < timedelta(minutes=5)


POISON = {
    "a zero character": '"properties": {"path": "a\\u0000b"}',
    "half a character": '"properties": {"path": "\\ud800"}',
    "not a number": '"properties": {"n": NaN}',
    "beyond all numbers": '"properties": {"n": 1e400}',
    "a number of five thousand digits": f'"properties": {{"n": {"9" * 5000}}}',
    "two hundred levels": f'"properties": {{"n": {"[" * 200}{"]" * 200}}}',
    "a text where an object belongs": '"properties": "all of them"',
    "larger than an event may be": f'"properties": {{"bag": "{"x" * 40_000}"}}',
}


@pytest.mark.parametrize("poison", POISON.values(), ids=POISON.keys())
def test_a_poison_item_takes_nobody_along(plant, books, poison) -> None:
    good = books.items(20)
    texts = [json.dumps(item) for item in good]
    texts.insert(7, f'{{"type": "page", "userId": "u1", "messageId": "poison-{uuid4()}", {poison}}}')
    body = f'{{"batch": [{", ".join(texts)}]}}'.encode()
    answer = httpx.post(f"{plant.address}/v1/batch", content=body, auth=(books.write_key, ""))
    assert answer.status_code == 200, answer.text
    books.accepted = {item["messageId"] for item in good if item["type"] != "identify"}
    books.balance()
    assert len(books.rows("SELECT 1 FROM intake.dead_letters WHERE tenant_id = :t")) == 1


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        pytest.param(
            gzip.compress(b'{"batch": [' + b" " * 50_000_000 + b"]}"), {"Content-Encoding": "gzip"}, id="bomb"
        ),
        pytest.param(
            json.dumps({"batch": [{"properties": {str(n): n for n in range(100_000)}}]}).encode(), {}, id="keys"
        ),
        pytest.param(b'{"batch": [' * 60_000, {}, id="levels"),
    ],
)
def test_a_body_beyond_bounds_is_refused_at_once(plant, books, body, headers) -> None:
    answer = httpx.post(
        f"{plant.address}/v1/batch", content=body, headers=headers, auth=(books.write_key, ""), timeout=20
    )
    assert answer.status_code == 400
    assert {"code", "message"} <= answer.json().keys()
    books.send(books.items(10))
    books.balance()


def test_people_who_turn_out_to_be_one_while_they_are_scored(books) -> None:
    def alias(one: str, other: str) -> dict[str, str]:
        return {"type": "alias", "userId": one, "previousId": other, "messageId": f"alias-{uuid4()}"}

    def stated(user: str, address: str) -> dict[str, object]:
        return {"type": "identify", "userId": user, "messageId": f"id-{uuid4()}", "traits": {"email": address}}

    meetings = [
        [alias("u1", "u2"), alias("u2", "u1")],
        [alias("u3", "u4"), alias("u4", "u5"), alias("u5", "u3")],
        [stated("u6", "shared@quartz.test"), stated("u7", "shared@quartz.test")],
    ]
    with books.busy(threads=2), ThreadPoolExecutor(4) as threads:
        time.sleep(0.5)
        for _ in range(4):
            list(threads.map(books.send, random.Random(3).sample(meetings, 3)))
    books.accepted = {one for one in books.accepted if one.startswith("m-")}
    books.balance()
    users = books.rows("SELECT value, lead_id FROM profiles.identities WHERE tenant_id = :t AND kind = 'user_id'")
    homes = {row.value: row.lead_id for row in users}
    assert homes["u1"] == homes["u2"]
    assert homes["u3"] == homes["u4"] == homes["u5"]
    assert homes["u6"] == homes["u7"]


def test_a_thousand_devices_of_one_person(books) -> None:
    with ThreadPoolExecutor(4) as threads:
        batches = [
            [
                {"type": "page", "userId": "u1", "anonymousId": f"d{n}", "messageId": f"m-{uuid4()}", "properties": {}}
                for n in range(start, start + 100)
            ]
            for start in range(0, 1000, 100)
        ]
        list(threads.map(books.send, batches))
    books.balance()
    assert len({row.lead_id for row in books.rows("SELECT lead_id FROM profiles.events WHERE tenant_id = :t")}) == 1


def test_a_flood_is_slowed_down_and_its_neighbour_is_not(plant, books) -> None:
    noisy = plant.make_tenant()
    with tenant_session(noisy.tenant_id) as session:
        session.execute(text("UPDATE tenancy.tenants SET events_per_second = 50 WHERE id = :t"), {"t": noisy.tenant_id})
    # A change of the pace is noticed within seconds.
    time.sleep(6)
    with books.busy(threads=1, events=5), noisy.busy(threads=3, events=100, pause=0.0):
        time.sleep(4)
    assert set(books.statuses) == {200}
    assert noisy.statuses[429]
    assert all(1 <= int(headers["retry-after"]) <= 300 for headers in noisy.headers)
    books.balance()
    noisy.balance()
