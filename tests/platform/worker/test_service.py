import os
import signal
import subprocess
import sys
import time

import psycopg
import pytest
from redis import Redis
from rq import Queue
from rq.serializers import JSONSerializer

from assay.embedded import Embedded
from assay.settings import Settings
from assay.worker.service import Worker


@pytest.fixture
def environ(settings: Settings) -> dict[str, str]:
    return {**os.environ, **settings.as_environ(), "ASSAY_DATA_DIR": str(settings.data_dir)}


def test_a_worker_works_in_its_own_process_and_stops_when_told(environ: dict[str, str], redis: Redis) -> None:
    worker = subprocess.Popen([sys.executable, "-m", "assay.cli", "worker", "scoring"], env=environ)
    try:
        job = Queue("scoring", connection=redis, serializer=JSONSerializer).enqueue("os.getpid", result_ttl=60)
        deadline = time.monotonic() + 60
        while not job.is_finished:
            assert not job.is_failed
            assert worker.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert job.return_value() == worker.pid, "a fork of a process that has used Polars may hang"
    finally:
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(30) == 0


def test_an_idle_worker_stays_connected(environ: dict[str, str], servers: Embedded) -> None:
    # What other tests left waiting would be work.
    with psycopg.connect(servers.places.postgres_url("postgres")) as connection:
        connection.execute("TRUNCATE intake.waiting")
    # Longer than the five seconds after which redis-py gives up an answer by default.
    command = [sys.executable, "-m", "assay.cli", "worker", "intake", "--with-timetable"]
    quiet = environ | {"ASSAY_LOG_LEVEL": "WARNING"}
    worker = subprocess.Popen(command, env=quiet, stderr=subprocess.PIPE, text=True)
    time.sleep(9)
    worker.send_signal(signal.SIGTERM)
    _, complaints = worker.communicate(timeout=30)
    assert complaints == ""
    assert worker.returncode == 0


def test_a_worker_is_known_again_after_redis_was_wiped(redis: Redis) -> None:
    worker = Worker([Queue("wiped", connection=redis, serializer=JSONSerializer)], connection=redis)
    worker.register_birth()
    redis.flushall()
    assert Worker.count(connection=redis) == 0
    worker.heartbeat()
    (found,) = Worker.all(connection=redis)
    assert (found.name, found.queue_names()) == (worker.name, ["wiped"])
    worker.register_death()


def test_an_unknown_queue_is_refused(environ: dict[str, str]) -> None:
    refused = subprocess.run(
        [sys.executable, "-m", "assay.cli", "worker", "scorign"],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 2
    assert "there is no queue 'scorign'; accepted: intake, scoring, sync." in refused.stderr


def test_a_worker_that_takes_events_in_does_without_the_engine() -> None:
    """The engine's libraries would double what such a process takes of the memory."""
    loaded = (
        "import sys; from importlib import import_module; import assay.worker.service;"
        "from assay.pipeline import STAGES;"
        "[import_module(each.drain.partition(':')[0]) for each in STAGES.values() if each.queue == 'intake'];"
        "print('polars' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"
