"""The embedded default: a real PostgreSQL and a real Redis in one data folder, ours alone and nobody's network."""

import contextlib
import dataclasses
import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from assay import roles
from assay.places import EmbeddedError, Places, prepare_folders
from assay.servers import Postgres, Redis
from assay.settings import Settings, sealing_keys_in, secret_key_in


class InUse(EmbeddedError):
    def __init__(self, data_dir: Path, owner: str) -> None:
        super().__init__(
            f"The data folder {data_dir} is in use by process {owner or 'of another run'}. "
            "Stop that one first, or set ASSAY_DATA_DIR to another folder."
        )


class Unusable(EmbeddedError):
    def __init__(self, data_dir: Path, error: OSError) -> None:
        super().__init__(
            f"The data folder {data_dir} can't be used: {error.filename}: {error.strerror}. "
            "Set ASSAY_DATA_DIR to a folder that you may write to."
        )


def completed(settings: Settings) -> Settings:
    """The settings with what was left empty filled in from the data folder."""
    places = Places(settings.data_dir)
    # Several machines share a database that is not embedded: a ring of each would open nothing of the others'.
    owns_database = settings.embedded_database
    if owns_database:
        settings = dataclasses.replace(
            settings,
            database_url=places.postgres_url(roles.APPLICATION),
            migration_database_url=places.postgres_url(roles.OWNER),
        )
    if settings.embedded_redis:
        settings = dataclasses.replace(settings, redis_url=places.redis_url)
    if not settings.data_dir.is_dir():
        return settings
    try:
        if not settings.secret_key:
            settings = dataclasses.replace(settings, secret_key=secret_key_in(settings.data_dir))
        if not settings.sealing_keys and owns_database:
            settings = dataclasses.replace(settings, sealing_keys=sealing_keys_in(settings.data_dir))
    except OSError as error:
        raise Unusable(settings.data_dir, error) from None
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
    postgres: Postgres
    redis: Redis

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
    try:
        prepare_folders(places)
        lock = Lock(places)
    except OSError as error:
        raise Unusable(data_dir, error) from None
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
