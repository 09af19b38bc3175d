"""An installation whose tenants are connected to a vendor's stand-in: what workers and doors are measured in."""

import logging
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import structlog

from assay import embedded, plugins
from assay.guards import guard
from assay.migrating import upgrade
from assay.settings import Settings
from assay.syncing import service
from assay_sdk import egress
from assay_sdk.testing import running
from assay_tenants import access, connections, database
from tests.vendors.quarry import Quarry, QuarrySimulator

ROOT = Path(__file__).parents[2]
#: Runs a command after a change to what is measured.
PATCHED = "from assay.syncing import pulling; pulling.JITTER = 0.0; from assay.cli import main; main()"


@dataclass
class Site:
    settings: Settings
    simulator: QuarrySimulator
    environment: dict[str, str]
    processes: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    def start(self, *words: str, patched: bool = False, **further: str) -> "subprocess.Popen[bytes]":
        """One of our commands, with the vendor's plugin installed."""
        how = ["-c", PATCHED] if patched else ["-m", "assay.cli"]
        process = subprocess.Popen(
            [sys.executable, *how, *words],
            env=self.environment | further,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL if not os.environ.get("BENCH_LOUD") else None,
        )
        self.processes.append(process)
        return process

    def serve(self) -> str:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.start("serve", ASSAY_PORT=str(port))
        until = time.monotonic() + 30
        while time.monotonic() < until:
            with socket.socket() as attempt:
                if attempt.connect_ex(("127.0.0.1", port)) == 0:
                    return f"http://127.0.0.1:{port}"
            time.sleep(0.1)
        raise RuntimeError("The server does not listen.")

    def tenant(self) -> int:
        return access.sign_up(
            company="Bench",
            name="Bench",
            email=f"bench{uuid4().hex[:12]}@example.test",
            password="as long as it takes",
            plugin="quarry",
        ).tenant_id

    def connect(self, tenant_id: int) -> tuple[int, str]:
        """A connection with an account of its own."""
        grant = self.simulator.granted(uuid4().hex)
        connection_id = connections.create(
            tenant_id,
            plugin="quarry",
            name="Quarry",
            account=grant.account,
            credentials={"access_token": grant.access_token, "refresh_token": grant.refresh_token},
            expires_at=datetime.now(UTC) + timedelta(hours=6),
        )
        service.establish(tenant_id, connection_id, "quarry", grant.account, title=grant.account, hook_token="")
        return connection_id, grant.account


@contextmanager
def site(simulator: QuarrySimulator) -> Iterator[Site]:
    """PostgreSQL and Redis of its own, and this process connected to them."""
    # A thousand connections are as many entries of the audit log.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="assay-bench-")))
        servers = stack.enter_context(embedded.start(folder / "data"))
        upgrade(servers.owner_url)
        stack.enter_context(running(simulator))
        settings = embedded.completed(Settings(data_dir=folder / "data", demo=False, egress_allow="127.0.0.1"))
        guard(settings)
        database.configure(settings.database_url)
        egress.configure(["127.0.0.1"])
        plugins.installed().services["quarry"] = Quarry()
        plugins.installed().sources["quarry"] = Quarry.source
        installed = folder / "plugins" / "tests_vendors-1.0.dist-info"
        installed.mkdir(parents=True)
        (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: tests-vendors\nVersion: 1.0\n")
        (installed / "entry_points.txt").write_text("[assay]\nquarry = tests.vendors.quarry\n")
        found = Site(
            settings,
            simulator,
            {
                **{name: value for name, value in os.environ.items() if not name.startswith("ASSAY_")},
                **settings.as_environ(),
                **{
                    f"ASSAY_PLUGIN_QUARRY_{name.upper()}": value
                    for name, value in simulator.app_settings().items()
                    if value
                },
                "PYTHONPATH": f"{installed.parent}:{ROOT}",
            },
        )
        try:
            yield found
        finally:
            for process in found.processes:
                process.kill()
                process.wait()
            database.engine().dispose()
