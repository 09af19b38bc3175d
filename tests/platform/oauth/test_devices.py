"""A device shows a code, somebody types it, the device gets its tokens."""

import re
import time
from collections.abc import Callable
from typing import Any

import pytest
import time_machine

from assay_tenants.access.service import SignedUp
from assay_tenants.oauth import apps
from assay_tenants.oauth.tokens import read_access_token
from tests.platform.oauth.conftest import Browser, Client

ASK = {"grant_type": apps.DEVICE}


@pytest.fixture
def device(make_app: Callable[..., Client]) -> Client:
    return make_app(kind="public", grant_types=[apps.DEVICE, apps.REFRESH], redirect_uris=[], name="Quartz on a wall")


def started(device: Client) -> dict[str, Any]:
    answer = device.posts("/oauth/device_authorization", scope="openid leads:read")
    assert answer.status_code == 200, answer.text
    got: dict[str, Any] = answer.json
    return got


def test_a_device_is_let_in(browser: Browser, device: Client, tenant: SignedUp) -> None:
    got = started(device)
    assert (got["expires_in"], got["interval"]) == (600, 5)
    assert got["verification_uri_complete"].endswith(f"/device?user_code={got['user_code']}")
    asked = device.posts("/oauth/token", device_code=got["device_code"], **ASK)
    assert (asked.status_code, asked.json["error"]) == (400, "authorization_pending")
    typed = got["user_code"].lower().replace("-", " ")
    page = browser.sends("/device", on="/device", user_code=typed)
    assert f"Does your device show exactly <strong>{got['user_code']}</strong>?" in page.text
    assert "turn it away" in page.text
    done = decide(browser, page, "allow", tenant)
    assert "is let in" in done.text
    with time_machine.travel(time.time() + 6):
        tokens = device.posts("/oauth/token", device_code=got["device_code"], **ASK).json
        assert read_access_token(tokens["access_token"]).tenant_id == tenant.tenant_id
        assert {"refresh_token", "id_token"} <= tokens.keys()
        again = device.posts("/oauth/token", device_code=got["device_code"], **ASK)
        assert again.json["error"] == "invalid_grant"


def decide(browser: Browser, page: Any, decision: str, tenant: SignedUp) -> Any:
    token = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
    code = re.search(r'name="user_code" value="([^"]+)"', page.text)
    assert token
    assert code
    form = {"csrf_token": token[1], "user_code": code[1], "tenant": str(tenant.tenant_id), "decision": decision}
    return browser.http.post("/device/decide", data=form)


def test_who_asks_too_often_has_to_slow_down(device: Client) -> None:
    got = started(device)
    heard = [device.posts("/oauth/token", device_code=got["device_code"], **ASK).json["error"] for _ in range(3)]
    assert heard == ["authorization_pending", "slow_down", "slow_down"]
    with time_machine.travel(time.time() + 11):
        assert device.posts("/oauth/token", device_code=got["device_code"], **ASK).json["error"] == "slow_down"
    with time_machine.travel(time.time() + 60):
        heard_at_last = device.posts("/oauth/token", device_code=got["device_code"], **ASK).json["error"]
        assert heard_at_last == "authorization_pending"


def test_a_device_that_is_turned_away_hears_it(browser: Browser, device: Client, tenant: SignedUp) -> None:
    got = started(device)
    page = browser.sends("/device", on="/device", user_code=got["user_code"])
    assert decide(browser, page, "deny", tenant).status_code == 303
    assert device.posts("/oauth/token", device_code=got["device_code"], **ASK).json["error"] == "access_denied"


def test_codes_expire(own_browser: Browser, device: Client) -> None:
    got = started(device)
    with time_machine.travel(time.time() + 601):
        assert device.posts("/oauth/token", device_code=got["device_code"], **ASK).json["error"] == "expired_token"


def test_a_link_with_a_code_lets_nobody_in_by_itself(browser: Browser, device: Client) -> None:
    page = browser.opens(f"/device?user_code={started(device)['user_code']}")
    assert "Only a code that you see yourself" in page.text
    assert "/device/decide" not in page.text


@pytest.mark.parametrize("code", ["", "BCDF-GHJK", "🥇", "x" * 5_000], ids=["none", "unknown", "odd", "long"])
def test_wrong_codes_are_told(own_browser: Browser, code: str) -> None:
    answer = own_browser.sends("/device", on="/device", user_code=code)
    assert answer.status_code == 422
    assert "Type the code" in answer.text or "No device shows this code now" in answer.text


def test_codes_can_be_tried_ten_times(own_browser: Browser) -> None:
    statuses = [own_browser.sends("/device", on="/device", user_code="BCDF-GHJK").status_code for _ in range(11)]
    assert statuses == [422] * 10 + [429]


@pytest.mark.parametrize("code", ["", "dc_1_nonsense", "nonsense"], ids=["none", "malformed", "strange"])
def test_what_is_no_device_code_is_refused(device: Client, code: str) -> None:
    answer = device.posts("/oauth/token", device_code=code, **ASK)
    assert answer.json["error"] == ("invalid_grant" if code else "invalid_request")


def test_a_device_code_is_its_clients_alone(device: Client, make_app: Callable[..., Client]) -> None:
    other = make_app(kind="public", grant_types=[apps.DEVICE], redirect_uris=[])
    got = started(device)
    assert other.posts("/oauth/token", device_code=got["device_code"], **ASK).json["error"] == "invalid_grant"


def test_only_apps_that_registered_for_it(partner: Client) -> None:
    assert partner.posts("/oauth/device_authorization").json["error"] == "unauthorized_client"
