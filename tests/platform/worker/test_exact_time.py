"""What changes by itself is shown and stored in time, by the workers and the timetable as they run."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from redis import Redis

from assay.scoring import queries, service
from assay.settings import Settings
from assay_tenants.access.service import SignedUp

HOUR = timedelta(hours=1)
MODEL = "{model: short, rules: [{id: a, on: page.viewed, points: 5, fades: {after: 1h}}]}"


@pytest.fixture
def workers(settings: Settings, redis: Redis) -> Iterator[None]:
    environ = {**os.environ, **settings.as_environ(), "ASSAY_DATA_DIR": str(settings.data_dir)}
    commands = (["scoring"], ["intake", "--with-timetable"])
    running = [
        subprocess.Popen([sys.executable, "-m", "assay.cli", "worker", *command], env=environ) for command in commands
    ]
    deadline = time.monotonic() + 60
    while redis.scard("rq:workers") < len(running):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    yield
    for worker in running:
        worker.send_signal(signal.SIGTERM)
    for worker in running:
        worker.wait(30)


def test_an_expiry_is_stored_soon_and_dated_to_its_instant(
    tenant: SignedUp, make_lead: Callable[..., int], workers: None
) -> None:
    service.create_model(tenant.tenant_id, MODEL)
    service.publish(tenant.tenant_id, "short", by="Ada Example")

    def visited(at: datetime) -> int:
        return make_lead(tenant.tenant_id, events=[("page.viewed", at, {})], seen=at)

    def wait_for(lead: int, total: int, patience: timedelta) -> None:
        until = datetime.now(UTC) + patience
        while [score.total for score in queries.scores_of(tenant.tenant_id, lead)] != [total]:
            assert datetime.now(UTC) < until, f"the score did not become {total}"
            time.sleep(0.02)

    # What other tests left to these workers comes first.
    wait_for(visited(datetime.now(UTC)), 5_000, timedelta(minutes=2))
    expiry = datetime.now(UTC) + timedelta(seconds=20)
    lead = visited(expiry - HOUR)
    wait_for(lead, 5_000, timedelta(seconds=60))
    wait_for(lead, 0, timedelta(seconds=60))
    now, before = queries.history(tenant.tenant_id, lead, "short").items
    assert (now.at, before.until) == (expiry, expiry)
