"""From accepted to scored, beside a tenant that floods: ``python -m tests.bench lag``.

One tenant sends 2,000 events a second, one ten, one as fast as it is let. A share of the first one's events, and all of
the second one's, are the first of somebody new: when that somebody's score can be read is looked for every thirty
milliseconds, and taken from when the message was received.
"""

import threading
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from multiprocessing import get_context
from statistics import median, quantiles

from rich.console import Console
from rich.table import Table
from sqlalchemy import text

from assay import plugins
from assay.scoring import service
from assay_tenants import access
from assay_tenants.access.service import SignedUp
from assay_tenants.database import tenant_session
from tests.bench.running import assay_running
from tests.bench.visitors import BATCH, MODELS, Crowd, Sent, request, send_at_once, send_at_pace

SECONDS = 20
STEADY, QUIET = 2_000, 10
NEWCOMERS = 0.05
POLL = 0.03
PORT = 18_110

_SINCE = text("""
    SELECT lead_id FROM scoring.scores WHERE tenant_id = :t AND lead_id > :after GROUP BY lead_id ORDER BY lead_id
""")
_RECEIVED = text("""
    SELECT lead_id, min(received_at) FROM profiles.events
    WHERE tenant_id = :t AND lead_id > :after GROUP BY lead_id HAVING count(*) = 1
""")


class Watch:
    """When scores of leads that were not there before can be read first."""

    def __init__(self, tenant_id: int) -> None:
        self.tenant_id = tenant_id
        self.visible: dict[int, datetime] = {}
        with tenant_session(tenant_id) as session:
            newest = text("SELECT coalesce(max(id), 0) FROM profiles.leads WHERE tenant_id = :t")
            self.after: int = session.execute(newest, {"t": tenant_id}).scalar_one()

    def look(self) -> None:
        last = max(self.visible, default=self.after)
        # Ids come in the order in which people do, but batches of scores need not.
        with tenant_session(self.tenant_id) as session:
            found = session.execute(_SINCE, {"t": self.tenant_id, "after": max(self.after, last - 300)}).scalars().all()
        now = datetime.now(UTC)
        for lead_id in found:
            self.visible.setdefault(lead_id, now)

    def lags(self) -> list[float]:
        with tenant_session(self.tenant_id) as session:
            received = session.execute(_RECEIVED, {"t": self.tenant_id, "after": self.after}).all()
        return [(self.visible[lead] - at).total_seconds() for lead, at in received if lead in self.visible]


def main() -> None:
    table = Table(title=f"Accepted → score can be read (looked for every {POLL * 1000:.0f} ms)")
    for column in ("beside it", "events/s", "newcomers", "p50 ms", "p99 ms", "max ms", "targets"):
        table.add_column(column, justify="left" if column in ("beside it", "targets") else "right")
    with assay_running(port=PORT) as running:
        del running
        steady, quiet, flood = (_tenant(name) for name in ("steady", "quiet", "flood"))
        for name, patient in (
            ("nobody", None),
            ("a flood that heeds Retry-After", True),
            ("a flood that does not", False),
        ):
            lags, refused = _round(steady, quiet, flood, patient=patient)
            for rate, times, targets in zip(
                (STEADY, QUIET), lags, ("p50 ≤ 300, p99 ≤ 1,500", "p99 ≤ 2,000"), strict=True
            ):
                p99 = quantiles(times, n=100)[-1]
                numbers = (f"{1000 * value:,.0f}" for value in (median(times), p99, max(times)))
                table.add_row(name, f"{rate:,}", f"{len(times):,}", *numbers, targets)
            table.add_row("", "", "", "", "", "", refused)
    Console(width=130).print(table)


def _tenant(name: str) -> SignedUp:
    tenant = access.sign_up(
        company=name,
        name="Bench",
        email=f"{name}@example.test",
        password="as long as it takes",
        plugin=plugins.installed().tracking_source().name,
    )
    for model, document in MODELS.items():
        service.create_model(tenant.tenant_id, document)
        service.publish(tenant.tenant_id, model, by="bench")
    return tenant


def _round(
    steady: SignedUp, quiet: SignedUp, flood: SignedUp, *, patient: bool | None
) -> tuple[list[list[float]], str]:
    seed = int(time.time())
    known = Crowd(5_000, new=NEWCOMERS, seed=seed).requests(STEADY * SECONDS // BATCH, steady.write_key)
    single = [
        request(
            {"type": "track", "userId": f"q{seed}-{number}", "event": "Demo Requested", "writeKey": quiet.write_key},
            "/v1/track",
        )
        for number in range(QUIET * SECONDS)
    ]
    storm = Crowd(20_000, seed=seed + 1).requests(400, flood.write_key)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        # Those who come again are known before, and workers warm.
        everybody = [
            {"type": "page", "userId": f"u{n}", "anonymousId": f"a-u{n}", "properties": {}} for n in range(5_000)
        ]
        greeting = [
            request({"batch": everybody[n : n + BATCH], "writeKey": steady.write_key}) for n in range(0, 5_000, BATCH)
        ]
        pool.submit(send_at_pace, PORT, greeting, STEADY / BATCH).result()
    time.sleep(5)
    watches = [Watch(steady.tenant_id), Watch(quiet.tenant_id)]
    over = threading.Event()
    threads = [threading.Thread(target=_watch, args=(watch, over)) for watch in watches]
    with ProcessPoolExecutor(3, mp_context=get_context("spawn")) as pool:
        for thread in threads:
            thread.start()
        flooding = None
        if patient is not None:
            flooding = pool.submit(send_at_once, PORT, storm, SECONDS + 2.0, patient=patient)
            time.sleep(2)
        sending = [
            pool.submit(send_at_pace, PORT, known, STEADY / BATCH),
            pool.submit(send_at_pace, PORT, single, QUIET, 2),
        ]
        sent = [future.result() for future in sending]
        told = _told(sent, flooding.result() if flooding else None)
        time.sleep(5)
        over.set()
        for thread in threads:
            thread.join()
    return [watch.lags() for watch in watches], told


def _told(sent: list[Sent], flood: Sent | None) -> str:
    said = "; ".join(f"refused {one.refused}" for one in sent if one.refused)
    if flood is None:
        return said
    taken = flood.accepted * BATCH / flood.seconds
    return f"flood: {taken:,.0f} events/s taken, refused {flood.refused or 'none'}; {said}"


def _watch(watch: Watch, over: threading.Event) -> None:
    while not over.wait(POLL):
        watch.look()


if __name__ == "__main__":
    main()
