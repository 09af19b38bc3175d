"""An import that is taken back leaves what would be there without it."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from assay.profiles import service, undoing
from assay.profiles.queries import get_lead, read_facts
from assay_sdk import Alias, Company, CoreRecord, Event, Identifiers, Identify
from assay_tenants.database import tenant_session
from assay_tenants.errors import NotFound

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
EVERYBODY = range(1, 2**62)


def at(minutes: int) -> datetime:
    return T0 + timedelta(minutes=minutes)


def identify(minute: int = 0, *, traits: dict[str, Any] | None = None, **ids: Any) -> Identify:
    return Identify(Identifiers(**ids), traits or {}, at(minute))


def event(number: str, minute: int = 0, *, path: str = "/", **ids: Any) -> Event:
    return Event(Identifiers(**ids), "page.viewed", {"path": path}, at(minute), sender_id=number)


def company(key: str, minute: int = 0, *, traits: dict[str, Any] | None = None, **ids: Any) -> Company:
    return Company(Identifiers(**ids), key, traits or {}, at(minute))


def tell(world: Any, import_id: int, *records: CoreRecord, source_id: int | None = None) -> None:
    """0 as import: they come by themselves."""
    source_id = source_id or (9 if import_id else 1)
    received_at = T0 + timedelta(days=import_id)
    batch = [world.normalised(record, source_id=source_id, received_at=received_at) for record in records]
    with tenant_session(world.tenant_id) as session:
        service.apply(session, world.tenant_id, batch, import_id=import_id)


def undo(world: Any, import_id: int, *, limit: int = undoing.LIMIT) -> list[undoing.Undone]:
    found = []
    while not found or not found[-1].done:
        assert len(found) < 100
        with tenant_session(world.tenant_id) as session:
            found.append(undoing.undo(session, world.tenant_id, import_id, limit=limit))
    return found


Story = Iterable[tuple[int, CoreRecord]]

ADA = "ada@acme.test"
BOB = "bob@acme.test"

STORIES: dict[str, list[tuple[int, CoreRecord]]] = {
    "nobody but the import knows them": [
        (7, identify(user_id="u1", email=ADA, traits={"title": "CFO"})),
        (7, event("m1", user_id="u2")),
        (7, event("m2", anonymous_id="d1")),
    ],
    "a trait stated later than the live one": [
        (0, identify(1, user_id="u1", traits={"title": "CFO", "plan": "free"})),
        (7, identify(2, user_id="u1", traits={"title": "Owner", "city": "Huế"})),
    ],
    "a trait that another import states too": [
        (7, identify(2, user_id="u1", traits={"title": "Owner"})),
        (8, identify(1, user_id="u1", traits={"title": "CFO"})),
    ],
    "seen by the import alone at first, live later": [
        (7, identify(1, user_id="u1", traits={"title": "CFO"})),
        (0, event("m1", 5, user_id="u1")),
    ],
    "seen earlier and later than live": [
        (0, event("m1", 5, user_id="u1")),
        (7, event("m2", 1, user_id="u1"), ),
        (7, event("m3", 9, user_id="u1")),
    ],
    "the address seen first gives its name": [
        (0, identify(5, user_id="u1", email="z@acme.test")),
        (0, identify(6, user_id="u1", email=ADA)),
        (7, identify(1, user_id="u1", email=ADA)),
    ],
    "joins two people": [
        (0, identify(1, user_id="u1", traits={"title": "CFO"})),
        (0, event("m1", 1, user_id="u1")),
        (0, identify(2, email=ADA, traits={"title": "Owner"})),
        (0, event("m2", 2, email=ADA)),
        (7, identify(3, user_id="u1", email=ADA)),
    ],
    "joins two people, as does another import": [
        (0, identify(1, user_id="u1")),
        (0, identify(2, email=ADA)),
        (7, identify(3, user_id="u1", email=ADA)),
        (8, identify(4, user_id="u1", email=ADA)),
    ],
    "joins two people whom a live record joins after it": [
        (0, identify(1, user_id="u1")),
        (0, identify(2, email=ADA)),
        (7, identify(3, user_id="u1", email=ADA)),
        (0, identify(9, user_id="u1", email=ADA)),
    ],
    "joins two people over one that it alone knows": [
        (0, identify(1, user_id="u1")),
        (0, identify(2, email=ADA)),
        (7, Alias(Identifiers(user_id="u1"), Identifiers(vendor={"hubspot": "5"}), at(3))),
        (7, Alias(Identifiers(email=ADA), Identifiers(vendor={"hubspot": "5"}), at(4))),
    ],
    "claims a device before another did": [
        (0, event("m1", 5, user_id="u1", anonymous_id="d1")),
        (0, event("m2", 6, anonymous_id="d1")),
        (7, event("m3", 1, user_id="u2", anonymous_id="d1")),
    ],
    "claims a device earlier than its live claim": [
        (0, event("m1", 5, user_id="u1", anonymous_id="d1")),
        (0, event("m2", 3, user_id="u2", anonymous_id="d1")),
        (7, event("m3", 1, user_id="u1", anonymous_id="d1")),
    ],
    "an event that another import brings again": [
        (7, event("m1", user_id="u1")),
        (8, event("m1", user_id="u1")),
    ],
    "an event that came from another import before": [
        (8, event("m1", user_id="u1")),
        (7, event("m1", user_id="u1")),
    ],
    "an id that another import uses for another event, and wins": [
        (8, event("m1", 1, path="/a", user_id="u1")),
        (7, event("m1", 2, path="/b", user_id="u2")),
    ],
    "an id that another import uses for another event, and loses": [
        (8, event("m1", 2, path="/b", user_id="u2")),
        (7, event("m1", 1, path="/a", user_id="u1")),
    ],
    "an id used for four events": [
        (8, event("m1", 4, user_id="u4")),
        (7, event("m1", 3, user_id="u3")),
        (9, event("m1", 2, user_id="u2")),
        (7, event("m1", 1, user_id="u1")),
        (8, event("m1", 3, user_id="u3")),
    ],
    "a company of its own": [(7, company("acme", user_id="u1", traits={"name": "Acme"}))],
    "a company that is known": [
        (0, company("acme", 1, user_id="u1", traits={"name": "Acme", "employees": 5})),
        (0, event("m1", user_id="u2")),
        (7, company("acme", 2, user_id="u2", traits={"name": "Acme Ltd", "city": "Cluj"})),
    ],
    "an employer in place of another": [
        (0, company("acme", 1, user_id="u1", traits={"name": "Acme"})),
        (7, company("byte", 2, user_id="u1", traits={"name": "Byte"})),
    ],
    "a company that another import states too": [
        (8, company("acme", 1, user_id="u1", traits={"name": "Acme"})),
        (7, company("acme", 2, user_id="u2", traits={"name": "Acme Ltd"})),
    ],
    "a company of nobody": [(7, company("acme", traits={"name": "Acme"}))],
}  # fmt: skip

LAYERS = {
    "statements": """
        SELECT s.import_id, i.kind, i.value, s.traits, s.stated, s.company_key, s.company_at, s.first_seen_at,
            s.last_seen_at
        FROM profiles.import_statements s JOIN profiles.identities i ON i.tenant_id = :t AND i.id = s.identity_id
        WHERE s.tenant_id = :t""",
    "companies": "SELECT import_id, key, traits, stated FROM profiles.import_companies WHERE tenant_id = :t",
    "links": """
        SELECT l.import_id, LEAST(a.value, b.value), GREATEST(a.value, b.value), l.since
        FROM profiles.links l
        JOIN profiles.identities a ON a.tenant_id = :t AND a.id = l.left_id
        JOIN profiles.identities b ON b.tenant_id = :t AND b.id = l.right_id
        WHERE l.tenant_id = :t""",
    "events": """
        SELECT e.import_id, e.id, e.received_at, e.type, e.occurred_at, e.properties, i.value
        FROM profiles.events e JOIN profiles.identities i ON i.tenant_id = :t AND i.id = e.identity_id
        WHERE e.tenant_id = :t
        UNION ALL
        SELECT e.import_id, e.event_id, e.received_at, e.type, e.occurred_at, CAST(e.properties AS jsonb), i.value
        FROM profiles.import_events e JOIN profiles.identities i ON i.tenant_id = :t AND i.id = e.identity_id
        WHERE e.tenant_id = :t""",
    "seen": "SELECT event_id FROM profiles.seen WHERE tenant_id = :t",
    "unseen": """
        SELECT e.id FROM profiles.events e
        LEFT JOIN profiles.seen s ON s.tenant_id = :t AND s.event_id = e.id AND s.received_at = e.received_at
        WHERE e.tenant_id = :t AND s.event_id IS NULL""",
    "memberless": """
        SELECT l.id FROM profiles.leads l LEFT JOIN profiles.identities i ON i.tenant_id = :t AND i.lead_id = l.id
        WHERE l.tenant_id = :t AND i.id IS NULL""",
    "astray": """
        SELECT e.id FROM profiles.events e JOIN profiles.identities i ON i.tenant_id = :t AND i.id = e.identity_id
        WHERE e.tenant_id = :t AND e.lead_id <> i.lead_id""",
}


def layers(world: Any) -> dict[str, list[str]]:
    return {name: sorted(str(tuple(row)) for row in world.rows(query)) for name, query in LAYERS.items()}


def everything(world: Any) -> tuple[Any, ...]:
    return world.state(), world.companies(), world.links(), layers(world)


def readings(world: Any, instants: list[datetime]) -> list[Any]:
    """What was known at each of them."""
    found = []
    for instant in instants:
        frames = read_facts(
            world.tenant_id,
            EVERYBODY,
            traits=["title", "email", "city", "company.name"],
            properties=["path"],
            known_at=instant,
        )
        found.append([sorted(str(row) for row in frame.rows()) for frame in frames])
    return found


def facts(world: Any) -> dict[int, list[str]]:
    """All that a rule can tell of each lead."""
    found: dict[int, list[str]] = {}
    traits = ["title", "email", "city", "company.name", "company.city"]
    for frame in read_facts(world.tenant_id, EVERYBODY, traits=traits, properties=["path"]):
        for row in frame.rows():
            found.setdefault(row[0], []).append(str(row))
    return {lead_id: sorted(rows) for lead_id, rows in found.items()}


@pytest.mark.parametrize("story", [pytest.param(story, id=name) for name, story in STORIES.items()])
class TestUndo:
    @pytest.mark.parametrize("limit", [pytest.param(undoing.LIMIT, id="at once"), pytest.param(1, id="one by one")])
    def test_leaves_what_would_be_there_without_it(
        self, story: Story, limit: int, make_world: Callable[[], Any]
    ) -> None:
        world, other = make_world(), make_world()
        for import_id, record in story:
            tell(world, import_id, record)
            if import_id != 7:
                tell(other, import_id, record)
        undo(world, 7, limit=limit)
        assert everything(world) == everything(other)

    def test_comes_back_with_full_effect(self, story: Story, make_world: Callable[[], Any]) -> None:
        world, other = make_world(), make_world()
        for import_id, record in story:
            tell(world, import_id, record)
            tell(other, import_id, record)
        undo(world, 7)
        for import_id, record in story:
            if import_id == 7:
                tell(world, 7, record)
        assert everything(world) == everything(other)

    def test_what_was_known_before_stays_known(self, story: Story, world: Any) -> None:
        instants = []
        for import_id, record in story:
            tell(world, import_id, record)
            instants.append(datetime.now(UTC))
        before = readings(world, instants)
        undo(world, 7, limit=1)
        assert readings(world, instants) == before

    def test_tells_of_every_lead_that_changes(self, story: Story, world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        for import_id, record in story:
            tell(world, import_id, record)
        told: set[int] = set()
        monkeypatch.setattr(service, "_actions", [lambda _session, _tenant, lead_ids: told.update(lead_ids)])
        done = False
        while not done:
            before = facts(world)
            told.clear()
            with tenant_session(world.tenant_id) as session:
                done = undoing.undo(session, world.tenant_id, 7, limit=1).done
            after = facts(world)
            changed = {lead_id for lead_id in {*before, *after} if before.get(lead_id) != after.get(lead_id)}
            assert changed <= told


def test_a_second_time_there_is_nothing_to_do(world: Any) -> None:
    tell(world, 7, identify(user_id="u1", email=ADA), event("m1", user_id="u1"), company("acme", user_id="u1"))
    steps = undo(world, 7)
    assert sum(step.identities for step in steps) == 2
    assert sum(step.events for step in steps) == sum(step.companies for step in steps) == 1
    assert undo(world, 7) == [undoing.Undone(done=True)]


def test_an_import_that_never_was_is_done_at_once(world: Any) -> None:
    assert undo(world, 4711) == [undoing.Undone(done=True)]


def test_a_neighbours_import_is_left_alone(make_world: Callable[[], Any]) -> None:
    world, neighbour = make_world(), make_world()
    for each in (world, neighbour):
        tell(each, 7, identify(user_id="u1", email=ADA), event("m1", user_id="u1"))
    before = everything(neighbour)
    undo(world, 7)
    assert everything(neighbour) == before


def test_very_many_events_of_one_person_go_bit_by_bit(world: Any) -> None:
    tell(world, 0, event("live", user_id="u1"))
    tell(world, 7, *(event(f"m{number}", number, user_id="u1") for number in range(35)))
    steps = undo(world, 7, limit=1)
    assert [step.events for step in steps] == [10, 10, 10, 5, 0]
    assert [row.sender_id for row in world.rows("SELECT sender_id FROM profiles.events WHERE tenant_id = :t")] == [
        "live"
    ]


def test_half_way_each_lead_is_what_is_left_of_it(world: Any, make_world: Callable[[], Any]) -> None:
    tell(world, 7, *(identify(user_id=f"u{number}", traits={"title": "CFO"}) for number in range(4)))
    tell(world, 0, identify(1, user_id="u0", traits={"title": "Owner"}))
    with tenant_session(world.tenant_id) as session:
        assert undoing.undo(session, world.tenant_id, 7, limit=2) == undoing.Undone(done=False, identities=2)
    assert {tuple(lead["traits"].values()) for lead in world.state().values()} == {("Owner",), ("CFO",)}
    assert len(world.state()) == 3


def test_live_events_may_come_meanwhile(make_world: Callable[[], Any]) -> None:
    world, other = make_world(), make_world()
    tell(world, 7, *(event(f"m{number}", number, user_id=f"u{number}", email=ADA) for number in range(6)))
    for number in range(6):
        with tenant_session(world.tenant_id) as session:
            undoing.undo(session, world.tenant_id, 7, limit=1)
        for each in (world, other):
            tell(each, 0, event(f"live{number}", 9, user_id=f"u{5 - number}", anonymous_id="d1"))
    undo(world, 7)
    assert everything(world) == everything(other)


def test_live_records_are_taken_in_between_two_steps(make_world: Callable[[], Any]) -> None:
    world, other = make_world(), make_world()
    tell(world, 7, *(event(f"m{number}", number, user_id=f"u{number % 9}", email=ADA) for number in range(40)))
    with ThreadPoolExecutor(2) as pool:
        undone = pool.submit(undo, world, 7, limit=1)
        for number in range(20):
            tell(world, 0, event(f"live{number}", 9, user_id=f"u{number % 7}", anonymous_id=f"d{number % 3}"))
        assert sum(step.events for step in undone.result()) == 40
    for number in range(20):
        tell(other, 0, event(f"live{number}", 9, user_id=f"u{number % 7}", anonymous_id=f"d{number % 3}"))
    assert everything(world) == everything(other)


class TestWhatPeopleSaid:
    """Judgements and the like: they are no import's."""

    @staticmethod
    def said(world: Any, value: str) -> None:
        with tenant_session(world.tenant_id) as session:
            lead_id = world.lead_ids()[value]
            service.state(session, world.tenant_id, lead_id, "assay.judgement", {"points": 5}, key="k", at=at(0))

    @staticmethod
    def judged(world: Any) -> set[frozenset[str]]:
        """The identifiers of the leads with a judgement."""
        return {
            frozenset(value for _, value in identifiers)
            for identifiers, lead in world.state().items()
            if any(each[2] == "assay.judgement" for each in lead["events"])
        }

    @pytest.mark.parametrize("limit", [pytest.param(undoing.LIMIT, id="at once"), pytest.param(1, id="one by one")])
    @pytest.mark.parametrize(
        "story",
        [
            pytest.param(
                [(7, identify(1, user_id="u1", email=ADA)), (0, identify(2, email=ADA))], id="the import came first"
            ),
            pytest.param(
                [(0, identify(2, email=ADA)), (7, identify(1, user_id="u1", email=ADA))], id="the live one came first"
            ),
            pytest.param(
                [
                    (7, identify(1, user_id="u1", vendor={"hubspot": "5", "intercom": "6"})),
                    (7, Alias(Identifiers(vendor={"hubspot": "5"}), Identifiers(email=ADA), at(3))),
                    (0, identify(2, email=ADA)),
                ],
                id="over others that only the import knows",
            ),
        ],
    )
    def test_goes_on_with_whom_others_know(self, story: Story, limit: int, world: Any) -> None:
        for import_id, record in story:
            tell(world, import_id, record)
        self.said(world, ADA)
        then = [datetime.now(UTC)]
        before = readings(world, then)
        undo(world, 7, limit=limit)
        assert self.judged(world) == {frozenset({ADA})}
        assert readings(world, then) == before

    def test_goes_with_whom_nobody_else_knows(self, world: Any) -> None:
        tell(world, 7, identify(user_id="u1"))
        self.said(world, "u1")
        lead_id = world.lead_ids()["u1"]
        then = [datetime.now(UTC)]
        before = readings(world, then)
        undo(world, 7)
        with pytest.raises(NotFound):
            get_lead(world.tenant_id, lead_id)
        assert readings(world, then) == before
        assert world.rows("SELECT 1 FROM profiles.events WHERE tenant_id = :t") == []


def test_identities_show_all_sights(world: Any) -> None:
    tell(world, 7, event("m1", 1, user_id="u1"))
    tell(world, 0, event("m2", 5, user_id="u1"))
    tell(world, 8, event("m3", 9, user_id="u1"))
    lead = get_lead(world.tenant_id, world.lead_ids()["u1"])
    (identity,) = lead.identities
    assert (identity.first_seen_at, identity.last_seen_at) == (at(1), at(9)) == (lead.first_seen_at, lead.last_seen_at)
