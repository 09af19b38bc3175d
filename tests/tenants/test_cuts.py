"""What is cut is told by Redis, and by PostgreSQL when Redis has lost it, is away or may not know."""

from datetime import UTC, datetime, timedelta

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from sqlalchemy import text

from assay_tenants import cuts
from assay_tenants.access import SignedUp
from assay_tenants.database import directory_session, tenant_session

SOON = timedelta(minutes=5)
HANDLE = "key:12"


@pytest.fixture(autouse=True)
def _with_redis(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuts, "_copies", cuts._copies)
    cuts.configure(redis)


@pytest.fixture
def nowhere() -> Redis:
    return Redis(host="127.0.0.1", port=1, socket_connect_timeout=0.1, retry=Retry(NoBackoff(), 0))


def cut(tenant: SignedUp, handle: str = HANDLE, lasts: timedelta = SOON) -> None:
    with tenant_session(tenant.tenant_id) as session:
        cuts.cut(session, tenant.tenant_id, handle, datetime.now(UTC) + lasts)


def names_of(redis: Redis, tenant: SignedUp) -> list[bytes]:
    return list(redis.scan_iter(f"assay:cuts:{{{tenant.tenant_id}}}*"))


def test_only_what_was_cut_is(tenant: SignedUp) -> None:
    assert not cuts.is_cut(tenant.tenant_id, HANDLE)
    cut(tenant)
    assert cuts.is_cut(tenant.tenant_id, "client:3", HANDLE)
    assert not cuts.is_cut(tenant.tenant_id, "key:1", "client:3")
    assert cuts.which_are_cut(tenant.tenant_id, HANDLE, "key:1") == {HANDLE}


def test_the_neighbours_is_not(tenant: SignedUp, neighbour: SignedUp) -> None:
    cut(tenant)
    assert not cuts.is_cut(neighbour.tenant_id, HANDLE)


def test_a_rolled_back_cut_is_none(tenant: SignedUp) -> None:
    with pytest.raises(ZeroDivisionError), tenant_session(tenant.tenant_id) as session:
        cuts.cut(session, tenant.tenant_id, HANDLE, datetime.now(UTC) + SOON)
        raise ZeroDivisionError
    assert not cuts.is_cut(tenant.tenant_id, HANDLE)


def test_a_wiped_redis_is_filled_anew(tenant: SignedUp, redis: Redis) -> None:
    cut(tenant)
    redis.delete(*names_of(redis, tenant))
    assert cuts.is_cut(tenant.tenant_id, HANDLE)
    assert len(names_of(redis, tenant)) == 2
    assert cuts.is_cut(tenant.tenant_id, HANDLE)


def test_without_redis_postgresql_tells(tenant: SignedUp, nowhere: Redis) -> None:
    cuts.configure(nowhere)
    cut(tenant)
    for _ in range(2):
        assert cuts.which_are_cut(tenant.tenant_id, HANDLE, "key:1") == {HANDLE}


def test_a_cut_that_redis_was_not_told_takes_effect_when_the_mark_is_made_anew(
    tenant: SignedUp, redis: Redis, nowhere: Redis
) -> None:
    assert not cuts.is_cut(tenant.tenant_id, HANDLE)
    assert 0 < redis.ttl(cuts._mark(tenant.tenant_id)) <= cuts.MARK_LIFETIME.total_seconds()
    cuts.configure(nowhere)
    cut(tenant)
    cuts.configure(redis)
    redis.delete(cuts._mark(tenant.tenant_id))
    assert cuts.is_cut(tenant.tenant_id, HANDLE)


def test_a_process_that_died_after_its_commit_has_left_word(tenant: SignedUp, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not cuts.is_cut(tenant.tenant_id, HANDLE)
    monkeypatch.setattr(cuts, "after_commit", lambda *_: None)
    cut(tenant)
    assert cuts.is_cut(tenant.tenant_id, HANDLE)


def test_past_ones_are_over_and_forgotten(tenant: SignedUp, redis: Redis) -> None:
    cut(tenant, lasts=timedelta(seconds=-5))
    cut(tenant, "key:13")
    redis.delete(*names_of(redis, tenant))
    assert cuts.which_are_cut(tenant.tenant_id, HANDLE, "key:13") == {"key:13"}
    with tenant_session(tenant.tenant_id) as session:
        kept = session.scalars(
            text("SELECT handle FROM tenancy.cuts WHERE tenant_id = :t"), {"t": tenant.tenant_id}
        ).all()
    assert kept == ["key:13"]


def test_the_longer_of_two_holds(tenant: SignedUp) -> None:
    cut(tenant, lasts=timedelta(minutes=9))
    cut(tenant, lasts=timedelta(minutes=1))
    with tenant_session(tenant.tenant_id) as session:
        until = session.scalars(
            text("SELECT until FROM tenancy.cuts WHERE tenant_id = :t"), {"t": tenant.tenant_id}
        ).one()
    assert until - datetime.now(UTC) > timedelta(minutes=8)


def test_a_person_is_cut_through_the_directory(tenant: SignedUp) -> None:
    member = f"member:{tenant.person_id}"
    with directory_session() as session:
        cuts.cut(session, tenant.tenant_id, member, datetime.now(UTC) + SOON)
    assert cuts.is_cut(tenant.tenant_id, member)
