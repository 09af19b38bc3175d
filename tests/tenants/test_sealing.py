"""Sealed values, rings of keys, and their turning."""

import base64
import dataclasses
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from threading import Event, Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import create_engine, text

import assay
import assay_tenants
from assay.cli import checks
from assay.embedded import Embedded
from assay.settings import Settings
from assay_tenants import connections, resealing, sealing
from assay_tenants.access.service import SignedUp
from assay_tenants.database import directory_session, tenant_session
from assay_tenants.sealing import CannotOpen, KeyMissing, Ring

OLD, NEW = (base64.b64encode(bytes([number]) * 32).decode() for number in (1, 2))
PLAIN = b"rt_canary"


@pytest.fixture
def ring() -> Iterator[None]:
    with sealing.using(f"old:{OLD}"):
        yield


@given(st.integers(0, 2**63 - 1), st.text(max_size=20), st.binary(max_size=300), st.text(max_size=9))
def test_what_is_sealed_opens_again(tenant_id: int, purpose: str, plain: bytes, row: str) -> None:
    with sealing.using(f"old:{OLD}"):
        sealed = sealing.seal(tenant_id, purpose, plain, row=row)
        assert sealing.unseal(tenant_id, purpose, sealed, row=row) == plain
        assert len(plain) < 4 or plain not in sealed
        assert sealing.key_of(sealed) == "old"


@pytest.mark.parametrize(
    ("tenant_id", "purpose", "row"),
    [
        pytest.param(2, "totp", "7", id="another tenant"),
        pytest.param(0, "totp", "7", id="the installation"),
        pytest.param(1, "connection", "7", id="another purpose"),
        pytest.param(1, "totp", "8", id="another row"),
        pytest.param(1, "totp", "", id="no row"),
        pytest.param(1, "totp7", "", id="the words put together otherwise"),
    ],
)
def test_a_value_opens_where_it_belongs_alone(ring: None, tenant_id: int, purpose: str, row: str) -> None:
    sealed = sealing.seal(1, "totp", PLAIN, row="7")
    with pytest.raises(CannotOpen) as refused:
        sealing.unseal(tenant_id, purpose, sealed, row=row)
    assert "canary" not in str(refused.value)


@given(st.data())
def test_no_altered_byte_opens(data: st.DataObject) -> None:
    with sealing.using(f"old:{OLD}"):
        sealed = bytearray(sealing.seal(1, "totp", PLAIN))
        sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= data.draw(st.integers(1, 255))
        with pytest.raises(sealing.SealingError):
            sealing.unseal(1, "totp", bytes(sealed))


@given(st.binary(max_size=120))
def test_no_other_bytes_open(noise: bytes) -> None:
    with sealing.using(f"old:{OLD}"), pytest.raises(sealing.SealingError):
        sealing.unseal(1, "totp", noise)


def test_two_sealings_of_one_value_differ(ring: None) -> None:
    assert sealing.seal(1, "totp", PLAIN) != sealing.seal(1, "totp", PLAIN)


def test_the_first_key_seals_and_all_open(ring: None) -> None:
    before = sealing.seal(1, "totp", PLAIN)
    with sealing.using(f"new:{NEW},old:{OLD}"):
        assert sealing.unseal(1, "totp", before) == PLAIN
        assert sealing.key_of(sealing.seal(1, "totp", PLAIN)) == "new"


def test_a_key_that_went_too_early_is_named(ring: None) -> None:
    before = sealing.seal(1, "totp", PLAIN)
    with sealing.using(f"new:{NEW}"), pytest.raises(KeyMissing, match=r"'old'.*ASSAY_SEALING_KEYS") as refused:
        sealing.unseal(1, "totp", before)
    assert OLD not in str(refused.value)
    # A key of the same name is not the same key.
    with sealing.using(f"old:{NEW}"), pytest.raises(CannotOpen):
        sealing.unseal(1, "totp", before)


@pytest.mark.parametrize(
    ("typed", "wrong"),
    [
        pytest.param(OLD, "no proper id", id="no id"),
        pytest.param(f"old:{OLD},:{NEW}", "entry 2", id="empty id"),
        pytest.param(f"Old Key:{OLD}", "no proper id", id="characters"),
        pytest.param(f"old:{OLD},old:{NEW}", "'old' twice", id="an id twice"),
        pytest.param(f"old:{OLD},new:{OLD}", "same key twice", id="a key twice"),
        pytest.param("old:c2hvcnQ=", "'old' that is not 32 bytes", id="short"),
        pytest.param("old:hunter2hunter2!", "'old' that is not 32 bytes", id="not base64"),
        pytest.param("old:", "'old' that is not 32 bytes", id="none"),
    ],
)
def test_what_is_no_ring(typed: str, wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong) as refused:
        Ring.read(typed)
    assert not any(secret in str(refused.value) for secret in (OLD, NEW, "c2hvcnQ", "hunter2"))


def test_both_alphabets_are_read_and_none_is_shown() -> None:
    raw = bytes(range(224, 256))
    for encoded in (base64.b64encode(raw), base64.urlsafe_b64encode(raw).rstrip(b"=")):
        ring = Ring.read(f" a:{encoded.decode()} , b:{OLD}")
        assert ring.keys["a"] == raw
        assert repr(ring) == "Ring(a, b)"


def test_every_registered_column_is_found_by_the_one_who_turns_the_ring() -> None:
    registering = {
        ".".join((package.__name__, *file.relative_to(root).with_suffix("").parts))
        for package in (assay, assay_tenants)
        for root in map(Path, package.__path__)
        for file in root.rglob("*.py")
        if "node_modules" not in file.parts and file.name != "sealing.py" and "sealing.register(" in file.read_text()
    }
    assert registering == set(resealing.HOMES)


def test_the_one_who_turns_the_ring_may_write_to_every_column(connected: None) -> None:
    resealing.load()
    for column in sealing.columns():
        with directory_session() if column.door == "directory" else tenant_session(1) as session:
            may = session.execute(
                text("SELECT has_column_privilege(current_user, :table, :column, 'UPDATE')"),
                {"table": column.table, "column": column.column},
            ).scalar_one()
        assert may, f"{column.name} can't be sealed anew"


# The ring turns.


@pytest.fixture
def turning(servers: Embedded, settings: Settings, connected: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The tests' own ring; afterwards all is sealed under it again, whatever keys a test had.

    Only tenants that come after this are walked: the other tests leave thousands.
    """
    own = sealing.ring()
    with directory_session() as session:
        last = session.scalars(text("SELECT coalesce(max(id), 0) FROM tenancy.tenants")).one()
    walk = resealing._tenants
    monkeypatch.setattr(resealing, "_tenants", lambda after: [0, *walk(last)] if after < 0 else walk(max(after, last)))
    yield settings.sealing_keys
    _forget(servers)
    with sealing.using(Ring({**own.keys, **Ring.read(f"new:{NEW}").keys})):
        resealing.reseal()
    _forget(servers)


def _forget(servers: Embedded) -> None:
    engine = create_engine(servers.owner_url.replace("postgresql://", "postgresql+psycopg://", 1))
    with engine.begin() as connection:
        connection.execute(text("TRUNCATE tenancy.sealing_keys, tenancy.resealings"))
    engine.dispose()


def _connect(tenant_id: int, count: int = 1) -> list[int]:
    return [
        connections.create(tenant_id, plugin="hubspot", name=f"Portal {n}", credentials={"token": f"canary-{n}"})
        for n in range(count)
    ]


def _keys_of(tenant_id: int) -> set[str | None]:
    with tenant_session(tenant_id) as session:
        rows = session.execute(
            text("SELECT credentials FROM tenancy.connections WHERE tenant_id = :t"), {"t": tenant_id}
        )
        return {sealing.key_of(bytes(row[0])) for row in rows if row[0]}


def test_all_is_sealed_anew_and_the_old_key_may_go(
    turning: str, make_tenant: Callable[[], SignedUp], settings: Settings
) -> None:
    tenants = [make_tenant().tenant_id for _ in range(3)]
    ids = {tenant_id: _connect(tenant_id, 2) for tenant_id in tenants}
    first = sealing.ring().newest
    with sealing.using(f"new:{NEW},{turning}"):
        resealing.announce()
        assert resealing.stand().free == []
        assert resealing.reseal() >= 6
        assert all(_keys_of(tenant_id) == {"new"} for tenant_id in tenants)
        assert resealing.reseal() == 0
        assert resealing.stand().free == [first]
    with sealing.using(f"new:{NEW}"):
        assert connections.credentials_of(tenants[0], ids[tenants[0]][1]).values == {"token": "canary-1"}
    # Whoever still has the old ring alone is told which key is missing.
    with pytest.raises(KeyMissing, match="'new'"):
        connections.credentials_of(tenants[0], ids[tenants[0]][1])


def test_the_walk_goes_on_where_it_was_interrupted(turning: str, make_tenant: Callable[[], SignedUp]) -> None:
    tenants = [make_tenant().tenant_id for _ in range(3)]
    for tenant_id in tenants:
        _connect(tenant_id)
    with sealing.using(f"new:{NEW},{turning}"):
        resealing.announce()
        turns = 0
        while not all(_keys_of(tenant_id) == {"new"} for tenant_id in tenants):
            resealing.reseal(turn=timedelta(microseconds=1 if turns < 2 else 10**7))
            turns += 1
            assert turns < 10
        assert turns > 1


def test_a_row_under_way_is_left_to_the_next_walk(turning: str, tenant: SignedUp) -> None:
    tenant_id = tenant.tenant_id
    (connection_id,) = _connect(tenant_id)
    under_way, done = Event(), Event()

    def renew() -> None:
        with connections.refreshing(tenant_id, connection_id) as refresh:
            under_way.set()
            assert done.wait(20)
            refresh.replace({"token": "newer"})

    with sealing.using(f"new:{NEW},{turning}"):
        resealing.announce()
        thread = Thread(target=renew)
        thread.start()
        assert under_way.wait(20)
        resealing.reseal()
        assert _keys_of(tenant_id) == {"first"}
        done.set()
        thread.join()
        assert connections.credentials_of(tenant_id, connection_id).values == {"token": "newer"}


def test_of_two_rings_the_later_one_wins(turning: str, tenant: SignedUp) -> None:
    _connect(tenant.tenant_id)
    resealing.announce()
    with sealing.using(f"new:{NEW},{turning}"):
        resealing.announce()
        resealing.reseal()
    with sealing.using(f"{turning},new:{NEW}"):
        resealing.announce()
        assert resealing.reseal() == 0
    assert _keys_of(tenant.tenant_id) == {"new"}


def test_two_keys_of_one_id_are_refused(turning: str) -> None:
    with sealing.using(f"new:{NEW},{turning}"):
        resealing.announce()
    with sealing.using(f"new:{OLD}"), pytest.raises(resealing.OtherKey, match="'new'") as refused:
        resealing.announce()
    assert OLD not in str(refused.value)


def test_a_value_that_does_not_open_stops_no_other(turning: str, tenant: SignedUp) -> None:
    broken, whole = _connect(tenant.tenant_id, 2)
    with tenant_session(tenant.tenant_id) as session:
        session.execute(
            text("UPDATE tenancy.connections SET credentials = credentials || 'x' WHERE tenant_id = :t AND id = :id"),
            {"t": tenant.tenant_id, "id": broken},
        )
    with sealing.using(f"new:{NEW},{turning}"):
        resealing.announce()
        resealing.reseal()
        assert connections.credentials_of(tenant.tenant_id, whole).values == {"token": "canary-1"}
        assert "first" in resealing.stand().values
        assert "first" not in resealing.stand().free
    with tenant_session(tenant.tenant_id) as session:
        session.execute(
            text("DELETE FROM tenancy.connections WHERE tenant_id = :t AND id = :id"),
            {"t": tenant.tenant_id, "id": broken},
        )


def test_the_doctor_counts_and_says_what_may_go(turning: str, tenant: SignedUp, settings: Settings) -> None:
    _connect(tenant.tenant_id)
    both = f"new:{NEW},{turning}"
    with sealing.using(both):
        found = _findings(dataclasses.replace(settings, sealing_keys=both))
        assert any("under first still" in words for words in found)
        resealing.reseal()
        found = _findings(dataclasses.replace(settings, sealing_keys=both))
        assert any("nothing under first" in words and "may go" in words for words in found)
    found = _findings(settings)
    assert any("under new, which is not in the ring → Put the key back" in words for words in found)
    assert not any(NEW in words for words in found)


def _findings(settings: Settings) -> list[str]:
    return [f"{finding.found} → {finding.remedy}" for finding in checks.check_sealing(settings)]
