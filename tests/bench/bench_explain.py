"""One lead's receipt through the service, the database included: 500 events, 20 rules.

Run: python -m tests.bench.bench_explain [EVENTS OF THE LEAD] [TIMES]      (or: make bench ARGS=explain)

Beside it, what a plain SELECT of the same events takes; the receipt's parts must add up to its total.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from sqlalchemy import text

from assay import embedded, plugins
from assay.migrating import upgrade
from assay.scoring import service
from assay_tenants import access, database
from tests.bench import crowd

RULES = 20
LEADS = 200
CEILING_MS = 60.0


def main(events: int = 500, times: int = 50) -> None:
    with tempfile.TemporaryDirectory(prefix="assay-bench-") as folder, embedded.start(Path(folder) / "data") as servers:
        upgrade(servers.owner_url)
        database.configure(servers.database_url)
        measure(events, times)


def measure(events: int, times: int) -> None:
    tenant_id = access.sign_up(
        company="Bench",
        name="Bench",
        email="bench@example.test",
        password="as long as it takes",
        plugin=plugins.installed().tracking_source().name,
    ).tenant_id
    crowd.publish_all(tenant_id, crowd.documents(1, RULES))
    at = crowd.load(tenant_id, LEADS, LEADS * events)
    lead_id, own = _some_lead(tenant_id, events)
    explanation = service.explain_lead(tenant_id, lead_id, "m0", at=at)
    if sum(part.points for part in explanation.parts) != explanation.raw:
        raise SystemExit("The receipt does not add up.")

    def select() -> None:
        with database.tenant_session(tenant_id) as session:
            session.execute(
                text("SELECT * FROM profiles.events WHERE tenant_id = :t AND lead_id = :l"),
                {"t": tenant_id, "l": lead_id},
            ).all()

    table = Table(title=f"One lead with {own} events, a model of {RULES} rules ({times} times)")
    for column in ("what", "p50 ms", "p95 ms"):
        table.add_column(column, justify="left" if column == "what" else "right")
    works: dict[str, Callable[[], Any]] = {
        "receipt through the service": lambda: service.explain_lead(tenant_id, lead_id, "m0", at=at),
        "plain SELECT of its events": select,
    }
    medians = {}
    for what, work in works.items():
        taken = _taken(work, times)
        medians[what] = statistics.median(taken)
        table.add_row(what, f"{medians[what]:.1f}", f"{statistics.quantiles(taken, n=20)[-1]:.1f}")
    Console().print(table)
    receipt = medians["receipt through the service"]
    print(
        f"{len(explanation.parts)} parts add up to {explanation.raw / 1000:g}. "
        f"Ceiling {CEILING_MS:g} ms: {'kept' if receipt <= CEILING_MS else 'broken'}."
    )


def _some_lead(tenant_id: int, events: int) -> tuple[int, int]:
    """The lead whose number of events is closest to what was asked for."""
    with database.tenant_session(tenant_id) as session:
        lead_id, own = session.execute(
            text(
                "SELECT lead_id, count(*) FROM profiles.events WHERE tenant_id = :t GROUP BY lead_id"
                " ORDER BY abs(count(*) - :n), lead_id LIMIT 1"
            ),
            {"t": tenant_id, "n": events},
        ).one()
    return int(lead_id), int(own)


def _taken(work: Callable[[], Any], times: int) -> list[float]:
    for _ in range(3):
        work()
    taken = []
    for _ in range(times):
        begin = time.perf_counter()
        work()
        taken.append(1000 * (time.perf_counter() - begin))
    return taken


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:3]))
