"""Only what changed is sent, only the latest, and each contact has its lead's score in the end."""

from datetime import timedelta

from assay.delivery import service
from assay.normalise.translating import in_our_terms
from assay.scoring import service as models
from assay_sdk import Alias, Deletion, Identify, Restoration


def test_a_contact_is_told_its_score(house) -> None:
    house.know("c1", email="ann@acme.example.test")
    house.act("c1")
    house.work()
    told = house.vendor.contacts["c1"]
    assert (told["score"], told["stage"], told["model"]) == (30, "Prospect", "sample")
    assert len(told["reasons"]) == 2
    assert "20 points" in told["reasons"][0]
    assert told["url"].endswith(f"/leads/{house.lead('c1')}")
    assert house.push("c1").state == "sent"
    assert house.target().due_at is None


def test_many_changes_before_it_is_sent_are_one_write(house) -> None:
    house.know("c1")
    for _ in range(5):
        house.act("c1")
        house.score()
    house.deliver()
    assert (house.told("c1"), house.vendor.writes["c1"]) == (70, 1)


def test_what_changes_nothing_sends_nothing(house) -> None:
    house.know("c1")
    house.work()
    house.act("c1", "page.viewed", path="/elsewhere")
    house.work()
    service.establish(house.tenant_id, house.connection_id, "crm")
    house.deliver()
    assert house.vendor.writes == {"c1": 1}


def test_a_change_while_it_is_sent_is_sent_next(house) -> None:
    house.know("c1")
    house.score()

    def meanwhile() -> None:
        house.vendor.meanwhile = lambda: None
        house.act("c1")
        house.score()

    house.vendor.meanwhile = meanwhile
    house.deliver()
    assert (house.told("c1"), house.vendor.writes["c1"]) == (30, 2)
    assert house.push("c1").state == "sent"


def test_whoever_is_no_contact_costs_no_row(house) -> None:
    house.learn(Identify(house.contact("c1").__class__(user_id="u1"), {"title": "CFO"}, house.at))
    house.work()
    assert house.rows("SELECT FROM delivery.pushes WHERE tenant_id = :t") == []


def test_a_contact_that_is_linked_later_is_told(house) -> None:
    ids = house.contact("c1").__class__
    house.learn(Identify(ids(user_id="u1"), {"title": "CFO"}, house.at))
    house.work()
    house.learn(Identify(house.contact("c1", user_id="u1"), {}, house.at))
    house.work()
    assert house.told("c1") == 20


def test_a_second_contact_of_a_lead_is_told_too(house) -> None:
    house.know("c1", user_id="u1")
    house.work()
    house.learn(Identify(house.contact("c2", user_id="u1"), {}, house.at))
    house.work()
    assert house.vendor.writes == {"c1": 1, "c2": 1}
    assert house.told("c2") == 20


def test_merged_leads_tell_both_contacts_the_same(house) -> None:
    house.know("c1", user_id="u1")
    house.know("c2", title="Nobody", user_id="u2")
    house.act("c2")
    house.work()
    assert (house.told("c1"), house.told("c2")) == (20, 10)
    ids = house.contact("c1").__class__
    house.learn(Alias(ids(user_id="u1"), ids(user_id="u2"), house.at))
    house.work()
    assert (house.told("c1"), house.told("c2")) == (10, 10) or (house.told("c1"), house.told("c2")) == (30, 30)
    assert len(house.rows("SELECT FROM delivery.pushes WHERE tenant_id = :t")) == 1


def test_a_contact_deleted_at_the_vendor_is_let_be_until_it_is_back(house) -> None:
    house.know("c1")
    house.work()
    house.learn(in_our_terms(Deletion(house.contact("c1"), "crm", house.at + timedelta(hours=1))))
    house.act("c1")
    house.work()
    assert (house.told("c1"), house.push("c1").state) == (20, "gone")
    house.learn(in_our_terms(Restoration(house.contact("c1"), "crm", house.at + timedelta(hours=2))))
    house.work()
    assert (house.told("c1"), house.push("c1").state) == (30, "sent")


def test_a_contact_that_is_not_found_is_gone_until_the_vendor_tells_of_it(house) -> None:
    house.know("c1")
    house.vendor.gone.add("c1")
    house.work()
    house.act("c1", "page.viewed", path="/elsewhere")
    assert house.push("c1").state == "waiting"
    house.vendor.gone.clear()
    house.work()
    assert (house.told("c1"), house.push("c1").state) == (20, "sent")


def test_a_contact_that_moved_is_written_to_where_it_is(house) -> None:
    house.know("c1")
    house.vendor.moved["c1"] = "c9"
    house.work()
    house.vendor.moved.clear()
    house.act("c1")
    house.work()
    assert house.told("c9") == 30
    assert "c1" not in house.vendor.contacts


def test_a_contact_that_moved_to_somebody_elses_is_theirs(house) -> None:
    house.know("c1")
    house.know("c2", title="Nobody")
    house.act("c2")
    house.vendor.moved["c1"] = "c2"
    house.work()
    house.act("c1")
    house.act("c2")
    house.work()
    assert house.told("c2") == 20


class TestModels:
    def test_one_may_be_chosen(self, house, publish) -> None:
        publish(house.tenant_id, "second", owner=50)
        (row,) = house.rows("SELECT id FROM scoring.models WHERE tenant_id = :t AND name = 'second'")
        house.know("c1")
        house.work()
        assert house.told("c1") == 20
        service.change(house.tenant_id, house.connection_id, enabled=True, model_id=row.id)
        house.deliver()
        assert (house.told("c1"), house.vendor.contacts["c1"]["model"]) == (50, "second")

    def test_without_any_the_score_is_cleared_once(self, house) -> None:
        house.know("c1")
        house.work()
        models.archive(house.tenant_id, "sample", by="Ada")
        from assay.scoring import rescore_jobs

        while rescore_jobs.drain_rescores(house.tenant_id):
            pass
        house.deliver()
        told = house.vendor.contacts["c1"]
        assert (told["score"], told["stage"], told["grade"]) == (0, None, None)
        house.act("c1")
        house.work()
        assert house.vendor.writes["c1"] == 2

    def test_nobody_without_a_score_is_written_to(self, make_tenant, house, publish) -> None:
        house.know("c1")
        house.deliver()
        assert house.vendor.writes == {}


class TestSwitches:
    def test_switched_off_nothing_is_sent_and_switched_on_the_latest_is(self, house) -> None:
        house.know("c1")
        house.work()
        service.change(house.tenant_id, house.connection_id, enabled=False, model_id=None)
        house.act("c1")
        house.work()
        assert house.told("c1") == 20
        service.change(house.tenant_id, house.connection_id, enabled=True, model_id=None)
        house.work()
        assert (house.told("c1"), house.vendor.writes["c1"]) == (30, 2)

    def test_all_may_be_sent_once_more(self, house) -> None:
        house.know("c1")
        house.know("c2")
        house.work()
        house.vendor.contacts.clear()
        assert service.send_all(house.tenant_id, house.connection_id) == 2
        house.deliver()
        assert (house.told("c1"), house.told("c2")) == (20, 20)

    def test_a_paused_connection_sends_nothing(self, house) -> None:
        house.rows("UPDATE intake.links SET paused_at = now() WHERE tenant_id = :t RETURNING 1")
        house.know("c1")
        house.work()
        assert house.vendor.writes == {}
        house.rows("UPDATE intake.links SET paused_at = NULL WHERE tenant_id = :t RETURNING 1")
        house.wait()
        house.deliver()
        assert house.told("c1") == 20

    def test_ended_nothing_is_left(self, house) -> None:
        house.know("c1")
        house.score()
        service.end(house.tenant_id, house.connection_id)
        house.deliver()
        assert house.rows("SELECT FROM delivery.pushes WHERE tenant_id = :t") == []

    def test_connected_later_what_was_known_before_is_told(self, make_house) -> None:
        house = make_house(is_connected=False)
        house.know("c1")
        house.work()
        house.connect()
        house.deliver()
        assert house.told("c1") == 20


def test_others_know_people_by_our_own_ids(make_house) -> None:
    house = make_house(plugin="cdp")
    house.know("c1", user_id="u1", email="ann@acme.example.test")
    house.know("c2", email="bob@acme.example.test")
    house.work()
    assert {id_: each["score"] for id_, each in house.vendor.contacts.items()} == {
        "u1": 20,
        "bob@acme.example.test": 20,
    }


def test_a_neighbour_is_told_nothing(house, make_house) -> None:
    other = make_house()
    house.know("c1")
    house.score()
    other.deliver()
    assert house.vendor.writes == {}
    assert other.rows("SELECT FROM delivery.pushes WHERE tenant_id = :t") == []
    house.deliver()
    assert house.told("c1") == 20
