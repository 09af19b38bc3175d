"""Apps as their makers and those who let them in see them."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from assay_tenants.access import members
from assay_tenants.access.service import SignedUp
from assay_tenants.errors import NotFound
from assay_tenants.oauth import apps, grants
from assay_tenants.oauth.catalogue import find_app

ADDRESS = "/settings/apps"
NEW = "/settings/new-app"
GOOD = {
    "name": "Gold Digger",
    "kind": "server",
    "grant_type": ["authorization_code", "refresh_token"],
    "redirect_uris": "https://gold.example.test/callback",
    "scope": ["openid", "leads:read"],
}


@pytest.fixture
def client_id(person: Any) -> str:
    registered = apps.register_app(
        person.tenant_id,
        name="Gold Digger",
        redirect_uris=["https://gold.example.test/callback"],
        scopes=["openid", "leads:read"],
        listed=True,
    )
    return registered.client_id


@pytest.fixture
def grant_id(person: Any, tenant: SignedUp, client_id: str) -> int:
    app = find_app(client_id)
    assert app is not None
    return grants.give(person.tenant_id, tenant.person_id, app, ["openid", "leads:read"])[0]


class TestRegister:
    def test_the_secret_is_shown_once(self, person: Any) -> None:
        page = person.sends(NEW, on=NEW, **GOOD).text
        secret = re.search(r'id="new-secret">([^<]+)<', page)
        assert secret
        [app] = apps.list_apps(person.tenant_id)
        again = person.opens(f"{ADDRESS}/{app.client_id}").text
        assert secret[1] not in again
        assert f"…{secret[1][-4:]}" in again

    def test_the_page_says_who_registered_it(self, person: Any, client_id: str) -> None:
        """Its secret stays good when they go: whoever stays has to know."""
        assert "Nobody who is a member now" in person.opens(f"{ADDRESS}/{client_id}").text
        person.sends(NEW, on=NEW, **(GOOD | {"name": "Silver Digger"}))
        silver = next(each.client_id for each in apps.list_apps(person.tenant_id) if each.name == "Silver Digger")
        name = next(each.name for each in members.list_members(person.tenant_id))
        assert f"<dd>{name}</dd>" in person.opens(f"{ADDRESS}/{silver}").text

    def test_an_app_on_a_device_has_no_secret(self, person: Any) -> None:
        page = person.sends(NEW, on=NEW, **{**GOOD, "kind": "device"}).text
        assert "new-secret" not in page
        assert "no secret" in page

    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            pytest.param({"name": ""}, "Give the app the name", id="no name"),
            pytest.param({"scope": []}, "Choose at least one scope", id="no scope"),
            pytest.param({"scope": ["everything"]}, "is no scope", id="strange scope"),
            pytest.param({"grant_type": []}, "at least one grant type", id="no grant type"),
            pytest.param({"redirect_uris": ""}, "needs a redirect address", id="no address"),
            pytest.param({"redirect_uris": "http://gold.example.test"}, "without TLS", id="plain address"),
            pytest.param({"homepage": "javascript:alert(1)"}, "begins with https", id="strange home page"),
        ],
    )
    def test_what_is_wrong_is_said_and_what_was_typed_stays(
        self, person: Any, wrong: dict[str, Any], said: str
    ) -> None:
        answer = person.sends(NEW, on=NEW, **{**GOOD, **wrong})
        assert answer.status_code == 422
        assert said in answer.text
        if "name" not in wrong:
            assert 'value="Gold Digger"' in answer.text
        assert apps.list_apps(person.tenant_id) == []


class TestManage:
    def test_change(self, person: Any, client_id: str) -> None:
        address = f"{ADDRESS}/{client_id}/change"
        assert "https://gold.example.test/callback" in person.opens(address).text
        assert person.sends(address, on=address, **{**GOOD, "name": "Silver Digger"}).status_code == 303
        assert apps.get_app(person.tenant_id, client_id).name == "Silver Digger"

    def test_a_secret_is_rotated_and_the_former_revoked(self, person: Any, client_id: str) -> None:
        page = f"{ADDRESS}/{client_id}"
        assert "new-secret" in person.sends(f"{page}/rotate", on=page).text
        new, old = apps.list_secrets(person.tenant_id, client_id)
        assert new.expires_at is None
        assert old.expires_at is not None
        assert person.sends(f"{page}/secrets/{old.id}/revoke", on=page).status_code == 303
        assert [secret.id for secret in apps.list_secrets(person.tenant_id, client_id)] == [new.id]

    def test_a_removed_app_is_gone_for_everybody(self, person: Any, client_id: str, grant_id: int) -> None:
        answer = person.sends(f"{ADDRESS}/{client_id}/remove", on=f"{ADDRESS}/{client_id}")
        assert answer.status_code == 303
        assert person.opens(f"{ADDRESS}/{client_id}").status_code == 404
        assert grants.list_grants(person.tenant_id) == []


class TestInstalled:
    def test_is_listed_with_who_lets_it_act(self, person: Any, grant_id: int) -> None:
        page = person.opens(ADDRESS).text
        assert "1 person" in page
        assert "See leads, companies, scores" in page

    def test_a_grant_is_ended_by_an_admin(self, person: Any, grant_id: int) -> None:
        assert person.sends(f"{ADDRESS}/grants/{grant_id}/revoke", on=ADDRESS).status_code == 303
        assert grants.list_grants(person.tenant_id) == []

    def test_an_app_is_put_out(self, person: Any, client_id: str, grant_id: int) -> None:
        assert person.sends(f"{ADDRESS}/{client_id}/uninstall", on=ADDRESS).status_code == 303
        assert grants.list_installations(person.tenant_id) == []
        assert person.sends(f"{ADDRESS}/{client_id}/uninstall", on=ADDRESS).status_code == 404

    def test_a_listed_app_of_others_is_told_of(
        self, person: Any, client_id: str, neighbour: SignedUp, person_of: Callable[[SignedUp], Any]
    ) -> None:
        assert "Gold Digger" in person_of(neighbour).opens(ADDRESS).text


class TestOwn:
    def test_a_person_sees_and_ends_what_acts_for_them(self, person: Any, grant_id: int) -> None:
        page = person.opens("/account/apps").text
        assert "Gold Digger" in page
        assert "/account/apps" in person.opens("/account").text
        assert person.sends(f"/account/apps/{grant_id}/revoke", on="/account/apps").status_code == 303
        assert "Gold Digger" not in person.opens("/account/apps").text

    def test_not_what_acts_for_others(
        self, grant_id: int, neighbour: SignedUp, person_of: Callable[[SignedUp], Any]
    ) -> None:
        stranger = person_of(neighbour)
        assert stranger.sends(f"/account/apps/{grant_id}/revoke", on="/account").status_code == 404


def test_a_neighbour_reaches_none_of_it(
    client_id: str, grant_id: int, neighbour: SignedUp, person_of: Callable[[SignedUp], Any]
) -> None:
    stranger = person_of(neighbour)
    assert stranger.opens(f"{ADDRESS}/{client_id}").status_code == 404
    for verb in ("change", "rotate", "remove", "uninstall", "secrets/1/revoke"):
        answer = stranger.sends(f"{ADDRESS}/{client_id}/{verb}", on=ADDRESS, **GOOD)
        assert answer.status_code == 404, verb
    assert stranger.sends(f"{ADDRESS}/grants/{grant_id}/revoke", on=ADDRESS).status_code == 404
    with pytest.raises(NotFound):
        apps.get_app(neighbour.tenant_id, client_id)
