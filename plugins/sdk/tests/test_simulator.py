"""Stand-ins, served over real HTTP, and connections to them."""

from collections.abc import Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from assay_sdk import Http, LocalLimiter, NeedsReconnect, Refused, TryLater, egress
from assay_sdk.testing import LocalNotebook, LocalVault, SetClock, connect, running
from assay_sdk.testing.simulator import BROKEN, DRIP, HANG, HUGE, RESET


@pytest.fixture
def vendor(acme: SimpleNamespace, loopback: None) -> Iterator[Any]:
    simulator = acme.simulator.AcmeSimulator(clock=SetClock())
    simulator.fill(5)
    with running(simulator):
        yield simulator


@pytest.fixture
def link(acme: SimpleNamespace, vendor: Any) -> Iterator[Any]:
    link = connect(acme.service.Acme(), vendor, clock=vendor.clock)
    yield link
    link.http.close()


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        pytest.param(403, Refused, id="a status"),
        pytest.param(503, TryLater, id="another"),
        pytest.param(RESET, TryLater, id="reset"),
        pytest.param(HANG, TryLater, id="hang"),
        pytest.param(DRIP, TryLater, id="drip"),
        pytest.param(HUGE, TryLater, id="huge"),
        pytest.param(BROKEN, TryLater, id="broken"),
    ],
)
def test_faults_on_demand(
    acme: SimpleNamespace, vendor: Any, link: Any, kind: int | str, error: type[Exception]
) -> None:
    client = egress.client(deadline=timedelta(seconds=0.3), largest=1_000_000)
    link.http = Http(acme.service.Acme(), link, LocalLimiter(), client=client)
    vendor.faults.next(kind, times=3, path="/contacts", seconds=1.0)
    assert link.http.get("/me").json()["account"] == link.account
    with pytest.raises(error):
        link.http.get("/contacts")
    vendor.faults.clear()
    assert link.http.get("/contacts").status_code == 200


def test_calls_are_written_down(vendor: Any, link: Any) -> None:
    link.http.get("/contacts", params={"after": 2})
    assert list(vendor.calls)[-1] == "GET /contacts?after=2"


def test_unknown_paths(link: Any) -> None:
    with pytest.raises(Refused, match="There is nothing here"):
        link.http.get("/nowhere")


def test_tokens_end_and_are_renewed(vendor: Any, link: Any) -> None:
    first = link.secrets["access_token"]
    vendor.expire_access()
    link.http.get("/me")
    assert link.secrets["access_token"] != first


def test_refresh_tokens_that_are_good_once(vendor: Any, link: Any) -> None:
    vendor.rotates = True
    [grant] = vendor.grants
    old = grant.refresh_token
    assert vendor.redeem_refresh(old) is grant
    assert grant.refresh_token != old
    assert vendor.redeem_refresh(old) is None


@pytest.mark.parametrize(
    ("given", "later", "is_good"),
    [
        pytest.param({"redirect_uri": "https://a.example", "verifier": None}, 0, True, id="right"),
        pytest.param({"redirect_uri": "https://b.example"}, 0, False, id="another app's page"),
        pytest.param({}, 11, False, id="too late"),
    ],
)
def test_codes(vendor: Any, given: dict[str, Any], later: int, is_good: bool) -> None:
    from assay_sdk.testing.simulator import Grant

    code, _ = vendor.issue_code(Grant("1", ()), "https://a.example")
    vendor.clock.turn(timedelta(minutes=later))
    assert (vendor.redeem(code, **given) is not None) is is_good
    assert vendor.redeem(code) is None


def test_the_consent_page_can_be_refused(vendor: Any) -> None:
    with httpx.Client() as browser:
        page = browser.get(f"{vendor.address}/oauth/authorize", params={"client_id": "<b>"})
        assert "Allow for Demonstration" in page.text
        assert "&lt;b&gt;" in page.text
        query = {"redirect_uri": "https://a.example/back", "state": "s"}
        back = browser.post(f"{vendor.address}/oauth/authorize", params=query, data={"deny": "yes"})
    assert back.headers["Location"] == "https://a.example/back?error=access_denied&state=s"


def test_a_webhook_that_nobody_hears(vendor: Any) -> None:
    posted = vendor.post("http://127.0.0.1:9/x", b"{}", {})
    assert posted.status == 0
    assert vendor.posted[-1] is posted


class TestLocal:
    def test_secrets_are_kept_and_taken_away(self) -> None:
        vault = LocalVault({"key": "k"})
        vault.keep({"more": 1, "key": None})
        assert dict(vault.read().values) == {"more": 1}
        assert "more" not in repr(vault.read())

    def test_what_somebody_else_renewed_is_taken(self) -> None:
        vault = LocalVault({"access_token": "a"})
        assert vault.renew(0, lambda held: pytest.fail("asked")).renewal == 1

    def test_once_over_always_over(self) -> None:
        vault = LocalVault({"access_token": "a"})

        def over(held: Any) -> Any:
            raise NeedsReconnect("It is over.")

        for act in (lambda: vault.renew(1, over), vault.read):
            with pytest.raises(NeedsReconnect, match="It is over"):
                act()

    def test_notes(self) -> None:
        notes = LocalNotebook()
        notes.write({"a": 1, "b": 2})
        notes.write({"a": None})
        assert notes.read() == {"b": 2}
