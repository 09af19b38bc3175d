"""What a token for provisioning, which admins make, must not open."""

from sqlalchemy import select, update

from assay_tenants.access import recovery
from assay_tenants.database import directory_session, tenant_session
from assay_tenants.models import Membership, Person, PersonLink

PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


def renamed(directory, user_id: str, to: str):
    operation = {"op": "replace", "path": "userName", "value": f"{to}@{directory.domain}"}
    return directory.send("PATCH", f"/Users/{user_id}", {"schemas": [PATCH], "Operations": [operation]})


def test_an_owners_address_stays_where_it_is(directory) -> None:
    """At an address of theirs an admin could choose the owner's next password."""
    made = directory.makes("olga")
    with tenant_session(directory.tenant_id) as session:
        session.execute(
            update(Membership)
            .where(Membership.tenant_id == directory.tenant_id, Membership.person_id == int(made["id"]))
            .values(role="owner")
        )
    answer = renamed(directory, made["id"], "admin")
    assert (answer.status_code, "owner" in answer.json["detail"]) == (409, True)


def test_links_to_a_former_address_are_void(directory) -> None:
    made = directory.makes("nils")
    recovery.ask_for_reset(f"nils@{directory.domain}")
    recovery.send_links()
    assert renamed(directory, made["id"], "nils.hollow").status_code == 200
    with directory_session() as session:
        person = session.get_one(Person, int(made["id"]))
        assert person.email == f"nils.hollow@{directory.domain}"
        assert not session.scalars(select(PersonLink).where(PersonLink.person_id == person.id)).all()
