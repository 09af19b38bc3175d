import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

from assay_tenants import database
from assay_tenants.access import SignedUp
from assay_tenants.database import after_commit, directory_session, tenant_session, timetable_session


class TestTenantSession:
    def test_sees_its_own_tenant_and_no_other(self, tenant: SignedUp, neighbour: SignedUp) -> None:
        with tenant_session(tenant.tenant_id) as session:
            seen = session.execute(text("SELECT DISTINCT tenant_id FROM tenancy.sources")).scalars().all()
        assert seen == [tenant.tenant_id]

    def test_cannot_write_into_another_tenant(self, tenant: SignedUp, neighbour: SignedUp) -> None:
        with pytest.raises(DBAPIError, match="row-level security"), tenant_session(tenant.tenant_id) as session:
            session.execute(
                text("INSERT INTO tenancy.sources (tenant_id, name, plugin, created_at) VALUES (:t, 'x', 'x', now())"),
                {"t": neighbour.tenant_id},
            )

    def test_an_error_rolls_everything_back(self, tenant: SignedUp) -> None:
        with pytest.raises(RuntimeError), tenant_session(tenant.tenant_id) as session:
            session.execute(
                text("UPDATE tenancy.sources SET name = 'half done' WHERE tenant_id = :t"), {"t": tenant.tenant_id}
            )
            raise RuntimeError
        with tenant_session(tenant.tenant_id) as session:
            names = session.execute(text("SELECT name FROM tenancy.sources")).scalars().all()
        assert "half done" not in names

    def test_the_tenant_ends_with_the_transaction(self, tenant: SignedUp) -> None:
        with tenant_session(tenant.tenant_id) as session:
            session.execute(text("SELECT 1"))
        with database.engine().connect() as connection:
            assert connection.execute(text("SELECT count(*) FROM tenancy.sources")).scalar_one() == 0

    def test_the_tenant_is_a_number_and_nothing_else(self) -> None:
        with pytest.raises(ValueError, match="invalid literal"), tenant_session("1'; RESET ROLE; --"):  # type: ignore[arg-type] # the attack
            pass


class TestOtherDoors:
    def test_the_directory_sees_people_but_no_tenants_data(self) -> None:
        with directory_session() as session:
            session.execute(text("SELECT count(*) FROM tenancy.people")).scalar_one()
        for table in ("profiles.leads", "profiles.events", "scoring.scores", "intake.messages", "tenancy.keys"):
            with pytest.raises(DBAPIError, match="permission denied"), directory_session() as session:
                session.execute(text(f"SELECT count(*) FROM {table}"))

    def test_the_timetable_sees_that_work_waits_and_not_what(self) -> None:
        with timetable_session() as session:
            session.execute(text("SELECT tenant_id, due_at FROM scoring.due"))
        with pytest.raises(DBAPIError, match="permission denied"), timetable_session() as session:
            session.execute(text("SELECT lead_id FROM scoring.due"))

    def test_people_are_out_of_reach_from_a_tenants_session(self, tenant: SignedUp) -> None:
        with pytest.raises(DBAPIError, match="permission denied"), tenant_session(tenant.tenant_id) as session:
            session.execute(text("SELECT email FROM tenancy.people"))


class TestPowerfulRole:
    def test_the_application_role_is_accepted(self) -> None:
        database.refuse_powerful_role(database.engine())

    def test_the_owner_of_the_tables_is_refused(self, owner_url: str) -> None:
        owner = create_engine(owner_url.replace("postgresql://", "postgresql+psycopg://", 1))
        try:
            with pytest.raises(database.PowerfulRole, match="assay_owner"):
                database.refuse_powerful_role(owner)
        finally:
            owner.dispose()


class TestAfterCommit:
    def test_runs_once_after_the_commit(self, tenant: SignedUp) -> None:
        ran: list[str] = []
        with tenant_session(tenant.tenant_id) as session:
            after_commit(session, lambda: ran.append("first"))
            after_commit(session, lambda: ran.append("second"))
            assert ran == []
        assert ran == ["first", "second"]

    def test_never_runs_after_a_rollback(self, tenant: SignedUp) -> None:
        ran: list[str] = []
        with pytest.raises(RuntimeError), tenant_session(tenant.tenant_id) as session:
            after_commit(session, lambda: ran.append("ran"))
            raise RuntimeError
        assert ran == []
