"""A whole tenant scored anew by real worker processes on the embedded PostgreSQL; then live batches of 500 leads.

Run: python -m tests.bench.bench_rescore [LEADS] [EVENTS] [WORKERS]   (default 200,000, 4,000,000 and 2)
     python -m tests.bench.bench_rescore 1000000 20000000             (needs about 12 GB of disk and half an hour)
     make bench ARGS=rescore                                          (a tenth of the default)

Five models of twenty rules. Beside it, on the same machine and tables: the same rules as one SQL statement that writes
a total for each model and lead, and the bare COPY of as many score rows into a table of the same indexes, which is as
fast as anything could write them. The totals must be those of the SQL statement, each at its own instant.
"""

import os
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
from redis import Redis
from rich.console import Console
from rich.table import Table
from sqlalchemy import text

from assay import embedded, pipeline, plugins
from assay.migrating import upgrade
from assay.profiles.queries import read_facts
from assay.scoring import jobs, rescoring, service
from assay.scoring.compiled import load_live
from assay.settings import Settings
from assay_tenants import access, database
from tests.bench import crowd

MODELS, RULES = 5, 20
BATCH = 500
BATCHES = 9
PATIENCE_SECONDS = 3_600


def main(leads: int = 20_000, events: int = 400_000, workers: int = 2) -> None:
    with tempfile.TemporaryDirectory(prefix="assay-bench-") as folder, embedded.start(Path(folder) / "data") as servers:
        upgrade(servers.owner_url)
        settings = embedded.completed(Settings(data_dir=servers.places.data_dir))
        database.configure(settings.database_url)
        pipeline.connect(Redis.from_url(settings.redis_url))
        measure(settings, leads, events, workers)


@dataclass
class Lines:
    """The table, with rates over all events and scores."""

    leads: int
    events: int
    table: Table

    def add(self, what: str, seconds: float, written: int | None, peak: str = "–") -> None:
        self.table.add_row(
            what,
            f"{seconds:.2f}",
            f"{self.leads / seconds:,.0f}",
            f"{self.events / seconds:,.0f}",
            "–" if written is None else f"{written:,}",
            peak,
        )


def measure(settings: Settings, leads: int, events: int, workers: int) -> None:
    tenant_id = access.sign_up(
        company="Bench",
        name="Bench",
        email="bench@example.test",
        password="as long as it takes",
        plugin=plugins.installed().tracking_source().name,
    ).tenant_id
    written = crowd.documents(MODELS, RULES)
    crowd.publish_all(tenant_id, written)
    at = crowd.load(tenant_id, leads, events)
    title = f"{leads:,} leads, {events:,} events, {MODELS} models of {RULES} rules, {workers} workers"
    lines = Lines(leads, events, Table(title=title))
    for column in ("what", "seconds", "leads/s", "events/s", "scores written", "peak MB of each worker"):
        lines.table.add_column(column, justify="left" if column == "what" else "right")
    with _workers(settings, workers) as processes:
        for what in ("first rescore", "rescore, nothing changed"):
            done = _rescore(tenant_id)
            assert done.finished_at is not None
            seconds = (done.finished_at - done.created_at).total_seconds()
            lines.add(what, seconds, done.written, " ".join(f"{_peak(process):,.0f}" for process in processes))
    with psycopg.connect(crowd.owner_url(), autocommit=True) as owner, _past_policies(owner):
        lines.add("one SQL statement, totals only", *_in_sql(owner, tenant_id, written, f"'{at.isoformat()}'"))
        lines.add("bare COPY of the score rows", *_copied(owner))
        differing = _differing(owner, tenant_id, written)
    console = Console(width=140)
    console.print(lines.table)
    print(f"Totals that differ from SQL, each at the instant of its score: {differing} of {MODELS * leads:,}.")
    console.print(_live(tenant_id, at))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"Peak memory of this process, which also made the data: {peak:,.0f} MB.")
    if differing:
        raise SystemExit("The rescore and SQL differ.")


@contextmanager
def _workers(settings: Settings, number: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """As `assay run` starts them; the first also keeps time."""
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith("ASSAY_")},
        **settings.as_environ(),
        "ASSAY_DATA_DIR": str(settings.data_dir),
        "MALLOC_ARENA_MAX": "2",
    }
    command = [sys.executable, "-m", "assay.cli", "worker", "scoring"]
    processes = [
        subprocess.Popen([*command, *(["--with-timetable"] if place == 0 else [])], env=environ)
        for place in range(number)
    ]
    try:
        yield processes
    finally:
        for process in processes:
            process.send_signal(signal.SIGTERM)
        for process in processes:
            process.wait(60)


def _peak(process: subprocess.Popen[bytes]) -> float:
    """Megabytes that it ever held at once."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM"))


def _rescore(tenant_id: int) -> rescoring.Progress:
    id_ = rescoring.start_all(tenant_id, reason="measured", by="bench")
    until = time.monotonic() + PATIENCE_SECONDS
    while (progress := rescoring.get_rescore(tenant_id, id_)).state != "done":
        if time.monotonic() > until:
            raise SystemExit(f"The rescore is not done after {PATIENCE_SECONDS} s: {progress}")
        time.sleep(0.2)
    return progress


@contextmanager
def _past_policies(owner: psycopg.Connection[Any]) -> Iterator[None]:
    """The owner is held to the policies too, and none of them lets it see a row."""
    tables = ("profiles.leads", "profiles.events", "scoring.scores", "scoring.models")
    for table in tables:
        owner.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
    try:
        yield
    finally:
        for table in tables:
            owner.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")


def _totals(tenant_id: int, written: list[dict[str, Any]], at: str, more: str = "", by: str = "") -> str:
    sums = ", ".join(
        f"{' + '.join(crowd.as_sql(one, at) for one in document['rules'])} AS {document['model']}"
        for document in written
    )
    rows = ", ".join(f"('{document['model']}', x.{document['model']})" for document in written)
    return (
        f"SELECT x.id, v.model, v.total FROM (SELECT l.id, {sums} FROM profiles.leads l {more}"
        f" LEFT JOIN profiles.events e ON e.tenant_id = {tenant_id} AND e.lead_id = l.id AND e.occurred_at <= {at}"
        f" WHERE l.tenant_id = {tenant_id} GROUP BY l.tenant_id, l.id{by}) x"
        f" CROSS JOIN LATERAL (VALUES {rows}) v (model, total)"
    )


def _in_sql(
    owner: psycopg.Connection[Any], tenant_id: int, written: list[dict[str, Any]], at: str
) -> tuple[float, int]:
    owner.execute("CREATE TABLE bench_totals (id bigint, model text, total bigint, PRIMARY KEY (id, model))")
    begin = time.perf_counter()
    done = owner.execute(f"INSERT INTO bench_totals {_totals(tenant_id, written, f'({at})::timestamptz')}")
    return time.perf_counter() - begin, done.rowcount


def _copied(owner: psycopg.Connection[Any]) -> tuple[float, int]:
    owner.execute("CREATE TABLE bench_scores (LIKE scoring.scores INCLUDING INDEXES)")
    with owner.cursor() as cursor:
        with cursor.copy("COPY scoring.scores TO STDOUT") as out:
            rows = [bytes(row) for row in out]
        begin = time.perf_counter()
        with cursor.copy("COPY bench_scores FROM STDIN") as copy:
            for row in rows:
                copy.write(row)
        return time.perf_counter() - begin, len(rows)


def _differing(owner: psycopg.Connection[Any], tenant_id: int, written: list[dict[str, Any]]) -> int:
    """Each lead is scored at an instant of its own: there, the statement must say the same."""
    differing = 0
    for document in written:
        scores = (
            f"JOIN scoring.scores s ON s.tenant_id = {tenant_id} AND s.lead_id = l.id AND s.model_id ="
            f" (SELECT id FROM scoring.models WHERE tenant_id = {tenant_id} AND name = '{document['model']}')"
        )
        statement = _totals(tenant_id, [document], "s.scored_at", scores, ", s.scored_at")
        row = owner.execute(
            f"SELECT count(*) FROM ({statement}) b FULL JOIN (SELECT s.lead_id, s.total FROM profiles.leads l {scores}"
            f" WHERE l.tenant_id = {tenant_id}) a ON a.lead_id = b.id WHERE a.total IS DISTINCT FROM b.total * 1000"
        ).fetchone()
        assert row is not None
        differing += int(row[0])
    return differing


def _live(tenant_id: int, at: datetime) -> Table:
    """Batches as a worker takes them when leads did something new: read, scored, compared, written."""
    reading, whole = [], []
    for turn in range(BATCHES):
        ids = _news(tenant_id, turn)
        begin = time.perf_counter()
        with database.tenant_session(tenant_id) as session:
            models = [model for _, model in load_live(session, tenant_id) if model is not None]
        read_facts(tenant_id, ids, event_ids=False, **jobs.wanted(models))
        reading.append(time.perf_counter() - begin)
        begin = time.perf_counter()
        taken = jobs.drain_due(tenant_id)
        whole.append(time.perf_counter() - begin)
        # One more may have become due by itself meanwhile.
        if taken < BATCH:
            raise SystemExit(f"The batch took {taken} leads instead of {BATCH}.")
    table = Table(title=f"A live batch: {BATCH} leads with one new event each, {MODELS} models ({BATCHES} times)")
    for column in ("what", "p50 ms", "max ms", "leads/s"):
        table.add_column(column, justify="left" if column == "what" else "right")
    for what, taken_ in (("reading their facts alone", reading), ("the whole batch, written", whole)):
        p50 = statistics.median(taken_)
        table.add_row(what, f"{1000 * p50:.0f}", f"{1000 * max(taken_):.0f}", f"{BATCH / p50:,.0f}")
    return table


def _news(tenant_id: int, turn: int) -> list[int]:
    """One event for each of some leads, known and due now; nobody else is told."""
    now = datetime.now(UTC)
    with database.tenant_session(tenant_id) as session:
        ids = [
            row[0]
            for row in session.execute(
                text("SELECT id FROM profiles.leads WHERE tenant_id = :t ORDER BY id OFFSET :o LIMIT :n"),
                {"t": tenant_id, "o": turn * BATCH, "n": BATCH},
            )
        ]
        session.execute(
            text(
                "INSERT INTO profiles.events (tenant_id, id, received_at, lead_id, identity_id, type, occurred_at,"
                " properties, source_id, sender_id)"
                " VALUES (:t, :id, :now, :lead, :lead, 'offer.downloaded', :now, CAST(:offer AS jsonb), 1, :sender)"
            ),
            [
                {
                    "t": tenant_id,
                    "id": uuid4(),
                    "now": now,
                    "lead": lead_id,
                    "offer": f'{{"offer_id": "new-{turn}"}}',
                    "sender": f"new-{turn}-{lead_id}",
                }
                for lead_id in ids
            ],
        )
        session.execute(
            text("DELETE FROM scoring.due WHERE tenant_id = :t AND due_at <= :now"), {"t": tenant_id, "now": now}
        )
        service.mark_due(session, tenant_id, ids)
    return ids


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:4] or ("200000", "4000000")))
