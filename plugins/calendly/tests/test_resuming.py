"""Runs that something stopped in their middle: none is stuck, and none loses anything."""

import json
from datetime import timedelta
from typing import Any

import pytest

from assay_calendly.service import Calendly
from assay_calendly.simulator import CalendlySimulator
from assay_sdk import Link, Message, TryLater
from assay_sdk.testing import SetClock

MEETINGS, FORMS = "scheduled-events", "routing-forms"


def asked(simulator: CalendlySimulator, part: str) -> int:
    return sum(part in call for call in simulator.calls)


def booked(reader: Any) -> int:
    return int(reader.types().count("meeting.booked"))


class TestMeetings:
    def test_token_that_always_grows_old_does_not_stop_the_load(
        self, simulator: CalendlySimulator, reader: Any
    ) -> None:
        """The load goes on from the last meeting that it read, however often its place in the list is forgotten."""
        simulator.fill(500)
        pages = 0
        while True:
            page = reader.source.pull(reader.link, MEETINGS, reader.cursors.get(MEETINGS))
            cursor = dict(page.cursor)
            reader.cursors[MEETINGS] = cursor | ({"token": "grown-old"} if cursor.get("token") else {})
            reader.records += [
                one
                for body in page.bodies
                for one in reader.source.normalise(Message("pull/scheduled-events", body, reader.clock.now()))
            ]
            pages += 1
            assert pages < 150
            if not page.more:
                break
        assert len({one.sender_id for one in reader.events.values() if "booked" in one.sender_id}) == booked(reader)
        assert booked(reader) + reader.types().count("meeting.rescheduled") == 500
        assert asked(simulator, "/invitees?") < 550

    def test_page_that_leads_to_itself_is_tried_later(
        self, simulator: CalendlySimulator, reader: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        meeting = simulator.meet(limit=500)
        for number in range(201):
            simulator.book(f"p{number}@example.test", meeting=meeting)
        whole = simulator.page

        def circling(request: Any, records: Any) -> Any:
            answer = whole(request, records)
            if "invitees" in request.path and (token := request.args.get("page_token")):
                body = json.loads(answer.get_data())
                body["pagination"]["next_page_token"] = token
                answer.set_data(json.dumps(body))
            return answer

        monkeypatch.setattr(simulator, "page", circling)
        with pytest.raises(TryLater, match="leads to itself"):
            reader.run()

    def test_change_that_leaves_updated_at_alone_is_found(
        self, simulator: CalendlySimulator, reader: Any, clock: SetClock
    ) -> None:
        """Nobody says that a group's meeting counts as changed when one more person books it."""
        meeting = simulator.meet(limit=10)
        simulator.book("ada@example.test", meeting=meeting)
        reader.run()
        before = meeting["updated_at"]
        clock.turn(timedelta(minutes=10))
        simulator.book("ben@example.test", meeting=meeting)
        meeting["updated_at"] = before
        reader.run()
        assert booked(reader) == 2


class TestForms:
    def test_form_that_is_deleted_meanwhile_stops_no_other(self, simulator: CalendlySimulator, reader: Any) -> None:
        simulator.submit("ada@example.test")
        simulator.faults.next(404, path="^/routing_form_submissions$", times=1)
        reader.run(FORMS)
        reader.run(FORMS)
        assert reader.types() == ["form.submitted"]

    def test_token_that_grew_too_old_starts_the_form_anew(self, simulator: CalendlySimulator, reader: Any) -> None:
        for number in range(130):
            simulator.submit(f"p{number}@example.test")
        page = reader.source.pull(reader.link, FORMS, None)
        assert page.cursor["token"]
        again = reader.source.pull(reader.link, FORMS, {**page.cursor, "token": "grown-old"})
        assert again.more
        reader.cursors[FORMS] = dict(again.cursor)
        reader.run(FORMS)
        assert len(reader.events) == 130


class TestLimits:
    def test_rests_when_nothing_is_left_before_calendly_has_to_refuse(
        self, service: Calendly, simulator: CalendlySimulator, link: Link, clock: SetClock
    ) -> None:
        simulator.per_minute = {"standard": 30, "free": 30}
        clock.turn(timedelta(minutes=1))
        simulator.fill(90)
        cursor: Any = None
        statuses: list[int] = []
        whole = simulator._answer

        def watched(request: Any) -> Any:
            answer = whole(request)
            statuses.append(answer.status_code)
            return answer

        simulator._answer = watched  # type: ignore[method-assign] # watched, not changed
        count = 0
        for _ in range(40):
            try:
                page = service.source.pull(link, MEETINGS, cursor)
            except TryLater as error:
                clock.turn(error.after or timedelta(seconds=1))
                continue
            cursor, count = dict(page.cursor), count + page.count
            if not page.more:
                break
        assert count == 90
        assert set(statuses) == {200}
