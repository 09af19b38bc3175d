"""What happens while scores are being sent: nothing is told that is not so any more, and no call is without a lease."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from assay.delivery import jobs, service
from assay.privacy import jobs as privacy
from assay.privacy import service as erasures
from assay.syncing import breakers, circuits
from assay.syncing import jobs as syncing
from assay.syncing.slots import Pool
from assay_sdk import Link, Receipt, ScoreUpdate, TryLater
from assay_tenants.database import tenant_session
from tests.platform.delivery.conftest import House, Scores


@pytest.fixture
def one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A destination that makes a call for each contact."""
    push = Scores.push

    def each(self: Scores, link: Link, updates: Sequence[ScoreUpdate]) -> list[Receipt]:
        return [receipt for update in updates for receipt in push(self, link, [update])]

    monkeypatch.setattr(Scores, "push", each)


def after_the_first(house: House, happens: Any) -> None:
    """Once, while the first contact is written."""
    waiting = [happens]

    def meanwhile() -> None:
        if waiting:
            waiting.pop()()

    house.vendor.meanwhile = meanwhile


def do(house: House, statement: str) -> None:
    with tenant_session(house.tenant_id) as session:
        session.execute(text(statement), {"t": house.tenant_id})


@pytest.mark.usefixtures("one_by_one")
class TestPushes:
    @pytest.fixture
    def three(self, house: House) -> House:
        for number in (1, 2, 3):
            house.know(f"c{number}")
        house.score()
        return house

    def test_who_was_erased_is_not_written_afterwards(self, three: House) -> None:
        lead_id = three.lead("c3")

        def erase() -> None:
            erasures.request(three.tenant_id, by="Ada", lead_id=lead_id, confirmed=True)
            while privacy.drain_erasures(three.tenant_id):
                pass

        after_the_first(three, erase)
        three.deliver()
        three.wait()
        three.deliver()
        assert sorted(three.vendor.contacts) == ["c1", "c2"]

    def test_once_switched_off_nothing_more_is_written(self, three: House) -> None:
        after_the_first(
            three, lambda: service.change(three.tenant_id, three.connection_id, enabled=False, model_id=None)
        )
        three.deliver()
        assert len(three.vendor.contacts) == 1
        assert (three.target().due_at, three.target().leased_until, three.target().error) == (None, None, "")
        service.change(three.tenant_id, three.connection_id, enabled=True, model_id=None)
        three.deliver()
        assert sorted(three.vendor.contacts) == ["c1", "c2", "c3"]

    def test_who_lost_the_lease_writes_nothing_more(self, three: House) -> None:
        after_the_first(
            three,
            lambda: do(
                three, "UPDATE delivery.targets SET leased_until = now() + interval '1 hour' WHERE tenant_id = :t"
            ),
        )
        three.deliver()
        assert len(three.vendor.writes) == 1
        assert three.target().sent == 0

    def test_who_goes_on_asking_keeps_the_lease(self, three: House, monkeypatch: pytest.MonkeyPatch) -> None:
        until = []
        monkeypatch.setattr(jobs, "ENOUGH", jobs.LEASE * 2)
        three.vendor.meanwhile = lambda: until.append(three.target().leased_until)
        three.deliver()
        assert until == sorted(set(until))
        assert len(until) == 3
        assert three.target().sent == 3

    def test_what_changed_meanwhile_is_told_last(self, three: House) -> None:
        def change() -> None:
            three.act("c1")
            three.score()

        after_the_first(three, change)
        three.deliver()
        assert [three.told(each) for each in ("c1", "c2", "c3")] == [30, 20, 20]


def test_a_worker_that_ends_begins_no_further_batch(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(40):
        house.know(f"c{number}")
    house.score()
    pool = Pool(lambda _: None)
    monkeypatch.setattr(syncing, "_pool", pool)
    after_the_first(house, lambda: pool.stop(timedelta(0)))
    house.deliver()
    assert pool.stop()
    assert len(house.vendor.writes) == 25


def test_a_vendor_that_fails_for_everybody_is_asked_by_few(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    class Open(breakers.Breakers):
        def wait(self, key: str) -> timedelta:
            return timedelta(seconds=15)

    monkeypatch.setattr(breakers, "_current", Open(None))
    house.know("c1")
    house.work()
    assert house.vendor.writes == {}
    assert (house.push("c1").state, house.push("c1").attempts, house.target().error) == ("waiting", 0, "")
    monkeypatch.setattr(breakers, "_current", breakers.Breakers(None))
    house.wait()
    house.deliver()
    assert house.told("c1") == 20


def test_its_failures_count_for_all(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []

    class Counting(breakers.Breakers):
        def failed(self, key: str, tenant_id: int, connection_id: int) -> None:
            told.append("failed")

        def succeeded(self, key: str) -> None:
            told.append("succeeded")

    monkeypatch.setattr(breakers, "_current", Counting(None))
    house.know("c1")
    house.score()
    house.vendor.faults.next(503, times=-1)
    house.deliver()
    house.vendor.faults.clear()
    house.wait()
    house.deliver()
    assert told == ["failed", "succeeded"]


def test_who_has_nothing_to_tell_leaves_it_to_others_to_try(house: House) -> None:
    house.know("c1")
    house.work()
    whose = (house.tenant_id, house.connection_id)
    circuits.failed(*whose, TryLater("Too often.", after=timedelta(seconds=1), overloaded=True))
    do(house, "UPDATE delivery.pushes SET state = 'waiting', due_at = now() WHERE tenant_id = :t")
    house.wait()
    house.deliver()
    assert house.push("c1").state == "sent"
    assert not circuits.is_open(*whose)
