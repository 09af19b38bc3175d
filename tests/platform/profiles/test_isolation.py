"""One tenant's leads are nobody else's, even for a query that forgot to say whose it wants."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from assay.profiles import queries
from assay_sdk import Company, Event, Identifiers
from assay_tenants.access.service import SignedUp
from assay_tenants.database import engine, tenant_session
from assay_tenants.errors import NotFound

TABLES = ("leads", "companies", "identities", "links", "events", "seen")


@pytest.fixture
def lead_id(world: Any, minutes: Callable[[int], datetime]) -> int:
    ids = Identifiers(user_id="u1", email="ada@acme.test")
    world.apply(Company(ids, "acme", {}, minutes(0)), Event(ids, "page.viewed", {}, minutes(0), "m1"))
    found: int = world.lead_ids()["u1"]
    return found


@pytest.mark.parametrize("table", TABLES)
def test_the_neighbour_sees_no_rows(table: str, lead_id: int, world: Any, neighbour: SignedUp) -> None:
    query = text(f"SELECT count(*) FROM profiles.{table}")
    with tenant_session(world.tenant_id) as session:
        assert session.execute(query).scalar_one() > 0
    with tenant_session(neighbour.tenant_id) as session:
        assert session.execute(query).scalar_one() == 0


@pytest.mark.parametrize("table", TABLES)
def test_without_a_tenant_there_are_no_rows(table: str, lead_id: int) -> None:
    with engine().connect() as connection:
        assert connection.execute(text(f"SELECT count(*) FROM profiles.{table}")).scalar_one() == 0


def test_a_partition_can_not_be_asked_directly(lead_id: int, world: Any) -> None:
    with tenant_session(world.tenant_id) as session:
        partitions = session.scalars(
            text("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'profiles.events'::regclass")
        ).all()
    assert partitions
    for partition in partitions:
        with tenant_session(world.tenant_id) as session, pytest.raises(ProgrammingError, match="permission denied"):
            session.execute(text(f"SELECT count(*) FROM {partition}"))


def test_the_neighbour_finds_nothing_by_id(lead_id: int, world: Any, neighbour: SignedUp) -> None:
    event = queries.timeline(world.tenant_id, lead_id).items[0]
    for ask in (
        lambda: queries.get_lead(neighbour.tenant_id, lead_id),
        lambda: queries.timeline(neighbour.tenant_id, lead_id),
        lambda: queries.get_event(neighbour.tenant_id, lead_id, event.id),
    ):
        with pytest.raises(NotFound):
            ask()
    leads, events = queries.read_facts(neighbour.tenant_id, [lead_id], traits=["title"], properties=[])
    assert leads.is_empty()
    assert events.is_empty()
