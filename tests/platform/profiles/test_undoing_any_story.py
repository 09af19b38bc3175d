"""Whatever came by itself and by imports, in whatever order: taking one import back is as if it had never been."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assay.profiles import service, undoing
from assay.profiles.queries import read_facts
from assay_sdk import Alias, Company, CoreRecord, Event, Identifiers, Identify
from assay_tenants.database import tenant_session
from tests.amount import examples

T0 = datetime(2026, 3, 1, tzinfo=UTC)
EVERYBODY = range(1, 2**62)
UNDONE, AGAIN = 7, 10

# Few values of each kind, so that records meet; instants that tie.
MOMENTS = st.integers(0, 4).map(lambda number: T0 + timedelta(hours=number))
USERS = st.none() | st.sampled_from(["u1", "u2", "u3", "null"])
ADDRESSES = st.none() | st.sampled_from(["ada@acme.test", "Bob@Acme.test", "info@acme.test"])
DEVICES = st.none() | st.sampled_from(["d1", "d2"])
VENDORS = st.sampled_from([{}, {}, {"hubspot": "51"}, {"hubspot": "52"}])
IDS = st.builds(Identifiers, user_id=USERS, email=ADDRESSES, anonymous_id=DEVICES, vendor=VENDORS)
SOMEBODY = IDS.filter(bool)
VALUES = st.sampled_from(["CFO", "Owner", 1, 1.0, True])
TRAITS = st.dictionaries(st.sampled_from(["title", "name", "email", "domain"]), VALUES, max_size=2)

RECORDS: st.SearchStrategy[CoreRecord] = st.one_of(
    st.builds(Identify, ids=SOMEBODY, traits=TRAITS, at=MOMENTS),
    st.builds(
        Event,
        ids=SOMEBODY,
        type=st.sampled_from(["page.viewed", "meeting.booked"]),
        properties=st.dictionaries(st.just("path"), VALUES, max_size=1),
        at=MOMENTS,
        sender_id=st.sampled_from(["m1", "m2", "m3"]),
    ),
    st.builds(Company, ids=IDS, company_id=st.sampled_from(["acme", "byte"]), traits=TRAITS, at=MOMENTS),
    st.builds(Alias, ids=SOMEBODY, previous=SOMEBODY, at=MOMENTS),
)


@dataclass(frozen=True)
class Batch:
    #: 0: it came by itself.
    import_id: int
    #: Imports share one; it is used live too, so that ids are contested.
    source_id: int
    records: list[CoreRecord]


BATCHES = st.lists(
    st.builds(
        Batch,
        import_id=st.sampled_from([0, UNDONE, UNDONE, 8]),
        source_id=st.sampled_from([1, 1, 2]),
        records=st.lists(RECORDS, min_size=1, max_size=4),
    ),
    min_size=1,
    max_size=8,
)
HYPOTHESIS = settings(
    max_examples=examples(12),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

LAYERS = {
    "statements": """
        SELECT s.import_id, i.kind, i.value, s.traits, s.stated, s.company_key, s.company_at, s.first_seen_at,
            s.last_seen_at
        FROM profiles.import_statements s JOIN profiles.identities i ON i.tenant_id = :t AND i.id = s.identity_id
        WHERE s.tenant_id = :t""",
    "companies": "SELECT import_id, key, traits, stated FROM profiles.import_companies WHERE tenant_id = :t",
    "events, whoever's row is kept": """
        SELECT e.import_id, e.id, e.type, e.occurred_at, e.properties, i.value
        FROM profiles.events e JOIN profiles.identities i ON i.tenant_id = :t AND i.id = e.identity_id
        WHERE e.tenant_id = :t
        UNION ALL
        SELECT e.import_id, e.event_id, e.type, e.occurred_at, CAST(e.properties AS jsonb), i.value
        FROM profiles.import_events e JOIN profiles.identities i ON i.tenant_id = :t AND i.id = e.identity_id
        WHERE e.tenant_id = :t""",
    "seen": "SELECT event_id FROM profiles.seen WHERE tenant_id = :t",
    "events nobody has seen": """
        SELECT e.id FROM profiles.events e
        LEFT JOIN profiles.seen s ON s.tenant_id = :t AND s.event_id = e.id AND s.received_at = e.received_at
        WHERE e.tenant_id = :t AND s.event_id IS NULL""",
    "leads of nobody": """
        SELECT l.id FROM profiles.leads l LEFT JOIN profiles.identities i ON i.tenant_id = :t AND i.lead_id = l.id
        WHERE l.tenant_id = :t AND i.id IS NULL""",
    "events astray": """
        SELECT e.id FROM profiles.events e JOIN profiles.identities i ON i.tenant_id = :t AND i.id = e.identity_id
        WHERE e.tenant_id = :t AND e.lead_id <> i.lead_id""",
}


def everything(world: Any) -> dict[str, Any]:
    found = {name: sorted(str(tuple(row)) for row in world.rows(query)) for name, query in LAYERS.items()}
    return {**found, "leads": world.state(), "facts": world.companies(), "links": world.links()}


def tell(world: Any, batch: Batch, *, as_import: int | None = None) -> None:
    import_id = batch.import_id if as_import is None else as_import
    records = [world.normalised(record, source_id=batch.source_id) for record in batch.records]
    with tenant_session(world.tenant_id) as session:
        service.apply(session, world.tenant_id, records, import_id=import_id)


def undo_some(world: Any, limit: int) -> bool:
    with tenant_session(world.tenant_id) as session:
        return undoing.undo(session, world.tenant_id, UNDONE, limit=limit).done


def readings(world: Any, instants: list[datetime]) -> list[list[list[str]]]:
    wanted = {"traits": ["title", "email", "company.name"], "properties": ["path"]}
    found = [read_facts(world.tenant_id, EVERYBODY, known_at=instant, **wanted) for instant in instants]
    return [[sorted(str(row) for row in frame.rows()) for frame in frames] for frames in found]


@HYPOTHESIS
@given(before=BATCHES, after=BATCHES, limit=st.sampled_from([1, 2, 2_000]))
def test_it_never_was(make_world: Callable[[], Any], before: list[Batch], after: list[Batch], limit: int) -> None:
    world, other = make_world(), make_world()
    instants = []
    for batch in before:
        tell(world, batch)
        instants.append(datetime.now(UTC))
        if batch.import_id != UNDONE:
            tell(other, batch)
    known = readings(world, instants)
    done = False
    for batch in after:
        done = done or undo_some(world, limit)
        if batch.import_id != UNDONE:
            tell(world, batch)
            tell(other, batch)
    while not done:
        done = undo_some(world, limit)
    assert everything(world) == everything(other)
    assert readings(world, instants) == known
    for batch in before:
        if batch.import_id == UNDONE:
            tell(world, batch, as_import=AGAIN)
            tell(other, batch, as_import=AGAIN)
    assert everything(world) == everything(other)


@HYPOTHESIS
@given(batches=BATCHES)
def test_layers_add_up_to_what_one_would_be(make_world: Callable[[], Any], batches: list[Batch]) -> None:
    layered, plain = make_world(), make_world()
    for batch in batches:
        tell(layered, batch)
        tell(plain, batch, as_import=0)
    told, expected = layered.state(), plain.state()
    for state in (told, expected):
        for lead in state.values():
            del lead["identities"]
    assert told == expected
