"""API keys on their page: what each may do, until when, who made it."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from assay_tenants import keys
from assay_tenants.access.service import SignedUp
from assay_tenants.database import directory_session, tenant_session
from assay_tenants.permissions import OF_ROLES, PERMISSIONS

PAGE = "/settings/clients"


def secret_in(page: str) -> str:
    found = re.search(r'id="new-key">([^<]+)<', page)
    assert found, page
    return found[1]


def make(person: Any, **fields: Any) -> Any:
    return person.sends(PAGE, on=PAGE, **{"name": "Reports <b>", "access": "read", "life": "365", **fields})


def become(person: Any, role: str) -> None:
    with directory_session() as session:
        session.execute(
            text("UPDATE tenancy.memberships SET role = :role WHERE tenant_id = :t"),
            {"role": role, "t": person.tenant_id},
        )


class TestIssue:
    @pytest.mark.parametrize(
        ("fields", "scopes"),
        [
            pytest.param({"access": "read"}, keys.PRESETS["read"], id="read only"),
            pytest.param({"access": "send"}, {"events:write", "leads:write"}, id="send"),
            pytest.param({"access": "everything"}, PERMISSIONS, id="everything"),
            pytest.param(
                {"access": "chosen", "scope": ["leads:read", "models:read"]},
                {"leads:read", "models:read"},
                id="chosen",
            ),
            pytest.param({"access": "read", "scope": ["tenant:manage"]}, keys.PRESETS["read"], id="ticked in vain"),
        ],
    )  # fmt: skip
    def test_it_may_what_was_chosen(self, person: Any, fields: Any, scopes: Any) -> None:
        page = make(person, **fields)
        secret = secret_in(page.text)
        caller = keys.find_caller(secret, kind="api")
        assert caller is not None
        assert (caller.tenant_id, caller.scopes) == (person.tenant_id, scopes)
        again = person.opens(PAGE).text
        assert secret not in again
        assert "Reports &lt;b&gt;" in again
        assert "by Ada Example" in again

    @pytest.mark.parametrize(
        ("fields", "said"),
        [
            pytest.param({"name": " "}, "Give the key a name", id="no name"),
            pytest.param({"name": "x" * 81}, "a name of 1 to 80 characters", id="a long name"),
            pytest.param({"access": "root"}, "Choose what the key may do", id="no such preset"),
            pytest.param({"access": "chosen"}, "choose at least one scope", id="nothing chosen"),
            pytest.param({"access": "chosen", "scope": "leads:eat"}, "There is no scope", id="no such scope"),
            pytest.param({"life": "-1"}, "Choose one of the list", id="no such end"),
        ],
    )
    def test_a_bad_choice_is_told(self, person: Any, fields: Any, said: str) -> None:
        page = make(person, **fields)
        assert page.status_code == 422
        assert said in page.text
        assert keys.list_keys(person.tenant_id, kind="api") == []

    def test_an_admin_hands_on_no_more_than_they_have(self, person: Any) -> None:
        become(person, "admin")
        caller = keys.find_caller(secret_in(make(person, access="everything").text), kind="api")
        assert caller is not None
        assert caller.scopes == OF_ROLES["admin"]
        beyond = make(person, access="chosen", scope="tenant:manage")
        assert beyond.status_code == 403
        assert "these you have not: tenant:manage" in beyond.text

    @pytest.mark.parametrize(("life", "days"), [("30", 30), ("365", 365), ("0", None)])
    def test_it_ends_when_it_was_told_to(self, person: Any, life: str, days: int | None) -> None:
        make(person, life=life)
        (key,) = keys.list_keys(person.tenant_id, kind="api")
        if days is None:
            assert key.expires_at is None
        else:
            assert key.expires_at is not None
            assert abs(key.expires_at - datetime.now(UTC) - timedelta(days=days)) < timedelta(minutes=1)


class TestList:
    def test_tells_who_is_no_longer_a_member(self, person: Any, tenant: SignedUp) -> None:
        make(person)
        assert "no longer a member" not in person.opens(PAGE).text
        with tenant_session(tenant.tenant_id) as session:
            session.execute(
                text("UPDATE tenancy.keys SET made_by_id = 999999999 WHERE tenant_id = :t AND kind = 'api'"),
                {"t": tenant.tenant_id},
            )
        assert "by Ada Example, who is no longer a member" in person.opens(PAGE).text

    def test_shows_an_expired_key_as_such(self, person: Any, tenant: SignedUp) -> None:
        make(person)
        with tenant_session(tenant.tenant_id) as session:
            session.execute(
                text("UPDATE tenancy.keys SET expires_at = now() - interval '1 hour' WHERE tenant_id = :t"),
                {"t": tenant.tenant_id},
            )
        page = person.opens(PAGE).text
        assert "Expired" in page
        (key,) = keys.list_keys(person.tenant_id, kind="api")
        assert person.sends(f"{PAGE}/{key.id}/revoke", on=PAGE).status_code == 303
        assert keys.list_keys(person.tenant_id, kind="api") == []


class TestRotateAndRevoke:
    def test_both_keys_work_for_a_day(self, person: Any) -> None:
        old = secret_in(make(person, access="send").text)
        (key,) = keys.list_keys(person.tenant_id, kind="api")
        page = person.sends(f"{PAGE}/{key.id}/rotate", on=PAGE).text
        new = keys.find_caller(secret_in(page), kind="api")
        assert new is not None
        assert new.scopes == keys.PRESETS["send"]
        assert keys.find_caller(old, kind="api") is not None
        assert "Replaced, ends" in page
        assert person.sends(f"{PAGE}/{key.id}/rotate", on=PAGE).status_code == 409

    def test_nobody_rotates_a_key_that_may_more_than_they(self, person: Any) -> None:
        make(person, access="everything")
        become(person, "admin")
        (key,) = keys.list_keys(person.tenant_id, kind="api")
        answer = person.sends(f"{PAGE}/{key.id}/rotate", on=PAGE)
        assert answer.status_code == 403
        assert "billing:manage, tenant:manage" in answer.text
        assert person.sends(f"{PAGE}/{key.id}/revoke", on=PAGE).status_code == 303

    def test_write_keys_are_not_here(self, person: Any) -> None:
        (write,) = keys.list_keys(person.tenant_id, kind="write")
        for deed in ("rotate", "revoke"):
            assert person.sends(f"{PAGE}/{write.id}/{deed}", on=PAGE).status_code == 404

    def test_an_editor_is_told_who_may(self, person: Any) -> None:
        become(person, "editor")
        page = person.opens(PAGE)
        assert page.status_code == 403
        assert "yours is editor" in page.text
        assert "Write keys" not in person.opens("/settings").text
