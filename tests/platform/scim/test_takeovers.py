"""What a token for provisioning, which admins make, must not open."""

import pytest
from sqlalchemy import select, update

from assay_tenants import access
from assay_tenants.access import recovery, verification
from assay_tenants.access.passwords import hash_password
from assay_tenants.database import directory_session, tenant_session
from assay_tenants.errors import BadInput, Conflict
from assay_tenants.models import Membership, Person, PersonLink

PASSWORD = "a long enough password"
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


def test_nobody_leaves_the_domains_in_which_provisioning_sees_them(directory, mails_to) -> None:
    """It could not switch them off any more."""
    person_id = int(directory.makes("mira")["id"])
    with directory_session() as session:
        session.get_one(Person, person_id).password_hash = hash_password(PASSWORD)
    visitor = access.find_visitor(access.open_session(person_id, proven_by=("password",)))
    assert visitor is not None
    away = f"mira-{person_id}@elsewhere.example.test"
    with pytest.raises(BadInput) as refused:
        verification.ask_for_address(visitor, email=away, password=PASSWORD)
    assert (refused.value.field, "company's own login" in refused.value.message) == ("email", True)
    within = f"mira.stone@{directory.domain}"
    verification.ask_for_address(visitor, email=within, password=PASSWORD)
    assert verification.verify(mails_to(within).key, by=person_id) == within


def test_a_link_from_before_provisioning_leads_out_of_the_domains_no_more(directory, mails_to) -> None:
    email = f"nora@{directory.domain}"
    person = {"name": "Nora", "email": email, "password": PASSWORD, "verified": True}
    person_id = access.sign_up(company="Elsewhere", plugin="segment", **person).person_id
    visitor = access.find_visitor(access.open_session(person_id, proven_by=("password",)))
    assert visitor is not None
    away = f"nora-{person_id}@elsewhere.example.test"
    verification.ask_for_address(visitor, email=away, password=PASSWORD)
    directory.makes("nora")
    with pytest.raises(Conflict):
        verification.verify(mails_to(away).key, by=person_id)
