"""Renewing credentials of which each may be used once, by many at a time, and dying in between."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Lock, Thread

import psycopg
import pytest
from sqlalchemy import text

from assay.embedded import Embedded
from assay.settings import Settings
from assay_tenants import connections
from assay_tenants.access.service import SignedUp
from assay_tenants.connections import NoCredentials, RefreshUnderWay, credentials
from assay_tenants.database import tenant_session
from assay_tenants.errors import BadInput, NotFound


class Vendor:
    """Takes each refresh token once, as many services do."""

    def __init__(self) -> None:
        self.valid = "rt-0"
        self.calls = 0
        self.refused = 0
        self._lock = Lock()

    def renew(self, token: str) -> str:
        with self._lock:
            self.calls += 1
            if token != self.valid:
                self.refused += 1
                raise PermissionError
            self.valid = f"rt-{self.calls}"
            return self.valid


@pytest.fixture
def connection(tenant: SignedUp) -> tuple[int, int]:
    tenant_id = tenant.tenant_id
    return tenant_id, connections.create(tenant_id, plugin="hubspot", name="Portal", credentials={"refresh": "rt-0"})


def test_of_many_who_find_it_expired_one_renews(connection: tuple[int, int]) -> None:
    vendor = Vendor()
    held = connections.credentials_of(*connection)

    def renew(_: int) -> str:
        with connections.refreshing(*connection, since=held.renewal) as refresh:
            if refresh.is_due:
                new = vendor.renew(refresh.held.values["refresh"])
                time.sleep(0.05)
                refresh.replace({"refresh": new})
        token: str = refresh.now.values["refresh"]
        return token

    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(renew, range(6))) == {"rt-1"}
    assert (vendor.calls, vendor.refused) == (1, 0)
    assert connections.credentials_of(*connection).renewal == 2


def test_those_who_ask_without_a_number_renew_one_after_the_other(connection: tuple[int, int]) -> None:
    vendor = Vendor()

    def renew(_: int) -> None:
        with connections.refreshing(*connection) as refresh:
            refresh.replace({"refresh": vendor.renew(refresh.held.values["refresh"])})

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(renew, range(8)))
    assert (vendor.calls, vendor.refused) == (8, 0)
    assert connections.credentials_of(*connection).values == {"refresh": "rt-8"}


def test_new_ones_can_not_be_used_before_they_are_committed(connection: tuple[int, int]) -> None:
    with connections.refreshing(*connection) as refresh:
        refresh.replace({"refresh": "rt-1"})
        with pytest.raises(RuntimeError, match="committed"):
            _ = refresh.now
        assert connections.credentials_of(*connection).values == {"refresh": "rt-0"}
    assert refresh.now == connections.credentials_of(*connection)


def test_an_error_leaves_all_as_it_was(connection: tuple[int, int]) -> None:
    with pytest.raises(ZeroDivisionError), connections.refreshing(*connection) as refresh:
        refresh.replace({"refresh": "rt-1"})
        _ = 1 / 0
    assert connections.credentials_of(*connection).values == {"refresh": "rt-0"}


def test_a_refusal_asks_a_person_to_connect_anew(connection: tuple[int, int]) -> None:
    with connections.refreshing(*connection) as refresh:
        refresh.refuse("HubSpot says that the app was uninstalled.")
    with pytest.raises(NoCredentials, match="anew"):
        _ = refresh.now
    shown = connections.get_connection(*connection)
    assert (shown.state, shown.error) == ("needs_reconnect", "HubSpot says that the app was uninstalled.")
    for use in (connections.credentials_of, lambda *names: connections.refreshing(*names).__enter__()):
        with pytest.raises(NoCredentials):
            use(*connection)
    connections.replace_credentials(*connection, {"refresh": "rt-9"}, version=shown.version)
    assert connections.get_connection(*connection).error == ""
    assert connections.credentials_of(*connection).values == {"refresh": "rt-9"}


def test_a_late_refusal_of_old_ones_does_not_disconnect_the_new(connection: tuple[int, int]) -> None:
    old = connections.credentials_of(*connection)
    connections.replace_credentials(*connection, {"refresh": "rt-1"})
    assert not connections.needs_reconnect(*connection, "Refused.", since=old.renewal)
    assert connections.needs_reconnect(*connection, "Refused.", since=old.renewal + 1)
    assert not connections.needs_reconnect(*connection, "Refused again.", since=old.renewal + 1)
    assert connections.get_connection(*connection).error == "Refused."


def test_waiting_ends(connection: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials, "PATIENCE", credentials.timedelta(milliseconds=100))
    under_way, done = Event(), Event()

    def hold() -> None:
        with connections.refreshing(*connection):
            under_way.set()
            done.wait(20)

    holder = Thread(target=hold)
    holder.start()
    assert under_way.wait(20)
    with pytest.raises(RefreshUnderWay), connections.refreshing(*connection):
        pytest.fail("held by somebody else")
    # Who only reads does not wait.
    assert connections.credentials_of(*connection).renewal == 1
    done.set()
    holder.join()


def test_disconnecting_waits_for_the_renewal_and_wipes_what_it_brought(connection: tuple[int, int]) -> None:
    under_way, done = Event(), Event()

    def renew() -> None:
        with connections.refreshing(*connection) as refresh:
            under_way.set()
            done.wait(20)
            refresh.replace({"refresh": "rt-1"})

    renewing = Thread(target=renew)
    renewing.start()
    assert under_way.wait(20)
    leaving = Thread(target=connections.disconnect, args=connection)
    leaving.start()
    done.set()
    renewing.join()
    leaving.join()
    with tenant_session(connection[0]) as session:
        kept = session.execute(
            text("SELECT credentials FROM tenancy.connections WHERE tenant_id = :t AND id = :id"),
            {"t": connection[0], "id": connection[1]},
        ).scalar_one()
    assert kept is None
    with pytest.raises(NoCredentials, match="disconnected"):
        connections.credentials_of(*connection)


def test_a_database_that_blinks_at_the_commit_loses_no_new_token(
    connection: tuple[int, int], servers: Embedded
) -> None:
    with connections.refreshing(*connection) as refresh:
        refresh.replace({"refresh": "rt-1"})
        with psycopg.connect(servers.owner_url, autocommit=True) as owner:
            owner.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE state = 'idle in transaction' AND query LIKE '%connections%' AND pid <> pg_backend_pid()"
            )
    assert refresh.now.values == {"refresh": "rt-1"}
    assert connections.credentials_of(*connection) == refresh.now


DYING = """
import os, signal, sys
from assay.guards import guard
from assay.settings import Settings
from assay_tenants import connections, database
settings = Settings.from_environ()
guard(settings)
database.configure(settings.database_url, pool_size=1)
with connections.refreshing(int(sys.argv[1]), int(sys.argv[2])) as refresh:
    refresh.replace({"refresh": "rt-spent"})
    print("asked", flush=True)
    signal.pause()
"""


def test_killed_between_answer_and_commit_leaves_one_clean_prompt(
    connection: tuple[int, int], settings: Settings
) -> None:
    environ = os.environ | {
        "ASSAY_DATABASE_URL": settings.database_url,
        "ASSAY_SEALING_KEYS": settings.sealing_keys,
    }
    arguments = [sys.executable, "-c", DYING, *map(str, connection)]
    with subprocess.Popen(arguments, env=environ, stdout=subprocess.PIPE, text=True) as dying:
        assert dying.stdout is not None
        assert dying.stdout.readline() == "asked\n"
        dying.send_signal(signal.SIGKILL)
    # The old ones are still there, whole, and the row is nobody's: the next one asks, and is refused.
    with connections.refreshing(*connection) as refresh:
        assert refresh.is_due
        assert refresh.held.values == {"refresh": "rt-0"}
        refresh.refuse("The last renewal was interrupted.")
    assert connections.get_connection(*connection).state == "needs_reconnect"


def test_credentials_are_no_words_of_any_text(connection: tuple[int, int]) -> None:
    held = connections.credentials_of(*connection)
    assert "rt-0" not in repr(held)
    with tenant_session(connection[0]) as session:
        row = session.execute(
            text("SELECT * FROM tenancy.connections WHERE tenant_id = :t"), {"t": connection[0]}
        ).one()
    assert b"rt-0" not in bytes(row.credentials)


@pytest.mark.parametrize("values", [{}, {"refresh": "x" * 70_000}], ids=["none", "too long"])
def test_what_are_no_credentials(connection: tuple[int, int], values: dict[str, str]) -> None:
    with pytest.raises(BadInput, match="64,000"):
        connections.replace_credentials(*connection, values)


def test_a_neighbour_finds_nothing(connection: tuple[int, int], neighbour: SignedUp) -> None:
    names = neighbour.tenant_id, connection[1]
    for use in (connections.credentials_of, connections.disconnect, connections.get_connection):
        with pytest.raises(NotFound):
            use(*names)
    with pytest.raises(NotFound), connections.refreshing(*names):
        pytest.fail("the neighbour's")
