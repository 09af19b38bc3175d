"""How many tokens are given out a second: ``python -m tests.bench issuance``.

``assay run`` serves; apps that act by themselves ask for access tokens, and others renew theirs with refresh tokens,
each from connections of its own on the same machine. Beside them, in the same run: a page of the same server that only
looks whether the database is there. The promise is 300 a second.
"""

import base64
import http.client
import json
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from urllib.parse import urlencode, urlsplit
from uuid import uuid4

from authlib.oauth2.rfc7636 import create_s256_code_challenge
from rich.console import Console
from rich.table import Table

from assay import logs, plugins
from assay_tenants import sealing
from assay_tenants.access.service import SignedUp, sign_up
from assay_tenants.oauth import apps, codes, grants, issuer
from assay_tenants.oauth.catalogue import find_app
from tests.bench.running import assay_running

CONNECTIONS, SECONDS, ROUNDS = 6, 5.0, 3
PROMISE = 300
VERIFIER = "v" * 64
REDIRECT = "https://app.example.test/callback"

#: Asks once over a connection that stays open.
Ask = Callable[[http.client.HTTPConnection], None]


def main() -> None:
    logs.configure("WARNING", process="bench")
    table = Table("what", "a second", "p50 ms", "p99 ms", "promised")
    with assay_running() as running:
        sealing.configure((running.places.data_dir / "sealing-keys").read_text().strip())
        issuer.configure(running.address)
        tenant = sign_up(
            company="Bench",
            name="Bench",
            email=f"{uuid4()}@example.test",
            password="as long as it takes",
            plugin=plugins.installed().tracking_source().name,
        )
        loads = {
            "access tokens of apps that act by themselves": [_by_itself(tenant) for _ in range(CONNECTIONS)],
            "refresh tokens renewed": [_renewing(tenant, running.address) for _ in range(CONNECTIONS)],
            "the same server, looking for its database": [_looking] * CONNECTIONS,
        }
        found: dict[str, list[list[float]]] = {name: [] for name in loads}
        for _ in range(ROUNDS):
            for name, asks in loads.items():
                found[name].append(_drive(running.address, asks))
        for name, rounds in found.items():
            pace = statistics.median(len(times) / SECONDS for times in rounds)
            times = sorted(time for one in rounds for time in one)
            promised = "" if "database" in name else f"{PROMISE} {'' if pace >= PROMISE else 'MISSED'}"
            table.add_row(
                name,
                f"{pace:,.0f}",
                f"{statistics.median(times) * 1000:.1f}",
                f"{times[len(times) * 99 // 100] * 1000:.1f}",
                promised,
            )
    Console(width=120).print(table)


def _drive(address: str, asks: list[Ask]) -> list[float]:
    """Seconds that each request took."""
    until = time.perf_counter() + SECONDS

    def ask_on(ask: Ask) -> list[float]:
        connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=30)
        times = []
        while (began := time.perf_counter()) < until:
            ask(connection)
            times.append(time.perf_counter() - began)
        connection.close()
        return times

    with ThreadPoolExecutor(len(asks)) as pool:
        return [time for times in pool.map(ask_on, asks) for time in times]


def _by_itself(tenant: SignedUp) -> Ask:
    app = apps.register_app(
        tenant.tenant_id, name="Bench", grant_types=[apps.CREDENTIALS], scopes=["leads:read"], created_by=None
    )
    body = {"grant_type": apps.CREDENTIALS, "scope": "leads:read"}
    return lambda connection: _read(connection, app, body) and None


def _renewing(tenant: SignedUp, address: str) -> Ask:
    """Each renewal with the token of the one before."""
    registered = apps.register_app(tenant.tenant_id, name="Bench", redirect_uris=[REDIRECT], scopes=["leads:read"])
    app = find_app(registered.client_id)
    assert app is not None
    grant_id, given = grants.give(tenant.tenant_id, tenant.person_id, app, ["leads:read"])
    code = codes.issue(
        tenant.tenant_id,
        grant_id,
        scopes=given,
        resource=issuer.issuer().api,
        redirect_uri=REDIRECT,
        code_challenge=create_s256_code_challenge(VERIFIER),
        nonce="",
        auth_time=datetime.now(UTC),
        methods=["password"],
    )
    body = {"grant_type": apps.CODE, "code": code, "redirect_uri": REDIRECT, "code_verifier": VERIFIER}
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=30)
    held = [_read(connection, registered, body)["refresh_token"]]
    connection.close()

    def ask(connection: http.client.HTTPConnection) -> None:
        answer = _read(connection, registered, {"grant_type": apps.REFRESH, "refresh_token": held[0]})
        held[0] = answer["refresh_token"]

    return ask


def _looking(connection: http.client.HTTPConnection) -> None:
    connection.request("GET", "/healthz")
    assert connection.getresponse().read()


def _read(connection: http.client.HTTPConnection, app: apps.Registered, body: dict[str, str]) -> dict[str, str]:
    proof = base64.b64encode(f"{app.client_id}:{app.secret}".encode()).decode()
    headers = {"Authorization": f"Basic {proof}", "Content-Type": "application/x-www-form-urlencoded"}
    connection.request("POST", "/oauth/token", urlencode(body), headers)
    answer = connection.getresponse()
    text = answer.read()
    assert answer.status == 200, text
    read: dict[str, str] = json.loads(text)
    return read
