"""Values that PostgreSQL, Polars or JSON can't hold: each is the fault of its own item, never of its batch."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from psycopg.types.json import Jsonb

from assay.normalise import take
from assay.normalise.queries import list_dead_letters
from assay_sdk import Alias
from assay_tenants.access.service import SignedUp
from assay_tenants.database import tenant_session

GOOD = '{"type":"track","userId":"u1","messageId":"good-%d","event":"Good","properties":{"n":1}}'


def track(properties: str) -> str:
    return f'{{"type":"track","userId":"u1","messageId":"m","event":"E","properties":{properties}}}'


def nested(depth: int) -> str:
    return '{"a":' * depth + "1" + "}" * depth


POISON = [
    pytest.param(track('{"v":"\\u0000"}'), "properties.v", "holds the character U+0000", id="U+0000"),
    pytest.param(track('{"\\u0000":1}'), "properties.␀", "holds the character U+0000", id="U+0000 in a name"),
    pytest.param(track('{"v":["a",["\\u0000"]]}'), "properties.v", "holds the character U+0000", id="U+0000 in a list"),
    pytest.param(track('{"v":"\\ud800"}'), "properties.v", "not Unicode text", id="half a letter"),
    pytest.param(track('{"v":"\udcff"}'), "batch[1]", "not UTF-8", id="not UTF-8"),
    pytest.param(track('{"v":NaN}'), "properties.v", "not a finite number", id="NaN"),
    pytest.param(track('{"v":[-Infinity]}'), "properties.v", "not a finite number", id="infinity"),
    pytest.param(track('{"v":1e400}'), "batch[1].properties[...]", "number out of range", id="1e400"),
    pytest.param(track('{"v":1e200000}'), "batch[1].properties[...]", "number out of range", id="1e200000"),
    pytest.param(track('{"v":1e400,"w":NaN}'), "properties.v", "not a finite number", id="1e400 beside NaN"),
    pytest.param(track(f'{{"v":{2**64}}}'), "properties.v", "beyond 64 bits", id="2 to the 64th"),
    pytest.param(track('{"v":%s}' % ("9" * 4900)), "batch[1].properties[...]", "out of range", id="4,900 digits"),
    pytest.param(track('{"v":"%s"}' % ("x" * 33_000)), "batch[1]", "over the limit: 32,768 bytes", id="over 32 KB"),
    pytest.param(track('{"v":%s}' % ("[" * 40 + "]" * 40)), "properties.v", "nested more than 16", id="deep list"),
    pytest.param(track('"text"'), "batch[1].properties", "must be an object or null", id="properties are text"),
    pytest.param("7", "batch[1]", "must be an object", id="a number for an item"),
    pytest.param("null", "batch[1]", "must be an object", id="null for an item"),
    pytest.param('{"type":"delete","userId":"u"}', "batch[1].type", "accepted are identify", id="unknown type"),
    pytest.param('{"userId":"u"}', "batch[1].type", "accepted are identify", id="no type"),
    pytest.param('{"type":"track","event":"E"}', "batch[1].userId", "names nobody", id="nobody"),
    pytest.param('{"type":"track","userId":"u"}', "batch[1].event", "event is missing", id="no event"),
    pytest.param('{"type":"track","userId":"u","event":"!?"}', "batch[1].event", "no letter", id="no word"),
    pytest.param('{"type":"group","userId":"u"}', "batch[1].groupId", "groupId is missing", id="no groupId"),
    pytest.param('{"type":"alias","userId":"u"}', "batch[1].previousId", "previousId is missing", id="no previousId"),
    pytest.param('{"type":"identify","userId":["u"]}', "batch[1].userId", "must be", id="a list for an id"),
    pytest.param('{"type":"identify","userId":"%s"}' % ("u" * 600), "user_id", "at most 512", id="long id"),
    pytest.param('{"type":"identify","userId":"u\\u0000"}', "user_id", "U+0000", id="U+0000 in an id"),
    pytest.param(
        '{"type":"identify","userId":"u","traits":{' + ",".join(f'"t{n}":1' for n in range(1001)) + "}}",
        "traits",
        "There are 1,001 traits; at most 1,000",
        id="too many traits",
    ),
    pytest.param(
        '{"type":"track","userId":"u","event":"E","messageId":"%s"}' % ("m" * 201),
        "sender_id",
        "at most 200",
        id="long messageId",
    ),
    pytest.param(
        '{"type":"track","userId":"u","event":"%s"}' % ("e" * 201), "type", "at most 200", id="long event name"
    ),
    pytest.param(
        '{"type":"track","userId":"u","event":"E","timestamp":"yesterday"}',
        "batch[1].timestamp",
        "is not an instant",
        id="timestamp in words",
    ),
    pytest.param(
        '{"type":"track","userId":"u","event":"E","timestamp":1}',
        "batch[1].timestamp",
        "must be text or null, not a whole number",
        id="timestamp as a number",
    ),
    pytest.param(
        '{"type":"track","userId":"u","event":"E","timestamp":"2100-01-01T00:00:00Z"}',
        "timestamp",
        "more than 24 hours ahead",
        id="far future",
    ),
    pytest.param(
        '{"type":"track","userId":"u","event":"E","timestamp":"9999-12-31T23:59:59.999999Z"}',
        "timestamp",
        "more than 24 hours ahead",
        id="end of the calendar",
    ),
    pytest.param(
        '{"type":"track","userId":"u","event":"E","timestamp":"9999-12-31T23:59:59-12:00"}',
        "batch[1].timestamp",
        "is not an instant",
        id="beyond the calendar",
    ),
    pytest.param(
        '{"type":"track","userId":"u","event":"E","timestamp":"9999-12-31T00:00:00Z","sentAt":"2020-01-01T00:00:00Z"}',
        "batch[1].timestamp",
        "is beyond the calendar",
        id="corrected beyond the calendar",
    ),
    pytest.param(
        '{"type":"track","userId":"u","event":"E","timestamp":"0001-01-01T00:00:00Z"}',
        "timestamp",
        "is before 1970",
        id="year 1",
    ),
]

STRANGE = [
    pytest.param(track('{"v":"' + "ặ" * 1000 + '"}'), id="long Vietnamese text"),
    pytest.param(track('{"v":18446744073709551615}'), id="the largest 64 bits"),
    pytest.param(track('{"v":-0.0}'), id="negative zero"),
    pytest.param(track('{"v":1e308}'), id="nearly infinite"),
    pytest.param(track('{"v":1,"v":"two"}'), id="a name twice"),
    pytest.param(track('{"v":"\\\\u0000"}'), id="a backslash and u0000"),
    pytest.param(track('{"":""}'), id="no name, no text"),
    pytest.param(track('{"__class__":"x","constructor":{"prototype":1}}'), id="suspicious names"),
    pytest.param(track(nested(200)), id="200 levels"),
    pytest.param(track(json.dumps({f"k{number}": number for number in range(2000)})), id="2,000 names"),
    pytest.param(track('{"products":[{"id":1},{"id":null}]}'), id="a list of objects"),
    pytest.param('{"type":"track","userId":9007199254740993,"event":"E"}', id="a number for an id"),
]


@pytest.fixture
def send(client: FlaskClient, tenant: SignedUp) -> Callable[[str], list[Any]]:
    """Posts an item between two good ones; gives what was understood of all three."""

    def send(item: str) -> list[Any]:
        body = f'{{"batch":[{GOOD % 1},{item},{GOOD % 2}],"writeKey":"{tenant.write_key}"}}'
        answer = client.post("/v1/batch", data=body.encode("utf-8", "surrogateescape"))
        assert answer.status_code == 200
        with tenant_session(tenant.tenant_id) as session:
            found = [one.record for one in take(session, tenant.tenant_id, 10)]
            for record in found:
                assert not isinstance(record, Alias)
                content = getattr(record, "properties", None) or getattr(record, "traits", {})
                session.connection().exec_driver_sql("SELECT %s::jsonb", (Jsonb(dict(content)),))
            return found

    return send


@pytest.mark.parametrize(("item", "field", "reason"), POISON)
def test_poison_is_one_dead_letter(
    tenant: SignedUp, send: Callable[[str], list[Any]], item: str, field: str, reason: str
) -> None:
    assert [record.sender_id for record in send(item)] == ["good-1", "good-2"]
    [letter] = list_dead_letters(tenant.tenant_id, 10).letters
    assert (letter.position, letter.field) == (1, field)
    assert reason in letter.reason
    assert letter.excerpt


@pytest.mark.parametrize("item", STRANGE)
def test_strange_is_kept(tenant: SignedUp, send: Callable[[str], list[Any]], item: str) -> None:
    assert len(send(item)) == 3
    assert list_dead_letters(tenant.tenant_id, 10).letters == []


def test_poison_of_every_kind_in_one_batch(client: FlaskClient, tenant: SignedUp) -> None:
    poison = [str(row.values[0]) for row in POISON]
    items = [item for number, bad in enumerate(poison) for item in (bad, GOOD % number)]
    for start in range(0, len(items), 40):
        body = f'{{"batch":[{",".join(items[start : start + 40])}],"writeKey":"{tenant.write_key}"}}'
        answer = client.post("/v1/batch", data=body.encode("utf-8", "surrogateescape"))
        assert answer.status_code == 200
    with tenant_session(tenant.tenant_id) as session:
        assert len(take(session, tenant.tenant_id, 10)) == len(poison)
    assert len(list_dead_letters(tenant.tenant_id, 100).letters) == len(poison)
