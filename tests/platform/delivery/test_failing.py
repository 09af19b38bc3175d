"""Whatever fails, nothing is lost, nothing old arrives late, and people see what is wrong."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from time import monotonic, sleep

import pytest

from assay.delivery import jobs, queries, service, settling
from assay.syncing import jobs as syncing
from assay.syncing.slots import Pool
from assay_sdk import Receipt
from assay_sdk.testing.simulator import BROKEN, RESET
from assay_tenants import connections
from assay_tenants.errors import BadInput, NotFound


class TestVendor:
    @pytest.mark.parametrize("kind", [pytest.param(429, id="too often"), 500, 503, pytest.param(RESET, id="cut off")])
    def test_a_vendor_that_is_away_is_tried_again_by_itself(self, house, kind) -> None:
        house.know("c1")
        house.score()
        house.vendor.faults.next(kind, times=-1)
        house.deliver()
        assert house.push("c1").state == "waiting"
        assert house.push("c1").attempts == 0
        assert house.target().error
        assert house.target().due_at is not None
        assert house.deliver() == 0
        house.vendor.faults.clear()
        house.wait()
        house.deliver()
        assert (house.told("c1"), house.target().error, house.target().due_at) == (20, "", None)

    def test_one_that_is_away_for_long_is_left_alone_and_gets_the_latest_afterwards(self, house) -> None:
        house.know("c1")
        house.work()
        house.vendor.faults.next(503, times=-1)
        for _ in range(7):
            house.act("c1")
            house.score()
            house.wait()
            house.deliver()
        house.vendor.faults.clear()
        house.wait()
        house.deliver()
        assert (house.told("c1"), house.vendor.writes["c1"]) == (90, 2)

    def test_news_do_not_shorten_a_pause(self, house) -> None:
        house.know("c1")
        house.score()
        house.vendor.faults.next(503, times=-1)
        house.deliver()
        due_at = house.target().due_at
        house.act("c1")
        house.score()
        assert house.target().due_at == due_at

    def test_an_answer_that_is_no_answer_is_no_success(self, house) -> None:
        house.know("c1")
        house.vendor.has_fields = True
        house.score()
        house.vendor.faults.next(BROKEN, times=-1, path="/scores")
        house.deliver()
        assert house.push("c1").state == "waiting"
        assert house.push("c1").error or house.target().error
        house.vendor.faults.clear()
        house.wait()
        house.deliver()
        assert house.told("c1") == 20


class TestRefusals:
    def test_one_wrong_update_costs_its_neighbours_nothing(self, house) -> None:
        for number in range(12):
            house.know(f"c{number}")
        house.vendor.poison.add("c7")
        house.work()
        assert sorted(house.vendor.contacts) == sorted(f"c{number}" for number in range(12) if number != 7)
        assert house.push("c7").state == "waiting"
        assert "one of these is wrong" in house.push("c7").error
        assert house.target().error == ""

    def test_who_is_refused_again_and_again_is_given_up_and_may_be_tried_again(self, house) -> None:
        house.know("c1")
        house.know("c2")
        house.vendor.poison.add("c1")
        house.work()
        for _ in range(settling.MOST_ATTEMPTS):
            house.wait()
            house.deliver()
        assert house.push("c1").state == "dead"
        (dead,) = queries.list_dead(house.tenant_id, house.connection_id)
        assert (dead.lead_id, dead.vendor_id, dead.attempts) == (house.lead("c1"), "c1", settling.MOST_ATTEMPTS)
        assert queries.standing(house.tenant_id, house.connection_id).dead == 1
        house.vendor.poison.clear()
        assert service.replay_dead(house.tenant_id, house.connection_id, lead_id=dead.lead_id) == 1
        house.deliver()
        assert house.told("c1") == 20
        assert queries.list_dead(house.tenant_id, house.connection_id) == []

    def test_who_was_given_up_may_be_dismissed_until_the_score_changes(self, house) -> None:
        house.know("c1")
        house.vendor.poison.add("c1")
        house.work()
        for _ in range(settling.MOST_ATTEMPTS):
            house.wait()
            house.deliver()
        assert service.dismiss_dead(house.tenant_id, house.connection_id) == 1
        house.vendor.poison.clear()
        house.act("c1", "page.viewed", path="/elsewhere")
        house.work()
        assert house.vendor.writes == {}
        house.act("c1")
        house.work()
        assert house.told("c1") == 30

    def test_refused_one_and_all_nobody_is_blamed(self, house) -> None:
        for number in range(4):
            house.know(f"c{number}")
        house.score()
        house.vendor.faults.next(403, times=-1, path="/scores")
        for _ in range(settling.MOST_ATTEMPTS + 1):
            house.wait()
            house.deliver()
        assert {row.state for row in house.rows("SELECT state FROM delivery.pushes WHERE tenant_id = :t")} == {
            "waiting"
        }
        assert "403" in house.target().error
        house.vendor.faults.clear()
        house.wait()
        house.deliver()
        assert house.told("c3") == 20

    def test_refused_for_who_we_are_not_even_one_alone_is_blamed(self, house) -> None:
        house.know("c1")
        house.score()
        house.vendor.faults.next(403, times=-1, path="/scores")
        house.deliver()
        assert (house.push("c1").attempts, house.push("c1").state) == (0, "waiting")
        assert "403" in house.target().error

    def test_fields_that_somebody_deleted_are_made_again(self, house) -> None:
        house.know("c1")
        house.work()
        house.vendor.has_fields = False
        house.rows(
            "UPDATE delivery.targets SET prepared_at = now() - interval '1 hour' WHERE tenant_id = :t RETURNING 1"
        )
        house.act("c1")
        house.work()
        assert (house.told("c1"), house.vendor.has_fields) == (30, True)


class TestPlugins:
    @pytest.mark.parametrize(
        ("gives", "says"),
        [
            pytest.param(lambda updates: 1 / 0, "ZeroDivisionError", id="fails"),
            pytest.param(lambda updates: [], "did not say", id="no receipts"),
            pytest.param(lambda updates: None, "TypeError", id="nothing"),
            pytest.param(lambda updates: ["yes"], "no receipt", id="no receipt"),
            pytest.param(lambda updates: [Receipt(each.key, error="No.") for each in updates], "No.", id="errors"),
        ],
    )
    def test_whatever_a_plugin_does_is_named(self, house, monkeypatch, gives, says) -> None:
        house.know("c1")
        house.score()
        destination = jobs.links.service_of("crm").destination
        monkeypatch.setattr(type(destination), "push", lambda self, link, updates: gives(updates))
        house.deliver()
        assert (house.push("c1").state, house.push("c1").attempts) == ("waiting", 1)
        assert says in house.push("c1").error

    def test_a_plugin_that_can_not_prepare_is_named(self, house, monkeypatch) -> None:
        house.know("c1")
        house.score()
        destination = jobs.links.service_of("crm").destination
        monkeypatch.setattr(type(destination), "prepare", lambda self, link: 1 / 0)
        house.deliver()
        assert "The plugin crm failed: ZeroDivisionError" in house.target().error


class TestReconnecting:
    def test_it_waits_for_a_person_and_goes_on_by_itself(self, house) -> None:
        house.know("c1")
        house.score()
        (grant,) = house.vendor.grants
        grant.revoked = True
        house.deliver()
        assert connections.get_connection(house.tenant_id, house.connection_id).state == "needs_reconnect"
        assert house.target().error
        assert house.push("c1").state == "waiting"
        grant.revoked = False
        house.rows("UPDATE tenancy.connections SET state = 'connected', error = '' WHERE tenant_id = :t RETURNING 1")
        service.establish(house.tenant_id, house.connection_id, "crm")
        house.deliver()
        assert house.told("c1") == 20


class TestWorkers:
    def test_two_at_once_write_each_contact_once(self, house) -> None:
        for number in range(40):
            house.know(f"c{number}")
        house.score()
        both = Barrier(2)

        def work() -> int:
            both.wait()
            return house.deliver()

        with ThreadPoolExecutor(2) as pool:
            for done in [pool.submit(work) for _ in range(2)]:
                done.result()
        house.deliver()
        assert set(house.vendor.writes.values()) == {1}
        assert len(house.vendor.writes) == 40

    def test_one_that_is_killed_between_push_and_commit_does_no_harm(self, house, monkeypatch) -> None:
        house.know("c1")
        house.score()

        def killed(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
            patched.setattr(settling, "write", killed)
            house.deliver()
        version = house.vendor.contacts["c1"]["version"]
        assert jobs.drain_targets(house.tenant_id) == 0
        house.wait()
        house.deliver()
        assert house.vendor.contacts["c1"]["version"] == version
        assert (house.push("c1").state, house.vendor.writes["c1"]) == ("sent", 2)

    def test_one_whose_lease_is_over_settles_nothing(self, house) -> None:
        house.know("c1")
        house.score()
        house.vendor.meanwhile = house.wait
        jobs.drain_targets(house.tenant_id)
        assert house.push("c1").state == "waiting"

    def test_a_lead_that_was_done_is_due_for_whoever_commits_late(self, house) -> None:
        """News that are written but not committed while a worker finds nothing left."""
        house.know("c1")
        house.score()

        def meanwhile() -> None:
            house.vendor.meanwhile = lambda: None
            house.know("c2")
            house.score()

        house.vendor.meanwhile = meanwhile
        house.deliver()
        assert house.told("c2") == 20


class TestStanding:
    def test_it_tells_how_it_stands(self, house) -> None:
        house.know("c1")
        house.work()
        house.know("c2")
        house.score()
        told = queries.standing(house.tenant_id, house.connection_id)
        assert (told.enabled, told.model, told.waiting, told.known, told.sent) == (True, None, 1, 2, 1)
        assert [each.name for each in told.fields] == ["assay_score"]

    def test_what_people_do_is_written_down(self, house) -> None:
        service.change(house.tenant_id, house.connection_id, enabled=False, model_id=None)
        service.send_all(house.tenant_id, house.connection_id)
        actions = [row.action for row in house.rows("SELECT action FROM tenancy.audit_log WHERE tenant_id = :t")]
        assert {"delivery.changed", "delivery.repeated"} <= set(actions)

    def test_a_model_that_there_is_not_is_refused(self, house) -> None:
        with pytest.raises(BadInput):
            service.change(house.tenant_id, house.connection_id, enabled=True, model_id=10**12)

    @pytest.mark.parametrize(
        "ask",
        [
            queries.standing,
            queries.list_dead,
            service.send_all,
            service.replay_dead,
            service.dismiss_dead,
            lambda tenant_id, id_: service.change(tenant_id, id_, enabled=True, model_id=None),
        ],
    )
    def test_a_neighbour_finds_nothing(self, house, neighbour, ask) -> None:
        with pytest.raises(NotFound):
            ask(neighbour.tenant_id, house.connection_id)


def test_pauses_grow_to_a_limit() -> None:
    pauses = [settling.pause_after(attempt) for attempt in (1, 4, 60)]
    assert pauses[0] < pauses[1] < pauses[2] <= settling.LONGEST_PAUSE * 1.25


class TestThreads:
    @pytest.fixture
    def pool(self, monkeypatch):
        pool = Pool(lambda errand: None, slots=4)
        monkeypatch.setattr(syncing, "threads", lambda: pool)
        return pool

    def test_they_send_batch_after_batch(self, house, pool) -> None:
        for number in range(40):
            house.know(f"c{number}")
        house.score()
        assert house.deliver() == 1
        until = monotonic() + 20
        while house.target().due_at is not None and monotonic() < until:
            sleep(0.02)
        assert pool.stop()
        assert set(house.vendor.writes.values()) == {1}
        assert len(house.vendor.writes) == 40
        assert house.target().due_at is None

    def test_while_none_is_free_it_waits(self, house, pool) -> None:
        assert pool.take(house.tenant_id, "crm")
        house.know("c1")
        house.score()
        assert house.deliver() == 0
        pool.give_back(house.tenant_id, "crm")
        house.wait()
        assert house.deliver() == 1
        assert pool.stop()
        assert house.told("c1") == 20
