"""Lists: loaded once, followed, and never losing or doubling anything."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from assay_intercom.service import Intercom
from assay_sdk import Alias, Company, Deletion, Event, Identify, Link, Refused, TryLater


def ids_of(platform: Any, kind: type = Identify) -> set[str]:
    return {record.ids.vendor["intercom"] for record in platform.records if isinstance(record, kind)}


class TestFirstLoad:
    def test_everybody_comes(self, platform: Any, door: Any) -> None:
        door.fill(450)
        assert platform.follow("contacts") == 3
        assert platform.follow("conversations") == 3
        platform.follow("companies")
        here = door.workspaces["a1b2c3d4"]
        assert ids_of(platform) == set(here.contacts)
        assert platform.counted("contact.created") == 450
        assert platform.counted("chat.started") == len(here.conversations)
        assert {record.company_id for record in platform.records if isinstance(record, Company)} == set(here.companies)

    def test_nothing_that_was_said_is_kept(self, platform: Any, door: Any) -> None:
        door.fill(9)
        platform.follow("conversations")
        assert platform.counted("chat.replied") == 3
        assert not any(b"<p>" in message.body for message in platform.messages)

    def test_replies_long_ago_are_not_asked_for_one_by_one(self, platform: Any, door: Any, clock: Any) -> None:
        here = door.at()
        someone = here.arrive()
        here.reply(here.chat(someone), someone)
        clock.turn(timedelta(days=100))
        platform.follow("conversations")
        assert platform.counted("chat.started") == 1
        assert not any(call.startswith("GET /conversations/") for call in door.calls)

    @pytest.mark.parametrize("name", ["data", "companies"])
    def test_more_than_ten_companies(self, name: str, platform: Any, door: Any) -> None:
        here = door.workspaces["a1b2c3d4"]
        firms = [here.add_company(1_780_000_000, f"Firm {number}")["id"] for number in range(12)]
        door.at().arrive(companies=firms)
        answered = platform.link.http.get

        def named(path: str, **options: Any) -> Any:
            answer = answered(path, **options)
            return _Answer({name: answer.json()["data"]}) if path.endswith("/companies") else answer

        platform.link.http.get = named
        platform.follow("contacts")
        assert {record.company_id for record in platform.records if isinstance(record, Company)} == set(firms)

    @pytest.mark.parametrize("stream", ["contacts", "conversations"])
    def test_goes_on_after_a_crash_from_any_page(self, stream: str, service: Intercom, link: Link, door: Any) -> None:
        door.fill(320)
        assert service.source is not None
        cursor, kept = None, []
        for _ in range(10):
            lost = service.source.pull(link, stream, cursor)
            page = service.source.pull(link, stream, json.loads(json.dumps(cursor)))
            assert page == lost
            kept += [record["id"] for body in page.bodies for record in json.loads(body)["records"]]
            cursor = page.cursor
            if not page.more:
                break
        here = door.workspaces["a1b2c3d4"]
        assert sorted(kept) == sorted(here.contacts if stream == "contacts" else here.conversations)

    def test_who_comes_and_goes_between_pages_shifts_nobody(self, service: Intercom, link: Link, door: Any) -> None:
        door.fill(300)
        assert service.source is not None
        here = door.workspaces["a1b2c3d4"]
        everybody = set(here.contacts)
        first = service.source.pull(link, "contacts", None)
        door.at().delete(min(everybody))
        door.at().arrive()
        second = service.source.pull(link, "contacts", first.cursor)
        bodies = [*first.bodies, *second.bodies]
        assert everybody <= {record["id"] for body in bodies for record in json.loads(body)["records"]}


class TestFollowing:
    def test_only_what_is_new(self, platform: Any, door: Any, later: Callable[..., None]) -> None:
        door.fill(300)
        platform.follow("contacts")
        platform.follow("contacts")
        platform.messages.clear()
        later(minutes=20)
        changed = next(iter(door.workspaces["a1b2c3d4"].contacts))
        door.at().change(changed, name="Another Name")
        platform.follow("contacts")
        assert ids_of(platform) == {changed}
        platform.messages.clear()
        platform.follow("contacts")
        assert platform.messages == []

    @pytest.mark.parametrize("zone", ["America/Los_Angeles", "Asia/Ho_Chi_Minh", "Pacific/Kiritimati", "Mars"])
    @pytest.mark.parametrize(
        "instant",
        [
            pytest.param(datetime(2026, 9, 21, 23, 59, tzinfo=UTC), id="before midnight"),
            pytest.param(datetime(2026, 9, 22, 0, 1, tzinfo=UTC), id="after midnight"),
            pytest.param(datetime(2026, 11, 1, 8, 30, tzinfo=UTC), id="the night clocks are turned back"),
        ],
    )
    def test_dates_are_compared_by_the_workspaces_days(
        self, zone: str, instant: datetime, platform: Any, door: Any, clock: Any
    ) -> None:
        if zone != "Mars":
            door.workspaces["a1b2c3d4"].timezone = zone
        platform.link.note(timezone=zone)
        clock.turn(instant - clock.now())
        someone = door.at().arrive()
        platform.follow("contacts")
        for _ in range(3):
            clock.turn(timedelta(minutes=3))
            door.at().change(someone, name=f"At {clock.now().isoformat()}")
            platform.messages.clear()
            platform.follow("contacts")
            assert [r.traits["name"] for r in platform.records if isinstance(r, Identify)] == [
                f"At {clock.now().isoformat()}"
            ]

    def test_who_is_searchable_only_minutes_later_is_not_lost(
        self, platform: Any, door: Any, later: Callable[..., None]
    ) -> None:
        platform.follow("contacts")
        door.searchable_after = timedelta(minutes=8)
        slow = door.at().arrive()
        later(minutes=2)
        door.workspaces["a1b2c3d4"].add_contact(door.at().now - 3600, updated_at=door.at().now)
        platform.follow("contacts")
        assert slow not in ids_of(platform)
        later(minutes=9)
        platform.follow("contacts")
        assert slow in ids_of(platform)

    def test_a_mail_that_was_opened_is_found_though_nothing_was_changed(
        self, platform: Any, door: Any, later: Callable[..., None]
    ) -> None:
        someone = door.at().arrive()
        platform.follow("contacts")
        later(days=30)
        platform.follow("contacts")
        door.at().mail(someone, "open")
        platform.follow("contacts")
        assert platform.counted("email.opened") == 1

    def test_a_page_that_leads_to_itself_ends(self, service: Intercom, link: Link, door: Any) -> None:
        door.fill(300)
        assert service.source is not None
        page = service.source.pull(link, "contacts", None)
        answer = {"data": [], "pages": {"next": {"starting_after": page.cursor["after"]}}}
        link.http.get = lambda path, **options: _Answer(answer)  # type: ignore[method-assign, assignment, return-value] # an answer that the stand-in never gives
        with pytest.raises(TryLater):
            service.source.pull(link, "contacts", page.cursor)


class _Answer:
    def __init__(self, body: dict[str, Any]) -> None:
        self._body = body

    def json(self) -> dict[str, Any]:
        return self._body


class TestCompanies:
    def test_a_scroll_that_breaks_off_begins_again(self, platform: Any, door: Any, later: Callable[..., None]) -> None:
        door.fill(250)
        here = door.workspaces["a1b2c3d4"]
        service = platform.service
        platform.link.http.get("/companies/scroll")
        with pytest.raises(TryLater) as caught:
            service.source.pull(platform.link, "companies", None)
        assert caught.value.after == timedelta(seconds=65)
        later(seconds=66)
        platform.follow("companies")
        assert {record.company_id for record in platform.records if isinstance(record, Company)} == set(here.companies)

    def test_500_is_not_asked_twice_with_the_same_place(self, platform: Any, door: Any) -> None:
        door.fill(250)
        answered = platform.link.http.get

        def breaks(path: str, **options: Any) -> Any:
            if options.get("params"):
                door.faults.next(500)
            return answered(path, **options)

        platform.link.http.get = breaks
        with pytest.raises(TryLater) as caught:
            platform.service.source.pull(platform.link, "companies", None)
        assert caught.value.after == timedelta(seconds=65)
        assert sum("scroll_param" in call for call in door.calls) == 1

    def test_only_those_that_were_changed_are_kept(self, platform: Any, door: Any, later: Callable[..., None]) -> None:
        door.fill(20)
        platform.follow("companies")
        platform.messages.clear()
        later(hours=12)
        changed = next(iter(door.workspaces["a1b2c3d4"].companies.values()))
        changed |= {"name": "Renamed", "updated_at": door.at().now}
        platform.follow("companies")
        [company] = platform.records
        assert (company.company_id, company.traits["name"]) == (changed["id"], "Renamed")


class TestFetching:
    def test_merged_contact_leads_to_the_one_that_took_its_place(
        self, platform: Any, door: Any, later: Callable[..., None]
    ) -> None:
        here = door.at()
        old, middle, new = here.arrive(), here.arrive(), here.arrive(role="user", external_id="u-1")
        here.merge(old, middle)
        here.merge(middle, new)
        platform.fetch("contact", old)
        aliases = {
            (record.previous.vendor["intercom"], record.ids.vendor["intercom"])
            for record in platform.records
            if isinstance(record, Alias)
        }
        assert (old, new) in aliases
        assert ids_of(platform) == {new}

    def test_gone(self, platform: Any, door: Any) -> None:
        someone, other = door.at().arrive(), door.at().arrive()
        door.at().delete(someone)
        platform.fetch("contact", someone, other)
        assert ids_of(platform, Deletion) == {someone}
        assert ids_of(platform, Identify) == {other}

    def test_conversation(self, platform: Any, door: Any) -> None:
        someone = door.at().arrive()
        talk = door.at().chat(someone)
        door.at().reply(talk, someone)
        platform.fetch("conversation", talk, "999")
        assert {record.type for record in platform.records if isinstance(record, Event)} == {
            "chat.started",
            "chat.replied",
        }

    def test_no_permission_is_told(self, platform: Any, door: Any) -> None:
        door.faults.next(403)
        with pytest.raises(Refused):
            platform.fetch("contact", "67a")
