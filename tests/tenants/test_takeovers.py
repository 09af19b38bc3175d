"""Ways to somebody else's account or to more than one's role: each tried as whoever would gain by it."""

import secrets

import pytest
from sqlalchemy import select

from assay_tenants import access
from assay_tenants.access import (
    LinkOver,
    SignedUp,
    WrongCredentials,
    members,
    people,
    recovery,
    service,
    verification,
)
from assay_tenants.access.errors import NotLoggedInHere
from assay_tenants.database import directory_session
from assay_tenants.models import Person
from assay_tenants.oauth import apps, grants, issuer
from assay_tenants.oauth.catalogue import find_app
from assay_tenants.permissions import PERMISSIONS

PASSWORD = "a long enough password"
OTHER = "quite another passphrase"


@pytest.fixture
def address() -> str:
    return f"ines-{secrets.token_hex(6)}@hollow.example.test"


def sign_up(email: str, *, verified: bool = False) -> SignedUp:
    return access.sign_up(
        company="Hollow Creek", name="Ines Okafor", email=email, password=PASSWORD, plugin="segment", verified=verified
    )


def visitor_of(email: str) -> access.Visitor:
    visitor = access.find_visitor(access.log_in(email=email, password=PASSWORD))
    assert visitor is not None
    return visitor


class TestMadeBeforehand:
    def test_a_link_to_the_strangers_mailbox_ends_when_the_address_is_proven(self, address, mails_to) -> None:
        signed_up = sign_up(address)
        theirs = f"stranger-{secrets.token_hex(6)}@elsewhere.example.test"
        verification.ask_for_address(visitor_of(address), email=theirs, password=PASSWORD)
        with directory_session() as session:
            people.find_or_make(session, email=address, name="Ines")
        with pytest.raises(LinkOver):
            verification.verify(mails_to(theirs).key, by=signed_up.person_id)
        with directory_session() as session:
            assert session.get_one(Person, signed_up.person_id).email == address

    def test_nobody_makes_their_address_that_of_a_strangers_account_by_pressing_a_button(
        self, address, tenant, mails_to
    ) -> None:
        """The stranger's password and passkeys would open whatever the address is invited to later."""
        stranger = sign_up(f"stranger-{address}", verified=True)
        verification.ask_for_address(visitor_of(f"stranger-{address}"), email=address, password=PASSWORD)
        for by in (None, tenant.person_id):
            with pytest.raises(NotLoggedInHere):
                verification.verify(mails_to(address).key, by=by)
        with directory_session() as session:
            assert people.find_person(session, address) is None
        assert verification.verify(mails_to(address).key, by=stranger.person_id) == address

    def test_nobody_verifies_a_strangers_account_by_pressing_a_button(self, address, tenant, mails_to) -> None:
        """It would keep the stranger's password when the company's own login joins it later."""
        stranger = sign_up(address)
        for by in (None, tenant.person_id):
            with pytest.raises(NotLoggedInHere):
                verification.verify(mails_to(address).key, by=by)
        assert not visitor_of(address).verified
        assert verification.verify(mails_to(address).key, by=stranger.person_id) == address


class TestFormerAddress:
    def test_a_link_for_a_new_password_is_worth_nothing_once_the_address_is_another(self, address, mails_to) -> None:
        """However it became another: a company's directory may have changed it."""
        signed_up = sign_up(address, verified=True)
        recovery.ask_for_reset(address)
        recovery.send_links()
        key = mails_to(address).key
        with directory_session() as session:
            session.get_one(Person, signed_up.person_id).email = f"new-{address}"
        with pytest.raises(LinkOver):
            recovery.reset(key, OTHER)
        visitor_of(f"new-{address}")


class TestLeaving:
    def test_what_somebody_granted_does_not_come_back_with_them(self, tenant, address, monkeypatch) -> None:
        monkeypatch.setattr(issuer, "_issuer", None)
        issuer.configure("https://assay.example.test")
        person_id = sign_up(address, verified=True).person_id
        with directory_session() as session:
            members.add_member(session, tenant.tenant_id, session.get_one(Person, person_id), "editor")
        made = apps.register_app(
            tenant.tenant_id, name="Reports", redirect_uris=["https://r.example.test/cb"], scopes=["leads:read"]
        )
        app = find_app(made.client_id)
        assert app is not None
        grants.give(tenant.tenant_id, person_id, app, ["leads:read"])
        members.remove_member(tenant.tenant_id, person_id, may=PERMISSIONS)
        with directory_session() as session:
            person = session.scalars(select(Person).where(Person.id == person_id)).one()
            members.add_member(session, tenant.tenant_id, person, "editor")
        assert grants.list_grants(tenant.tenant_id, person_id=person_id) == []


class TestAtTheSameMoment:
    def test_a_login_by_a_password_that_is_being_changed_is_none(self, address, mails_to, monkeypatch) -> None:
        """Comparing passwords takes long: what ends all sessions must not miss one that is about to begin."""
        sign_up(address, verified=True)
        recovery.ask_for_reset(address)
        recovery.send_links()
        compare = service.is_password

        def slowly(password: str, known: str | None) -> bool:
            is_right = compare(password, known)
            monkeypatch.setattr(service, "is_password", compare)
            recovery.reset(mails_to(address).key, OTHER)
            return is_right

        monkeypatch.setattr(service, "is_password", slowly)
        with pytest.raises(WrongCredentials):
            access.log_in(email=address, password=PASSWORD)
        assert access.log_in(email=address, password=OTHER)
