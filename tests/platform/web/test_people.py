"""Invitations, members, one's own account, forgotten passwords and the outbox, as somebody at a browser meets them."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote
from uuid import uuid4

import pytest
import time_machine
from flask import Flask

from assay.web.visitors import COOKIE
from assay_tenants import access, mailing
from assay_tenants.access import invitations, members, recovery
from assay_tenants.mailing import courier
from assay_tenants.permissions import OF_ROLES

PASSWORD = "a long enough password"
OTHER = "quite another passphrase"


@pytest.fixture
def email(connected: None) -> str:
    return f"mira-{uuid4().hex}@feldspar.example.test"


@pytest.fixture
def member(app: Flask, tenant: Any, email: str, mails_to: Any, person: Any) -> Callable[..., Any]:
    """Somebody of another role, at a browser of their own."""

    def make(role: str) -> Any:
        invitations.invite(tenant.tenant_id, email=email, role=role, by="Ada", may=OF_ROLES["owner"])
        _, person_id = invitations.accept_anew(mails_to(email).key, name="Mira Stone", password=PASSWORD)
        client = app.test_client()
        client.set_cookie(COOKIE, access.open_session(person_id, proven_by=("password",)))
        return replace(person, client=client)

    return make


def id_of(tenant: Any, email: str) -> int:
    return next(each.person_id for each in members.list_members(tenant.tenant_id) if each.email == email)


class TestInvitations:
    def test_from_the_page_to_a_new_member(self, person: Any, stranger: Any, email: str, mails_to: Any) -> None:
        page = "/settings/members"
        answer = person.sends(f"{page}/invitations", on=page, email=email, role="editor")
        assert answer.status_code == 303
        assert email in person.opens(page).text
        link = f"/invitation?key={mails_to(email).key}"
        assert "as an editor" in stranger.opens(link).text
        answer = stranger.sends(link, on=link, name="Mira Stone", password="mira stone 12")
        assert answer.status_code == 422
        assert "your own name" in answer.text
        answer = stranger.sends(link, on=link, name="Mira Stone", password=PASSWORD)
        assert (answer.status_code, answer.location) == (303, "/leads")
        assert "Welcome to Quartz" in stranger.opens("/leads").text
        assert stranger.opens(link).status_code == 410
        assert "Mira Stone" in person.opens(page).text

    def test_somebody_who_has_an_account_logs_in_and_switches(
        self, app: Flask, person: Any, neighbour: Any, person_of: Any, mails_to: Any
    ) -> None:
        theirs = members.list_members(neighbour.tenant_id)[0].email
        person.sends("/settings/members/invitations", on="/settings/members", email=theirs, role="viewer")
        link = f"/invitation?key={mails_to(theirs).key}"
        assert "You have an account already" in replace(person, client=app.test_client()).opens(link).text
        other = person_of(neighbour)
        answer = other.sends(link, on=link)
        assert (answer.status_code, answer.location) == (303, "/leads")
        assert "Go to Quartz" in other.opens("/leads").text
        before = other.client.get_cookie(COOKIE).value
        answer = other.sends("/switch", on="/leads", tenant=str(neighbour.tenant_id))
        assert answer.status_code == 303
        assert access.find_visitor(before) is None
        assert access.find_visitor(other.client.get_cookie(COOKIE).value).tenant_id == neighbour.tenant_id

    def test_is_not_for_whoever_is_logged_in_as_somebody_else(self, person: Any, email: str, mails_to: Any) -> None:
        person.sends("/settings/members/invitations", on="/settings/members", email=email, role="viewer")
        link = f"/invitation?key={mails_to(email).key}"
        assert "this invitation is for" in person.opens(link).text
        assert person.sends(link, on="/settings").status_code == 403

    @pytest.mark.parametrize("typed", ["", "x", "0", "1", "9" * 30, "-1"])
    def test_nobody_switches_to_a_company_that_is_not_theirs(self, person: Any, typed: str) -> None:
        assert person.sends("/switch", on="/leads", tenant=typed).status_code == 404

    @pytest.mark.parametrize(
        ("role", "allowed", "seen"),
        [
            pytest.param("admin", True, True, id="admin"),
            pytest.param("editor", False, True, id="editor"),
            pytest.param("viewer", False, False, id="viewer"),
        ],
    )
    def test_who_may_invite(self, member: Any, role: str, allowed: bool, seen: bool) -> None:
        theirs = member(role)
        assert (theirs.opens("/settings/members").status_code == 200) == seen
        fields = {"email": f"{uuid4().hex}@example.test", "role": "viewer"}
        answer = theirs.sends("/settings/members/invitations", on="/settings", **fields)
        assert answer.status_code == (303 if allowed else 403)

    def test_an_admin_makes_no_owner(self, member: Any, email: str) -> None:
        fields = {"email": f"{uuid4().hex}@example.test", "role": "owner"}
        answer = member("admin").sends("/settings/members/invitations", on="/settings", **fields)
        assert answer.status_code == 403
        assert "may do more than you" in answer.text

    def test_whoever_did_not_verify_their_address_invites_nobody(self, stranger: Any, email: str) -> None:
        fields = {"company": "Feldspar", "name": "Mira", "email": email, "password": PASSWORD}
        stranger.sends("/sign-up", on="/sign-up", **fields)
        assert "We wrote to" in stranger.opens("/leads").text
        fields = {"email": f"x{email}", "role": "viewer"}
        answer = stranger.sends("/settings/members/invitations", on="/settings/members", **fields)
        assert answer.status_code == 403
        assert "First verify your e-mail address" in answer.text

    def test_is_sent_again_and_withdrawn(self, person: Any, tenant: Any, email: str, mails_to: Any) -> None:
        page = "/settings/members"
        person.sends(f"{page}/invitations", on=page, email=email, role="viewer")
        (invited,) = invitations.list_invitations(tenant.tenant_id)
        answer = person.sends(f"{page}/invitations/{invited.id}/send", on=page)
        assert answer.status_code == 429
        assert 1 <= int(answer.headers["Retry-After"]) <= 60
        person.sends(f"{page}/invitations/{invited.id}/withdraw", on=page)
        assert replace(person).opens(f"/invitation?key={mails_to(email).key}").status_code == 410


class TestMembers:
    def test_a_role_is_changed_and_a_member_removed(self, person: Any, tenant: Any, member: Any, email: str) -> None:
        theirs = member("editor")
        page, path = "/settings/members", f"/settings/members/{id_of(tenant, email)}"
        assert person.sends(f"{path}/role", on=page, role="viewer").status_code == 303
        assert theirs.opens(page).status_code == 403
        assert person.sends(f"{path}/remove", on=page).status_code == 303
        assert theirs.opens("/leads").location.startswith("/log-in")

    def test_what_is_sensitive_asks_for_the_password_again(
        self, app: Flask, person: Any, tenant: Any, member: Any, email: str
    ) -> None:
        member("editor")
        path = f"/settings/members/{id_of(tenant, email)}/role"
        with time_machine.travel(datetime.now(UTC) + timedelta(minutes=20)):
            page = person.client.get("/settings/members").text
            token = re.search(r'name="csrf_token" value="([^"]+)"', page)
            assert token
            sent = {"csrf_token": token[1], "role": "viewer"}
            headers = {"Referer": "http://localhost/settings/members"}
            answer = person.client.post(path, data=sent, headers=headers)
            assert answer.location == "/account/confirm?next=/settings/members"
            assert person.sends(answer.location, on=answer.location, password="not the one").status_code == 401
            proven = person.sends(answer.location, on=answer.location, password=PASSWORD)
            assert (proven.status_code, proven.location) == (303, "/settings/members")
            assert person.client.post(path, data=sent).status_code == 303

    def test_the_last_owner_stays(self, person: Any, tenant: Any, member: Any) -> None:
        member("admin")
        answer = person.sends(f"/settings/members/{tenant.person_id}/role", on="/settings/members", role="admin")
        assert answer.status_code == 409
        assert "only owner" in answer.text
        answer = person.sends("/account/leave", on="/account")
        assert "only owner" in person.opens("/account").text

    def test_the_company_is_handed_over(self, person: Any, tenant: Any, member: Any, email: str) -> None:
        theirs = member("editor")
        taker = id_of(tenant, email)
        path = f"/settings/members/{taker}/give-ownership"
        assert theirs.sends(path, on="/settings").status_code == 403
        assert person.sends(path, on="/settings/members").status_code == 303
        assert members.get_member(tenant.tenant_id, taker).role == "owner"


class TestAccount:
    def test_shows_what_is_ones_own(self, person: Any) -> None:
        page = person.opens("/account").text
        assert "(this one)" in page
        assert "14 days" in page

    def test_changes_the_name_everywhere(self, person: Any) -> None:
        assert person.sends("/account/name", on="/account", name="Ada Renamed").status_code == 303
        assert "Ada Renamed" in person.opens("/settings/members").text
        assert person.sends("/account/name", on="/account", name="\u200b" * 3).status_code == 422

    def test_changes_the_password(self, person: Any, person_of: Any, tenant: Any) -> None:
        elsewhere = person_of(tenant)
        wrong = person.sends("/account/password", on="/account", present="not the one", password=OTHER)
        assert wrong.status_code == 401
        assert 'id="present-wrong"' in wrong.text
        right = person.sends("/account/password", on="/account", present=PASSWORD, password=OTHER)
        assert right.status_code == 303
        assert person.opens("/leads").status_code == 200
        assert elsewhere.opens("/leads").status_code == 303

    def test_guessing_the_present_password_is_slowed_down(self, person: Any) -> None:
        for _ in range(5):
            person.sends("/account/password", on="/account", present="not the one", password=OTHER)
        answer = person.sends("/account/password", on="/account", present=PASSWORD, password=OTHER)
        assert answer.status_code == 429
        assert int(answer.headers["Retry-After"]) >= 1

    def test_changes_the_address_by_a_link(self, person: Any, stranger: Any, email: str, mails_to: Any) -> None:
        sent = {"email": email, "address_password": PASSWORD}
        assert person.sends("/account/address", on="/account", **sent).status_code == 303
        link = f"/verify?key={mails_to(email).key}"
        for _ in range(2):
            assert email in person.opens(link).text, "looking does not use the link up"
        assert unquote(stranger.opens(link).location) == f"/log-in?next={link}"
        assert person.sends(link, on=link).location == "/leads"
        assert email in person.opens("/account").text
        assert person.opens(link).status_code == 410
        assert person.sends(link, on="/settings").status_code == 404

    def test_sends_the_verification_again(self, stranger: Any, email: str, mails_to: Any) -> None:
        fields = {"company": "Feldspar", "name": "Mira", "email": email, "password": PASSWORD}
        stranger.sends("/sign-up", on="/sign-up", **fields)
        for _ in range(5):
            assert stranger.sends("/account/verification", on="/account").status_code == 303
        assert stranger.sends("/account/verification", on="/account").status_code == 429
        link = f"/verify?key={mails_to(email).key}"
        stranger.sends(link, on=link)
        assert "We wrote to" not in stranger.opens("/leads").text

    def test_the_link_opened_elsewhere_asks_for_the_login_and_is_come_back_to(
        self, stranger: Any, person: Any, email: str, mails_to: Any
    ) -> None:
        fields = {"company": "Feldspar", "name": "Mira", "email": email, "password": PASSWORD}
        stranger.sends("/sign-up", on="/sign-up", **fields)
        stranger.sends("/log-out", on="/account")
        link = f"/verify?key={mails_to(email).key}"
        for refused in (person.opens(link), person.sends(link, on="/account")):
            assert (refused.status_code, "Log in first" in refused.text) == (403, True)
        assert stranger.sends(link, on="/log-in").location == link
        led = stranger.opens(link)
        assert (led.status_code, unquote(led.location)) == (303, f"/log-in?next={link}")
        assert f"you come back to verify {email}" in stranger.opens(led.location).text
        back = stranger.sends(led.location, on=led.location, email=email, password=PASSWORD)
        assert back.location == link
        assert "Yes, it is mine" in stranger.opens(link).text
        assert stranger.sends(link, on=link).location == "/leads"
        assert "is verified" in stranger.opens("/leads").text

    def test_ends_sessions(self, person: Any, person_of: Any, tenant: Any) -> None:
        others = [person_of(tenant) for _ in range(2)]
        visitor = access.find_visitor(others[0].client.get_cookie(COOKIE).value)
        assert person.sends(f"/account/sessions/{visitor.session_id}/end", on="/account").status_code == 303
        assert [other.opens("/leads").status_code for other in others] == [303, 200]
        assert person.sends("/account/sessions/end-others", on="/account").status_code == 303
        assert others[1].opens("/leads").status_code == 303
        assert person.opens("/leads").status_code == 200

    def test_a_further_company_is_its_own(self, person: Any, tenant: Any) -> None:
        answer = person.sends("/new-company", on="/new-company", company="Second Try")
        assert answer.status_code == 200
        assert "wk_" in answer.text
        visitor = access.find_visitor(person.client.get_cookie(COOKIE).value)
        assert visitor.tenant_id != tenant.tenant_id
        assert (visitor.company, visitor.role) == ("Second Try", "owner")


class TestForgotten:
    def test_answers_the_same_whoever_asks(self, stranger: Any, person: Any, email: str, mails_to: Any) -> None:
        known = re.findall(r"[\w-]+@quartz\.example\.test", person.opens("/account").text)[0]
        answers = [stranger.sends("/forgotten", on="/forgotten", email=each) for each in (known, email)]
        assert {answer.status_code for answer in answers} == {200}
        texts = [re.sub(r'value="[^"]*"|"X-CSRFToken": "[^"]*"', "", answer.text) for answer in answers]
        assert texts[0].replace(known, "") == texts[1].replace(email, "")
        recovery.send_links()
        assert mails_to(email) == []
        link = f"/reset?key={mails_to(known).key}"
        answer = stranger.sends(link, on=link, password="password1234")
        assert (answer.status_code, 'id="password-wrong"' in answer.text) == (422, True)
        answer = stranger.sends(link, on=link, password=OTHER)
        assert answer.location == "/log-in"
        assert person.opens("/leads").status_code == 303
        assert stranger.opens(link).status_code == 410
        assert stranger.sends("/log-in", email=known, password=OTHER).location == "/leads"

    def test_is_counted(self, stranger: Any, email: str) -> None:
        for _ in range(3):
            assert stranger.sends("/forgotten", on="/forgotten", email=email).status_code == 200
        answer = stranger.sends("/forgotten", on="/forgotten", email=email)
        assert (answer.status_code, "Retry-After" in answer.headers) == (429, True)


class TestOutbox:
    @pytest.fixture
    def private(self, app: Flask) -> Any:
        before = mailing.current_post()
        mailing.configure(replace(before, smtp_url="", is_private=True))
        yield
        mailing.configure(before)

    def test_shows_mails_where_nobody_else_comes(self, stranger: Any, email: str, private: None) -> None:
        fields = {"company": "Feldspar", "name": "Mira", "email": email, "password": PASSWORD}
        stranger.sends("/sign-up", on="/sign-up", **fields)
        while courier.deliver_one():
            pass
        page = stranger.opens("/outbox").text
        assert email in page
        assert re.search(r'href="https?://[^"]+/verify\?key=vl_', page)

    @pytest.mark.parametrize(
        ("environ", "headers"),
        [
            pytest.param({"REMOTE_ADDR": "203.0.113.5"}, {}, id="from elsewhere"),
            pytest.param({}, {"X-Forwarded-For": "127.0.0.1"}, id="through a proxy"),
            pytest.param({}, {"Forwarded": "for=127.0.0.1"}, id="through another proxy"),
            pytest.param({}, {"Host": "rebound.example"}, id="by another name"),
            pytest.param({}, {"Host": "assay.example:8000"}, id="by a public name"),
        ],
    )
    def test_is_shown_to_nobody_else(self, stranger: Any, private: None, environ: Any, headers: Any) -> None:
        assert stranger.client.get("/outbox", environ_base=environ, headers=headers).status_code == 404

    def test_is_shown_nowhere_else(self, stranger: Any, private: None) -> None:
        mailing.configure(replace(mailing.current_post(), is_private=False))
        assert stranger.opens("/outbox").status_code == 404


def test_under_https_the_cookie_has_a_name_that_only_this_host_can_set(app: Flask, stranger: Any, monkeypatch) -> None:
    monkeypatch.setitem(app.config, "SESSION_COOKIE_SECURE", True)
    fields = {"company": "Feldspar", "name": "Mira", "email": f"{uuid4().hex}@example.test", "password": PASSWORD}
    secure = {"base_url": "https://localhost"}
    token = re.search(r'name="csrf_token" value="([^"]+)"', stranger.client.get("/sign-up", **secure).text)
    assert token
    headers = {"Referer": "https://localhost/sign-up"}
    answer = stranger.client.post("/sign-up", data={"csrf_token": token[1], **fields}, headers=headers, **secure)
    cookies = {line.partition("=")[0]: line for line in answer.headers.getlist("Set-Cookie")}
    assert {"__Host-assay_session", "__Host-assay_device"} <= cookies.keys()
    for name in ("__Host-assay_session", "__Host-assay_device"):
        assert "Secure" in cookies[name]
        assert "Path=/" in cookies[name]
        assert "Domain" not in cookies[name]
    assert stranger.client.get("/leads", **secure).status_code == 200
    # The name of plain http is worth nothing here.
    plain = app.test_client()
    plain.set_cookie("assay_session", stranger.client.get_cookie("__Host-assay_session").value)
    assert plain.get("/leads", **secure).status_code == 303
