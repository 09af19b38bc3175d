"""How fast the engine scores, beside the same rules in plain Python, DuckDB, PostgreSQL and zen-engine.

Every result is compared with every other to the last point. Each measurement of memory is a process of its own.

Run: python -m tests.bench.bench_engine [EVENTS] [LEADS]
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import psutil
import psycopg
import zen
from rich.console import Console
from rich.table import Table

from assay import embedded
from assay.scoring.engine import CompiledModel, compile_model, explain, score
from assay.scoring.language import load
from tests.bench.engine_rules import (
    AT,
    MODELS,
    RULES,
    counts_sql,
    documents,
    facts,
    large,
    plainly,
    totals_sql,
    zen_expression,
)

#: How many leads the slow ones are asked about; their time is given per lead.
_FEW = 2_000
_ROUNDS = 7


def median(work: Callable[[], Any], times: int) -> tuple[float, Any]:
    taken: list[float] = []
    result = None
    for _ in range(times):
        begin = time.perf_counter()
        result = work()
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken), result


def compiled() -> list[CompiledModel]:
    return [compile_model(load(document)) for document in documents()]


def sums_of(scores: pl.DataFrame) -> dict[str, int]:
    return dict(scores.group_by("model").agg(pl.col("raw").sum() // 1000).sort("model").iter_rows())


def child(*arguments: str) -> dict[str, Any]:
    answer = subprocess.run(
        [sys.executable, "-m", "tests.bench.bench_engine", *arguments], check=True, stdout=subprocess.PIPE
    )
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


def ours(folder: str) -> dict[str, Any]:
    """In a process of its own: the time, the sums, and the memory beyond what holds the frames."""
    people, happened = (pl.read_parquet(Path(folder) / f"{name}.parquet") for name in ("people", "happened"))
    models = compiled()
    before = psutil.Process().memory_info().rss
    _clear_peak()
    seconds, found = median(partial(score, models, people, happened, AT, distinct=True), 3)
    return {
        "seconds": seconds,
        "sums": sums_of(found),
        "before": before,
        "answer": found.estimated_size(),
        "peak": _peak(),
    }


def _clear_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def _peak() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def beside_duckdb(folder: Path) -> tuple[float, tuple[float, dict[str, int]]]:
    """Seconds of ours, and theirs with their sums; by turns, for the machine is not equally fast at all times."""
    people, happened = (pl.read_parquet(folder / f"{name}.parquet") for name in ("people", "happened"))
    connection = duckdb.connect()
    for name in ("people", "happened"):
        connection.execute(f"create table {name} as select * from '{folder / name}.parquet'")
    works: tuple[Callable[[], Any], ...] = (
        partial(score, compiled(), people, happened, AT, distinct=True),
        partial(connection.execute, f"create or replace temp table scores as {totals_sql()}"),
    )
    rounds = [[median(work, 1)[0] for work in works] for _ in range(_ROUNDS)]
    own, theirs = (statistics.median(taken) for taken in zip(*rounds, strict=True))
    row = connection.execute(_sums_sql()).fetchone()
    assert row is not None
    return own, (theirs, _named(row))


def in_postgres(folder: Path, address: str) -> tuple[float, dict[str, int]]:
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("set timezone to 'UTC'")
        connection.execute(
            'create unlogged table people (lead_id bigint, first_seen_at timestamptz, "trait:title" text, '
            '"trait:country" text, "trait:company.employees" text)'
        )
        connection.execute(
            "create unlogged table happened (lead_id bigint, event_id text, type text, occurred_at timestamptz, "
            '"property:path" text, "property:offer_id" text)'
        )
        for name in ("people", "happened"):
            with connection.cursor().copy(f"copy {name} from stdin (format csv)") as copy:
                copy.write(pl.read_parquet(folder / f"{name}.parquet").write_csv(include_header=False))
            connection.execute(f"analyze {name}")
        connection.execute("set work_mem to '512MB'")

        def work() -> None:
            connection.execute("drop table if exists scores")
            connection.execute(f"create temp table scores as {totals_sql()}")

        seconds, _ = median(work, 3)
        row = connection.execute(_sums_sql()).fetchone()
        assert row is not None
        return seconds, _named(row)


def _sums_sql() -> str:
    return f"select {', '.join(f'sum(m{place})' for place in range(MODELS))} from scores"


def _named(row: tuple[Any, ...]) -> dict[str, int]:
    return {f"m{place}": int(value) for place, value in enumerate(row)}


def in_zen(folder: Path) -> tuple[float, list[list[int]]]:
    """Seconds per lead for all models, on counts that were made beforehand: a rules engine counts no events."""
    connection = duckdb.connect()
    for name in ("people", "happened"):
        connection.execute(f"create table {name} as select * from '{folder / name}.parquet'")
    rows = connection.execute(counts_sql(_FEW))
    names = [column[0] for column in rows.description]
    asked = [dict(zip(names, row, strict=True)) for row in rows.fetchall()]
    expressions = [zen.compile_expression(zen_expression(place)) for place in range(MODELS)]
    seconds, found = median(lambda: [[int(one.evaluate(lead)) for one in expressions] for lead in asked], 3)
    return seconds / len(asked), found


def beside_others(console: Console, folder: Path, events: int, leads: int) -> None:
    own = child("ours", str(folder))
    sums = own["sums"]
    seconds, duck = beside_duckdb(folder)
    found: dict[str, tuple[float, dict[str, int]]] = {"DuckDB, SQL, by turns with ours": duck}
    with embedded.start(folder / "server", redis=False) as server:
        found["PostgreSQL, SQL"] = in_postgres(folder, server.owner_url)
    people, happened = pl.read_parquet(folder / "people.parquet"), pl.read_parquet(folder / "happened.parquet")
    plain_leads = people.head(leads // 10)
    theirs = happened.join(plain_leads, on="lead_id", how="semi")
    plain, plain_sums = median(partial(plainly, documents(), plain_leads, theirs), 1)
    expected = score(compiled(), plain_leads, theirs, AT, distinct=True)
    check("plain Python", sums_of(expected), plain_sums)
    each, zen_totals = in_zen(folder)
    wide = score(compiled(), people.head(_FEW), happened, AT, distinct=True).pivot(
        "model", index="lead_id", values="raw"
    )
    check("zen-engine", [[value // 1000 for value in row[1:]] for row in wide.iter_rows()], zen_totals)
    for name, (_, others) in found.items():
        check(name, sums, others)
    table = table_of(
        f"{MODELS} models of {RULES} rules, {events:,} events, {leads:,} leads", "seconds", "events/s", "ours is"
    )
    table.add_row("engine", f"{seconds:.2f}", f"{events / seconds:,.0f}", "")
    for name, (taken, _) in found.items():
        table.add_row(name, f"{taken:.2f}", f"{events / taken:,.0f}", f"{taken / seconds:.1f} ×")
    taken = plain * events / theirs.height
    table.add_row(
        "plain Python (a tenth of the leads)", f"{taken:.2f}", f"{events / taken:,.0f}", f"{taken / seconds:.1f} ×"
    )
    taken = each * leads
    table.add_row("zen-engine (on counts, a few leads)", f"{taken:.2f}", "-", f"{taken / seconds:.1f} ×")
    console.print(table)
    before, peak = own["before"] / 2**20, own["peak"] / 2**20
    console.print(
        f"Equal results: yes. Memory: {before:,.0f} MB with the frames, {peak:,.0f} MB at the peak of scoring."
    )


def check(name: str, expected: object, found: object) -> None:
    if expected != found:
        raise SystemExit(f"the engine and {name} differ: {expected} and {found}")


def table_of(title: str, *columns: str) -> Table:
    table = Table(title=title)
    table.add_column("what")
    for name in columns:
        table.add_column(name, justify="right")
    return table


def growing(console: Console) -> None:
    table = table_of(
        "the more leads (8 events each)", "seconds", "leads/s", "MB at the peak", "of it frames", "and answer"
    )
    for leads in (50_000, 200_000, 1_000_000):
        with tempfile.TemporaryDirectory(prefix="assay-bench-") as folder:
            written(Path(folder), leads * 8, leads)
            own = child("ours", folder)
        memory = [f"{own[what] / 2**20:,.0f}" for what in ("peak", "before", "answer")]
        table.add_row(f"{leads:,} leads", f"{own['seconds']:.2f}", f"{leads / own['seconds']:,.0f}", *memory)
    console.print(table)


def small_and_large(console: Console) -> None:
    people, happened = facts(100_000, 5_000)
    models = compiled()
    table = table_of("small batches, and a model of 1,000 rules", "milliseconds")
    for some in (1, 500):
        few = people.head(some)
        theirs = happened.join(few, on="lead_id", how="semi")
        works: dict[str, Callable[[], Any]] = {
            f"{some} leads × {MODELS} models": partial(score, models, few, theirs, AT, distinct=True),
            f"{some} leads × 1 model": partial(score, models[:1], few, theirs, AT, distinct=True),
            f"{some} receipts": partial(explain, models[0], few, theirs, AT),
        }
        for what, work in works.items():
            table.add_row(what, f"{median(work, 21)[0] * 1000:.1f}")
    seconds, model = median(lambda: compile_model(load(large(1000))), 3)
    table.add_row("1,000 rules: read and compile", f"{seconds * 1000:.0f}")
    people, happened = facts(200_000, 10_000)
    seconds, _ = median(partial(score, [model], people, happened, AT, distinct=True), 3)
    table.add_row("1,000 rules: 10,000 leads, 200,000 events", f"{seconds * 1000:.0f}")
    console.print(table)


def written(folder: Path, events: int, leads: int) -> None:
    for name, frame in zip(("people", "happened"), facts(events, leads), strict=True):
        frame.write_parquet(folder / f"{name}.parquet")


def main(events: int = 4_000_000, leads: int = 200_000) -> None:
    console = Console()
    with tempfile.TemporaryDirectory(prefix="assay-bench-") as folder:
        written(Path(folder), events, leads)
        beside_others(console, Path(folder), events, leads)
    growing(console)
    small_and_large(console)


if __name__ == "__main__":
    if sys.argv[1:2] == ["ours"]:
        print(json.dumps(ours(sys.argv[2])))
    else:
        main(*(int(argument) for argument in sys.argv[1:3]))
