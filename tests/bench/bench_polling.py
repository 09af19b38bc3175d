"""1,000 connections that are polled by two workers: ``python -m tests.bench polling``.

Each is due every thirty seconds, ten times as often as usual, and without the chance that otherwise spreads them: so
the time between two polls, less those thirty seconds, is how late a poll was.
"""

import os
import statistics
import time
from collections import defaultdict
from itertools import pairwise
from typing import Any

from rich.console import Console
from rich.table import Table
from sqlalchemy import text

from assay_tenants.database import tenant_session
from tests.bench.quarries import site
from tests.vendors.quarry import QuarrySimulator

CONNECTIONS = int(os.environ.get("BENCH_CONNECTIONS", "1000"))
TENANTS = 50
EVERY = 30.0
ROUNDS = 4
#: Later than this is late.
ON_TIME = 5.0

_ONLY_STONES = text(
    "UPDATE intake.streams"
    " SET due_at = CASE WHEN name = 'stones' THEN now() + random() * :every * interval '1 second' END"
    " WHERE tenant_id = :t"
)
_NO_CARE = text("UPDATE intake.links SET due_at = NULL WHERE tenant_id = :t")


class Polled(QuarrySimulator):
    """Remembers when each account was asked."""

    def __init__(self) -> None:
        super().__init__(stones=0)
        self.polls: dict[str, list[float]] = defaultdict(list)

    def limit(self, request: Any, grant: Any) -> None:
        self.polls[grant.account].append(time.monotonic())

    def grant_of(self, request: Any) -> Any:
        # There are a thousand: looking through all of them at each call would be what is measured.
        with self.lock:
            if len(self._by_token) != len(self.grants):
                self._by_token = {grant.access_token: grant for grant in self.grants}
            return self._by_token.get(self.token_of(request))

    _by_token: dict[str, Any] = {}  # noqa: RUF012 # replaced, never changed


def main() -> None:
    simulator = Polled()
    with site(simulator) as made:
        tenants = [made.tenant() for _ in range(TENANTS)]
        for number in range(CONNECTIONS):
            made.connect(tenants[number % TENANTS])
        for tenant_id in tenants:
            with tenant_session(tenant_id) as session:
                session.execute(_NO_CARE, {"t": tenant_id})
                session.execute(_ONLY_STONES, {"t": tenant_id, "every": EVERY})
        made.start("worker", "intake", "--with-timetable")
        for _ in range(2):
            made.start("worker", "sync", patched=True, QUARRY_EVERY=str(EVERY))
        time.sleep(EVERY * (ROUNDS + 1))
        polls = {account: list(at) for account, at in simulator.polls.items()}
    late = sorted(max(0.0, at - before - EVERY) for each in polls.values() for before, at in pairwise(each))
    cuts = statistics.quantiles(late, n=100)
    table = Table(
        title=f"{CONNECTIONS:,} connections of {TENANTS} tenants, each polled every {EVERY:.0f} s by 2 workers"
    )
    table.add_column("Measure")
    table.add_column("Value", justify="right")
    for measure, value in (
        ("Connections that were polled", f"{len(polls):,}"),
        ("Polls a second", f"{len(late) / (EVERY * ROUNDS):.1f}"),
        (f"On the timetable (within {ON_TIME:.0f} s)", f"{sum(each <= ON_TIME for each in late) / len(late):.2%}"),
        ("Late, p50", f"{cuts[49]:.2f} s"),
        ("Late, p99", f"{cuts[98]:.2f} s"),
        ("Latest", f"{late[-1]:.2f} s"),
    ):
        table.add_row(measure, value)
    Console().print(table)
