"""How fast messages are accepted: ``python -m tests.bench accept``.

``assay serve`` serves the application from a real PostgreSQL, and the load generator takes its share of the same
machine. Beside it, in the same run, stand the least that could do the job: a bare WSGI handler that commits one raw
insert a request, and COPY with no server at all. After each round every answered request is looked for in the table.
"""

import json
import os
import selectors
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import cycle
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
from rich.console import Console
from rich.table import Table

from assay import embedded, migrating, plugins
from assay.intake.ids import message_id
from assay_tenants import database, keys
from assay_tenants.access.service import sign_up

TENANT = "ASSAY_BENCH_TENANT"
BATCH = 100
THREADS = 8
WARM_UP, SECONDS, ROUNDS = 1.0, 4.0, 3
BODIES = 50
INSERT = """
INSERT INTO intake.messages (tenant_id, received_at, id, source_id, call, body) VALUES (%s, %s, %s, 1, 'batch', %b)
"""


@dataclass(frozen=True)
class Round:
    accepted: int
    refused: int
    seconds: float
    latencies: list[float]


@dataclass(frozen=True)
class Load:
    name: str
    path: str
    events: int
    connections: int
    #: Events a second that are promised on two cores, beside the load generator.
    target: int


LOADS = (
    Load("batches of 100", "/v1/batch", BATCH, 12, 60_000),
    Load("single events", "/v1/track", 1, 24, 1_500),
    Load("each checked, by 500", "/api/v1/events", 500, 6, 60_000),
)
SERVERS = {
    "assay": [sys.executable, "-m", "assay.cli", "serve"],
    "bare insert": [
        *(sys.executable, "-m", "granian", "--interface", "wsgi", "--no-ws", "--log-level", "error"),
        *("--port", "{port}", "--blocking-threads", str(THREADS), "bench_accept:bare"),
    ],
}

_local = threading.local()


def bare(environ: dict[str, Any], start_response: Callable[[str, list[tuple[str, str]]], object]) -> Iterable[bytes]:
    """The peer: no parsing, no keys; one insert and one commit a request."""
    connection = getattr(_local, "connection", None)
    if connection is None:
        connection = _local.connection = psycopg.connect(os.environ["ASSAY_DATABASE_URL"], autocommit=True)
    tenant, now = int(os.environ[TENANT]), datetime.now(UTC)
    body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    with connection.transaction():
        connection.execute(f"SET LOCAL app.tenant_id = '{tenant}'")
        connection.execute(INSERT, (tenant, now, message_id(now), body))
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", "16")])
    return [b'{"success":true}']


def events(count: int) -> list[dict[str, object]]:
    return [
        {
            "type": "track",
            "messageId": str(uuid4()),
            "userId": f"user-{number % 40}",
            "event": "Offer Downloaded",
            "properties": {"offer_id": f"offer-{number % 7}", "path": "/offers/spring", "value": 12.5},
            "timestamp": "2026-09-21T12:00:00.000Z",
            "context": {"library": {"name": "analytics-python", "version": "2.4.0"}, "locale": "en-US"},
        }
        for number in range(count)
    ]


def own_events(count: int) -> list[dict[str, object]]:
    return [
        {
            "type": "offer.downloaded",
            "id": str(uuid4()),
            "user_id": f"user-{number % 40}",
            "properties": {"offer_id": f"offer-{number % 7}", "path": "/offers/spring", "value": 12.5},
            "occurred_at": "2026-09-21T12:00:00Z",
        }
        for number in range(count)
    ]


def requests(load: Load, write_key: str, api_key: str) -> list[bytes]:
    return [_request(load, write_key, api_key) for _ in range(BODIES)]


def _request(load: Load, write_key: str, api_key: str) -> bytes:
    document: object
    if load.path.startswith("/api/"):
        document = {"events": own_events(load.events)}
    else:
        items = events(load.events)
        document = {"batch": items, "writeKey": write_key} if load.events > 1 else items[0] | {"writeKey": write_key}
    body = json.dumps(document).encode()
    head = f"POST {load.path} HTTP/1.1\r\nHost: bench.test\r\nContent-Length: {len(body)}\r\n"
    if load.path.startswith("/api/"):
        head += f"Authorization: Bearer {api_key}\r\nContent-Type: application/json\r\n"
    return f"{head}\r\n".encode() + body


class Client:
    """A connection that is kept open, with one request under way at a time."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.answer = b""
        self.started = 0.0

    def send(self, request: bytes) -> None:
        self.answer, self.started = b"", time.perf_counter()
        self.socket.sendall(request)

    def is_answered(self) -> bool:
        """Reads what is there; an answer may come in parts."""
        received = self.socket.recv(65536)
        self.answer += received
        head, found, body = self.answer.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
        return not received or (bool(found) and len(body) >= length)


def send(port: int, load: Load, prepared: list[bytes], seconds: float) -> Round:
    """Keeps every connection busy, from one thread."""
    selector = selectors.DefaultSelector()
    next_request = cycle(prepared).__next__
    for _ in range(load.connections):
        client = Client(port)
        selector.register(client.socket, selectors.EVENT_READ, client)
        client.send(next_request())
    accepted = refused = 0
    latencies = []
    begun = time.perf_counter()
    while selector.get_map():
        for key, _ in selector.select(timeout=10):
            client = key.data
            if not client.is_answered():
                continue
            now = time.perf_counter()
            latencies.append(now - client.started)
            is_accepted = client.answer.startswith(b"HTTP/1.1 200")
            accepted, refused = accepted + is_accepted, refused + (not is_accepted)
            if now - begun > seconds or not client.answer:
                selector.unregister(client.socket)
                client.socket.close()
            else:
                client.send(next_request())
    return Round(accepted, refused, time.perf_counter() - begun, latencies)


@contextmanager
def served(command: list[str], environment: dict[str, str]) -> Iterator[int]:
    """Ends the command with all the processes it started."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    command = [part.format(port=port) for part in command]
    server = subprocess.Popen(command, env=os.environ | environment | {"ASSAY_PORT": str(port)})
    try:
        for _ in range(400):
            with socket.socket() as attempt:
                if attempt.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield port
    finally:
        server.terminate()
        server.wait(30)


def count_messages(application: psycopg.Connection, tenant: int) -> int:
    with application.transaction():
        application.execute(f"SET LOCAL app.tenant_id = '{tenant}'")
        counted = application.execute("SELECT count(*) FROM intake.messages WHERE tenant_id = %s", (tenant,)).fetchone()
    assert counted is not None
    return int(counted[0])


def copy(connection: psycopg.Connection, tenant: int, load: Load, seconds: float) -> Round:
    """As the superuser, whom row-level security lets through: PostgreSQL refuses COPY to everybody else."""
    bodies = [request.partition(b"\r\n\r\n")[2] for request in requests(load, "none", "none")]
    rows, begun = 0, time.perf_counter()
    latencies = []
    while (now := time.perf_counter()) - begun < seconds:
        statement = (
            "COPY intake.messages (tenant_id, received_at, id, source_id, call, body) FROM STDIN (FORMAT binary)"
        )
        with connection.transaction(), connection.cursor() as cursor, cursor.copy(statement) as stream:
            stream.set_types(["int8", "timestamptz", "uuid", "int8", "text", "bytea"])
            at = datetime.now(UTC)
            for body in bodies:
                stream.write_row((tenant, at, message_id(at), 1, "batch", body))
        rows += len(bodies)
        latencies.append(time.perf_counter() - now)
    return Round(rows, 0, time.perf_counter() - begun, latencies)


def add_row(table: Table, name: str, load: Load, rounds: list[Round], found: int) -> None:
    accepted = sum(one.accepted for one in rounds)
    rate = statistics.median(one.accepted / one.seconds for one in rounds)
    latencies = sorted(latency for one in rounds for latency in one.latencies)
    table.add_row(
        name,
        load.name,
        f"{rate:,.0f}",
        f"{rate * load.events:,.0f}",
        f"≥ {load.target:,}" if name == "assay" else "",
        f"{statistics.median(latencies) * 1000:.1f}",
        f"{latencies[len(latencies) * 99 // 100] * 1000:.1f}",
        f"{sum(one.refused for one in rounds)}",
        f"{found:,} of {accepted:,}" + ("" if found == accepted else "  MISSING"),
    )


def main() -> None:
    table = Table("server", "load", "requests/s", "events/s", "target", "p50 ms", "p99 ms", "refused", "rows found")
    folder = Path(tempfile.mkdtemp(prefix="assay-bench-"))
    folder.chmod(0o711)
    try:
        with embedded.start(folder) as servers:
            measure(servers, table)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    Console(width=150).print(table)


def measure(servers: embedded.Embedded, table: Table) -> None:
    migrating.upgrade(servers.owner_url)
    database.configure(servers.database_url)
    environment = {
        "ASSAY_DATABASE_URL": servers.database_url,
        "ASSAY_REDIS_URL": servers.redis_url,
        "ASSAY_SECRET_KEY": "bench-" * 8,
        "ASSAY_SEALING_KEYS": "bench:" + "A" * 43,
        "ASSAY_WEB_THREADS": str(THREADS),
        "ASSAY_TENANT_EVENTS_PER_SECOND": "0",
        "ASSAY_TENANT_BACKLOG": "0",
        "ASSAY_BACKLOG": "0",
        "PYTHONPATH": str(Path(__file__).parent),
    }
    pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"))
    with pool, psycopg.connect(servers.database_url, autocommit=True) as connection:
        for load in LOADS:
            for name, command in SERVERS.items():
                tenant = sign_up(
                    company="Bench",
                    name="Bench",
                    email=f"{uuid4()}@example.test",
                    password="as long as it takes",
                    plugin=plugins.installed().tracking_source().name,
                )
                api_key = keys.issue_key(tenant.tenant_id, kind="api", name="bench").secret
                prepared = requests(load, tenant.write_key, api_key)
                with served(command, environment | {TENANT: str(tenant.tenant_id)}) as port:
                    pool.submit(send, port, load, prepared, WARM_UP).result()
                    before = count_messages(connection, tenant.tenant_id)
                    done = [pool.submit(send, port, load, prepared, SECONDS).result() for _ in range(ROUNDS)]
                add_row(table, name, load, done, count_messages(connection, tenant.tenant_id) - before)
        nobody = 2**40
        with psycopg.connect(servers.places.postgres_url("postgres"), dbname="assay") as superuser:
            done = [copy(superuser, nobody, LOADS[0], SECONDS) for _ in range(ROUNDS)]
        add_row(table, "COPY, no server", LOADS[0], done, count_messages(connection, nobody))


if __name__ == "__main__":
    main()
