"""Streams: every record once, whatever happens between two statements; nobody's failure is another's."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event

from assay.syncing import jobs, keeping, leases, pulling, queries, service
from assay_sdk import Page, Refused, TryLater
from assay_tenants import database
from assay_tenants.errors import NotFound
from tests.platform.syncing.conftest import Connected
from tests.vendors.quarry import QuarrySimulator, QuarrySource


def test_a_first_load_brings_everything_once_and_then_follows(connection: Connected, vendor: QuarrySimulator) -> None:
    vendor.stones = 250
    connection.work()
    stream = connection.stream()
    assert (stream.records, stream.total, stream.cursor) == (250, 250, {"after": 250})
    assert stream.loaded_at is not None
    assert stream.error == ""
    assert connection.ids() == list(range(1, 251))
    vendor.stones = 260
    connection.make_due()
    connection.work()
    assert connection.ids() == list(range(1, 261))
    assert queries.health(*connection.key).streams[0].phase == "following"


def test_what_was_pulled_becomes_leads(
    connection: Connected, vendor: QuarrySimulator, work_off: Callable[[int], int]
) -> None:
    vendor.stones = 3
    connection.work()
    work_off(connection.tenant_id)
    assert connection.value("SELECT count(*) FROM profiles.leads WHERE tenant_id = :t") == 3


def test_the_timetable_is_kept_with_a_little_chance(connection: Connected, vendor: QuarrySimulator) -> None:
    dues = set()
    for _ in range(5):
        connection.make_due()
        connection.work()
        stream = connection.stream()
        dues.add((stream.due_at - stream.last_run_at).total_seconds())
    assert all(300 * 0.949 <= due <= 300 * 1.051 for due in dues)
    assert len(dues) == 5


def test_a_crash_between_any_two_statements_leaves_neither_gap_nor_double(
    connection: Connected, vendor: QuarrySimulator, monkeypatch: pytest.MonkeyPatch, dies: Any
) -> None:
    # One page a slice, so that each crash falls into the pages' own statements.
    monkeypatch.setattr(pulling, "SLICE", timedelta(0))
    connection.do("UPDATE intake.streams SET due_at = NULL WHERE tenant_id = :t AND name <> 'stones'")
    connection.do("UPDATE intake.links SET due_at = NULL WHERE tenant_id = :t")
    crashed = 0
    while _crashes_before_statement(crashed, connection, vendor, dies):
        crashed += 1
    assert crashed > 10
    connection.make_due()
    connection.work()
    while connection.stream().cursor["after"] < vendor.stones:
        connection.make_due()
        connection.work()
    assert connection.ids() == list(range(1, vendor.stones + 1))
    assert connection.stream().records == vendor.stones


def _crashes_before_statement(last: int, connection: Connected, vendor: QuarrySimulator, dies: Any) -> bool:
    """Whether pulling a page came so far; of the database's statements only those that this thread makes count."""
    vendor.stones += 100
    thread = threading.get_ident()
    made = 0

    def crash(*_: Any) -> None:
        nonlocal made
        if threading.get_ident() != thread:
            return
        made += 1
        if made > last:
            # Of a kind that nothing in between catches.
            raise KeyboardInterrupt

    connection.make_due()
    event.listen(database.engine(), "before_cursor_execute", crash)
    try:
        dies(lambda: jobs.drain_links(connection.tenant_id))
    finally:
        event.remove(database.engine(), "before_cursor_execute", crash)
    return made > last


@pytest.mark.parametrize(
    "meddle",
    [
        pytest.param(lambda one: service.pause(*one.key), id="paused meanwhile"),
        pytest.param(lambda one: service.reload(*one.key, "stones"), id="begun anew meanwhile"),
        pytest.param(lambda one: service.end(*one.key), id="ended meanwhile"),
        pytest.param(
            lambda one: one.do("UPDATE intake.streams SET leased_until = now() WHERE tenant_id = :t"),
            id="its lease taken by another",
        ),
    ],
)
def test_who_lost_the_lease_writes_nothing(
    connection: Connected, vendor: QuarrySimulator, monkeypatch: pytest.MonkeyPatch, meddle: Any
) -> None:
    vendor.stones = 10
    pull = QuarrySource.pull

    def slowly(self: Any, link: Any, stream: str, cursor: Any) -> Page:
        page = pull(self, link, stream, cursor)
        meddle(connection)
        return page

    monkeypatch.setattr(QuarrySource, "pull", slowly)
    connection.do("UPDATE intake.streams SET due_at = NULL WHERE tenant_id = :t AND name <> 'stones'")
    jobs.drain_links(connection.tenant_id)
    jobs.drain_links(connection.tenant_id)
    assert connection.messages("pull/stones") == 0


def test_a_lease_of_somebody_who_died_ends(connection: Connected, vendor: QuarrySimulator) -> None:
    vendor.stones = 10
    slots = jobs.Alone()
    while errands := leases.claim(connection.tenant_id, slots):
        slots.give_back(connection.tenant_id, errands[0].plugin)
    assert connection.work() == 0
    connection.do("UPDATE intake.streams SET due_at = now(), leased_until = now() WHERE tenant_id = :t")
    connection.work()
    assert connection.ids() == list(range(1, 11))


@pytest.mark.parametrize(
    ("fails", "told"),
    [
        pytest.param(KeyError("secret"), "The plugin quarry failed at reading stones: KeyError (", id="its own fault"),
        pytest.param(RecursionError(), "The plugin quarry failed at reading stones: RecursionError", id="endless"),
        pytest.param(Refused("No such list.", status=404), "No such list.", id="refused"),
        pytest.param(TryLater("Quarry answered 500."), "Quarry answered 500.", id="away"),
        pytest.param(None, "The plugin quarry failed at reading stones: TypeError", id="no page"),
    ],
)
def test_a_stream_that_fails_says_why_and_leaves_others_alone(
    connection: Connected, vendor: QuarrySimulator, monkeypatch: pytest.MonkeyPatch, fails: Any, told: str
) -> None:
    pull = QuarrySource.pull

    def failing(self: Any, link: Any, stream: str, cursor: Any) -> Any:
        if stream != "stones":
            return pull(self, link, stream, cursor)
        if fails is None:
            return None
        raise fails

    monkeypatch.setattr(QuarrySource, "pull", failing)
    connection.work()
    stones, deals = connection.stream(), connection.stream("deals")
    assert stones.error.startswith(told)
    assert "secret" not in stones.error
    assert (stones.failures, stones.leased_until) == (1, None)
    assert stones.due_at > stones.last_run_at
    assert deals.loaded_at is not None
    assert deals.error == ""
    monkeypatch.setattr(QuarrySource, "pull", pull)
    connection.pass_time()
    connection.work()
    assert connection.stream().error == ""
    assert connection.stream().failures == 0


def test_a_plugin_that_goes_on_failing_is_tried_ever_more_rarely(
    connection: Connected, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(QuarrySource, "pull", lambda *_: 1 / 0)
    waits = []
    for _ in range(8):
        connection.make_due()
        connection.work()
        stream = connection.stream()
        waits.append((stream.due_at - stream.last_run_at).total_seconds())
    assert waits[0] < 40
    assert 600 < waits[-1] < 1100
    # Its connection is not at fault.
    assert connection.link().failures == 0


def test_a_record_that_is_too_large_becomes_a_dead_letter(
    connection: Connected, monkeypatch: pytest.MonkeyPatch, work_off: Callable[[int], int]
) -> None:
    large = b'{"records": [{"id": "the large one", "name": "' + b"x" * keeping.LARGEST_BODY + b'"}]}'
    small = b'{"records": [{"id": 7, "name": "Small", "at": 1760000000}]}'
    monkeypatch.setattr(QuarrySource, "pull", lambda *_: Page((large, small), {"after": 2}, count=2))
    connection.do("UPDATE intake.streams SET due_at = NULL WHERE tenant_id = :t AND name <> 'stones'")
    connection.work()
    work_off(connection.tenant_id)
    letter = connection.one("SELECT * FROM intake.dead_letters WHERE tenant_id = :t ")
    assert letter.kind == "record_too_large"
    assert "1,000,0" in letter.reason
    assert "the large one" in letter.excerpt
    assert connection.value("SELECT count(*) FROM profiles.leads WHERE tenant_id = :t") == 1
    assert connection.stream().error == ""


def test_it_does_not_run_ahead_of_what_is_understood(
    connection: Connected, vendor: QuarrySimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulling, "BACKLOG", 3)
    vendor.stones = 1000
    connection.work()
    assert connection.messages("pull/stones") == 3
    stream = connection.stream()
    assert "understood" in stream.error
    assert stream.failures == 0
    connection.do("DELETE FROM intake.waiting WHERE tenant_id = :t")
    connection.make_due()
    connection.work()
    assert connection.messages("pull/stones") == 6


def test_a_plan_that_is_used_up_pauses_it_in_words(connection: Connected, monkeypatch: pytest.MonkeyPatch) -> None:
    from assay.intake.errors import PlanUsedUp

    class Full:
        def admit(self, *_: Any) -> None:
            raise PlanUsedUp("The plan holds 10 events a month", after=timedelta(minutes=5))

    monkeypatch.setattr(pulling, "_admission", Full())
    connection.work()
    stream = connection.stream()
    assert stream.error.startswith("The plan holds 10 events a month")
    assert stream.cursor is None
    assert stream.failures == 0


def test_a_stream_whose_permission_is_missing_is_shown_and_not_read(
    connect: Callable[..., Connected], vendor: QuarrySimulator
) -> None:
    connection = connect(scopes=("stones.read",))
    connection.work()
    deals = queries.health(*connection.key).streams[1]
    assert (deals.phase, deals.last_run_at) == ("left_out", None)
    assert "deals.read" in deals.error
    service.sync_now(*connection.key)
    connection.work()
    assert connection.stream("deals").last_run_at is None


class TestPeople:
    """What people do with a connection at work."""

    def test_paused_it_brings_in_nothing_and_then_goes_on(self, connection: Connected, vendor: QuarrySimulator) -> None:
        vendor.stones = 10
        service.pause(*connection.key)
        service.pause(*connection.key)
        connection.work()
        assert connection.messages("pull/stones") == 0
        assert queries.health(*connection.key).streams[0].phase == "paused"
        service.resume(*connection.key)
        connection.work()
        assert connection.ids() == list(range(1, 11))

    def test_loaded_anew_it_begins_from_the_start(self, connection: Connected, vendor: QuarrySimulator) -> None:
        vendor.stones = 10
        connection.work()
        service.reload(*connection.key, "stones")
        assert connection.stream().cursor is None
        connection.work()
        assert connection.ids() == [*range(1, 11), *range(1, 11)]
        assert connection.stream().records == 10

    def test_established_twice_it_is_the_same_one(self, connection: Connected, vendor: QuarrySimulator) -> None:
        vendor.stones = 10
        connection.work()
        source_id = connection.link().source_id
        service.end(*connection.key)
        service.end(*connection.key)
        with pytest.raises(NotFound):
            queries.health(*connection.key)
        service.establish(*connection.key, "quarry", connection.grant.account, title="Renamed", hook_token="")
        assert connection.link().source_id == source_id
        service.establish(*connection.key, "quarry", connection.grant.account, title="Renamed", hook_token="")
        assert connection.link().source_id == source_id

    def test_two_accounts_of_the_same_title_have_sources_of_their_own(self, connect: Callable[..., Connected]) -> None:
        one = connect()
        other = connect(tenant_id=one.tenant_id)
        assert one.link().source_id != other.link().source_id

    def test_a_neighbour_can_steer_nothing(self, connection: Connected, connect: Callable[..., Connected]) -> None:
        stranger = connect()
        whose = (stranger.tenant_id, connection.id)
        for act in (
            lambda: service.pause(*whose),
            lambda: service.resume(*whose),
            lambda: service.sync_now(*whose),
            lambda: service.reload(*whose, "stones"),
            lambda: service.retry_dead(*whose),
            lambda: service.establish(*whose, "quarry", "1", title="", hook_token=""),
            lambda: queries.health(*whose),
        ):
            with pytest.raises(NotFound):
                act()
        service.end(*whose)
        assert connection.link().paused_at is None
        assert [each.connection_id for each in queries.list_links(stranger.tenant_id)] == [stranger.id]

    def test_a_farewell_ends_what_the_vendor_has_of_us(self, connection: Connected, vendor: QuarrySimulator) -> None:
        connection.work()
        assert vendor.subscription.endswith("/hooks/quarry")
        assert service.farewell(*connection.key) == []
        assert vendor.subscription == ""

    @pytest.mark.parametrize(("shared", "revoked"), [(True, False), (False, True)], ids=["shared", "alone"])
    def test_access_is_taken_back_by_the_last_of_an_account(
        self, connect: Callable[..., Connected], vendor: QuarrySimulator, shared: bool, revoked: bool
    ) -> None:
        leaving = connect()
        if shared:
            connect(account=leaving.grant.account)
        assert service.farewell(*leaving.key) == []
        assert leaving.grant.revoked is revoked

    def test_a_farewell_that_fails_says_so(self, connection: Connected, vendor: QuarrySimulator) -> None:
        vendor.faults.next(500, times=-1)
        notices, access = service.farewell(*connection.key)
        assert notices == "Quarry could not be asked to stop its notices: Quarry answered 500."
        assert access.startswith("Quarry could not be asked to take our access back: The vendor's login answered 500")
