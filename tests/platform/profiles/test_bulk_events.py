"""Events applied from columns leave the same as the same events applied one by one."""

from collections.abc import Callable, Sequence
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from assay.intake.imports.event_frames import EventFrame
from assay.normalise import Normalised, event_id
from assay.profiles import bulk_events, service
from assay.profiles.merging import canonical, micros
from assay_sdk import Event, Identifiers
from assay_tenants.database import tenant_session
from tests.amount import examples

SOURCE, IMPORT = 3, 7
TEXTS = {"user_id": pl.String, "email": pl.String, "anonymous_id": pl.String, "vendor:hubspot": pl.String}
STATEMENTS = """
    SELECT i.kind, i.value, s.traits, s.stated, s.first_seen_at, s.last_seen_at
    FROM profiles.import_statements s JOIN profiles.identities i ON i.tenant_id = :t AND i.id = s.identity_id
    WHERE s.tenant_id = :t AND s.import_id = 7
"""
EVENTS = """
    SELECT id, type, occurred_at, properties, sender_id, import_id, received_at
    FROM profiles.events WHERE tenant_id = :t
"""

IDS = st.builds(
    Identifiers,
    user_id=st.none() | st.sampled_from(["u1", "u2", "null"]),
    email=st.none() | st.sampled_from(["ada@acme.test", "Bob@acme.test", "info@acme.test"]),
    anonymous_id=st.none() | st.sampled_from(["d1", "d2"]),
    vendor=st.sampled_from([{}, {}, {"hubspot": "51"}]),
).filter(bool)
PROPERTIES = st.dictionaries(
    st.sampled_from(["path", "n"]),
    st.sampled_from(["\\N", 'say "hi",\nthere\\', "", 1, 1.5, True, ["a", 2], "Đặng Ngọc Ân", "tab\there"]),
    max_size=2,
)


@pytest.fixture
def told(minutes: Callable[[int], Any]) -> st.SearchStrategy[list[Event]]:
    one = st.builds(
        Event,
        ids=IDS,
        type=st.sampled_from(["page.viewed", "meeting.booked"]),
        properties=PROPERTIES,
        at=st.integers(0, 5).map(minutes),
        sender_id=st.sampled_from(["m1", "m2", "m3", "\\N", "a,b", 'q"']),
    )
    return st.lists(one, min_size=1, max_size=8)


def frame_of(events: Sequence[Event]) -> EventFrame:
    columns: dict[str, list[Any]] = {
        "row_number": list(range(2, len(events) + 2)),
        "user_id": [event.ids.user_id for event in events],
        "email": [event.ids.email for event in events],
        "anonymous_id": [event.ids.anonymous_id for event in events],
        "type": [event.type for event in events],
        "occurred_at": [micros(event.at) for event in events],
        "sender_id": [event.sender_id for event in events],
        "event_id": [event_id(SOURCE, event.sender_id).hex for event in events],
        "properties": [canonical(dict(event.properties)) for event in events],
        "vendor:hubspot": [event.ids.vendor.get("hubspot") for event in events],
    }
    return EventFrame(pl.DataFrame(columns, schema_overrides=TEXTS))


def apply_frame(world: Any, events: Sequence[Event], received_at: Any) -> set[int]:
    with tenant_session(world.tenant_id) as session:
        return bulk_events.apply_frame(
            session,
            world.tenant_id,
            frame_of(events),
            source_id=SOURCE,
            import_id=IMPORT,
            received_at=received_at,
        )


def apply_records(world: Any, events: Sequence[Event], received_at: Any) -> set[int]:
    records = [Normalised(event, SOURCE, None, received_at, event_id(SOURCE, event.sender_id)) for event in events]
    with tenant_session(world.tenant_id) as session:
        return service.apply(session, world.tenant_id, records, import_id=IMPORT)


@settings(
    max_examples=examples(20),
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_columns_and_records_leave_the_same(
    make_world: Callable[[], Any], told: Any, minutes: Callable[[int], Any], data: st.DataObject
) -> None:
    before, batches = data.draw(told), data.draw(st.lists(told, min_size=1, max_size=3))
    one, other = make_world(), make_world()
    for world, apply in ((one, apply_records), (other, apply_frame)):
        world.apply(*before)
        for batch in batches:
            apply(world, batch, minutes(30))
    assert one.state() == other.state()
    assert one.links() == other.links()
    for query in (STATEMENTS, EVENTS):
        assert sorted(map(str, one.rows(query))) == sorted(map(str, other.rows(query)))


def test_tells_the_leads_with_news_and_no_others(world: Any, minutes: Callable[[int], Any]) -> None:
    events = [Event(Identifiers(user_id=f"u{n}"), "page.viewed", {}, minutes(n), f"m{n}") for n in range(3)]
    assert len(apply_frame(world, events, minutes(30))) == 3
    assert apply_frame(world, events, minutes(31)) == set()


def test_nothing_is_no_news(world: Any, minutes: Callable[[int], Any]) -> None:
    assert apply_frame(world, [], minutes(30)) == set()
