"""Whatever the order in which records come, and however often, they say the same."""

import json
from datetime import UTC, datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from assay_bitrix24.service import Bitrix24
from assay_sdk import Company, Event, Identify, Message, Misunderstood, Outcome

AT = datetime(2026, 9, 21, 12, tzinfo=UTC)
INSTANTS = st.sampled_from(["2026-09-21T12:00:00+03:00", "2026-09-21T12:00:01+03:00", "2026-09-22T01:00:00+02:00"])
IDS = st.integers(1, 4)
PEOPLE = st.fixed_dictionaries(
    {
        "id": IDS,
        "createdTime": st.just("2026-09-20T12:00:00+03:00"),
        "updatedTime": INSTANTS,
        "movedTime": INSTANTS,
        "name": st.sampled_from(["Ada", "", None]),
        "stageId": st.sampled_from(["NEW", "CONVERTED", "JUNK"]),
        "stageSemanticId": st.sampled_from(["P", "S", "F"]),
        "contactId": st.integers(0, 3),
        "contacts": st.lists(IDS, max_size=3),
        "fm": st.sampled_from([[], [{"id": 1, "typeId": "EMAIL", "valueType": "WORK", "value": "Ada@example.test"}]]),
    }
)
RECORDS = st.lists(st.tuples(st.sampled_from(["lead", "contact", "deal", "company"]), PEOPLE), max_size=8)


def said(records: list[tuple[str, Any]]) -> set[str]:
    source = Bitrix24().source
    return {
        repr(record)
        for kind, record in records
        for record in source.normalise(Message("pull/x", json.dumps({"kind": kind, "records": [record]}).encode(), AT))
    }


@settings(max_examples=60, deadline=None)
@given(RECORDS, st.randoms(use_true_random=False))
def test_order_and_repetition_make_no_difference(records: list[tuple[str, Any]], dice: Any) -> None:
    shuffled = records + dice.choices(records, k=len(records)) if records else []
    dice.shuffle(shuffled)
    assert said(shuffled) == said(records)


@settings(max_examples=60, deadline=None)
@given(RECORDS)
def test_an_event_is_named_by_its_content_alone(records: list[tuple[str, Any]]) -> None:
    source = Bitrix24().source
    for kind, record in records:
        body = json.dumps({"kind": kind, "records": [record, record]}).encode()
        found = list(source.normalise(Message("fetch/x", body, AT)))
        events = [(one.type, one.sender_id) for one in found if isinstance(one, Event)]
        assert len(set(events)) * 2 == len(events)
        assert all(0 < len(sender_id) <= 200 for _, sender_id in events)
        outcomes = [(one.deal_id, repr(one.ids)) for one in found if isinstance(one, Outcome)]
        assert len(set(outcomes)) * 2 == len(outcomes)


@settings(max_examples=60, deadline=None)
@given(RECORDS)
def test_one_sender_id_is_one_event_whatever_was_edited_meanwhile(records: list[tuple[str, Any]]) -> None:
    source, by_id = Bitrix24().source, dict[str, Event]()
    for kind, record in records:
        body = json.dumps({"kind": kind, "records": [record]}).encode()
        for one in source.normalise(Message("pull/x", body, AT)):
            if isinstance(one, Event) and one.type in ("contact.created", "deal.created"):
                assert by_id.setdefault(one.sender_id, one) == one


def test_a_meeting_that_is_moved_was_booked_once_and_the_same() -> None:
    item = {"ID": "5", "TYPE_ID": "1", "CREATED": "2026-09-20T12:00:00+03:00", "OWNER_TYPE_ID": "3", "OWNER_ID": "7"}
    moved = item | {"START_TIME": "2026-09-25T12:00:00+03:00", "SUBJECT": "Demo, moved", "PROVIDER_ID": "CRM_MEETING"}
    assert said([("activity", moved)]) == said([("activity", moved | {"SUBJECT": "Demo", "START_TIME": None})])


def test_a_lead_that_is_converted_again_is_another_conversion() -> None:
    lead = {"id": 5, "createdTime": "2026-09-20T12:00:00+03:00", "stageId": "CONVERTED", "stageSemanticId": "S"}
    first, again = ({**lead, "movedTime": f"2026-09-{day}T12:00:00+03:00"} for day in (21, 22))
    edited = first | {"updatedTime": "2026-09-23T12:00:00+03:00"}
    body = json.dumps({"kind": "lead", "records": [first, edited, again]}).encode()
    found = [one for one in Bitrix24().source.normalise(Message("pull/x", body, AT)) if isinstance(one, Event)]
    named = {one.sender_id: one for one in found}
    assert sorted(one.type for one in named.values()) == ["contact.created", "lead.converted", "lead.converted"]
    assert all(named[one.sender_id] == one for one in found)


def test_the_company_of_now_is_stated_later_than_the_one_before() -> None:
    contact = {"id": 5, "createdTime": "2026-09-20T12:00:00+03:00"}
    records = [
        ("contact", contact | {"companyId": company, "updatedTime": f"2026-09-2{company}T12:00:00+03:00"})
        for company in (1, 2)
    ]
    source = Bitrix24().source
    body = json.dumps({"kind": "contact", "records": [record for _, record in records]}).encode()
    before, now = (one for one in source.normalise(Message("pull/x", body, AT)) if isinstance(one, Company))
    assert before.at < now.at


def test_a_record_that_is_nested_too_deeply_takes_no_other_with_it() -> None:
    deep = '{"id":1,"title":' + "[" * 100_000 + "]" * 100_000 + "}"
    good = '{"id":2,"createdTime":"2026-09-20T12:00:00+03:00"}'
    body = f'{{"kind":"contact","stages":{{}},"records":[{deep},{good}]}}'.encode()
    fault, *others = Bitrix24().source.normalise(Message("pull/contacts", body, AT))
    assert isinstance(fault, Misunderstood)
    assert [type(other) for other in others] == [Identify, Event]
