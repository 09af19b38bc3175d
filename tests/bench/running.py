"""A whole Assay for a measurement: ``assay run`` in a folder of its own, ended with all its processes."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from assay import embedded
from assay.places import Places
from assay.settings import Settings
from assay_tenants import database

PATIENCE = 90.0


@dataclass(frozen=True)
class Running:
    address: str
    process: psutil.Process
    #: Seconds from the command until it answered.
    took: float
    places: Places

    def processes(self) -> list[psutil.Process]:
        return [self.process, *self.process.children(recursive=True)]


@contextmanager
def assay_running(
    *, demo: bool = False, port: int = 18_100, environment: Mapping[str, str] | None = None
) -> Iterator[Running]:
    """Also connects this process to its database, for making tenants."""
    with tempfile.TemporaryDirectory(prefix="assay-bench-") as folder:
        data_dir = Path(folder) / "data"
        began = time.monotonic()
        supervisor = subprocess.Popen(
            [
                *(sys.executable, "-m", "assay.cli", "run", "--port", str(port), "--data-dir", str(data_dir)),
                "--demo" if demo else "--no-demo",
            ],
            env={name: value for name, value in os.environ.items() if not name.startswith("ASSAY_")}
            | dict(environment or {}),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            address = f"http://127.0.0.1:{port}"
            _wait_until_healthy(address, supervisor)
            took = time.monotonic() - began
            database.configure(embedded.completed(Settings(data_dir=data_dir)).database_url)
            yield Running(address, psutil.Process(supervisor.pid), took, Places(data_dir))
        finally:
            supervisor.send_signal(signal.SIGINT)
            supervisor.wait(60)


def _wait_until_healthy(address: str, supervisor: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if supervisor.poll() is not None:
            raise RuntimeError(f"assay run ended with {supervisor.returncode}.")
        try:
            if httpx.get(f"{address}/healthz").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise RuntimeError(f"{address} did not answer within {PATIENCE:g} s.")
