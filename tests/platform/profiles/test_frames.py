"""Connections that facts are read through: kept for whoever comes next, and never with anybody's tenant."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import adbc_driver_postgresql.dbapi as adbc
import polars as pl
import psycopg
import pytest

from assay.profiles import frames
from assay.profiles.frames import transaction


@pytest.fixture(autouse=True)
def idle(connected: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[Any, list[Any]]]:
    """None at first."""
    kept: dict[Any, list[Any]] = {}
    monkeypatch.setattr(frames, "_idle", kept)
    yield kept
    for connections in kept.values():
        for connection in connections:
            connection.close()


def ask(cursor: Any, query: str) -> Any:
    cursor.execute(query)
    return pl.DataFrame(cursor.fetch_arrow()).item()


def backend() -> int:
    """Of PostgreSQL, the process that served a transaction."""
    with transaction(1) as cursor:
        return int(ask(cursor, "SELECT pg_backend_pid()"))


def test_threads_that_come_and_go_share_them() -> None:
    served = set()
    for _ in range(3):
        with ThreadPoolExecutor(1) as thread:
            served.add(thread.submit(backend).result())
    assert len(served) == 1


def test_whoever_is_at_it_has_one_alone() -> None:
    with transaction(1) as one, transaction(2) as other:
        processes = {ask(cursor, "SELECT pg_backend_pid()") for cursor in (one, other)}
        tenants = [ask(cursor, "SELECT current_setting('app.tenant_id')") for cursor in (one, other)]
    assert (len(processes), tenants) == (2, ["1", "2"])


def test_no_tenant_is_left_behind(idle: dict[Any, list[Any]]) -> None:
    backend()
    ((connection,),) = idle.values()
    with connection.cursor() as cursor:
        assert ask(cursor, "SELECT coalesce(current_setting('app.tenant_id', true), '')") == "0"


def test_after_an_error_it_is_not_used_again(idle: dict[Any, list[Any]]) -> None:
    with pytest.raises(adbc.Error), transaction(1) as cursor:
        cursor.execute("SELECT 1 / 0")
    assert list(idle.values()) == [[]]


def test_one_that_the_server_ended_is_replaced(servers: Any) -> None:
    before = backend()
    with psycopg.connect(servers.places.postgres_url("postgres"), autocommit=True) as superuser:
        superuser.execute("SELECT pg_terminate_backend(%s)", [before])
    assert backend() != before


def test_so_many_are_kept(idle: dict[Any, list[Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "MOST_IDLE", 2)
    with ExitStack() as held:
        for _ in range(4):
            held.enter_context(transaction(1))
    assert [len(connections) for connections in idle.values()] == [2]


def test_those_of_another_process_are_let_be(idle: dict[Any, list[Any]]) -> None:
    before = backend()
    ((_, url),) = idle
    parents = idle[(0, url)] = list(idle.popitem()[1])
    assert backend() != before
    assert len(parents) == 1
