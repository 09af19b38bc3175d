"""What the whole of ``assay run`` takes while little happens: memory, and share of one core.

With ``BENCH_DEMO=0`` nothing happens at all: there is no demonstration, whose visitors and vendors never rest.
"""

import os
import time

import psutil
from rich.console import Console
from rich.table import Table

from tests.bench.running import Running, assay_running

DEMO = os.environ.get("BENCH_DEMO", "1") != "0"
# By then the demonstration has sent its history, and only trickles on.
SETTLE = 45.0
WATCH = 60.0
MEMORY_LIMIT = 700
CORE_LIMIT = 3.0


def main() -> None:
    with assay_running(demo=DEMO) as running:
        time.sleep(SETTLE)
        before = _spent(running)
        time.sleep(WATCH)
        after = _spent(running)
        table = Table(
            title=f"Idle{'' if DEMO else ', no demonstration'}, over {WATCH:g} s (starting took {running.took:.1f} s)"
        )
        for column in ("process", "resident MB", "proportional MB", "% of a core"):
            table.add_column(column, justify="left" if column == "process" else "right")
        rows = []
        for process in running.processes():
            try:
                memory = process.memory_full_info()
            except psutil.NoSuchProcess:
                continue
            core = 100 * (after.get(process.pid, 0.0) - before.get(process.pid, 0.0)) / WATCH
            rows.append((_name(process), memory.rss / 1e6, memory.pss / 1e6, core))
        for name, resident, proportional, core in rows:
            table.add_row(name, f"{resident:.0f}", f"{proportional:.0f}", f"{core:.2f}")
        total = [sum(row[i] for row in rows) for i in (1, 2, 3)]
        table.add_section()
        table.add_row("all", f"{total[0]:.0f}", f"{total[1]:.0f}", f"{total[2]:.2f}")
        table.add_row("limit", str(MEMORY_LIMIT), "", f"{CORE_LIMIT:g}")
        Console().print(table)


def _spent(running: Running) -> dict[int, float]:
    """Seconds of processor time of each process so far."""
    spent = {}
    for process in running.processes():
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        spent[process.pid] = times.user + times.system
    return spent


def _name(process: psutil.Process) -> str:
    words = process.cmdline()
    if "assay.cli" in words:
        return "assay " + " ".join(words[words.index("assay.cli") + 1 :][:2])
    return " ".join(words)[:40]


if __name__ == "__main__":
    main()
