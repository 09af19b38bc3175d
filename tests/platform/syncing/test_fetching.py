"""Named records are fetched together, again when named again meanwhile, and never given up for a neighbour's fault."""

from typing import Any

import pytest

from assay.syncing import fetching, jobs, queries, service
from assay_sdk import Fetch, Page, Refused, TryLater
from assay_tenants.database import tenant_session
from tests.platform.syncing.conftest import Connected
from tests.vendors.quarry import QuarrySimulator, QuarrySource

_LEFT = "SELECT count(*) FROM intake.wanted WHERE tenant_id = :t"


@pytest.fixture
def quiet(connection: Connected) -> Connected:
    """Nothing of it is due but what is wanted."""
    for table in ("streams", "links"):
        connection.do(f"UPDATE intake.{table} SET due_at = NULL WHERE tenant_id = :t")
    return connection


def want(connection: Connected, *ids: int) -> None:
    source_id = connection.link().source_id
    with tenant_session(connection.tenant_id) as session:
        fetching.want(session, connection.tenant_id, [(source_id, Fetch("stone", str(each))) for each in ids])


def fetch(connection: Connected) -> None:
    connection.pass_time()
    connection.work()


def test_many_notices_of_few_records_are_few_calls(quiet: Connected, vendor: QuarrySimulator) -> None:
    for _ in range(5):
        want(quiet, *range(1, 26))
    fetch(quiet)
    assert sorted(quiet.ids("fetch/stone")) == list(range(1, 26))
    assert len([call for call in vendor.calls if "named" in call]) == 3
    assert quiet.value(_LEFT) == 0


def test_they_are_collected_for_a_moment(quiet: Connected) -> None:
    want(quiet, 1)
    assert quiet.work() == 0


def test_a_record_that_goes_on_being_named_is_fetched_all_the_same(quiet: Connected) -> None:
    want(quiet, 1)
    before = quiet.value("SELECT due_at FROM intake.wanted WHERE tenant_id = :t")
    want(quiet, 1)
    assert quiet.value("SELECT due_at FROM intake.wanted WHERE tenant_id = :t") == before


def test_named_again_while_it_is_fetched_it_is_fetched_again(quiet: Connected, monkeypatch: pytest.MonkeyPatch) -> None:
    pages = 0
    real = QuarrySource.fetch

    def meanwhile(self: Any, link: Any, kind: str, ids: Any) -> Page:
        nonlocal pages
        pages += 1
        page = real(self, link, kind, ids)
        if pages == 1:
            want(quiet, 2)
        return page

    monkeypatch.setattr(QuarrySource, "fetch", meanwhile)
    want(quiet, 1, 2, 3)
    fetch(quiet)
    assert sorted(quiet.ids("fetch/stone")) == [1, 2, 2, 3]
    assert quiet.value(_LEFT) == 0


@pytest.mark.parametrize(
    ("poison", "tries"),
    [
        pytest.param(ValueError("poison"), fetching.TRIES, id="the plugin fails at one"),
        pytest.param(Refused("No such stone.", status=400), fetching.TRIES, id="the vendor refuses one"),
        pytest.param(TryLater("Quarry answered 500."), fetching.TRIES_OF_FAILING, id="the vendor fails at one"),
    ],
)
def test_one_bad_record_keeps_no_other_from_being_fetched(
    quiet: Connected, monkeypatch: pytest.MonkeyPatch, poison: Exception, tries: int
) -> None:
    real = QuarrySource.fetch

    def poisoned(self: Any, link: Any, kind: str, ids: Any) -> Page:
        if "13" in ids:
            raise poison
        return real(self, link, kind, ids)

    monkeypatch.setattr(QuarrySource, "fetch", poisoned)
    want(quiet, *range(1, 31))
    for _ in range(5):
        fetch(quiet)
    assert sorted(quiet.ids("fetch/stone")) == [each for each in range(1, 31) if each != 13]
    for _ in range(tries):
        fetch(quiet)
    health = queries.health(*quiet.key)
    assert (health.wanted_waiting, health.wanted_dead) == (0, 1)
    assert health.wanted_error
    monkeypatch.setattr(QuarrySource, "fetch", real)
    assert service.retry_dead(*quiet.key) == 1
    fetch(quiet)
    assert 13 in quiet.ids("fetch/stone")
    assert quiet.value(_LEFT) == 0


def test_a_dead_record_that_is_named_again_is_tried_again(quiet: Connected) -> None:
    want(quiet, 1)
    quiet.do("UPDATE intake.wanted SET due_at = NULL, attempts = 9, error = 'x' WHERE tenant_id = :t")
    want(quiet, 1)
    fetch(quiet)
    assert quiet.ids("fetch/stone") == [1]


def test_while_it_needs_a_person_nothing_that_was_named_is_lost(quiet: Connected, vendor: QuarrySimulator) -> None:
    want(quiet, 1)
    quiet.do("UPDATE tenancy.connections SET state = 'needs_reconnect' WHERE tenant_id = :t")
    fetch(quiet)
    assert quiet.value(_LEFT) == 1
    assert jobs.drain_links(quiet.tenant_id) == 0
    quiet.do("UPDATE tenancy.connections SET state = 'connected' WHERE tenant_id = :t")
    service.establish(*quiet.key, "quarry", quiet.grant.account, title="Acme", hook_token="")
    quiet.work()
    assert quiet.ids("fetch/stone") == [1]


def test_those_of_a_neighbour_are_left_alone(quiet: Connected, connect: Any) -> None:
    stranger = connect()
    source_id = quiet.link().source_id
    with tenant_session(stranger.tenant_id) as session:
        fetching.want(session, stranger.tenant_id, [(source_id, Fetch("stone", "1"))])
    assert quiet.value(_LEFT) == 0
    assert stranger.value(_LEFT) == 0
