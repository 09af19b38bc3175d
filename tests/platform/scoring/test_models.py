import pytest
from sqlalchemy import Table, create_engine, inspect, text
from sqlalchemy.engine import Connection

from assay.scoring import models
from assay_tenants.database import Base

TABLES = sorted(
    (mapper.local_table for mapper in Base.registry.mappers if mapper.class_.__module__ == models.__name__), key=str
)


@pytest.fixture(scope="module")
def owner(servers):
    engine = create_engine(servers.owner_url.replace("postgresql://", "postgresql+psycopg://", 1))
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def test_all_tables_of_the_schema_are_mapped(owner: Connection) -> None:
    there = owner.execute(
        text("SELECT tablename FROM pg_tables WHERE schemaname = 'scoring' AND tablename NOT LIKE 'score_history\\__%'")
    ).scalars()
    assert sorted(there) == sorted(table.name for table in TABLES)


@pytest.mark.parametrize("table", TABLES, ids=str)
class TestTable:
    def test_columns_are_those_of_the_database(self, owner: Connection, table: Table) -> None:
        there = {column["name"]: column for column in inspect(owner).get_columns(table.name, schema=table.schema)}
        assert set(there) == {column.name for column in table.columns}
        for column in table.columns:
            assert column.type.compile(owner.dialect) == there[column.name]["type"].compile(owner.dialect), column
            assert column.nullable == there[column.name]["nullable"], column

    def test_primary_key_is_that_of_the_database_and_starts_with_the_tenant(
        self, owner: Connection, table: Table
    ) -> None:
        there = inspect(owner).get_pk_constraint(table.name, schema=table.schema)["constrained_columns"]
        assert there == [column.name for column in table.primary_key.columns]
        assert there[0] == "tenant_id"

    def test_every_index_starts_with_the_tenant(self, owner: Connection, table: Table) -> None:
        for index in inspect(owner).get_indexes(table.name, schema=table.schema):
            if index["name"] != "due_for_timetable":
                assert index["column_names"][0] == "tenant_id", index["name"]

    def test_indexes_are_those_of_the_database(self, owner: Connection, table: Table) -> None:
        there = {
            index["name"]: index["expressions"] if "expressions" in index else index["column_names"]
            for index in inspect(owner).get_indexes(table.name, schema=table.schema)
            if not index.get("duplicates_constraint")
        }
        assert {str(index.name) for index in table.indexes} == set(there)

    def test_row_level_security_is_forced(self, owner: Connection, table: Table) -> None:
        forced = owner.execute(
            text("SELECT relrowsecurity AND relforcerowsecurity FROM pg_class WHERE oid = CAST(:name AS regclass)"),
            {"name": str(table)},
        ).scalar_one()
        assert forced

    def test_says_how_it_is_distributed(self, table: Table) -> None:
        assert table.info["citus"] == "distributed"
