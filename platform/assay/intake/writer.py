"""Puts accepted messages on disk: one thread a process commits whatever waits, together.

Requests that arrive while one commit is under way share the next one, so a busy moment costs fewer commits, not more.
"""

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from operator import attrgetter
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from time import monotonic, sleep
from typing import cast
from uuid import UUID

import psycopg
import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from assay import facts
from assay.intake.errors import CannotKeep
from assay_tenants import database

PATIENCE = timedelta(seconds=5)
RETRY_AFTER = timedelta(seconds=5)
# Bounds the memory and the time of one commit.
GROUP = 256
# A busy tenant is told of at most this often: each time costs a trip to Redis.
TELLING_PAUSE = timedelta(milliseconds=10)

# Sent again after a commit whose answer was lost, the same row must not be refused.
_KEEP = """
INSERT INTO intake.messages (tenant_id, received_at, id, source_id, call, body, retention)
VALUES (%s, %s, %s, %s, %s, %b, %s) ON CONFLICT DO NOTHING
"""
_WAIT = "INSERT INTO intake.waiting (tenant_id, received_at, message_id) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING"

_CLASS = "SELECT keep_messages FROM tenancy.tenants WHERE id = %s"
# Whoever moves messages to a tenant's new class looks again long after this.
CLASS_LIFETIME = timedelta(seconds=4)
CLASSES_KNOWN = 10_000

# By the beginning of a SQLSTATE, the longer ones first.
_REASONS = {
    "53100": "the database's disk is full",
    "53200": "the database is out of memory",
    "53300": "the database has no connection left",
    "53": "the database is short of room",
    "54": "it is larger than the database can hold",
    "57014": "the database did not answer in time",
}

log = structlog.get_logger()


@dataclass(frozen=True)
class Received:
    """A message that is to be kept."""

    tenant_id: int
    source_id: int
    id: UUID
    received_at: datetime
    call: str
    body: bytes


@dataclass(frozen=True)
class _Order:
    message: Received
    done: Future[None]


class Writer:
    """Keeps messages durably. Its thread and its connection are opened by the first message."""

    def __init__(self, *, patience: timedelta = PATIENCE) -> None:
        self._patience = patience.total_seconds()
        self._orders: SimpleQueue[_Order] = SimpleQueue()
        self._kept: SimpleQueue[int] = SimpleQueue()
        self._connection: psycopg.Connection | None = None
        self._engine: Engine | None = None
        self._threads: list[Thread] = []
        self._starting = Lock()
        #: Of each tenant: until when it is believed, and for how many days its messages are kept.
        self._classes: dict[int, tuple[float, int]] = {}

    def keep(self, message: Received) -> None:
        """Returns once the message is committed; raises CannotKeep when that can't be had now."""
        self._ensure_running()
        done: Future[None] = Future()
        self._orders.put(_Order(message, done))
        try:
            done.result(self._patience)
        except TimeoutError:
            # If it is committed after all, the sender's second try is recognised by its messageId.
            done.cancel()
            raise CannotKeep(after=RETRY_AFTER, reason=_REASONS["57014"]) from None
        except (psycopg.Error, SQLAlchemyError) as error:
            raise CannotKeep(after=RETRY_AFTER, reason=_reason(error)) from error

    def _ensure_running(self) -> None:
        if len(self._threads) == 2 and all(thread.is_alive() for thread in self._threads):
            return
        with self._starting:
            alive = {thread.name: thread for thread in self._threads if thread.is_alive()}
            for name, work in (("intake-writer", self._write), ("intake-teller", self._tell)):
                if name not in alive:
                    alive[name] = Thread(target=work, name=name, daemon=True)
                    alive[name].start()
            self._threads = list(alive.values())

    def _write(self) -> None:
        while True:
            group = self._next_group()
            try:
                self._keep_group(group)
            except BaseException as error:  # noqa: BLE001 # whatever it is, nobody may be left waiting
                log.warning("intake.not_kept", messages=len(group), error=type(error).__name__)
                self._close()
                for order in group:
                    if not order.done.done():
                        order.done.set_exception(error)

    def _next_group(self) -> list[_Order]:
        group: list[_Order] = []
        while not group:
            waiting = [self._orders.get()]
            try:
                while len(waiting) < GROUP:
                    waiting.append(self._orders.get_nowait())
            except Empty:
                pass
            # Those whose request has given up are not written any more.
            group = [order for order in waiting if order.done.set_running_or_notify_cancel()]
        return group

    def _keep_group(self, group: list[_Order]) -> None:
        messages = sorted((order.message for order in group), key=attrgetter("tenant_id"))
        try:
            self._commit_or_reconnect(messages)
        except psycopg.Error as error:
            if isinstance(error, psycopg.OperationalError) and not _is_of_one_row(error):
                raise
            if len(group) == 1:
                log.warning("intake.not_kept", tenant_id=messages[0].tenant_id, error=type(error).__name__)
                group[0].done.set_exception(error)
                return
            # One row is at fault; its neighbours are not.
            for order in group:
                self._keep_group([order])
            return
        for order in group:
            order.done.set_result(None)
        for tenant_id in {message.tenant_id for message in messages}:
            self._kept.put(tenant_id)

    def _commit_or_reconnect(self, messages: Sequence[Received]) -> None:
        kept_open = self._connection
        try:
            self._commit(self._connected(), messages)
        except psycopg.OperationalError:
            lost = self._connection is None or self._connection.closed
            is_fresh = self._connection is not kept_open
            self._close()
            # A connection that was idle may have died long ago.
            if is_fresh or not lost:
                raise
            self._commit(self._connected(), messages)

    def _commit(self, connection: psycopg.Connection, messages: Sequence[Received]) -> None:
        # By hand, because each trip to the server that is saved is felt at full speed.
        begin = "BEGIN; "
        try:
            with connection.cursor() as cursor:
                for tenant_id, group in groupby(messages, attrgetter("tenant_id")):
                    rows = list(group)
                    cursor.execute(f"{begin}SET LOCAL app.tenant_id = '{int(tenant_id)}'")
                    begin = ""
                    days = self._class_of(tenant_id, cursor)
                    cursor.executemany(
                        _KEEP, [(m.tenant_id, m.received_at, m.id, m.source_id, m.call, m.body, days) for m in rows]
                    )
                    cursor.executemany(_WAIT, [(m.tenant_id, m.received_at, m.id) for m in rows])
                cursor.execute("COMMIT")
                # PostgreSQL answers the COMMIT of a failed transaction without an error.
                if cursor.statusmessage != "COMMIT":
                    raise psycopg.InternalError("The transaction was rolled back.")
        except BaseException:
            if not connection.closed:
                connection.execute("ROLLBACK")
            raise

    def _class_of(self, tenant_id: int, cursor: psycopg.Cursor) -> int:
        known = self._classes.get(tenant_id)
        now = monotonic()
        if known is None or known[0] <= now:
            if len(self._classes) >= CLASSES_KNOWN:
                self._classes.clear()
            row = cursor.execute(_CLASS, (tenant_id,)).fetchone()
            # A tenant that is not there fails in what follows, if anywhere.
            known = self._classes[tenant_id] = (now + CLASS_LIFETIME.total_seconds(), row[0] if row else 0)
        return known[1]

    def _connected(self) -> psycopg.Connection:
        engine = database.engine()
        if self._connection is None or self._engine is not engine:
            self._close()
            pooled = engine.raw_connection()
            connection = cast(psycopg.Connection, pooled.driver_connection)
            # Out of the pool for good: requests must not run short of connections because of this one.
            pooled.detach()
            self._connection, self._engine = connection, engine
            connection.autocommit = True
            connection.execute(f"SET statement_timeout = {int(self._patience * 1000)}")
        return self._connection

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _tell(self) -> None:
        while True:
            tenants = {self._kept.get()}
            try:
                while True:
                    tenants.add(self._kept.get_nowait())
            except Empty:
                pass
            for tenant_id in tenants:
                try:
                    facts.tell(facts.MessagesKept(tenant_id))
                except Exception as error:  # noqa: BLE001 # rows are the truth; a sweep finds what is not told
                    log.warning("intake.not_told", tenant_id=tenant_id, error=str(error))
            sleep(TELLING_PAUSE.total_seconds())


def _is_of_one_row(error: psycopg.Error) -> bool:
    """Larger than a limit of the database: the others of its group are not."""
    return (error.sqlstate or "").startswith("54")


def _reason(error: Exception) -> str | None:
    original = error.orig if isinstance(error, DBAPIError) else error
    state = getattr(original, "sqlstate", None) or ""
    return next((reason for start, reason in _REASONS.items() if state.startswith(start)), None)
