import dataclasses
from pathlib import Path

import psycopg
import pytest

from assay.cli import checks
from assay.embedded import Embedded
from assay.servers import SUPERUSER
from assay.settings import Settings


def test_a_healthy_database_has_nothing_to_remedy(settings: Settings) -> None:
    findings = [*checks.check_database(settings), *checks.check_migrations(settings)]
    assert [finding for finding in findings if finding.remedy] == []
    assert {finding.what for finding in findings} == {"PostgreSQL", "row security", "role", "migrations"}


@pytest.mark.parametrize("role", [SUPERUSER, "assay_owner"])
def test_a_powerful_role_is_found(settings: Settings, servers: Embedded, role: str) -> None:
    powerful = dataclasses.replace(settings, database_url=servers.places.postgres_url(role))
    assert any("ASSAY_DATABASE_URL" in finding.remedy for finding in checks.check_database(powerful))


def test_a_table_without_a_policy_is_found(settings: Settings, servers: Embedded) -> None:
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
