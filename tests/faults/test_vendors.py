"""Vendors that hang, storm, send without end and lead astray; and a worker that is killed while it reads from one."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from redis import Redis
from rq import Queue
from rq.serializers import JSONSerializer
from sqlalchemy import text

from assay import facts, pipeline, plugins
from assay.settings import Settings
from assay.syncing import breakers, circuits, jobs, limiter, links, queries, service
from assay.syncing.limiter import RedisLimiter
from assay.syncing.slots import Pool
from assay_sdk import LocalLimiter, egress
from assay_sdk.testing import running
from assay_tenants import connections
from assay_tenants.access.service import SignedUp
from assay_tenants.database import tenant_session
from tests.vendors.quarry import Gravel, Quarry, QuarrySimulator

ROOT = Path(__file__).parents[2]
#: A call's whole time, instead of ten seconds.
DEADLINE = timedelta(seconds=0.5)
PATIENCE = 60.0


class One:
    """A connection of a tenant of its own."""

    def __init__(self, tenant_id: int, connection_id: int) -> None:
        self.tenant_id = tenant_id
        self.id = connection_id

    def stream(self) -> Any:
        query = "SELECT * FROM intake.streams WHERE tenant_id = :t AND name = 'stones'"
        with tenant_session(self.tenant_id) as session:
            return session.execute(text(query), {"t": self.tenant_id}).one()

    def do(self, statement: str) -> None:
        with tenant_session(self.tenant_id) as session:
            session.execute(text(statement), {"t": self.tenant_id})

    def ids(self) -> list[int]:
        query = (
            "SELECT body FROM intake.messages WHERE tenant_id = :t AND call = 'pull/stones' ORDER BY received_at, id"
        )
        with tenant_session(self.tenant_id) as session:
            bodies = session.scalars(text(query), {"t": self.tenant_id}).all()
        return [record["id"] for body in bodies for record in json.loads(body)["records"]]


@pytest.fixture
def vendors(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[QuarrySimulator, QuarrySimulator]]:
    """Quarry, which is asked to fail, and Gravel, which works."""
    quarry, gravel = QuarrySimulator(stones=5), QuarrySimulator(stones=5)
    with running(quarry), running(gravel):
        found = plugins.Plugins()
        monkeypatch.setattr(found, "services", {"quarry": Quarry(), "gravel": Gravel()}, raising=False)
        settings = quarry.app_settings()
        monkeypatch.setattr(plugins, "installed", lambda: found)
        monkeypatch.setattr(plugins, "app_settings", lambda _: dict(settings), raising=False)
        monkeypatch.setattr(limiter, "_current", LocalLimiter())
        monkeypatch.setattr(links, "DEADLINE", DEADLINE)
        monkeypatch.setattr("assay_sdk.http.BACKOFF", timedelta(seconds=0.01))
        egress.configure(["127.0.0.1"])
        yield quarry, gravel
        egress.configure([])
        quarry.faults.clear()


@pytest.fixture
def connect(
    make_tenant: Callable[[], SignedUp], vendors: tuple[QuarrySimulator, QuarrySimulator]
) -> Callable[..., One]:
    quarry, gravel = vendors

    def make(plugin: str, *, host: str = "", account: str = "", tenant_id: int | None = None) -> One:
        simulator = quarry if plugin == "quarry" else gravel
        grant = simulator.granted(account or uuid4().hex)
        tenant_id = tenant_id or make_tenant().tenant_id
        connection_id = connections.create(
            tenant_id,
            plugin=plugin,
            name="Acme",
            account=grant.account,
            credentials={
                "access_token": grant.access_token,
                "refresh_token": grant.refresh_token,
                "key": grant.access_token,
            },
            settings={"host": host or gravel.address},
            expires_at=datetime.now(UTC) + timedelta(hours=1),
        )
        service.establish(tenant_id, connection_id, plugin, grant.account, title="Acme", hook_token="")
        one = One(tenant_id, connection_id)
        one.do("UPDATE intake.streams SET due_at = NULL WHERE tenant_id = :t AND name <> 'stones'")
        one.do("UPDATE intake.links SET due_at = NULL WHERE tenant_id = :t")
        return one

    return make


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch, redis: Redis) -> Iterator[Pool]:
    """A worker's threads."""
    pool = Pool(jobs.run, slots=8)
    monkeypatch.setattr(jobs, "_pool", pool)
    monkeypatch.setattr(breakers, "_current", breakers.Breakers(redis))
    for name in redis.keys("assay:breaker:*"):  # type: ignore[union-attr] # of a client that does not wait
        redis.delete(name)
    yield pool
    pool.stop(timedelta(seconds=10))


@pytest.mark.parametrize(
    ("fault", "options"),
    [
        pytest.param("hang", {"seconds": 3.0}, id="an answer after a long time"),
        pytest.param("drip", {"seconds": 4.0}, id="a byte a second"),
        pytest.param("reset", {}, id="cut connections"),
        pytest.param("huge", {}, id="an answer without end"),
        pytest.param("broken", {}, id="half an answer"),
        pytest.param(500, {}, id="errors"),
    ],
)
def test_a_vendor_that_fails_delays_nobody_elses(
    vendors: Any, connect: Callable[..., One], pool: Pool, fault: Any, options: dict[str, Any]
) -> None:
    quarry, _ = vendors
    quarry.faults.next(fault, times=-1, **options)
    failing = [connect("quarry") for _ in range(6)]
    working = [connect("gravel") for _ in range(4)]
    began = time.monotonic()
    until = began + 20
    late: dict[int, float] = {}
    # As the sweep would: all who have something due, again and again.
    while len(late) < len(working) and time.monotonic() < until:
        for one in (*failing, *working):
            jobs.drain_links(one.tenant_id)
        for one in working:
            if one.tenant_id not in late and one.stream().loaded_at:
                late[one.tenant_id] = time.monotonic() - began
        time.sleep(0.02)
    assert len(late) == len(working)
    assert max(late.values()) < 5
    assert pool.stop(timedelta(seconds=15))
    errors = {one.stream().error for one in failing}
    assert any(errors)
    assert all(one.stream().loaded_at is None for one in failing)


def test_a_vendor_that_hangs_for_all_soon_costs_one_slot(vendors: Any, connect: Callable[..., One], pool: Pool) -> None:
    quarry, _ = vendors
    quarry.faults.next("hang", times=-1, seconds=1.0)
    failing = [connect("quarry") for _ in range(8)]
    until = time.monotonic() + 4
    while time.monotonic() < until:
        for one in failing:
            jobs.drain_links(one.tenant_id)
        time.sleep(0.05)
    before = len(quarry.calls)
    for one in failing:
        one.do("UPDATE intake.streams SET due_at = now(), leased_until = NULL WHERE tenant_id = :t")
        one.do("UPDATE intake.links SET open_until = NULL WHERE tenant_id = :t")
        jobs.drain_links(one.tenant_id)
    assert pool.stop(timedelta(seconds=15))
    # The tries of one call at most.
    assert len(quarry.calls) - before <= 3


def test_it_recovers_by_itself(vendors: Any, connect: Callable[..., One], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(circuits, "FIRST_PAUSE", timedelta(seconds=0.2))
    monkeypatch.setattr(circuits, "LONGEST_PAUSE", timedelta(seconds=0.5))
    monkeypatch.setattr(circuits, "BACKOFF", timedelta(seconds=0.01))
    quarry, _ = vendors
    quarry.faults.next(503, times=-1)
    one = connect("quarry")
    until = time.monotonic() + 2
    while time.monotonic() < until:
        jobs.drain_links(one.tenant_id)
        time.sleep(0.02)
    health = queries.health(one.tenant_id, one.id)
    assert health.is_circuit_open
    assert health.error
    quarry.faults.clear()
    until = time.monotonic() + 10
    while one.stream().loaded_at is None and time.monotonic() < until:
        jobs.drain_links(one.tenant_id)
        time.sleep(0.02)
    assert one.ids() == [1, 2, 3, 4, 5]
    health = queries.health(one.tenant_id, one.id)
    assert (health.failures, health.error, health.is_circuit_open) == (0, "", False)


@pytest.mark.parametrize(
    ("headers", "window"),
    [
        pytest.param({"Retry-After": "2"}, 2.0, id="saying for how long"),
        pytest.param({}, 2.0, id="without a word"),
    ],
)
def test_a_storm_of_429_is_probed_once_a_window_and_never_within(
    vendors: Any,
    connect: Callable[..., One],
    monkeypatch: pytest.MonkeyPatch,
    redis: Redis,
    headers: dict[str, str],
    window: float,
) -> None:
    monkeypatch.setattr("assay_sdk.service.USUAL_PAUSE", timedelta(seconds=window))
    monkeypatch.setattr(limiter, "_current", RedisLimiter(redis))
    quarry, _ = vendors
    asked: list[float] = []
    real = quarry._fail

    def fail(request: Any) -> Any:
        asked.append(time.monotonic())
        return real(request)

    monkeypatch.setattr(quarry, "_fail", fail)
    quarry.faults.next(429, times=-1, headers=headers)
    one = connect("quarry")
    one.do("UPDATE intake.streams SET due_at = now() WHERE tenant_id = :t")
    until = time.monotonic() + window * 3.4
    while time.monotonic() < until:
        threads = [Thread(target=jobs.drain_links, args=(one.tenant_id,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        time.sleep(0.02)
    waves = [at for at, before in zip(asked[1:], asked, strict=False) if at - before > 0.5]
    gaps = [at - before for at, before in zip(asked[1:], asked, strict=False) if at - before > 0.5]
    assert 2 <= len(waves) <= (asked[-1] - asked[0]) / window
    # None in the window, and not in the very moment in which it ends.
    assert all(gap >= window for gap in gaps)
    # The first time, two streams may ask before either is told; then one at a time tries.
    assert len(asked) - len(waves) <= 2
    health = queries.health(one.tenant_id, one.id)
    assert (health.failures, health.is_circuit_open) == (0, False)


class TestAstray:
    """Addresses that lead back to us: from a setting, from a redirect, from an answer."""

    @pytest.fixture
    def canary(self) -> Iterator[tuple[str, list[str]]]:
        """Listens on an address of ours, and tells who came."""
        came: list[str] = []
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            listener.settimeout(0.1)
            stopped: list[bool] = []

            def listen() -> None:
                while not stopped:
                    try:
                        other, address = listener.accept()
                    except TimeoutError:
                        continue
                    came.append(str(address))
                    other.close()

            thread = Thread(target=listen)
            thread.start()
            yield f"127.0.0.1:{listener.getsockname()[1]}", came
            stopped.append(True)
            thread.join()

    @pytest.mark.parametrize("host", ["http://{}", "http://localhost:{port}", "http://[::ffff:127.0.0.1]:{port}"])
    def test_a_host_that_somebody_typed(self, connect: Callable[..., One], canary: Any, host: str) -> None:
        egress.configure([])
        address, came = canary
        one = connect("gravel", host=host.format(address, port=address.partition(":")[2]))
        jobs.drain_links(one.tenant_id)
        assert one.stream().error
        assert "public" in one.stream().error
        assert came == []

    def test_a_redirect(self, vendors: Any, connect: Callable[..., One], canary: Any) -> None:
        quarry, _ = vendors
        address, came = canary
        quarry.faults.next(302, times=-1, headers={"Location": f"http://{address}/"})
        one = connect("quarry")
        jobs.drain_links(one.tenant_id)
        assert "redirect" in one.stream().error
        assert came == []


@pytest.fixture
def worker(vendors: Any, settings: Settings, tmp_path: Path) -> Iterator[Callable[[], "subprocess.Popen[bytes]"]]:
    """Starts a worker for the queue of connections, in which the vendors' plugin is installed."""
    quarry, _ = vendors
    installed = tmp_path / "tests_vendors-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: tests-vendors\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text("[assay]\nquarry = tests.vendors.quarry\n")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("ASSAY_")},
        **{f"ASSAY_PLUGIN_QUARRY_{name.upper()}": value for name, value in quarry.app_settings().items() if value},
        "PYTHONPATH": f"{tmp_path}:{ROOT}",
        "ASSAY_DATA_DIR": str(tmp_path / "data"),
        "ASSAY_DATABASE_URL": settings.database_url,
        "ASSAY_REDIS_URL": settings.redis_url,
        "ASSAY_SEALING_KEYS": settings.sealing_keys,
        "ASSAY_SECRET_KEY": settings.secret_key,
        "ASSAY_EGRESS_ALLOW": "127.0.0.1",
    }
    started: list[subprocess.Popen[bytes]] = []

    def start() -> "subprocess.Popen[bytes]":
        process = subprocess.Popen([sys.executable, "-m", "assay.cli", "worker", "sync"], env=environment)
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait()


@pytest.fixture
def nudging(monkeypatch: pytest.MonkeyPatch, redis: Redis) -> Iterator[Callable[[int], None]]:
    monkeypatch.setattr(pipeline, "_redis", redis)
    yield lambda tenant_id: pipeline.nudge(pipeline.SYNC, tenant_id)
    Queue("sync", connection=redis, serializer=JSONSerializer).empty()


def test_a_worker_that_is_killed_leaves_neither_gap_nor_double(
    vendors: Any, connect: Callable[..., One], worker: Any, nudging: Callable[[int], None], servers: Any
) -> None:
    quarry, _ = vendors
    quarry.stones, quarry.delay = 3_000, 0.01
    one = connect("quarry")
    one.do("UPDATE intake.links SET due_at = NULL WHERE tenant_id = :t")
    kills = 0
    until = time.monotonic() + PATIENCE * 2
    process = worker()
    superuser = psycopg.connect(servers.places.postgres_url("postgres"), dbname="assay", autocommit=True)
    while one.stream().loaded_at is None:
        assert time.monotonic() < until, one.stream()
        # What was brought is understood, and leases end, as time passes.
        superuser.execute("DELETE FROM intake.waiting WHERE tenant_id = %s", (one.tenant_id,))
        before = one.stream().records
        nudging(one.tenant_id)
        time.sleep(0.2)
        if kills < 2 and one.stream().records > before:
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
            one.do("UPDATE intake.streams SET due_at = now() WHERE tenant_id = :t AND name = 'stones'")
            process = worker()
        elif one.stream().due_at > datetime.now(UTC) and not one.stream().leased_until:
            one.do("UPDATE intake.streams SET due_at = now() WHERE tenant_id = :t AND name = 'stones'")
    superuser.close()
    assert kills == 2
    assert one.ids() == list(range(1, 3_001))
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0


def test_a_redis_that_was_wiped_loses_no_work(
    vendors: Any, connect: Callable[..., One], worker: Any, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = connect("quarry")
    monkeypatch.setattr(pipeline, "_redis", redis)
    facts.tell(facts.SyncDue(one.tenant_id))
    redis.flushall()
    worker()
    until = time.monotonic() + PATIENCE
    while one.stream().loaded_at is None:
        assert time.monotonic() < until
        pipeline.sweep()
        time.sleep(0.2)
    assert one.ids() == [1, 2, 3, 4, 5]
