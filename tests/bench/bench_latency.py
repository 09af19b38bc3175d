"""From accepted to a stored score that the API shows, while events keep coming at a steady pace."""

import threading
import time
from datetime import UTC, datetime
from itertools import count
from statistics import median, quantiles

import httpx
from rich.console import Console
from rich.table import Table

from assay import plugins
from assay.scoring import service
from assay_tenants import access, keys
from tests.bench.running import assay_running

EVENTS_PER_SECOND = 500
EVENTS_PER_REQUEST = 10
PEOPLE = 2_000
SECONDS = 40.0
PROBES = 50
POLL = 0.02

MODEL = """
model: interest
rules:
  - {id: visit, on: page.viewed, points: 1, count: {first: 50}, fades: {after: 60d}}
  - {id: pricing, on: page.viewed, where: {property: path, starts_with: /pricing}, points: 15, count: once}
  - {id: probe, on: probe.sent, points: 1}
stages: [{name: Warm, from: 10}, {name: Hot, from: 40}]
"""


def main() -> None:
    with assay_running() as running:
        tenant = access.sign_up(
            company="Bench",
            name="Bench",
            email="bench@example.test",
            password="as long as it takes",
            plugin=plugins.installed().tracking_source().name,
        )
        api_key = keys.issue_key(tenant.tenant_id, kind="api", name="bench").secret
        service.create_model(tenant.tenant_id, MODEL)
        service.publish(tenant.tenant_id, "interest", by="bench")
        probes = _Probes(running.address, tenant.write_key, api_key)
        probes.prepare()
        quiet = [probes.measure() for _ in range(20)]
        over = threading.Event()
        sent = [0]
        load = threading.Thread(target=_load, args=(running.address, tenant.write_key, over, sent))
        began = time.monotonic()
        load.start()
        busy = []
        while time.monotonic() - began < SECONDS:
            busy.append(probes.measure())
        took = time.monotonic() - began
        over.set()
        load.join()
    table = Table(title=f"Accepted → score visible through the API (polled every {POLL * 1000:.0f} ms)")
    for column in ("load", "probes", "p50 ms", "p95 ms", "max ms"):
        table.add_column(column, justify="left" if column == "load" else "right")
    for name, times in (("none", quiet), (f"{sent[0] / took:.0f} events/s", busy)):
        p95 = quantiles(times, n=20)[-1]
        table.add_row(name, str(len(times)), *(f"{1000 * value:.0f}" for value in (median(times), p95, max(times))))
    Console().print(table)


class _Probes:
    """Leads that get one event at a time, so that each is answered for by one change of one score."""

    def __init__(self, address: str, write_key: str, api_key: str) -> None:
        self.sender = httpx.Client(base_url=address, auth=(write_key, ""))
        self.reader = httpx.Client(base_url=f"{address}/api/v1", headers={"Authorization": f"Bearer {api_key}"})
        self.turn = count()
        self.sent = [0] * PROBES
        self.lead_ids: list[str] = []

    def prepare(self) -> None:
        for number in range(PROBES):
            self._send(number)
        until = time.monotonic() + 30
        while len(self.lead_ids) < PROBES:
            if time.monotonic() > until:
                raise RuntimeError("The probes' leads did not appear.")
            time.sleep(0.2)
            page = self.reader.get("/leads", params={"model": "interest", "text": "probe-", "limit": 200}).json()
            self.lead_ids = [item["id"] for item in sorted(page["items"], key=lambda item: item["name"])]

    def measure(self) -> float:
        """Seconds from the 200 until the API shows the new score."""
        number = next(self.turn) % PROBES
        self._send(number)
        began = time.monotonic()
        while True:
            scores = self.reader.get(f"/leads/{self.lead_ids[number]}").json()["scores"]
            if any(score["model"] == "interest" and score["total"] == self.sent[number] for score in scores):
                return time.monotonic() - began
            if time.monotonic() - began > 30:
                raise RuntimeError("A score did not change within 30 s.")
            time.sleep(POLL)

    def _send(self, number: int) -> None:
        answer = self.sender.post("/v1/track", json={"userId": f"probe-{number:03}", "event": "probe.sent"})
        answer.raise_for_status()
        self.sent[number] += 1


def _load(address: str, write_key: str, over: threading.Event, sent: list[int]) -> None:
    pause = EVENTS_PER_REQUEST / EVENTS_PER_SECOND
    with httpx.Client(base_url=address, auth=(write_key, "")) as client:
        began = time.monotonic()
        for turn in count():
            if over.wait(max(0.0, began + turn * pause - time.monotonic())):
                return
            now = datetime.now(UTC).isoformat()
            batch = [
                {
                    "type": "page",
                    "userId": f"u{(turn * EVENTS_PER_REQUEST + place) % PEOPLE}",
                    "name": "Pricing",
                    "properties": {"path": "/pricing" if place == 0 else f"/docs/{place}"},
                    "timestamp": now,
                }
                for place in range(EVENTS_PER_REQUEST)
            ]
            client.post("/v1/batch", json={"batch": batch}).raise_for_status()
            sent[0] += EVENTS_PER_REQUEST


if __name__ == "__main__":
    main()
