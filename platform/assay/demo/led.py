"""How the stand-ins of vendors are reached: told by their process in a file of the data folder."""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import msgspec


class StandIn(msgspec.Struct):
    """How a service's stand-in is reached."""

    port: int
    #: The settings that lead its plugin there.
    environ: dict[str, str]
    #: What whoever connects fills in.
    form: dict[str, str]


def path_in(data_dir: Path) -> Path:
    return data_dir / "stand-ins.json"


def read(data_dir: Path) -> dict[str, StandIn]:
    """By the service's name; empty until they run."""
    with suppress(FileNotFoundError):
        return msgspec.json.decode(path_in(data_dir).read_bytes(), type=dict[str, StandIn])
    return {}


def written_at(data_dir: Path) -> int:
    """Another number whenever they began anew; 0 until they run."""
    with suppress(FileNotFoundError):
        return path_in(data_dir).stat().st_mtime_ns
    return 0


def forget(data_dir: Path) -> None:
    path_in(data_dir).unlink(missing_ok=True)


def write(data_dir: Path, found: Mapping[str, StandIn]) -> None:
    unfinished = path_in(data_dir).with_suffix(".new")
    with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:  # noqa: PTH123 # a mode from the start
        file.write(msgspec.json.format(msgspec.json.encode(found)))
    unfinished.replace(path_in(data_dir))
