"""Helpers for pages and cursors."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from assay_sdk.paging import LARGEST_BODY, chunked, digest, from_milliseconds, mark, packed, to_milliseconds, unseen


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
