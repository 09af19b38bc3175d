"""Second factors at the pages: a person with an authenticator app, at a browser without JavaScript."""

import html
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pyotp
import pytest
import time_machine
from flask import Flask
from sqlalchemy import select, text, update

from assay.web.second_step import ask_for_second_step
from assay_tenants import factors
from assay_tenants.database import directory_session, tenant_session
from assay_tenants.models import LoginSession, Membership
from assay_tenants.models import Person as PersonRow

PASSWORD = "a long enough password"
PAGE = "/account/second-factors"


def minutes_ago(minutes: int) -> datetime:
    """Early in a code's half minute."""
    return datetime.now(UTC).replace(second=10, microsecond=0) - timedelta(minutes=minutes)


def person_id_of(tenant_id: int) -> int:
    with directory_session() as session:
        return session.scalars(select(Membership.person_id).where(Membership.tenant_id == tenant_id)).one()


def email_of(tenant_id: int) -> str:
    with directory_session() as session:
        return session.scalars(select(Membership.email).where(Membership.tenant_id == tenant_id)).one()


def secret_on(page: str) -> str:
    shown = re.search(r'id="app-secret">([A-Z2-7 ]+)<', page)
    assert shown, page
    return shown[1].replace(" ", "")


def codes_on(page: str) -> list[str]:
    shown = re.search(r'id="recovery-codes">([^<]+)<', page)
    assert shown, page
    return html.unescape(shown[1]).split()


def add_app(person: Any) -> tuple[pyotp.TOTP, list[str]]:
    with time_machine.travel(minutes_ago(3), tick=False):
        assert person.sends(f"{PAGE}/app", on=PAGE).status_code == 303
        app = pyotp.TOTP(secret_on(person.opens(f"{PAGE}/app").text))
        page = person.sends(f"{PAGE}/app/confirm", on=f"{PAGE}/app", code=app.now())
    assert page.status_code == 200, page.text
    return app, codes_on(page.text)


@pytest.fixture
def visit(app: Flask, person: Any) -> Callable[[], Any]:
    """Another browser, in which the person's password was just right; it is asked for the second step."""

    def at_second_step() -> Any:
        browser = type(person)(app.test_client(), person.tenant_id)
        answer = browser.sends(
            "/log-in?next=/settings", on="/log-in", email=email_of(person.tenant_id), password=PASSWORD
        )
        assert (answer.status_code, answer.location) == (303, "/log-in/second-step?next=/settings")
        return browser

    return at_second_step


class TestAdding:
    def test_an_app_by_picture_or_by_hand(self, person: Any) -> None:
        person.sends(f"{PAGE}/app", on=PAGE)
        page = person.opens(f"{PAGE}/app").text
        assert 'src="data:image/svg+xml' in page
        wrong = person.sends(f"{PAGE}/app/confirm", on=f"{PAGE}/app", code="000000")
        assert wrong.status_code == 422
        assert "This code is not right" in wrong.text
        assert secret_on(wrong.text) == secret_on(page)

    def test_codes_are_shown_this_once(self, person: Any) -> None:
        _, codes = add_app(person)
        assert len(codes) == 10
        page = person.opens(PAGE).text
        assert "10 of 10 left" in page
        assert not any(code in page for code in codes)
        new = codes_on(person.sends(f"{PAGE}/codes", on=PAGE).text)
        assert not set(codes) & set(new)

    def test_a_page_for_an_app_that_nobody_adds_leads_back(self, person: Any) -> None:
        assert person.opens(f"{PAGE}/app").location == PAGE

    @pytest.mark.parametrize("what", ["app", "app/confirm", "app/remove", "passkeys", "codes", "passkeys/1/remove"])
    def test_a_stolen_session_gets_nowhere_without_proof(self, person: Any, what: str) -> None:
        add_app(person)
        with tenant_session(person.tenant_id) as session:
            session.execute(
                update(LoginSession).where(LoginSession.tenant_id == person.tenant_id).values(proven_at=minutes_ago(16))
            )
        before = factors.overview(person_id_of(person.tenant_id))
        answer = person.sends(f"{PAGE}/{what}", on=PAGE, code="000000", name="x", credential="{}")
        assert answer.location.startswith("/account/confirm")
        assert factors.overview(person_id_of(person.tenant_id)) == before

    def test_a_stolen_session_is_given_no_challenge(self, person: Any) -> None:
        with tenant_session(person.tenant_id) as session:
            session.execute(
                update(LoginSession).where(LoginSession.tenant_id == person.tenant_id).values(proven_at=minutes_ago(16))
            )
        answer = person.sends(f"{PAGE}/passkeys/options", on=PAGE)
        assert (answer.status_code, answer.json["code"]) == (401, "prove_again")

    def test_passkeys_take_a_name(self, person: Any) -> None:
        session = person.client.get_cookie("assay_session").value
        person.client.set_cookie("assay_session", session, domain="127.0.0.1")
        page = person.client.get(PAGE, base_url="http://127.0.0.1:8000").text
        assert "at http://localhost with the same port" in page
        options = person.sends(f"{PAGE}/passkeys/options", on=PAGE).json
        assert options["rp"] == {"id": "localhost", "name": "Assay"}


@pytest.mark.parametrize("what", ["app", "app/remove", "passkeys", "passkeys/options", "passkeys/1/remove", "codes"])
def test_the_word_of_a_companys_provider_changes_nothing(person: Any, what: str) -> None:
    app, _ = add_app(person)
    with tenant_session(person.tenant_id) as session:
        session.execute(
            update(LoginSession).where(LoginSession.tenant_id == person.tenant_id).values(proven_by=["sso"])
        )
    before = factors.overview(person_id_of(person.tenant_id))
    assert person.sends(f"{PAGE}/{what}", on=PAGE, name="x", credential="{}").status_code == 403
    assert factors.overview(person_id_of(person.tenant_id)) == before
    assert "counts for that company alone" in person.opens(PAGE).text
    person.sends(f"{PAGE}/show", on=f"{PAGE}/show", code=app.now())
    assert person.sends(f"{PAGE}/codes", on=PAGE).status_code == 200


class TestSecondStep:
    def test_a_code_leads_in(self, person: Any, visit: Any) -> None:
        app, _ = add_app(person)
        browser = visit()
        page = browser.opens("/log-in/second-step").text
        assert 'autocomplete="one-time-code"' in page
        answer = browser.sends("/log-in/second-step?next=/settings", on="/log-in/second-step", code=app.now())
        assert (answer.status_code, answer.location) == (303, "/settings")
        assert browser.opens("/settings").status_code == 200
        # The login is over, whatever becomes of its cookie.
        assert browser.opens("/log-in/second-step").location == "/leads"

    def test_nobody_is_in_before(self, person: Any, visit: Any) -> None:
        add_app(person)
        assert visit().opens("/settings").location == "/log-in?next=/settings"

    def test_wrong_codes_are_told_counted_and_written_down(self, person: Any, visit: Any) -> None:
        app, _ = add_app(person)
        browser = visit()
        for _ in range(5):
            answer = browser.sends("/log-in/second-step", on="/log-in/second-step", code="000000")
            assert answer.status_code == 422
            assert "This code is not right" in answer.text
        held_up = browser.sends("/log-in/second-step", on="/log-in/second-step", code=app.now())
        assert held_up.status_code == 429
        assert "Too many wrong codes" in held_up.text
        with tenant_session(person.tenant_id) as session:
            told = session.execute(
                text("SELECT after FROM tenancy.audit_log WHERE tenant_id = :t AND action = 'login.failed'"),
                {"t": person.tenant_id},
            ).scalars()
            assert list(told) == [{"method": "totp"}] * 5

    def test_a_recovery_code_leads_in_once(self, person: Any, visit: Any) -> None:
        _, codes = add_app(person)
        sent = {"on": "/log-in/second-step", "recovery": codes[0].lower()}
        first = visit()
        assert first.sends("/log-in/second-step", **sent).status_code == 303
        assert "9 are left" in first.opens("/settings").text
        second = visit().sends("/log-in/second-step", **sent)
        assert second.status_code == 422
        assert "Each works once" in second.text

    def test_one_code_does_not_lead_in_twice(self, person: Any, visit: Any) -> None:
        app, _ = add_app(person)
        first, second = visit(), visit()
        code = app.now()
        assert first.sends("/log-in/second-step", on="/log-in/second-step", code=code).status_code == 303
        refused = second.sends("/log-in/second-step", on="/log-in/second-step", code=code)
        assert "was used already" in refused.text

    def test_the_cookie_is_for_these_pages_and_for_no_script(self, app: Flask, person: Any) -> None:
        add_app(person)
        browser = type(person)(app.test_client())
        answer = browser.sends("/log-in", email=email_of(person.tenant_id), password=PASSWORD)
        (cookie,) = [each for each in answer.headers.getlist("Set-Cookie") if each.startswith("assay_second_step=")]
        assert {"HttpOnly", "SameSite=Lax", "Path=/log-in", "Max-Age=600"} <= set(cookie.split("; "))

    def test_under_https_only_this_host_can_set_the_cookie(self, app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(app.config, "SESSION_COOKIE_SECURE", True)
        with app.test_request_context():
            cookie = ask_for_second_step("challenge", None).headers["Set-Cookie"]
        assert cookie.startswith("__Host-assay_second_step=challenge;")
        assert {"Secure", "HttpOnly", "SameSite=Lax", "Path=/"} <= set(cookie.split("; "))

    @pytest.mark.parametrize("method", ["get", "post"])
    def test_without_a_login_under_way_one_starts_anew(self, stranger: Any, method: str) -> None:
        answer = (
            stranger.opens("/log-in/second-step?next=/leads")
            if method == "get"
            else stranger.sends("/log-in/second-step?next=/leads", code="123456")
        )
        assert (answer.status_code, answer.location) == (303, "/log-in?next=/leads")
        assert "longer than ten minutes" in stranger.opens("/log-in").text

    def test_a_passkey_that_is_none_is_refused(self, stranger: Any, person: Any, visit: Any) -> None:
        add_app(person)
        answer = visit().sends("/log-in/second-step", on="/log-in/second-step", credential="{}")
        assert answer.status_code == 422
        assert "could not be checked" in answer.text
        assert stranger.sends("/log-in/passkey", credential="{}").location == "/log-in"
        assert "could not be checked" in stranger.opens("/log-in").text

    def test_a_stranger_is_given_no_challenge_of_anybodys(self, stranger: Any) -> None:
        assert stranger.sends("/log-in/second-step/passkey").status_code == 401
        options = stranger.sends("/log-in/passkey/options").json
        assert (options["allowCredentials"], options["rpId"]) == ([], "localhost")

    def test_with_redis_away_nobody_gets_in(self, app: Flask, person: Any, visit: Any, monkeypatch: Any) -> None:
        from redis import Redis

        totp, _ = add_app(person)
        browser = visit()
        away = Redis(port=1, socket_connect_timeout=0.1, retry=None)
        monkeypatch.setitem(app.extensions, "assay_lanes", away)
        answer = browser.sends("/log-in/second-step", on="/log-in/second-step", code=totp.now())
        assert answer.status_code == 503


class TestRule:
    @pytest.fixture
    def required(self, person: Any) -> Any:
        answer = person.sends("/settings/security", on="/settings/security", second_factor="everybody")
        assert (answer.status_code, answer.location) == (303, "/settings/security")
        return person

    def test_is_under_settings(self, person: Any) -> None:
        assert "/settings/security" in person.opens("/settings").text
        answer = person.sends("/settings/security", on="/settings/security", second_factor="some")
        assert (answer.status_code, "Choose one of the list" in answer.text) == (422, True)

    @pytest.mark.parametrize("path", ["/leads", "/settings", "/settings/members", "/models"])
    def test_whoever_has_none_is_led_to_add_one(self, required: Any, path: str) -> None:
        assert required.opens(path).location == PAGE
        assert required.opens(path, HX_Request="true").headers["HX-Redirect"] == PAGE
        assert "asks you for a second factor" in required.opens(PAGE).text
        add_app(required)
        assert required.opens("/leads").status_code == 200

    def test_an_older_login_without_shows_what_its_person_has(self, person: Any, required: Any) -> None:
        app, _ = add_app(person)
        with tenant_session(person.tenant_id) as session:
            session.execute(
                update(LoginSession).where(LoginSession.tenant_id == person.tenant_id).values(proven_by=["password"])
            )
        assert person.opens("/leads").location == PAGE
        shown = person.sends(f"{PAGE}/show?next=/models", on=f"{PAGE}/show", code=app.now())
        assert shown.location == "/models"
        assert person.opens("/models").status_code == 200

    def test_others_roles_are_left_alone(self, person: Any) -> None:
        person.sends("/settings/security", on="/settings/security", second_factor="owners_and_admins")
        with directory_session() as session:
            session.execute(update(Membership).where(Membership.tenant_id == person.tenant_id).values(role="editor"))
        assert person.opens("/leads").status_code == 200
        assert person.opens("/settings/security").status_code == 403

    def test_an_unverified_person_is_told_to_verify(self, required: Any) -> None:
        with directory_session() as session:
            session.execute(
                update(PersonRow).where(PersonRow.id == person_id_of(required.tenant_id)).values(email_verified_at=None)
            )
            session.execute(update(Membership).where(Membership.tenant_id == required.tenant_id).values(verified=False))
        assert "First verify your e-mail address" in required.opens(PAGE).text
        assert required.opens("/account").status_code == 200
        refused = required.sends(f"{PAGE}/app", on=PAGE)
        assert (refused.status_code, "First verify" in refused.text) == (403, True)


def test_removing_what_is_there(person: Any) -> None:
    add_app(person)
    assert person.sends(f"{PAGE}/app/remove", on=PAGE).location == PAGE
    page = person.opens(PAGE).text
    assert "The authenticator app is removed." in page
    assert "You are given ten" in page


def test_owners_reset_nobody_of_the_neighbours(person: Any, neighbour: Any) -> None:
    path = f"/settings/security/members/{neighbour.person_id}/reset"
    assert person.sends(path, on="/settings/security").status_code == 404
    refused = person.sends(
        f"/settings/security/members/{person_id_of(person.tenant_id)}/reset", on="/settings/security"
    )
    assert (refused.status_code, "Your own second factors" in refused.text) == (403, True)


def test_a_factor_stands_in_for_the_password_where_a_page_asks_anew(person: Any) -> None:
    app, _ = add_app(person)
    with tenant_session(person.tenant_id) as session:
        session.execute(
            update(LoginSession).where(LoginSession.tenant_id == person.tenant_id).values(proven_at=minutes_ago(16))
        )
    assert f"{PAGE}/show?next={PAGE}" in person.opens(f"/account/confirm?next={PAGE}").text
    shown = person.sends(f"{PAGE}/show?next={PAGE}", on=f"{PAGE}/show", code=app.now())
    assert shown.location == PAGE
    assert person.sends(f"{PAGE}/codes", on=PAGE).status_code == 200
