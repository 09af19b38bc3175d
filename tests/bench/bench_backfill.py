"""Millions of past events by import, from the upload to the last row kept: ``python -m tests.bench backfill``.

Web server and workers as ``assay run`` starts them; two models are live, so leads are scored beside it. COPY of the
same rows into the same table, with its indexes, is the limit.
"""

import csv
import os
import random
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import psutil
from rich.console import Console
from rich.table import Table
from sqlalchemy import text

from assay import plugins
from assay.scoring import service
from assay_tenants import access, keys
from assay_tenants.database import tenant_session
from tests.bench.bench_sustained import physical_limits
from tests.bench.running import Running, assay_running
from tests.bench.visitors import MODELS, PAGES

EVENTS = int(os.environ.get("BENCH_EVENTS", "5000000"))
PEOPLE = 200_000
TARGET = 25_000
PORT = 18_120
_EVENTS = text("SELECT count(*) FROM profiles.events WHERE tenant_id = :t")
_DUE = text("SELECT count(*) FROM scoring.due WHERE tenant_id = :t AND due_at <= now()")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, assay_running(port=PORT) as running:
        path = write(Path(folder) / "events.csv")
        tenant = access.sign_up(
            company="Bench",
            name="Bench",
            email="bench@example.test",
            password="as long as it takes",
            plugin=plugins.installed().tracking_source().name,
        )
        for name, model in MODELS.items():
            service.create_model(tenant.tenant_id, model)
            service.publish(tenant.tenant_id, name, by="bench")
        key = keys.issue_key(tenant.tenant_id, kind="api", name="bench").secret
        with httpx.Client(base_url=f"{running.address}/api/v1", headers={"Authorization": f"Bearer {key}"}) as client:
            uploaded, kept, memory = run(client, path, running)
        begun = time.monotonic()
        with tenant_session(tenant.tenant_id) as session:
            found = session.execute(_EVENTS, {"t": tenant.tenant_id}).scalar_one()
        while _due(tenant.tenant_id):
            time.sleep(0.5)
        scored = time.monotonic() - begun
        limits = physical_limits(running)
    table = Table(title=f"{EVENTS:,} events of {PEOPLE:,} people from one CSV file")
    for column in ("step", "seconds", "events/s", "target"):
        table.add_column(column, justify="left" if column == "step" else "right")
    for step, seconds, target in (
        ("uploaded", uploaded, ""),
        ("read, checked and kept", kept, ""),
        ("both", uploaded + kept, f"≥ {TARGET:,}"),
        ("last scores after that", scored, ""),
    ):
        table.add_row(step, f"{seconds:.1f}", f"{EVENTS / seconds:,.0f}" if seconds > 1 else "", target)
    console = Console(width=110)
    console.print(table)
    console.print(f"events found {found:,}; most memory of the intake worker {memory:.0f} MB")
    for name, value in limits.items():
        console.print(f"limit: {name}: {value:,.0f}")


def write(path: Path) -> Path:
    drawn = random.Random(5)
    first = datetime(2026, 10, 1, tzinfo=UTC)
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["user_id", "type", "occurred_at", "message_id", "path", "value"])
        table.writerows(_rows(drawn, first))
    return path


def _rows(drawn: random.Random, at: datetime) -> Iterator[list[object]]:
    """In the order of time, as exports are: visits of one to fifteen events, spread over a month."""
    number, pause = 0, timedelta(days=30) / (EVENTS / 8)
    while number < EVENTS:
        who = f"u{drawn.randrange(PEOPLE)}"
        for step in range(min(drawn.randrange(1, 16), EVENTS - number)):
            kind = "page.viewed" if drawn.random() < 0.8 else "offer_downloaded"
            when = (at + timedelta(seconds=30 * step)).isoformat()
            yield [who, kind, when, f"m{number}", drawn.choice(PAGES), number % 100]
            number += 1
        at += pause


def run(client: httpx.Client, path: Path, running: Running) -> tuple[float, float, float]:
    begun = time.monotonic()
    with path.open("rb") as file:
        asked = {"kind": "events", "filename": path.name}
        headers = {"Content-Type": "text/csv"}
        answer = client.post("/imports", params=asked, content=file, headers=headers, timeout=600)
    answer.raise_for_status()
    uploaded = time.monotonic() - begun
    number, memory = answer.json()["id"], 0.0
    while True:
        report = client.get(f"/imports/{number}").json()
        memory = max(memory, _memory(running))
        if report["state"] in ("done", "failed"):
            break
        time.sleep(0.5)
    if report["state"] == "failed":
        raise RuntimeError(report["error"])
    return uploaded, time.monotonic() - begun - uploaded, memory


def _memory(running: Running) -> float:
    most = 0.0
    for process in running.processes():
        try:
            if "intake" in process.cmdline():
                most = max(most, process.memory_info().rss / 1e6)
        except psutil.Error:
            continue
    return most


def _due(tenant_id: int) -> int:
    with tenant_session(tenant_id) as session:
        waiting: int = session.execute(_DUE, {"t": tenant_id}).scalar_one()
    return waiting


if __name__ == "__main__":
    main()
