"""What is refused before it is kept: told with a reason and a time, and nothing accepted is lost."""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from threading import Thread
from time import monotonic, sleep
from typing import Any

import psycopg
import pytest
from redis import Redis
from sqlalchemy import func, select, text

from assay.embedded import Embedded
from assay.intake.admission import Admission, Rates, limits_of, network
from assay.intake.calls import MAX_ITEMS
from assay.intake.errors import Backlog, CannotKeep, NoRoom, TooFast
from assay.intake.ids import message_id
from assay.intake.models import Message, Waiting
from assay.intake.pace import LEASE, Lender, Pace, Rate, Visitors
from assay.intake.refusals import Refusals
from assay.intake.room import Limits, Room
from assay.intake.writer import Received, Writer
from assay.settings import Settings
from assay_tenants.access.service import SignedUp
from assay_tenants.database import tenant_session
from assay_tenants.keys import issue_key

TRACK = {"type": "track", "userId": "u1", "event": "Demo Requested"}


@pytest.fixture
def make_admission(settings: Settings, connected: None) -> Iterator[Callable[..., Admission]]:
    """By our own rate and limits."""
    made: list[Admission] = []

    def make(
        *, rate: int = 0, limits: Limits | None = None, visitors: Rate | None = None, redis_url: str = ""
    ) -> Admission:
        address = redis_url or settings.redis_url
        made.append(
            Admission(
                Rates(rate, 10),
                Pace(Lender(address)),
                Visitors(visitors) if visitors else None,
                Room(limits or Limits()),
                Refusals(address),
                Pace(Lender(address, name="requests")),
            )
        )
        return made[-1]

    yield make
    for admission in made:
        admission.room.stop()


def wait_for(tenant_id: int, count: int) -> None:
    """So many messages wait to be understood."""
    with tenant_session(tenant_id) as session:
        session.execute(
            text(
                "INSERT INTO intake.waiting (tenant_id, received_at, message_id)"
                " SELECT :t, now(), gen_random_uuid() FROM generate_series(1, :n)"
            ),
            {"t": tenant_id, "n": count},
        )


@pytest.fixture
def empty_queue(servers: Embedded) -> None:
    with psycopg.connect(servers.places.postgres_url("postgres")) as connection:
        connection.execute("TRUNCATE intake.waiting")


class TestRates:
    @pytest.mark.parametrize(
        ("per_second", "own", "expected"),
        [
            pytest.param(5_000, {}, Rate(5_000, 50_000), id="everybody's"),
            pytest.param(5_000, {7: 20_000}, Rate(20_000, 200_000), id="its own"),
            pytest.param(5_000, {7: 0}, None, id="no limit of its own"),
            pytest.param(0, {}, None, id="no limit at all"),
            pytest.param(0, {7: 100}, Rate(100, 2_600), id="the largest batch fits into a low one"),
            pytest.param(5_000, {8: 1}, Rate(5_000, 50_000), id="another's"),
        ],
    )
    def test_table(self, per_second: int, own: dict[int, int], expected: Rate | None) -> None:
        rate = Rates(per_second, 10).of(7, own)
        assert rate == expected
        if rate is not None:
            assert rate.burst - rate.per_second * LEASE.total_seconds() >= MAX_ITEMS


class TestNetwork:
    @pytest.mark.parametrize(
        ("address", "same_as"),
        [
            pytest.param("192.0.2.1", "::ffff:192.0.2.1", id="the same address in both kinds"),
            pytest.param("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", id="one household"),
            pytest.param("fe80::1%eth0", "fe80::2", id="with a zone"),
            pytest.param("unix:", "", id="no address"),
        ],
    )
    def test_stands_for_the_same(self, address: str, same_as: str) -> None:
        assert network(address) == network(same_as)

    def test_stands_for_others(self) -> None:
        assert len({network(each) for each in ("192.0.2.1", "192.0.2.2", "2001:db8:1:2::1", "2001:db8:1:3::1")}) == 4


class TestAdmit:
    def test_too_fast(self, make_admission: Callable[..., Admission], tenant: SignedUp, neighbour: SignedUp) -> None:
        admission = make_admission(rate=100)
        with pytest.raises(TooFast) as caught:
            for _ in range(1_000):
                admission.admit(tenant.tenant_id, 100, 1_000)
        assert caught.value.code == "too_fast"
        assert "100 events a second, and 2,600 at once" in caught.value.message
        assert timedelta(seconds=1) <= caught.value.after <= timedelta(seconds=300)
        admission.admit(neighbour.tenant_id, 100, 1_000)

    def test_a_rate_of_its_own(
        self, make_admission: Callable[..., Admission], tenant: SignedUp, servers: Embedded
    ) -> None:
        with psycopg.connect(servers.places.postgres_url("postgres")) as connection:
            connection.execute("UPDATE tenancy.tenants SET events_per_second = 7 WHERE id = %s", [tenant.tenant_id])
        admission = make_admission(rate=10_000_000)
        with pytest.raises(TooFast, match="7 events a second"):
            for _ in range(100):
                admission.admit(tenant.tenant_id, 100, 1_000)

    def test_backlog_is_its_own_fault(
        self,
        make_admission: Callable[..., Admission],
        tenant: SignedUp,
        neighbour: SignedUp,
        empty_queue: None,
        work_off: Callable[[int], int],
    ) -> None:
        admission = make_admission(limits=Limits(backlog_of_one=50))
        wait_for(tenant.tenant_id, 49)
        admission.room.look()
        admission.admit(tenant.tenant_id, 1, 100)
        wait_for(tenant.tenant_id, 1)
        admission.room.look()
        with pytest.raises(Backlog, match="50 messages of this account wait") as caught:
            admission.admit(tenant.tenant_id, 1, 100)
        assert (caught.value.status, caught.value.code) == (429, "backlog")
        admission.admit(neighbour.tenant_id, 1, 100)
        work_off(tenant.tenant_id)
        admission.room.look()
        admission.admit(tenant.tenant_id, 1, 100)

    def test_backlog_of_all_is_ours(
        self,
        make_admission: Callable[..., Admission],
        make_tenant: Callable[[], SignedUp],
        empty_queue: None,
    ) -> None:
        admission = make_admission(limits=Limits(backlog=60, backlog_of_one=50))
        for _ in range(3):
            wait_for(make_tenant().tenant_id, 20)
        admission.room.look()
        with pytest.raises(NoRoom, match="60 messages wait to be understood") as caught:
            admission.admit(make_tenant().tenant_id, 1, 100)
        assert (caught.value.status, caught.value.code) == (503, "no_room")

    def test_counting_ends_where_more_would_tell_nothing(
        self, make_admission: Callable[..., Admission], tenant: SignedUp, empty_queue: None
    ) -> None:
        wait_for(tenant.tenant_id, 5_000)
        sight = make_admission(limits=Limits(backlog=100)).room.look()
        assert sight.waiting_of_all == 101

    def test_a_long_queue_is_estimated(
        self, make_admission: Callable[..., Admission], make_tenant: Callable[[], SignedUp], empty_queue: None
    ) -> None:
        # Four times as many pages as are looked at.
        many, few = make_tenant().tenant_id, make_tenant().tenant_id
        for _ in range(3):
            wait_for(many, 60_000)
            wait_for(few, 20_000)
        sight = make_admission(limits=Limits(backlog=10**6)).room.look()
        assert sight.waiting[many] == pytest.approx(180_000, rel=0.4)
        assert sight.waiting[few] == pytest.approx(60_000, rel=0.6)

    def test_disk_is_nearly_full(
        self, make_admission: Callable[..., Admission], tenant: SignedUp, tmp_path: Path
    ) -> None:
        admission = make_admission(limits=Limits(folder=tmp_path, free=10**18))
        with pytest.raises(NoRoom, match="MB are left on the disk"):
            admission.admit(tenant.tenant_id, 1, 100)
        admission = make_admission(limits=Limits(folder=tmp_path, free=1))
        admission.admit(tenant.tenant_id, 1, 100)
        # A message that would not fit beside what must stay free.
        with pytest.raises(NoRoom):
            admission.admit(tenant.tenant_id, 1, 10**18)

    def test_database_is_as_large_as_it_may_be(
        self, make_admission: Callable[..., Admission], tenant: SignedUp
    ) -> None:
        with pytest.raises(NoRoom, match="the database has reached 0 GB, its limit"):
            make_admission(limits=Limits(database=1_000)).admit(tenant.tenant_id, 1, 100)
        make_admission(limits=Limits(database=10**15)).admit(tenant.tenant_id, 1, 100)

    def test_what_is_too_fast_for_a_visitor_leaves_the_tenants_rate_alone(
        self, make_admission: Callable[..., Admission], tenant: SignedUp
    ) -> None:
        admission = make_admission(rate=1_000, visitors=Rate(10, 100))
        with pytest.raises(TooFast, match="One visitor"):
            for _ in range(30):
                admission.admit_visitor(tenant.tenant_id, 1, "192.0.2.1", 10)
        admission.admit_visitor(tenant.tenant_id, 1, "192.0.2.2", 10)
        admission.admit_visitor(tenant.tenant_id, 2, "192.0.2.1", 10)

    def test_a_look_that_fails_refuses_nobody(
        self, make_admission: Callable[..., Admission], tenant: SignedUp, servers: Embedded, empty_queue: None
    ) -> None:
        admission = make_admission(limits=Limits(backlog=10))
        wait_for(tenant.tenant_id, 20)
        with psycopg.connect(servers.places.postgres_url("postgres")) as owner:
            owner.execute("ALTER TABLE intake.waiting RENAME TO away")
            owner.commit()
            try:
                assert admission.room.look().waiting == {}
                admission.admit(tenant.tenant_id, 1, 100)
            finally:
                owner.execute("ALTER TABLE intake.away RENAME TO waiting")
                owner.commit()

    def test_an_old_look_says_nothing(self, tenant: SignedUp, empty_queue: None) -> None:
        clock = [0.0]
        room = Room(Limits(backlog=10), clock=lambda: clock[0])
        wait_for(tenant.tenant_id, 20)
        room.look()
        room._thread = Thread(target=sleep, args=(5,), daemon=True)
        room._thread.start()
        assert room.reason(room.seen()) is not None
        clock[0] += 61
        assert room.reason(room.seen()) is None

    def test_refusals_are_counted_for_the_tenant(
        self, make_admission: Callable[..., Admission], tenant: SignedUp, neighbour: SignedUp
    ) -> None:
        admission = make_admission(rate=1)
        for _ in range(10):
            with suppress(TooFast):
                admission.admit(tenant.tenant_id, 2_000, 1)
        admission.refusals.write()
        assert admission.refusals.of(tenant.tenant_id) == {"too_fast": 9}
        assert admission.refusals.of(neighbour.tenant_id) == {}


class TestLimitsOf:
    def test_the_disk_counts_where_the_database_is_ours(self, settings: Settings) -> None:
        assert limits_of(settings).folder == settings.data_dir
        elsewhere = Settings(data_dir=settings.data_dir, database_url="postgresql://app@db.example.test/assay")
        assert limits_of(elsewhere).folder is None


def send(port: int, key: str, items: int, **further: str) -> tuple[int, dict[str, str], dict[str, Any]]:
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    body = json.dumps({"batch": [TRACK] * items})
    connection.request("POST", "/v1/batch", body, {"Authorization": f"Bearer {key}", **further})
    answer = connection.getresponse()
    headers = {name.lower(): value for name, value in answer.getheaders()}
    found = answer.status, headers, json.loads(answer.read())
    connection.close()
    return found


def kept(tenant_id: int) -> int:
    with tenant_session(tenant_id) as session:
        return session.execute(
            select(func.count()).select_from(Message).where(Message.tenant_id == tenant_id)
        ).scalar_one()


@pytest.fixture(scope="module")
def processes(serve: Callable[..., AbstractContextManager[int]]) -> Iterator[list[int]]:
    """Two servers that share one Redis, with a low rate, and a proxy in front of each."""
    further = {
        "ASSAY_TENANT_EVENTS_PER_SECOND": "50",
        "ASSAY_VISITOR_EVENTS_PER_SECOND": "10",
        "ASSAY_TRUSTED_PROXIES": "1",
    }
    with serve(**further) as one, serve(**further) as other:
        yield [one, other]


class TestServed:
    def test_two_processes_share_the_rate_and_say_when(self, processes: list[int], tenant: SignedUp) -> None:
        # 2,550 at once, of which 50 are kept back, and 50 a second.
        started, accepted, refused = monotonic(), 0, []
        for number in range(60):
            status, headers, answer = send(processes[number % 2], tenant.write_key, 100)
            if status == 200:
                accepted += 1
            else:
                refused.append((status, headers, answer))
        took = monotonic() - started
        assert 25 <= accepted <= 25.5 + 0.5 * took + 1
        assert kept(tenant.tenant_id) == accepted
        status, headers, answer = refused[-1]
        assert (status, answer["code"]) == (429, "too_fast")
        assert "50 events a second" in answer["message"]
        seconds = int(headers["retry-after"])
        assert 1 <= seconds <= 3
        sleep(seconds)
        assert send(processes[0], tenant.write_key, 100)[0] == 200

    def test_a_visitor_has_a_limit_of_its_own_behind_a_proxy(self, processes: list[int], tenant: SignedUp) -> None:
        page = {"Origin": "https://quartz.example.test"}
        statuses = [
            send(processes[0], tenant.write_key, 10, **page, **{"X-Forwarded-For": "192.0.2.1"})[0] for _ in range(15)
        ]
        assert statuses[:10] == [200] * 10
        assert 429 in statuses[10:]
        other = send(processes[0], tenant.write_key, 10, **page, **{"X-Forwarded-For": "192.0.2.2"})
        assert other[0] == 200
        # A page may read why it was refused.
        status, headers, _ = send(processes[0], tenant.write_key, 100, **page, **{"X-Forwarded-For": "192.0.2.1"})
        assert (status, headers["access-control-allow-origin"]) == (429, page["Origin"])

    def test_our_own_api_shares_the_rate(self, processes: list[int], tenant: SignedUp) -> None:
        key = issue_key(tenant.tenant_id, kind="api", name="Test").secret
        event = {"type": "demo.requested", "user_id": "u1"}
        body = json.dumps({"events": [event | {"id": str(number)} for number in range(500)]})
        for _ in range(10):
            connection = HTTPConnection("127.0.0.1", processes[0], timeout=20)
            headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
            connection.request("POST", "/api/v1/events", body, headers)
            answer = connection.getresponse()
            found = json.loads(answer.read())
            connection.close()
            if answer.status != 200:
                break
        assert (answer.status, found["code"]) == (429, "too_fast"), found
        assert answer.getheader("Content-Type") == "application/problem+json"
        assert 1 <= int(answer.getheader("Retry-After") or 0) <= 300

    def test_a_hanging_redis_hangs_nobody(
        self, serve: Callable[..., AbstractContextManager[int]], settings: Settings, tenant: SignedUp
    ) -> None:
        with serve(ASSAY_TENANT_EVENTS_PER_SECOND="50") as port:
            assert send(port, tenant.write_key, 1)[0] == 200
            with Redis.from_url(settings.redis_url) as redis:
                redis.execute_command("CLIENT", "PAUSE", "4000", "ALL")
            started = monotonic()
            statuses = [send(port, tenant.write_key, 100)[0] for _ in range(40)]
            assert monotonic() - started < 4
        assert statuses[:20] == [200] * 20
        assert 429 in statuses


class TestDiskFull:
    """PostgreSQL itself has no room left: 503 with the reason, nothing half kept, and the connection goes on."""

    @pytest.fixture
    def full(self, servers: Embedded) -> Iterator[Callable[[str | None], None]]:
        with psycopg.connect(servers.places.postgres_url("postgres"), autocommit=True) as owner:

            def become(state: str | None) -> None:
                owner.execute("DROP TRIGGER IF EXISTS full_disk ON intake.waiting")
                if state:
                    owner.execute(
                        "CREATE OR REPLACE FUNCTION public.full_disk() RETURNS trigger LANGUAGE plpgsql AS"
                        f" $$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = '{state}'; END $$"
                    )
                    owner.execute(
                        "CREATE TRIGGER full_disk BEFORE INSERT ON intake.waiting"
                        " FOR EACH ROW EXECUTE FUNCTION public.full_disk()"
                    )

            yield become
            become(None)
            owner.execute("DROP FUNCTION IF EXISTS public.full_disk()")

    @pytest.mark.parametrize(
        ("state", "reason"),
        [
            pytest.param("53100", "the database's disk is full", id="disk full"),
            pytest.param("53200", "the database is out of memory", id="out of memory"),
            pytest.param("53300", "the database has no connection left", id="too many connections"),
            pytest.param("53400", "the database is short of room", id="another limit of its machine"),
            pytest.param("54000", "it is larger than the database can hold", id="a row beyond its limits"),
        ],
    )
    def test_told_and_recovered_from(
        self, tenant: SignedUp, full: Callable[[str | None], None], state: str, reason: str
    ) -> None:
        writer = Writer()

        def keep() -> None:
            now = datetime.now(UTC)
            writer.keep(Received(tenant.tenant_id, 1, message_id(now), now, "track", b"{}"))

        keep()
        full(state)
        for _ in range(2):
            with pytest.raises(CannotKeep, match=reason):
                keep()
        full(None)
        keep()
        assert kept(tenant.tenant_id) == 2
        with tenant_session(tenant.tenant_id) as session:
            waiting = session.execute(
                select(func.count()).select_from(Waiting).where(Waiting.tenant_id == tenant.tenant_id)
            ).scalar_one()
        assert waiting == 2


class TestFiles:
    def test_are_refused_where_there_is_no_room_and_do_not_wait_among_messages(
        self, make_admission: Callable[..., Admission], tenant: SignedUp, empty_queue: None
    ) -> None:
        wait_for(tenant.tenant_id, 20)
        make_admission(limits=Limits(backlog=10, backlog_of_one=10)).need_room(tenant.tenant_id, 100)
        with pytest.raises(NoRoom, match="the database has reached"):
            make_admission(limits=Limits(database=1_000)).need_room(tenant.tenant_id, 100)

    def test_over_the_api(
        self, serve: Callable[..., AbstractContextManager[int]], settings: Settings, tenant: SignedUp
    ) -> None:
        key = issue_key(tenant.tenant_id, kind="api", name="Test").secret
        # More than any disk has.
        with serve(ASSAY_DISK_FREE_MB="100000000", ASSAY_DATA_DIR=str(settings.data_dir)) as port:
            connection = HTTPConnection("127.0.0.1", port, timeout=20)
            headers = {"Authorization": f"Bearer {key}", "Content-Type": "text/csv"}
            connection.request("POST", "/api/v1/imports?kind=leads&name=Fair", "email\na@b.example.test\n", headers)
            answer = connection.getresponse()
            found = json.loads(answer.read())
            connection.close()
            status, further, told = send(port, tenant.write_key, 1)
        assert (answer.status, found["code"], answer.getheader("retry-after")) == (503, "no_room", "60"), found
        assert "100,000,000 MB are left on the disk" in found["detail"]
        assert (status, told["code"], further["retry-after"]) == (503, "no_room", "60")
