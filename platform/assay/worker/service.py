"""The worker's door: one process, one queue, each job in this very process.

Jobs of the queue ``sync`` hand work to threads of their own, because it waits for vendors: a job is short all the same.
"""

import gc
import os
import socket
from importlib import import_module
from threading import Event, Thread

import structlog
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
from assay.syncing.slots import SLOTS
from assay.worker.timetable import rounds
from assay_tenants import database

# A batch is hundreds of thousands of values that live for a moment and form no cycles: looking for some at Python's
# usual pace took a third of a worker's time.
NEW_VALUES = 200_000
# A worker that is gone is noticed after this, and its job given to another.
LIFE_SIGN_SECONDS = 30

log = structlog.get_logger()


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
    # Whoever renews a connection's access holds a row while its vendor answers: half of the slots at most do.
    pool_size = SLOTS if queue == pipeline.SYNC.queue else 2
    database.refuse_powerful_role(database.configure(settings.database_url, pool_size=pool_size))
    agree()
    # A worker waits for a job longer than redis-py would wait for an answer by default.
    redis = Redis.from_url(settings.redis_url, socket_timeout=LIFE_SIGN_SECONDS, health_check_interval=30)
    pipeline.connect(redis)
    limits.configure(settings)
    for stage in pipeline.STAGES.values():
        if stage.queue == queue:
            import_module(stage.drain.partition(":")[0])
    pool = None
    if queue == pipeline.SYNC.queue:
        # Loaded by those alone that ask vendors.
        from assay.syncing import jobs

        pool = jobs.configure(settings)
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
    if pool is not None and not pool.stop():
        log.warning("worker.left_work", queue=queue)
