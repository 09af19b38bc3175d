import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay_calendly.pruning import pruned
from assay_calendly.reading import of_invitee
from assay_calendly.source import CalendlySource
from assay_sdk import Deletion, Event, Fetch, Identifiers, Identify, Message, Misunderstood, Request

NOW = datetime(2026, 9, 21, 12, 0, 30, tzinfo=UTC)
AT = "2026-09-21T12:00:00.000000Z"
EVENT = "https://api.calendly.com/scheduled_events/GBGBDCAADAEDCRZ2"
INVITEE = f"{EVENT}/invitees/BBBBBBBBBBBBBBBB"
ADA = Identifiers(email="ada@example.test")


def an_invitee(**fields: Any) -> dict[str, Any]:
    return {
        "uri": INVITEE,
        "email": "Ada@Example.test",
        "name": "Ada Lovelace",
        "first_name": None,
        "last_name": None,
        "status": "active",
        "event": EVENT,
        "created_at": AT,
        "updated_at": AT,
        "timezone": "Europe/Tallinn",
        "rescheduled": False,
        "old_invitee": None,
        "questions_and_answers": [{"question": "Company size?", "answer": "50-100", "position": 0}],
        "tracking": {"utm_source": "google", "utm_campaign": "spring", "utm_medium": None},
        "scheduled_event": {"uri": EVENT, "name": "Demo 30", "start_time": "2026-09-23T09:00:00.000000Z"},
        **fields,
    }


def hook(event: str, payload: Any) -> list[Any]:
    body = {"event": event, "created_at": AT, "payload": payload}
    return list(CalendlySource().normalise(Message("hook", json.dumps(body).encode(), NOW)))


def events(found: list[Any]) -> list[Event]:
    return [one for one in found if isinstance(one, Event)]


def test_booking() -> None:
    identify, event = hook("invitee.created", an_invitee())
    assert identify == Identify(
        ADA,
        {"email": "ada@example.test", "name": "Ada Lovelace", "calendly.timezone": "Europe/Tallinn"},
        datetime.fromisoformat(AT),
    )
    assert event == Event(
        ADA,
        "meeting.booked",
        {
            "meeting": "GBGBDCAADAEDCRZ2",
            "name": "Demo 30",
            "start_time": "2026-09-23T09:00:00.000000Z",
            "answer.company_size": "50-100",
            "campaign.source": "google",
            "campaign.name": "spring",
        },
        datetime.fromisoformat(AT),
        "booked/GBGBDCAADAEDCRZ2/invitees/BBBBBBBBBBBBBBBB",
    )


@pytest.mark.parametrize(
    ("event", "fields", "types"),
    [
        pytest.param(
            "invitee.created", {"old_invitee": INVITEE}, ["meeting.rescheduled"], id="moved: no second booking"
        ),
        pytest.param("invitee.canceled", {"status": "canceled"}, ["meeting.canceled"], id="canceled"),
        pytest.param("invitee.canceled", {"status": "canceled", "rescheduled": True}, [], id="moved: no cancelation"),
        pytest.param("invitee_no_show.created", {}, ["meeting.no_show"], id="no-show"),
        pytest.param("invitee_no_show.deleted", {}, ["meeting.no_show_undone"], id="no-show taken back"),
        pytest.param("event_type.updated", {}, [], id="what nobody asked for"),
    ],
)
def test_kinds(event: str, fields: dict[str, Any], types: list[str]) -> None:
    assert [one.type for one in events(hook(event, an_invitee(**fields)))] == types


def test_hosts_cancel_is_told_apart() -> None:
    cancellation = {"canceler_type": "host", "reason": "Ill", "canceled_by": "Rep", "created_at": AT}
    [event] = events(hook("invitee.canceled", an_invitee(status="canceled", cancellation=cancellation)))
    assert event.properties["canceler_type"] == "host"


def test_two_names_or_one() -> None:
    identify = hook("invitee.created", an_invitee(name="", first_name="Ada", last_name="Lovelace"))[0]
    assert identify.traits["name"] == "Ada Lovelace"
    assert identify.traits["first_name"] == "Ada"


def test_marked_twice_is_two_no_shows() -> None:
    marks = [{"uri": f"https://api.calendly.com/invitee_no_shows/{one}", "created_at": AT} for one in ("A", "B")]
    ids = {events(hook("invitee_no_show.created", an_invitee(no_show=mark)))[0].sender_id for mark in marks}
    assert len(ids) == 2


@pytest.mark.parametrize("mark", [{}, {"created_at": AT}, {"uri": None, "created_at": AT}])
def test_a_mark_without_a_uri_is_the_same_by_either_way(mark: dict[str, Any]) -> None:
    invitee = an_invitee(no_show=mark, updated_at="2026-09-23T10:00:00.000000Z")
    posted = events(hook("invitee_no_show.created", invitee))
    listed = events(list(of_invitee(invitee)))
    assert [one.sender_id for one in posted] == [one.sender_id for one in listed if one.type == "meeting.no_show"]


class TestForms:
    def form(self, answers: list[tuple[str, str]], **fields: Any) -> list[Any]:
        asked = [{"question_uuid": "1", "question": question, "answer": answer} for question, answer in answers]
        submission = {
            "uri": "https://api.calendly.com/routing_form_submissions/S1",
            "routing_form": "https://api.calendly.com/routing_forms/F1",
            "questions_and_answers": asked,
            "tracking": {},
            "result": {"type": "external_url", "value": "https://x.test"},
            "submitter": None,
            "created_at": AT,
            **fields,
        }
        return hook("routing_form_submission.created", submission)

    def test_address_is_among_the_answers(self) -> None:
        answers = [("Who sent you?", "bob@example.test"), ("Work e-mail", "Ada@example.test"), ("Industry", "IT")]
        identify, event = self.form(answers)
        assert identify.ids == event.ids == ADA
        assert (event.type, event.sender_id) == ("form.submitted", "form/S1")
        assert event.properties["answer.industry"] == "IT"

    def test_without_one_its_invitee_is_asked_for(self) -> None:
        assert self.form([("Industry", "IT")], submitter=INVITEE) == [Fetch("submission", "S1")]

    def test_of_nobody_is_nothing(self) -> None:
        assert self.form([("Industry", "IT")]) == []


CONTACT = {"uri": "https://api.calendly.com/contacts/K1", "email": "ada@example.test", "name": "Ada", "created_at": AT}


class TestContacts:
    IDS = Identifiers(vendor={"calendly": "K1"}, email="ada@example.test")

    def test_created(self) -> None:
        identify, event = hook("contact.created", CONTACT)
        assert identify.ids == self.IDS
        assert (event.type, event.sender_id) == ("contact.created", "created/K1")

    def test_updated_is_no_event(self) -> None:
        [identify] = hook("contact.updated", {**CONTACT, "updated_at": "2026-09-21T13:00:00Z"})
        assert isinstance(identify, Identify)
        assert identify.at.hour == 13

    def test_deleted(self) -> None:
        assert hook("contact.deleted", CONTACT) == [Deletion(self.IDS, "calendly", datetime.fromisoformat(AT))]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        pytest.param(b"", None, id="nothing"),
        pytest.param(b"[]", None, id="a list"),
        pytest.param(b"[" * 100_000, None, id="nested without end"),
        pytest.param(b"{}", "event", id="no event"),
        pytest.param(b'{"event":"invitee.created","payload":[]}', "payload", id="payload that is none"),
        pytest.param(b'{"event":"invitee.created","payload":{}}', "created_at", id="no instant"),
        pytest.param(
            b'{"event":"invitee.created","created_at":"0001-01-01T00:00:00+14:00","payload":{}}',
            "created_at",
            id="year 0",
        ),
        pytest.param(
            json.dumps({"event": "invitee.created", "created_at": AT, "payload": an_invitee(email="x")}).encode(),
            "payload.email",
            id="no address",
        ),
        pytest.param(
            json.dumps({"event": "invitee.created", "created_at": AT, "payload": an_invitee(uri="u" * 500)}).encode(),
            "payload.uri",
            id="endless uri",
        ),
    ],
)
def test_poison(body: bytes, field: str | None) -> None:
    with pytest.raises(Misunderstood) as caught:
        list(CalendlySource().normalise(Message("hook", body, NOW)))
    assert caught.value.field == field


def test_bad_record_of_a_page_spoils_no_other() -> None:
    body = json.dumps({"records": [an_invitee(), an_invitee(email=None), 7]}).encode()
    found = list(CalendlySource().normalise(Message("pull/scheduled-events", body, NOW)))
    assert [one.type for one in events(found)] == ["meeting.booked"]
    assert [one.field for one in found if isinstance(one, Misunderstood)] == ["records[1].email", "records[2]"]


def test_pruning_keeps_what_is_needed() -> None:
    meeting = {"location": {"type": "zoom", "join_url": "https://z.test", "data": {"password": "p"}}, "name": "Demo"}
    assert pruned([meeting]) == [{"location": {"type": "zoom"}, "name": "Demo"}]
    assert pruned({"location": "Room 5"}) == {"location": "Room 5"}
    assert pruned({"location": "https://z.test?pwd=1"}) == {"location": ""}


MOMENTS = [
    ("invitee.created", an_invitee()),
    ("invitee.canceled", an_invitee(status="canceled", rescheduled=True, new_invitee=f"{INVITEE}2")),
    ("invitee.created", an_invitee(uri=f"{INVITEE}2", old_invitee=INVITEE)),
    ("invitee_no_show.created", an_invitee(uri=f"{INVITEE}2", no_show={"uri": "https://x/n/N1", "created_at": AT})),
    ("invitee_no_show.deleted", an_invitee(uri=f"{INVITEE}2")),
]


@settings(max_examples=40)
@given(st.permutations(range(len(MOMENTS))), st.lists(st.integers(0, len(MOMENTS) - 1), max_size=8))
def test_order_and_duplicates_make_no_difference(order: list[int], again: list[int]) -> None:
    def result(which: list[int]) -> tuple[set[str], dict[str, Event]]:
        found = [one for n in which for one in hook(*MOMENTS[n])]
        return {repr(one) for one in found if isinstance(one, Identify)}, {one.sender_id: one for one in events(found)}

    assert result([*order, *again]) == result(list(range(len(MOMENTS))))


@settings(max_examples=60)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda x: st.lists(x) | st.dictionaries(st.sampled_from(list(an_invitee())), x),
        max_leaves=12,
    )
)
def test_whatever_comes_is_records_or_a_dead_letter(payload: Any) -> None:
    for event, _ in MOMENTS:
        try:
            hook(event, {**an_invitee(), **payload} if isinstance(payload, dict) else payload)
        except Misunderstood:
            continue


DEEP = b'{"uri":' + b"[" * 100_000 + b"]" * 100_000 + b"}"


def test_record_nested_without_end_spoils_no_other() -> None:
    body = b'{"records":[' + DEEP + b"," + json.dumps(an_invitee()).encode() + b"]}"
    found = list(CalendlySource().normalise(Message("pull/scheduled-events", body, NOW)))
    assert [one.type for one in events(found)] == ["meeting.booked"]
    assert [one.position for one in found if isinstance(one, Misunderstood)] == [0]


@pytest.mark.parametrize(
    "place",
    [
        pytest.param({"type": "custom", "location": "https://z.test/j/1?pwd=4711"}, id="custom"),
        pytest.param({"type": "ask_invitee", "location": "my room z.test://j/4711"}, id="invitee's own"),
    ],
)
def test_place_that_is_an_address_is_not_kept(place: dict[str, str]) -> None:
    assert pruned({"location": place}) == {"location": {"type": place["type"], "location": ""}}
    assert pruned({"location": {"type": "physical", "location": "Room 5"}})["location"]["location"] == "Room 5"


def kept(body: bytes) -> bytes:
    [delivery] = CalendlySource().split(Request("POST", "https://assay.example.test/h", {}, body, NOW))
    return delivery.body


def test_what_was_said_in_a_meeting_is_not_kept() -> None:
    payload = {"uri": "https://api.calendly.com/recaps/R", "event": EVENT, "summary": "secret plans", "transcript": []}
    body = kept(json.dumps({"event": "meeting_recap.created", "created_at": AT, "payload": payload}).encode())
    assert b"secret plans" not in body
    assert list(CalendlySource().normalise(Message("hook", body, NOW))) == [Fetch("recap", "GBGBDCAADAEDCRZ2")]


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param(b"1" + b"0" * 5000, id="number without end"),
        pytest.param(b'"\xff"', id="no UTF-8"),
        pytest.param(b"[" * 100_000, id="nested without end"),
        pytest.param(b'"cut sho', id="cut short"),
    ],
)
def test_no_live_address_is_kept_of_what_cannot_be_read(odd: bytes) -> None:
    body = b'{"payload":{"cancel_url" : "https://calendly.com/cancellations/\\"4711","join_url":"4711","x":' + odd
    assert b"4711" not in kept(body)
    assert kept(b"no JSON") == b"no JSON"
