"""Setting single sign-on up on its page, and logging in through it, by a browser without JavaScript."""

import re
from collections.abc import Iterator
from html import unescape
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from flask import Flask
from sqlalchemy import update
from werkzeug.test import TestResponse

from assay.settings import Settings
from assay_sdk import egress
from assay_tenants.access import invitations, members, people
from assay_tenants.database import directory_session, tenant_session
from assay_tenants.models import Membership, Person
from assay_tenants.permissions import OF_ROLES
from assay_tenants.sso import domains, keys, providers, scim_tokens
from assay_tenants.sso.errors import OwnersProvider
from tests.tenants.sso import nameserver, provider
from tests.tenants.sso.conftest import claimed
from tests.tenants.sso.nameserver import Nameserver
from tests.tenants.sso.provider import CLIENT_ID, CLIENT_SECRET, Provider

PAGE = "/settings/sso"
PASSWORD = "a long enough password"


@pytest.fixture(scope="module")
def a_provider() -> Iterator[Provider]:
    with provider.running() as running:
        yield running


@pytest.fixture
def idp(a_provider: Provider, settings: Settings, app: Flask) -> Iterator[Provider]:
    egress.configure(("127.0.0.1",))
    a_provider.document = {}
    yield a_provider
    egress.configure(settings.egress_allow.split(","))


@pytest.fixture
def dns(settings: Settings, app: Flask) -> Iterator[Nameserver]:
    with nameserver.running() as running:
        domains.configure(running.address)
        yield running
    domains.configure(settings.nameserver)


def fields(idp: Provider, **further: str) -> dict[str, str]:
    typed = {"issuer": idp.issuer, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "default_role": "viewer"}
    return {**typed, "makes_members": "yes", **further}


@pytest.fixture
def set_up(person: Any, idp: Provider) -> str:
    """The tenant's domain, whose people log in through the provider."""
    keys.forget(person.tenant_id)
    assert person.sends(f"{PAGE}/provider", on=PAGE, **fields(idp)).status_code == 303
    return claimed(person.tenant_id, f"web-{person.tenant_id}.test")


def led_to(answer: TestResponse) -> str:
    """Where the page goes on to by itself."""
    assert answer.status_code == 200, answer.text
    found = re.search(r'<a [^>]*id="provider"[^>]*href="([^"]+)"', answer.text)
    assert found
    address = unescape(found[1])
    assert f'content="0;url={found[1]}"' in answer.text
    return address


def back(stranger: Any, tenant_id: int, came: dict[str, str]) -> TestResponse:
    return stranger.client.get(f"/sso/{tenant_id:x}/callback?{urlencode(came)}")


def test_from_an_address_to_the_page_that_was_asked_for(person, stranger, idp, set_up) -> None:
    answer = stranger.sends("/log-in?next=/companies", on="/log-in", email=f"ines@{set_up}", password="")
    address = led_to(answer)
    assert urlsplit(address).netloc == urlsplit(idp.issuer).netloc
    came = idp.approve(address, email=f"ines@{set_up}", name="Ines Hollow")
    entered = back(stranger, person.tenant_id, came)
    assert (entered.status_code, entered.location) == (303, "/companies")
    assert "Ines Hollow" in stranger.opens("/companies").text
    again = back(stranger, person.tenant_id, came)
    assert again.status_code == 404
    assert "not under way in this browser" in again.text
    assert stranger.opens("/log-in/sso").status_code == 302, "who is in needs no login"


def test_another_browsers_login_lets_nobody_in(app, person, stranger, idp, set_up) -> None:
    came = idp.approve(
        led_to(stranger.sends("/log-in/sso", on="/log-in/sso", email=f"ivo@{set_up}")), email=f"ivo@{set_up}"
    )
    victim = app.test_client()
    for handle in (f"{person.tenant_id:x}", "ffffffffff", "nonsense", "f" * 40):
        answer = victim.get(f"/sso/{handle}/callback?{urlencode(came)}")
        assert answer.status_code == 404
        assert "assay_session" not in (answer.headers.get("Set-Cookie") or "")
    assert back(stranger, person.tenant_id, came).status_code == 303


def test_the_providers_refusal_is_told_as_text(person, stranger, set_up, idp) -> None:
    address = led_to(stranger.sends("/log-in/sso", on="/log-in/sso", email=f"ivo@{set_up}"))
    state = idp.approve(address)["state"]
    told = back(
        stranger, person.tenant_id, {"state": state, "error": "access_denied", "error_description": "<b>no</b>"}
    )
    assert told.status_code == 403
    assert "&lt;b&gt;no&lt;/b&gt;" in told.text


def test_addresses_without_single_sign_on_are_told_so(stranger) -> None:
    answer = stranger.sends("/log-in/sso", on="/log-in/sso", email="x@nobodys.test")
    assert answer.status_code == 404
    assert "No company logs in with single sign-on" in answer.text
    assert stranger.sends("/log-in/sso", on="/log-in/sso", email="").status_code == 422


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        pytest.param({"issuer": ""}, "Fill in the issuer", id="nothing"),
        pytest.param({"issuer": "http://example.com"}, "begin with https://", id="in the clear"),
        pytest.param({"client_secret": "wrong"}, "does not know this client id and secret", id="wrong secret"),
        pytest.param({"role_claim": "groups", "roles": "it admin"}, "is no mapping", id="no mapping"),
        pytest.param({"role_claim": "groups", "roles": "it = owner"}, "is no role to be given", id="owner"),
    ],
)
def test_what_is_wrong_stands_beside_its_field(person, idp, typed, said) -> None:
    answer = person.sends(f"{PAGE}/provider", on=PAGE, **fields(idp, **typed))
    assert answer.status_code == 422
    assert said in unescape(answer.text)
    assert CLIENT_SECRET not in unescape(answer.text)
    assert providers.find(person.tenant_id) is None


def test_a_domain_is_claimed_proven_and_removed(person, idp, dns) -> None:
    for typed, said in (("gmail.com", "anybody can open a mailbox"), ("co.uk", "register a name"), ("x", "no domain")):
        refused = person.sends(f"{PAGE}/domains", on=PAGE, domain=typed)
        assert refused.status_code == 422
        assert said in refused.text
    name = f"own-{person.tenant_id}.test"
    assert person.sends(f"{PAGE}/domains", on=PAGE, domain=name).status_code == 303
    page = person.opens(PAGE).text
    proof = re.search(r"assay-domain=[\w-]+", page)
    assert proof
    assert f"_assay.{name}" in page
    early = person.sends(f"{PAGE}/domains/verify", on=PAGE, claimed=name, method="dns")
    assert early.status_code == 422
    assert "no TXT record" in early.text
    dns.records[f"_assay.{name}"] = proof[0]
    assert person.sends(f"{PAGE}/domains/verify", on=PAGE, claimed=name, method="dns").status_code == 303
    assert "Verified" in person.opens(PAGE).text
    assert person.sends(f"{PAGE}/domains/remove", on=PAGE, claimed=name).status_code == 303
    assert domains.tenant_of(name) is None


def test_enforced_login_refuses_the_password_and_its_reset(person, stranger, idp, set_up, tenant) -> None:
    early = person.sends(f"{PAGE}/enforce", on=PAGE, spare=str(tenant.person_id))
    assert early.status_code == 422
    assert "First log in once with single sign-on" in early.text
    address = led_to(stranger.sends("/log-in/sso", on="/log-in/sso", email=f"olga@{set_up}"))
    back(stranger, person.tenant_id, idp.approve(address, email=f"olga@{set_up}", name="Olga"))
    with directory_session() as session:
        olga = people.find_person(session, f"olga@{set_up}")
        assert olga is not None
        owner = session.get_one(Person, tenant.person_id)
        olga.password_hash = owner.password_hash
    assert person.sends(f"{PAGE}/enforce", on=PAGE, spare=str(tenant.person_id)).status_code == 303
    stranger.sends("/log-out", on="/leads")
    refused = stranger.sends("/log-in", on="/log-in", email=f"olga@{set_up}", password=PASSWORD)
    assert refused.status_code == 401
    assert "leave the password empty" in refused.text
    assert person.sends(f"{PAGE}/relax", on=PAGE).status_code == 303
    assert stranger.sends("/log-in", on="/log-in", email=f"olga@{set_up}", password=PASSWORD).status_code == 303


def test_tokens_are_shown_once_rotated_and_revoked(person) -> None:
    made = person.sends(f"{PAGE}/tokens", on=PAGE, name="Okta", days="90")
    secret = re.search(r"sc_[0-9a-f]+_\w{44}", made.text)
    assert secret
    assert secret[0] not in person.opens(PAGE).text
    [token] = scim_tokens.list_tokens(person.tenant_id)
    rotated = person.sends(f"{PAGE}/tokens/rotate", on=PAGE, token_id=str(token.id))
    assert "keeps working for a day" in rotated.text
    assert person.sends(f"{PAGE}/tokens/revoke", on=PAGE, token_id=str(token.id)).status_code == 303
    assert scim_tokens.find_provisioner(secret[0]) is None
    assert person.sends(f"{PAGE}/tokens", on=PAGE, name="", days="90").status_code == 422


def test_the_neighbours_things_are_answered_like_things_that_do_not_exist(person_of, person, neighbour, set_up) -> None:
    other = person_of(neighbour)
    token = scim_tokens.issue(person.tenant_id, name="Okta", days=90)
    for path, theirs, nobodys in (
        ("/domains/verify", {"claimed": set_up}, {"claimed": "nobodys.test"}),
        ("/domains/remove", {"claimed": set_up}, {"claimed": "nobodys.test"}),
        ("/tokens/rotate", {"token_id": str(token.id)}, {"token_id": "999999999"}),
        ("/tokens/revoke", {"token_id": str(token.id)}, {"token_id": "999999999"}),
        ("/provider/remove", {}, {}),
        ("/relax", {}, {}),
    ):
        answers = [other.sends(PAGE + path, on=PAGE, **sent) for sent in (theirs, nobodys)]
        assert [answer.status_code for answer in answers] == [404, 404], path
        assert tokenless(answers[0].text) == tokenless(answers[1].text)
    assert set_up not in other.opens(PAGE).text
    assert providers.find(person.tenant_id) is not None
    assert domains.tenant_of(set_up) == person.tenant_id


def tokenless(page: str) -> str:
    return re.sub(r'("X-CSRFToken": "|name="csrf_token" value=")[^"]+', "", page)


@pytest.mark.parametrize("role", ["editor", "viewer"])
def test_only_who_manages_security_may(person, tenant, role) -> None:
    with tenant_session(person.tenant_id) as session:
        session.execute(update(Membership).where(Membership.tenant_id == person.tenant_id).values(role=role))
    assert person.opens(PAGE).status_code == 403
    assert person.sends(f"{PAGE}/domains", on="/account", domain="x.test").status_code == 403
    assert "/settings/sso" not in person.opens("/settings").text


def test_proof_anew_is_asked_of_the_provider(person, stranger, idp, set_up) -> None:
    address = led_to(stranger.sends("/log-in/sso", on="/log-in/sso", email=f"ines@{set_up}"))
    back(stranger, person.tenant_id, idp.approve(address, email=f"ines@{set_up}"))
    again = stranger.opens("/log-in/sso/again?next=/account")
    assert again.status_code == 303
    assert "prompt=login" in again.location
    entered = back(stranger, person.tenant_id, idp.approve(again.location, email=f"ines@{set_up}"))
    assert (entered.status_code, entered.location) == (303, "/account")
    assert person.opens("/log-in/sso/again").status_code == 302, "who came with a password proves it by that"


def test_an_admin_chooses_no_provider_that_could_let_them_in_as_an_owner(
    person: Any, make_tenant: Any, idp: Provider
) -> None:
    """A provider of their own would say that they are the owner."""
    domain = claimed(person.tenant_id, f"rank-{person.tenant_id}.test")
    with directory_session() as session:
        owner = session.get_one(Person, make_tenant().person_id)
        members.add_member(session, person.tenant_id, owner, "owner")
    here = (Membership.tenant_id == person.tenant_id, Membership.person_id != owner.id)
    with tenant_session(person.tenant_id) as session:
        session.execute(update(Membership).where(*here).values(role="admin"))
    assert person.sends(f"{PAGE}/provider", on=PAGE, **fields(idp)).status_code == 303, "the owner is of another domain"
    with tenant_session(person.tenant_id) as session:
        theirs = (Membership.tenant_id == person.tenant_id, Membership.person_id == owner.id)
        session.execute(update(Membership).where(*theirs).values(email=f"olga@{domain}"))
    refused = person.sends(f"{PAGE}/provider", on=PAGE, **fields(idp))
    assert (refused.status_code, "Ask one of them" in refused.text) == (403, True)
    refused = person.sends(f"{PAGE}/domains/verify", on=PAGE, claimed=domain, method="dns")
    assert (refused.status_code, "Ask one of them" in refused.text) == (403, True)
    with tenant_session(person.tenant_id) as session:
        session.execute(update(Membership).where(*here).values(role="owner"))
    assert person.sends(f"{PAGE}/provider", on=PAGE, **fields(idp)).status_code == 303


def test_nobody_becomes_an_owner_as_whom_an_admins_provider_could_let_anybody_in(
    person: Any, stranger: Any, idp: Provider, tenant: Any
) -> None:
    me = (Membership.tenant_id == person.tenant_id, Membership.person_id == tenant.person_id)
    domain = claimed(person.tenant_id, f"late-{person.tenant_id}.test")
    with tenant_session(person.tenant_id) as session:
        session.execute(update(Membership).where(*me).values(role="admin"))
    assert person.sends(f"{PAGE}/provider", on=PAGE, **fields(idp)).status_code == 303
    with tenant_session(person.tenant_id) as session:
        session.execute(update(Membership).where(*me).values(role="owner"))
    address = led_to(stranger.sends("/log-in/sso", on="/log-in/sso", email=f"olga@{domain}"))
    back(stranger, person.tenant_id, idp.approve(address, email=f"olga@{domain}"))
    olga = next(each.person_id for each in members.list_members(person.tenant_id) if each.email == f"olga@{domain}")
    for becomes in (
        lambda: members.change_role(person.tenant_id, olga, "owner", may=OF_ROLES["owner"]),
        lambda: members.transfer_ownership(person.tenant_id, giver_id=tenant.person_id, taker_id=olga),
        lambda: invitations.invite(
            person.tenant_id, email=f"new@{domain}", role="owner", by="Ada", may=OF_ROLES["owner"]
        ),
    ):
        with pytest.raises(OwnersProvider, match="saves the provider once more"):
            becomes()
    refused = person.sends(f"/settings/members/{olga}/role", on="/settings/members", role="owner")
    assert (refused.status_code, "once more" in refused.text) == (409, True)
    # Their address may have moved into the domain later: then the provider lets no owner in.
    with tenant_session(person.tenant_id) as session:
        here = (Membership.tenant_id == person.tenant_id, Membership.person_id == olga)
        session.execute(update(Membership).where(*here).values(role="owner"))
    address = led_to(stranger.sends("/log-in/sso", on="/log-in/sso", email=f"olga@{domain}"))
    shut = back(stranger, person.tenant_id, idp.approve(address, email=f"olga@{domain}"))
    assert (shut.status_code, "save the provider once more" in shut.text) == (403, True)
    refused = person.sends(f"{PAGE}/domains/verify", on=PAGE, claimed=domain, method="dns")
    assert (refused.status_code, "once more" in refused.text) == (409, True)
    assert person.sends(f"{PAGE}/provider", on=PAGE, **fields(idp)).status_code == 303
    with tenant_session(person.tenant_id) as session:
        session.execute(update(Membership).where(*here).values(role="admin"))
    members.change_role(person.tenant_id, olga, "owner", may=OF_ROLES["owner"])
