"""Who works how long, and whose turn is next: nobody loses what they work at, and nobody waits for ever."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from time import monotonic, sleep
from typing import Any

import pytest

from assay import facts
from assay.syncing import breakers, circuits, fetching, jobs, leases, pulling, service
from assay.syncing.slots import Pool
from assay_sdk import Fetch, Page, TryLater
from assay_tenants.database import tenant_session
from assay_tenants.errors import AssayError
from tests.platform.syncing.conftest import Connected
from tests.vendors.quarry import QuarrySimulator, QuarrySource


def only(connection: Connected, *names: str) -> None:
    """Nothing of it is due but these streams."""
    connection.do("UPDATE intake.links SET due_at = NULL WHERE tenant_id = :t AND connection_id = :c")
    connection.do(
        "UPDATE intake.streams SET due_at = NULL WHERE tenant_id = :t AND connection_id = :c AND name <> ALL(:names)",
        names=list(names),
    )


def want(connection: Connected, *ids: int) -> None:
    source_id = connection.link().source_id
    with tenant_session(connection.tenant_id) as session:
        fetching.want(session, connection.tenant_id, [(source_id, Fetch("stone", str(each))) for each in ids])
    connection.do("UPDATE intake.wanted SET due_at = now() - interval '1 hour' WHERE tenant_id = :t")


class TestLeases:
    """A page may take many calls: whoever goes on asking keeps it."""

    @pytest.fixture
    def slow(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], None]:
        """Each page takes two calls, between which something happens."""
        pull = QuarrySource.pull
        monkeypatch.setattr(leases, "ENOUGH", leases.LEASE * 2)

        def make(between: Callable[[], None]) -> None:
            def slowly(self: Any, link: Any, stream: str, cursor: Any) -> Page:
                pull(self, link, stream, cursor)
                between()
                return pull(self, link, stream, cursor)

            monkeypatch.setattr(QuarrySource, "pull", slowly)

        return make

    def test_it_grows_with_each_call(self, connection: Connected, vendor: QuarrySimulator, slow: Any) -> None:
        vendor.stones = 10
        only(connection, "stones")
        until: list[datetime] = []
        slow(lambda: until.append(connection.stream().leased_until))
        pull = QuarrySource.pull

        def twice(self: Any, link: Any, stream: str, cursor: Any) -> Page:
            page = pull(self, link, stream, cursor)
            until.append(connection.stream().leased_until)
            return page

        QuarrySource.pull = twice  # type: ignore[method-assign] # the fixture puts it back
        jobs.drain_links(connection.tenant_id)
        assert until[0] < until[1]
        assert connection.ids() == list(range(1, 11))

    def test_who_lost_it_asks_no_more(self, connection: Connected, vendor: QuarrySimulator, slow: Any) -> None:
        vendor.stones = 10
        only(connection, "stones")
        slow(lambda: connection.do("UPDATE intake.streams SET leased_until = NULL WHERE tenant_id = :t"))
        before = len(vendor.calls)
        jobs.drain_links(connection.tenant_id)
        assert len(vendor.calls) == before + 1
        assert connection.messages("pull/stones") == 0

    def test_a_page_without_end_is_a_failure_that_is_shown(
        self, connection: Connected, vendor: QuarrySimulator, slow: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        vendor.stones = 10
        only(connection, "stones")
        slow(lambda: monkeypatch.setattr(leases, "LONGEST", timedelta(0)))
        jobs.drain_links(connection.tenant_id)
        assert "longer than 0 minutes" in connection.stream().error
        assert connection.messages("pull/stones") == 0

    def test_who_fetches_too_late_writes_nothing(self, connection: Connected, monkeypatch: pytest.MonkeyPatch) -> None:
        only(connection)
        fetch = QuarrySource.fetch

        def late(self: Any, link: Any, kind: str, ids: Any) -> Page:
            page = fetch(self, link, kind, ids)
            connection.do("UPDATE intake.wanted SET leased_until = now() + interval '1 minute' WHERE tenant_id = :t")
            return page

        monkeypatch.setattr(QuarrySource, "fetch", late)
        want(connection, 1)
        jobs.drain_links(connection.tenant_id)
        assert connection.messages("fetch/stone") == 0
        assert connection.value("SELECT count(*) FROM intake.wanted WHERE tenant_id = :t") == 1


class TestTurns:
    @pytest.fixture
    def pool(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pool]:
        """Of four slots; who found none is told, and works at once."""
        pool = Pool(jobs.run, slots=4, has_room=lambda tenant_id: facts.tell(facts.SyncDue(tenant_id)))
        monkeypatch.setattr(jobs, "_pool", pool)
        yield pool
        pool.stop()

    def test_what_waited_longest_comes_first(self, connection: Connected, vendor: QuarrySimulator) -> None:
        vendor.stones = 10
        only(connection, "stones")
        want(connection, 1, 2)
        connection.do(
            "UPDATE intake.streams SET due_at = now() - interval '2 hours' WHERE tenant_id = :t AND name='stones'"
        )
        jobs.drain_links(connection.tenant_id)
        assert (connection.messages("pull/stones"), connection.messages("fetch/stone")) == (1, 0)

    def test_many_connections_of_a_tenant_need_no_sweep(
        self, connect: Callable[..., Connected], vendor: QuarrySimulator, pool: Pool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        vendor.stones = 10
        connections = [connect()]
        connections += [connect(tenant_id=connections[0].tenant_id) for _ in range(5)]
        for each in connections:
            only(each, "stones")

        def told(fact: facts.Fact) -> None:
            if isinstance(fact, facts.SyncDue):
                jobs.drain_links(fact.tenant_id)

        monkeypatch.setattr(facts, "_listeners", [told])
        jobs.drain_links(connections[0].tenant_id)
        until = monotonic() + 20
        while not all(each.stream().records for each in connections) and monotonic() < until:
            sleep(0.01)
        assert [each.stream().records for each in connections] == [10] * 6

    def test_a_plugin_without_a_slot_hides_no_other(
        self,
        connect: Callable[..., Connected],
        connect_gravel: Any,
        vendor: QuarrySimulator,
        pool: Pool,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        one = connect()
        other, _ = connect_gravel(tenant_id=one.tenant_id)
        one.do(
            "UPDATE intake.streams SET due_at = now() - interval '1 hour' WHERE tenant_id = :t AND connection_id = :c"
        )
        monkeypatch.setattr(leases, "LOOK", 1)
        assert [pool.take(tenant, "quarry") for tenant in (8, 9)] == [True, True]
        (errand,) = leases.claim(one.tenant_id, pool)
        assert (errand.connection_id, errand.plugin) == (other.id, "gravel")
        pool.give_back(one.tenant_id, "gravel")
        for tenant in (8, 9):
            pool.give_back(tenant, "quarry")

    def test_a_tenant_that_found_no_slot_is_told_of_the_next(self) -> None:
        told: list[int] = []
        pool = Pool(lambda _: None, slots=8, has_room=told.append)
        assert [pool.take(1, "a"), pool.take(1, "b"), pool.take(1, "c")] == [True, True, False]
        pool.give_back(1, "a")
        pool.give_back(1, "b")
        assert told == [1]


class TestCircuits:
    def test_a_pause_is_only_lengthened(self, connection: Connected) -> None:
        long = TryLater("Too often.", after=timedelta(minutes=10), overloaded=True)
        short = TryLater("Too often.", after=timedelta(seconds=1), overloaded=True)
        until = circuits.failed(*connection.key, long)
        assert circuits.failed(*connection.key, short) == until
        assert connection.link().open_until == until

    def test_who_tries_and_is_asked_to_wait_waits_no_longer_than_that(self, connection: Connected) -> None:
        short = TryLater("Too often.", after=timedelta(seconds=1), overloaded=True)
        circuits.failed(*connection.key, short)
        connection.do("UPDATE intake.links SET open_until = now() WHERE tenant_id = :t")
        may, probe = circuits.may_ask(*connection.key)
        assert may
        until = circuits.failed(*connection.key, short, probe=probe)
        assert until < datetime.now(UTC) + timedelta(seconds=5)

    def test_who_was_to_try_and_did_not_leaves_it_to_the_next(
        self, connection: Connected, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(tenant_id: int) -> None:
            raise pulling.TooFarAhead

        only(connection, "stones")
        circuits.failed(*connection.key, TryLater("Too often.", after=timedelta(seconds=1), overloaded=True))
        connection.do("UPDATE intake.links SET open_until = now() WHERE tenant_id = :t")
        monkeypatch.setattr(pulling, "need_room", full)
        jobs.drain_links(connection.tenant_id)
        assert not circuits.is_open(*connection.key)

    def test_once_it_closes_only_what_waited_for_it_goes_on(self, connection: Connected) -> None:
        """Otherwise who is asked to wait asks for everything anew each time, and is asked to wait again."""
        only(connection, "stones", "deals")
        wait = TryLater("Too often.", after=timedelta(seconds=20), overloaded=True)
        until = circuits.failed(*connection.key, wait)
        for name, due_at in (("stones", until), ("deals", until + timedelta(minutes=4))):
            connection.do(
                "UPDATE intake.streams SET due_at = :at WHERE tenant_id = :t AND name = :name", at=due_at, name=name
            )
        circuits.succeeded(*connection.key)
        assert connection.stream("stones").due_at <= datetime.now(UTC)
        assert connection.stream("deals").due_at == until + timedelta(minutes=4)

    def test_resumed_it_sees_to_its_notices_at_once(self, connection: Connected) -> None:
        service.pause(*connection.key)
        connection.work()
        assert connection.link().due_at > datetime.now(UTC)
        service.resume(*connection.key)
        assert connection.link().due_at <= datetime.now(UTC)

    def test_notices_that_are_being_understood_keep_nobody_from_trying(self, connection: Connected) -> None:
        circuits.failed(*connection.key, TryLater("Too often.", after=timedelta(seconds=1), overloaded=True))
        connection.do("UPDATE intake.links SET open_until = now() WHERE tenant_id = :t")
        source_id = connection.link().source_id
        with tenant_session(connection.tenant_id) as session:
            fetching.want(session, connection.tenant_id, [(source_id, Fetch("stone", "1"))])
            assert not circuits.is_open(*connection.key)

    def test_a_plugin_that_fails_says_nothing_of_its_vendor(
        self, connection: Connected, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        told: list[str] = []

        class Breakers(breakers.Breakers):
            def succeeded(self, key: str) -> None:
                told.append(key)

        def fails(self: Any, link: Any, stream: str, cursor: Any) -> Page:
            raise KeyError("records")

        only(connection, "stones")
        monkeypatch.setattr(breakers, "_current", Breakers(None))
        monkeypatch.setattr(QuarrySource, "pull", fails)
        jobs.drain_links(connection.tenant_id)
        assert told == []
        assert "KeyError" in connection.stream().error


class TestTroubles:
    def test_what_the_database_refuses_is_shown(
        self, connection: Connected, vendor: QuarrySimulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        vendor.stones = 10
        only(connection, "stones")
        pull = QuarrySource.pull

        def nul(self: Any, link: Any, stream: str, cursor: Any) -> Page:
            page = pull(self, link, stream, cursor)
            return Page(page.bodies, {"after": "\0"}, False, page.count)

        monkeypatch.setattr(QuarrySource, "pull", nul)
        jobs.drain_links(connection.tenant_id)
        stream = connection.stream()
        assert "our side" in stream.error
        assert (stream.failures, stream.leased_until) == (1, None)

    def test_nothing_is_fetched_for_which_there_is_no_room(
        self, connection: Connected, vendor: QuarrySimulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Full:
            def admit(self, tenant_id: int, items: int, size: int) -> None:
                raise AssayError("The plan is used up.")

        only(connection)
        monkeypatch.setattr(pulling, "_admission", Full())
        want(connection, 1)
        before = len(vendor.calls)
        jobs.drain_links(connection.tenant_id)
        assert len(vendor.calls) == before
        row = connection.one("SELECT error, attempts FROM intake.wanted WHERE tenant_id = :t")
        assert tuple(row) == ("The plan is used up.", 0)
