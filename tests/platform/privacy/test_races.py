"""What happens at the same time: messages that are read while a person is erased, and workers that are killed."""

import threading
import time
from typing import Any

import pytest
from sqlalchemy import text

from assay.privacy import jobs, service
from assay.profiles import knowing
from assay.profiles import service as profiles
from assay.profiles.jobs import drain_messages
from assay_tenants.database import tenant_session

ANN = ("email", "ann.lee@acme.test")
USER = ("user_id", "user-4711-ann")


def about(number: int) -> dict[str, Any]:
    return {
        "batch": [
            {"type": "identify", "userId": USER[1], "traits": {"email": ANN[1], f"trait{number}": number}},
            {"type": "track", "event": "Page Viewed", "userId": USER[1], "messageId": f"ann-{number}"},
            {"type": "track", "event": "Page Viewed", "userId": "bob", "messageId": f"bob-{number}"},
        ]
    }


def test_messages_read_while_the_person_is_erased_do_not_bring_them_back(house) -> None:
    house.send(about(0))
    house.work()
    for number in range(1, 30):
        house.send(about(number))
    service.request(house.tenant_id, by="Ada", lead_id=house.lead_of(*ANN), confirmed=True)
    failures: list[BaseException] = []

    def until_done(work: Any) -> None:
        try:
            while work():
                pass
        except BaseException as error:  # noqa: BLE001 # told by the test
            failures.append(error)

    def read() -> int:
        with tenant_session(house.tenant_id) as session:
            left = session.execute(
                text("SELECT count(*) FROM intake.waiting WHERE tenant_id = :t"), {"t": house.tenant_id}
            )
            waiting = left.scalar_one()
        drain_messages(house.tenant_id)
        return int(waiting)

    threads = [
        threading.Thread(target=until_done, args=(work,))
        for work in (read, read, lambda: jobs.drain_erasures(house.tenant_id))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    house.work()
    (erasure,) = service.list_erasures(house.tenant_id)
    assert (erasure.state, erasure.found) == ("done", [])
    assert house.names(ANN, USER) == []
    assert len(house.rows("SELECT 1 FROM profiles.events WHERE tenant_id = :t")) == 30


def test_a_batch_that_was_read_before_the_erasure_and_applied_after_it(house, monkeypatch) -> None:
    """The reader has the records in its hands when the person goes."""
    house.send(about(0))
    house.work()
    house.send(about(1))
    read, erased = threading.Event(), threading.Event()
    learn = knowing.learn

    def late(session: Any, tenant_id: int) -> Any:
        if threading.current_thread().name == "reader" and not read.is_set():
            read.set()
            assert erased.wait(30)
        return learn(session, tenant_id)

    monkeypatch.setattr(knowing, "learn", late)
    reader = threading.Thread(target=drain_messages, args=(house.tenant_id,), name="reader")
    reader.start()
    assert read.wait(30)
    asked = service.request(house.tenant_id, by="Ada", lead_id=house.lead_of(*ANN), confirmed=True)
    # The message is held by its reader, so all but it is done: it is scrubbed when it is applied.
    for _ in range(3):
        jobs.drain_erasures(house.tenant_id)
    erased.set()
    reader.join(30)
    house.work()
    assert service.get_erasure(house.tenant_id, asked.id).state == "done"
    assert house.names(ANN, USER) == []
    assert len(house.rows("SELECT 1 FROM profiles.events WHERE tenant_id = :t")) == 2


@pytest.mark.parametrize("after", [1, 4, 8])
def test_a_worker_that_dies_in_the_middle_leaves_what_the_next_one_goes_on_with(house, monkeypatch, after) -> None:
    house.send(about(0))
    house.work()
    asked = service.request(house.tenant_id, by="Ada", lead_id=house.lead_of(*ANN), confirmed=True)
    for _ in range(after):
        jobs.drain_erasures(house.tenant_id)
    step = house.rows("SELECT step FROM profiles.erasures WHERE tenant_id = :t")[0].step

    def dies(erasing: Any) -> None:
        work(erasing)
        raise KeyboardInterrupt

    work = jobs.STEPS[step]
    monkeypatch.setitem(jobs.STEPS, step, dies)
    with pytest.raises(KeyboardInterrupt):
        jobs.drain_erasures(house.tenant_id)
    monkeypatch.setitem(jobs.STEPS, step, work)
    house.work()
    assert service.get_erasure(house.tenant_id, asked.id).state == "done"
    assert house.names(ANN, USER) == []


def test_a_batch_of_a_tenant_without_erasures_pays_one_question(house) -> None:
    house.send(about(0))
    began = time.monotonic()
    with tenant_session(house.tenant_id) as session:
        for _ in range(100):
            profiles.knowing.learn(session, house.tenant_id)
            assert not session.execute(
                text("SELECT EXISTS (SELECT FROM profiles.tombstones WHERE tenant_id = :t)"), {"t": house.tenant_id}
            ).scalar_one()
    assert time.monotonic() - began < 5
