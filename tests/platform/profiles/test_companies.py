"""Which company somebody belongs to, and what is known of it."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assay.profiles import companies, domains, knowing, leads
from assay.profiles.merging import canonical
from assay.profiles.naming import company_key, domain_key
from assay_sdk import Company, CoreRecord, Event, Identifiers, Identify
from assay_tenants.database import tenant_session
from tests.amount import examples

At = Callable[[int], datetime]


def user(user_id: str, email: str | None = None) -> Identifiers:
    return Identifiers(user_id=user_id, email=email)


def stated(company_id: str, at: datetime, who: str | None = None, **traits: Any) -> Company:
    return Company(user(who) if who else Identifiers(), company_id, traits, at)


def company_of(world: Any, value: str) -> tuple[str | None, dict[str, Any] | None]:
    """The key and the traits of the company of whoever has this identifier."""
    for ids, lead in world.state().items():
        if value in {each for _, each in ids}:
            return lead["company"], lead["company_traits"]
    raise LookupError(value)


class TestByAddress:
    @pytest.mark.parametrize(
        ("ids", "key"),
        [
            pytest.param(user("u1", "ann@mail.acme.co.uk"), "domain:acme.co.uk", id="a business address"),
            pytest.param(user("u1", "info@acme.test"), "domain:acme.test", id="a mailbox that several read"),
            pytest.param(Identifiers(email="info@acme.test"), "domain:acme.test", id="known by nothing else"),
            pytest.param(user("u1", "ann@gmail.com"), None, id="a free mailbox"),
            pytest.param(user("u1", "ann@mailinator.com"), None, id="a disposable one"),
            pytest.param(user("u1"), None, id="no address"),
        ],
    )
    def test_tells_the_company(self, world: Any, minutes: At, ids: Identifiers, key: str | None) -> None:
        world.apply(Identify(ids, {}, minutes(0)))
        ((_, lead),) = world.state().items()
        domain = key.removeprefix("domain:") if key else None
        assert (lead["company"], lead["company_traits"]) == (key, {"domain": domain} if domain else None)

    def test_of_a_trait_counts_too(self, world: Any, minutes: At) -> None:
        world.apply(Identify(user("u1"), {"email": "Ann@Bücher.de"}, minutes(0)))
        assert company_of(world, "u1") == ("domain:xn--bcher-kva.de", {"domain": "bücher.de"})

    def test_the_one_a_lead_goes_by_is_asked_first_and_then_the_next(self, world: Any, minutes: At) -> None:
        world.apply(
            Identify(user("u1", "ann@gmail.com"), {}, minutes(0)),
            Identify(user("u1", "ann@byte.test"), {}, minutes(2)),
            Identify(user("u1", "ann@acme.test"), {}, minutes(1)),
        )
        assert company_of(world, "u1")[0] == "domain:acme.test"
        world.apply(Identify(user("u1"), {"email": "ann@byte.test"}, minutes(3)))
        assert company_of(world, "u1")[0] == "domain:byte.test"

    def test_gives_way_to_the_company_that_is_stated(self, world: Any, minutes: At) -> None:
        world.apply(Identify(user("u1", "ann@acme.test"), {}, minutes(5)))
        changed = world.apply(stated("holding", minutes(0), "u1"))
        assert changed == set(world.lead_ids().values())
        assert company_of(world, "u1")[0] == "holding"

    def test_visitors_of_whom_no_address_is_known_belong_nowhere(self, world: Any, minutes: At) -> None:
        world.apply(Event(Identifiers(anonymous_id="d1"), "page.viewed", {}, minutes(0), "m1"))
        assert company_of(world, "d1") == (None, None)

    def test_people_find_them_by_it(self, world: Any, minutes: At) -> None:
        world.apply(Identify(user("u1", "ann@mail.bücher.de"), {}, minutes(0)))
        (lead,) = world.state().values()
        assert lead["search_key"].endswith("bucher.de")


class TestOneDomain:
    def test_is_one_company_for_those_by_address_and_those_by_id(self, world: Any, minutes: At) -> None:
        world.apply(Identify(user("u1", "ann@acme.test"), {}, minutes(0)))
        ann = world.lead_ids()["u1"]
        changed = world.apply(stated("51", minutes(1), "u2", website="https://www.acme.test/", employees=40))
        assert ann in changed
        expected = {"domain": "acme.test", "website": "https://www.acme.test/", "employees": 40}
        assert company_of(world, "u1") == company_of(world, "u2") == ("domain:acme.test", expected)

    def test_joins_two_ids_field_by_field(self, world: Any, minutes: At) -> None:
        world.apply(stated("51", minutes(1), "u1", domain="acme.test", employees=40, city="Huế"))
        world.apply(stated("acme", minutes(2), "u2", url="http://shop.acme.test", employees=50))
        world.apply(stated("acme", minutes(0), None, city="Iași"))
        expected = {"domain": "acme.test", "url": "http://shop.acme.test", "employees": 50, "city": "Huế"}
        assert company_of(world, "u1")[1] == company_of(world, "u2")[1] == expected

    def test_is_left_by_who_states_another(self, world: Any, minutes: At) -> None:
        world.apply(
            stated("51", minutes(1), "u1", domain="acme.test", employees=40),
            stated("acme", minutes(1), "u2", domain="acme.test", city="Huế"),
        )
        changed = world.apply(stated("51", minutes(2), None, domain="byte.test"))
        assert changed == set(world.lead_ids().values())
        assert company_of(world, "u1") == ("domain:byte.test", {"domain": "byte.test", "employees": 40})
        assert company_of(world, "u2") == ("domain:acme.test", {"domain": "acme.test", "city": "Huế"})
        world.apply(stated("51", minutes(3), None, domain="unknown"))
        assert company_of(world, "u1") == ("51", {"domain": "unknown", "employees": 40})

    def test_may_be_told_by_a_field_of_the_record(self, world: Any, minutes: At) -> None:
        one = Company(user("u1"), "51", {"domain": "byte.test"}, minutes(0), vendor="hubspot", domain="acme.test")
        world.apply(one, Company(user("u2"), "51", {}, minutes(0)))
        assert company_of(world, "u1") == ("domain:acme.test", {"domain": "acme.test"})
        assert company_of(world, "u2") == ("51", {})

    @pytest.mark.parametrize(
        "site", ["gmail.com", "facebook.com/acme", "https://linkedin.com/company/x", "wixsite.com"]
    )
    def test_of_a_provider_joins_nobody(self, world: Any, minutes: At, site: str) -> None:
        world.apply(stated("51", minutes(0), "u1", website=site), stated("52", minutes(0), "u2", website=site))
        assert {company_of(world, "u1")[0], company_of(world, "u2")[0]} == {"51", "52"}

    def test_of_a_crowd_joins_nobody_until_it_is_one_no_more(
        self, world: Any, minutes: At, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(companies, "CROWD", 2)
        world.apply(Identify(user("u0", "ann@acme.test"), {}, minutes(0)))
        for number in (1, 2):
            world.apply(stated(f"c{number}", minutes(0), f"u{number}", domain="acme.test", employees=number))
        assert {company_of(world, f"u{number}")[0] for number in (0, 1, 2)} == {"domain:acme.test"}
        changed = world.apply(stated("c3", minutes(0), "u3", domain="acme.test"))
        assert changed == set(world.lead_ids().values())
        assert [company_of(world, f"u{number}")[0] for number in (0, 1, 2, 3)] == ["domain:acme.test", "c1", "c2", "c3"]
        assert company_of(world, "u0")[1] == {"domain": "acme.test"}
        world.apply(stated("c1", minutes(1), None, domain="byte.test"))
        assert [company_of(world, f"u{number}")[0] for number in (0, 1, 2, 3)] == [
            "domain:acme.test",
            "domain:byte.test",
            "domain:acme.test",
            "domain:acme.test",
        ]

    def test_gives_people_its_name_to_search_by(self, world: Any, minutes: At) -> None:
        world.apply(Identify(user("u1", "ann@acme.test"), {}, minutes(0)))
        world.apply(stated("51", minutes(1), None, domain="acme.test", name="Công ty Ắc"))
        (lead,) = world.state().values()
        assert "cong ty ac" in lead["search_key"]

    def test_a_number_that_becomes_a_truth_value_is_news(self, world: Any, minutes: At) -> None:
        world.apply(stated("51", minutes(1), "u1", size=1))
        assert world.apply(stated("51", minutes(2), None, size=True)) == set(world.lead_ids().values())


class TestWhatWasKnown:
    def test_stays_with_its_end(self, world: Any, minutes: At) -> None:
        world.apply(Identify(user("u1", "ann@acme.test"), {}, minutes(0)))
        world.apply(stated("51", minutes(1), None, domain="acme.test", employees=40))
        world.apply(stated("51", minutes(2), None, employees=50))
        past = world.rows("""
            SELECT p.traits, p.until > p.known_at AS lasted, c.key FROM profiles.past_companies p
            JOIN profiles.companies c ON c.tenant_id = :t AND c.id = p.company_id
            WHERE p.tenant_id = :t AND c.key LIKE 'domain:%' ORDER BY p.until
        """)
        assert [tuple(row) for row in past] == [
            ({"domain": "acme.test"}, True, "domain:acme.test"),
            ({"domain": "acme.test", "employees": 40}, True, "domain:acme.test"),
        ]

    def test_of_a_lead_says_which_company_it_had(self, world: Any, minutes: At) -> None:
        world.apply(stated("51", minutes(1), "u1", employees=40))
        world.apply(stated("51", minutes(2), None, domain="acme.test"))
        (past,) = world.rows("""
            SELECT c.key FROM profiles.past_leads p
            JOIN profiles.companies c ON c.tenant_id = :t AND c.id = p.company_id WHERE p.tenant_id = :t
        """)
        assert past.key == "51"


class TestRefresh:
    def apply(self, world: Any, keys: Sequence[str]) -> companies.KeptCompanies:
        with tenant_session(world.tenant_id) as session:
            known_at = knowing.learn(session, world.tenant_id)
            kept = companies.refresh(session, world.tenant_id, keys, known_at)
            people = leads.of_companies(session, world.tenant_id, kept.renamed)
            leads.refold(session, world.tenant_id, people, known_at)
        return kept

    def test_changes_nothing_that_is_right(self, world: Any, minutes: At) -> None:
        world.apply(
            Identify(user("u1", "ann@acme.test"), {}, minutes(0)),
            stated("51", minutes(1), "u2", domain="acme.test", employees=40),
            stated("52", minutes(1), "u3", tags=["a", "b"]),
        )
        before = world.state(), world.companies()
        kept = self.apply(world, ["51", "52", "domain:acme.test", "unheard-of"])
        assert (world.state(), world.companies()) == before
        assert (kept.changed, kept.renamed) == ([], [])

    def test_what_only_a_vanished_layer_stated_goes(self, world: Any, minutes: At) -> None:
        world.apply(stated("51", minutes(1), None, domain="acme.test", employees=40))
        before = world.companies()
        with tenant_session(world.tenant_id) as session:
            known_at = knowing.learn(session, world.tenant_id)
            for key, domain in (("51", "byte.test"), ("52", "acme.test")):
                at = companies.Gathered(9, companies={key: {"domain": (2**60, f'"{domain}"', 1)}})
                companies.keep(session, world.tenant_id, at, known_at)
        assert {row[0]: row[-1] for row in world.companies()} == {
            "51": "domain:byte.test",
            "52": "domain:acme.test",
            "domain:acme.test": "None",
            "domain:byte.test": "None",
        }
        world.rows("DELETE FROM profiles.import_companies WHERE tenant_id = :t RETURNING key")
        self.apply(world, ["51", "52"])
        assert world.companies() == before
        assert world.rows(
            "SELECT FROM profiles.past_companies WHERE tenant_id = :t AND traits ->> 'domain' = 'byte.test'"
        )


MOMENTS = st.integers(0, 3).map(lambda number: datetime(2026, 3, 1, tzinfo=UTC) + timedelta(hours=number))
PEOPLE = st.builds(
    Identifiers,
    user_id=st.sampled_from(["u1", "u2", "u3"]),
    email=st.none() | st.sampled_from(["a@acme.test", "b@mail.byte.test", "c@gmail.com", "info@acme.test"]),
)
SITES = st.sampled_from(["acme.test", "https://www.byte.test/x", "gmail.com", "no site", 7])
FACTS = st.fixed_dictionaries(
    {},
    optional={
        "domain": SITES,
        "website": SITES,
        "name": st.sampled_from(["Acme", "Byte"]),
        "employees": st.sampled_from([1, True, 1.0, "1"]),
    },
)
RECORDS: st.SearchStrategy[CoreRecord] = st.one_of(
    st.builds(Identify, ids=PEOPLE, traits=st.fixed_dictionaries({}, optional={"email": SITES}), at=MOMENTS),
    st.builds(
        Company,
        ids=st.just(Identifiers()) | PEOPLE,
        company_id=st.sampled_from(["c1", "c2", "c3", "c4", "domain:acme.test"]),
        traits=FACTS,
        at=MOMENTS,
        vendor=st.sampled_from([None, None, "hubspot"]),
    ),
)


@st.composite
def retold(draw: st.DrawFn) -> tuple[list[list[Any]], list[list[Any]]]:
    sent = draw(st.lists(RECORDS, min_size=3, max_size=14))
    again = draw(st.permutations(sent + draw(st.lists(st.sampled_from(sent), max_size=4))))
    return [[each] for each in sent], _batches(draw, list(again))


def _batches(draw: st.DrawFn, sent: list[Any]) -> list[list[Any]]:
    batches: list[list[Any]] = [[]]
    for each in sent:
        batches[-1].append(each)
        if draw(st.booleans()):
            batches.append([])
    return batches


@settings(
    max_examples=examples(25),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(story=retold())
def test_the_set_of_records_decides(
    make_world: Callable[[], Any], story: tuple[list[Any], list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    # So that crowds gather and scatter.
    monkeypatch.setattr(companies, "CROWD", 2)
    told, shuffled = make_world(), make_world()
    for world, batches in ((told, story[0]), (shuffled, story[1])):
        for batch in batches:
            world.apply(*batch)
    assert told.state() == shuffled.state()
    assert told.companies() == shuffled.companies()
    kept = {row[0]: (row[1], row[-1]) for row in told.companies()}
    expected = worked_out([record for (record,) in story[0] if isinstance(record, Company)])
    assert {key: kept.get(key) for key in expected} == expected


def worked_out(records: list[Company]) -> dict[str, tuple[str, str]]:
    """The traits and the home of each company, from all records at once."""
    stated: dict[str, dict[str, tuple[Any, ...]]] = {}
    for record in records:
        node = stated.setdefault(company_key(record.company_id, record.vendor), {})
        for name, value in record.traits.items():
            node[name] = max(node.get(name, ()), (record.at, canonical(value), value))
    members: dict[str, list[str]] = {}
    for key, node in stated.items():
        if domain := domains.of_company({name: told[2] for name, told in node.items()}):
            members.setdefault(domain, []).append(key)
    homes = {domain: keys for domain, keys in members.items() if len(keys) <= companies.CROWD}
    found = {}
    for key, node in stated.items():
        home = next((domain_key(domain) for domain, keys in homes.items() if key in keys), None)
        found[key] = _shown(node), str(home)
    for domain, keys in homes.items():
        whole: dict[str, tuple[Any, ...]] = {}
        for key in keys:
            whole |= {name: max(whole.get(name, ()), told) for name, told in stated[key].items()}
        found[domain_key(domain)] = _shown(whole | {"domain": (0, 0, domain)}), "None"
    return found


def _shown(node: dict[str, tuple[Any, ...]]) -> str:
    # As PostgreSQL orders the names of an object.
    return str({name: node[name][2] for name in sorted(node, key=lambda name: (len(name), name))})
