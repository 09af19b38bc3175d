from datetime import UTC, datetime
from typing import Any

import pytest

from assay.profiles import fields
from assay.profiles.fields import is_suggested, list_fields
from assay.profiles.queries import get_lead, timeline
from assay.profiles.reveals import reveal
from assay.scoring import keeping_out
from assay_sdk import Company, Event, Identifiers, Identify
from assay_tenants.errors import NotFound

T0 = datetime(2026, 3, 1, tzinfo=UTC)


def person(number: int) -> Identifiers:
    return Identifiers(user_id=f"u{number}")


@pytest.fixture
def known(world: Any) -> Any:
    world.apply(
        *(Identify(person(n), {"title": "CFO", "age": 40 + n, "vip": True, "tags": ["a"]}, T0) for n in range(3)),
        Identify(person(3), {"age": "forty", "salary": 9}, T0),
        Company(person(0), "acme", {"employees": 40}, T0),
        *(Event(person(n), "page.viewed", {"path": f"/{n}", "salary": 7}, T0, f"m{n}") for n in range(2)),
    )
    return world


class TestList:
    def test_tells_each_with_type_values_and_leads(self, known: Any) -> None:
        found = list_fields(known.tenant_id)
        told = {(each.kind, each.name): (each.types, each.values, each.leads) for each in found.items}
        assert told == {
            ("trait", "age"): (("number", "text"), 4, 4),
            ("trait", "tags"): (("list",), 1, 3),
            ("trait", "title"): (("text",), 1, 3),
            ("trait", "vip"): (("boolean",), 1, 3),
            ("trait", "company.employees"): (("number",), 1, 1),
            ("trait", "salary"): (("number",), 1, 1),
            ("property", "path"): (("text",), 2, 2),
            ("property", "salary"): (("number",), 1, 2),
        }
        assert (found.leads, found.looked_at, found.estimated) == (4, 4, False)

    def test_tells_what_is_kept_out_and_what_might_be(self, known: Any) -> None:
        assert {each.name for each in list_fields(known.tenant_id).items if each.suggested} == {"salary"}
        keeping_out.mark(known.tenant_id, "salary", by="Ada Example")
        found = list_fields(known.tenant_id).items
        assert {each.name for each in found if each.sensitive} == {"salary"}
        assert not any(each.suggested for each in found)

    def test_of_many_leads_some_are_looked_at(self, world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(fields, "MOST_LEADS", 20)
        monkeypatch.setattr(fields, "STRETCHES", 4)
        monkeypatch.setattr(fields, "MOST_DOERS", 5)
        world.apply(*(Identify(person(n), {"all": n, **({"half": 1} if n % 2 else {})}, T0) for n in range(200)))
        found = list_fields(world.tenant_id)
        assert (found.leads, found.looked_at, found.estimated) == (200, 20, True)
        told = {each.name: each.leads for each in found.items}
        assert told["all"] == 200
        assert 60 <= told["half"] <= 140

    def test_nothing_known_is_nothing_told(self, world: Any) -> None:
        assert list_fields(world.tenant_id).items == []


SUGGESTED = """
salary healthStatus date_of_birth birthdate dob Religion ethnicity national-id SSN CNP số_cccd luong thu_nhap
passportNumber bank_account 身份证号 工资 creditCard company.iban
"""
OTHERS = """
title racetrack city company.employees traceId place embrace path plan snacks partner session_id birdwatcher
product_line dobson incoming
"""


@pytest.mark.parametrize("name", SUGGESTED.split())
def test_names_of_these_sorts_are_suggested(name: str) -> None:
    assert is_suggested(name)


@pytest.mark.parametrize("name", OTHERS.split())
def test_others_are_not(name: str) -> None:
    assert not is_suggested(name)


class TestMasked:
    @pytest.fixture
    def lead_id(self, known: Any) -> int:
        keeping_out.mark(known.tenant_id, "salary", by="Ada Example")
        found: int = known.lead_ids()["u3"]
        return found

    def test_traits_and_properties_are_masked(self, known: Any, lead_id: int) -> None:
        assert get_lead(known.tenant_id, lead_id).traits == {"age": "forty", "salary": "•••"}
        (event,) = timeline(known.tenant_id, known.lead_ids()["u0"]).items
        assert event.properties == {"path": "/0", "salary": "•••"}

    def test_shown_once_it_is_written_down_who_looked(self, known: Any, lead_id: int) -> None:
        first = reveal(known.tenant_id, lead_id, by="Ada Example")
        assert (first.traits, first.events, first.before) == ({"salary": 9}, [], [])
        assert [by for by, _ in reveal(known.tenant_id, lead_id, by="Ben Example").before] == ["Ada Example"]
        rows = known.rows("SELECT lead_id, names, by FROM profiles.reveals WHERE tenant_id = :t ORDER BY id")
        assert [tuple(row) for row in rows] == [
            (lead_id, ["salary"], "Ada Example"),
            (lead_id, ["salary"], "Ben Example"),
        ]

    def test_properties_are_shown_too(self, known: Any, lead_id: int) -> None:
        ((event, hidden),) = reveal(known.tenant_id, known.lead_ids()["u0"], by="Ada Example").events
        assert (event.type, hidden) == ("page.viewed", {"salary": 7})

    def test_a_stranger_is_not_found(self, known: Any, lead_id: int, neighbour: Any) -> None:
        with pytest.raises(NotFound):
            reveal(neighbour.tenant_id, lead_id, by="Ada Example")
