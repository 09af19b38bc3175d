"""Records that webhooks named."""

from datetime import timedelta

import pytest

from assay_sdk import Alias, Deletion, Event, Identify, Outcome


@pytest.fixture
def fetched(service, link, understood):
    def fetch(kind, *ids):
        page = service.source.fetch(link, kind, [str(id_) for id_ in ids])
        return understood(list(page.bodies), f"fetch/{kind}")

    return fetch


def test_contacts_come_in_one_call(simulator, fetched):
    simulator.fill(100)
    calls = len(simulator.calls)
    records = fetched("contact", *simulator.first.contacts.rows)
    assert len([found for found in records if isinstance(found, Identify)]) == 100
    assert len(simulator.calls) == calls + 1


def test_fetching_says_what_pulling_says(simulator, link, fetched, pulled):
    simulator.fill(60)
    _, by_pull = pulled(link, "contacts")
    assert {repr(found) for found in fetched("contact", *simulator.first.contacts.rows)} == {
        repr(found) for found in by_pull
    }


def test_a_contact_that_is_gone_is_a_deletion(simulator, fetched, clock):
    simulator.fill(2)
    one, other = simulator.first.contacts.rows.values()
    simulator.archive(simulator.first, one)
    archived_at = clock.now()
    clock.turn(timedelta(hours=1))
    simulator.erase(simulator.first, other)
    deletions = {found.ids.vendor["hubspot"]: found for found in fetched("contact", one.id, other.id)}
    assert all(isinstance(found, Deletion) for found in deletions.values())
    assert deletions[str(one.id)].at == archived_at
    assert deletions[str(other.id)].at == clock.now()


def test_merged_contact_answers_under_another_id(simulator, fetched):
    simulator.fill(3)
    one, other, third = simulator.first.contacts.rows.values()
    joined = simulator.merge(simulator.first, one, other)
    records = fetched("contact", one.id, other.id, third.id)
    assert {found.ids.vendor["hubspot"] for found in records if isinstance(found, Identify)} == {
        str(joined.id),
        str(third.id),
    }
    aliases = {
        (found.ids.vendor["hubspot"], found.previous.vendor["hubspot"]) for found in records if isinstance(found, Alias)
    }
    assert aliases == {(str(joined.id), str(one.id)), (str(joined.id), str(other.id))}


def test_what_was_merged_away_is_told_as_deleted_and_nobody_is(simulator, fetched):
    simulator.fill(3)
    one, other, third = simulator.first.contacts.rows.values()
    joined = simulator.merge(simulator.first, one, other)
    simulator.archive(simulator.first, third)
    deletions = [found for found in fetched("contact", one.id, other.id, third.id) if isinstance(found, Deletion)]
    assert [found.ids.vendor["hubspot"] for found in deletions] == [str(third.id)]
    assert isinstance(fetched("contact", joined.id)[0], Identify)


def test_many_that_are_gone_are_looked_for_together(simulator, fetched):
    simulator.fill(20)
    for row in list(simulator.first.contacts.rows.values()):
        simulator.archive(simulator.first, row)
    calls = len(simulator.calls)
    assert len(fetched("contact", *simulator.first.contacts.rows)) == 20
    assert len(simulator.calls) <= calls + 22


def test_a_deal_brings_its_outcome(simulator, fetched):
    simulator.fill(101)
    records = fetched("deal", *simulator.first.deals.rows)
    assert [found.result for found in records if isinstance(found, Outcome)] == ["won"]
    assert {found.type for found in records if isinstance(found, Event)} == {"deal.created", "deal.stage_changed"}


@pytest.mark.parametrize(
    ("outcome", "word"),
    [
        ("CANCELED", "meeting.canceled"),
        ("NO_SHOW", "meeting.no_show"),
        ("COMPLETED", "meeting.held"),
        ("RESCHEDULED", "meeting.rescheduled"),
        ("SCHEDULED", None),
    ],
)
def test_meetings_say_how_they_went(simulator, fetched, clock, outcome, word):
    simulator.fill(1)
    [row] = simulator.first.contacts.rows.values()
    meeting = simulator.create(simulator.first, "meetings", {"hs_meeting_outcome": "SCHEDULED"})
    simulator.associate(simulator.first, "meetings", meeting, row.id)
    clock.turn(timedelta(hours=1))
    simulator.change(simulator.first, meeting, {"hs_meeting_outcome": outcome})
    records = fetched("meeting", meeting.id)
    told = [(found.type, found.at) for found in records]
    assert told == [("meeting.booked", clock.now() - timedelta(hours=1))] + ([(word, clock.now())] if word else [])
    clock.turn(timedelta(hours=1))
    simulator.change(simulator.first, meeting, {"hs_meeting_start_time": "2026-10-01T12:00:00Z"})
    assert fetched("meeting", meeting.id) == records


@pytest.mark.parametrize(
    ("direction", "kind", "expected"),
    [
        pytest.param("INCOMING", "MESSAGE", ["chat.started", "chat.replied"], id="the person wrote"),
        pytest.param("OUTGOING", "MESSAGE", ["chat.started"], id="a colleague wrote"),
        pytest.param("INCOMING", "COMMENT", ["chat.started"], id="a note among colleagues"),
    ],
)
def test_only_what_the_person_writes_counts(simulator, fetched, direction, kind, expected):
    simulator.fill(1)
    [row] = simulator.first.contacts.rows.values()
    thread = simulator.say(simulator.first, row, direction=direction, kind=kind)
    [message] = simulator.first.threads[thread]["messages"]
    records = fetched("conversation", f"{thread}/{message}")
    assert [found.type for found in records] == expected
    assert {found.ids.vendor["hubspot"] for found in records} == {str(row.id)}


def test_no_word_of_a_message_is_kept(simulator, service, link):
    simulator.fill(1)
    [row] = simulator.first.contacts.rows.values()
    thread = simulator.say(simulator.first, row)
    [message] = simulator.first.threads[thread]["messages"]
    [body] = service.source.fetch(link, "conversation", [f"{thread}/{message}"]).bodies
    assert b"Hello" not in body


def test_without_the_scope_chats_are_left_alone(simulator, service, link):
    link.keep(scopes=["oauth"])
    calls = len(simulator.calls)
    assert service.source.fetch(link, "conversation", ["1", "2/m"]).bodies == ()
    assert len(simulator.calls) == calls
