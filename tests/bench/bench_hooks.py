"""How fast a vendor's notices are answered, alone and while a first load runs: ``python -m tests.bench hooks``.

Each answer means that the notice is proven and on disk. The load is as fast as the vendor's limit allows, and what it
brings is made into leads meanwhile. Senders are a process of their own; all share the machine.
"""

import json
import os
import statistics
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import httpx
from rich.console import Console
from rich.table import Table
from sqlalchemy import text

from assay_tenants.database import tenant_session
from tests.bench.quarries import Site, site
from tests.vendors.quarry import QuarrySimulator, signed

SECONDS = float(os.environ.get("BENCH_SECONDS", "20"))
PER_SECOND = 40
SENDERS = 4
LOADS = int(os.environ.get("BENCH_LOADS", "1"))
TARGET = 0.020

_KEPT = text("SELECT count(*) FROM intake.messages WHERE tenant_id = :t AND call = 'hook'")
_RECORDS = text("SELECT coalesce(sum(records), 0) FROM intake.streams WHERE tenant_id = :t AND name = 'stones'")


def main() -> None:
    simulator = QuarrySimulator(stones=1_000_000)
    table = Table(title=f"Notices answered, {PER_SECOND} a second by {SENDERS} senders")
    for column in ("While", "Sent", "Kept", "p50", "p95", "p99", "Slowest"):
        table.add_column(column, justify="left" if column == "While" else "right")
    with site(simulator) as made:
        address = made.serve()
        tenant_id = made.tenant()
        _, account = made.connect(tenant_id)
        _row(table, "nothing else runs", made, address, tenant_id, account)
        loading = made.tenant()
        for _ in range(LOADS):
            made.connect(loading)
        made.start("worker", "intake", "--with-timetable")
        made.start("worker", "sync")
        until = time.monotonic() + 60
        while not _scalar(_RECORDS, loading) and time.monotonic() < until:
            time.sleep(0.2)
        before = _scalar(_RECORDS, loading)
        _row(table, f"first loads: {LOADS}", made, address, tenant_id, account)
        loaded = _scalar(_RECORDS, loading) - before
    Console().print(table)
    Console().print(f"Meanwhile {loaded:,} contacts were loaded. Promised: p95 within {TARGET * 1000:.0f} ms.")


def _row(table: Table, what: str, made: Site, address: str, tenant_id: int, account: str) -> None:
    before = _scalar(_KEPT, tenant_id)
    secret = made.simulator.client_secret
    # What we sign is the address as it is configured, not the one that is called.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        took = sorted(process.submit(_send_all, address, account, secret).result())
    kept = _scalar(_KEPT, tenant_id) - before
    cuts = statistics.quantiles(took, n=100)
    shown = [f"{each * 1000:.1f} ms" for each in (cuts[49], cuts[94], cuts[98], took[-1])]
    table.add_row(what, f"{len(took):,}", f"{kept:,}", *shown)


def _send_all(address: str, account: str, secret: str) -> list[float]:
    with ThreadPoolExecutor(SENDERS) as pool:
        parts = pool.map(lambda number: _send(number, address, account, secret), range(SENDERS))
        return [seconds for part in parts for seconds in part]


def _send(number: int, address: str, account: str, secret: str) -> list[float]:
    took = []
    pause = SENDERS / PER_SECOND
    with httpx.Client() as client:
        until = time.monotonic() + SECONDS
        at = time.monotonic() + pause * number / SENDERS
        while at < until:
            time.sleep(max(0.0, at - time.monotonic()))
            body = json.dumps({"notices": [{"account": account, "stone": int(at * 1000) % 1000}]}).encode()
            headers = signed(body, url=f"{address}/hooks/quarry", secret=secret, at=time.time())
            began = time.monotonic()
            status = client.post(f"{address}/hooks/quarry", content=body, headers=headers).status_code
            took.append(time.monotonic() - began)
            if status != 200:
                raise RuntimeError(f"A notice was answered {status}.")
            at += pause
    return took


def _scalar(query: object, tenant_id: int) -> int:
    with tenant_session(tenant_id) as session:
        return int(session.execute(query, {"t": tenant_id}).scalar_one())  # type: ignore[call-overload] # a text
