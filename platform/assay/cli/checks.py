"""What `assay doctor` looks at: each check says what it found and, where that is wrong, what to do."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import import_module

from redis import Redis, RedisError
from rq import SimpleWorker
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import DBAPIError

from assay import roles
from assay.cli.entrance import reason
from assay.intake.partitions import HISTORY
from assay.intake.retention import PARENTS
from assay.migrating import newest
from assay.pipeline import QUEUES
from assay.places import Places
from assay.plugins import installed, missing_settings, unknown_settings, variable
from assay.settings import Settings, unknown_names
from assay_tenants import database, resealing, sealing
from assay_tenants.database import PowerfulRole, refuse_powerful_role
from assay_tenants.sealing import SealingError

OLDEST_POSTGRES = 160000
OLDEST_REDIS = (6, 2)
LATE = timedelta(seconds=90)

# Parents only: the application has no rights on a partition itself.
UNGUARDED = """
SELECT c.oid::regclass::text FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id'
 WHERE c.relnamespace::regnamespace::text IN ('tenancy', 'intake', 'profiles', 'scoring', 'delivery')
   AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND NOT a.attisdropped
   AND NOT (c.relrowsecurity AND c.relforcerowsecurity)
 ORDER BY 1"""
# A day late is past the patience of those who drop them.
OVERDUE = """
SELECT child FROM public.assay_partitions()
 WHERE retention > 0 AND last + make_interval(days => retention + 1) < now() ORDER BY 1"""
_MEND = "A worker of scoring moves them within minutes; see its log for partitions.not_mended if they stay."
_DROP = "A worker of scoring drops them; see its log for partitions.busy: a transaction has been open for long."
SIDE_DOORS = """
SELECT c.oid::regclass::text FROM pg_class c
 WHERE c.relnamespace::regnamespace::text IN ('tenancy', 'intake', 'profiles', 'scoring', 'delivery')
   AND c.relispartition AND c.relkind IN ('r', 'p') AND has_table_privilege(c.oid, 'SELECT,INSERT,UPDATE,DELETE')
 ORDER BY 1"""


@dataclass(frozen=True)
class Finding:
    what: str
    found: str
    #: What to do; empty when all is well.
    remedy: str = ""


def check_names(settings: Settings) -> Iterator[Finding]:
    for name in unknown_names(os.environ):
        yield Finding(name, "is set, but is not a setting", "Correct its name, or unset it; the list is above.")


def check_database(settings: Settings) -> Iterator[Finding]:
    engine = _engine(settings.database_url)
    try:
        with engine.connect() as connection:
            yield _version_of_postgres(connection)
            yield _tables(connection)
            yield from _doors(connection)
            yield from _keeping(connection)
        refuse_powerful_role(engine)
    except PowerfulRole as powerful:
        yield Finding("role", "sees across tenants", str(powerful))
    except DBAPIError as error:
        yield Finding("PostgreSQL", reason(error), _start_or("ASSAY_DATABASE_URL", embedded=_is_embedded(settings)))
    else:
        yield Finding("role", f"{engine.url.username}: held back by row-level security")
    finally:
        engine.dispose()


def _version_of_postgres(connection: Connection) -> Finding:
    number, name = connection.execute(
        text("SELECT current_setting('server_version_num')::int, current_setting('server_version')")
    ).one()
    too_old = "Use PostgreSQL 16 or newer." if number < OLDEST_POSTGRES else ""
    return Finding("PostgreSQL", f"{name}, reachable", too_old)


def _tables(connection: Connection) -> Finding:
    unguarded = connection.execute(text(UNGUARDED)).scalars().all()
    open_doors = connection.execute(text(SIDE_DOORS)).scalars().all()
    if unguarded or open_doors:
        return Finding(
            "row security",
            f"not forced on: {', '.join(unguarded) or 'none'}; reachable past it: {', '.join(open_doors) or 'none'}",
            "Run `assay migrate`; if it stays, revoke the rights given by hand.",
        )
    return Finding("row security", "forced on every tenant's table")


def _doors(connection: Connection) -> Iterator[Finding]:
    for role in (roles.DIRECTORY, roles.TIMETABLE):
        may = connection.execute(
            text("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = :r) AND pg_has_role(:r, 'SET')"), {"r": role}
        ).scalar_one()
        if not may:
            remedy = "Run `assay migrate --print-roles | psql ADDRESS` as the database's administrator."
            yield Finding("role", f"{role} is missing, or may not be taken on", remedy)


def _keeping(connection: Connection) -> Iterator[Finding]:
    """Rows without a partition of their own, and partitions that should be gone."""
    if connection.execute(text("SELECT to_regproc('public.assay_stray')")).scalar_one() is None:
        return
    parents = (*PARENTS.values(), HISTORY)
    astray = [
        parent
        for parent in parents
        if connection.execute(text("SELECT * FROM public.assay_stray(:p)"), {"p": parent}).first()
    ]
    if astray:
        yield Finding("partitions", f"rows lie in the default partition of {', '.join(astray)}", _MEND)
    over = connection.execute(text(OVERDUE)).scalars().all()
    if over:
        yield Finding("retention", f"past, but still there: {', '.join(over)}", _DROP)
    if not astray and not over:
        yield Finding("partitions", "at hand, and none overdue")


def check_migrations(settings: Settings) -> Iterator[Finding]:
    if not settings.migration_database_url:
        yield Finding("migrations", "unknown: ASSAY_MIGRATION_DATABASE_URL is not set here")
        return
    engine = _engine(settings.migration_database_url)
    try:
        with engine.connect() as connection:
            if connection.execute(text("SELECT to_regclass('public.alembic_version')")).scalar_one() is None:
                found = None
            else:
                found = connection.execute(text("SELECT version_num FROM public.alembic_version")).scalar()
    except DBAPIError as error:
        remedy = _start_or("ASSAY_MIGRATION_DATABASE_URL", embedded=_is_embedded(settings))
        yield Finding("migrations", reason(error), remedy)
    else:
        is_newest = found == newest()
        yield Finding(
            "migrations", f"at {found or 'none'}", "" if is_newest else f"Run `assay migrate` (to {newest()})."
        )
    finally:
        engine.dispose()


def check_redis(settings: Settings) -> Iterator[Finding]:
    redis = Redis.from_url(settings.redis_url, socket_connect_timeout=3, socket_timeout=3)
    try:
        information = redis.info("server")
        version = str(information.get("valkey_version") or information["redis_version"])
        numbers = tuple(int(part) for part in version.split(".")[:2])
        yield Finding("Redis", f"{version}, reachable", "" if numbers >= OLDEST_REDIS else "Use Redis 6.2 or newer.")
        yield from _workers(redis)
    except RedisError as error:
        embedded = settings.redis_url == Places(settings.data_dir).redis_url
        yield Finding("Redis", reason(error), _start_or("ASSAY_REDIS_URL", embedded=embedded))


def _workers(redis: Redis) -> Iterator[Finding]:
    alive = [
        worker
        for worker in SimpleWorker.all(connection=redis)
        if worker.last_heartbeat and datetime.now(UTC) - worker.last_heartbeat < LATE
    ]
    for queue in QUEUES:
        count = sum(queue in worker.queue_names() for worker in alive)
        waiting = redis.llen(f"rq:queue:{queue}")
        yield Finding(
            f"workers of {queue}",
            f"{count} alive, {waiting} jobs waiting",
            "" if count else f"Start one with `assay worker {queue}`, or all with `assay run`.",
        )


def check_plugins(settings: Settings) -> Iterator[Finding]:
    plugins = installed()
    for name in sorted(plugins.sources.keys() - plugins.services.keys()):
        yield Finding("plugin", name)
    for name, service in sorted(plugins.services.items()):
        missing = ", ".join(variable(service, setting.name) for setting in missing_settings(service))
        # No fault: nobody has to offer every service.
        yield Finding("plugin", f"{name}, which nobody can connect without {missing}" if missing else name)
    for name, nearest in unknown_settings(plugins).items():
        hint = f"Did you mean {nearest}?" if nearest else "`assay plugins` lists them."
        yield Finding("plugin setting", f"{name} is none that an installed plugin has", hint)
    for name, why in sorted(plugins.broken.items()):
        yield Finding("plugin", f"{name} can't be loaded: {why}", "Upgrade or uninstall it.")
    if not plugins.sources:
        yield Finding("plugins", "none found", "Install at least assay-segment.")


def check_key(settings: Settings) -> Iterator[Finding]:
    if not settings.secret_key:
        yield Finding("secret key", "none yet", "`assay run` makes one; in production set ASSAY_SECRET_KEY.")


def check_address(settings: Settings) -> Iterator[Finding]:
    if not settings.public_url and settings.host not in ("127.0.0.1", "::1", "localhost"):
        yield Finding(
            "public URL",
            f"not set, though others reach us at {settings.host}",
            "Set ASSAY_PUBLIC_URL: links in mails are made of it, never of the name that a request states.",
        )


def check_sealing(settings: Settings) -> Iterator[Finding]:
    """Which keys seal what, and which of them may go."""
    if not settings.sealing_keys:
        yield Finding("sealing keys", "none", "`assay run` makes one beside its database; else set ASSAY_SEALING_KEYS.")
        return
    # Knows all places where something is sealed.
    import_module("assay.guards")
    try:
        with sealing.using(settings.sealing_keys) as ring, database.connected_to(settings.database_url):
            resealing.announce()
            yield from _standing(ring, resealing.stand())
    except SealingError as error:
        yield Finding("sealing keys", "differ between processes", str(error))
    except DBAPIError as error:
        yield Finding("sealing keys", f"not looked at: {reason(error)}", "See PostgreSQL and migrations above.")


def _standing(ring: sealing.Ring, standing: resealing.Standing) -> Iterator[Finding]:
    yield Finding("sealing keys", f"{standing.values[ring.newest]} values under {ring.newest}, which seals")
    for key in standing.missing:
        remedy = "Put the key back at the end of ASSAY_SEALING_KEYS: without it they can't be opened."
        yield Finding("sealing keys", f"{standing.values[key]} values under {key}, which is not in the ring", remedy)
    for key in [key for key in ring.keys if key != ring.newest]:
        count = standing.values[key]
        rest = f"{count} values under {key} still; a worker of intake seals them anew" if count else ""
        yield Finding("sealing keys", rest or f"nothing under {key}: once all processes have this ring, it may go")
    if broken := standing.values[None]:
        yield Finding("sealing keys", f"{broken} values that nobody sealed", "Restore them from a backup.")


CHECKS = (
    check_names,
    check_key,
    check_address,
    check_database,
    check_migrations,
    check_sealing,
    check_redis,
    check_plugins,
)


def _engine(url: str) -> Engine:
    """For looking alone: the doors to the database stay as they are."""
    return create_engine(url.replace("postgresql://", "postgresql+psycopg://", 1), connect_args={"connect_timeout": 5})


def _is_embedded(settings: Settings) -> bool:
    return settings.database_url == Places(settings.data_dir).postgres_url(roles.APPLICATION)


def _start_or(variable: str, *, embedded: bool) -> str:
    return "Start it with `assay run`." if embedded else f"Check {variable}, and that the server is up."
