"""What an import joined or crowded falls apart, or joins again, when the import is undone."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from assay.profiles import deciding, kinship, limits, service, undoing
from assay.profiles.settling import Limits
from assay_sdk import CoreRecord, Event, Identifiers, Identify
from assay_tenants.database import tenant_session

At = Callable[[int], datetime]
IMPORT = 7


@pytest.fixture(autouse=True)
def low_limits() -> Iterator[None]:
    before = limits.current()
    limits.use(Limits(value=3, device=2))
    yield
    limits.use(before)


def imported(world: Any, *records: CoreRecord, import_id: int = IMPORT) -> None:
    with tenant_session(world.tenant_id) as session:
        batch = [world.normalised(record) for record in records]
        service.apply(session, world.tenant_id, batch, import_id=import_id)


def undo(world: Any, import_id: int = IMPORT) -> None:
    done = False
    while not done:
        with tenant_session(world.tenant_id) as session:
            done = undoing.undo(session, world.tenant_id, import_id).done


def shared(number: int, address: str = "test@x.test") -> Identify:
    return Identify(Identifiers(f"u{number}", address), {}, datetime(2026, 3, 1, 12, number, tzinfo=UTC))


def test_what_it_joined_falls_apart(world: Any, minutes: At) -> None:
    world.apply(
        Event(Identifiers("u1"), "page.viewed", {}, minutes(0), "m1"),
        Event(Identifiers(email="a@x.test"), "page.viewed", {}, minutes(0), "m2"),
    )
    before, ids = world.state(), world.lead_ids()
    imported(world, shared(1, "a@x.test"))
    (merge,) = kinship.list_merges(world.tenant_id).items
    assert merge.import_id == IMPORT
    assert "came together in the import" in merge.sentence
    undo(world)
    assert world.state() == before
    assert world.lead_ids() == ids


def test_a_value_that_it_crowded_joins_again(world: Any) -> None:
    world.apply(*(shared(number) for number in range(3)))
    before = world.state()
    assert len(before) == 1
    imported(world, *(shared(number) for number in range(2, 6)))
    assert len(world.people()) == 7
    undo(world)
    assert kinship.list_shared(world.tenant_id).items == []
    assert world.state() == before


def test_one_of_two_imports_may_go(world: Any) -> None:
    imported(world, *(shared(number) for number in range(3)), import_id=1)
    before = world.people()
    imported(world, *(shared(number) for number in range(1, 5)), import_id=2)
    assert len(world.people()) == 6
    undo(world, 2)
    assert world.people() == before
    undo(world, 1)
    assert world.people() == set()


def test_a_cut_outlives_the_link_that_it_cut(world: Any, minutes: At) -> None:
    world.apply(
        Event(Identifiers("u1"), "page.viewed", {}, minutes(0), "m1"),
        Event(Identifiers(email="a@x.test"), "page.viewed", {}, minutes(0), "m2"),
    )
    imported(world, shared(1, "a@x.test"), import_id=1)
    (merge,) = kinship.list_merges(world.tenant_id).items
    deciding.undo(world.tenant_id, merge.id, by="Ada Example")
    undo(world, 1)
    imported(world, shared(1, "a@x.test"), import_id=2)
    assert world.people() == {frozenset({"u1"}), frozenset({"a@x.test"})}
