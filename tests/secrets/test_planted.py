"""Secrets planted in a real server and a real worker at their most talkative, then looked for wherever words end up."""

import dataclasses
import importlib
import os
import pkgutil
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from uuid import uuid4

import httpx
import psycopg
import pyotp
import pytest
from redis import Redis
from sqlalchemy import text

import assay
import assay_tenants
from assay import pipeline
from assay.embedded import Embedded
from assay.settings import Settings
from assay_tenants import connections
from assay_tenants.connections import credentials_of
from assay_tenants.database import directory_session
from assay_tenants.factors import totp
from assay_tenants.keys import issue_key
from assay_tenants.oauth.apps import register_app

PASSWORD = "canary-Passwort-4711"
IN_ADDRESSES = {"database": "canarydatabasepw", "mail": "canarymailpw", "redis": "canaryredispw"}
QUERIES = ("api_key", "token", "key", "code", "client_secret", "password")


@dataclasses.dataclass
class Harvest:
    """What was planted by its kind, and all the words that were found by where they were."""

    planted: dict[str, str] = dataclasses.field(default_factory=dict)
    words: dict[str, str] = dataclasses.field(default_factory=dict)
    pages: list[str] = dataclasses.field(default_factory=list)

    def plant(self, kind: str, secret: str) -> str:
        assert len(secret) >= 12
        self.planted[kind] = secret
        return secret


@pytest.fixture(scope="module")
def harvest(
    servers: Embedded, settings: Settings, connected: None, redis: Redis, tmp_path_factory: pytest.TempPathFactory
) -> Harvest:
    """Sown once, for all who look."""
    found = Harvest()
    log = tmp_path_factory.mktemp("planted") / "log"
    for kind, secret in IN_ADDRESSES.items():
        found.plant(f"password of {kind}", secret)
    found.plant("sealing key", settings.sealing_keys.partition(":")[2])
    found.plant("secret key", settings.secret_key)
    with ExitStack() as stack:
        commands = _commands(stack, settings)
        port = _start(stack, settings, log)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
            tenant_id = _sow(found, client)
            _fail(found, client, settings)
            _work_off(tenant_id)
            found.words["audit log as exported"] = _export(client)
        found.words["commands"] = "\n".join(command.communicate(timeout=60)[0] for command in commands)
    found.words["log"] = log.read_text()
    found.words["error pages"] = "\n".join(found.pages)
    found.words["Redis"] = _all_of(redis)
    found.words["database"] = _all_rows(servers)
    return found


def _environ(settings: Settings) -> dict[str, str]:
    return {
        "ASSAY_DATABASE_URL": settings.database_url.replace("@", f":{IN_ADDRESSES['database']}@", 1),
        "ASSAY_REDIS_URL": settings.redis_url,
        "ASSAY_SECRET_KEY": settings.secret_key,
        "ASSAY_SEALING_KEYS": settings.sealing_keys,
        "ASSAY_SMTP_URL": f"smtp://ada:{IN_ADDRESSES['mail']}@127.0.0.1:1",
        "ASSAY_MAIL_FROM": "assay@example.test",
        "ASSAY_LOG_LEVEL": "DEBUG",
        "PYTHONFAULTHANDLER": "1",
    }


def _start(stack: ExitStack, settings: Settings, log: Path) -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    output = stack.enter_context(log.open("w"))
    environ = os.environ | _environ(settings) | {"ASSAY_PORT": str(port)}
    for command in (("serve",), ("worker", "intake", "--with-timetable")):
        process = subprocess.Popen(
            [sys.executable, "-m", "assay.cli", *command], env=environ, stdout=output, stderr=subprocess.STDOUT
        )
        stack.callback(process.wait, 30)
        stack.callback(process.terminate)
    deadline = time.monotonic() + 30
    while True:
        with socket.socket() as attempt:
            if attempt.connect_ex(("127.0.0.1", port)) == 0:
                return port
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)


def _sow(found: Harvest, client: httpx.Client) -> int:
    email = f"canary-{uuid4().hex}@quartz.example.test"
    found.plant("password", PASSWORD)
    page = client.post(
        "/sign-up",
        data={
            "csrf_token": _token(client, "/sign-up"),
            "company": "Canary Ltd",
            "name": "Ada",
            "email": email,
            "password": PASSWORD,
        },
    )
    assert page.status_code == 200, page.text
    key = re.search(r"(assay_)?wk_[0-9a-f]+_[A-Za-z0-9]{44,}", page.text)
    assert key
    write_key = found.plant("write key", key[0])
    session = next(value for name, value in client.cookies.items() if name.endswith("assay_session"))
    found.plant("session", session)
    tenant_id = int(session.split("_")[1], 16)
    found.plant("API key", issue_key(tenant_id, kind="api", name="Canary").secret)
    found.plant("credential", "canary-refresh-token-of-a-connection")
    connection_id = connections.create(
        tenant_id, plugin="hubspot", name="Canary", credentials={"refresh": found.planted["credential"]}
    )
    assert credentials_of(tenant_id, connection_id).values == {"refresh": found.planted["credential"]}
    app = register_app(tenant_id, name="Canary app", redirect_uris=["https://a.example/cb"], scopes=["leads:read"])
    found.plant("client secret", app.secret or "")
    found.planted["client id"] = app.client_id
    for number in range(3):
        event = {"userId": "u", "messageId": f"canary-{number}", "event": "Opened"}
        sent = client.post("/v1/track", json=event, auth=(write_key, ""))
        assert sent.status_code == 200, sent.text
    _plant_factor(found, tenant_id)
    # The mail with the link is meant to hold it; nothing else is.
    client.post("/forgotten", data={"csrf_token": _token(client, "/forgotten"), "email": email})
    client.post(
        "/log-in", data={"csrf_token": _token(client, "/forgotten"), "email": email, "password": PASSWORD + "x"}
    )
    found.plant("wrong password", PASSWORD + "x")
    return tenant_id


def _plant_factor(found: Harvest, tenant_id: int) -> None:
    with directory_session() as session:
        person_id = session.execute(
            text("SELECT person_id FROM tenancy.memberships WHERE tenant_id = :t"), {"t": tenant_id}
        ).scalar_one()
        session.execute(text("UPDATE tenancy.people SET email_verified_at = now() WHERE id = :id"), {"id": person_id})
    totp.start(person_id)
    enrolment = totp.enrolment(person_id)
    assert enrolment is not None
    found.plant("TOTP secret", enrolment.secret)
    with suppress(Exception):
        totp.confirm(person_id, "000000", token=found.planted["session"])
    for code in totp.confirm(person_id, pyotp.TOTP(enrolment.secret).now(), token=found.planted["session"]):
        found.plant(f"recovery code {len(found.planted)}", code)


def _fail(found: Harvest, client: httpx.Client, settings: Settings) -> None:
    """Requests that are wrong in every way in which the right secret, or nearly it, is handed over."""
    for secret in (found.planted["API key"], found.planted["write key"], found.planted["session"]):
        altered = secret[:-1] + ("A" if secret[-1] != "A" else "B")
        for value in (secret, altered):
            bearer = {"Authorization": f"Bearer {value}"}
            found.pages += [
                client.get("/api/v1/leads?limit=nonsense", headers=bearer).text,
                client.get("/api/v1/leads/999999", headers=bearer).text,
                client.post("/api/v1/leads", headers=bearer | {"Content-Type": "application/json"}, content="{").text,
                client.post("/v1/track", auth=(value, ""), content=b'{"userId": "\\u0000"}').text,
                client.post("/v1/batch", json={"writeKey": value, "batch": [{"type": "nonsense"}]}).text,
                client.get(f"/v1/projects/{value}x/settings").text,
                client.get(f"/{value}").text.replace(value, ""),
                client.get("/leads", headers={"Cookie": f"assay_session={altered}"}).text,
            ]
    for name in QUERIES:
        for path in ("/api/v1/leads", "/nowhere", "/reset"):
            page = client.get(path, params={name: found.planted["API key"]})
            found.pages.append(page.text if path != "/reset" else "")
    client_id, client_secret = found.planted["client id"], found.planted["client secret"]
    for given in (client_secret, client_secret + "x"):
        form = {"grant_type": "authorization_code", "code": "x", "redirect_uri": "https://a.example/cb"}
        found.pages += [
            client.post("/oauth/token", data=form, auth=(client_id, given)).text,
            client.post("/oauth/token", data=form | {"client_id": client_id, "client_secret": given}).text,
        ]
    token = _token(client, "/forgotten")
    for email in ("ada\0@quartz.example.test",):
        for path in ("/log-in", "/sign-up"):
            form = {
                "csrf_token": token,
                "email": email,
                "password": PASSWORD,
                "company": "\0",
                "name": "\ud800".encode("utf-8", "replace").decode(),
            }
            found.pages.append(client.post(path, data=form).text)


def _work_off(tenant_id: int) -> None:
    for _ in range(3):
        for stage in pipeline.STAGES:
            pipeline.turn(stage, tenant_id)
    # One slot of the timetable, so that the worker at the queue has had its turn.
    time.sleep(1.2)


def _export(client: httpx.Client) -> str:
    texts = [client.get(f"/settings/audit/export?format={kind}").text for kind in ("csv", "json")]
    return "\n".join([*texts, client.get("/settings/audit").text])


def _token(client: httpx.Client, path: str) -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', client.get(path, follow_redirects=True).text)
    assert found, path
    return found[1]


def _all_of(redis: Redis) -> str:
    read: dict[bytes, Callable[[bytes], object]] = {
        b"string": redis.get,
        b"hash": redis.hgetall,
        b"list": lambda key: redis.lrange(key, 0, -1),
        b"set": redis.smembers,
        b"zset": lambda key: redis.zrange(key, 0, -1, withscores=True),
        b"stream": lambda key: redis.xrange(key),
    }
    return "\n".join(f"{key!r} {read[redis.type(key)](key)!r}" for key in redis.scan_iter() if redis.exists(key))


def _all_rows(servers: Embedded) -> str:
    """Every row of every table as text, but mails on their way: a link is there to be sent."""
    rows: list[str] = []
    with psycopg.connect(f"postgresql://postgres@/assay?host={servers.places.sockets}") as superuser:
        superuser.execute("SET bytea_output = 'escape'")
        tables = superuser.execute(
            "SELECT c.oid::regclass::text FROM pg_class c WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition"
            " AND c.relnamespace::regnamespace::text"
            " IN ('tenancy', 'intake', 'profiles', 'scoring', 'delivery', 'public')"
        ).fetchall()
        for (table,) in tables:
            rows += [f"{table} {row[0]}" for row in superuser.execute(f"SELECT t::text FROM {table} t").fetchall()]
    return "\n".join(rows)


def _commands(stack: ExitStack, settings: Settings) -> list["subprocess.Popen[str]"]:
    """Commands whose settings are wrong, or are asked about; they run beside all else."""
    redis_away = {"ASSAY_REDIS_URL": f"redis://:{IN_ADDRESSES['redis']}@127.0.0.1:1/0"}
    return [
        stack.enter_context(
            subprocess.Popen(
                [sys.executable, "-m", "assay.cli", *command],
                env=os.environ | _environ(settings) | redis_away,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
        for command in (("worker", "scoring"), ("doctor",))
    ]


PLACES = ("log", "error pages", "Redis", "commands", "audit log as exported", "database")
#: Secrets that a place has to hold: what people send, and what a page of theirs shows them.
MEANT = {
    # A message is kept byte for byte, and libraries for web pages send their key in it, as all who read the page may.
    "database": {"write key"},
}


@pytest.mark.parametrize("place", PLACES)
def test_no_planted_secret_is_found(harvest: Harvest, place: str) -> None:
    words = harvest.words[place]
    assert len(words) > 200, f"nothing was said in {place}"
    leaked = [
        f"{kind}: …{words[max(0, words.index(secret) - 150) : words.index(secret) + 20]}"
        for kind, secret in harvest.planted.items()
        if kind != "client id" and secret in words and kind not in MEANT.get(place, ())
    ]
    assert leaked == []


def test_all_kinds_were_planted(harvest: Harvest) -> None:
    kinds = {"password", "write key", "API key", "session", "credential", "client secret", "TOTP secret", "sealing key"}
    assert harvest.planted.keys() >= kinds
    # The log is that of both, and says what went wrong.
    assert '"process": "web"' in harvest.words["log"]
    assert '"process": "worker intake"' in harvest.words["log"]


def test_nothing_tells_its_secret_when_asked_what_it_is(harvest: Harvest, settings: Settings) -> None:
    talkative = dataclasses.replace(
        settings,
        smtp_url=f"smtp://ada:{IN_ADDRESSES['mail']}@127.0.0.1:1",
        redis_url=f"redis://:{IN_ADDRESSES['redis']}@127.0.0.1:1/0",
        database_url=f"postgresql://u:{IN_ADDRESSES['database']}@h/d",
    )
    assert not any(secret in repr(talkative) for secret in harvest.planted.values())


def test_nothing_that_is_called_a_secret_is_in_the_words_of_an_object() -> None:
    """A data class says all its fields when it is logged, or stands in a traceback of a debugger."""
    secret = re.compile(
        r"(^|_)(secret|password|token|write_key|challenge|credentials|private_key|device_code|user_code)$"
    )
    talking = []
    for package in (assay_tenants, assay):
        for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            if module.name.endswith("__main__") or "node_modules" in module.name:
                continue
            for name, kind in vars(importlib.import_module(module.name)).items():
                if isinstance(kind, type) and dataclasses.is_dataclass(kind) and kind.__module__ == module.name:
                    shown = kind.__repr__ is not object.__repr__ and "__repr__" in vars(kind)
                    own = shown and getattr(kind.__repr__, "__wrapped__", None) is not None
                    talking += [
                        f"{module.name}.{name}.{field.name}"
                        for field in dataclasses.fields(kind)
                        if own and field.repr and secret.search(field.name)
                    ]
    assert sorted(set(talking) - NO_SECRETS) == []


#: Named like secrets, and none.
NO_SECRETS = {
    "assay.connecting.settings_forms.FormField.secret",
    "assay_tenants.oauth.codes.FoundCode.code_challenge",
    "assay_tenants.sso.discovery.Endpoints.token",
}
