"""Every table there is, asked without a tenant and as another one."""

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import ProgrammingError

from assay_tenants import database
from assay_tenants.database import tenant_session

SCHEMAS = "('tenancy', 'intake', 'profiles', 'scoring')"


@pytest.fixture(scope="module")
def tables(servers):
    """Every table of ours, partitions too, with whether it is one."""
    engine = create_engine(servers.owner_url.replace("postgresql://", "postgresql+psycopg://", 1))
    with engine.connect() as connection:
        rows = connection.execute(
            text(
                "SELECT c.oid::regclass::text, c.relispartition, c.relrowsecurity AND c.relforcerowsecurity,"
                " EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id')"
                f" FROM pg_class c WHERE c.relkind IN ('r', 'p') AND c.relnamespace::regnamespace::text IN {SCHEMAS}"
            )
        ).all()
    engine.dispose()
    assert len(rows) > 20
    return rows


def test_row_level_security_is_forced_on_each(tables) -> None:
    assert [name for name, is_partition, forced, _ in tables if not is_partition and not forced] == []


def test_without_a_tenant_none_shows_a_row(tables, connected, victim) -> None:
    for name, *_ in tables:
        with database.engine().connect() as connection:
            may_read = "SELECT has_table_privilege(current_user, CAST(:name AS regclass), 'SELECT')"
            if connection.execute(text(may_read), {"name": name}).scalar_one():
                assert connection.execute(text(f"SELECT count(*) FROM {name}")).scalar_one() == 0, name


def test_the_neighbour_sees_only_rows_of_its_own(tables, neighbour, victim) -> None:
    for name, is_partition, _, has_tenant in tables:
        if is_partition or not has_tenant:
            continue
        with tenant_session(neighbour.tenant_id) as session:
            others = session.execute(
                text(f"SELECT count(*) FROM {name} WHERE tenant_id <> :t"), {"t": neighbour.tenant_id}
            ).scalar_one()
        assert others == 0, name


def test_partitions_are_out_of_reach(tables, neighbour) -> None:
    # A policy of the parent does not hold for a partition that is asked directly.
    for name, is_partition, *_ in tables:
        if is_partition:
            with (
                pytest.raises(ProgrammingError, match="permission denied"),
                tenant_session(neighbour.tenant_id) as session,
            ):
                session.execute(text(f"SELECT count(*) FROM {name}"))


def test_the_neighbours_rows_can_be_neither_changed_nor_added(tables, neighbour, victim) -> None:
    for name, is_partition, _, has_tenant in tables:
        if is_partition or not has_tenant:
            continue
        with tenant_session(neighbour.tenant_id) as session:
            # What is only ever added to can't be deleted from, whoever's it is.
            may_delete = "SELECT has_table_privilege(current_user, CAST(:name AS regclass), 'DELETE')"
            if not session.execute(text(may_delete), {"name": name}).scalar_one():
                continue
            deleted = session.execute(text(f"DELETE FROM {name} WHERE tenant_id = :t"), {"t": victim.tenant_id})
            assert deleted.rowcount == 0, name
