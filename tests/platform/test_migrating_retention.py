"""Messages and events from before there were classes go into partitions by class, all of them, and back again."""

from collections.abc import Iterator
from typing import Any, LiteralString

import psycopg
import pytest
from alembic import command
from psycopg.rows import dict_row

from assay import migrating, roles
from assay.embedded import Embedded
from assay.servers import SUPERUSER

BEFORE, AFTER = "202611220210", "202611220220"
DATABASE = "assay_migrating_retention"

ROWS = """
INSERT INTO tenancy.tenants (id, name, created_at) VALUES (7, 'Quartz & Co', '2026-09-01Z'), (8, 'Two', '2026-09-01Z');
INSERT INTO intake.messages (tenant_id, received_at, id, source_id, call, body)
SELECT t, at, gen_random_uuid(), 1, 'track', convert_to(t || ' ' || at, 'UTF8')
FROM (VALUES (7), (8)) tenants (t),
    (VALUES ('2025-03-01Z'::timestamptz), (now()), (now() + interval '40 days'), ('2031-01-01Z')) instants (at);
INSERT INTO profiles.events
    (tenant_id, received_at, id, lead_id, identity_id, type, occurred_at, properties, source_id, sender_id)
SELECT tenant_id, received_at, id, 1, 1, 'page.viewed', received_at, '{"path": "/"}', 1, id::text FROM intake.messages;
"""

PLACES = """
SELECT tableoid::regclass::text AS place, count(*) AS rows FROM intake.messages GROUP BY 1
UNION ALL SELECT tableoid::regclass::text, count(*) FROM profiles.events GROUP BY 1 ORDER BY 1
"""
ALL = """
SELECT tenant_id, id, received_at, body::text AS held FROM intake.messages
UNION ALL SELECT tenant_id, id, received_at, properties::text FROM profiles.events ORDER BY 1, 2, 3, 4
"""
GUARDED = """
SELECT c.oid::regclass::text AS name, c.relrowsecurity AND c.relforcerowsecurity AS forced,
    has_table_privilege('assay_app', c.oid, 'SELECT') AS readable, c.relispartition AS is_partition,
    (SELECT count(*) FROM pg_policy p WHERE p.polrelid = c.oid) AS policies
FROM pg_class c WHERE c.relkind IN ('r', 'p') AND c.oid::regclass::text ~ '^(intake.messages|profiles.events)'
"""
INDEXES = """
SELECT c.relname AS name, i.indisvalid AS valid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE i.indrelid IN ('intake.messages'::regclass, 'profiles.events'::regclass) ORDER BY 1
"""


class Grown:
    def __init__(self, servers: Embedded) -> None:
        def url(role: str) -> str:
            return servers.places.postgres_url(role).replace(f"/{roles.DATABASE}?", f"/{DATABASE}?")

        self.config = migrating.configuration(url(roles.OWNER))
        self.superuser, self.application = url(SUPERUSER), url(roles.APPLICATION)

    def rows(self, query: LiteralString) -> list[dict[str, Any]]:
        with psycopg.connect(self.superuser, row_factory=dict_row) as connection:
            return connection.execute(query).fetchall()

    def do(self, statement: LiteralString) -> None:
        with psycopg.connect(self.superuser) as connection:
            connection.execute(statement)

    def is_sound(self) -> None:
        for row in self.rows(GUARDED):
            if row["is_partition"]:
                assert not row["readable"], row
            else:
                assert (row["forced"], row["readable"], row["policies"]) == (True, True, 1), row
        indexes = self.rows(INDEXES)
        assert [row["name"] for row in indexes] == [
            "events_by_identity",
            "events_by_lead",
            "events_pkey",
            "messages_pkey",
        ]
        assert all(row["valid"] for row in indexes)
        with psycopg.connect(self.application) as connection:
            connection.execute("SET LOCAL app.tenant_id = '8'")
            seen = connection.execute("SELECT DISTINCT tenant_id FROM intake.messages").fetchall()
        assert seen == [(8,)]


@pytest.fixture(scope="module")
def grown(servers: Embedded) -> Iterator[Grown]:
    with psycopg.connect(servers.places.postgres_url(SUPERUSER), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {DATABASE} OWNER {roles.OWNER}")
        database = Grown(servers)
        command.upgrade(database.config, BEFORE)
        yield database
        connection.execute(f"DROP DATABASE {DATABASE} WITH (FORCE)")


def test_there_and_back_and_there_again(grown: Grown) -> None:
    grown.do(ROWS)
    before, places = grown.rows(ALL), grown.rows(PLACES)
    assert len(before) == 16
    assert {row["place"] for row in places} >= {"intake.messages_default", "profiles.events_default"}

    command.upgrade(grown.config, AFTER)
    assert grown.rows(ALL) == before
    assert grown.rows(PLACES) == places
    grown.is_sound()
    # Nobody who was here before has chosen that anything of theirs may go.
    assert grown.rows("SELECT DISTINCT retention FROM intake.messages") == [{"retention": 0}]
    assert grown.rows("SELECT DISTINCT keep_messages, keep_events FROM tenancy.tenants") == [
        {"keep_messages": 0, "keep_events": 0}
    ]

    # What came since, some of it into classes with partitions of the same time.
    grown.do(
        """
        INSERT INTO tenancy.tenants (id, name, created_at) VALUES (9, 'Three', now());
        SELECT public.assay_make_partition('intake.messages', 7::smallint, now());
        SELECT public.assay_make_partition('intake.messages', 90::smallint, now());
        INSERT INTO intake.messages (tenant_id, received_at, id, source_id, call, body, retention)
        SELECT 9, now(), gen_random_uuid(), 1, 'track', 'new', class FROM (VALUES (0), (7), (90), (365)) c (class);
        INSERT INTO profiles.events (tenant_id, received_at, id, lead_id, identity_id, type, occurred_at, properties,
            source_id, sender_id, retention)
        SELECT 9, now(), gen_random_uuid(), 1, 1, 'x', now(), '{}', 1, class::text, class
        FROM (VALUES (0), (365)) c (class);
        """
    )
    assert grown.rows("SELECT keep_messages, keep_events FROM tenancy.tenants WHERE id = 9") == [
        {"keep_messages": 365, "keep_events": 0}
    ]
    since = grown.rows(ALL)

    command.downgrade(grown.config, BEFORE)
    assert grown.rows(ALL) == since
    grown.is_sound()
    assert grown.rows("SELECT public.assay_make_partitions(current_date + 100, 1) AS made") == [{"made": 6}]

    command.upgrade(grown.config, AFTER)
    assert grown.rows(ALL) == since
    grown.is_sound()
    assert grown.rows(
        "SELECT count(*) AS n FROM public.assay_partitions() WHERE retention IS NULL AND first IS NULL"
    ) == [{"n": 3}]


def test_the_version_before_still_makes_its_partitions_and_writes(grown: Grown) -> None:
    with psycopg.connect(grown.application) as connection:
        made = connection.execute("SELECT public.assay_make_partitions(current_date + 700, 0)").fetchone()
        assert made == (4,)
        connection.execute("SET LOCAL app.tenant_id = '7'")
        connection.execute(
            "INSERT INTO intake.messages (tenant_id, received_at, id, source_id, call, body)"
            " VALUES (7, now(), gen_random_uuid(), 1, 'track', 'old')"
        )
        place = connection.execute("SELECT retention FROM intake.messages WHERE body = 'old'").fetchone()
    assert place == (0,)
