"""Whatever is done for a tenant leaves every row of its neighbours as it was: stages, sweeps and commands."""

import json
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import click
import psycopg
import pytest
from click.testing import CliRunner, Result
from sqlalchemy import update

from assay import logs, pipeline, plugins
from assay.cli import main
from assay.pipeline import STAGES, TIMETABLE
from assay.profiles.models import Lead
from assay.scoring import service
from assay.syncing import service as syncing
from assay_tenants import connections, database
from assay_tenants.context import depart
from assay_tenants.database import tenant_session
from assay_tenants.keys import issue_key
from tests.vendors.quarry import Quarry, signed

MODEL = "{model: theirs, rules: [{id: a, on: page.viewed, points: 2}]}"
#: Commands that take a tenant, each with what else it needs.
COMMANDS = {
    ("rescore",): [],
    ("operator", "open"): ["--reason", "To look at something"],
    ("operator", "list"): [],
    ("operator", "verify-audit"): [],
    ("plan", "set"): ["unlimited"],
}


@pytest.fixture
def prints(servers: Any) -> Iterator[Callable[[int], dict[str, str]]]:
    """A fingerprint of all rows of a tenant, by table: seen by the superuser, whom no policy holds back."""
    with psycopg.connect(servers.places.postgres_url("postgres"), dbname="assay", autocommit=True) as superuser:
        tables = superuser.execute(
            "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
            " WHERE a.attname = 'tenant_id' AND c.relkind IN ('r', 'p') AND NOT c.relispartition"
            " AND c.relnamespace::regnamespace::text IN ('tenancy', 'intake', 'profiles', 'scoring', 'delivery')"
        ).fetchall()

        def of(tenant_id: int) -> dict[str, str]:
            return {
                table: superuser.execute(
                    f"SELECT md5(string_agg(t::text, ',' ORDER BY t::text)) FROM {table} t WHERE tenant_id = %s",
                    (tenant_id,),
                ).fetchone()[0]  # type: ignore[index] # an aggregate has a row
                for (table,) in tables
            }

        yield of


@pytest.fixture
def command(settings: Any, connected: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Result]]:
    """A command in this process, which has its own connections to the same database afterwards again."""
    # Loggers remember how they were set up first: whoever looks at lines later in this process would see none.
    monkeypatch.setattr(logs, "configure", lambda *_, **__: None)
    monkeypatch.setattr(logs, "watch_for_crashes", lambda: None)
    environment = {
        "ASSAY_DATABASE_URL": settings.database_url,
        "ASSAY_REDIS_URL": settings.redis_url,
        "ASSAY_PUBLIC_URL": "https://assay.example.test",
    }
    yield lambda *words: CliRunner().invoke(main, words, env=environment)
    database.configure(settings.database_url)
    depart()


def commands(group: click.Group, names: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        each = group.get_command(context, name)
        if isinstance(each, click.Group):
            yield from commands(each, (*names, name))
        elif each is not None:
            yield (*names, name), each


def test_every_command_that_takes_a_tenant_is_asked() -> None:
    taking = {names for names, each in commands(main) if any("tenant" in (one.name or "") for one in each.params)}
    assert taking == COMMANDS.keys()


def test_commands_for_one_leave_the_other_as_it_was(victim, house, neighbour, prints, command) -> None:
    before, own = prints(victim.tenant_id), prints(neighbour.tenant_id)
    for names, further in COMMANDS.items():
        result = command(*names, "--tenant", str(neighbour.tenant_id), *further)
        assert result.exit_code == 0, (names, result.output)
        assert "ecret" not in result.output
    assert changed(before, prints(victim.tenant_id)) == set()
    assert "tenancy.audit_log" in changed(own, prints(neighbour.tenant_id))


def test_work_for_one_leaves_the_other_as_it_was(victim, house, neighbour, client, prints) -> None:
    # The neighbour has all kinds of work waiting, by the same names as the victim's.
    batch = [
        {"type": "identify", "userId": "secret-user", "traits": {"email": "ada@example.test"}},
        {"type": "track", "userId": "secret-user", "event": "page.viewed", "properties": {"path": "/x"}},
        {"type": "track", "userId": "secret-user"},
    ]
    answer = client.post("/v1/batch", json={"batch": batch}, auth=(neighbour.write_key, ""))
    assert answer.status_code == 200
    service.create_model(neighbour.tenant_id, MODEL)
    service.publish(neighbour.tenant_id, "theirs", by="Ada Example")
    before = prints(victim.tenant_id)
    for stage in STAGES:
        while pipeline.turn(stage, neighbour.tenant_id):
            pass
    assert changed(before, prints(victim.tenant_id)) == set()


def test_what_the_timetable_does_for_all_touches_no_rows_that_are_not_past(victim, house, prints) -> None:
    before = prints(victim.tenant_id)
    for entry in TIMETABLE:
        pipeline._function(":".join(entry.job.rsplit(".", 1)))()
    assert changed(before, prints(victim.tenant_id)) <= {"tenancy.usage"}


class TestNotices:
    """What vendors post reaches those alone whose account it is, whoever else has a connection of the same plugin."""

    @pytest.fixture
    def connected_both(self, victim, neighbour, monkeypatch) -> Iterator[tuple[dict[str, str], dict[str, int]]]:
        """Quarry as if it were installed, with an account of the victim's and one of the neighbour's."""
        found = plugins.installed()
        secrets = {"client_secret": "its-app-secret", "old_secret": "", "api": "http://127.0.0.1:1"}
        monkeypatch.setitem(found.services, "quarry", Quarry())
        monkeypatch.setitem(found.sources, "quarry", Quarry.source)
        monkeypatch.setattr(plugins, "app_settings", lambda _: secrets)
        made = {}
        for name, one in (("victim", victim), ("neighbour", neighbour)):
            account = f"{name}-{one.tenant_id}"
            made[account] = connections.create(
                one.tenant_id, plugin="quarry", name=name, account=account, credentials={"access_token": "secret-t"}
            )
            syncing.establish(one.tenant_id, made[account], "quarry", account, title=name, hook_token="")
        yield secrets, made
        for one, connection_id in zip((victim, neighbour), made.values(), strict=True):
            syncing.end(one.tenant_id, connection_id)

    @staticmethod
    def post(client, app, secret: str, *accounts: str) -> int:
        body = json.dumps({"notices": [{"account": account, "stone": 1} for account in accounts]}).encode()
        url = f"{app.extensions['hooks'].address}/hooks/quarry"
        headers = signed(body, url=url, secret=secret, at=time.time())
        return int(client.post("/hooks/quarry", data=body, headers=headers).status_code)

    def test_one_posted_to_the_other_leaves_it_as_it_was(
        self, victim, house, neighbour, client, app, prints, connected_both
    ) -> None:
        secrets, made = connected_both
        ours, theirs = made
        app.extensions["hooks"].routes.forget()
        before, own = prints(victim.tenant_id), prints(neighbour.tenant_id)
        assert self.post(client, app, secrets["client_secret"], theirs, "nobody's") == 200
        assert self.post(client, app, "a-guess", ours) == 401
        for stage in STAGES:
            while pipeline.turn(stage, neighbour.tenant_id):
                pass
        assert changed(before, prints(victim.tenant_id)) == set()
        assert "intake.messages" in changed(own, prints(neighbour.tenant_id))


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {table for table in before if before[table] != after[table]}


def test_a_fingerprint_tells_a_change(victim, prints) -> None:
    # Without this, the tests above would also pass with one that sees nothing.
    before = prints(victim.tenant_id)
    assert len([table for table, found in before.items() if found]) > 15
    with tenant_session(victim.tenant_id) as session:
        session.execute(update(Lead).where(Lead.tenant_id == victim.tenant_id).values(name="Another"))
    assert changed(before, prints(victim.tenant_id)) == {"profiles.leads"}


class TestRedis:
    """What is in Redis is nobody's by itself, or says whose it is."""

    #: Names without a tenant, each with what they are of.
    SHARED = (
        (r"LIMITS?:|assay:tries:|assay:sso|LIMITER", "how often somebody may try, by person, app or address"),
        (r"rq:", "nudges, whose arguments are a stage and a tenant"),
        (r"assay:timetable:", "which job ran when"),
        (r"assay:limit:", "how often a vendor is asked, by the vendor's account"),
        (r"assay:breaker:", "which vendors fail, by their host"),
    )

    def test_every_name_says_whose_it_is(self, victim, house, redis, client, app, work_off) -> None:
        secret = issue_key(victim.tenant_id, kind="api", name="Tests").secret
        for path in ("/leads", "/models", "/usage"):
            assert client.get(f"/api/v1{path}", headers={"Authorization": f"Bearer {secret}"}).status_code == 200
        client.post("/log-in", data={"email": "secret@example.test", "password": "wrong"})
        work_off(victim.tenant_id)
        unclear = []
        for name in redis.keys("*"):
            text = name.decode()
            if any(re.match(pattern, text) for pattern, _ in self.SHARED):
                continue
            if not re.search(r"(?:^|:)\{?[0-9]+\}?(?::|$)", text):
                unclear.append(text)
        assert unclear == []

    def test_nothing_secret_is_in_it(self, victim, house, redis) -> None:
        reads = {
            b"string": redis.get,
            b"hash": redis.hgetall,
            b"list": lambda name: redis.lrange(name, 0, -1),
            b"set": redis.smembers,
            b"zset": lambda name: redis.zrange(name, 0, -1),
            # Over since its name was told.
            b"none": lambda name: None,
        }
        for name in redis.keys("*"):
            held = reads[redis.type(name)](name)
            assert "ecret" not in f"{name} {held}"
