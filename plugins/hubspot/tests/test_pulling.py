"""Streams against the running stand-in."""

import json
import time
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from assay_hubspot.objects import SEARCH_PAGE
from assay_hubspot.paths import EMAIL_EVENTS, SUBMISSIONS
from assay_hubspot.simulator import crm
from assay_hubspot.simulator.people import email_of, person
from assay_hubspot.simulator.portal import Row
from assay_sdk import Alias, Company, Deletion, Event, Identify, Message, NeedsReconnect, Outcome, TryLater
from assay_sdk.paging import packed

MINUTE = timedelta(minutes=1)


def of(records, kind):
    return [record for record in records if isinstance(record, kind)]


def people_of(records):
    return {record.ids.vendor["hubspot"] for record in of(records, Identify)}


def brought(pages):
    return {record["id"] for page in pages for body in page.bodies for record in json.loads(body)["records"]}


def test_first_load_brings_everybody_once(simulator, link, pulled):
    simulator.fill(250)
    pages, records = pulled(link, "contacts")
    assert len(of(records, Identify)) == 250
    assert people_of(records) == {str(id_) for id_ in simulator.first.contacts.rows}
    assert pages[0].total == 250
    assert sum(page.count for page in pages[:3]) == 250
    [known] = [record for record in of(records, Identify) if record.ids.email == email_of(0)]
    assert known.traits["title"] == "CFO"
    assert known.traits["name"] == "Ada Lovelace"
    assert known.traits["unsubscribed"] is True
    assert len({event.sender_id for event in of(records, Event)}) == 250
    assert len(of(records, Company)) == 250


def test_companies_state_their_traits(simulator, link, pulled):
    simulator.fill(60)
    _, records = pulled(link, "companies")
    assert {company.domain for company in of(records, Company)} == {f"company{n}.example.test" for n in range(3)}
    assert of(records, Company)[0].traits["employees"] == 10


def test_then_only_what_changed_is_brought(simulator, link, clock, pulled):
    simulator.fill(150)
    pages, _ = pulled(link, "contacts")
    clock.turn(timedelta(minutes=40))
    row = next(iter(simulator.first.contacts.rows.values()))
    simulator.change(simulator.first, row, {"jobtitle": "CEO"})
    pages, records = pulled(link, "contacts", pages[-1].cursor)
    assert [record.traits["title"] for record in of(records, Identify)] == ["CEO"]
    clock.turn(5 * MINUTE)
    pages, records = pulled(link, "contacts", pages[-1].cursor)
    assert records == []


def test_the_same_cursor_gives_the_same_page(simulator, link, service):
    simulator.fill(250)
    first = service.source.pull(link, "contacts", None)
    cursor = json.loads(json.dumps(first.cursor))
    one, other = (service.source.pull(link, "contacts", cursor) for _ in range(2))
    assert one == other


def test_a_change_that_is_found_late_is_not_lost(simulator, link, clock, pulled):
    simulator.fill(5)
    pages, _ = pulled(link, "contacts")
    rows = list(simulator.first.contacts.rows.values())
    clock.turn(timedelta(hours=1))
    simulator.change(simulator.first, rows[0], {"jobtitle": "early"})
    clock.turn(MINUTE)
    simulator.change(simulator.first, rows[1], {"jobtitle": "late"})
    # The index knows the later one alone.
    changed = rows[0].modified
    simulator.first.contacts.archive(rows[0], changed)
    pages, records = pulled(link, "contacts", pages[-1].cursor)
    assert [record.traits["title"] for record in of(records, Identify)] == ["late"]
    simulator.first.contacts.restore(rows[0], changed)
    clock.turn(5 * MINUTE)
    _, records = pulled(link, "contacts", pages[-1].cursor)
    assert "early" in [record.traits["title"] for record in of(records, Identify)]


def test_our_clock_may_be_ahead_when_the_first_load_begins(simulator, link, clock, pulled):
    simulator.fill(3)
    pages, _ = pulled(link, "contacts")
    row = next(iter(simulator.first.contacts.rows.values()))
    # By HubSpot's clock, which is ten minutes behind.
    simulator.first.contacts.change(row, {"city": "Cluj"}, simulator.now() - 600_000)
    assert people_of(pulled(link, "contacts", pages[0].cursor)[1]) >= {str(row.id)}


def test_nothing_is_asked_twice_once_it_is_settled(simulator, link, clock, pulled):
    simulator.fill(3)
    pages, _ = pulled(link, "contacts")
    clock.turn(timedelta(hours=1))
    for row in simulator.first.contacts.rows.values():
        simulator.change(simulator.first, row, {"jobtitle": "x"})
    pages, records = pulled(link, "contacts", pages[-1].cursor)
    assert len(of(records, Identify)) == 3
    clock.turn(timedelta(hours=1))
    pages, records = pulled(link, "contacts", pages[-1].cursor)
    assert records == []
    assert pages[-1].cursor["seen"] == []


def _changed_at_once(simulator, clock, many, *, apart=0):
    now = simulator.now()
    portal = simulator.first
    for number in range(many):
        at = now + number * apart
        portal.contacts.add(Row(portal.new_id(), at, at, person, number))
    clock.turn(timedelta(milliseconds=many * apart))


@pytest.mark.parametrize(
    ("many", "apart"),
    [
        pytest.param(1200, 1, id="a millisecond apart"),
        pytest.param(1200, 0, id="all in one millisecond"),
        pytest.param(2 * SEARCH_PAGE, 0, id="just two pages in one millisecond"),
        pytest.param(SEARCH_PAGE, 0, id="just a page in one millisecond"),
    ],
)
def test_search_stops_at_10_000_rows(simulator, link, clock, pulled, service, monkeypatch, many, apart):
    simulator.limited = False
    monkeypatch.setattr(crm, "ROWS_MOST", 1000)
    pages, _ = pulled(link, "contacts")
    clock.turn(timedelta(hours=1))
    _changed_at_once(simulator, clock, many, apart=apart)
    cursor, pages = pages[-1].cursor, []
    while not pages or pages[-1].more:
        pages.append(service.source.pull(link, "contacts", cursor))
        cursor = pages[-1].cursor
    assert len(brought(pages)) == many
    assert sum(page.count for page in pages) == many


def test_a_row_that_changes_while_pages_are_read_hides_no_other(simulator, link, clock, pulled):
    pages, _ = pulled(link, "contacts")
    clock.turn(timedelta(hours=1))
    _changed_at_once(simulator, clock, 3 * SEARCH_PAGE, apart=1)
    everybody = {str(id_) for id_ in simulator.first.contacts.rows}
    some, first = pulled(link, "contacts", pages[-1].cursor, most=1)
    for row in list(simulator.first.contacts.rows.values())[:50]:
        simulator.first.contacts.touch(row, simulator.now() + 1)
    _, rest = pulled(link, "contacts", some[-1].cursor)
    assert people_of(first + rest) == everybody


def test_archived_contacts_are_told_as_deletions(simulator, link, clock, pulled):
    simulator.fill(3)
    gone, *_ = simulator.first.contacts.rows.values()
    pages, records = pulled(link, "contacts")
    assert of(records, Deletion) == []
    clock.turn(timedelta(hours=7))
    simulator.archive(simulator.first, gone)
    _, records = pulled(link, "contacts", pages[-1].cursor)
    [deletion] = of(records, Deletion)
    assert (deletion.ids.vendor, deletion.at, deletion.erased) == ({"hubspot": str(gone.id)}, clock.now(), False)


def test_what_was_merged_away_is_no_deletion_even_if_it_is_listed_as_archived(simulator, link, clock, pulled):
    simulator.fill(3)
    pages, _ = pulled(link, "contacts")
    clock.turn(timedelta(hours=7))
    one, other, third = simulator.first.contacts.rows.values()
    simulator.merge(simulator.first, one, other)
    # As if HubSpot listed it among the archived ones.
    simulator.first.contacts.add(other)
    simulator.first.contacts.archive(other, simulator.now())
    simulator.archive(simulator.first, third)
    _, records = pulled(link, "contacts", pages[-1].cursor)
    assert [found.ids.vendor["hubspot"] for found in of(records, Deletion)] == [str(third.id)]


def test_who_was_deleted_during_the_first_load_is_told(simulator, link, pulled, service):
    simulator.fill(150)
    first = service.source.pull(link, "contacts", None)
    simulator.archive(simulator.first, next(iter(simulator.first.contacts.rows.values())))
    _, records = pulled(link, "contacts", first.cursor)
    assert len(of(records, Deletion)) == 1


def test_deals_are_told_to_each_of_their_contacts(simulator, link, pulled):
    simulator.fill(101)
    simulator.associations_page = 1
    [first, *_] = simulator.first.deals.rows.values()
    others = list(simulator.first.contacts.rows)[:3]
    simulator.first.contacts_of[("deals", first.id)] = others
    _, records = pulled(link, "deals")
    told = {event.ids.vendor["hubspot"] for event in of(records, Event) if event.properties["deal"] == str(first.id)}
    assert told == {str(id_) for id_ in others}
    [won] = of(records, Outcome)
    assert (won.result, str(won.amount), won.currency) == ("won", "1200.50", "EUR")
    assert won.properties["stage"] == "Closed won"


def test_pipeline_edit_touches_every_deal_and_scores_nothing(simulator, link, clock, pulled):
    simulator.fill(400)
    pages, before = pulled(link, "deals")
    clock.turn(timedelta(hours=1))
    simulator.edit_pipeline(simulator.first)
    _, after = pulled(link, "deals", pages[-1].cursor)
    assert of(after, Event)
    assert {repr(record) for record in after} <= {repr(record) for record in before}


def test_a_deal_won_twice_states_one_instant(simulator, link, clock, pulled):
    simulator.fill(1)
    [deal] = simulator.first.deals.rows.values()
    simulator.win(simulator.first, deal)
    won_at = clock.now()
    clock.turn(timedelta(hours=1))
    simulator.change(
        simulator.first, deal, {"dealstage": "contract", "hs_is_closed": "false", "hs_is_closed_won": "false"}
    )
    clock.turn(timedelta(hours=1))
    simulator.win(simulator.first, deal)
    _, records = pulled(link, "deals")
    assert {(outcome.result, outcome.at) for outcome in of(records, Outcome)} == {("won", won_at)}


def test_form_submissions_come_newest_first_and_once(simulator, link, clock, pulled):
    simulator.fill(2000)
    pages, records = pulled(link, "forms")
    assert len({event.sender_id for event in of(records, Event)}) == len(records) == 200
    assert of(records, Event)[0].properties["answer.message"] == "Please call me."
    clock.turn(timedelta(minutes=15))
    simulator._submission(simulator.first, "ada@example.test", simulator.now(), 0)
    pages, records = pulled(link, "forms", pages[-1].cursor)
    assert [event.ids.email for event in of(records, Event)] == ["ada@example.test"]
    _, records = pulled(link, "forms", pages[-1].cursor)
    assert records == []


def test_a_form_that_went_quiet_is_not_read_again(simulator, link, clock, pulled):
    for number in range(120):
        simulator._submission(simulator.first, email_of(number), simulator.now(), number)
    pages, _ = pulled(link, "forms")
    clock.turn(timedelta(hours=1))
    for _ in range(2):
        pages, records = pulled(link, "forms", pages[-1].cursor)
        clock.turn(timedelta(minutes=15))
    assert records == []
    assert all(near == [] for _, near in pages[-1].cursor["known"].values())
    simulator._submission(simulator.first, "ada@example.test", simulator.now(), 0)
    assert len(pulled(link, "forms", pages[-1].cursor)[1]) == 1


@pytest.mark.parametrize("bad", [{}, {"created": None, "id": "x"}, {"created": "soon", "submittedAt": "soon"}, None, 3])
def test_a_row_without_an_instant_holds_up_no_other(simulator, link, pulled, bad):
    portal = simulator.first
    simulator._email_event(portal, "ada@example.test", simulator.now() - 1000, 10)
    simulator._submission(portal, "ada@example.test", simulator.now() - 1000, 0)
    answered = json.dumps({"hasMore": False, "events": [bad, *portal.email_events]})
    real = link.http.client._transport

    def with_bad(request):
        if request.url.path == EMAIL_EVENTS:
            return httpx.Response(200, text=answered, headers={"Content-Type": "application/json"})
        answer = real.handle_request(request)
        if not request.url.path.startswith(SUBMISSIONS):
            return answer
        body = json.loads(answer.read())
        return httpx.Response(200, json={"results": [bad, *body.get("results", ())]})

    link.http.client._transport = httpx.MockTransport(with_bad)
    for stream in ("email-events", "forms"):
        _, records = pulled(link, stream)
        assert {event.ids.email for event in records} >= {"ada@example.test"}


def test_what_machines_opened_is_no_event(simulator, link, pulled):
    simulator._email_event(simulator.first, "ada@example.test", simulator.now() - 1000, 10)
    for event in simulator.first.email_events:
        event["filteredEvent"] = True
    assert pulled(link, "email-events")[1] == []


def test_email_events_are_keyed_by_id_and_created(simulator, link, clock, pulled):
    simulator.fill(700)
    portal = simulator.first
    opened = next(event for event in reversed(portal.email_events) if event["type"] == "OPEN")
    twin = {**opened, "created": simulator.now() - 5000}
    portal.email_events.append(twin)
    pages, records = pulled(link, "email-events")
    assert len({event.sender_id for event in records}) == len(records)
    assert len([event for event in records if twin["id"] in event.sender_id]) == 2
    assert {event.type for event in records} <= {"email.opened", "email.clicked", "email.bounced", "email.complained"}
    clock.turn(timedelta(minutes=15))
    _, records = pulled(link, "email-events", pages[-1].cursor)
    assert records == []


def test_an_email_token_that_lapsed_loses_nothing(simulator, link, clock, service, pulled):
    portal, now = simulator.first, simulator.now()
    for number in range(2500):
        simulator._email_event(portal, email_of(number), now - (2500 - number) * 1000, 10)
    page = service.source.pull(link, "email-events", None)
    cursor = {**page.cursor, "offset": "lapsed:1"}
    _, records = pulled(link, "email-events", cursor)
    first = sum(1 for _ in json.loads(page.bodies[0])["records"])
    assert first + len({event.sender_id for event in records}) >= 2500


def test_further_properties_are_read_by_their_type(simulator, connected, pulled):
    simulator.fill(2)
    link = connected(properties="employees_stated, interests; no_such_thing assay_score")
    _, records = pulled(link, "contacts")
    traits = of(records, Identify)[1].traits
    assert traits["hubspot.employees_stated"] == 1
    assert traits["hubspot.interests"] == ["pricing", "demo"]
    assert "hubspot.no_such_thing" not in traits


@pytest.mark.parametrize(
    ("cause", "ids"),
    [
        pytest.param({"id": "u", "created": 1_790_000_000_000}, 1, id="caused by the other event"),
        pytest.param({"id": "s", "created": 1_790_000_000_000}, 2, id="caused by another one"),
        pytest.param(None, 2, id="caused by none"),
    ],
)
def test_unsubscribing_is_one_event_with_the_change_of_status_that_it_causes(cause, ids, service):
    left = {"id": "u", "type": "UNSUBSCRIBED", "created": 1_790_000_000_000, "recipient": "ada@example.test"}
    changed = {**left, "id": "c", "type": "STATUSCHANGE", "created": left["created"] + 500, "causedBy": cause}
    rows = [left, {**changed, "portalSubscriptionStatus": "UNSUBSCRIBED"}]
    [body] = packed(rows, kind="email-events")
    found = list(service.source.normalise(Message("pull/email-events", body, datetime(2026, 9, 21, tzinfo=UTC))))
    assert [event.type for event in found] == ["unsubscribed", "unsubscribed"]
    assert len({event.sender_id for event in found}) == ids


def test_secondary_addresses_and_merges_join_people(simulator, link, pulled):
    simulator.fill(2)
    one, other = simulator.first.contacts.rows.values()
    joined = simulator.merge(simulator.first, one, other)
    simulator.change(simulator.first, joined, {"hs_additional_emails": "Second@example.test"})
    _, records = pulled(link, "contacts")
    previous = {record.previous.email or record.previous.vendor["hubspot"] for record in of(records, Alias)}
    assert previous == {"second@example.test", str(one.id), str(other.id)}


def test_merging_creates_nobody(simulator, link, clock, pulled):
    simulator.fill(3)
    pages, before = pulled(link, "contacts")
    one, other, third = simulator.first.contacts.rows.values()
    clock.turn(MINUTE)
    joined = simulator.merge(simulator.first, one, other)
    clock.turn(MINUTE)
    pages, after = pulled(link, "contacts", pages[-1].cursor)
    simulator.merge(simulator.first, third, joined)
    clock.turn(MINUTE)
    _, again = pulled(link, "contacts", pages[-1].cursor)
    assert str(joined.id) in people_of(after)
    created = [event for event in of(before + after + again, Event) if event.type == "contact.created"]
    assert len(created) == 5
    assert {event.sender_id for event in created} == {f"created/{row.id}" for row in (one, other, third)}


@pytest.mark.parametrize(
    ("kind", "options", "is_over"),
    [
        pytest.param(503, {}, True, id="once away"),
        pytest.param(521, {}, True, id="once 521"),
        pytest.param(524, {"times": -1}, False, id="always 524"),
        pytest.param(423, {}, False, id="locked a moment"),
        pytest.param(477, {"headers": {"Retry-After": "60"}}, False, id="moving data"),
        pytest.param(429, {"headers": {"Retry-After": "60"}}, False, id="too many"),
    ],
)
def test_failures_of_the_vendor(simulator, link, service, kind, options, is_over):
    simulator.fill(1)
    simulator.faults.next(kind, path="/crm/objects", **options)
    if is_over:
        assert service.source.pull(link, "contacts", None).count == 1
    else:
        with pytest.raises(TryLater):
            service.source.pull(link, "contacts", None)


def test_a_lost_permission_needs_a_person(simulator, link, service):
    simulator.fill(1)
    simulator.grants[0].scopes = ("oauth",)
    with pytest.raises(NeedsReconnect, match="permission"):
        service.source.pull(link, "contacts", None)


def test_limits_are_never_reached(simulator, link, service):
    # More than the stand-in takes within ten seconds, by its clock, which stands still but for waits.
    simulator.fill(12_000)
    cursor = None
    for _ in range(116):
        cursor = service.source.pull(link, "companies", cursor).cursor
        cursor = cursor if cursor["phase"] == "list" else None
    late = sorted(row.modified for row in simulator.first.contacts.rows.values())[-2500]
    cursor = {"phase": "follow", "since": late, "newest": late, "seen": [], "swept": 2**53}
    for _ in range(8):
        cursor = service.source.pull(link, "contacts", cursor).cursor
    assert cursor["since"] > late


def test_50_000_people_are_there_at_once(simulator):
    began = time.monotonic()
    simulator.fill(50_000)
    assert len(simulator.first.contacts.rows) == 50_000
    assert time.monotonic() - began < 5
