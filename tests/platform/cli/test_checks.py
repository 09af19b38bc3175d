import dataclasses
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from assay.cli import checks
from assay.embedded import Embedded
from assay.intake import partitions
from assay.profiles.dropping import drop_past
from assay.servers import SUPERUSER
from assay.settings import Settings


@pytest.fixture
def in_order(connected: None, servers: Embedded) -> None:
    """What other tests wrote into times that are over has its partitions, or is gone."""
    with psycopg.connect(servers.places.postgres_url(SUPERUSER)) as connection:
        # Whoever is on the way into a longer class holds drops up.
        connection.execute("DELETE FROM intake.retention_moves")
    while partitions.strays():
        partitions.mend()
    drop_past()


def test_a_healthy_database_has_nothing_to_remedy(settings: Settings, in_order: None) -> None:
    findings = [*checks.check_database(settings), *checks.check_migrations(settings)]
    assert [finding for finding in findings if finding.remedy] == []
    assert {finding.what for finding in findings} == {"PostgreSQL", "row security", "role", "partitions", "migrations"}


@pytest.mark.parametrize("role", [SUPERUSER, "assay_owner"])
def test_a_powerful_role_is_found(settings: Settings, servers: Embedded, role: str) -> None:
    powerful = dataclasses.replace(settings, database_url=servers.places.postgres_url(role))
    assert any("ASSAY_DATABASE_URL" in finding.remedy for finding in checks.check_database(powerful))


def test_rows_without_a_partition_of_their_own_are_found(settings: Settings, servers: Embedded, in_order: None) -> None:
    with psycopg.connect(servers.places.postgres_url(SUPERUSER), autocommit=True) as connection:
        connection.execute(
            "INSERT INTO intake.messages (tenant_id, received_at, id, source_id, call, body)"
            " VALUES (1, '2001-01-01Z', gen_random_uuid(), 1, 'track', '')"
        )
    (wrong,) = [finding for finding in checks.check_database(settings) if finding.remedy]
    assert (wrong.what, wrong.found) == ("partitions", "rows lie in the default partition of intake.messages")
    partitions.mend()
    assert [finding for finding in checks.check_database(settings) if finding.remedy] == []


def test_a_partition_that_should_be_gone_is_found(settings: Settings, in_order: None) -> None:
    partitions.make("intake.messages", 7, datetime(2001, 1, 1, tzinfo=UTC))
    (wrong,) = [finding for finding in checks.check_database(settings) if finding.remedy]
    assert wrong.found == "past, but still there: intake.messages_7_20010101"
    assert drop_past() == 1


def test_a_table_without_a_policy_is_found(settings: Settings, servers: Embedded, in_order: None) -> None:
    with psycopg.connect(servers.owner_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE scoring.forgotten (tenant_id bigint)")
        try:
            (wrong,) = [finding for finding in checks.check_database(settings) if finding.remedy]
        finally:
            connection.execute("DROP TABLE scoring.forgotten")
    assert wrong.what == "row security"
    assert "scoring.forgotten" in wrong.found


def test_what_is_away_comes_with_a_remedy(tmp_path: Path) -> None:
    settings = Settings(
        data_dir=tmp_path,
        database_url="postgresql://assay_app:hunter2@127.0.0.1:1/assay",
        migration_database_url="postgresql://assay_owner:hunter2@127.0.0.1:1/assay",
        redis_url="redis://:hunter2@127.0.0.1:1/0",
    )
    findings = [
        finding
        for check in (checks.check_database, checks.check_migrations, checks.check_redis)
        for finding in check(settings)
    ]
    assert len(findings) == 3
    assert all(finding.remedy and "not reachable" in finding.found for finding in findings)
    assert "hunter2" not in repr(findings)


def test_queues_without_a_worker_are_found(settings: Settings) -> None:
    findings = {finding.what: finding for finding in checks.check_redis(settings)}
    assert not findings["Redis"].remedy
    assert "assay worker intake" in findings["workers of intake"].remedy
