"""A database of the first published state, with rows in it, goes to the newest state, back, and there again."""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, LiteralString

import psycopg
import pytest
from alembic import command
from alembic.script import ScriptDirectory
from psycopg.rows import dict_row

from assay import migrating, roles
from assay.embedded import Embedded
from assay.servers import SUPERUSER

OLD = "202611212200"
DATABASE = "assay_migrating"

ROWS = """
INSERT INTO tenancy.tenants (id, name, created_at) VALUES (7, 'Quartz & Co', '2026-09-01Z');
INSERT INTO profiles.companies (tenant_id, id, key, traits, stated) VALUES
    (7, 1, 'quartz.example.test', '{"name": "Quartz", "tags": ["a", 1]}', '{"tags": [1788307200000000, 3]}'),
    (7, 2, 'nobody.example.test', '{}', '{}');
INSERT INTO profiles.leads (tenant_id, id, name, email, traits, company_id, first_seen_at, last_seen_at) VALUES
    (7, 11, 'Ada', 'ada@quartz.example.test', '{"title": "CFO"}', 1, '2026-09-02Z', '2026-09-09Z'),
    (7, 12, 'Ben', NULL, '{}', NULL, '2026-09-03Z', '2026-09-03Z'),
    (7, 13, 'From the future', NULL, '{}', NULL, '2190-01-01Z', '2190-01-01Z'),
    (7, 14, 'Cy', 'cy@acme.test', '{}', NULL, '2026-09-03Z', '2026-09-03Z');
INSERT INTO profiles.identities (tenant_id, id, kind, value, lead_id, first_seen_at, last_seen_at) VALUES
    (7, 21, 'user_id', 'ada', 11, '2026-09-02Z', '2026-09-09Z'),
    (7, 22, 'email', 'ada@quartz.example.test', 11, '2026-09-04Z', '2026-09-09Z'),
    (7, 23, 'user_id', 'ben', 12, '2026-09-03Z', '2026-09-03Z');
INSERT INTO profiles.events
    (tenant_id, received_at, id, lead_id, identity_id, type, occurred_at, properties, source_id, sender_id) VALUES
    (7, '2026-09-05 00:00:01Z', '01890000-0000-7000-8000-000000000001', 11, 21, 'page.viewed', '2026-09-05Z',
     '{"path": "/pricing"}', 1, 'm1'),
    (7, now(), '01890000-0000-7000-8000-000000000002', 12, 23, 'page.viewed', '2026-09-06Z', '{}', 1, 'm2');
INSERT INTO scoring.models (tenant_id, id, name, title, draft, published_version, created_at, updated_at) VALUES
    (7, 31, 'sample', 'Sample', 'model: sample', 2, '2026-09-01Z', '2026-09-08Z'),
    (7, 32, 'draft', 'Draft', 'model: draft', NULL, '2026-09-01Z', '2026-09-01Z');
INSERT INTO scoring.model_versions
    (tenant_id, model_id, number, hash, source, document, published_at, published_by) VALUES
    (7, 31, 1, 'aa', 'model: sample', '{}', '2026-09-02Z', 'Ada Example'),
    (7, 31, 2, 'bb', 'model: sample', '{}', '2026-09-08Z', 'Ben Example');
INSERT INTO scoring.due (tenant_id, lead_id, due_at) VALUES (7, 11, '2026-12-01Z');
INSERT INTO scoring.scores (tenant_id, model_id, lead_id, version, total, raw, dimensions, stage, scored_at,
    recorded_at) VALUES
    (7, 31, 11, 2, 40000, 40000, '{"fit": 30000, "interest": 10000}', 'Lead', '2026-09-08Z', '2026-09-08 00:00:03Z');
INSERT INTO scoring.score_history
    (tenant_id, recorded_at, model_id, lead_id, at, version, total, raw, dimensions, stage, grade) VALUES
    (7, '2026-09-02 00:00:01Z', 31, 11, '2026-09-02Z', 1, 20000, 20000, '{}', 'Prospect', NULL),
    (7, '2026-09-05 00:00:02Z', 31, 11, '2026-09-05Z', 1, 35000, 35000, '{"fit": 30000, "interest": 5000}', NULL, 'A'),
    (7, '2026-09-08 00:00:03Z', 31, 11, '2026-09-08Z', 2, 40000, 40000, '{"fit": 30000, "interest": 10000}', 'Lead',
     NULL),
    (7, '2026-09-03 00:00:01Z', 31, 12, '2026-09-03Z', 1, 1000, 1000, '{}', NULL, NULL);
"""

FORCED = """
SELECT c.oid::regclass::text AS name, c.relrowsecurity AND c.relforcerowsecurity AS forced
FROM pg_class c
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
    AND c.relnamespace::regnamespace::text IN ('tenancy', 'intake', 'profiles', 'scoring', 'delivery')
ORDER BY 1
"""


def at(day: int, second: int = 0) -> datetime:
    return datetime(2026, 9, day, 0, 0, second, tzinfo=UTC)


class Grown:
    """The database, seen by a superuser, whom no policy holds back."""

    def __init__(self, servers: Embedded) -> None:
        self.config = migrating.configuration(self.url(servers, roles.OWNER))
        self.superuser = self.url(servers, SUPERUSER)

    @staticmethod
    def url(servers: Embedded, role: str) -> str:
        return servers.places.postgres_url(role).replace(f"/{roles.DATABASE}?", f"/{DATABASE}?")

    def to(self, revision: str) -> None:
        command.upgrade(self.config, revision)

    def back_to(self, revision: str) -> list[str]:
        """One step after the other; the revisions passed."""
        passed = []
        for script in ScriptDirectory.from_config(self.config).iterate_revisions("head", revision):
            command.downgrade(self.config, "-1")
            passed.append(script.revision)
        return passed

    def rows(self, query: LiteralString) -> list[dict[str, Any]]:
        with psycopg.connect(self.superuser, row_factory=dict_row) as connection:
            return connection.execute(query).fetchall()

    def run(self, statements: LiteralString) -> None:
        with psycopg.connect(self.superuser) as connection:
            connection.execute(statements)


@pytest.fixture(scope="module")
def grown(servers: Embedded) -> Iterator[Grown]:
    """Filled at the old revision, then upgraded."""
    with psycopg.connect(servers.places.postgres_url(SUPERUSER), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {DATABASE} OWNER {roles.OWNER}")
        database = Grown(servers)
        database.to(OLD)
        database.run(ROWS)
        database.to("head")
        yield database
        connection.execute(f"DROP DATABASE {DATABASE} WITH (FORCE)")


def past(found: Sequence[dict[str, Any]]) -> list[tuple[object, ...]]:
    return [
        (row["lead_id"], row["version"], row["total"], row["at"], row["until"], row["replaced_at"]) for row in found
    ]


def test_a_value_ends_when_the_next_begins_and_the_present_one_is_in_scores_alone(grown: Grown) -> None:
    found = grown.rows("SELECT *, dimensions::text AS written FROM scoring.score_history ORDER BY lead_id, at")
    assert past(found)[:2] == [
        (11, 1, 20_000, at(2), at(5), at(5, 2)),
        (11, 1, 35_000, at(5), at(8), at(8, 3)),
    ]
    assert [row["stage"] for row in found] == ["Prospect", None, None]
    assert (found[1]["grade"], found[1]["written"]) == ("A", '{"fit":30000,"interest":5000}')

    (score,) = grown.rows("SELECT *, dimensions::text AS written FROM scoring.scores")
    assert (score["lead_id"], score["version"], score["total"]) == (11, 2, 40_000)
    assert (score["scored_at"], score["recorded_at"]) == (at(8), at(8, 3))
    # As the engine writes it: a batch that finds the same would else write it anew.
    assert score["written"] == json.dumps({"fit": 30_000, "interest": 10_000}, separators=(",", ":"))
    assert (score["override"], score["disqualified"]) == (None, None)


def test_what_nobody_knows_the_end_of_ended_with_the_upgrade(grown: Grown) -> None:
    (ben,) = grown.rows("SELECT * FROM scoring.score_history WHERE lead_id = 12")
    assert (ben["at"], ben["total"]) == (at(3), 1_000)
    assert ben["until"] == ben["replaced_at"] > at(8)


def test_facts_are_known_since_they_were_first_seen_but_never_since_a_time_to_come(grown: Grown) -> None:
    leads = grown.rows("SELECT id, known_at, known_at <= now() AS over FROM profiles.leads ORDER BY id")
    assert [row["known_at"] for row in leads[:2]] == [at(2), at(3)]
    assert all(row["over"] for row in leads)
    known = [row["known_at"] for row in grown.rows("SELECT known_at FROM profiles.identities ORDER BY id")]
    assert known == [at(2), at(4), at(3)]
    assert all(row["same"] for row in grown.rows("SELECT known_at = received_at AS same FROM profiles.events"))
    quartz, nobody = grown.rows("SELECT known_at FROM profiles.companies ORDER BY id")
    assert quartz["known_at"] == at(2)
    assert nobody["known_at"] > at(8)


def test_companies_keep_what_was_stated_and_wait_to_be_folded_with_people_by_their_addresses(grown: Grown) -> None:
    quartz, nobody = grown.rows("SELECT live, domain, home_id FROM profiles.companies ORDER BY id")
    assert quartz == {
        "live": {"name": [0, 0, "Quartz"], "tags": [1788307200000000, 3, ["a", 1]]}, "domain": None, "home_id": None
    }  # fmt: skip
    assert nobody["live"] == {}
    found = grown.rows("SELECT kind, id FROM profiles.unfolded ORDER BY kind, id")
    assert [tuple(row.values()) for row in found] == [("company", 1), ("company", 2), ("lead", 14)]


def test_each_version_was_published_once_after_the_one_before(grown: Grown) -> None:
    found = grown.rows("SELECT model_id, at, by, action, from_version, to_version, note FROM scoring.publications")
    assert [tuple(row.values()) for row in found] == [
        (31, at(2), "Ada Example", "publish", None, 1, None),
        (31, at(8), "Ben Example", "publish", 1, 2, None),
    ]


def test_row_level_security_is_forced_again_on_every_table(grown: Grown) -> None:
    found = grown.rows(FORCED)
    assert len(found) > 25
    assert [row["name"] for row in found if not row["forced"]] == []


def test_it_goes_back_step_by_step_and_forward_again(grown: Grown) -> None:
    # As the workers would have found it.
    grown.run("""
        INSERT INTO profiles.companies (tenant_id, id, key, domain) VALUES (7, 3, 'domain:acme.test', 'acme.test');
        UPDATE profiles.companies SET domain = 'acme.test', home_id = 3 WHERE id = 1;
        UPDATE profiles.identities SET company_id = 1, company_at = '2026-09-02Z' WHERE id = 21;
        UPDATE profiles.leads SET company_id = 3 WHERE id IN (11, 14);
    """)
    newer = grown.rows("SELECT * FROM scoring.score_history ORDER BY lead_id, at")
    assert grown.back_to(OLD)[-1] == "202611212310"
    assert [row["name"] for row in grown.rows(FORCED) if not row["forced"]] == []
    older = grown.rows("SELECT lead_id, version, total FROM scoring.score_history ORDER BY lead_id, at")
    assert [tuple(row.values()) for row in older] == [(11, 1, 20_000), (11, 1, 35_000), (11, 2, 40_000), (12, 1, 1_000)]
    alone = grown.rows("SELECT id, company_id FROM profiles.leads WHERE id IN (11, 14) ORDER BY id")
    assert [tuple(row.values()) for row in alone] == [(11, 1), (14, None)]
    assert [row["id"] for row in grown.rows("SELECT id FROM profiles.companies ORDER BY id")] == [1, 2]
    (score,) = grown.rows("SELECT lead_id, total, dimensions FROM scoring.scores")
    assert score == {"lead_id": 11, "total": 40_000, "dimensions": {"fit": 30_000, "interest": 10_000}}

    grown.to("head")
    again = grown.rows("SELECT * FROM scoring.score_history ORDER BY lead_id, at")
    assert past(again)[:2] == past(newer)[:2]
    assert len(again) == 3
    assert len(grown.rows("SELECT FROM scoring.publications")) == 2
    assert [row["name"] for row in grown.rows(FORCED) if not row["forced"]] == []


STATED_BY_IMPORTS = """
INSERT INTO profiles.identities
    (tenant_id, id, kind, value, lead_id, traits, stated, first_seen_at, last_seen_at) VALUES
    (7, 24, 'user_id', 'eva', 12, '{"title": "CFO", "city": "Cluj"}', '{"title": [5, 1], "city": [1, 1]}',
     '2026-09-03Z', '2026-09-04Z'),
    (7, 25, 'user_id', 'kim', 12, '{}', '{}', NULL, NULL);
INSERT INTO profiles.import_statements
    (tenant_id, import_id, identity_id, traits, stated, company_key, company_at, first_seen_at, last_seen_at) VALUES
    (7, 1, 24, '{"title": "Owner", "city": "Huế"}', '{"title": [4, 9], "city": [2, 9]}', NULL, NULL, '2026-09-01Z',
     '2026-09-01Z'),
    (7, 2, 24, '{"city": "Bonn"}', '{"city": [2, 9]}', 'quartz.example.test', '2026-09-02Z', '2026-09-02Z',
     '2026-09-07Z'),
    (7, 2, 25, '{"plan": "free"}', '{"plan": [3, 9]}', NULL, NULL, '2026-09-02Z', '2026-09-02Z');
INSERT INTO profiles.links (tenant_id, left_id, right_id, import_id, since) VALUES
    (7, 24, 25, 2, '2026-09-02Z'), (7, 24, 25, 0, '2026-09-05Z'), (7, 24, 25, 3, '2026-09-02Z');
"""


def test_what_imports_state_is_the_identities_own_before_there_were_layers(grown: Grown) -> None:
    with psycopg.connect(grown.superuser) as connection:
        connection.execute(STATED_BY_IMPORTS)
    grown.back_to("202611220260")
    eva, kim = grown.rows("SELECT * FROM profiles.identities WHERE id > 23 ORDER BY id")
    assert eva["traits"] == {"title": "CFO", "city": "Huế"}
    assert eva["stated"] == {"title": [5, 1], "city": [2, 9]}
    assert (eva["company_id"], eva["company_at"]) == (1, at(2))
    assert (eva["first_seen_at"], eva["last_seen_at"]) == (at(1), at(7))
    assert (kim["traits"], kim["first_seen_at"], kim["last_seen_at"]) == ({"plan": "free"}, at(2), at(2))
    (link,) = grown.rows("SELECT since FROM profiles.links")
    assert link["since"] == at(2)
    grown.to("head")
    assert [row["name"] for row in grown.rows(FORCED) if not row["forced"]] == []
