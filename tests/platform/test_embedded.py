import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import psycopg
import pytest
from redis import Redis

from assay import embedded, roles
from assay.embedded import Embedded, InUse
from assay.places import EmbeddedError, Places, prepare_folders


def processes_of(folder: Path) -> list[psutil.Process]:
    """Those that name the folder, and their children, which PostgreSQL renames."""
    found = []
    for process in psutil.process_iter():
        try:
            if any(str(folder) in part for part in process.cmdline()):
                found += [process, *process.children(recursive=True)]
        except psutil.NoSuchProcess:
            continue
    return [process for process in found if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


def write_note(servers: Embedded, note: str) -> None:
    with psycopg.connect(servers.owner_url) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS notes (note text)")
        connection.execute("INSERT INTO notes VALUES (%s)", (note,))


def notes(servers: Embedded) -> list[str]:
    with psycopg.connect(servers.owner_url) as connection:
        return [note for (note,) in connection.execute("SELECT note FROM notes ORDER BY note")]


class TestStart:
    def test_data_stays_and_nothing_is_left_running(self, short_folder: Callable[[], Path]) -> None:
        folder = short_folder() / "data"
        with embedded.start(folder) as servers:
            write_note(servers, "kept")
            assert Redis.from_url(servers.redis_url).ping()
        assert processes_of(folder) == []
        with embedded.start(folder) as servers:
            assert notes(servers) == ["kept"]

    def test_a_second_start_is_refused(self, servers: Embedded) -> None:
        with pytest.raises(InUse, match=f"in use by process {os.getpid()}"):
            embedded.start(servers.places.data_dir)

    @pytest.mark.parametrize(
        "name",
        [
            pytest.param("deep" * 15 + "/" + "deeper" * 10, id="too long for a socket"),
            pytest.param("my dată 'n' 50% more", id="in need of quoting"),
        ],
    )
    def test_any_path_will_do(self, short_folder: Callable[[], Path], name: str) -> None:
        folder = short_folder() / name
        with embedded.start(folder) as servers:
            assert not servers.places.sockets.is_relative_to(folder)
            assert notes_after_writing(servers) == ["here"]
            assert Redis.from_url(servers.redis_url).ping()

    def test_half_a_cluster_is_made_anew(self, short_folder: Callable[[], Path]) -> None:
        folder = short_folder() / "data"
        prepare_folders(Places(folder))
        (folder / "postgres" / "base").mkdir()
        with embedded.start(folder) as servers:
            assert notes_after_writing(servers) == ["here"]

    def test_another_version_is_refused(self, short_folder: Callable[[], Path]) -> None:
        folder = short_folder() / "data"
        prepare_folders(Places(folder))
        (folder / "postgres" / "PG_VERSION").write_text("16\n")
        with pytest.raises(EmbeddedError, match="made by PostgreSQL 16, this is 18"):
            embedded.start(folder)


def notes_after_writing(servers: Embedded) -> list[str]:
    write_note(servers, "here")
    return notes(servers)


class TestKilled:
    STARTER = (
        "import sys, time; from pathlib import Path; from assay import embedded;"
        "embedded.start(Path(sys.argv[1])); print('ready', flush=True); time.sleep(600)"
    )

    def start_elsewhere(self, folder: Path) -> subprocess.Popen[str]:
        process = subprocess.Popen([sys.executable, "-c", self.STARTER, str(folder)], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    def test_the_starter_alone_takes_its_servers_along(self, short_folder: Callable[[], Path]) -> None:
        folder = short_folder() / "data"
        starter = self.start_elsewhere(folder)
        starter.kill()
        starter.communicate()
        deadline = time.monotonic() + 20
        while processes_of(folder):
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def test_everything_at_once_loses_nothing(self, short_folder: Callable[[], Path]) -> None:
        folder = short_folder() / "data"
        starter = self.start_elsewhere(folder)
        with psycopg.connect(Places(folder).postgres_url(roles.OWNER)) as connection:
            connection.execute("CREATE TABLE notes (note text)")
            connection.execute("INSERT INTO notes VALUES ('committed')")
        for process in processes_of(folder):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        starter.communicate()
        with embedded.start(folder) as servers:
            assert servers.lock.was_torn
            assert notes(servers) == ["committed"]


class TestRoles:
    def test_the_application_owns_nothing_and_is_held_back(self, servers: Embedded) -> None:
        with psycopg.connect(servers.database_url) as connection:
            row = connection.execute(
                "SELECT current_user, rolsuper, rolbypassrls, rolcreaterole, current_setting('app.tenant_id')"
                " FROM pg_roles WHERE rolname = current_user"
            ).fetchone()
        assert row == (roles.APPLICATION, False, False, False, "0")

    def test_other_doors_are_opened_only_on_purpose(self, servers: Embedded) -> None:
        with psycopg.connect(servers.database_url) as connection:
            row = connection.execute(
                "SELECT pg_has_role(%(r)s, 'USAGE'), pg_has_role(%(r)s, 'SET')", {"r": roles.DIRECTORY}
            ).fetchone()
        assert row == (False, True)

    def test_nothing_acknowledged_waits_in_memory(self, servers: Embedded) -> None:
        with psycopg.connect(servers.database_url) as connection:
            for name in ("fsync", "synchronous_commit", "full_page_writes", "data_checksums"):
                assert connection.execute(f"SHOW {name}").fetchone() == ("on",)
