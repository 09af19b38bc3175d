"""A whole Assay of its own for what goes wrong, a sender that never gives up, and books that must balance after."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import polars as pl
import psutil
import psycopg
import pytest
from sqlalchemy import text

from assay import embedded, roles
from assay.places import Places
from assay.profiles.queries import read_facts
from assay.scoring import service
from assay.scoring.compiled import load_live
from assay.scoring.jobs import Facts, evaluate, wanted
from assay.scoring.ledger import PLACE
from assay.scoring.storing import read_stored
from assay.settings import Settings
from assay_tenants import access, database, keys
from assay_tenants.access.service import SignedUp
from assay_tenants.database import tenant_session

PATIENCE = 120.0
EVERYBODY = range(2**62)
#: Nothing in them changes by itself within a test, so that stored scores can be compared at any moment.
MODELS = {
    "interest": """
model: interest
rules:
  - {id: owner, when: {trait: title, is: Owner}, points: 20}
  - {id: pricing, on: page.viewed, where: {property: path, starts_with: /pricing}, points: 15, count: once}
  - {id: views, on: page.viewed, points: 1, fades: {after: 3650d}}
stages: [{name: Warm, from: 10}, {name: Hot, from: 40}]
""",
    "usage": """
model: usage
rules:
  - {id: offers, on: offer_downloaded, count: {once_per: offer_id}, points: 5}
  - {id: firsts, on: page.viewed, count: {first: 5}, points: 3}
stages: [{name: Using, from: 20}]
""",
}
_EVENTS = text("SELECT sender_id, count(*) FROM profiles.events WHERE tenant_id = :t GROUP BY sender_id")
_WAITING = text("SELECT count(*) FROM intake.waiting WHERE tenant_id = :t")
_IMPORTS = text("SELECT count(*) FROM intake.imports WHERE tenant_id = :t AND state IN ('receiving', 'waiting')")
_DUE = text("SELECT count(*) FROM scoring.due WHERE tenant_id = :t AND due_at <= now()")
_RESCORES = text("SELECT count(*) FROM scoring.rescore_ranges WHERE tenant_id = :t AND open")

_numbers = count(1)


class Plant:
    """``assay run`` in a folder of its own."""

    def __init__(self, folder: Path, environment: dict[str, str] | None = None) -> None:
        self.folder = folder / "data"
        self.log = folder / "output"
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.places = Places(self.folder)
        environ = {name: value for name, value in os.environ.items() if not name.startswith("ASSAY_")}
        with self.log.open("a") as output:
            self.supervisor = subprocess.Popen(
                [
                    *(sys.executable, "-m", "assay.cli", "run", "--no-demo"),
                    *("--data-dir", str(self.folder), "--port", str(self.port)),
                ],
                stdout=output,
                stderr=output,
                env=environ | (environment or {}),
                process_group=0,
            )
        self.wait_until(self.is_healthy)
        self.settings = embedded.completed(Settings(data_dir=self.folder))

    def is_healthy(self) -> bool:
        try:
            return httpx.get(f"{self.address}/healthz", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    def wait_until(self, is_so: Callable[[], bool], patience: float = PATIENCE) -> None:
        deadline = time.monotonic() + patience
        while not is_so():
            assert self.supervisor.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)

    def child(self, *command: str) -> psutil.Process | None:
        """The living process of one of the supervisor's commands."""
        for process in psutil.Process(self.supervisor.pid).children():
            with contextlib.suppress(psutil.Error):
                words = process.cmdline()
                if (
                    process.status() != psutil.STATUS_ZOMBIE
                    and "assay.cli" in words
                    and all(w in words for w in command)
                ):
                    return process
        return None

    def server(self, name: str) -> psutil.Process | None:
        """PostgreSQL's first process, or Redis."""
        for process in psutil.Process(self.supervisor.pid).children():
            with contextlib.suppress(psutil.Error):
                if process.status() != psutil.STATUS_ZOMBIE and name in process.name():
                    return process
        return None

    def kill(self, find: Callable[[], psutil.Process | None]) -> None:
        """``kill -9`` of a process with all its children, once there is one; returns when another took its place."""
        self.wait_until(lambda: find() is not None)
        process = find()
        assert process is not None
        for each in [*process.children(recursive=True), process]:
            with contextlib.suppress(psutil.Error):
                each.send_signal(signal.SIGKILL)
        self.wait_until(lambda: (again := find()) is not None and again.pid != process.pid)

    def extra_worker(self, queue: str) -> "subprocess.Popen[bytes]":
        environ = os.environ | self.settings.as_environ() | {"ASSAY_DATA_DIR": str(self.folder)}
        return subprocess.Popen([sys.executable, "-m", "assay.cli", "worker", queue], env=environ)

    def owner(self) -> psycopg.Connection:
        return psycopg.connect(self.places.postgres_url(roles.OWNER), autocommit=True)

    def stop(self) -> None:
        if self.supervisor.poll() is None:
            self.supervisor.send_signal(signal.SIGINT)
            self.supervisor.wait(PATIENCE)

    def make_tenant(self) -> "Books":
        number = next(_numbers)
        tenant = access.sign_up(
            company=f"Quartz {number}",
            name="Ada Example",
            email=f"ada{number}@{uuid4().hex[:8]}.example.test",
            password="a long enough password",
            plugin="segment",
            verified=True,
        )
        for name, model in MODELS.items():
            service.create_model(tenant.tenant_id, model)
            service.publish(tenant.tenant_id, name, by="Ada Example")
        return Books(self, tenant)


class Books:
    """What one tenant has sent, and what became of it."""

    def __init__(self, plant: Plant, tenant: SignedUp) -> None:
        self.plant = plant
        self.tenant_id = tenant.tenant_id
        self.write_key = tenant.write_key
        #: Ids of events whose request was answered 200.
        self.accepted: set[str] = set()
        self.statuses: Counter[int] = Counter()
        self.headers: list[httpx.Headers] = []

    @property
    def api_key(self) -> str:
        return keys.issue_key(self.tenant_id, kind="api", name="faults").secret

    def items(self, events: int, *, people: int = 40) -> list[dict[str, Any]]:
        return [self.item(next(_numbers), people=people) for _ in range(events)]

    def item(self, number: int, *, people: int = 40) -> dict[str, Any]:
        base = {"userId": f"u{number % people}", "messageId": f"m-{uuid4()}"}
        match number % 10:
            case 0:
                traits = {"email": f"u{number % people}@firm.example", "title": "Owner" if number % 3 else "Student"}
                return base | {"type": "identify", "traits": traits}
            case 1 | 2:
                return base | {"type": "track", "event": "Offer Downloaded", "properties": {"offer_id": number % 7}}
            case _:
                path = "/pricing" if number % 4 else f"/docs/{number % 5}"
                return base | {"type": "page", "anonymousId": f"a{number % people}", "properties": {"path": path}}

    def send(self, items: Sequence[dict[str, Any]], *, client: httpx.Client | None = None) -> None:
        """Until it is accepted, as the libraries do it."""
        deadline = time.monotonic() + PATIENCE
        while True:
            assert time.monotonic() < deadline, f"never accepted: {self.statuses}"
            with contextlib.suppress(httpx.TransportError):
                if self.post(items, client=client).status_code == 200:
                    self.accepted |= {item["messageId"] for item in items if item["type"] != "identify"}
                    return
            time.sleep(0.1)

    def post(self, items: Sequence[dict[str, Any]], *, client: httpx.Client | None = None) -> httpx.Response:
        send = client.post if client else httpx.post
        answer = send(
            f"{self.plant.address}/v1/batch", json={"batch": list(items)}, auth=(self.write_key, ""), timeout=10
        )
        self.statuses[answer.status_code] += 1
        if answer.status_code != 200:
            self.headers.append(answer.headers)
        return answer

    @contextlib.contextmanager
    def busy(self, *, threads: int = 3, events: int = 20, pause: float = 0.02) -> Iterator[None]:
        """Keeps sending, from several threads, until left."""
        over = threading.Event()
        failures: list[BaseException] = []

        def work() -> None:
            try:
                with httpx.Client() as client:
                    while not over.wait(pause):
                        self.send(self.items(events), client=client)
            except BaseException as error:  # noqa: BLE001 # told to the test's own thread
                failures.append(error)

        workers = [threading.Thread(target=work) for _ in range(threads)]
        for worker in workers:
            worker.start()
        try:
            yield
        finally:
            over.set()
            for worker in workers:
                worker.join()
        assert not failures, failures

    def settle(self) -> None:
        """Waits until nothing waits any more."""

        def is_settled() -> bool:
            try:
                with tenant_session(self.tenant_id) as session:
                    return not any(
                        session.execute(query, {"t": self.tenant_id}).scalar_one()
                        for query in (_WAITING, _IMPORTS, _RESCORES, _DUE)
                    )
            except Exception:  # noqa: BLE001 # the database may be away just now
                return False

        self.plant.wait_until(is_settled)

    def balance(self) -> None:
        """Every accepted event is there once, no other is, and the scores are those that a fresh look gives."""
        self.settle()
        assert self.found() == dict.fromkeys(self.accepted, 1)
        assert self.stored() == self.recomputed()

    def found(self) -> dict[str, int]:
        with tenant_session(self.tenant_id) as session:
            return {row[0]: row[1] for row in session.execute(_EVENTS, {"t": self.tenant_id})}

    def stored(self) -> list[tuple[Any, ...]]:
        return _rows(read_stored(self.tenant_id, EVERYBODY))

    def recomputed(self) -> list[tuple[Any, ...]]:
        with tenant_session(self.tenant_id) as session:
            live = [(version, model) for version, model in load_live(session, self.tenant_id) if model is not None]
        assert len(live) == len(MODELS)
        asked = wanted([model for _, model in live])
        facts = Facts(*read_facts(self.tenant_id, EVERYBODY, **asked, event_ids=False))
        assert facts.leads.height
        return _rows(evaluate(live, facts, datetime.now(UTC)).filter("applies"))

    def rows(self, query: str, **values: object) -> Sequence[Any]:
        with tenant_session(self.tenant_id) as session:
            return session.execute(text(query), {"t": self.tenant_id, **values}).all()


def _rows(scores: pl.DataFrame) -> list[tuple[Any, ...]]:
    return scores.select(*PLACE, "version", "total", "raw", "stage").sort(PLACE).rows()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture(scope="session")
def make_plant(short_folder: Callable[[], Path]) -> Iterator[Callable[..., Plant]]:
    """Starts an Assay; this process is at its database's doors as long as the plant that was made last."""
    made: list[Plant] = []
    before = database._engine

    def make(environment: dict[str, str] | None = None, folder: Path | None = None) -> Plant:
        plant = Plant(folder or short_folder(), environment)
        made.append(plant)
        return plant

    yield make
    database._engine = before
    for plant in made:
        plant.stop()


@pytest.fixture(scope="session")
def shared_plant(make_plant: Callable[..., Plant]) -> Plant:
    return make_plant()


@contextlib.contextmanager
def _at_its_doors(plant: Plant) -> Iterator[Plant]:
    """The other tests of this process go through doors of their own."""
    before, database._engine = database._engine, None
    database.configure(plant.settings.database_url)
    try:
        yield plant
    finally:
        database.engine().dispose()
        database._engine = before


@pytest.fixture
def at_its_doors() -> Callable[[Plant], contextlib.AbstractContextManager[Plant]]:
    return _at_its_doors


@pytest.fixture
def plant(shared_plant: Plant) -> Iterator[Plant]:
    with _at_its_doors(shared_plant):
        shared_plant.wait_until(shared_plant.is_healthy)
        yield shared_plant


@pytest.fixture
def books(plant: Plant) -> Books:
    return plant.make_tenant()
