"""Pages and webhooks in any order, any of them repeated, say the same."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay_hubspot.service import HubSpot
from assay_sdk import Event, Identify, Message, Misunderstood

SOURCE = HubSpot.source
AT = datetime(2026, 9, 21, 12, tzinfo=UTC)
IDS = st.integers(1, 5)
INSTANTS = st.integers(1_789_990_000_000, 1_790_000_000_000)


def iso(milliseconds):
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat()


@st.composite
def pages(draw):
    """The same contact or deal always has the same past, whatever else changed meanwhile."""
    id_, modified = draw(IDS), draw(INSTANTS)
    created = 1_789_000_000_000 + id_ * 1000
    record = {"id": str(id_), "createdAt": iso(created), "updatedAt": iso(modified)}
    if draw(st.booleans()):
        email = draw(st.sampled_from([None, "ada@example.test", "Bo@Example.test"]))
        record["properties"] = {"email": email, "lifecyclestage": draw(st.sampled_from(["lead", "customer"]))}
        return "pull/contacts", {"kind": "contacts", "records": [record]}
    moves = [("appointment", created), ("contract", created + 5000), ("closedwon", created + 9000)]
    record["properties"] = {"dealstage": "closedwon", "hs_is_closed_won": "true"}
    record["history"] = [{"value": stage, "timestamp": iso(at)} for stage, at in draw(st.permutations(moves))]
    record["contacts"] = [str(contact) for contact in draw(st.permutations([1, 2, 3]))]
    stages = {"closedwon": {"label": "Won", "pipeline": "Sales", "isClosed": "true", "probability": "1.0"}}
    return "pull/deals", {"kind": "deals", "stages": stages, "records": [record]}


@st.composite
def hooks(draw):
    words = ("creation", "deletion", "privacyDeletion", "restore", "propertyChange")
    event = {
        "eventId": draw(st.integers(1, 3)),
        "portalId": 33,
        "occurredAt": draw(INSTANTS),
        "subscriptionType": f"contact.{draw(st.sampled_from(words))}",
        "attemptNumber": draw(st.integers(0, 9)),
        "objectId": draw(IDS),
    }
    if event["subscriptionType"].endswith("Change"):
        event |= {"propertyName": draw(st.sampled_from(["city", "assay_score", "odd"])), "propertyValue": "x"}
    return "hook", [event]


def records(messages):
    found = []
    for call, body in messages:
        found += SOURCE.normalise(Message(call, json.dumps(body).encode(), AT))
    assert not [record for record in found if isinstance(record, Misunderstood)]
    return found


MESSAGES = st.lists(st.one_of(pages(), hooks()), max_size=8)
NAMES = ("id", "properties", "createdAt", "objectId", "occurredAt", "subscriptionType", "thread", "values", "created")
KINDS = ("contacts", "companies", "deals", "meetings", "conversations", "forms", "email-events")
SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.one_of(pages(), hooks()), max_size=8).flatmap(
        lambda one: st.tuples(st.just(one), st.permutations(one + one[:2]))
    )
)
def test_order_and_repetition_change_nothing(both):
    one, other = both
    assert {repr(record) for record in records(one)} == {repr(record) for record in records(other)}


@settings(max_examples=60, deadline=None)
@given(MESSAGES)
def test_one_sender_id_is_one_event(messages):
    by_id = {}
    for record in records(messages):
        if isinstance(record, Event):
            assert by_id.setdefault(record.sender_id, record) == record
            assert len(record.sender_id) <= 200


@settings(max_examples=100, deadline=None)
@given(ANYTHING, st.sampled_from(KINDS))
def test_whatever_comes_is_read_or_named(item, kind):
    page = {"kind": kind, "records": [item]}
    for call, body in (("hook", item), ("hook", [item]), ("pull/x", item), ("pull/x", page), ("fetch/x", page)):
        try:
            list(SOURCE.normalise(Message(call, json.dumps(body).encode(), AT)))
        except Misunderstood:
            continue


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(b'{"id":"1"}', id="without properties"),
        pytest.param(
            b'{"id":"1","createdAt":"0001-01-01T00:00:00+14:00","properties":{}}', id="an instant before all others"
        ),
        pytest.param(b"7", id="no object"),
        pytest.param(b'{"id":"1","deep":' + b"[" * 100_000 + b"]" * 100_000 + b"}", id="too deep"),
    ],
)
def test_a_record_that_cannot_be_read_takes_no_other_with_it(bad):
    record = {"id": "2", "createdAt": iso(1), "updatedAt": iso(2), "properties": {"email": "a@example.test"}}
    body = b'{"kind":"contacts","records":[' + bad + b"," + json.dumps(record).encode() + b"]}"
    fault, *others = SOURCE.normalise(Message("pull/contacts", body, AT))
    assert isinstance(fault, Misunderstood)
    assert (fault.position, fault.excerpt) == (0, bad[:400].decode())
    assert [type(other) for other in others] == [Identify, Event]


def test_our_own_fields_are_no_traits():
    properties = {"email": "a@example.test", "assay_score": "87", "assay_reasons": "x"}
    record = {"id": "1", "createdAt": iso(1), "updatedAt": iso(2), "properties": properties}
    body = {"kind": "contacts", "records": [record]}
    [identify] = [found for found in records([("pull/contacts", body)]) if isinstance(found, Identify)]
    assert identify.traits == {"email": "a@example.test"}
