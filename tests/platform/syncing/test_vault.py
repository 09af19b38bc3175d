"""Access that is renewed by one at a time, kept before it is used, and asked of a person when it is over."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from assay.syncing import circuits, jobs, links, queries
from assay.syncing.vault import SealedVault
from assay_sdk import NeedsReconnect, Tokens, TryLater
from assay_tenants import connections
from assay_tenants.errors import NotFound
from tests.platform.syncing.conftest import Connected
from tests.vendors.quarry import QuarrySimulator


def test_of_eight_that_find_it_expired_one_renews(connection: Connected, vendor: QuarrySimulator) -> None:
    vendor.expire_access()

    def ask(_: int) -> int:
        with links.opened(*connection.key) as link:
            return int(link.http.get("/account").status_code)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(8))) == [200] * 8
    assert vendor.refreshes == 1
    held = connections.credentials_of(*connection.key)
    assert held.renewal == 2
    assert held.values["refresh_token"] == connection.grant.refresh_token
    assert connections.get_connection(*connection.key).state == "connected"


def test_it_is_renewed_before_it_ends(connect: Callable[..., Connected], vendor: QuarrySimulator) -> None:
    connection = connect(expires_at=datetime.now(UTC) + timedelta(seconds=60))
    with links.opened(*connection.key) as link:
        link.http.get("/account")
        link.http.get("/account")
    assert vendor.refreshes == 1
    assert [call for call in vendor.calls if call.startswith("GET")] == ["GET /account"] * 2


def test_a_death_between_answer_and_commit_asks_a_person_once(
    connection: Connected, vendor: QuarrySimulator, mails_to: Any, dies: Any
) -> None:
    vendor.expire_access()

    def renew_and_die(values: Any) -> Tokens:
        # The vendor has spent the old one; the new one is lost with the process.
        vendor.redeem_refresh(values["refresh_token"])
        raise KeyboardInterrupt

    vault = SealedVault(*connection.key)
    dies(lambda: vault.renew(vault.read().renewal, renew_and_die))
    vendor.expire_access()
    for _ in range(3):
        connection.pass_time()
        connection.work()
    shown = connections.get_connection(*connection.key)
    assert shown.state == "needs_reconnect"
    assert shown.error == "The vendor no longer accepts the access that was granted."
    email = connection.value("SELECT email FROM tenancy.memberships WHERE tenant_id = :t")
    told = [mail for mail in mails_to(email) if "connected again" in mail]
    assert len(told) == 1
    assert f"/connections/{connection.id}" in told[0]
    assert vendor.refreshes == 1
    assert queries.health(*connection.key).reconnect_reason == shown.error


def test_a_refusal_does_not_undo_what_somebody_else_renewed(
    connection: Connected, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row was let go by a database that blinked, and another has renewed meanwhile."""
    vault = SealedVault(*connection.key)
    since = vault.read().renewal
    refreshing = connections.refreshing

    def blinking(*given: Any, **options: Any) -> Any:
        with refreshing(*connection.key) as refresh:
            refresh.replace({"access_token": "theirs"})
        raise OperationalError("", {}, Exception("gone"))

    monkeypatch.setattr(connections, "refreshing", blinking)
    held = vault.renew(since, lambda _: Tokens("ours"))
    assert held.values["access_token"] == "theirs"
    assert connections.get_connection(*connection.key).state == "connected"


def test_a_database_that_blinks_is_no_persons_business(connection: Connected, monkeypatch: pytest.MonkeyPatch) -> None:
    def blinking(*given: Any, **options: Any) -> Any:
        raise OperationalError("", {}, Exception("gone"))

    monkeypatch.setattr(connections, "refreshing", blinking)
    vault = SealedVault(*connection.key)
    with pytest.raises(TryLater):
        vault.renew(vault.read().renewal, lambda _: Tokens("ours"))
    assert connections.get_connection(*connection.key).state == "connected"


def test_a_vendor_that_is_away_while_renewing_is_no_persons_business(
    connection: Connected, vendor: QuarrySimulator
) -> None:
    vendor.expire_access()
    vendor.faults.next(503, path="/oauth", times=-1)
    connection.work()
    assert connections.get_connection(*connection.key).state == "connected"
    assert connection.link().failures > 0
    vendor.faults.clear()
    connection.pass_time()
    connection.work()
    assert connection.link().failures == 0


class TestKeeping:
    def test_further_secrets_are_put_beside_the_others(self, connection: Connected) -> None:
        with links.opened(*connection.key) as link:
            before = dict(link.secrets)
            link.keep(signing="s3cret-signing")
            assert link.secrets == before | {"signing": "s3cret-signing"}
            link.keep(signing=None)
            assert link.secrets == before
        # Who waits to renew must not take it for renewed.
        assert connections.credentials_of(*connection.key).renewal == 1

    def test_nothing_is_lost_between_those_who_keep_and_those_who_renew(
        self, connection: Connected, vendor: QuarrySimulator
    ) -> None:
        def keep(number: int) -> None:
            vault = SealedVault(*connection.key)
            if number % 4:
                vault.keep({f"kept{number}": number})
            else:
                vault.renew(vault.read().renewal, lambda _: Tokens(f"token{number}"))

        with ThreadPoolExecutor(6) as pool:
            list(pool.map(keep, range(24)))
        values = connections.credentials_of(*connection.key).values
        assert {f"kept{number}" for number in range(24) if number % 4} <= values.keys()
        assert values["access_token"].startswith("token")

    def test_notes_are_put_over_the_others(self, connection: Connected) -> None:
        with links.opened(*connection.key) as link:
            link.note(region="eu", gone="soon")
            link.note(gone=None)
        with links.opened(*connection.key) as link:
            assert link.notes["region"] == "eu"
            assert "gone" not in link.notes

    def test_a_draft_keeps_nothing_but_in_memory(self, vendor: QuarrySimulator) -> None:
        grant = vendor.granted()
        tokens = Tokens(grant.access_token, grant.refresh_token)
        with links.drafted("quarry", secrets={"more": "1"}, tokens=tokens) as (link, draft):
            assert links.service_of("quarry").account(link).title == "Acme"
            link.note(region="eu")
            link.keep(signing="x")
        assert draft.notes == {"region": "eu"}
        assert draft.values == tokens.secrets() | {"more": "1", "signing": "x"}


def test_an_answer_without_a_refresh_token_leaves_the_old_one(connection: Connected) -> None:
    vault = SealedVault(*connection.key)
    before = vault.read()
    held = vault.renew(before.renewal, lambda _: Tokens("new"))
    assert held.values["refresh_token"] == before.values["refresh_token"]


def test_a_key_that_is_refused_needs_a_person(connect_gravel: Any, vendor: QuarrySimulator) -> None:
    connection, _ = connect_gravel()
    connection.grant.revoked = True
    connection.work()
    assert connections.get_connection(*connection.key).state == "needs_reconnect"
    assert connection.link().failures == 0
    with pytest.raises(NeedsReconnect), links.opened(*connection.key):
        pass


def test_what_is_not_there_is_not_found(connection: Connected, connect: Callable[..., Connected]) -> None:
    stranger = connect()
    with pytest.raises(NotFound), links.opened(stranger.tenant_id, connection.id):
        pass


def test_a_plugin_that_was_taken_away_says_so(connection: Connected, monkeypatch: pytest.MonkeyPatch) -> None:
    from assay import plugins

    monkeypatch.delitem(plugins.installed().services, "quarry")
    connection.work()
    assert connection.stream().error.startswith("The plugin 'quarry' is not installed.")


class TestCircuits:
    def test_five_failures_open_it_and_one_at_a_time_tries(
        self, connection: Connected, vendor: QuarrySimulator
    ) -> None:
        vendor.stones = 10
        vendor.faults.next(500, times=-1)
        for _ in range(circuits.TOLERATED + 2):
            connection.pass_time()
            connection.work()
        link = connection.link()
        assert link.failures >= circuits.TOLERATED
        assert link.open_until > datetime.now(UTC) + timedelta(seconds=20)
        assert circuits.is_open(*connection.key)
        assert queries.health(*connection.key).is_circuit_open
        connection.do(
            "UPDATE intake.streams SET due_at = :at WHERE tenant_id = :t", at=datetime.now(UTC) + circuits.PROBE
        )
        connection.do("UPDATE intake.links SET open_until = now() WHERE tenant_id = :t")
        asked = [circuits.is_open(*connection.key) for _ in range(3)]
        assert asked == [False, True, True]
        vendor.faults.clear()
        # The one who tries succeeds, and everything goes on at once.
        circuits.succeeded(*connection.key)
        connection.work()
        assert connection.ids() == list(range(1, 11))
        link = connection.link()
        assert (link.failures, link.open_until, link.error) == (0, None, "")

    def test_its_pauses_double_to_a_quarter_of_an_hour(self, connection: Connected) -> None:
        pauses = []
        for _ in range(14):
            until = circuits.failed(*connection.key, TryLater("Away."))
            pauses.append((until - datetime.now(UTC)).total_seconds())
        assert pauses[3] < 21
        assert 23 < pauses[4] < 37
        assert 47 < pauses[5] < 73
        assert all(719 < pause < 1081 for pause in pauses[10:])
        assert len(set(pauses[10:])) == 4

    def test_after_ten_minutes_its_people_are_told_once(self, connection: Connected, mails_to: Any) -> None:
        email = connection.value("SELECT email FROM tenancy.memberships WHERE tenant_id = :t")
        for _ in range(6):
            circuits.failed(*connection.key, TryLater("Quarry answered 500."))
        told = [mail for mail in mails_to(email) if "failing" in mail]
        assert told == []
        connection.do("UPDATE intake.links SET failing_since = now() - interval '11 minutes' WHERE tenant_id = :t")
        for _ in range(3):
            circuits.failed(*connection.key, TryLater("Quarry answered 500."))
        told = [mail for mail in mails_to(email) if "failing" in mail]
        assert len(told) == 1
        assert "Quarry answered 500." in told[0]
        circuits.succeeded(*connection.key)
        assert connection.link().told_at is None

    def test_a_vendor_that_asks_us_to_wait_is_not_failing(self, connection: Connected) -> None:
        wait = timedelta(seconds=100)
        until = circuits.failed(*connection.key, TryLater("Too many.", after=wait, overloaded=True))
        assert wait <= until - datetime.now(UTC) + timedelta(seconds=1) <= wait * 1.1 + timedelta(seconds=1)
        assert connection.link().failures == 0
        assert circuits.is_open(*connection.key)

    def test_another_connection_of_the_tenant_goes_on(
        self, connect: Callable[..., Connected], vendor: QuarrySimulator
    ) -> None:
        one = connect()
        other = connect(tenant_id=one.tenant_id)
        vendor.stones = 10
        for _ in range(6):
            circuits.failed(*one.key, TryLater("Away."))
        while jobs.drain_links(one.tenant_id):
            pass
        assert one.stream().records == 0
        assert other.stream().records == 10
