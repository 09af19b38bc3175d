"""Persons of connections: their own wish at the vendor begins an erasure, and nothing about them waits anywhere."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import text

from assay import plugins
from assay.privacy import jobs, service
from assay.privacy.exporting import export
from assay.privacy.finding import find
from assay_sdk import Deletion, Event, Fetch, Identifiers, Identify, Message, Record, Source
from assay_tenants.database import tenant_session

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
ANN, BOB = "7700451", "7700452"


class Crm(Source):
    """Reads what ``says`` says."""

    name = "crm"

    def normalise(self, message: Message) -> Iterator[Record]:
        for number, item in enumerate(json.loads(message.body)["items"]):
            ids = Identifiers(vendor={"crm": item["id"]})
            at = T0 + timedelta(minutes=item.get("minute", number))
            if item["says"] == "contact":
                yield Identify(Identifiers(vendor={"crm": item["id"]}, email=item.get("email")), {"title": "CFO"}, at)
            elif item["says"] == "event":
                yield Event(ids, "page.viewed", {}, at, f"{item['id']}/{number}")
            elif item["says"] == "fetch":
                yield Fetch("contact", item["id"], ids)
            else:
                yield Deletion(ids, "crm", at, erased=item["says"] == "erase")


@pytest.fixture(autouse=True)
def crm(monkeypatch: pytest.MonkeyPatch) -> None:
    found = plugins.installed()
    sources = {**found.sources, "crm": Crm()}
    installed = SimpleNamespace(**{**vars(found), "sources": sources}, source=sources.__getitem__)
    monkeypatch.setattr(plugins, "installed", lambda: installed)


def says(house: Any, what: str, id_: str = ANN, **more: Any) -> Any:
    return house.send({"items": [{"says": what, "id": id_, **more}]}, plugin="crm")


def connect(house: Any) -> None:
    house.send({"items": []}, plugin="crm")
    with tenant_session(house.tenant_id) as session:
        session.execute(
            text("""
                WITH link AS (
                    INSERT INTO intake.links (tenant_id, connection_id, plugin, account, source_id, notes, created_at)
                    SELECT tenant_id, 1, 'crm', '1', id, '{}', now() FROM tenancy.sources
                    WHERE tenant_id = :t AND plugin = 'crm' RETURNING tenant_id, connection_id, plugin
                )
                SELECT 1 FROM link
            """),
            {"t": house.tenant_id},
        )
        session.execute(
            text("""INSERT INTO delivery.targets (tenant_id, connection_id, plugin, enabled, known_by)
                VALUES (:t, 1, 'crm', true, '{vendor:crm}')"""),
            {"t": house.tenant_id},
        )


def read(house: Any) -> None:
    from assay.profiles.jobs import drain_messages

    while drain_messages(house.tenant_id):
        pass


def erase_all(house: Any) -> list[Any]:
    while jobs.drain_erasures(house.tenant_id):
        pass
    return service.list_erasures(house.tenant_id)


class TestWishes:
    def test_begin_an_erasure_by_themselves(self, house) -> None:
        says(house, "contact", email="ann@acme.example.test")
        says(house, "contact", BOB)
        read(house)
        says(house, "erase")
        read(house)
        (asked,) = service.list_erasures(house.tenant_id)
        assert (asked.state, asked.requested_by) == ("waiting", "crm, at the person's own wish")
        (done,) = erase_all(house)
        assert (done.state, done.found) == ("done", [])
        assert house.names(("vendor:crm", ANN), ("email", "ann@acme.example.test")) == []
        assert house.lead_of("vendor:crm", BOB) is not None
        actions = house.rows("SELECT action, actor_kind FROM tenancy.audit_log WHERE tenant_id = :t ORDER BY id")
        assert ("person.erasure_requested", "system") in [tuple(row) for row in actions]

    def test_said_twice_it_is_one(self, house) -> None:
        says(house, "contact")
        says(house, "erase")
        says(house, "erase")
        read(house)
        assert len(service.list_erasures(house.tenant_id)) == 1

    def test_whoever_was_never_known_is_nobody(self, house) -> None:
        says(house, "erase")
        read(house)
        assert service.list_erasures(house.tenant_id) == []
        assert house.lead_of("vendor:crm", ANN) is None

    def test_said_together_with_the_contact_it_holds(self, house) -> None:
        house.send({"items": [{"says": "erase", "id": ANN}, {"says": "contact", "id": ANN}]}, plugin="crm")
        read(house)
        assert [each.state for each in erase_all(house)] == ["done"]

    def test_what_comes_later_is_turned_away(self, house) -> None:
        says(house, "contact")
        says(house, "erase")
        read(house)
        erase_all(house)
        says(house, "event")
        says(house, "erase")
        read(house)
        assert house.lead_of("vendor:crm", ANN) is None
        assert len(erase_all(house)) == 1

    def test_a_plain_deletion_erases_nobody(self, house) -> None:
        says(house, "contact")
        says(house, "delete")
        read(house)
        assert service.list_erasures(house.tenant_id) == []
        assert house.lead_of("vendor:crm", ANN) is not None

    def test_a_neighbours_person_of_the_same_id_stays(self, house, make_house) -> None:
        other = make_house()
        for each in (house, other):
            says(each, "contact")
            read(each)
        says(house, "erase")
        read(house)
        erase_all(house)
        assert other.lead_of("vendor:crm", ANN) is not None
        assert service.list_erasures(other.tenant_id) == []


class TestWaiting:
    def test_what_has_yet_to_be_fetched_and_sent_goes(self, house) -> None:
        connect(house)
        says(house, "contact")
        says(house, "fetch")
        says(house, "fetch", BOB)
        read(house)
        lead_id = house.lead_of("vendor:crm", ANN)
        with tenant_session(house.tenant_id) as session:
            session.execute(
                text(
                    "UPDATE delivery.pushes SET contacts = jsonb_build_object(CAST(:a AS text), '{}'), vendor_id = :a"
                    " WHERE tenant_id = :t AND lead_id = :l"
                ),
                {"t": house.tenant_id, "a": ANN, "l": lead_id},
            )
        assert len(house.rows("SELECT FROM delivery.pushes WHERE tenant_id = :t")) == 1
        done = house.erase(lead_id)
        assert (done.state, done.counts["intake.wanted"], done.counts["delivery.pushes"]) == ("done", 1, 1)
        assert [row.record_id for row in house.rows("SELECT record_id FROM intake.wanted WHERE tenant_id = :t")] == [
            BOB
        ]

    def test_notices_that_come_later_are_neither_kept_nor_fetched(self, house) -> None:
        connect(house)
        says(house, "contact")
        read(house)
        house.erase(house.lead_of("vendor:crm", ANN))
        alone = says(house, "fetch")
        shared = house.send(
            {"items": [{"says": "fetch", "id": ANN}, {"says": "fetch", "id": BOB}]},
            plugin="crm",
        )
        read(house)
        assert house.body(alone) is None
        assert [item["id"] for item in json.loads(house.body(shared) or b"")["items"]] == [BOB]
        assert [row.record_id for row in house.rows("SELECT record_id FROM intake.wanted WHERE tenant_id = :t")] == [
            BOB
        ]

    def test_notices_are_part_of_an_export(self, house) -> None:
        says(house, "contact")
        says(house, "fetch")
        says(house, "fetch", BOB)
        read(house)
        (person,) = find(house.tenant_id, keys=[("vendor:crm", ANN)]).people
        told = json.loads(b"".join(export(house.tenant_id, person.lead_id, by="Ada", revealed=True)))
        assert [each["item"]["says"] for each in told["raw_messages"]] == ["contact", "fetch"]
        assert BOB not in json.dumps(told)
