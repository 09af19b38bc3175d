"""Apps and devices as a way to more than one's role or one's login gives."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from assay_tenants import factors
from assay_tenants.access.service import SignedUp
from assay_tenants.oauth import apps, devices
from assay_tenants.permissions import OF_ROLES, PERMISSIONS
from tests.platform.oauth.conftest import Browser, Client


def test_an_app_that_acts_by_itself_does_nothing_that_admins_may_not(
    make_app: Callable[..., Client], tenant: SignedUp
) -> None:
    """They register it and see its secret: it could make them owners."""
    app = make_app(tenant, grant_types=[apps.CREDENTIALS], redirect_uris=[], scopes=sorted(PERMISSIONS))
    got = app.posts("/oauth/token", grant_type="client_credentials")
    assert set(got.json["scope"].split()) == OF_ROLES["admin"]
    for scope in sorted(PERMISSIONS - OF_ROLES["admin"]):
        refused = app.posts("/oauth/token", grant_type="client_credentials", scope=f"leads:read {scope}")
        assert (refused.status_code, refused.json["error"]) == (400, "invalid_scope")
    bearer = {"Authorization": f"Bearer {got.json['access_token']}"}
    answer = app.http.put(f"/api/v1/members/{tenant.person_id}/role", json={"role": "viewer"}, headers=bearer)
    assert (answer.status_code, answer.json["code"]) == (403, "beyond_your_role")


@pytest.mark.parametrize("page", ["/oauth/authorize", "/device"])
def test_who_needs_a_second_factor_lets_nothing_in_without(
    page: str, own: SignedUp, own_browser: Browser, partner: Client
) -> None:
    """Its token would do what their pages would not."""
    factors.change_rule(own.tenant_id, "everybody")
    answer = own_browser.opens(partner.asks() if page == "/oauth/authorize" else page)
    assert (answer.status_code, answer.location) == (303, "/account/second-factors")


def test_a_device_that_may_let_others_in_takes_a_recent_proof(
    browser_of: Callable[[SignedUp], Browser], make_app: Callable[..., Client], tenant: SignedUp
) -> None:
    with time_machine.travel(datetime.now(UTC) - timedelta(minutes=20)):
        browser = browser_of(tenant)
    device = make_app(kind="public", grant_types=[apps.DEVICE], redirect_uris=[], scopes=["openid", "members:manage"])
    code = device.posts("/oauth/device_authorization").json["user_code"]
    page = browser.sends("/device", on="/device", user_code=code)
    token = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
    assert token
    form = {"csrf_token": token[1], "user_code": code, "tenant": str(tenant.tenant_id), "decision": "allow"}
    late = browser.http.post("/device/decide", data=form)
    assert (late.status_code, late.location) == (303, "/account/confirm?next=/device")
    assert devices.find_waiting(code).client_id == device.client_id
