"""Refresh tokens under lost answers, parallel uses and theft."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
import time_machine
from flask import Flask

from assay_tenants import access, secrets
from assay_tenants.access.service import SignedUp
from assay_tenants.audit.models import AuditEntry
from assay_tenants.database import tenant_session
from assay_tenants.errors import NotSignedIn
from assay_tenants.oauth import apps, codes, families, grants, upkeep
from assay_tenants.oauth.catalogue import AppView, find_app
from assay_tenants.oauth.families import GrantRefused
from assay_tenants.oauth.models import RefreshToken
from assay_tenants.oauth.tokens import read_access_token
from tests.platform.oauth.conftest import Browser, Client


def test_a_lost_answer_is_given_once_more(browser: Browser, public: Client) -> None:
    first = public.tokens_from(browser)["refresh_token"]
    answers = [public.refreshes(first).json for _ in range(3)]
    assert len({answer["refresh_token"] for answer in answers}) == 1
    assert public.refreshes(answers[0]["refresh_token"]).status_code == 200


def test_all_parallel_uses_get_the_same_successor(browser: Browser, partner: Client, connected: None) -> None:
    got = partner.tokens_from(browser)["refresh_token"]
    app = families_app(partner)
    together = Barrier(6)

    def use(_: int) -> str | None:
        together.wait()
        return families.refresh(got, app, wanted=None).refresh_token

    with ThreadPoolExecutor(6) as pool:
        successors = set(pool.map(use, range(6)))
    assert len(successors) == 1
    assert partner.refreshes(successors.pop() or "").status_code == 200


def families_app(client: Client) -> AppView:
    found = find_app(client.client_id)
    assert found is not None
    return found


def test_a_code_used_by_many_at_once_works_for_one(browser: Browser, partner: Client) -> None:
    code = partner.code_from(browser)
    app, found = families_app(partner), codes.find(code, partner.client_id)
    assert found is not None
    together = Barrier(5)

    def use(_: int) -> bool:
        together.wait()
        try:
            codes.redeem(found, app)
        except GrantRefused:
            return False
        return True

    with ThreadPoolExecutor(5) as pool:
        assert sum(pool.map(use, range(5))) == 1


def test_after_the_grace_a_second_use_ends_the_family(
    own_browser: Browser, partner: Client, own: SignedUp, mails_to: Callable[[str], list[str]]
) -> None:
    first = partner.tokens_from(own_browser)
    second = partner.refreshes(first["refresh_token"]).json
    with time_machine.travel(time.time() + families.GRACE.total_seconds() + 1):
        answer = partner.refreshes(first["refresh_token"])
        assert (answer.status_code, answer.json["error"]) == (400, "invalid_grant")
        assert partner.refreshes(second["refresh_token"]).json["error"] == "invalid_grant"
    with pytest.raises(NotSignedIn):
        read_access_token(second["access_token"])
    with tenant_session(own.tenant_id) as session:
        entry = (
            session.query(AuditEntry)
            .where(AuditEntry.tenant_id == own.tenant_id, AuditEntry.action == "grant.token_reused")
            .one()
        )
    assert (entry.actor_kind, entry.actor_id) == ("app", partner.client_id)
    visitor = access.find_visitor(own_browser.http.get_cookie("assay_session").value)
    assert "was used twice" in mails_to(visitor.email)[-1]


def test_only_hashes_are_stored(browser: Browser, partner: Client, tenant: SignedUp) -> None:
    token = partner.tokens_from(browser)["refresh_token"]
    with tenant_session(tenant.tenant_id) as session:
        row = (
            session.query(RefreshToken)
            .where(RefreshToken.tenant_id == tenant.tenant_id, RefreshToken.token_hash == secrets.digest(token))
            .one()
        )
    assert token.encode() not in row.salt + row.token_hash


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(lambda own, app: grants.uninstall(own.tenant_id, app.client_id), id="uninstalled"),
        pytest.param(
            lambda own, app: grants.revoke_own_grant(
                own.tenant_id, own.person_id, grants.list_grants(own.tenant_id)[0].id
            ),
            id="revoked by its person",
        ),
        pytest.param(
            lambda own, app: grants.revoke_grant(own.tenant_id, grants.list_grants(own.tenant_id)[0].id), id="revoked"
        ),
        pytest.param(lambda own, app: revoke_all_of(own), id="left the company"),
    ],
)
def test_what_is_revoked_ends_at_once(
    own_browser: Browser, make_app: Callable[..., Client], own: SignedUp, end: Callable[[SignedUp, Client], object]
) -> None:
    app = make_app()
    got = app.tokens_from(own_browser)
    end(own, app)
    with pytest.raises(NotSignedIn):
        read_access_token(got["access_token"])
    assert app.refreshes(got["refresh_token"]).json["error"] == "invalid_grant"
    again = app.tokens_from(own_browser)
    assert read_access_token(again["access_token"]).person_id == own.person_id


def revoke_all_of(own: SignedUp) -> None:
    with tenant_session(own.tenant_id) as session:
        assert grants.revoke_grants_of(session, own.tenant_id, own.person_id) == 1


def test_a_removed_app_ends_everywhere(own_browser: Browser, neighbour: SignedUp, partner: Client) -> None:
    got = partner.tokens_from(own_browser)
    assert apps.remove_app(neighbour.tenant_id, partner.client_id) == 1
    with pytest.raises(NotSignedIn):
        read_access_token(got["access_token"])
    assert partner.refreshes(got["refresh_token"]).json["error"] == "invalid_client"
    assert own_browser.opens(partner.asks()).status_code == 400


def test_a_lower_role_has_less_from_the_next_token_on(
    own_browser: Browser, make_app: Callable[..., Client], own: SignedUp, set_role: Callable[[SignedUp, str], None]
) -> None:
    app = make_app(own, scopes=["leads:read", "settings:write"])
    token = app.tokens_from(own_browser, scope="leads:read settings:write")["refresh_token"]
    set_role(own, "viewer")
    got = app.refreshes(token).json
    assert got["scope"] == "leads:read"


def test_what_an_app_gives_up_is_gone_from_the_next_token_on(
    browser: Browser, neighbour: SignedUp, partner: Client
) -> None:
    token = partner.tokens_from(browser)["refresh_token"]
    apps.change_app(
        neighbour.tenant_id,
        partner.client_id,
        name="Quartz Reports",
        redirect_uris=["https://reports.example.test/callback"],
        grant_types=[apps.CODE, apps.REFRESH],
        scopes=["openid", "leads:read"],
    )
    assert partner.refreshes(token).json["scope"] == "openid leads:read"


def test_without_the_grant_type_there_is_none(browser: Browser, make_app: Callable[..., Client]) -> None:
    app = make_app(grant_types=[apps.CODE])
    assert "refresh_token" not in app.tokens_from(browser)


def test_upkeep_deletes_what_is_past(browser: Browser, partner: Client, app: Flask) -> None:
    token = partner.tokens_from(browser)["refresh_token"]
    with time_machine.travel(time.time() + 93 * 86_400):
        assert upkeep.run() >= 2
        assert "unknown" in partner.refreshes(token).json["error_description"]
