"""Somebody lets an app in, and it gets tokens."""

from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from assay_tenants.access.service import SignedUp
from assay_tenants.oauth.tokens import read_access_token

from .conftest import BACK, SCOPES, Browser, Client, query_of  # noqa: TID252 # beside this file


def test_a_partners_app_is_let_in(browser: Browser, partner: Client, tenant: SignedUp) -> None:
    page = browser.opens(partner.asks())
    assert page.status_code == 200
    assert "Let Quartz Reports act for you at Quartz &amp; Co" in page.text
    assert "See leads, companies, scores and their reasons" in page.text
    back = browser.allows(partner.asks())
    assert back.location.startswith(BACK)
    answer = partner.exchanges(query_of(back)["code"])
    assert answer.status_code == 200, answer.text
    bearer = read_access_token(answer.json["access_token"])
    assert (bearer.tenant_id, bearer.person_id) == (tenant.tenant_id, tenant.person_id)
