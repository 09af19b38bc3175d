from datetime import timedelta
from typing import Any

import pytest

from assay_calendly import pull
from assay_calendly.service import Calendly
from assay_calendly.simulator import CalendlySimulator
from assay_sdk import Event, Identify, Link, LocalLimiter, Message, TryLater
from assay_sdk.testing import SetClock, connect


def asked(simulator: CalendlySimulator, part: str) -> int:
    return sum(part in call for call in simulator.calls)


class TestFirstLoad:
    def test_brings_everything_of_a_year_once(self, simulator: CalendlySimulator, reader: Any) -> None:
        simulator.fill(120)
        reader.run()
        invitees = {one["uri"] for people in simulator.quartz.invitees.values() for one in people}
        booked = [one for one in reader.events.values() if one.type in ("meeting.booked", "meeting.rescheduled")]
        assert len(booked) == len(invitees) == 120
        assert reader.types().count("meeting.canceled") == 12
        emails = {one.ids.email for one in reader.records if isinstance(one, Identify)}
        assert len(emails) == 120

    def test_asks_no_second_time_for_invitees(self, simulator: CalendlySimulator, reader: Any) -> None:
        simulator.fill(60)
        reader.run()
        assert asked(simulator, "/invitees?") == 60

    def test_resumes_after_a_crash_without_a_gap_or_a_double(
        self, simulator: CalendlySimulator, reader: Any, clock: SetClock
    ) -> None:
        simulator.fill(60)
        cursor, kept = None, []
        while True:
            # Each page is asked for twice: the first answer is lost before it is committed.
            lost = reader.source.pull(reader.link, "scheduled-events", cursor)
            page = reader.source.pull(reader.link, "scheduled-events", cursor)
            assert lost.bodies == page.bodies
            kept += page.bodies
            cursor = dict(page.cursor)
            if not page.more:
                break
        assert sum(body.count(b'"questions_and_answers"') for body in kept) == 60

    def test_free_plan_of_fifty_requests_a_minute_gets_done(
        self, service: Calendly, simulator: CalendlySimulator, clock: SetClock
    ) -> None:
        """One page and its invitees are more requests than the plan takes in a minute."""
        link = connect(service, simulator, clock=clock, limiter=LocalLimiter(clock.seconds))
        simulator.per_minute = {"standard": 50, "free": 50}
        simulator.fill(120)
        cursor, waited, count = None, 0, 0
        for _ in range(40):
            try:
                page = service.source.pull(link, "scheduled-events", cursor)
            except TryLater as error:
                clock.turn(error.after or timedelta(seconds=1))
                waited += 1
                continue
            cursor, count = dict(page.cursor), count + page.count
            if not page.more:
                break
        assert count == 120
        assert waited >= 2

    def test_page_token_that_grew_too_old_starts_the_run_anew(self, simulator: CalendlySimulator, reader: Any) -> None:
        simulator.fill(110)
        pages = [reader.source.pull(reader.link, "scheduled-events", None)]
        while not pages[-1].cursor.get("token"):
            pages.append(reader.source.pull(reader.link, "scheduled-events", pages[-1].cursor))
        stale = {**pages[-1].cursor, "token": "grown-old"}
        page = reader.source.pull(reader.link, "scheduled-events", stale)
        assert page.more
        assert "token" not in page.cursor
        assert page.cursor["fresh"] == stale["fresh"]


class TestNoUpdatedFilter:
    """Calendly's lists can't be asked for what changed since: the window is read again."""

    def test_quiet_window_costs_no_invitees(self, simulator: CalendlySimulator, reader: Any) -> None:
        simulator.book("ada@example.test")
        reader.run()
        before = asked(simulator, "/invitees?")
        reader.run()
        assert asked(simulator, "/invitees?") == before
        assert asked(simulator, "/scheduled_events?") == 2

    def test_change_is_found_by_its_updated_at(
        self, simulator: CalendlySimulator, reader: Any, clock: SetClock
    ) -> None:
        invitee = simulator.book("ada@example.test")
        simulator.book("ben@example.test")
        reader.run()
        clock.turn(timedelta(minutes=10))
        simulator.cancel(invitee)
        [page] = reader.run()
        assert page.count == 1
        assert reader.types() == ["meeting.booked", "meeting.booked", "meeting.canceled"]

    def test_what_changed_while_nobody_looked_is_found(
        self, simulator: CalendlySimulator, reader: Any, clock: SetClock
    ) -> None:
        invitee = simulator.book("ada@example.test")
        reader.run()
        clock.turn(timedelta(hours=1))
        simulator.cancel(invitee)
        clock.turn(timedelta(days=30))
        reader.run()
        assert "meeting.canceled" in reader.types()

    def test_marks_are_bounded_and_leave_with_their_meetings(
        self, simulator: CalendlySimulator, reader: Any, clock: SetClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for number in range(12):
            simulator.book(f"p{number}@example.test", start=clock.now() + timedelta(days=number))
        reader.run()
        assert len(reader.cursors["scheduled-events"]["known"]) == 12 * pull.MARK
        clock.turn(timedelta(days=12))
        reader.run()
        clock.turn(timedelta(hours=1))
        reader.run()
        assert len(reader.cursors["scheduled-events"]["known"]) < 12 * pull.MARK
        monkeypatch.setattr(pull, "MOST_MARKS", 3)
        reader.run()
        assert len(reader.cursors["scheduled-events"]["known"]) == 3 * pull.MARK


class TestTraps:
    def test_query_filters_take_uris_not_uuids(self, simulator: CalendlySimulator, reader: Any) -> None:
        reader.run()
        [call] = [call for call in simulator.calls if "/scheduled_events?" in call]
        assert "organization=https%3A%2F%2Fapi.calendly.com%2Forganizations%2F" in call

    def test_group_events_score_each_invitee(self, simulator: CalendlySimulator, reader: Any, clock: SetClock) -> None:
        meeting = simulator.meet(limit=200)
        for number in range(120):
            simulator.book(f"p{number}@example.test", meeting=meeting)
        reader.run()
        assert len(reader.events) == 120
        assert len({one.ids.email for one in reader.events.values()}) == 120
        assert {one.properties["meeting"] for one in reader.events.values()} == {meeting["uri"].rpartition("/")[2]}

    def test_free_plan_without_webhooks_lives_by_polling_alone(
        self, service: Calendly, simulator: CalendlySimulator, link: Link, clock: SetClock
    ) -> None:
        simulator.users = {uuid: user for uuid, user in simulator.users.items() if user.organization.plan == "free"}
        free = connect(service, simulator, clock=clock, limiter=LocalLimiter(clock.seconds))
        service.source.subscribe(free, "https://assay.example.test/hooks/calendly/1")
        assert free.notes["webhooks"].startswith("polling only: Calendly answered 403")
        assert "upgrade" in free.notes["webhooks"]
        simulator.book("ada@example.test", host=next(iter(simulator.users.values())))
        page = service.source.pull(free, "scheduled-events", None)
        assert page.count == 1
        service.source.unsubscribe(free)

    def test_member_who_is_no_admin_reads_their_own_meetings(
        self, service: Calendly, simulator: CalendlySimulator, clock: SetClock
    ) -> None:
        member = next(user for user in simulator.users.values() if user.role == "user")
        simulator.book("mine@example.test", host=member)
        simulator.book("theirs@example.test")
        simulator.users = {member.uuid: member}
        link = connect(service, simulator, clock=clock)
        assert link.account == member.uuid
        page = service.source.pull(link, "scheduled-events", None)
        assert [b"mine@example.test" in body for body in page.bodies] == [True]
        assert page.count == 1
        assert not service.source.pull(link, "routing-forms", None).more

    def test_meeting_that_vanished_between_list_and_invitees_is_passed_over(
        self, simulator: CalendlySimulator, reader: Any
    ) -> None:
        simulator.book("ada@example.test")
        simulator.faults.next(404, path="invitees$")
        [page] = reader.run()
        assert page.count == 0

    def test_storm_in_the_middle_loses_nothing(self, simulator: CalendlySimulator, reader: Any) -> None:
        for number in range(5):
            simulator.book(f"p{number}@example.test")
        first = next(iter(simulator.quartz.meetings))
        simulator.faults.next(429, times=-1, path=f"(?<!{first})/invitees$", headers={"X-RateLimit-Reset": "30"})
        with pytest.raises(TryLater) as caught:
            reader.source.pull(reader.link, "scheduled-events", None)
        assert caught.value.after == timedelta(seconds=30)
        simulator.faults.clear()
        reader.clock.turn(timedelta(seconds=40))
        assert reader.source.pull(reader.link, "scheduled-events", None).count == 5

    def test_no_address_that_opens_a_meeting_is_kept(self, simulator: CalendlySimulator, reader: Any) -> None:
        simulator.book("ada@example.test")
        page = reader.source.pull(reader.link, "scheduled-events", None)
        text = b"".join(page.bodies)
        for live in (b"cancellations/", b"reschedulings/", b"meeting-password", b"join_url"):
            assert live not in text


class TestRoutingForms:
    def test_only_new_ones_come_again(self, simulator: CalendlySimulator, reader: Any, clock: SetClock) -> None:
        for number in range(230):
            simulator.submit(f"p{number}@example.test", at=clock.now() - timedelta(hours=number))
        simulator.submit("old@example.test", at=clock.now() - timedelta(days=500))
        assert sum(page.count for page in reader.run("routing-forms")) == 230
        assert sum(page.count for page in reader.run("routing-forms")) == 0
        clock.turn(timedelta(minutes=5))
        simulator.submit("new@example.test")
        assert sum(page.count for page in reader.run("routing-forms")) == 1
        assert len(reader.events) == 231
        assert {one.type for one in reader.events.values()} == {"form.submitted"}

    def test_two_of_one_instant_are_both_read(self, simulator: CalendlySimulator, reader: Any, clock: SetClock) -> None:
        simulator.submit("ada@example.test")
        reader.run("routing-forms")
        simulator.submit("ben@example.test")
        assert sum(page.count for page in reader.run("routing-forms")) == 1
        assert sum(page.count for page in reader.run("routing-forms")) == 0

    def test_address_is_found_with_the_invitee(self, simulator: CalendlySimulator, reader: Any) -> None:
        invitee = simulator.book("ada@example.test")
        submission = simulator.submit(None, invitee=invitee)
        simulator.submit(None)
        reader.run("routing-forms")
        [fetch] = reader.records
        assert fetch.id == submission["uri"].rpartition("/")[2]
        page = reader.source.fetch(reader.link, fetch.kind, [fetch.id, "GONE"])
        records = [
            one
            for body in page.bodies
            for one in reader.source.normalise(Message("fetch/submission", body, reader.clock.now()))
        ]
        [event] = [one for one in records if isinstance(one, Event)]
        assert (event.type, event.ids.email) == ("form.submitted", "ada@example.test")
