from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from assay_tenants import access
from assay_tenants.access import invitations
from assay_tenants.database import directory_session
from assay_tenants.permissions import OF_ROLES


def new_address() -> str:
    return f"mira-{uuid4().hex}@feldspar.example.test"


@pytest.fixture
def editor_id(tenant: Any, mails_to: Any) -> int:
    email = new_address()
    invitations.invite(tenant.tenant_id, email=email, role="editor", by="Ada", may=OF_ROLES["owner"])
    return invitations.accept_anew(mails_to(email).key, name="Mira Stone", password="a long enough password")[1]


def test_members_are_listed_changed_and_removed(call: Any, tenant: Any, editor_id: int) -> None:
    listed = call("GET", "/members").json["items"]
    assert [(each["name"], each["role"]) for each in listed] == [("Ada Example", "owner"), ("Mira Stone", "editor")]
    token = access.open_session(editor_id, proven_by=("password",))
    assert call("GET", f"/members/{editor_id}").json["last_seen_at"] is not None
    changed = call("PUT", f"/members/{editor_id}/role", json={"role": "viewer"})
    assert (changed.status_code, changed.json["role"]) == (200, "viewer")
    removed = call("DELETE", f"/members/{editor_id}")
    assert (removed.status_code, removed.json["person_id"]) == (200, editor_id)
    assert access.find_visitor(token) is None
    assert call("GET", f"/members/{editor_id}").status_code == 404


def test_addresses_are_invited_and_invitations_withdrawn(call: Any, mails_to: Any) -> None:
    email = new_address()
    made = call("POST", "/invitations", json={"email": email.upper(), "role": "admin"})
    assert (made.status_code, made.json["email"], made.json["role"]) == (201, email, "admin")
    assert len(mails_to(email)) == 1
    assert [each["id"] for each in call("GET", "/invitations").json["items"]] == [made.json["id"]]
    path = f"/invitations/{made.json['id']}"
    again = call("POST", f"{path}/send")
    assert (again.status_code, again.json["code"], "Retry-After" in again.headers) == (429, "too_many_attempts", True)
    assert call("DELETE", path).status_code == 200
    assert call("DELETE", path).status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        pytest.param("POST", "/invitations", {"email": "mira", "role": "viewer"}, 422, "bad_input", id="no address"),
        pytest.param("POST", "/invitations", {"email": "m@x.test", "role": "king"}, 422, "bad_input", id="no role"),
        pytest.param("POST", "/invitations", {"email": "m@x.test"}, 422, "bad_input", id="role missing"),
        pytest.param("PUT", "/members/{owner}/role", {"role": "admin"}, 409, "last_owner", id="the last owner"),
        pytest.param("DELETE", "/members/{owner}", None, 409, "last_owner", id="the last owner goes"),
        pytest.param("DELETE", "/members/999999999", None, 404, "not_found", id="nobody"),
    ],
)
def test_what_can_not_be_done_is_told(
    call: Any, tenant: Any, method: str, path: str, body: Any, status: int, code: str
) -> None:
    answer = call(method, path.format(owner=tenant.person_id), json=body)
    assert (answer.status_code, answer.json["code"]) == (status, code)


def test_the_key_of_a_company_that_nobody_verified_invites_nobody(call: Any, tenant: Any) -> None:
    with directory_session() as session:
        session.execute(
            text("UPDATE tenancy.memberships SET verified = false WHERE tenant_id = :t"), {"t": tenant.tenant_id}
        )
    answer = call("POST", "/invitations", json={"email": new_address(), "role": "viewer"})
    assert (answer.status_code, answer.json["code"]) == (403, "address_not_verified")
