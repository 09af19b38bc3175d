"""The worker's door: one process, one queue, each job in this very process."""

import gc
import os
import socket
from importlib import import_module
from threading import Event, Thread

from redis import Redis
from redis.client import Pipeline
from rq import Queue, SimpleWorker, worker_registration
from rq.serializers import JSONSerializer

from assay import pipeline
from assay.guards import agree, guard
from assay.letterbox import send_courier
from assay.pipeline import TIMETABLE
from assay.profiles import limits
from assay.settings import Settings
from assay.worker.timetable import rounds
from assay_tenants import database

# A batch is hundreds of thousands of values that live for a moment and form no cycles: looking for some at Python's
# usual pace took a third of a worker's time.
NEW_VALUES = 200_000
# A worker that is gone is noticed after this, and its job given to another.
LIFE_SIGN_SECONDS = 30


class Worker(SimpleWorker):
    """Runs jobs in its own process: Polars may deadlock in a fork of a process that has used it."""

    log_job_description = False
    log_result_lifespan = False
    # Redis comes back sooner than its default minute.
    max_connection_wait_time = 5.0

    def heartbeat(self, timeout: int | None = None, pipeline: Pipeline | None = None) -> None:
        super().heartbeat(timeout, pipeline)
        if pipeline is None and not self.connection.hexists(self.key, "birth"):
            # Redis came back empty: without this, nobody would know of this worker until it ends.
            self.connection.hset(self.key, mapping=self.serialize())
            worker_registration.register(self)


def work(queue: str, settings: Settings, *, keeps_time: bool) -> None:
    """Works until told to stop (SIGTERM); a job under way is finished first."""
    guard(settings)
    database.refuse_powerful_role(database.configure(settings.database_url, pool_size=2))
    agree()
    # A worker waits for a job longer than redis-py would wait for an answer by default.
    redis = Redis.from_url(settings.redis_url, socket_timeout=LIFE_SIGN_SECONDS, health_check_interval=30)
    pipeline.connect(redis)
    limits.configure(settings)
    for stage in pipeline.STAGES.values():
        if stage.queue == queue:
            import_module(stage.drain.partition(":")[0])
    if keeps_time:
        send_courier()
        Thread(target=rounds, args=(TIMETABLE, redis, Event().wait), name="timetable", daemon=True).start()
    gc.freeze()
    gc.set_threshold(NEW_VALUES)
    Worker(
        # Only a worker of a single queue moves a job out of it without a moment in which a kill loses it.
        [Queue(queue, connection=redis, serializer=JSONSerializer)],
        name=f"{queue}-{socket.gethostname()}-{os.getpid()}",
        connection=redis,
        serializer=JSONSerializer,
        worker_ttl=LIFE_SIGN_SECONDS,
        job_monitoring_interval=5,
        maintenance_interval=5,
        default_result_ttl=0,
    ).work(logging_level="WARNING")
