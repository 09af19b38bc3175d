from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from assay.profiles import queries, service
from assay_sdk import Alias, Company, Event, Identifiers, Identify

At = Callable[[int], datetime]


def viewed(ids: Identifiers, at: datetime, sender_id: str, **properties: Any) -> Event:
    return Event(ids, "page.viewed", properties, at, sender_id)


def user(user_id: str, **more: Any) -> Identifiers:
    return Identifiers(user_id=user_id, **more)


def device(name: str) -> Identifiers:
    return Identifiers(anonymous_id=name)


class TestJoining:
    def test_strong_ids_in_one_record_are_one_person(self, world: Any, minutes: At) -> None:
        world.apply(Identify(user("u1", email="ada@acme.test", vendor={"hubspot": "51"}), {}, minutes(0)))
        assert world.people() == {frozenset({"u1", "ada@acme.test", "51"})}

    def test_three_leads_merge_into_the_first(self, world: Any, minutes: At) -> None:
        for number, name in enumerate(("u1", "u2", "u3")):
            world.apply(viewed(user(name), minutes(number), name))
        first = world.lead_ids()["u1"]
        changed = world.apply(
            Alias(user("u2"), user("u3"), minutes(5)), Identify(user("u1", email="a@b.test"), {}, minutes(6))
        )
        assert world.people() == {frozenset({"u1", "a@b.test"}), frozenset({"u2", "u3"})}
        vanished = {*world.lead_ids().values()}
        changed |= world.apply(Alias(user("u3"), Identifiers(email="a@b.test"), minutes(7)))
        assert world.people() == {frozenset({"u1", "u2", "u3", "a@b.test"})}
        (lead,) = world.state().values()
        assert [event[0] for event in lead["events"]] == ["u1", "u2", "u3"]
        assert set(world.lead_ids().values()) == {first}
        assert vanished <= changed
        assert {row.lead_id for row in world.rows("SELECT lead_id FROM profiles.events WHERE tenant_id = :t")} == {
            first
        }

    def test_a_role_address_joins_nobody_and_is_kept_as_a_trait(self, world: Any, minutes: At) -> None:
        for name in ("u1", "u2"):
            world.apply(Identify(user(name, email="info@acme.test"), {}, minutes(0)))
        assert world.people() == {frozenset({"u1"}), frozenset({"u2"})}
        assert {lead["email"] for lead in world.state().values()} == {"info@acme.test"}

    def test_what_only_a_role_address_names_is_one_lead(self, world: Any, minutes: At) -> None:
        shared = Identifiers(email="info@acme.test")
        world.apply(viewed(shared, minutes(0), "m1"), viewed(shared, minutes(1), "m2"))
        world.apply(Identify(user("u1", email="info@acme.test"), {}, minutes(2)))
        assert world.people() == {frozenset({"info@acme.test"}), frozenset({"u1"})}

    def test_placeholders_glue_no_strangers(self, world: Any, minutes: At) -> None:
        for address in ("ada@acme.test", "bo@acme.test"):
            world.apply(Identify(user("null", email=address), {}, minutes(0)))
        assert world.people() == {frozenset({"ada@acme.test"}), frozenset({"bo@acme.test"})}


class TestDevices:
    def test_a_visitor_becomes_known_with_all_they_did(self, world: Any, minutes: At) -> None:
        world.apply(viewed(device("d1"), minutes(0), "m1"))
        before = world.lead_ids()["d1"]
        world.apply(Identify(user("u1", anonymous_id="d1"), {}, minutes(5)))
        assert world.people() == {frozenset({"d1", "u1"})}
        (lead,) = world.state().values()
        assert len(lead["events"]) == 1
        assert lead["first_seen_at"] == minutes(0)
        assert world.lead_ids()["u1"] == before

    def test_a_shared_device_joins_no_people_and_stays_with_the_first(self, world: Any, minutes: At) -> None:
        world.apply(Identify(user("u1", anonymous_id="d1"), {}, minutes(1)))
        world.apply(Identify(user("u2", anonymous_id="d1"), {}, minutes(2)))
        assert world.people() == {frozenset({"u1", "d1"}), frozenset({"u2"})}

    def test_moves_to_whoever_turns_out_to_have_claimed_it_earlier(self, world: Any, minutes: At) -> None:
        world.apply(
            Identify(user("u2", anonymous_id="d1"), {"title": "Owner"}, minutes(5)),
            viewed(device("d1"), minutes(6), "m1"),
            Identify(device("d1"), {"plan": "team"}, minutes(6)),
        )
        assert world.people() == {frozenset({"u2", "d1"})}
        left = world.lead_ids()["u2"]
        changed = world.apply(Identify(user("u1", anonymous_id="d1"), {}, minutes(4)))
        assert world.people() == {frozenset({"u1", "d1"}), frozenset({"u2"})}
        leads = {tuple(sorted(value for _, value in ids)): lead for ids, lead in world.state().items()}
        assert [event[0] for event in leads["d1", "u1"]["events"]] == ["m1"]
        assert leads["u2",]["events"] == []
        assert leads["d1", "u1"]["traits"] == {"plan": "team"}
        assert leads["u2",]["traits"] == {"title": "Owner"}
        assert leads["u2",]["last_seen_at"] == minutes(5)
        assert changed == {left, world.lead_ids()["u1"]}

    def test_claims_at_one_instant_go_to_the_smaller_id(self, world: Any, minutes: At) -> None:
        world.apply(Identify(user("u2", anonymous_id="d1"), {}, minutes(1)))
        world.apply(Identify(user("u1", anonymous_id="d1"), {}, minutes(1)))
        assert world.people() == {frozenset({"u1", "d1"}), frozenset({"u2"})}

    def test_follows_its_claimant_through_a_merge(self, world: Any, minutes: At) -> None:
        world.apply(viewed(user("u1"), minutes(0), "m1"), Identify(user("u2", anonymous_id="d1"), {}, minutes(1)))
        world.apply(Alias(user("u1"), user("u2"), minutes(2)))
        assert world.people() == {frozenset({"u1", "u2", "d1"})}

    def test_two_devices_in_an_alias_stay_two(self, world: Any, minutes: At) -> None:
        world.apply(Alias(device("d1"), device("d2"), minutes(0)))
        assert world.people() == {frozenset({"d1"}), frozenset({"d2"})}


class TestTraits:
    def test_the_last_one_stated_wins_over_all_identities(self, world: Any, minutes: At) -> None:
        world.apply(Identify(user("u1"), {"title": "CFO", "city": "Huế"}, minutes(5)))
        world.apply(Identify(Identifiers(email="a@b.test"), {"title": "Owner", "city": "Iași"}, minutes(4)))
        world.apply(Alias(user("u1"), Identifiers(email="a@b.test"), minutes(6)))
        world.apply(Identify(Identifiers(email="a@b.test"), {"city": "Cluj"}, minutes(7)))
        (lead,) = world.state().values()
        assert lead["traits"] == {"title": "CFO", "city": "Cluj", "email": "a@b.test"}

    @pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["in order", "in reverse"])
    def test_null_clears_what_was_stated_before(self, world: Any, minutes: At, order: tuple[int, ...]) -> None:
        told = [Identify(user("u1"), {"title": value}, minutes(n)) for n, value in enumerate(("CFO", None))]
        for place in order:
            world.apply(told[place])
        (lead,) = world.state().values()
        assert lead["traits"] == {}

    def test_names_and_addresses_are_at_hand_for_lists(self, world: Any, minutes: At) -> None:
        world.apply(Identify(user("u1", email="Ân@Acme.test"), {"first_name": "Ân", "last_name": "Đỗ"}, minutes(0)))
        world.apply(Company(user("u1"), "acme", {"name": "Công ty Ắc"}, minutes(0)))
        (lead,) = world.state().values()
        assert (lead["name"], lead["email"]) == ("Ân Đỗ", "ân@acme.test")
        assert lead["search_key"] == "an do an@acme.test cong ty ac"


class TestCompanies:
    def test_belong_to_all_who_work_there(self, world: Any, minutes: At) -> None:
        for name in ("u1", "u2"):
            world.apply(Company(user(name), "acme", {}, minutes(0)))
        ids = set(world.lead_ids().values())
        changed = world.apply(Company(Identifiers(), "acme", {"employees": 40, "name": "ACME"}, minutes(1)))
        assert changed == ids
        assert {lead["company_traits"]["employees"] for lead in world.state().values()} == {40}
        assert {lead["search_key"] for lead in world.state().values()} == {"u1 acme", "u2 acme"}

    def test_the_last_one_stated_is_where_a_person_works(self, world: Any, minutes: At) -> None:
        world.apply(Company(user("u1"), "byte", {}, minutes(5)), Company(user("u1"), "acme", {}, minutes(4)))
        (lead,) = world.state().values()
        assert lead["company"] == "byte"

    def test_its_traits_are_the_last_ones_stated(self, world: Any, minutes: At) -> None:
        world.apply(Company(Identifiers(), "acme", {"employees": 40}, minutes(2)))
        world.apply(Company(Identifiers(), "acme", {"employees": 5, "city": "Huế"}, minutes(1)))
        (company,) = world.companies()
        assert company[1] == "{'city': 'Huế', 'employees': 40}"


class TestEvents:
    def test_are_kept_once(self, world: Any, minutes: At) -> None:
        event = viewed(user("u1"), minutes(0), "m1", path="/pricing")
        assert world.apply(event, event)
        assert world.apply(event) == set()
        (lead,) = world.state().values()
        assert len(lead["events"]) == 1

    def test_of_two_under_one_id_the_same_one_stays(self, make_world: Callable[[], Any], minutes: At) -> None:
        one, other = viewed(user("u1"), minutes(0), "m1"), viewed(user("u2"), minutes(1), "m1")
        states = []
        for first, second in ((one, other), (other, one)):
            world = make_world()
            world.apply(first)
            world.apply(second)
            states.append(world.state())
        assert states[0] == states[1]
        assert sum(len(lead["events"]) for lead in states[0].values()) == 1

    def test_sources_do_not_share_ids(self, world: Any, minutes: At) -> None:
        event = viewed(user("u1"), minutes(0), "m1")
        world.apply(world.normalised(event, source_id=1), world.normalised(event, source_id=2))
        (lead,) = world.state().values()
        assert len(lead["events"]) == 2

    def test_tell_first_and_last_sight(self, world: Any, minutes: At) -> None:
        for number in (5, 2, 9):
            world.apply(viewed(user("u1"), minutes(number), f"m{number}"))
        (lead,) = world.state().values()
        assert (lead["first_seen_at"], lead["last_seen_at"]) == (minutes(2), minutes(9))


class TestChanged:
    @pytest.mark.parametrize(
        ("at", "traits", "is_news"),
        [
            pytest.param(1, {"title": "CFO"}, False, id="said again"),
            pytest.param(1, {"title": "Owner"}, True, id="another value"),
            pytest.param(-1, {"title": "Owner"}, True, id="first seen earlier"),
            pytest.param(1, {}, False, id="only seen again"),
        ],
    )
    def test_is_what_a_rule_could_tell(
        self, world: Any, minutes: At, at: int, traits: dict[str, Any], is_news: bool
    ) -> None:
        world.apply(Identify(user("u1"), {"title": "CFO"}, minutes(0)))
        assert bool(world.apply(Identify(user("u1"), traits, minutes(at)))) == is_news

    def test_is_told_within_the_transaction(self, world: Any, minutes: At, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(service, "_actions", [])
        told: list[Any] = []
        service.on_leads_changed(
            lambda session, tenant_id, ids: told.append((session.in_transaction(), tenant_id, ids))
        )
        changed = world.apply(Identify(user("u1"), {}, minutes(0)))
        assert told == [(True, world.tenant_id, changed)]


class TestManyTraits:
    def test_are_bounded_the_same_in_any_order(self, make_world: Callable[[], Any], minutes: At) -> None:
        records = [
            Identify(user("u1"), {f"item_{number}": 1 for number in range(start, start + 700)}, minutes(0))
            for start in (0, 700, 1400)
        ]
        records.append(Identify(user("u1", email="ann@acme.test"), {"title": "CFO", "name": "Ann"}, minutes(1)))
        states = []
        for order in (records, records[::-1]):
            world = make_world()
            for record in order:
                world.apply(record)
            (lead,) = world.state().values()
            states.append(lead)
            assert queries.get_lead(world.tenant_id, world.lead_ids()["u1"]).is_full
        assert states[0] == states[1]
        assert len(states[0]["traits"]) == 1000
        assert {"title", "name", "item_0"} <= states[0]["traits"].keys()
