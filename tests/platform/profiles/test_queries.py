from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import uuid4

import polars as pl
import pytest

from assay.profiles import queries
from assay_sdk import Company, Event, Identifiers, Identify
from assay_tenants.errors import BadInput, NotFound

At = Callable[[int], datetime]
ADA = Identifiers(user_id="u1", email="ada@acme.test")


@pytest.fixture
def lead_id(world: Any, minutes: At) -> int:
    world.apply(
        Identify(ADA, {"title": "CFO", "age": 40, "vip": True, "tags": ["a", 1], "company.size": "own"}, minutes(0)),
        Company(ADA, "acme", {"employees": 40, "name": "ACME"}, minutes(0)),
        *(Event(ADA, "page.viewed", {"n": number}, minutes(number // 2), f"m{number}") for number in range(7)),
        Event(ADA, "meeting.booked", {"it's": "\\"}, minutes(9), "m9"),
    )
    found: int = world.lead_ids()["u1"]
    return found


class TestGetLead:
    def test_tells_all_that_is_known(self, world: Any, lead_id: int, minutes: At) -> None:
        lead = queries.get_lead(world.tenant_id, lead_id)
        assert (lead.name, lead.email, lead.company) == ("ada@acme.test", "ada@acme.test", "ACME")
        assert lead.traits["company.employees"] == 40
        assert lead.traits["company.size"] == "own"
        assert [(each.kind, each.value) for each in lead.identities] == [("email", "ada@acme.test"), ("user_id", "u1")]
        assert (lead.first_seen_at, lead.last_seen_at) == (minutes(0), minutes(9))

    @pytest.mark.parametrize("lead_id", [0, 999_999_999, 2**70])
    def test_an_unknown_one_is_not_found(self, world: Any, lead_id: int) -> None:
        with pytest.raises(NotFound, match="no such lead"):
            queries.get_lead(world.tenant_id, lead_id)


class TestTimeline:
    def test_pages_meet_each_event_once_newest_first(self, world: Any, lead_id: int) -> None:
        met, cursor = [], None
        while True:
            page = queries.timeline(world.tenant_id, lead_id, cursor=cursor, limit=3)
            met += page.items
            cursor = page.next_cursor
            if cursor is None:
                break
        assert len({event.id for event in met}) == len(met) == 8
        assert [event.occurred_at for event in met] == sorted((event.occurred_at for event in met), reverse=True)

    @pytest.mark.parametrize("cursor", ["", "x", "é", "AAAA", "kgEC"])
    def test_refuses_a_cursor_of_something_else(self, world: Any, lead_id: int, cursor: str) -> None:
        with pytest.raises(BadInput, match="next_cursor"):
            queries.timeline(world.tenant_id, lead_id, cursor=cursor)


class TestGetEvent:
    def test_finds_it_by_its_lead(self, world: Any, lead_id: int) -> None:
        event = queries.timeline(world.tenant_id, lead_id).items[0]
        assert queries.get_event(world.tenant_id, lead_id, event.id) == event
        assert event.sender_id == "m9"

    def test_an_unknown_one_is_not_found(self, world: Any, lead_id: int) -> None:
        with pytest.raises(NotFound, match="no such event"):
            queries.get_event(world.tenant_id, lead_id, uuid4())


class TestReadFacts:
    def test_gives_the_frames_of_the_engine(self, world: Any, lead_id: int, minutes: At) -> None:
        traits = ["title", "age", "vip", "tags", "company.employees", "company.size", "no; DROP TABLE", "it's \\"]
        leads, events = queries.read_facts(
            world.tenant_id, [lead_id, lead_id + 999], traits=traits, properties=["n", "it's"], types=["page.viewed"]
        )
        assert leads.schema == pl.Schema(
            {
                "lead_id": pl.Int64,
                "first_seen_at": pl.Datetime("us", "UTC"),
                **{f"trait:{name}": pl.String for name in traits},
            }
        )
        assert leads.row(0)[1:] == (minutes(0), "CFO", "40", "true", '["a", 1]', "40", "own", None, None)
        assert events.schema == pl.Schema(
            {
                "lead_id": pl.Int64,
                "event_id": pl.String,
                "type": pl.String,
                "occurred_at": pl.Datetime("us", "UTC"),
                "property:n": pl.String,
                "property:it's": pl.String,
            }
        )
        assert sorted(events["property:n"].to_list()) == [str(number) for number in range(7)]

    def test_without_types_gives_all_events(self, world: Any, lead_id: int) -> None:
        _, events = queries.read_facts(world.tenant_id, [lead_id], traits=[], properties=["it's"])
        assert events.height == 8
        assert "\\" in events["property:it's"].to_list()

    @pytest.mark.parametrize("types", [None, []])
    def test_of_nobody_is_empty(self, world: Any, types: list[str] | None) -> None:
        leads, events = queries.read_facts(world.tenant_id, [], traits=["title"], properties=["n"], types=types)
        assert leads.is_empty()
        assert events.is_empty()

    def test_long_names_that_begin_alike_are_told_apart(self, world: Any, minutes: At) -> None:
        one, other = "x" * 70 + "1", "x" * 70 + "2"
        world.apply(Identify(ADA, {one: "first", other: "second"}, minutes(0)))
        leads, _ = queries.read_facts(world.tenant_id, world.lead_ids().values(), traits=[one, other], properties=[])
        assert leads.row(0)[2:] == ("first", "second")

    def test_a_lead_keeps_its_own_where_the_company_is_silent(self, world: Any, lead_id: int, minutes: At) -> None:
        world.apply(Company(ADA, "acme", {"size": "theirs"}, minutes(1)))
        leads, _ = queries.read_facts(world.tenant_id, [lead_id], traits=["company.size"], properties=[])
        assert leads["trait:company.size"].to_list() == ["theirs"]
