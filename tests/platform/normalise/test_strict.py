"""What the check of our own API promises, whatever is sent to it."""

import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import jsonschema
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.api.taking import body_of
from assay.normalise.checking import find_fault
from assay.normalise.own import Own, kept_body
from assay.normalise.strict import EVENTS, LEADS, Checked, Shape, Unreadable, check
from assay_sdk import Message, Misunderstood

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
OWN = Own()

TEXTS = st.text(max_size=6) | st.sampled_from(["a@b.cd", "page.viewed", "\0", "null", "x" * 600])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**66), 2**66) | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
INSTANTS = TEXTS | st.datetimes().map(lambda at: at.isoformat() + "Z") | st.just("2026-03-01T12:00:00+01:00")
WHO = {"user_id": TEXTS, "email": TEXTS, "vendor_ids": st.dictionaries(TEXTS | st.just("hubspot"), TEXTS, max_size=2)}
BAG = st.dictionaries(TEXTS, VALUES, max_size=4)
RECORDS = {
    "events": st.fixed_dictionaries(
        {"type": TEXTS | st.just("page.viewed")},
        optional={**WHO, "occurred_at": INSTANTS, "properties": BAG, "id": TEXTS, "odd": VALUES},
    ),
    "leads": st.fixed_dictionaries(
        {},
        optional={
            **WHO, "traits": BAG, "stated_at": INSTANTS,
            "company": st.fixed_dictionaries({}, optional={"id": TEXTS, "domain": TEXTS, "traits": BAG}),
        },
    ),
}  # fmt: skip
GOOD: dict[str, dict[str, Any]] = {
    "events": {"type": "page.viewed", "user_id": "u", "occurred_at": "2026-03-01T09:30:00Z", "properties": {"a": 1}},
    "leads": {"email": "a@b.cd", "traits": {"a": None, "b": [1]}, "company": {"domain": "b.cd"}},
}
SHAPES = pytest.mark.parametrize("shape", [EVENTS, LEADS], ids=lambda shape: shape.name)


def read(shape: Shape[Any], checked: Checked) -> list[Any]:
    body = kept_body(shape.name, checked.records, checked.places, once=None)
    return list(OWN.normalise(Message(shape.name, body, NOW)))


@SHAPES
@given(data=st.data())
def test_what_is_accepted_is_understood_without_a_fault(shape: Shape[Any], data: st.DataObject) -> None:
    records = data.draw(st.lists(RECORDS[shape.name], min_size=1, max_size=3))
    checked = check(shape, json.dumps({shape.name: records}).encode(), received_at=NOW)
    assert sorted([*checked.places, *(refusal.index for refusal in checked.refused)]) == list(range(len(records)))
    for found in read(shape, checked):
        assert not isinstance(found, Misunderstood)
        assert find_fault(found, received_at=NOW) is None


@SHAPES
@given(data=st.data())
def test_neighbours_make_no_difference(shape: Shape[Any], data: st.DataObject) -> None:
    written = json.dumps(data.draw(RECORDS[shape.name]))
    good = json.dumps(GOOD[shape.name])
    alone = check(shape, f'{{"{shape.name}":[{written}]}}'.encode(), received_at=NOW)
    # The last one makes the whole unreadable to a strict parser.
    beside = check(shape, f'{{"{shape.name}":[{good},{written},{good},NaN]}}'.encode(), received_at=NOW)
    assert beside.places == [0, 1, 2] if alone.places else [0, 2]
    of_it = [refusal for refusal in beside.refused if refusal.index == 1]
    assert [(each.field, each.code) for each in of_it] == [(each.field, each.code) for each in alone.refused]


@SHAPES
@given(data=st.data())
def test_broken_bytes_are_refused_or_read_and_never_worse(shape: Shape[Any], data: st.DataObject) -> None:
    body = bytearray(json.dumps({shape.name: [GOOD[shape.name]] * 2}).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    with suppress(Unreadable):
        checked = check(shape, bytes(body), received_at=NOW)
        assert not any(isinstance(found, Misunderstood) for found in read(shape, checked))


@SHAPES
@given(record=st.one_of(*RECORDS.values()))
def test_what_is_accepted_is_as_described(shape: Shape[Any], record: dict[str, Any]) -> None:
    described = body_of(shape)["content"]["application/json"]["schema"]
    document = json.loads(json.dumps({shape.name: [record]}))
    checked = check(shape, json.dumps(document).encode(), received_at=NOW)
    if checked.records:
        jsonschema.validate(document, described)


@SHAPES
def test_the_description_refuses_what_is_refused_for_its_form(shape: Shape[Any]) -> None:
    described = body_of(shape)["content"]["application/json"]["schema"]
    jsonschema.validate({shape.name: [GOOD[shape.name]]}, described)
    for wrong in ({"odd": 1}, {"user_id": 7}, {"user_id": ""}, {"email": []}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({shape.name: [{**GOOD[shape.name], **wrong}]}, described)


@pytest.mark.parametrize("address", [None, "a@b.cd"], ids=["no address", "an address"])
def test_as_many_traits_as_are_accepted_are_understood(address: str | None) -> None:
    for number, accepted in ((1_000, 1), (1_001, 0)):
        lead = {"user_id": "u", "email": address, "traits": {"t": {str(name): 1 for name in range(number)}}}
        checked = check(LEADS, json.dumps({"leads": [lead]}).encode(), received_at=NOW)
        assert len(checked.records) == accepted
        assert [refusal.code for refusal in checked.refused] == ["too_many"] * (1 - accepted)
        for found in read(LEADS, checked):
            assert find_fault(found, received_at=NOW) is None


def test_a_text_that_never_ends_is_refused_at_once() -> None:
    # Looked for its end at each of its quotes, it would take minutes.
    body = b'{"events":["' + b'\\"' * 240_000
    with pytest.raises(Unreadable, match="not valid JSON"):
        check(EVENTS, body, received_at=NOW)


@pytest.mark.parametrize("body", [b"nonsense", b'{"events":[{"type":7}]}', b'{"events":7}'])
def test_a_kept_request_that_can_no_longer_be_read_is_misunderstood(body: bytes) -> None:
    try:
        found = list(OWN.normalise(Message("events", body, NOW)))
    except Misunderstood as error:
        found = [error]
    assert [type(each) for each in found] == [Misunderstood]


def test_names_of_events_without_an_id_follow_from_the_request() -> None:
    raws = [msgspec.Raw(json.dumps(GOOD["events"]).encode())] * 2
    body = kept_body("events", raws, [3, 5], once="abc")
    assert [found.sender_id for found in OWN.normalise(Message("events", body, NOW))] == ["abc/3", "abc/5"]  # type: ignore[union-attr] # events all
