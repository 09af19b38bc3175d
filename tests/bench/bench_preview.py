"""A preview and a replay of a draft over a whole tenant, worked off in this process as a worker does it.

Run: python -m tests.bench.bench_preview [LEADS] [EVENTS]      (default 200,000 leads, 4,000,000 events)
     make bench ARGS=preview                                    (a tenth of that)

What the preview tells of each lead is compared with what the engine says of it under both versions.
"""

import resource
import statistics
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table

from assay import embedded, plugins
from assay.migrating import upgrade
from assay.profiles.queries import read_facts
from assay.scoring import service, studies
from assay.scoring.engine import compile_model, score
from assay.scoring.language import load as read_model
from assay.scoring.studies.service import drain_studies
from assay_tenants import access, database
from tests.bench import crowd

MODEL, RULES = 0, 20
TIMES = 3
COMPARED = 2_000
REPLAYED = 5_000
CEILING_SECONDS = 8.0


def main(leads: int = 20_000, events: int = 400_000) -> None:
    with tempfile.TemporaryDirectory(prefix="assay-bench-") as folder, embedded.start(Path(folder) / "data") as servers:
        upgrade(servers.owner_url)
        database.configure(servers.database_url)
        measure(leads, events)


def measure(leads: int, events: int) -> None:
    tenant_id = _tenant()
    (live,) = crowd.documents(1, RULES)
    crowd.publish_all(tenant_id, [live])
    crowd.load(tenant_id, leads, events)
    draft = _changed(live)
    service.save_draft(tenant_id, live["model"], yaml.safe_dump(draft, sort_keys=False))
    table = Table(title=f"{leads:,} leads, {events:,} events, a model of {RULES} rules; medians")
    for column in ("what", "leads", "seconds", "leads/s", "would change", "peak MB"):
        table.add_column(column, justify="left" if column == "what" else "right")

    taken, study = [], None
    for _ in range(TIMES):
        seconds, study = _study(tenant_id, studies.start_preview(tenant_id, live["model"], by="bench"), "preview")
        taken.append(seconds)
    assert study is not None
    assert study.result is not None
    seconds = statistics.median(taken)
    _row(table, "preview", leads, seconds, f"{study.result['changed']:,}")
    differing = _differing(tenant_id, study, [live, draft])
    chosen = studies.ReplayChoice(sample=min(REPLAYED, leads), every=timedelta(days=7))
    replay_seconds, replay = _study(
        tenant_id, studies.start_replay(tenant_id, live["model"], chosen, by="bench"), "replay"
    )
    _row(table, f"replay of {len(replay.options['instants'])} moments", min(REPLAYED, leads), replay_seconds, "–")
    Console().print(table)
    print(
        f"The engine's own scores of {min(COMPARED, leads):,} leads: {differing} differ from the preview. "
        f"Ceiling for 200,000 leads: {CEILING_SECONDS:g} s, {'kept' if seconds <= CEILING_SECONDS else 'broken'} here."
    )
    if differing:
        raise SystemExit("The preview is wrong.")


def _tenant() -> int:
    return access.sign_up(
        company="Bench",
        name="Bench",
        email="bench@example.test",
        password="as long as it takes",
        plugin=plugins.installed().tracking_source().name,
    ).tenant_id


def _changed(live: dict[str, Any]) -> dict[str, Any]:
    """Two rules weigh more, one is gone, one is new."""
    rules = [one | {"points": one["points"] + 5} if one["id"] in ("r0", "r4") else one for one in live["rules"]]
    new = {"id": "new", "on": "meeting.booked", "points": 9, "count": "once"}
    return live | {"rules": [one for one in rules if one["id"] != "r17"] + [new]}


def _study(tenant_id: int, id_: int, kind: studies.Kind) -> tuple[float, studies.StudyReport]:
    begin = time.perf_counter()
    while drain_studies(tenant_id):
        pass
    seconds = time.perf_counter() - begin
    study = studies.get_study(tenant_id, "m0", kind, id_)
    if study.state != "done":
        raise SystemExit(f"The {kind} ended {study.state}: {study.error}")
    return seconds, study


def _differing(tenant_id: int, study: studies.StudyReport, written: list[dict[str, Any]]) -> int:
    """How many leads the engine, asked by itself, scores otherwise than the preview's file says."""
    told = {}
    for line in "".join(studies.changes_file(tenant_id, "m0", study.id)).splitlines()[1:]:
        cells = line.split(",")
        told[int(cells[0])] = (float(cells[3]), float(cells[4]))
    with database.tenant_session(tenant_id) as session:
        rows = session.connection().exec_driver_sql(
            f"SELECT id FROM profiles.leads WHERE tenant_id = {tenant_id} ORDER BY id LIMIT {COMPARED}"
        )
        ids = [row[0] for row in rows]
    models = [compile_model(read_model(document)) for document in written]
    leads, events = read_facts(
        tenant_id,
        ids,
        traits=sorted({name for model in models for name in model.traits}),
        properties=sorted({name for model in models for name in model.properties}),
    )
    scores = score(models, leads, events, study.at)
    before, after = scores["total"][: len(ids)].to_list(), scores["total"][len(ids) :].to_list()
    differing = 0
    for lead_id, old, new in zip(leads["lead_id"].to_list(), before, after, strict=True):
        expected = (old / 1000, new / 1000) if old != new else None
        differing += told.get(lead_id) != expected
    return differing


def _row(table: Table, what: str, leads: int, seconds: float, changed: str) -> None:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    table.add_row(what, f"{leads:,}", f"{seconds:.2f}", f"{leads / seconds:,.0f}", changed, f"{peak:,.0f}")


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:3] or ("200000", "4000000")))
