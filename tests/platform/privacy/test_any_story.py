"""Whatever was sent, in whatever requests: an erasure leaves nothing of the person, and the others as they were."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assay.normalise.service import replay
from assay.profiles.erasing.verdicts import is_theirs
from assay_sdk import Event, Identifiers

USERS = ("user-ann-0001", "user-bob-0002", "user-cid-0003")
ADDRESSES = ("ann@acme.test", "bob@acme.test", "info@acme.test")
DEVICES = ("device-0001", "device-0002")
AT = datetime(2026, 3, 1, 10, tzinfo=UTC)

ITEM = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["identify", "track", "alias", "group", "nonsense"]),
        "userId": st.sampled_from([*USERS, None]),
        "anonymousId": st.sampled_from([*DEVICES, None]),
        "event": st.just("Page Viewed"),
        "groupId": st.just("acme"),
        "previousId": st.sampled_from([*USERS, *DEVICES]),
        "traits": st.fixed_dictionaries({}, optional={"email": st.sampled_from(ADDRESSES), "title": st.just("CFO")}),
        "timestamp": st.sampled_from(["2026-03-01T10:00:00Z", "2026-03-01T11:00:00Z"]),
    },
    optional={"messageId": st.sampled_from(["m1", "m2", "m3"])},
)
REQUESTS = st.lists(st.lists(ITEM, min_size=1, max_size=4), min_size=1, max_size=4)

OTHERS = """
    SELECT l.id, l.name, l.email, l.search_key, l.traits, l.company_id, l.first_seen_at, l.last_seen_at,
        (SELECT json_agg(json_build_array(i.kind, i.value, i.traits, i.stated) ORDER BY i.id)
         FROM profiles.identities i WHERE i.tenant_id = :t AND i.lead_id = l.id) AS identities,
        (SELECT json_agg(json_build_array(e.id, e.type, e.occurred_at, e.properties) ORDER BY e.id)
         FROM profiles.events e WHERE e.tenant_id = :t AND e.lead_id = l.id) AS events
    FROM profiles.leads l WHERE l.tenant_id = :t AND l.id <> :lead ORDER BY l.id
"""


@settings(
    max_examples=5,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.filter_too_much],
)
@given(requests=REQUESTS, choice=st.integers(0, 5))
def test_nothing_is_left_and_nobody_else_is_touched(
    make_house: Callable[[], Any], requests: list[list[dict[str, Any]]], choice: int
) -> None:
    house = make_house()
    for item in (each for items in requests for each in items if "messageId" in each):
        # One id for events of two persons is a story of its own: see test_erasing.
        who = [*USERS, None].index(item["userId"]), [*DEVICES, None].index(item["anonymousId"])
        item["messageId"] += f"-{who[0]}-{who[1]}"
    sent = [house.send({"batch": items}) for items in requests]
    house.work()
    leads = house.rows("SELECT id FROM profiles.leads WHERE tenant_id = :t ORDER BY id")
    if not leads:
        return
    lead_id = leads[choice % len(leads)].id
    keys = {
        (row.kind, row.value)
        for row in house.rows(
            "SELECT kind, value FROM profiles.identities WHERE tenant_id = :t AND lead_id = :l", l=lead_id
        )
    }
    before = house.rows(OTHERS, lead=lead_id)
    done = house.erase(lead_id)
    assert house.rows(OTHERS, lead=lead_id) == before
    # What others say of the person stays theirs, and is told.
    if done.state == "done":
        assert house.names(*keys) == []
    else:
        assert done.found
        assert {each["table"] for each in done.found} <= {
            "profiles.identities",
            "profiles.leads",
            "intake.messages",
            "profiles.past_leads",
            "profiles.companies",
        }
    replay(house.tenant_id, sent)
    house.work()
    assert house.rows(OTHERS, lead=lead_id) == before


def test_an_event_on_the_persons_device_is_somebody_elses_where_it_says_so() -> None:
    erased = {("anonymous_id", "device-0001")}
    other = Event(Identifiers(user_id="user-bob-0002", anonymous_id="device-0001"), "page.viewed", {}, AT, "")
    assert not is_theirs(other, erased)
    assert is_theirs(Event(Identifiers(anonymous_id="device-0001"), "page.viewed", {}, AT, ""), erased)
