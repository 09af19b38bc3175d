"""A person connects again while somebody is at it: all goes on at once, and nothing is left of the access of before."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from assay.syncing import circuits, fetching, jobs, leases, service
from assay.syncing.slots import Pool
from assay_sdk import Fetch, Link, NeedsReconnect, Page, Refused, TryLater
from assay_tenants import connections
from assay_tenants.database import tenant_session
from tests.platform.syncing.conftest import Connected
from tests.vendors.quarry import QuarrySimulator, QuarrySource

KINDS = {"pull": "pull", "fetch": "fetch", "care": "subscribe"}


@pytest.fixture
def again(vendor: QuarrySimulator) -> Callable[[Connected], None]:
    """A person has connected it once more."""

    def connect(connection: Connected) -> None:
        grant = vendor.granted(connection.grant.account)
        tokens = {"access_token": grant.access_token, "refresh_token": grant.refresh_token}
        connections.replace_credentials(
            *connection.key,
            {**tokens, "scopes": ["stones.read", "deals.read"]},
            expires_at=datetime.now(UTC) + timedelta(hours=1),
        )
        service.establish(*connection.key, "quarry", grant.account, title="Acme", hook_token="")

    return connect


@pytest.fixture
def busy(connection: Connected, vendor: QuarrySimulator) -> Connected:
    """A connection with one piece of work of each kind."""
    vendor.stones = 10
    want(connection, 1, 2)
    return connection


def want(connection: Connected, *ids: int) -> None:
    source_id = connection.link().source_id
    with tenant_session(connection.tenant_id) as session:
        fetching.want(session, connection.tenant_id, [(source_id, Fetch("stone", str(each))) for each in ids])
    connection.do("UPDATE intake.wanted SET due_at = now() WHERE tenant_id = :t")


def claimed(connection: Connected, *kinds: str) -> list[leases.Errand]:
    """All that is due, leased at once."""
    errands = leases.claim(connection.tenant_id, Pool(jobs.run))
    return [errand for errand in errands if errand.kind in kinds]


def goes_on(connection: Connected, vendor: QuarrySimulator) -> None:
    """Nothing tells of anything that failed, and all of it is done now."""
    link = connection.link()
    assert (link.failures, link.open_until, link.failing_since, link.error) == (0, None, None, "")
    assert (link.subscribe_error, link.paused_at, link.told_at) == ("", None, None)
    assert connections.get_connection(*connection.key).state == "connected"
    assert (connection.stream().error, connection.stream().failures) == ("", 0)
    connection.work()
    assert connection.ids() == list(range(1, 11))
    assert sorted(connection.ids("fetch/stone")) == [1, 2]
    assert connection.link().subscribed_at is not None
    assert vendor.subscription


class TestAtWork:
    """With the access of before, as somebody connects again."""

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize(
        "ends",
        [
            pytest.param(TryLater("Quarry answered 500."), id="failing"),
            pytest.param(TryLater("Too often.", after=timedelta(hours=1), overloaded=True), id="too often"),
            pytest.param(Refused("No.", status=403), id="refused"),
            pytest.param(NeedsReconnect("It was revoked."), id="revoked"),
            pytest.param(ZeroDivisionError(), id="a fault"),
            pytest.param(None, id="well"),
        ],
    )
    def test_what_becomes_of_it_counts_no_more(
        self,
        busy: Connected,
        vendor: QuarrySimulator,
        again: Any,
        monkeypatch: pytest.MonkeyPatch,
        kind: str,
        ends: Exception | None,
    ) -> None:
        (errand, *_) = claimed(busy, kind)
        real = getattr(QuarrySource, KINDS[kind])

        def meanwhile(*asked: Any) -> Any:
            found = real(*asked)
            monkeypatch.setattr(QuarrySource, KINDS[kind], real)
            again(busy)
            if ends is not None:
                raise ends
            return found

        monkeypatch.setattr(QuarrySource, KINDS[kind], meanwhile)
        jobs.run(errand)
        goes_on(busy, vendor)

    @pytest.mark.parametrize(
        "further",
        [
            pytest.param(lambda link: link.http.get("/account"), id="asks"),
            pytest.param(lambda link: link.keep(signing="old"), id="keeps a secret"),
            pytest.param(lambda link: link.note(posts_to="old"), id="notes"),
            pytest.param(lambda link: link.vault.renew(1, lambda _: 1 / 0), id="renews"),
        ],
    )
    def test_it_does_nothing_more(
        self,
        busy: Connected,
        vendor: QuarrySimulator,
        again: Any,
        monkeypatch: pytest.MonkeyPatch,
        further: Callable[[Link], Any],
    ) -> None:
        (errand, *_) = claimed(busy, "pull")
        came: list[bool] = []

        def pull(self: Any, link: Link, stream: str, cursor: Any) -> Page:
            again(busy)
            further(link)
            came.append(True)
            return Page([], {}, count=0)

        with monkeypatch.context() as patch:
            patch.setattr(QuarrySource, "pull", pull)
            before = len(vendor.calls)
            jobs.run(errand)
            assert (came, len(vendor.calls)) == ([], before)
        assert "signing" not in connections.credentials_of(*busy.key).values
        goes_on(busy, vendor)

    def test_whoever_was_killed_is_not_waited_for(self, busy: Connected, vendor: QuarrySimulator, again: Any) -> None:
        assert {errand.kind for errand in claimed(busy, *KINDS)} == set(KINDS)
        busy.work()
        assert busy.ids() == []
        again(busy)
        goes_on(busy, vendor)

    def test_access_that_is_taken_back_is_nobodys_to_tell(
        self, busy: Connected, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (errand, *_) = claimed(busy, "pull")

        def pull(*_: Any) -> Page:
            service.leave_alone(*busy.key)
            raise NeedsReconnect("It was revoked.")

        monkeypatch.setattr(QuarrySource, "pull", pull)
        jobs.run(errand)
        assert connections.get_connection(*busy.key).state == "connected"

    def test_a_failure_between_the_two_commits_is_dropped(self, busy: Connected, vendor: QuarrySimulator) -> None:
        """The access is the new one already, and it is not yet set to work."""
        held = connections.credentials_of(*busy.key)
        connections.replace_credentials(*busy.key, held.values, expires_at=held.expires_at)
        circuits.failed(*busy.key, TryLater("Away."), renewal=held.renewal)
        assert busy.link().failures == 0
        circuits.failed(*busy.key, TryLater("Away."), renewal=held.renewal + 1)
        assert busy.link().failures == 1


def _failing(connection: Connected) -> None:
    for _ in range(circuits.TOLERATED + 1):
        circuits.failed(*connection.key, TryLater("Away."))
    connection.do("UPDATE intake.streams SET due_at = now() + interval '1 hour', error = 'Away.', failures = 7")


def _revoked(connection: Connected) -> None:
    connections.needs_reconnect(*connection.key, "It was revoked.", since=1)
    connection.work()


def _given_up(connection: Connected) -> None:
    connection.do("UPDATE intake.wanted SET due_at = NULL, attempts = 8, error = 'No.' WHERE tenant_id = :t")


def _tried_often(connection: Connected) -> None:
    connection.do("UPDATE intake.wanted SET due_at = now() + interval '1 hour', attempts = 5 WHERE tenant_id = :t")


def _paused(connection: Connected) -> None:
    service.pause(*connection.key)
    connection.work()


@pytest.mark.parametrize(
    "before",
    [
        pytest.param(_failing, id="its circuit open"),
        pytest.param(_revoked, id="revoked"),
        pytest.param(_given_up, id="records given up"),
        pytest.param(_tried_often, id="records tried one by one"),
        pytest.param(_paused, id="paused"),
    ],
)
def test_whatever_was_all_goes_on_at_once(
    busy: Connected, vendor: QuarrySimulator, again: Any, before: Callable[[Connected], None]
) -> None:
    before(busy)
    again(busy)
    goes_on(busy, vendor)
    asked = [call for call in vendor.calls if call.startswith("GET /stones/named")]
    assert len(asked) == 1


def test_somebody_who_has_to_connect_again_is_told_so_after_an_outage_too(
    connection: Connected, vendor: QuarrySimulator, mails_to: Any
) -> None:
    email = connection.value("SELECT email FROM tenancy.memberships WHERE tenant_id = :t")
    for _ in range(circuits.TOLERATED):
        circuits.failed(*connection.key, TryLater("Quarry answered 500."))
    connection.do("UPDATE intake.links SET failing_since = now() - interval '11 minutes' WHERE tenant_id = :t")
    circuits.failed(*connection.key, TryLater("Quarry answered 500."))
    connection.grant.revoked = True
    for _ in range(3):
        connection.pass_time()
        connection.work()
    told = [mail.partition("\n")[0] for mail in mails_to(email)]
    assert [subject for subject in told if "failing" in subject or "again" in subject] == [
        "Acme's quarry has been failing for a while",
        "Acme's quarry has to be connected again",
    ]
