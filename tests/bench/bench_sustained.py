"""A whole minute at a steady pace, from accepted to scored under two models: ``python -m tests.bench sustained``.

Web server, workers, PostgreSQL, Redis and the generator share the machine. Backlogs and memory are looked at every
second; at the end every event that was answered 200 is looked for. Beside it, in the same run: what PostgreSQL and
Redis alone can do.
"""

import os
import time
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from statistics import median

import psutil
import psycopg
from redis import Redis
from rich.console import Console
from rich.table import Table
from sqlalchemy import text

from assay import plugins
from assay.scoring import service
from assay_tenants import access
from assay_tenants.database import tenant_session
from tests.bench.running import Running, assay_running
from tests.bench.visitors import BATCH, MODELS, Crowd, Sent, send_at_pace

RATE = int(os.environ.get("BENCH_RATE", "8000"))
SECONDS = 60
WARM_UP = 5
PEOPLE = 20_000
PORT = 18_100

_WAITING = text("SELECT count(*) FROM intake.waiting WHERE tenant_id = :t")
_OVERDUE = text("SELECT count(*) FROM scoring.due WHERE tenant_id = :t AND due_at <= now() - interval '1 second'")
_EVENTS = text("SELECT count(*) FROM profiles.events WHERE tenant_id = :t")
_SCORES = text("SELECT count(*) FROM scoring.scores WHERE tenant_id = :t")


@dataclass(frozen=True)
class Look:
    at: float
    #: Messages of a hundred events that wait to be understood.
    waiting: int
    #: Leads that have waited to be scored for more than a second.
    overdue: int
    #: Megabytes of each process of ours.
    memory: dict[str, float]


def main() -> None:
    with assay_running(port=PORT, environment={"ASSAY_TENANT_EVENTS_PER_SECOND": "0"}) as running:
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
        crowd = Crowd(PEOPLE)
        warm_up = crowd.requests(WARM_UP * RATE // BATCH, tenant.write_key)
        requests = crowd.requests(SECONDS * RATE // BATCH, tenant.write_key)
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            pool.submit(send_at_pace, PORT, warm_up, RATE / BATCH).result()
            began = time.monotonic()
            future = pool.submit(send_at_pace, PORT, requests, RATE / BATCH)
            looks = watch(running, tenant.tenant_id, future, began)
            sent = future.result()
            ended = time.monotonic()
        while (last := look(running, tenant.tenant_id, began)).waiting or last.overdue:
            time.sleep(0.2)
        drained = time.monotonic() - ended
        with tenant_session(tenant.tenant_id) as session:
            kept = session.execute(_EVENTS, {"t": tenant.tenant_id}).scalar_one()
            scores = session.execute(_SCORES, {"t": tenant.tenant_id}).scalar_one()
        limits = physical_limits(running)
    report(sent, looks, drained, kept, scores, [*warm_up, *requests], limits)


def watch(running: Running, tenant_id: int, future: "Future[Sent]", began: float) -> list[Look]:
    looks = []
    while not future.done():
        looks.append(look(running, tenant_id, began))
        time.sleep(1)
    return looks


def look(running: Running, tenant_id: int, began: float) -> Look:
    with tenant_session(tenant_id) as session:
        waiting = session.execute(_WAITING, {"t": tenant_id}).scalar_one()
        overdue = session.execute(_OVERDUE, {"t": tenant_id}).scalar_one()
    memory: dict[str, float] = {}
    for process in running.processes():
        try:
            line = process.cmdline()
            if "assay.cli" in line:
                name = " ".join(line[line.index("assay.cli") + 1 :][:2])
                memory[name] = memory.get(name, 0.0) + process.memory_info().rss / 1e6
        except psutil.Error:
            continue
    return Look(time.monotonic() - began, waiting, overdue, memory)


def physical_limits(running: Running) -> dict[str, float]:
    """Events a second that PostgreSQL alone copies into the same table and indexes; round trips of Redis."""
    with psycopg.connect(running.places.postgres_url("postgres"), dbname="assay", autocommit=True) as superuser:
        superuser.execute("CREATE TABLE public.copied (LIKE profiles.events INCLUDING ALL)")
        superuser.execute("CREATE TABLE public.source AS SELECT * FROM profiles.events LIMIT 100000")
        with superuser.cursor().copy("COPY public.source TO STDOUT (FORMAT binary)") as copy:
            data = b"".join(bytes(part) for part in copy)
        rates = []
        for _ in range(3):
            superuser.execute("TRUNCATE public.copied")
            begun = time.perf_counter()
            with superuser.cursor().copy("COPY public.copied FROM STDIN (FORMAT binary)") as copy:
                copy.write(data)
            rates.append(100_000 / (time.perf_counter() - begun))
        superuser.execute("DROP TABLE public.copied, public.source")
    redis = Redis.from_url(running.places.redis_url)
    begun = time.perf_counter()
    for _ in range(5_000):
        redis.ping()
    return {
        "COPY into the events table, events/s": median(rates),
        "Redis round trips/s": 5_000 / (time.perf_counter() - begun),
    }


def report(
    sent: Sent,
    looks: list[Look],
    drained: float,
    kept: int,
    scores: int,
    requests: list[bytes],
    limits: dict[str, float],
) -> None:
    rate = sent.accepted * BATCH / sent.seconds
    console = Console(width=130)
    table = Table(title=f"{RATE:,} events/s for {SECONDS} s, {PEOPLE:,} people, two models, {os.cpu_count()} cores")
    for column in ("second", "messages waiting", "leads overdue", *sorted(looks[-1].memory)):
        table.add_column(column, justify="right")
    for one in looks[:: max(1, len(looks) // 12)]:
        memory = [f"{one.memory.get(name, 0):.0f} MB" for name in sorted(looks[-1].memory)]
        table.add_row(f"{one.at:.0f}", str(one.waiting), f"{one.overdue:,}", *memory)
    console.print(table)
    identifies = sum(request.count(b'"type":"identify"') for request in requests)
    expected = len(requests) * BATCH - identifies
    console.print(f"accepted {rate:,.0f} events/s (target {RATE:,}); refused {sent.refused or 'none'}")
    console.print(f"latest request {sent.late * 1000:.0f} ms behind its time; all worked off {drained:.1f} s after it")
    console.print(f"{scores:,} scores; events kept {kept:,} of {expected:,}{'' if kept == expected else '  MISSING'}")
    for name, value in limits.items():
        console.print(
            f"limit: {name}: {value:,.0f}" + (f" ({value / rate:.1f} times the above)" if "events" in name else "")
        )


if __name__ == "__main__":
    main()
