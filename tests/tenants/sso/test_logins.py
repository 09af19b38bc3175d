"""Logging in through a provider, and all that a hostile one, or somebody in between, could send."""

from datetime import UTC, datetime, timedelta
from time import time

import pytest
from sqlalchemy import select, update

from assay_tenants.access import enter, find_visitor, members, switch_tenant
from assay_tenants.access.errors import LogInElsewhere, OwnLoginNeeded
from assay_tenants.access.service import sign_up
from assay_tenants.access.sessions import list_sessions
from assay_tenants.access.verification import ask_for_address
from assay_tenants.audit.models import AuditEntry
from assay_tenants.database import directory_session, tenant_session
from assay_tenants.errors import BadInput
from assay_tenants.models import LoginSession, Membership, Person
from assay_tenants.sso import keys, logins, providers
from assay_tenants.sso.errors import LoginGone, LoginRefused, NotSetUp, ProviderAway
from assay_tenants.sso.models import PendingLogin, Provider
from tests.tenants.sso.provider import KEYS, forged

PASSWORD = "a long enough password"
NOW = int(time())


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256", "EdDSA", "Ed25519"])
def test_a_stranger_of_the_domain_becomes_a_viewer(company, algorithm) -> None:
    sent = company.provider.approve(
        company.begins(email="x", page="/leads"),
        algorithm=algorithm,
        email=f"INES@{company.domain}",
        name="Ines Hollow",
    )
    entered = company.comes_back(sent)
    assert (entered.tenant_id, entered.page) == (company.tenant_id, "/leads")
    visitor = find_visitor(entered.token)
    assert visitor is not None
    assert (visitor.name, visitor.email, visitor.role) == ("Ines Hollow", f"ines@{company.domain}", "viewer")
    assert (visitor.verified, visitor.proven_by) == (True, ("sso",))
    with tenant_session(company.tenant_id) as session:
        login = session.scalars(
            select(LoginSession).where(
                LoginSession.tenant_id == company.tenant_id, LoginSession.id == visitor.session_id
            )
        ).one()
        actions = session.scalars(select(AuditEntry.action).where(AuditEntry.tenant_id == company.tenant_id)).all()
    assert login.expires_at - login.created_at == timedelta(hours=12)
    assert {"sso.configured", "member.added", "member.linked", "login.succeeded"} <= set(actions)


HOSTILE = [
    pytest.param({"nonce": "another"}, {}, "its nonce", id="wrong nonce"),
    pytest.param({"nonce": None}, {}, "its nonce", id="no nonce"),
    pytest.param({"aud": "somebody-else"}, {}, "another application (aud)", id="wrong audience"),
    pytest.param({"aud": ["assay", "other"]}, {}, "azp", id="several audiences and no azp"),
    pytest.param({"aud": ["assay", "other"], "azp": "other"}, {}, "azp", id="handed to another"),
    pytest.param({"iss": "https://other.test"}, {}, "another issuer", id="another tenant's issuer"),
    pytest.param({"exp": NOW - 3600}, {}, "expired", id="expired"),
    pytest.param({"exp": None}, {}, "when it ends", id="never expires"),
    pytest.param({"exp": "tomorrow"}, {}, "when it ends", id="expiry of no kind"),
    pytest.param({"iat": NOW + 3600}, {}, "from the future", id="from the future"),
    pytest.param({"nbf": NOW + 3600}, {}, "from the future", id="not yet"),
    pytest.param({"iat": NOW - 86_400}, {}, "too long ago", id="old"),
    pytest.param({"sub": ""}, {}, "names nobody", id="nobody"),
    pytest.param({"sub": None}, {}, "names nobody", id="no subject"),
    pytest.param({}, {"algorithm": "none"}, "accepted are RS256", id="unsigned"),
    pytest.param({}, {"algorithm": "HS256"}, "accepted are RS256", id="public key as secret"),
    pytest.param({}, {"algorithm": "RS256", "key": forged()}, "none of the provider's keys", id="forged"),
    pytest.param({"email_verified": False}, {}, "has verified your address", id="unverified address"),
    pytest.param({"email_verified": None}, {}, "has verified your address", id="address of unknown standing"),
    pytest.param({"email": "ines@elsewhere.test"}, {}, "is none that", id="foreign domain"),
    pytest.param({"email": None}, {}, "does not tell your e-mail address", id="no address"),
    pytest.param({"email": "nonsense"}, {}, "does not tell your e-mail address", id="no proper address"),
]


@pytest.mark.parametrize(("claims", "signing", "said"), HOSTILE)
def test_a_hostile_token_lets_nobody_in(lasting_company, claims, signing, said) -> None:
    company = lasting_company
    company.provider.userinfo = {"sub": "subject-1"}
    told = {"email": f"ines@{company.domain}", **claims}
    with pytest.raises(LoginRefused) as refused:
        company.comes_back(company.provider.approve(company.begins(), **signing, **told))
    assert said in refused.value.message
    with directory_session() as session:
        assert session.scalars(select(Person).where(Person.email == f"ines@{company.domain}")).all() == []


def test_a_login_is_good_once_in_one_browser_for_ten_minutes(company, neighbour) -> None:
    def approved() -> dict[str, str]:
        return company.provider.approve(company.begins(), email=f"ines@{company.domain}")

    came = approved()
    with pytest.raises(LoginGone):
        company.comes_back(came, browser=logins.new_browser())
    with pytest.raises(LoginGone):
        company.comes_back(came, browser="")
    with pytest.raises(LoginGone):
        company.comes_back(came, tenant_id=neighbour.tenant_id)
    assert company.comes_back(came).token
    with pytest.raises(LoginGone):
        company.comes_back(came)
    with pytest.raises(LoginGone):
        company.comes_back({**approved(), "state": "nonsense"})
    late = approved()
    with tenant_session(company.tenant_id) as session:
        session.execute(
            update(PendingLogin)
            .where(PendingLogin.tenant_id == company.tenant_id)
            .values(expires_at=datetime.now(UTC) - timedelta(seconds=1))
        )
    with pytest.raises(LoginGone):
        company.comes_back(late)


def test_what_came_from_another_provider_is_not_shown_to_this_one(company) -> None:
    def came(**further: str) -> dict[str, str]:
        return {**company.provider.approve(company.begins(), email=f"ines@{company.domain}"), **further}

    with pytest.raises(LoginRefused, match="another login service"):
        company.comes_back(came(issuer="https://other.test"))
    assert company.comes_back(came(issuer=company.provider.issuer)).token
    company.provider.document = {"authorization_response_iss_parameter_supported": True}
    company.sets_up()
    with pytest.raises(LoginRefused, match="another login service"):
        company.comes_back(came())
    assert "/token" in company.provider.asked


def test_the_providers_no_is_told(company) -> None:
    came = company.provider.approve(company.begins())
    with pytest.raises(LoginRefused, match=r"access_denied.*not assigned"):
        company.comes_back({"state": came["state"], "error": "access_denied", "error_description": "not assigned"})


def test_an_address_comes_from_userinfo_of_the_same_person_alone(company) -> None:
    company.provider.userinfo = {"sub": "subject-1", "email": f"ines@{company.domain}"}
    assert company.comes_back(company.provider.approve(company.begins())).token
    company.provider.userinfo["sub"] = "somebody-else"
    with pytest.raises(LoginRefused, match="another person"):
        company.comes_back(company.provider.approve(company.begins()))


def test_a_linked_person_is_known_by_subject_and_not_by_address(company) -> None:
    first = find_visitor(company.logs_in("ines", subject="s-1").token)
    again = find_visitor(company.logs_in("renamed", subject="s-1").token)
    other = find_visitor(company.logs_in("olga", subject="s-2").token)
    assert first is not None
    assert again is not None
    assert other is not None
    assert first.person_id == again.person_id != other.person_id
    assert again.email == f"ines@{company.domain}"


def test_an_account_that_is_there_is_linked_and_a_strangers_claim_on_it_ends(company) -> None:
    mine = sign_up(
        company="Own", name="Olga", email=f"olga@{company.domain}", password=PASSWORD, plugin="segment", verified=True
    )
    squat = sign_up(company="Squat", name="Mallory", email=f"ivo@{company.domain}", password=PASSWORD, plugin="segment")
    visitor = find_visitor(company.logs_in("olga", subject="o").token)
    assert visitor is not None
    assert (visitor.person_id, visitor.tenant_id) == (mine.person_id, company.tenant_id)
    assert enter(email=f"olga@{company.domain}", password=PASSWORD).token, "her own company takes her password"
    visitor = find_visitor(company.logs_in("ivo", subject="i").token)
    assert visitor is not None
    assert visitor.person_id == squat.person_id
    with directory_session() as session:
        assert session.get_one(Person, squat.person_id).password_hash is None, "who never proved the address is out"


def test_without_just_in_time_members_only_the_invited_come_in(company) -> None:
    company.sets_up(makes_members=False)
    with pytest.raises(LoginRefused, match="Nobody has made"):
        company.logs_in("ines")
    with directory_session() as session:
        assert session.scalars(select(Person).where(Person.email == f"ines@{company.domain}")).all() == []


def test_who_is_switched_off_stays_out(company) -> None:
    visitor = find_visitor(company.logs_in("ines").token)
    assert visitor is not None
    with tenant_session(company.tenant_id) as session:
        members.suspend_member(session, company.tenant_id, visitor.person_id)
    with pytest.raises(LoginRefused, match="switched your account off"):
        company.logs_in("ines")


def role_after(company, groups: object) -> str:
    visitor = find_visitor(company.logs_in("ines", groups=groups).token)
    assert visitor is not None
    return visitor.role


def test_a_claim_tells_the_role_and_never_makes_an_owner(company) -> None:
    company.sets_up(role_claim="groups", roles={"staff": "editor", "it": "admin"})
    assert role_after(company, ["staff"]) == "editor"
    assert role_after(company, ["staff", "it", 7]) == "admin"
    assert role_after(company, None) == "admin", "silence takes nothing"
    assert role_after(company, ["other"]) == "viewer"
    visitor = find_visitor(company.logs_in("ines", groups=["it"]).token)
    assert visitor is not None
    with tenant_session(company.tenant_id) as session:
        member = session.get_one(Membership, (company.tenant_id, visitor.person_id))
        member.role = "owner"
    assert role_after(company, ["other"]) == "owner"


def test_a_key_that_is_new_is_fetched_and_invented_ones_seldom(company) -> None:
    company.logs_in("ines")
    asked = company.provider.asked["/keys"]
    for _ in range(5):
        with pytest.raises(LoginRefused):
            company.comes_back(company.provider.approve(company.begins(), key=forged(), algorithm="RS256"))
    assert company.provider.asked["/keys"] == asked, "the forged one has a known id"
    former = company.provider.published
    company.provider.published = [key for key in former if key.kid != "ec"]
    keys.forget(company.tenant_id)
    company.logs_in("ines")
    company.provider.published = former
    asked = company.provider.asked["/keys"]
    for _ in range(3):
        with pytest.raises(LoginRefused):
            company.comes_back(company.provider.approve(company.begins(), algorithm="ES256"))
    assert company.provider.asked["/keys"] == asked, "not within half a minute of the last time"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keys, "PAUSE_SECONDS", 0.0)
        sent = company.provider.approve(company.begins(), algorithm="ES256", email=f"ines@{company.domain}")
        assert company.comes_back(sent).token
    assert KEYS["ES256"].kid == "ec"


def test_proof_anew_is_asked_for_and_checked(company) -> None:
    company.logs_in("ines")
    address = company.begins(again=True)
    assert "prompt=login" in address
    assert "max_age=0" in address
    with pytest.raises(LoginRefused, match="auth_time"):
        company.comes_back(
            company.provider.approve(address, email=f"ines@{company.domain}", auth_time=int(time()) - 600)
        )
    assert company.comes_back(
        company.provider.approve(company.begins(again=True), email=f"ines@{company.domain}")
    ).token


def test_nobody_is_sent_to_a_provider_that_is_not_there(company, neighbour) -> None:
    assert logins.tenant_for(f"x@{company.domain}") == company.tenant_id
    assert logins.tenant_for("x@elsewhere.test") is None
    with pytest.raises(NotSetUp):
        logins.begin(neighbour.tenant_id, browser=company.browser, redirect_uri=company.back)
    with tenant_session(company.tenant_id) as session:
        session.execute(
            update(Provider)
            .where(Provider.tenant_id == company.tenant_id)
            .values(endpoints={**company_endpoints(company), "token": "http://127.0.0.1:9/token"})
        )
    with pytest.raises(ProviderAway):
        company.logs_in("ines")


def company_endpoints(company) -> dict[str, object]:
    found = providers.find(company.tenant_id)
    assert found is not None
    return found.endpoints


def test_enforced_passwords_are_refused_but_for_one_owner(company, tenant, neighbour) -> None:
    owner = f"owner@{company.domain}"
    with directory_session() as session:
        session.execute(update(Person).where(Person.id == tenant.person_id).values(email=owner))
        session.execute(update(Membership).where(Membership.person_id == tenant.person_id).values(email=owner))
    olga = {"name": "Olga", "email": f"olga@{company.domain}", "password": PASSWORD}
    own = sign_up(company="Elsewhere", plugin="segment", verified=True, **olga)
    company.logs_in("olga", subject="o")
    with_password = enter(email=owner, password=PASSWORD).token
    assert with_password
    providers.enforce(company.tenant_id, tenant.person_id)
    assert find_visitor(with_password) is not None
    assert enter(email=owner, password=PASSWORD).token, "the one who may, should the provider be away"

    # Olga has a company of her own too: her password opens that one, and this one not from there.
    token = enter(email=f"olga@{company.domain}", password=PASSWORD).token
    visitor = find_visitor(token or "")
    assert visitor is not None
    assert visitor.tenant_id == own.tenant_id
    with pytest.raises(OwnLoginNeeded, match="its own single sign-on"):
        switch_tenant(token or "", company.tenant_id)
    with pytest.raises(BadInput, match="kept by your company"):
        ask_for_address(visitor, email="olga@elsewhere.test", password=PASSWORD)
    through = company.logs_in("olga", subject="o").token
    with pytest.raises(OwnLoginNeeded, match="counts for that company alone"):
        switch_tenant(through, own.tenant_id)
    assert len(list_sessions(visitor)) >= 2

    with tenant_session(own.tenant_id) as session:
        session.execute(
            update(Membership).where(Membership.tenant_id == own.tenant_id).values(suspended_at=datetime.now(UTC))
        )
    with pytest.raises(LogInElsewhere, match="leave the password empty"):
        enter(email=f"olga@{company.domain}", password=PASSWORD)
    providers.relax(company.tenant_id)
    assert enter(email=f"olga@{company.domain}", password=PASSWORD).token
