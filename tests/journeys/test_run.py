"""`assay run` for real: it serves, restarts what dies, stops cleanly, and loses nothing when all of it is killed."""

import contextlib
import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
from redis import Redis

from assay import pipeline, roles
from assay.cli.run import QUEUES
from assay.demo.account import Account, read
from assay.demo.story import Story
from assay.places import Places

PATIENCE = 90.0


class Run:
    def __init__(self, folder: Path, *arguments: str) -> None:
        self.folder = folder
        self.log = folder.parent / f"output-{time.monotonic_ns()}"
        environ = {name: value for name, value in os.environ.items() if not name.startswith("ASSAY_")}
        with self.log.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "assay.cli", "run", "--data-dir", str(folder), *arguments],
                stdout=output,
                stderr=output,
                env=environ,
                # A group as a terminal makes one for each command.
                process_group=0,
            )

    @property
    def output(self) -> str:
        return self.log.read_text()

    def wait_for(self, pattern: str) -> re.Match[str]:
        deadline = time.monotonic() + PATIENCE
        while not (found := re.search(pattern, self.output)):
            assert self.process.poll() is None, self.output
            assert time.monotonic() < deadline, self.output
            time.sleep(0.05)
        return found

    def port(self) -> int:
        return int(self.wait_for(r"Serving at http://127\.0\.0\.1:(\d+)")[1])

    def processes(self) -> list[psutil.Process]:
        """All that belongs to the folder, whoever its parent is by now; the supervisor first."""
        found = [psutil.Process(self.process.pid)] if self.process.poll() is None else []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                belongs = process.environ().get("ASSAY_DATA_DIR") == str(self.folder)
                # Servers rename themselves: PostgreSQL's helpers are told by where they are.
                at_work = process.cwd() == str(self.folder / "postgres") or str(self.folder) in " ".join(
                    process.cmdline()
                )
                if belongs or at_work:
                    found.append(process)
        return [process for process in dict.fromkeys(found) if is_alive(process)]

    def child(self, *command: str) -> psutil.Process:
        (found,) = [
            process
            for process in psutil.Process(self.process.pid).children()
            if is_alive(process) and process.cmdline()[-len(command) :] == list(command)
        ]
        return found

    def interrupt(self) -> str:
        """Ctrl-C in a terminal: the whole foreground group gets it."""
        os.killpg(self.process.pid, signal.SIGINT)
        self.process.wait(PATIENCE)
        return self.output

    def kill_all(self) -> None:
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait(PATIENCE)


def is_alive(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def is_healthy(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def wait_until(is_so: Callable[[], bool], run: Run, tell: Callable[[], object] = lambda: "") -> None:
    deadline = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < deadline, f"{tell()}\n{run.output}"
        time.sleep(0.1)


@pytest.fixture
def start(short_folder: Callable[[], Path]) -> Iterator[Callable[..., Run]]:
    runs: list[Run] = []
    folder = short_folder() / "data"

    def begin(*arguments: str) -> Run:
        runs.append(Run(folder, *arguments))
        return runs[-1]

    yield begin
    for run in runs:
        run.kill_all()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_from_start_to_ctrl_c(start: Callable[..., Run]) -> None:
    run = start("--no-demo", "--port", str(free_port()))
    port = run.port()
    assert is_healthy(port)

    second = start("--no-demo")
    assert second.process.wait(PATIENCE) == 1
    assert f"is in use by process {run.process.pid}" in second.output
    assert is_healthy(port)

    run.interrupt()
    assert run.process.returncode == 0
    assert run.processes() == []


def test_a_taken_port_picks_the_next(start: Callable[..., Run]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        wanted = taken.getsockname()[1]
        run = start("--no-demo", "--port", str(wanted))
        assert run.port() > wanted
        assert f"Port {wanted} is taken; using " in run.output


def test_what_dies_is_started_again(start: Callable[..., Run]) -> None:
    run = start("--no-demo", "--port", str(free_port()))
    port = run.port()
    for command in (("worker", "scoring"), ("serve",)):
        before = run.child(*command)
        before.kill()
        wait_until(lambda: is_restarted(run, command, before.pid), run)  # noqa: B023 # called before the loop goes on
    wait_until(lambda: is_healthy(port), run)
    postgres = Places(run.folder).postgres / "postmaster.pid"
    os.kill(int(postgres.read_text().split()[0]), signal.SIGKILL)
    run.wait_for("postgres ended")
    wait_until(lambda: is_healthy(port), run)


def is_restarted(run: Run, command: tuple[str, ...], before: int) -> bool:
    try:
        return run.child(*command).pid != before
    except (ValueError, psutil.NoSuchProcess):
        return False


def test_a_killed_supervisor_leaves_no_orphan(start: Callable[..., Run]) -> None:
    run = start("--no-demo", "--port", str(free_port()))
    run.port()
    run.process.kill()
    run.process.wait(PATIENCE)
    wait_until(lambda: run.processes() == [], run)


def test_started_at_once_after_only_the_supervisor_was_killed(start: Callable[..., Run]) -> None:
    port = str(free_port())
    run = start("--no-demo", "--port", port)
    run.port()
    before = run.processes()
    run.process.kill()
    run.process.wait(PATIENCE)
    again = start("--no-demo", "--port", port)
    assert again.port() == int(port)
    psutil.wait_procs(before, timeout=PATIENCE)
    # What ended late must not have taken away what the new ones had made.
    assert Redis.from_url(Places(again.folder).redis_url).ping()
    assert is_healthy(int(port))


def test_killed_half_way_the_history_arrives_once(start: Callable[..., Run]) -> None:
    port = str(free_port())
    run = start("--port", port)
    run.wait_for("write key")
    wait_until(lambda: events(run) > 100, run)
    first_key = account(run).write_key
    run.kill_all()

    again = start("--port", port)
    assert again.wait_for(r"write key +(\S+)")[1] == first_key
    wanted = sum(call.method in {"page", "track"} for call in Story(account(again).since).history())
    # The trickle adds its own events; the history's carry ids of its own.
    wait_until(lambda: events(again, of="lumen-%") >= wanted, again)
    time.sleep(1)
    assert events(again, of="lumen-%") == wanted
    # The stand-ins of the vendors forgot all that they had granted; the same accounts are connected again.
    again.wait_for("Stand-ins of Bitrix24, Calendly, HubSpot, Intercom, Segment are connected")
    wait_until(lambda: at_work(again) == (5, 5, 0, 4, 4), again, lambda: standing(again))


def at_work(run: Run) -> tuple[int, ...]:
    """Connections, their services, streams that are not loaded, places that scores go to, those that got some."""
    with psycopg.connect(Places(run.folder).postgres_url(roles.APPLICATION)) as connection:
        connection.execute(f"SET app.tenant_id = '{account(run).tenant_id}'")
        row = connection.execute("""
            SELECT (SELECT count(*) FROM intake.links),
                (SELECT count(DISTINCT plugin) FROM intake.links),
                (SELECT count(*) FROM intake.streams WHERE loaded_at IS NULL OR error <> ''),
                (SELECT count(*) FROM delivery.targets),
                (SELECT count(*) FROM delivery.targets WHERE sent > 0 AND error = '')
        """).fetchone()
        assert row is not None
        return tuple(row)


def standing(run: Run) -> list[object]:
    """What keeps them from it."""
    with psycopg.connect(Places(run.folder).postgres_url(roles.APPLICATION)) as connection:
        connection.execute(f"SET app.tenant_id = '{account(run).tenant_id}'")
        return [
            *connection.execute("SELECT connection_id, plugin, error, open_until, now() FROM intake.links"),
            *connection.execute("SELECT connection_id, name, loaded_at, due_at, error FROM intake.streams"),
            *connection.execute("SELECT plugin, sent, due_at, leased_until, error FROM delivery.targets"),
            *connection.execute("SELECT connection_id, state, error, count(*) FROM delivery.pushes GROUP BY 1, 2, 3"),
        ]


def account(run: Run) -> Account:
    found = read(run.folder)
    assert found is not None
    return found


def events(run: Run, of: str = "%") -> int:
    try:
        with psycopg.connect(Places(run.folder).postgres_url(roles.APPLICATION)) as connection:
            connection.execute(f"SET app.tenant_id = '{account(run).tenant_id}'")
            row = connection.execute("SELECT count(*) FROM profiles.events WHERE sender_id LIKE %s", (of,)).fetchone()
            assert row is not None
            return int(row[0])
    except psycopg.OperationalError:
        return 0


def test_the_supervisor_knows_the_queues() -> None:
    assert pipeline.QUEUES == QUEUES
