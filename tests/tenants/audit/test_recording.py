"""The log is added to in order, survives no rollback, forgets nothing, and can't be changed by the application."""

import threading
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, text
from sqlalchemy.exc import ProgrammingError

from assay_tenants import audit
from assay_tenants.audit.bounding import MASK, MOST, written
from assay_tenants.audit.models import AuditEntry
from assay_tenants.context import SYSTEM, Actor, acting, arrive, depart
from assay_tenants.database import directory_session, tenant_session, timetable_session

ADA = Actor("person", "7", "Ada Example", "192.0.2.7")


def entries(tenant_id: int) -> list[AuditEntry]:
    with tenant_session(tenant_id) as session:
        query = select(AuditEntry).where(AuditEntry.tenant_id == tenant_id).order_by(AuditEntry.id)
        return list(session.scalars(query))


def note(tenant_id: int, action: str = "model.published", subject: object = "sample", **changes: Any) -> None:
    with tenant_session(tenant_id) as session:
        audit.record(session, tenant_id, action, subject, **changes)


@pytest.fixture
def seen(tenant) -> int:
    """How many entries making the tenant left."""
    return len(entries(tenant.tenant_id))


class TestRecord:
    def test_tells_who_what_from_where_and_what_changed(self, tenant) -> None:
        arrive("web", address="198.51.100.1", request_id="r-1")
        with acting(ADA):
            note(tenant.tenant_id, before={"version": 1}, after={"version": 2})
        depart()
        last = entries(tenant.tenant_id)[-1]
        assert (last.actor_kind, last.actor_id, last.actor_name, last.address) == (
            "person", "7", "Ada Example", "192.0.2.7",
        )  # fmt: skip
        assert (last.door, last.request_id) == ("web", "r-1")
        assert (last.action, last.subject, last.before, last.after) == (
            "model.published", "sample", {"version": 1}, {"version": 2},
        )  # fmt: skip
        assert abs((datetime.now(UTC) - last.at).total_seconds()) < 60

    def test_nobody_asked_for_what_the_workers_do(self, tenant) -> None:
        note(tenant.tenant_id)
        last = entries(tenant.tenant_id)[-1]
        assert (last.actor_kind, last.actor_name, last.door) == (SYSTEM.kind, SYSTEM.name, "")

    def test_is_gone_with_the_change_that_was_rolled_back(self, tenant, seen) -> None:
        with pytest.raises(RuntimeError), tenant_session(tenant.tenant_id) as session:
            audit.record(session, tenant.tenant_id, "model.published", "sample")
            raise RuntimeError
        assert len(entries(tenant.tenant_id)) == seen

    def test_a_savepoint_takes_its_own_entries_back(self, tenant, seen) -> None:
        with tenant_session(tenant.tenant_id) as session:
            audit.record(session, tenant.tenant_id, "one.done")
            with session.begin_nested():
                audit.record(session, tenant.tenant_id, "two.done")
            nested = session.begin_nested()
            with session.begin_nested():
                audit.record(session, tenant.tenant_id, "three.done")
            nested.rollback()
            audit.record(session, tenant.tenant_id, "four.done")
        assert [entry.action for entry in entries(tenant.tenant_id)[seen:]] == ["one.done", "two.done", "four.done"]

    def test_the_change_is_gone_where_the_entry_can_not_be_written(self, tenant, neighbour) -> None:
        broken = Actor("nobody", "", "")  # type: ignore[arg-type] # what no door can be
        with pytest.raises(Exception, match="actor_kind"), acting(broken):
            note(tenant.tenant_id)

    def test_works_through_the_directory_and_for_several_tenants(self, tenant, neighbour) -> None:
        with directory_session() as session:
            for each in (tenant, neighbour, tenant):
                audit.record(session, each.tenant_id, "person.renamed", 7)
        assert [entry.action for entry in entries(tenant.tenant_id)][-2:] == ["person.renamed"] * 2
        assert entries(neighbour.tenant_id)[-1].action == "person.renamed"

    def test_many_at_once_are_numbered_without_gaps_in_the_order_of_time(self, tenant, seen) -> None:
        threads = [threading.Thread(target=lambda: [note(tenant.tenant_id) for _ in range(8)]) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        found = entries(tenant.tenant_id)
        assert [entry.id for entry in found] == list(range(1, seen + 48 + 1))
        assert [entry.at for entry in found] == sorted(entry.at for entry in found)

    def test_what_can_not_be_stored_is_told_as_far_as_it_can(self, tenant) -> None:
        note(tenant.tenant_id, subject="a\0b\ud800", after={"x\0": "\0", "far": 1e400, "deep": {"list": [1, "\udfff"]}})
        last = entries(tenant.tenant_id)[-1]
        assert last.subject == "a�b�"
        assert last.after == {"x�": "�", "far": "inf", "deep": {"list": [1, "�"]}}


class TestBounds:
    def test_of_very_many_values_their_number_is_left(self) -> None:
        told = written({f"name {number}": number for number in range(5_000)})
        assert told is not None
        assert "5,000 values" in told

    def test_the_largest_values_make_room(self) -> None:
        told = written({"version": 3, "document": "x" * 40_000, "names": ["y" * 100] * 50})
        assert told is not None
        assert len(told) <= MOST
        assert '"version":3' in told
        assert "left out: 40,0" in told

    def test_what_is_named_like_a_secret_is_not_written(self) -> None:
        told = written(
            {
                "client_secret": "hush",
                "token": "hush",
                "deep": [{"password": "hush"}],
                "clientSecret": "hush",
                "secret": {"value": "hush"},
                "has_password": True,
                "token_lifetime": 600,
            }
        )
        assert told is not None
        assert "hush" not in told
        assert told.count(MASK.encode("unicode_escape").decode()) == 5
        assert "600" in told
        assert '"has_password":true' in told

    @given(st.dictionaries(st.text(max_size=50), st.text(max_size=2_000) | st.integers() | st.floats(), max_size=60))
    def test_whatever_comes_is_bounded(self, values: dict[str, Any]) -> None:
        assert len(written(values) or "") <= MOST


class TestOnlyAddedTo:
    @pytest.mark.parametrize(
        "statement",
        [
            pytest.param("UPDATE tenancy.audit_log SET action = 'x' WHERE tenant_id = :t", id="update"),
            pytest.param("DELETE FROM tenancy.audit_log WHERE tenant_id = :t", id="delete"),
            pytest.param("TRUNCATE tenancy.audit_log", id="truncate"),
            pytest.param("DROP TABLE tenancy.audit_log", id="drop"),
        ],
    )
    def test_the_application_can_not_take_back(self, tenant, statement: str) -> None:
        note(tenant.tenant_id)
        with pytest.raises(ProgrammingError, match=r"permission denied|must be owner"):  # noqa: SIM117 # the session fails too
            with tenant_session(tenant.tenant_id) as session:
                session.execute(text(statement), {"t": tenant.tenant_id})

    def test_nobody_adds_to_the_neighbours_log(self, tenant, neighbour) -> None:
        copy = (
            "INSERT INTO tenancy.audit_log SELECT :to, id + 1000, at, actor_kind, actor_id, actor_name, address, door,"
            " request_id, action, subject, before, after, hash FROM tenancy.audit_log WHERE tenant_id = :t"
        )
        note(tenant.tenant_id)
        with pytest.raises(ProgrammingError, match="row-level security"), tenant_session(tenant.tenant_id) as session:
            session.execute(text(copy), {"t": tenant.tenant_id, "to": neighbour.tenant_id})

    def test_the_neighbour_sees_none(self, tenant, neighbour) -> None:
        note(tenant.tenant_id, subject="a secret model")
        with tenant_session(neighbour.tenant_id) as session:
            found = session.scalars(select(AuditEntry.subject).where(AuditEntry.tenant_id == tenant.tenant_id)).all()
        assert found == []

    @pytest.mark.parametrize("door", [directory_session, timetable_session])
    def test_the_doors_across_tenants_see_none(self, tenant, door) -> None:
        with pytest.raises(ProgrammingError, match="permission denied"), door() as session:
            session.execute(text("SELECT count(*) FROM tenancy.audit_log"))
