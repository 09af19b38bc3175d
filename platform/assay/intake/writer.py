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
from time import sleep
from typing import cast
from uuid import UUID

import psycopg
import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

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
INSERT INTO intake.messages (tenant_id, received_at, id, source_id, call, body)
VALUES (%s, %s, %s, %s, %s, %b) ON CONFLICT DO NOTHING
"""
_WAIT = "INSERT INTO intake.waiting (tenant_id, received_at, message_id) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING"

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
            raise CannotKeep(after=RETRY_AFTER) from None
        except (psycopg.Error, SQLAlchemyError) as error:
            raise CannotKeep(after=RETRY_AFTER) from error

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
        except psycopg.OperationalError:
            raise
        except psycopg.Error as error:
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
                    cursor.executemany(
                        _KEEP, [(m.tenant_id, m.received_at, m.id, m.source_id, m.call, m.body) for m in rows]
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
