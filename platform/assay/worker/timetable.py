"""Puts what is due by the clock on its queue, or does it: each entry once per slot, however many timetables run."""

import signal
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from importlib import import_module
from threading import Event

import structlog
from redis import Redis, RedisError
from rq import Queue
from rq.serializers import JSONSerializer
from sqlalchemy.exc import SQLAlchemyError

from assay import pipeline
from assay.guards import agree, guard
from assay.letterbox import send_courier
from assay.pipeline import TIMETABLE, Every
from assay.settings import Settings
from assay_tenants import database

FAILURES_KEPT = timedelta(days=3)

log = structlog.get_logger()


def keep_time(settings: Settings) -> None:
    """Runs until SIGTERM or SIGINT."""
    stopped = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    guard(settings)
    database.refuse_powerful_role(database.configure(settings.database_url, pool_size=1))
    agree()
    redis = Redis.from_url(settings.redis_url, health_check_interval=30)
    pipeline.connect(redis)
    send_courier()
    rounds(TIMETABLE, redis, stopped.wait)


def rounds(entries: Sequence[Every], redis: Redis, wait: Callable[[float], bool]) -> None:
    """Goes round until `wait(seconds)` says that it is over."""
    done: dict[str, int] = {}
    while True:
        now = time.time()
        for entry in entries:
            if done.get(entry.job) != slot(entry, now):
                try:
                    begin(entry, redis, slot(entry, now))
                except (RedisError, SQLAlchemyError) as error:
                    log.warning("timetable.delayed", job=entry.job, error=str(error))
                    continue
                done[entry.job] = slot(entry, now)
        seconds = min(entry.every.total_seconds() - now % entry.every.total_seconds() for entry in entries)
        if wait(max(seconds, 0.05)):
            return


def slot(entry: Every, now: float) -> int:
    return int(now // entry.every.total_seconds())


def begin(entry: Every, redis: Redis, number: int) -> None:
    seconds = max(1, int(entry.every.total_seconds()))
    if not redis.set(f"assay:timetable:{entry.job}:{number}", 1, nx=True, ex=seconds):
        return
    if entry.queue is None:
        module, _, name = entry.job.rpartition(".")
        getattr(import_module(module), name)()
        return
    Queue(entry.queue, connection=redis, serializer=JSONSerializer).enqueue(
        entry.job,
        # By then the next one does its work: while no worker runs, they must not pile up.
        ttl=seconds,
        result_ttl=0,
        failure_ttl=int(FAILURES_KEPT.total_seconds()),
    )
