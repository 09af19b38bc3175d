"""Any order, any repetition and any batching of the same records give the same leads."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assay_sdk import Alias, Company, CoreRecord, Event, Identifiers, Identify
from tests.amount import examples

# Few values of each kind, so that records meet; instants that tie.
MOMENTS = st.integers(0, 4).map(lambda number: datetime(2026, 3, 1, tzinfo=UTC) + timedelta(hours=number))
USERS = st.none() | st.sampled_from(["u1", "u2", "u3", "null"])
ADDRESSES = st.none() | st.sampled_from(["ada@acme.test", "Bob@Acme.test", "carol@byte.test", "info@acme.test"])
DEVICES = st.none() | st.sampled_from(["d1", "d2", "d3"])
VENDORS = st.sampled_from([{}, {}, {"hubspot": "51"}, {"hubspot": "52"}])
IDS = st.builds(Identifiers, user_id=USERS, email=ADDRESSES, anonymous_id=DEVICES, vendor=VENDORS)
SOMEBODY = IDS.filter(bool)
VALUES = st.sampled_from(["CFO", "Owner", 1, 1.0, True, 1e23, -0.0, ["a", 1.5], "Đặng Ngọc Ân"])
TRAITS = st.dictionaries(st.sampled_from(["title", "name", "email", "company.employees"]), VALUES, max_size=2)
NUMBERS = st.sampled_from(["m1", "m2", "m3", "m4"])

RECORDS: st.SearchStrategy[CoreRecord] = st.one_of(
    st.builds(Identify, ids=SOMEBODY, traits=TRAITS, at=MOMENTS),
    st.builds(
        Event,
        ids=SOMEBODY,
        type=st.sampled_from(["page.viewed", "meeting.booked"]),
        properties=st.dictionaries(st.sampled_from(["path", "n"]), VALUES, max_size=1),
        at=MOMENTS,
        sender_id=NUMBERS,
    ),
    st.builds(Company, ids=IDS, company_id=st.sampled_from(["acme", "byte"]), traits=TRAITS, at=MOMENTS),
    st.builds(Alias, ids=SOMEBODY, previous=SOMEBODY, at=MOMENTS),
)
SENT = st.tuples(RECORDS, st.sampled_from([1, 2]))


@st.composite
def retold(draw: st.DrawFn) -> tuple[list[list[Any]], list[list[Any]]]:
    """The same records twice: in batches, and shuffled, repeated, and in other batches."""
    sent = draw(st.lists(SENT, min_size=2, max_size=12))
    again = draw(st.permutations(sent + draw(st.lists(st.sampled_from(sent), max_size=4))))
    return _batches(draw, sent), _batches(draw, list(again))


def _batches(draw: st.DrawFn, sent: list[Any]) -> list[list[Any]]:
    batches: list[list[Any]] = [[]]
    for each in sent:
        batches[-1].append(each)
        if draw(st.booleans()):
            batches.append([])
    return batches


@settings(
    max_examples=examples(20),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(story=retold())
def test_the_set_of_records_decides(make_world: Callable[[], Any], story: tuple[list[Any], list[Any]]) -> None:
    told, shuffled = make_world(), make_world()
    for world, batches in ((told, story[0]), (shuffled, story[1])):
        for batch in batches:
            world.apply(*(world.normalised(record, source_id=source) for record, source in batch))
    assert told.state() == shuffled.state()
    assert told.companies() == shuffled.companies()
    assert told.links() == shuffled.links()
