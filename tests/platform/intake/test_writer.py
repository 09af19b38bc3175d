from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Event
from time import monotonic, sleep

import psycopg
import pytest
from sqlalchemy import select

from assay import facts
from assay.embedded import Embedded
from assay.intake.errors import CannotKeep
from assay.intake.ids import message_id
from assay.intake.models import Message
from assay.intake.writer import Received, Writer
from assay_tenants.access.service import SignedUp
from assay_tenants.database import tenant_session


def received(tenant_id: int, *, call: str = "track", body: bytes = b"{}") -> Received:
    now = datetime.now(UTC)
    return Received(tenant_id, 1, message_id(now), now, call, body)


def bodies(tenant_id: int) -> list[bytes]:
    with tenant_session(tenant_id) as session:
        return list(session.scalars(select(Message.body).where(Message.tenant_id == tenant_id)))


@pytest.fixture
def told() -> Iterator[list[facts.Fact]]:
    heard: list[facts.Fact] = []
    facts.listen(heard.append)
    yield heard
    facts.stop_listening(heard.append)


class TestKeep:
    def test_many_at_once_each_in_its_own_tenant(self, make_tenant: Callable[[], SignedUp]) -> None:
        writer, tenants = Writer(), [make_tenant().tenant_id for _ in range(3)]
        orders = [(tenant, b"%d of %d" % (number, tenant)) for number in range(60) for tenant in tenants]
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(lambda order: writer.keep(received(order[0], body=order[1])), orders))
        for tenant in tenants:
            assert sorted(bodies(tenant)) == sorted(body for owner, body in orders if owner == tenant)

    def test_bad_row_does_not_fail_its_neighbours(self, tenant: SignedUp, neighbour: SignedUp) -> None:
        writer = Writer()

        def keep(number: int) -> str:
            # PostgreSQL's text holds no U+0000.
            call = "\0" if number % 5 == 0 else "track"
            try:
                writer.keep(received([tenant, neighbour][number % 2].tenant_id, call=call, body=b"%d" % number))
            except CannotKeep:
                return "refused"
            return "kept"

        with ThreadPoolExecutor(10) as pool:
            outcomes = list(pool.map(keep, range(40)))
        assert outcomes == ["refused" if number % 5 == 0 else "kept" for number in range(40)]
        assert len(bodies(tenant.tenant_id)) + len(bodies(neighbour.tenant_id)) == 32

    def test_lost_connection_is_opened_again(self, tenant: SignedUp, servers: Embedded) -> None:
        writer = Writer()
        writer.keep(received(tenant.tenant_id))
        superuser = servers.places.postgres_url("postgres")
        with psycopg.connect(superuser, autocommit=True) as connection:
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'assay_app'")
        writer.keep(received(tenant.tenant_id))
        assert len(bodies(tenant.tenant_id)) == 2

    def test_stuck_database_keeps_nobody_waiting(self, tenant: SignedUp, servers: Embedded) -> None:
        writer = Writer(patience=timedelta(seconds=0.5))
        writer.keep(received(tenant.tenant_id))
        with psycopg.connect(servers.owner_url) as owner:
            owner.execute("LOCK TABLE intake.waiting IN ACCESS EXCLUSIVE MODE")
            started = monotonic()
            with pytest.raises(CannotKeep):
                writer.keep(received(tenant.tenant_id))
            assert monotonic() - started < 2
        writer.keep(received(tenant.tenant_id))

    def test_dead_writer_is_replaced(self, tenant: SignedUp, monkeypatch: pytest.MonkeyPatch) -> None:
        writer = Writer(patience=timedelta(seconds=0.5))
        with monkeypatch.context() as patched:
            patched.setattr(Writer, "_next_group", lambda self: 1 / 0)
            patched.setattr("threading.excepthook", lambda _: None)
            started = monotonic()
            with pytest.raises(CannotKeep):
                writer.keep(received(tenant.tenant_id, body=b"given up"))
            assert monotonic() - started < 2
        writer.keep(received(tenant.tenant_id, body=b"kept"))
        # Nobody waits for the first any more, so it is not written behind its sender's back.
        assert bodies(tenant.tenant_id) == [b"kept"]

    def test_unexpected_failure_reaches_the_request(self, tenant: SignedUp, monkeypatch: pytest.MonkeyPatch) -> None:
        writer = Writer()
        with monkeypatch.context() as patched:
            patched.setattr(Writer, "_keep_group", lambda self, group: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                writer.keep(received(tenant.tenant_id))
        writer.keep(received(tenant.tenant_id))


class TestTell:
    def test_told_after_the_commit_once_per_tenant_of_a_group(
        self, tenant: SignedUp, neighbour: SignedUp, told: list[facts.Fact]
    ) -> None:
        writer = Writer()
        for _ in range(3):
            writer.keep(received(tenant.tenant_id))
        writer.keep(received(neighbour.tenant_id))
        deadline = monotonic() + 2
        while facts.MessagesKept(neighbour.tenant_id) not in told and monotonic() < deadline:
            sleep(0.01)
        assert set(told) == {facts.MessagesKept(tenant.tenant_id), facts.MessagesKept(neighbour.tenant_id)}
        assert len(told) <= 4

    def test_slow_listener_delays_no_request(self, tenant: SignedUp) -> None:
        writer, going_on = Writer(), Event()

        def slow(_: facts.Fact) -> None:
            going_on.wait(5)

        facts.listen(slow)
        try:
            started = monotonic()
            for _ in range(5):
                writer.keep(received(tenant.tenant_id))
            assert monotonic() - started < 2
        finally:
            facts.stop_listening(slow)
            going_on.set()
