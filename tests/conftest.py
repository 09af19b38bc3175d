"""A real PostgreSQL and Redis for the whole session, and a tenant of its own for each test that asks for one."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis
from sqlalchemy import text

from assay import embedded, pipeline
from assay.embedded import Embedded
from assay.guards import guard
from assay.migrating import upgrade
from assay.settings import Settings
from assay_tenants import database
from assay_tenants.access import passwords
from assay_tenants.access.service import SignedUp, sign_up

PASSWORD = "a long enough password"
START_PATIENCE = 30.0

_numbers = count(1)


@pytest.fixture(scope="session")
def short_folder() -> Iterator[Callable[[], Path]]:
    """Makes folders whose paths are short enough for sockets; pytest's own are not always."""
    folders: list[Path] = []

    def make() -> Path:
        folders.append(Path(tempfile.mkdtemp(prefix="assay-test-")))
        return folders[-1]

    yield make
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session", autouse=True)
def hasher() -> Iterator[PasswordHasher]:
    """The product's own. Thousands of tenants sign up here: in this process a weaker one does it meanwhile."""
    strong, passwords._hasher = passwords._hasher, PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    yield strong
    passwords._hasher = strong


@pytest.fixture(scope="session")
def servers(short_folder: Callable[[], Path]) -> Iterator[Embedded]:
    with embedded.start(short_folder() / "data") as running:
        upgrade(running.owner_url)
        yield running


@pytest.fixture(scope="session")
def settings(servers: Embedded) -> Settings:
    return embedded.completed(Settings(data_dir=servers.places.data_dir, demo=False))


@pytest.fixture(scope="session")
def connected(settings: Settings) -> Iterator[None]:
    """This process at the doors to the database, in the application's role."""
    guard(settings)
    engine = database.configure(settings.database_url)
    yield
    engine.dispose()


@pytest.fixture(scope="session")
def redis(settings: Settings) -> Redis:
    return Redis.from_url(settings.redis_url)


@pytest.fixture(scope="session")
def serve(settings: Settings) -> Callable[..., AbstractContextManager[int]]:
    """Runs a real web server over the tests' own database, with further settings if need be, and tells its port."""

    @contextmanager
    def serving(**further: str) -> Iterator[int]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = int(free.getsockname()[1])
        environment = {
            "ASSAY_DATABASE_URL": settings.database_url,
            "ASSAY_REDIS_URL": settings.redis_url,
            "ASSAY_SECRET_KEY": settings.secret_key,
            "ASSAY_SEALING_KEYS": settings.sealing_keys,
            "ASSAY_PORT": str(port),
        }
        server = subprocess.Popen([sys.executable, "-m", "assay.cli", "serve"], env=os.environ | environment | further)
        try:
            deadline = time.monotonic() + START_PATIENCE
            while True:
                with socket.socket() as attempt:
                    if attempt.connect_ex(("127.0.0.1", port)) == 0:
                        break
                assert server.poll() is None, "the server could not start"
                assert time.monotonic() < deadline, "the server does not listen"
                time.sleep(0.05)
            yield port
        finally:
            server.terminate()
            server.wait(30)

    return serving


@pytest.fixture
def make_tenant(connected: None) -> Callable[[], SignedUp]:
    """A new tenant at each call; tests need not clean up, because no tenant sees another's rows."""

    def make() -> SignedUp:
        number = next(_numbers)
        return sign_up(
            company=f"Quartz & Co {number}",
            name="Ada Example",
            email=f"ada{number}@quartz.example.test",
            password=PASSWORD,
            plugin="segment",
            verified=True,
        )

    return make


@pytest.fixture
def tenant(make_tenant: Callable[[], SignedUp]) -> SignedUp:
    return make_tenant()


@pytest.fixture
def neighbour(make_tenant: Callable[[], SignedUp]) -> SignedUp:
    return make_tenant()


class Mails(list[str]):
    """What was written to an address, oldest first: the subject, then the text."""

    @property
    def key(self) -> str:
        """The secret of the link in the latest."""
        return self[-1].partition("key=")[2].split()[0]


@pytest.fixture
def mails_to(connected: None) -> Callable[[str], Mails]:
    def read(email: str) -> Mails:
        query = text("SELECT subject || chr(10) || body FROM tenancy.mails WHERE recipient = :to ORDER BY id")
        with database.directory_session() as session:
            return Mails(session.scalars(query, {"to": email}))

    return read


@pytest.fixture
def work_off() -> Callable[[int], int]:
    """Does here and now what the workers would do for a tenant; tells how many rows it took."""

    def work(tenant_id: int) -> int:
        rows = 0
        while taken := sum(pipeline.turn(stage, tenant_id) for stage in pipeline.STAGES):
            rows += taken
        return rows

    return work


@pytest.fixture(scope="session")
def app(settings: Settings) -> Flask:
    # Loaded only for those who ask: most tests need neither the web nor its imports.
    from assay.app import create_app

    return create_app(settings)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()
