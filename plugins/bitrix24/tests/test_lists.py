"""First loads, what changed since, and the offline queue, against the running stand-in."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from assay_bitrix24 import pulling
from assay_bitrix24.service import Bitrix24
from assay_bitrix24.simulator import Bitrix24Simulator
from assay_bitrix24.simulator.portals import ACTIVITY, COMPANY, CONTACT, DEAL, LEAD, reached
from assay_sdk import Alias, Deletion, Event, Fetch, Identify, Link, Outcome
from assay_sdk.testing import SetClock

Load = Callable[..., tuple[list[Any], dict[str, Any]]]


def named(found: list[Any]) -> list[str]:
    return [record.ids.vendor["bitrix24"] for record in found if isinstance(record, Identify)]


class TestFirstLoad:
    def test_everybody_once_and_how_many_there_are(
        self, service: Bitrix24, link: Link, simulator: Bitrix24Simulator, load: Load
    ) -> None:
        simulator.fill(260)
        page = service.source.pull(link, "leads", None)
        assert (page.total, page.count, page.more) == (130, 50, True)
        found, _ = load("leads")
        assert sorted(named(found)) == sorted(f"lead:{id_}" for id_ in simulator.portal.ids[LEAD])

    def test_counts_once_and_then_goes_by_ids(self, simulator: Bitrix24Simulator, link: Link, load: Load) -> None:
        simulator.fill(260)
        load("leads")
        lists = [given for method, given in simulator.requests if method == "crm.item.list"]
        assert [given["start"] for given in lists] == [0, -1, -1]
        assert [given["filter"] for given in lists][1:] == [{">id": 50}, {">id": 100}]
        assert all(given["select"] == ["*"] and given["useOriginalUfNames"] == "Y" for given in lists)

    def test_a_crash_before_the_page_is_kept_brings_it_again(
        self, service: Bitrix24, link: Link, simulator: Bitrix24Simulator
    ) -> None:
        simulator.fill(260)
        cursor = service.source.pull(link, "leads", None).cursor
        assert service.source.pull(link, "leads", cursor).bodies == service.source.pull(link, "leads", cursor).bodies


class TestChanges:
    def test_nothing_new_brings_nothing(self, simulator: Bitrix24Simulator, link: Link, load: Load) -> None:
        simulator.fill(20)
        _, cursor = load("contacts")
        assert load("contacts", cursor)[0] == []

    def test_a_change_comes_once(self, simulator: Bitrix24Simulator, link: Link, load: Load, clock: SetClock) -> None:
        simulator.fill(20)
        _, cursor = load("contacts")
        clock.turn(timedelta(minutes=5))
        simulator.portal.change(CONTACT, 3, clock.now(), {"post": "CTO"})
        found, cursor = load("contacts", cursor)
        assert named(found) == ["contact:3"]
        assert load("contacts", cursor)[0] == []

    def test_many_changes_within_one_second(
        self, simulator: Bitrix24Simulator, link: Link, load: Load, clock: SetClock
    ) -> None:
        simulator.fill(300)
        _, cursor = load("leads")
        clock.turn(timedelta(minutes=5))
        for id_ in simulator.portal.ids[LEAD]:
            simulator.portal.change(LEAD, id_, clock.now(), {"post": "Same second"})
        assert len(named(load("leads", cursor)[0])) == 150

    def test_a_change_behind_the_sweep_is_brought_by_the_next(
        self, service: Bitrix24, simulator: Bitrix24Simulator, link: Link, load: Load, clock: SetClock, understood: Any
    ) -> None:
        simulator.fill(240)
        page = service.source.pull(link, "leads", None)
        clock.turn(timedelta(seconds=1))
        simulator.portal.change(LEAD, 1, clock.now(), {"post": "Behind"})
        found, cursor = load("leads", dict(page.cursor))
        assert "lead:1" not in named(found)
        found, _ = load("leads", cursor)
        assert named(found) == ["lead:1"]

    def test_dates_with_the_portals_offset_become_utc(
        self, simulator: Bitrix24Simulator, link: Link, load: Load, clock: SetClock
    ) -> None:
        simulator.portal.add(LEAD, clock.now(), title="New")
        found, cursor = load("leads")
        assert found[0].at == clock.now()
        assert found[0].at.utcoffset() == timedelta(0)
        assert cursor["since"] == "2026-09-21T11:59:00+00:00"

    def test_polling_makes_up_for_unretried_events(
        self, service: Bitrix24, simulator: Bitrix24Simulator, link: Link, load: Load, clock: SetClock
    ) -> None:
        service.source.subscribe(link, "https://assay.example.test/hooks/bitrix24/c1")
        _, cursor = load("leads")
        clock.turn(timedelta(minutes=1))
        id_ = simulator.portal.add(LEAD, clock.now(), title="Missed")
        simulator.portal.happened("ONCRMLEADADD", id_, clock.now())
        assert simulator.portal.outbox
        simulator.lose_events()
        assert named(load("leads", cursor)[0]) == [f"lead:{id_}"]


class TestOddRows:
    """What can't be read is refused by itself, and holds up no other."""

    @pytest.mark.parametrize("bad", [None, "odd", [], {}, {"id": "x"}, {"id": 7}, {"ID": 7, "LAST_UPDATED": None}])
    @pytest.mark.parametrize("stream", ["leads", "deals", "activities"])
    def test_in_the_middle_of_a_full_page(
        self,
        simulator: Bitrix24Simulator,
        link: Link,
        load: Load,
        clock: SetClock,
        monkeypatch: pytest.MonkeyPatch,
        stream: str,
        bad: Any,
    ) -> None:
        entity = {"leads": LEAD, "deals": DEAL, "activities": ACTIVITY}[stream]
        values = {"TYPE_ID": "2", "DIRECTION": "1", "OWNER_TYPE_ID": "3", "OWNER_ID": "1"}
        for _ in range(70):
            simulator.portal.add(entity, clock.now(), **(values if entity == ACTIVITY else {"contactId": 1}))
        real = pulling.call

        def with_bad(link: Link, method: str, *given: Any, **options: Any) -> dict[str, Any]:
            answer = real(link, method, *given, **options)
            rows = answer["result"]["items"] if method == "crm.item.list" else answer["result"]
            if method in ("crm.item.list", "crm.activity.list") and len(rows) == 50:
                rows[10] = bad
            return answer

        monkeypatch.setattr(pulling, "call", with_bad)
        found, _ = load(stream)
        events = {record.sender_id for record in found if isinstance(record, Event)}
        assert len(events) == 69


class TestRecords:
    def test_phones_and_addresses_come_with_select_all(
        self, simulator: Bitrix24Simulator, link: Link, load: Load, clock: SetClock
    ) -> None:
        fm = reached(email="Ada@Example.TEST", phone="+491")
        fm.insert(0, {"id": 9, "valueType": "HOME", "value": "home@example.test", "typeId": "EMAIL"})
        simulator.portal.add(LEAD, clock.now(), name="Ada", lastName="Novak", fm=fm)
        lead = load("leads")[0][0]
        assert lead.ids.email == "ada@example.test"
        assert (lead.traits["phone"], lead.traits["name"], lead.traits["source"]) == ("+491", "Ada Novak", "Web site")

    def test_custom_fields_by_their_original_names(
        self, simulator: Bitrix24Simulator, link: Link, load: Load, clock: SetClock
    ) -> None:
        simulator.portal.user_fields["lead"]["UF_CRM_1720019876534"] = "boolean"
        simulator.portal.add(LEAD, clock.now(), UF_CRM_1720019876534="Y")
        traits = load("leads")[0][0].traits
        assert traits["bitrix24.lead.uf_crm_1720019876534"] == "Y"

    def test_files_leave_no_token_behind(
        self, service: Bitrix24, simulator: Bitrix24Simulator, link: Link, clock: SetClock
    ) -> None:
        file = {"id": 1, "urlMachine": "https://demo.bitrix24.com/rest/getFile/?auth=l1ve-t0ken"}
        simulator.portal.user_fields["lead"] |= {"UF_CRM_FILE": "file", "UF_CRM_FILES": "file"}
        simulator.portal.add(LEAD, clock.now(), UF_CRM_FILE=file, UF_CRM_FILES=[file])
        bodies = service.source.pull(link, "leads", None).bodies
        assert bodies
        assert b"l1ve-t0ken" not in b"".join(bodies)

    def test_a_converted_lead_and_its_contact_are_one_person(
        self, simulator: Bitrix24Simulator, link: Link, load: Load, clock: SetClock
    ) -> None:
        at = clock.now() - timedelta(days=1)
        contact = simulator.portal.add(CONTACT, clock.now(), name="Ada", leadId=1)
        lead = simulator.portal.add(LEAD, at, name="Old name")
        simulator.portal.change(LEAD, lead, clock.now(), {"stageId": "CONVERTED", "contactId": contact})
        of_lead, of_contact = load("leads")[0], load("contacts")[0]
        for found in (of_lead, of_contact):
            alias = next(record for record in found if isinstance(record, Alias))
            assert alias.ids.vendor == {"bitrix24": "contact:1"}
            assert alias.previous.vendor == {"bitrix24": "lead:1"}
        assert "name" not in of_lead[0].traits
        assert [event.type for event in of_lead if isinstance(event, Event)] == ["contact.created", "lead.converted"]
        assert not [event for event in of_contact if isinstance(event, Event)]

    @pytest.mark.parametrize(
        ("stage", "category", "expected"),
        [
            pytest.param("EXECUTING", 0, "deal.stage_changed", id="in progress"),
            pytest.param("WON", 0, "won", id="S is won"),
            pytest.param("LOSE", 0, "lost", id="F is lost"),
            pytest.param("C9:WON", 9, "won", id="another pipeline"),
        ],
    )
    def test_deals_for_each_of_their_contacts(
        self,
        simulator: Bitrix24Simulator,
        link: Link,
        load: Load,
        clock: SetClock,
        stage: str,
        category: int,
        expected: str,
    ) -> None:
        at = clock.now() - timedelta(days=1)
        id_ = simulator.portal.add(DEAL, at, contactId=1, opportunity=1200.5, categoryId=category)
        simulator.portal.deal_contacts[id_] = [1, 2]
        simulator.portal.change(DEAL, id_, clock.now(), {"stageId": stage})
        found = [record for record in load("deals")[0] if getattr(record, "type", "") != "deal.created"]
        assert [record.ids.vendor["bitrix24"] for record in found] == ["contact:1", "contact:2"]
        for record in found:
            assert (record.result if isinstance(record, Outcome) else record.type) == expected
            assert record.at == clock.now()
        if isinstance(found[0], Outcome):
            assert (str(found[0].amount), found[0].currency) == ("1200.5", "EUR")

    def test_contacts_of_deals_come_fifty_at_a_time(
        self, service: Bitrix24, simulator: Bitrix24Simulator, link: Link, clock: SetClock
    ) -> None:
        for _ in range(50):
            simulator.portal.add(DEAL, clock.now(), contactId=1)
        before = len(simulator.calls)
        service.source.pull(link, "deals", None)
        assert len(simulator.calls) - before == 3

    def test_an_activity_of_a_deal_concerns_whom_it_was_with(
        self, simulator: Bitrix24Simulator, link: Link, load: Load, clock: SetClock
    ) -> None:
        talks = [{"TYPE": "PHONE", "VALUE": "+491", "ENTITY_ID": "7", "ENTITY_TYPE_ID": "3"}]
        values = {"TYPE_ID": "2", "DIRECTION": "1", "PROVIDER_ID": "VOXIMPLANT_CALL", "COMMUNICATIONS": talks}
        simulator.portal.add(ACTIVITY, clock.now(), OWNER_TYPE_ID="2", OWNER_ID="1", **values)
        (event,) = load("activities")[0]
        assert (event.type, event.ids.vendor) == ("call.received", {"bitrix24": "contact:7"})

    def test_an_activity_that_passes_from_a_lead_to_its_contact_is_still_one(
        self, simulator: Bitrix24Simulator, link: Link, load: Load, clock: SetClock
    ) -> None:
        meeting = {"TYPE_ID": "1", "COMPLETED": "Y"}
        id_ = simulator.portal.add(ACTIVITY, clock.now(), OWNER_TYPE_ID="1", OWNER_ID="1", **meeting)
        found = load("activities")[0]
        talks = [{"TYPE": "PHONE", "VALUE": "+491", "ENTITY_ID": id_, "ENTITY_TYPE_ID": "3"} for id_ in ("7", "8")]
        for owner in ({"OWNER_TYPE_ID": "3", "OWNER_ID": "7"}, {"OWNER_TYPE_ID": "2", "COMMUNICATIONS": talks}):
            simulator.portal.rows[ACTIVITY][id_] |= owner
            found += load("activities")[0]
        ids = {(event.type, event.sender_id) for event in found}
        # Two of the meeting as one person's, and two of the second person's.
        assert sorted(type_ for type_, _ in ids) == ["meeting.booked", "meeting.booked", "meeting.held", "meeting.held"]

    def test_the_text_of_a_letter_is_not_kept(
        self, service: Bitrix24, simulator: Bitrix24Simulator, link: Link
    ) -> None:
        simulator.fill(12)
        assert b"text of a letter" not in b"".join(service.source.pull(link, "activities", None).bodies)

    def test_names_of_stages_are_asked_for_once(
        self, simulator: Bitrix24Simulator, link: Link, load: Load, clock: SetClock
    ) -> None:
        simulator.fill(260)
        for stream in ("leads", "contacts", "deals", "companies"):
            load(stream)
        assert sum(method == "crm.status.list" for method, _ in simulator.requests) == 1
        simulator.portal.statuses.append(("STATUS", "LATER", "Call later", None))
        simulator.portal.add(LEAD, clock.now(), stageId="LATER")
        found, _ = load("leads")
        assert "Call later" in {r.traits["bitrix24.lead.stage"] for r in found if isinstance(r, Identify)}


class TestFetch:
    def test_many_ids_in_one_call_and_those_that_are_gone_left_out(
        self, service: Bitrix24, simulator: Bitrix24Simulator, link: Link, understood: Any
    ) -> None:
        simulator.fill(40)
        found = understood(service.source.fetch(link, "lead", ["3", "5", "999", "x"]))
        assert named(found) == ["lead:3", "lead:5"]

    @pytest.mark.parametrize(
        ("kind", "entity", "stream"),
        [
            ("lead", LEAD, "leads"),
            ("contact", CONTACT, "contacts"),
            ("company", COMPANY, "companies"),
            ("deal", DEAL, "deals"),
            ("activity", ACTIVITY, "activities"),
        ],
    )
    def test_gives_what_the_list_gives(
        self,
        service: Bitrix24,
        simulator: Bitrix24Simulator,
        link: Link,
        load: Load,
        understood: Any,
        kind: str,
        entity: int,
        stream: str,
    ) -> None:
        simulator.fill(24)
        ids = [str(id_) for id_ in simulator.portal.ids[entity]]
        assert understood(service.source.fetch(link, kind, ids)) == load(stream)[0]


class TestOfflineQueue:
    def deleted(self, simulator: Bitrix24Simulator, id_: int) -> None:
        simulator.portal.happened("ONCRMLEADDELETE", id_, simulator.clock.now())

    def test_tells_deletions_that_nobody_was_there_to_hear(
        self, service: Bitrix24, simulator: Bitrix24Simulator, link: Link, load: Load
    ) -> None:
        service.source.subscribe(link, "https://assay.example.test/hooks/bitrix24/c1")
        self.deleted(simulator, 4)
        simulator.lose_events()
        (found,) = load("offline")[0]
        assert isinstance(found, Deletion)
        assert found.ids.vendor == {"bitrix24": "lead:4"}
        assert simulator.portal.queue == []

    def test_clear_0_loses_nothing_on_a_crash(
        self, service: Bitrix24, simulator: Bitrix24Simulator, link: Link, load: Load
    ) -> None:
        service.source.subscribe(link, "https://assay.example.test/hooks/bitrix24/c1")
        self.deleted(simulator, 4)
        page = service.source.pull(link, "offline", None)
        assert page.count == 1
        # The page was never kept: nothing names the reservation any more, and yet its rows come again.
        self.deleted(simulator, 5)
        found, _ = load("offline")
        assert sorted(record.ids.vendor["bitrix24"] for record in found) == ["lead:4", "lead:5"]

    def test_a_reservation_that_clearing_does_not_end_is_no_endless_loop(
        self, service: Bitrix24, simulator: Bitrix24Simulator, link: Link, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from assay_bitrix24.simulator import methods

        service.source.subscribe(link, "https://assay.example.test/hooks/bitrix24/c1")
        self.deleted(simulator, 4)
        monkeypatch.setitem(methods.METHODS, "event.offline.clear", lambda *_: {"result": True})
        page = service.source.pull(link, "offline", None)
        assert (page.count, page.more) == (1, True)
        page = service.source.pull(link, "offline", page.cursor)
        assert (page.count, page.more) == (0, False)

    def test_a_plan_without_it_is_asked_nothing(
        self, service: Bitrix24, simulator: Bitrix24Simulator, link: Link
    ) -> None:
        simulator.portal.features.clear()
        service.source.subscribe(link, "https://assay.example.test/hooks/bitrix24/c1")
        before = len(simulator.calls)
        assert not service.source.pull(link, "offline", None).more
        assert len(simulator.calls) == before


def test_notices_lead_to_the_same_events_as_lists(
    service: Bitrix24, simulator: Bitrix24Simulator, link: Link, load: Load, understood: Any
) -> None:
    simulator.fill(12)
    fetched = understood(service.source.fetch(link, "deal", [str(id_) for id_ in simulator.portal.ids[DEAL]]))
    assert not [record for record in fetched if isinstance(record, Fetch)]
    assert fetched == load("deals")[0]
