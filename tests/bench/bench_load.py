"""The first load of 100,000 contacts, against the vendor's limit of 110 requests in ten seconds, with a worker that is
killed in the middle: ``python -m tests.bench load``.
"""

import os
import signal
import time
from bisect import bisect_left
from threading import Event, Thread

import psutil
from rich.console import Console
from rich.table import Table
from sqlalchemy import text

from assay_tenants.database import tenant_session
from tests.bench.quarries import site
from tests.vendors.quarry import PAGE, QuarrySimulator

CONTACTS = int(os.environ.get("BENCH_CONTACTS", "100000"))
#: What the vendor states.
REQUESTS, WINDOW = 110, 10.0

_STREAM = text("SELECT records, loaded_at FROM intake.streams WHERE tenant_id = :t AND name = 'stones'")
_LEADS = text("SELECT count(*) FROM profiles.leads WHERE tenant_id = :t")
_MESSAGES = text(
    "SELECT count(*), count(DISTINCT body) FROM intake.messages WHERE tenant_id = :t AND call = 'pull/stones'"
)
# What is under way when its worker is killed is due when its lease ends, in two minutes: not waited for here.
_LEASE_ENDS = text("UPDATE intake.streams SET due_at = now() WHERE tenant_id = :t AND leased_until IS NOT NULL")


def main() -> None:
    simulator = QuarrySimulator(stones=CONTACTS, per_window=REQUESTS)
    with site(simulator) as made:
        tenant_id = made.tenant()
        made.connect(tenant_id)
        made.start("worker", "intake", "--with-timetable")
        worker = made.start("worker", "sync")
        peak: list[int] = [0]
        stopped = Event()
        watched = [worker.pid]
        Thread(target=_watch, args=(watched, peak, stopped), daemon=True).start()
        began, killed_at, resumed_after = time.monotonic(), 0, 0.0
        while True:
            time.sleep(0.25)
            with tenant_session(tenant_id) as session:
                records, loaded_at = session.execute(_STREAM, {"t": tenant_id}).one()
            if loaded_at is not None:
                break
            if not killed_at and records >= CONTACTS // 2:
                worker.send_signal(signal.SIGKILL)
                worker.wait()
                killed_at, at = records, time.monotonic()
                with tenant_session(tenant_id) as session:
                    session.execute(_LEASE_ENDS, {"t": tenant_id})
                worker = made.start("worker", "sync")
                watched.append(worker.pid)
            elif killed_at and not resumed_after and records > killed_at:
                resumed_after = time.monotonic() - at
        took = time.monotonic() - began
        stopped.set()
        while True:
            with tenant_session(tenant_id) as session:
                leads = session.execute(_LEADS, {"t": tenant_id}).scalar_one()
                messages, distinct = session.execute(_MESSAGES, {"t": tenant_id}).one()
            if leads >= CONTACTS or time.monotonic() - began > took + 300:
                break
            time.sleep(0.5)
        until_leads = time.monotonic() - began
    asked_at = sorted(simulator.asked_at)
    asked = len(asked_at)
    most = max(bisect_left(asked_at, at + WINDOW) - place for place, at in enumerate(asked_at))
    table = Table(title=f"First load of {CONTACTS:,} contacts, {PAGE} a page")
    table.add_column("Measure")
    table.add_column("Value", justify="right")
    for measure, value in (
        ("Loaded in", f"{took:,.1f} s"),
        ("Contacts a second", f"{CONTACTS / took:,.0f}"),
        ("Requests a second", f"{asked / took:.2f}"),
        ("What the vendor's limit allows", f"{REQUESTS / WINDOW:.2f}"),
        ("Most requests in ten seconds, of 110", f"{most:,}"),
        ("Refused by the vendor (429)", f"{len(simulator.refused_at):,}"),
        ("Killed (-9) at", f"{killed_at:,} contacts"),
        ("Went on after", f"{resumed_after:.1f} s"),
        ("Pages kept, and of them different", f"{messages:,} / {distinct:,}"),
        ("Leads made of them, after", f"{leads:,} / {until_leads:,.1f} s"),
        ("Most memory of the worker", f"{peak[0] / 1e6:,.0f} MB"),
    ):
        table.add_row(measure, value)
    Console().print(table)


def _watch(pids: list[int], peak: list[int], stopped: Event) -> None:
    while not stopped.wait(0.2):
        try:
            peak[0] = max(peak[0], psutil.Process(pids[-1]).memory_info().rss)
        except psutil.Error:
            continue
