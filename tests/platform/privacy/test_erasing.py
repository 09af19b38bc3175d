"""A person is erased from every table, the others stay what they are, and nothing brings the person back."""

import json
from typing import Any

import pytest

from assay.normalise.service import replay
from assay.privacy import service
from assay.profiles import deciding
from assay_tenants.access import invitations
from assay_tenants.errors import NotFound
from assay_tenants.permissions import PERMISSIONS

ANN = ("email", "ann.lee@acme.test")
ANN_USER = ("user_id", "user-4711-ann")
ANN_DEVICE = ("anonymous_id", "0f7b1c2d-ann-device")


def track(event: str, **more: Any) -> dict[str, Any]:
    return {"type": "track", "event": event, "timestamp": "2026-03-01T11:00:00Z", **more}


def identify(user_id: str, **more: Any) -> dict[str, Any]:
    return {"type": "identify", "userId": user_id, "timestamp": "2026-03-01T10:00:00Z", **more}


def stories(house: Any) -> list[Any]:
    """Ann and Bob in shared requests, with items that can't be read."""
    sent = [
        house.send(
            {
                "batch": [
                    track("Page Viewed", anonymousId=ANN_DEVICE[1]),
                    track("Page Viewed", userId="bob", properties={"path": "/é"}),
                    identify(ANN_USER[1], traits={"email": "Ann.Lee@Acme.test", "name": "Ann Lee"}),
                    track("Demo Requested", userId=ANN_USER[1], anonymousId=ANN_DEVICE[1]),
                    {"type": "nonsense", "userId": ANN_USER[1]},
                    {"type": "nonsense", "userId": "bob"},
                    track("Meeting Booked", userId="bob", properties={"n": 1e3}),
                ],
                "sentAt": "2026-03-01T12:00:00Z",
            }
        ),
        house.send(identify(ANN_USER[1], traits={"title": "CFO"}), call="identify"),
        house.send(identify("bob", traits={"title": "Owner", "email": "bob@byte.test"}), call="identify"),
        house.send(
            {
                "events": [
                    {"email": ANN[1], "type": "offer.downloaded"},
                    {"user_id": "bob", "type": "offer.downloaded"},
                ]
            },
            call="events",
            plugin="assay",
        ),
    ]
    house.work()
    return sent


FACTS = """
    SELECT e.id, e.lead_id, e.type, e.occurred_at, e.properties, e.sender_id FROM profiles.events e
    JOIN profiles.identities i ON i.tenant_id = :t AND i.id = e.identity_id
    WHERE e.tenant_id = :t AND i.value IN ('bob', 'bob@byte.test') ORDER BY e.id
"""
BOB = "SELECT id, name, email, traits FROM profiles.leads WHERE tenant_id = :t AND email = 'bob@byte.test'"


def test_nothing_names_the_person_and_the_others_are_what_they_were(house) -> None:
    sent = stories(house)
    lead_id = house.lead_of(*ANN)
    assert lead_id == house.lead_of(*ANN_USER) == house.lead_of(*ANN_DEVICE)
    before = house.rows(FACTS), house.rows(BOB)
    assert len(before[0]) == 3
    assert house.names(ANN, ANN_USER, ANN_DEVICE)
    done = house.erase(lead_id)
    assert (done.state, done.found) == ("done", [])
    assert done.lead_ids == [lead_id]
    assert done.identifiers == 3
    assert done.identifiers_hash
    assert done.counts["profiles.events"] == 3
    assert done.counts["profiles.identities"] == 3
    assert done.counts["intake.messages"] == 3
    assert done.scanned["intake.messages"] == 3
    assert house.names(ANN, ANN_USER, ANN_DEVICE) == []
    assert (house.rows(FACTS), house.rows(BOB)) == before
    left = house.body(sent[0])
    assert left is not None
    assert b'{"type": "track", "event": "Page Viewed", "timestamp": "2026-03-01T11:00:00Z", "userId": "bob"' in left
    assert [each.get("userId") for each in json.loads(left)["batch"]] == ["bob"] * 3
    assert house.body(sent[1]) is None
    letters = house.rows("SELECT excerpt FROM intake.dead_letters WHERE tenant_id = :t")
    assert [json.loads(row.excerpt)["userId"] for row in letters] == ["bob"]


def test_an_event_that_lost_its_id_to_the_person_is_taken_in_when_it_is_read_again(house) -> None:
    ids = {"ann": "ann-4711", "bob": "bob-4712"}
    contested = [track("Page Viewed", userId=each, messageId="m1") for each in ids.values()]
    own = [track("Demo Requested", userId=each) for each in ids.values()]
    sent = house.send({"batch": [*contested, *own]})
    house.work()
    counted = "SELECT lead_id, count(*) FROM profiles.events WHERE tenant_id = :t GROUP BY lead_id ORDER BY lead_id"
    leads = {name: house.lead_of("user_id", id_) for name, id_ in ids.items()}
    assert house.rows(counted) == [(leads["ann"], 2), (leads["bob"], 1)]
    house.erase(leads["ann"])
    assert house.rows(counted) == [(leads["bob"], 1)]
    replay(house.tenant_id, [sent])
    house.work()
    assert house.rows(counted) == [(leads["bob"], 2)]


@pytest.mark.parametrize("first", ["ann", "bob"])
def test_a_merge_that_was_undone_leaves_nothing_with_the_other(house, first) -> None:
    ids = {"ann": "ann-4711", "bob": "bob-4712"}
    for name in dict.fromkeys((first, *ids)):
        house.send({"batch": [identify(ids[name], traits={f"of_{name}": name, "title": name})]})
        house.work()
    leads = {name: house.lead_of("user_id", id_) for name, id_ in ids.items()}
    deciding.join(house.tenant_id, leads["bob"], leads["ann"], by="Ada")
    house.work()
    house.send({"batch": [identify(ids["ann"], traits={"later_of_ann": "ann"})]})
    house.work()
    merge = house.rows("SELECT id FROM profiles.merges WHERE tenant_id = :t")[0]
    deciding.undo(house.tenant_id, merge.id, by="Ada")
    house.work()
    assert house.erase(house.lead_of("user_id", ids["ann"])).state == "done"
    past = house.rows("SELECT traits FROM profiles.past_leads WHERE tenant_id = :t")
    assert "ann" not in str(past)
    now = house.rows("SELECT traits FROM profiles.leads WHERE tenant_id = :t")
    assert [row.traits for row in now] == [{"of_bob": "bob", "title": "bob"}]


def test_reading_every_message_again_changes_nothing(house) -> None:
    sent = stories(house)
    house.erase(house.lead_of(*ANN))
    before = house.rows(FACTS), house.rows(BOB)
    replay(house.tenant_id, sent)
    house.work()
    assert (house.rows(FACTS), house.rows(BOB)) == before
    assert house.names(ANN, ANN_USER, ANN_DEVICE) == []


LATER = {
    "an address in another case": identify("new-user-99", traits={"email": "ANN.lee@acme.test"}),
    "a user id": track("Page Viewed", userId=ANN_USER[1]),
    "a device": track("Page Viewed", anonymousId=ANN_DEVICE[1]),
    "an alias": {"type": "alias", "userId": "new-user-99", "previousId": ANN_USER[1]},
    "what can't be read": {"type": "nonsense", "userId": ANN_USER[1], "note": ANN[1]},
}


@pytest.mark.parametrize("item", LATER.values(), ids=LATER.keys())
def test_what_comes_later_is_turned_away_and_not_kept(house, item) -> None:
    stories(house)
    done = house.erase(house.lead_of(*ANN))
    alone = house.send({"batch": [item]})
    shared = house.send({"batch": [item, track("Page Viewed", userId="bob")]})
    house.work()
    assert house.names(ANN, ANN_USER, ANN_DEVICE) == []
    assert house.lead_of("user_id", "new-user-99") is None
    assert house.body(alone) is None
    assert [each["userId"] for each in json.loads(house.body(shared) or b"")["batch"]] == ["bob"]
    assert len(house.rows(FACTS)) == 4
    if item is not LATER["what can't be read"]:
        assert service.get_erasure(house.tenant_id, done.id).turned_away == 2


def test_somebody_else_on_the_persons_device_stays_without_it(house) -> None:
    stories(house)
    house.erase(house.lead_of(*ANN))
    sent = house.send(track("Page Viewed", userId="bob", anonymousId=ANN_DEVICE[1]), call="track")
    house.work()
    assert len(house.rows(FACTS)) == 4
    assert house.names(ANN_DEVICE) == []
    assert json.loads(house.body(sent) or b"")["userId"] == "bob"


def test_a_person_who_comes_back_is_a_new_lead_once_the_erasure_is_lifted(house) -> None:
    stories(house)
    done = house.erase(house.lead_of(*ANN))
    assert service.lift(house.tenant_id, done.id, by="Ada").lifted_by == "Ada"
    house.send(identify(ANN_USER[1], traits={"email": ANN[1]}), call="identify")
    house.work()
    assert house.lead_of(*ANN) not in (None, *done.lead_ids)
    entries = house.rows("SELECT action, after FROM tenancy.audit_log WHERE tenant_id = :t ORDER BY id")
    assert [row.action for row in entries][-3:] == [
        "person.erasure_requested",
        "person.erased",
        "person.erasure_lifted",
    ]
    assert "ann" not in str([row.after for row in entries]).lower()


def test_a_merged_person_is_erased_as_a_whole(house) -> None:
    house.send(identify("ann-first-1"), call="identify")
    house.send(identify("ann-second-2"), call="identify")
    house.work()
    leads = {house.lead_of("user_id", each) for each in ("ann-first-1", "ann-second-2")}
    house.send({"type": "alias", "userId": "ann-first-1", "previousId": "ann-second-2"}, call="alias")
    house.work()
    done = house.erase(house.lead_of("user_id", "ann-second-2"))
    assert done.state == "done"
    assert set(done.lead_ids) == leads
    assert house.names(("user_id", "ann-first-1"), ("user_id", "ann-second-2")) == []
    for table in ("leads", "merges", "past_leads", "past_memberships", "links"):
        assert house.rows(f"SELECT 1 FROM profiles.{table} WHERE tenant_id = :t") == []


def test_what_somebody_else_says_of_the_person_is_told(house) -> None:
    stories(house)
    house.send(identify("bob", traits={"assistant": ANN[1]}), call="identify")
    house.work()
    done = house.erase(house.lead_of(*ANN_USER))
    assert done.state == "incomplete"
    assert {(each["table"], each["column"]) for each in done.found} >= {
        ("profiles.identities", "traits"),
        ("profiles.leads", "traits"),
        ("intake.messages", "body"),
    }


def test_that_the_person_works_here_too_is_told_and_does_not_count(house) -> None:
    stories(house)
    invitations.invite(house.tenant_id, email=ANN[1], role="viewer", by="Ada", may=PERMISSIONS)
    done = house.erase(house.lead_of(*ANN_USER))
    assert done.state == "done"
    assert {each["table"] for each in done.found} <= {"tenancy.invitations", "tenancy.audit_log"}
    assert all("works here too" in each["why"] for each in done.found)
    assert done.found


def test_a_table_that_nobody_thought_of_is_looked_through(house, servers) -> None:
    from sqlalchemy import create_engine, text

    owner = create_engine(servers.owner_url.replace("postgresql://", "postgresql+psycopg://", 1))
    stories(house)
    with owner.begin() as connection:
        connection.execute(
            text(
                "CREATE TABLE profiles.added_later"
                " (tenant_id bigint, id bigint, note jsonb, PRIMARY KEY (tenant_id, id));"
                " GRANT SELECT ON profiles.added_later TO assay_app;"
                f' INSERT INTO profiles.added_later VALUES ({house.tenant_id}, 7, \'{{"of": "{ANN[1]}"}}\')'
            )
        )
    try:
        done = house.erase(house.lead_of(*ANN))
    finally:
        with owner.begin() as connection:
            connection.execute(text("DROP TABLE profiles.added_later"))
        owner.dispose()
    assert done.state == "incomplete"
    (found,) = done.found
    assert (found["table"], found["column"], found["ids"]) == ("profiles.added_later", "note", ["7"])
    again = service.look_again(house.tenant_id, done.id)
    assert again.state == "waiting"
    house.work()
    assert service.get_erasure(house.tenant_id, done.id).state == "done"


def test_it_must_be_confirmed_and_be_of_somebody(house, neighbour) -> None:
    stories(house)
    lead_id = house.lead_of(*ANN)
    with pytest.raises(service.NotConfirmed):
        service.request(house.tenant_id, by="Ada", lead_id=lead_id, confirmed=False)
    with pytest.raises(NotFound):
        service.request(neighbour.tenant_id, by="Ada", lead_id=lead_id, confirmed=True)
    done = house.erase(keys=[ANN])
    assert done.state == "done"
    with pytest.raises(service.ErasedAlready):
        service.request(house.tenant_id, by="Ada", keys=[ANN], confirmed=True)


@pytest.mark.parametrize("user_id", ["annlee", "google/ann-4711", "jürgen-4711"])
def test_refused_items_go_though_their_message_is_past(house, user_id) -> None:
    item = {"type": "nonsense", "userId": user_id}
    body = json.dumps({"batch": [track("Page Viewed", userId=user_id), item, {**item, "userId": "bob"}]})
    first, second = (house.send(each.encode()) for each in (body, body.replace("/", "\\/")))
    house.work()
    house.rows("DELETE FROM intake.messages WHERE tenant_id = :t AND id = :id RETURNING id", id=first)
    assert house.erase(house.lead_of("user_id", user_id)).state == "done"
    letters = house.rows("SELECT excerpt FROM intake.dead_letters WHERE tenant_id = :t")
    assert [json.loads(row.excerpt)["userId"] for row in letters] == ["bob", "bob"]
    assert [each["userId"] for each in json.loads(house.body(second) or b"")["batch"]] == ["bob"]
