"""A disk that is full, a partition that is missing, a connection that is cut where it hurts most."""

import contextlib
import os
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from assay import pipeline
from tests.faults.conftest import free_port

ROOM = 700 * 1024**2


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A file system of its own, which may be filled without harm."""
    folder = Path(tempfile.mkdtemp(prefix="assay-disk-"))
    mount = shutil.which("mount")
    options = ["-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", str(folder)]
    if mount is None or subprocess.run([mount, *options], capture_output=True, check=False).returncode:
        folder.rmdir()
        pytest.skip("only root may mount a file system")
    # The embedded PostgreSQL has a user of its own.
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
        folder.rmdir()


def fill(folder: Path, *, leave: int = 0) -> Path:
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while shutil.disk_usage(folder).free > leave:
            file.write(b"x" * min(1024**2, max(4096, shutil.disk_usage(folder).free - leave)))
    return ballast


def test_a_disk_that_fills_up_refuses_and_loses_nothing(make_plant, at_its_doors, small_disk) -> None:
    plant = make_plant({"ASSAY_DISK_FREE_MB": "0"}, small_disk)
    try:
        with at_its_doors(plant):
            books = plant.make_tenant()
            books.send(books.items(50))
            books.settle()
            with books.busy(threads=2):
                time.sleep(0.5)
                ballast = fill(small_disk)
                deadline = time.monotonic() + 60
                while not books.statuses[503]:
                    assert time.monotonic() < deadline, books.statuses
                    time.sleep(0.1)
                time.sleep(1)
                ballast.unlink()
                plant.wait_until(plant.is_healthy)
                time.sleep(1)
            books.balance()
    finally:
        plant.stop()


def test_little_room_refuses_before_the_disk_is_full(make_plant, at_its_doors, small_disk) -> None:
    plant = make_plant({"ASSAY_DISK_FREE_MB": "100"}, small_disk)
    try:
        with at_its_doors(plant):
            books = plant.make_tenant()
            with books.busy(threads=2):
                time.sleep(0.5)
                ballast = fill(small_disk, leave=50 * 1024**2)
                plant.wait_until(lambda: books.statuses[503] > 0)
                ballast.unlink()
                time.sleep(3)
            assert set(books.statuses) == {200, 503}
            assert all(int(headers["retry-after"]) >= 1 for headers in books.headers)
            books.balance()
    finally:
        plant.stop()


@pytest.mark.parametrize("parent", ["intake.messages", "profiles.events"])
def test_a_partition_missing_at_midnight(plant, books, parent) -> None:
    books.send(books.items(40))
    books.settle()
    schema, name = parent.split(".")
    partitions = """
        SELECT c.oid::regclass::text FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid
        WHERE inhparent = %s::regclass AND pg_get_expr(c.relpartbound, c.oid) <> 'DEFAULT'
    """
    with plant.owner() as owner:
        taken = [row[0] for row in owner.execute(partitions, [parent]).fetchall()]
        assert taken
        for partition in taken:
            # As if it had never been made: what it holds is moved by hand to where it would be then.
            with owner.transaction():
                owner.execute(f"ALTER TABLE {parent} DETACH PARTITION {partition}")
                owner.execute(f"ALTER TABLE {parent} NO FORCE ROW LEVEL SECURITY")
                owner.execute(f"INSERT INTO {parent} SELECT * FROM {partition}")
                owner.execute(f"ALTER TABLE {parent} FORCE ROW LEVEL SECURITY")
                owner.execute(f"DROP TABLE {partition}")
    with books.busy(threads=2):
        time.sleep(1)
        # As the timetable does: whoever is in the way is in the way, and it is tried again.
        plant.wait_until(lambda: pipeline.make_partitions() >= 0 and not stray(plant, f"{schema}.{name}_default"))
        time.sleep(1)
    books.balance()
    assert not stray(plant, f"{schema}.{name}_default")


def stray(plant, default: str) -> int:
    """Rows in a partition that should be empty."""
    with psycopg.connect(plant.places.postgres_url("postgres"), dbname="assay") as superuser:
        (found,) = superuser.execute(f"SELECT count(*) FROM {default}").fetchone()
    return found


class Cutter:
    """Stands between a server and PostgreSQL, and can swallow the answer to a COMMIT together with the connection."""

    def __init__(self, folder: Path, target: Path) -> None:
        self.folder, self.target = folder, target
        self.cuts_left = 0
        self.done = 0
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(folder / ".s.PGSQL.5432"))
        self.listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self.listener.accept()
                far = socket.socket(socket.AF_UNIX)
                far.connect(str(self.target / ".s.PGSQL.5432"))
                threading.Thread(target=self._pass_on, args=(near, far), daemon=True).start()

    def _pass_on(self, near: socket.socket, far: socket.socket) -> None:
        with contextlib.suppress(OSError), near, far:
            while True:
                ready, _, _ = select.select([near, far], [], [])
                for one in ready:
                    data = one.recv(65536)
                    if not data:
                        return
                    if one is far and self.cuts_left and b"COMMIT\0" in data:
                        self.cuts_left -= 1
                        self.done += 1
                        return
                    (near if one is far else far).sendall(data)


def test_a_connection_cut_between_the_commit_and_its_answer(plant, books, short_folder, monkeypatch) -> None:
    sockets = short_folder()
    real = plant.places.sockets
    cutter = Cutter(sockets, real)
    settings = plant.settings
    port = free_port()
    environ = settings.as_environ() | {
        "ASSAY_DATA_DIR": str(plant.folder),
        "ASSAY_DATABASE_URL": settings.database_url.replace(str(real), str(sockets)),
        "ASSAY_PORT": str(port),
    }
    assert str(sockets) in environ["ASSAY_DATABASE_URL"]

    server = subprocess.Popen([sys.executable, "-m", "assay.cli", "serve"], env=os.environ | environ)
    try:
        monkeypatch.setattr(plant, "address", f"http://127.0.0.1:{port}")
        plant.wait_until(plant.is_healthy)
        for _ in range(5):
            cutter.cuts_left = 1
            books.send(books.items(10))
        assert cutter.done == 5
        books.balance()
        assert len(books.rows("SELECT 1 FROM intake.messages WHERE tenant_id = :t")) >= 5
    finally:
        server.terminate()
        server.wait(30)
        cutter.listener.close()
