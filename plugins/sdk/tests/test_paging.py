"""Helpers for pages and cursors."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from assay_sdk import Event, Identifiers, Misunderstood
from assay_sdk.paging import (
    LARGEST_BODY,
    beside,
    chunked,
    digest,
    from_milliseconds,
    mark,
    packed,
    read_packed,
    to_milliseconds,
    unseen,
)


@pytest.mark.parametrize(
    ("sizes", "bodies"),
    [
        pytest.param([], [], id="none"),
        pytest.param([10, 10], [2], id="one body"),
        pytest.param([600_000, 600_000], [1, 1], id="too large together"),
        pytest.param([10, 1_200_000, 10], [1, 1, 1], id="one too large by itself"),
    ],
)
def test_records_are_packed_into_bodies_that_are_kept(sizes: list[int], bodies: list[int]) -> None:
    records = [{"id": number, "text": "x" * size} for number, size in enumerate(sizes)]
    made = packed(records, stages={"a": "[]"})
    found = [json.loads(body) for body in made]
    assert [len(body["records"]) for body in found] == bodies
    assert [record for body in found for record in body["records"]] == records
    assert all(body["stages"] == {"a": "[]"} for body in found)
    assert all(len(body) <= LARGEST_BODY for body, count in zip(made, bodies, strict=True) if max(sizes) < 10**6)


def test_letters_are_kept_and_half_ones_replaced() -> None:
    [body] = packed([{"a": "Huế"}, {"a": "\ud800"}])
    assert "Huế" in body.decode()
    assert json.loads(body)["records"][1] == {"a": "?"}


def test_chunks_keep_their_order() -> None:
    assert [list(chunk) for chunk in chunked([1, 2, 3, 4, 5], 2)] == [[1, 2], [3, 4], [5]]
    assert list(chunked([], 2)) == []


def test_what_was_seen_in_the_same_state_is_left_out() -> None:
    records = [{"id": 1, "at": "a"}, {"id": 2, "at": "a"}, {"id": 1, "at": "b"}]
    assert unseen(records, id="id", at="at", seen=[mark(1, "a")]) == records[1:]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        pytest.param({"a": 1, "b": 2}, {"b": 2, "a": 1}, True, id="order of keys"),
        pytest.param({"a": 1}, {"a": 2}, False, id="another value"),
        pytest.param({"a": "1"}, {"a": 1}, False, id="another type"),
        pytest.param({"a": "\ud800"}, {"a": "\ud800"}, True, id="half a character"),
    ],
)
def test_content_has_a_short_name(one: Any, other: Any, same: bool) -> None:
    assert (digest(one) == digest(other)) is same


def test_milliseconds() -> None:
    at = datetime(2026, 9, 21, 12, 0, 0, 123000, tzinfo=UTC)
    assert from_milliseconds(to_milliseconds(at)) == at
    assert from_milliseconds("1789992000123") == at
    for wrong in ("", "soon", 10**30, None):
        with pytest.raises(ValueError):  # noqa: PT011 # its text differs with the kind of nonsense
            from_milliseconds(wrong)  # type: ignore[arg-type] # what vendors send is not always what they say


def visits(record: dict[str, Any]) -> Iterator[Event]:
    for number in range(2):
        if number and record.get("is_bad"):
            raise Misunderstood("It is bad.", field="is_bad")
        yield Event(Identifiers(user_id=str(record["id"])), "page.viewed", {}, datetime(2026, 1, 1, tzinfo=UTC), "x")


def told(body: bytes) -> list[str]:
    """Users of whom there are records, and what was said of the others."""
    return [
        f"{one.field}: {one.reason}" if isinstance(one, Misunderstood) else str(one.ids.user_id)
        for one in read_packed(body, visits)
        if isinstance(one, Event | Misunderstood)
    ]


DEEP = b'{"id":2,"deep":' + b"[" * 100_000 + b"]" * 100_000 + b"}"


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(b'{"id":2,"is_bad":true}', id="half of it"),
        pytest.param(b"7", id="no object"),
        pytest.param(DEEP, id="too deep"),
    ],
)
def test_record_that_cannot_be_read_takes_no_other_with_it(bad: bytes) -> None:
    body = b'{"stages":{"records":1},"records":[{"id":1},' + bad + b',{"id":3,"text":"]}"}]}'
    found = list(read_packed(body, visits))
    assert [one.ids.user_id for one in found if isinstance(one, Event)] == ["1", "1", "3", "3"]
    [fault] = [one for one in found if isinstance(one, Misunderstood)]
    assert (fault.position, (fault.field or "")[:10]) == (1, "records[1]")
    assert fault.excerpt == bad[:400].decode()


def test_packed_records_are_read_in_their_order() -> None:
    records = [{"id": number, "text": 'Ünï \\ " ] }'} for number in range(5)]
    assert told(packed(records, names={"a": [1]})[0]) == [str(number) for number in range(5) for _ in "ab"]


@pytest.mark.parametrize(
    "record",
    [
        pytest.param(b'{"id":1,"x":NaN}', id="no number"),
        pytest.param(b'{"id":1,"x":"\xff"}', id="no UTF-8"),
        pytest.param(b'{"id":1,"x":1' + b"0" * 9000 + b"}", id="number without end"),
    ],
)
def test_odd_values_are_left_to_the_platform(record: bytes) -> None:
    assert told(b'{"records":[' + record + b',{"id":2}]}') == ["1", "1", "2", "2"]


@pytest.mark.parametrize(
    "record",
    [
        pytest.param(b'{"id":2}', id="good"),
        pytest.param(b'{"id":2,"x":NaN}', id="no number"),
        pytest.param(DEEP, id="too deep"),
    ],
)
def test_what_stands_beside_is_read_whatever_the_records_are(record: bytes) -> None:
    [body] = packed([{"id": 1}], kind="deals", stages={"a": "Tiếp cận", "records": 1})
    body = body.replace(b'{"id":1}', record)
    assert beside(body) == {"kind": "deals", "stages": {"a": "Tiếp cận", "records": 1}}
    assert "2" in told(body) or record is DEEP


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"[]", id="list"),
        pytest.param(b"{}", id="no records"),
        pytest.param(b'{"records":{}}', id="records that are no list"),
        pytest.param(b'{"records":[{"id":1}', id="cut short"),
    ],
)
def test_page_without_records_is_misunderstood(body: bytes) -> None:
    with pytest.raises(Misunderstood, match="page can't be read") as caught:
        list(read_packed(body, visits))
    assert caught.value.field == "records"


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b'{"kind":"deals"', b'{"kind":'])
def test_nothing_stands_beside_what_is_no_page(body: bytes) -> None:
    with pytest.raises(Misunderstood, match="page can't be read"):
        beside(body)
