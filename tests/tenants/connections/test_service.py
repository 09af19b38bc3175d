"""What people do with connections."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from assay_tenants import connections
from assay_tenants.access.service import SignedUp
from assay_tenants.connections import Changed
from assay_tenants.database import tenant_session
from assay_tenants.errors import BadInput, NotFound

SECRET = "canary-of-a-connection"


@pytest.fixture
def connect(tenant: SignedUp) -> Callable[..., int]:
    def make(**further: object) -> int:
        given = {"plugin": "hubspot", "name": "Portal", "credentials": {"token": SECRET}, "account": "7"} | further
        return connections.create(tenant.tenant_id, **given)  # type: ignore[arg-type] # tables of tests

    return make


def test_a_connection_is_listed_until_it_is_disconnected(tenant: SignedUp, connect: Callable[..., int]) -> None:
    first, second = connect(), connect(name="  Other   portal ", account="34")
    assert [(one.id, one.name, one.state) for one in connections.list_connections(tenant.tenant_id)] == [
        (first, "Portal", "connected"),
        (second, "Other portal", "connected"),
    ]
    connections.disconnect(tenant.tenant_id, first)
    connections.disconnect(tenant.tenant_id, first)
    assert [one.id for one in connections.list_connections(tenant.tenant_id)] == [second]
    assert connections.get_connection(tenant.tenant_id, first).state == "disconnected"


@pytest.mark.parametrize("name", ["", "   ", "x" * 81], ids=["none", "blank", "long"])
def test_a_name_is_needed(connect: Callable[..., int], name: str) -> None:
    with pytest.raises(BadInput, match="1 to 80") as refused:
        connect(name=name)
    assert refused.value.field == "name"


def test_of_two_changes_at_once_one_is_told(tenant: SignedUp, connect: Callable[..., int]) -> None:
    connection_id = connect()

    def rename(name: str) -> str:
        try:
            return connections.change(tenant.tenant_id, connection_id, version=1, name=name).name
        except Changed:
            return "told"

    with ThreadPoolExecutor(2) as pool:
        outcomes = sorted(pool.map(rename, ("Anna's", "Bert's")))
    assert outcomes in (["Anna's", "told"], ["Bert's", "told"])
    with pytest.raises(Changed):
        connections.replace_credentials(tenant.tenant_id, connection_id, {"token": "x"}, version=1)


def test_renaming_is_no_renewal(tenant: SignedUp, connect: Callable[..., int]) -> None:
    connection_id = connect()
    connections.change(tenant.tenant_id, connection_id, version=1, name="New", settings={"lists": [1]})
    assert connections.credentials_of(tenant.tenant_id, connection_id).renewal == 1
    assert connections.get_connection(tenant.tenant_id, connection_id).settings == {"lists": [1]}


def test_a_disconnected_one_is_not_changed(tenant: SignedUp, connect: Callable[..., int]) -> None:
    connection_id = connect()
    connections.disconnect(tenant.tenant_id, connection_id)
    with pytest.raises(NotFound):
        connections.change(tenant.tenant_id, connection_id, version=2, name="New")


def test_each_change_is_in_the_audit_log_and_no_secret(tenant: SignedUp, connect: Callable[..., int]) -> None:
    connection_id = connect()
    names = tenant.tenant_id, connection_id
    connections.change(*names, version=1, name="New")
    connections.needs_reconnect(*names, "Refused.", since=1)
    connections.replace_credentials(*names, {"token": SECRET + "2"})
    connections.disconnect(*names)
    with tenant_session(tenant.tenant_id) as session:
        rows = session.execute(
            text(
                "SELECT action, subject, concat(before, after) AS told FROM tenancy.audit_log"
                " WHERE tenant_id = :t AND action LIKE 'connection.%' ORDER BY id"
            ),
            {"t": tenant.tenant_id},
        ).all()
    assert [row.action.partition(".")[2] for row in rows] == [
        "created",
        "changed",
        "refused",
        "reconnected",
        "disconnected",
    ]
    assert all(row.subject == str(connection_id) and SECRET not in row.told for row in rows)
