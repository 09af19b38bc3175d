"""What directories send, word for word as Okta and Entra ID do, and what may not happen by it."""

from typing import Any
from urllib.parse import quote

import pytest
from sqlalchemy import select, update

from assay_tenants import cuts
from assay_tenants.access import find_visitor, members, open_session
from assay_tenants.database import directory_session, tenant_session
from assay_tenants.models import Membership, Person
from assay_tenants.permissions import PERMISSIONS
from assay_tenants.sso import scim_tokens
from tests.platform.scim.conftest import provider

PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
USER = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"


def member(tenant_id: int, person_id: str) -> Membership:
    with tenant_session(tenant_id) as session:
        return session.scalars(
            select(Membership).where(Membership.tenant_id == tenant_id, Membership.person_id == int(person_id))
        ).one()


def patched(directory: Any, user_id: str, *operations: dict[str, Any], **headers: str) -> Any:
    return directory.send("PATCH", f"/Users/{user_id}", {"schemas": [PATCH], "Operations": operations}, **headers)


def listed(directory: Any, query: str = "") -> list[str]:
    answer = directory.send("GET", f"/Users{query}")
    assert answer.status_code == 200, answer.text
    return [one["userName"].partition("@")[0] for one in answer.json.get("Resources", [])]


def test_okta_makes_switches_off_and_brings_back(directory) -> None:
    domain = directory.domain
    okta = {
        "schemas": [USER],
        "userName": f"ines@{domain}",
        "name": {"givenName": "Ines", "familyName": "Hollow"},
        "emails": [{"primary": True, "value": f"ines@{domain}", "type": "work"}],
        "displayName": "Ines Hollow",
        "locale": "en-US",
        "externalId": "00ujl29u0le5T6Aj10h7",
        "groups": [],
        "password": "1mz050nq",
        "active": True,
    }
    asked = quote(f'userName eq "ines@{domain}"')
    assert listed(directory, f"?filter={asked}&startIndex=1&count=100") == []
    made = directory.send("POST", "/Users", okta)
    assert made.status_code == 201
    assert "password" not in made.text
    user_id = made.json["id"]
    assert made.headers["Location"].endswith(f"/scim/v2/Users/{user_id}")
    theirs = member(directory.tenant_id, user_id)
    assert (theirs.name, theirs.email, theirs.role, theirs.verified) == (
        "Ines Hollow",
        f"ines@{domain}",
        "viewer",
        True,
    )
    token = open_session(int(user_id), tenant_id=directory.tenant_id, proven_by=("sso",))
    assert find_visitor(token) is not None

    assert patched(directory, user_id, {"op": "replace", "value": {"active": False}}).json["active"] is False
    assert find_visitor(token) is None
    assert cuts.is_cut(directory.tenant_id, f"member:{user_id}")
    assert member(directory.tenant_id, user_id).suspended_at is not None

    back = directory.send("PUT", f"/Users/{user_id}", {**okta, "id": user_id, "active": True})
    assert back.status_code == 200, back.text
    assert member(directory.tenant_id, user_id).suspended_at is None


@pytest.mark.parametrize(
    ("operation", "name", "value"),
    [
        pytest.param({"op": "Replace", "path": "active", "value": "False"}, "active", False, id="a word for false"),
        pytest.param({"op": "Replace", "value": {"displayName": "Bo"}}, "displayName", "Bo", id="without a path"),
        pytest.param(
            {"op": "Add", "path": 'roles[primary eq "True"].value', "value": '{"id":"1","value":"editor"}'},
            "roles",
            [{"value": '{"id":"1","value":"editor"}', "primary": True}],
            id="an app role as JSON",
        ),
        pytest.param({"op": "Add", "path": f"{ENTERPRISE}:department", "value": "x"}, ENTERPRISE, None, id="dropped"),
        pytest.param(
            {"op": "Add", "path": 'addresses[type eq "work"].locality', "value": "x"},
            "addresses",
            None,
            id="dropped too",
        ),
        pytest.param(
            {"op": "Replace", "path": "name.givenName", "value": "Bo"}, "name", {"givenName": "Bo"}, id="dotted"
        ),
    ],
)
def test_entra_patches(directory, operation, name, value) -> None:
    made = directory.makes("bo", schemas=[USER, ENTERPRISE], externalId="x", **{ENTERPRISE: {"department": "Sales"}})
    answer = patched(directory, made["id"], operation)
    assert answer.status_code == 200, answer.text
    assert answer.json.get(name) == value


def test_entra_changes_an_address(directory) -> None:
    made = directory.makes("bo")
    new = f"bo.hollow@{directory.domain}"
    answer = patched(directory, made["id"], {"op": "Add", "path": 'emails[type eq "work"].value', "value": new})
    assert answer.json["emails"] == [{"type": "work", "value": new}]
    with directory_session() as session:
        assert session.get_one(Person, int(made["id"])).email == new
    assert member(directory.tenant_id, made["id"]).email == new


def test_filters_and_pages(directory) -> None:
    for name in ("ann", "bob", "cyd", "dan"):
        directory.makes(name, externalId=f"e-{name}", emails=[{"value": f"{name}@{directory.domain}", "type": "work"}])
    patched(directory, directory.makes("eve")["id"], {"op": "replace", "path": "active", "value": False})
    for text, names in {
        f'userName eq "ANN@{directory.domain}"': ["ann"],
        'externalId eq "e-bob"': ["bob"],
        f'emails.value eq "cyd@{directory.domain}"': ["cyd"],
        f'emails[type eq "work"].value eq "cyd@{directory.domain}"': ["cyd"],
        "active eq false": ["eve"],
        f'userName sw "a" or userName eq "dan@{directory.domain}"': ["ann", "dan"],
        f'userName eq "ann@{directory.domain}" and externalId eq "e-bob"': [],
    }.items():
        assert listed(directory, f"?filter={quote(text)}") == names, text
    page = directory.send("GET", "/Users?startIndex=2&count=2").json
    assert (page["totalResults"], page["startIndex"], page["itemsPerPage"]) == (5, 2, 2)
    assert listed(directory, "?startIndex=2&count=2") == ["bob", "cyd"]
    assert listed(directory, "?count=0") == []
    assert listed(directory, "?sortBy=userName&sortOrder=descending&count=1") == ["eve"]
    assert set(directory.send("GET", "/Users?attributes=userName&count=1").json["Resources"][0]) == {
        "schemas",
        "id",
        "userName",
    }


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "kind"),
    [
        pytest.param("POST", "/Users", {"userName": "x@elsewhere.test"}, 400, "invalidValue", id="another domain"),
        pytest.param("POST", "/Users", {"userName": "bad"}, 400, "invalidValue", id="no address"),
        pytest.param("POST", "/Users", {}, 400, "invalidValue", id="no userName"),
        pytest.param("POST", "/Users", [], 400, "invalidValue", id="no object"),
        pytest.param("POST", "/Users", {"userName": "x@{domain}", "roles": ["x"]}, 400, "invalidValue", id="no role"),
        pytest.param("GET", "/Users?filter=nonsense%20eq%201", None, 400, "invalidFilter", id="no attribute"),
        pytest.param("GET", "/Users?filter=userName%20eq", None, 400, "invalidFilter", id="no filter"),
        pytest.param("GET", "/Users?count=many", None, 400, "invalidValue", id="no number"),
        pytest.param("PATCH", "/Users/999999999", {"Operations": []}, 400, "invalidValue", id="empty"),
        pytest.param("GET", "/Users/999999999999999999999", None, 404, None, id="no such number"),
        pytest.param("GET", "/Groups", None, 404, None, id="no such thing"),
        pytest.param("DELETE", "/Users", None, 405, None, id="no such way"),
        pytest.param("POST", "/Users", {"userName": "x" * 300_000}, 413, None, id="too large"),
    ],
)  # fmt: skip
def test_refusals_are_in_the_standards_shape(directory, method, path, body, status, kind) -> None:
    if isinstance(body, dict) and "userName" in body:
        body = {**body, "userName": body["userName"].replace("{domain}", directory.domain)}
    answer = directory.send(method, path, body)
    assert answer.status_code == status, answer.text
    assert answer.content_type == "application/scim+json"
    assert answer.json["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:Error"]
    assert (answer.json["status"], answer.json.get("scimType")) == (str(status), kind)


def test_who_is_there_already_is_found_and_not_made_again(directory) -> None:
    made = directory.makes("fay")
    again = directory.send("POST", "/Users", {"userName": f"FAY@{directory.domain}"})
    assert (again.status_code, again.json["scimType"]) == (409, "uniqueness")
    other = directory.makes("gil")
    answer = patched(directory, other["id"], {"op": "replace", "path": "userName", "value": made["userName"]})
    assert (answer.status_code, answer.json["scimType"]) == (409, "uniqueness")


def test_the_last_owner_stays_and_owners_keep_their_role(directory, tenant) -> None:
    owner_id = str(tenant.person_id)
    assert directory.send("GET", f"/Users/{owner_id}").status_code == 404, "of no verified domain"
    moved(tenant.person_id, f"owner@{directory.domain}")
    assert directory.send("GET", f"/Users/{owner_id}").json["roles"] == [{"value": "owner"}]
    for answer in (
        patched(directory, owner_id, {"op": "replace", "path": "active", "value": False}),
        directory.send("DELETE", f"/Users/{owner_id}"),
    ):
        assert answer.status_code == 409
        assert "only owner" in answer.json["detail"]
    lowered = patched(directory, owner_id, {"op": "replace", "path": "roles", "value": [{"value": "viewer"}]})
    assert lowered.status_code == 200
    assert member(directory.tenant_id, owner_id).role == "owner"


def test_who_may_log_in_when_the_provider_is_away_stays(directory, tenant) -> None:
    made = directory.makes("kim")
    members.change_role(directory.tenant_id, int(made["id"]), "owner", may=PERMISSIONS)
    provider(directory.tenant_id, enforced=True, spare_person_id=int(made["id"]))
    for answer in (
        directory.send("DELETE", f"/Users/{made['id']}"),
        patched(directory, made["id"], {"op": "replace", "path": "active", "value": False}),
    ):
        assert answer.status_code == 409
        assert "when the provider is away" in answer.json["detail"]


def test_the_providers_mapping_gives_roles_too(directory) -> None:
    provider(directory.tenant_id, roles={"Sales EMEA": "editor"}, default_role="admin")
    assert member(directory.tenant_id, directory.makes("lea")["id"]).role == "admin"
    made = directory.makes("mia", roles=[{"value": "Sales EMEA"}])
    assert member(directory.tenant_id, made["id"]).role == "editor"


def test_an_address_that_other_companies_know_too_is_not_changed(directory, neighbour) -> None:
    made = directory.makes("nan")
    with directory_session() as session:
        person = session.get_one(Person, int(made["id"]))
        members.add_member(session, neighbour.tenant_id, person, "viewer")
    emails = [{"value": f"nora@{directory.domain}", "primary": True}]
    answer = patched(directory, made["id"], {"op": "replace", "path": "emails", "value": emails})
    assert answer.status_code == 409
    assert "works for other companies too" in answer.json["detail"]


def moved(person_id: int, email: str) -> None:
    with directory_session() as session:
        session.execute(update(Person).where(Person.id == person_id).values(email=email))
        session.execute(update(Membership).where(Membership.person_id == person_id).values(email=email))


def test_a_role_is_given_and_never_an_owners(directory) -> None:
    made = directory.makes("hal", roles=[{"value": "Admin"}])
    assert member(directory.tenant_id, made["id"]).role == "admin"
    patched(directory, made["id"], {"op": "replace", "path": "roles", "value": [{"value": "owner"}]})
    assert member(directory.tenant_id, made["id"]).role == "admin"
    patched(directory, made["id"], {"op": "replace", "path": "roles", "value": [{"value": "editor"}]})
    assert member(directory.tenant_id, made["id"]).role == "editor"


def test_versions(directory) -> None:
    made = directory.makes("ida")
    path = f"/Users/{made['id']}"
    shown = directory.send("GET", path)
    assert shown.headers["ETag"] == made["meta"]["version"] == 'W/"1"'
    assert directory.send("GET", path, None, If_None_Match='W/"1"').status_code == 304
    rename = {"op": "replace", "path": "displayName", "value": "Ida H."}
    assert patched(directory, made["id"], rename, If_Match='W/"1"').status_code == 200
    late = patched(directory, made["id"], rename, If_Match='W/"1"')
    assert (late.status_code, late.json["status"]) == (412, "412")
    assert directory.send("DELETE", path, None, If_Match='W/"1"').status_code == 412
    assert directory.send("DELETE", path, None, If_Match='W/"2"').status_code == 204
    assert directory.send("GET", path).status_code == 404


def test_the_neighbours_users_are_answered_like_users_that_do_not_exist(directory, directory_of, neighbour) -> None:
    theirs, other = directory.makes("jo"), directory_of(neighbour)
    for method, body in {
        "GET": None,
        "DELETE": None,
        "PUT": {"userName": f"jo@{other.domain}"},
        "PATCH": {"schemas": [PATCH], "Operations": [{"op": "replace", "path": "active", "value": False}]},
    }.items():
        answers = [other.send(method, f"/Users/{user_id}", body) for user_id in (theirs["id"], "999999999")]
        assert [answer.status_code for answer in answers] == [404, 404]
        assert answers[0].text == answers[1].text
    assert listed(other) == []
    taken = other.send("POST", "/Users", {"userName": f"jo@{directory.domain}"})
    assert taken.status_code == 400
    assert member(directory.tenant_id, theirs["id"]).suspended_at is None


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer sc_1_nonsense", "Basic eDp5"])
def test_without_a_token_nothing_is_told(directory, authorization) -> None:
    answer = directory.app.test_client().get("/scim/v2/Users", headers={"Authorization": authorization})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert answer.json["status"] == "401"


def test_tokens_overlap_when_rotated_and_end_when_revoked(directory) -> None:
    old = scim_tokens.list_tokens(directory.tenant_id)[0]
    new = scim_tokens.rotate(directory.tenant_id, old.id)
    assert directory.send("GET", "/Users").status_code == 200
    directory.token = new.secret
    assert directory.send("GET", "/Users").status_code == 200
    scim_tokens.revoke(directory.tenant_id, new.id)
    assert directory.send("GET", "/Users").status_code == 401
