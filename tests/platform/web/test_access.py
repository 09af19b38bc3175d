import re
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from assay_tenants.database import directory_session, tenant_session
from assay_tenants.models import Person as PersonRow

FIELDS = {"company": "Feldspar Ltd", "name": "Grace", "password": "open sesame please"}


def fields(**changed: str) -> dict[str, str]:
    return {**FIELDS, "email": f"grace-{uuid4().hex}@feldspar.example.test", **changed}


class TestSignUp:
    def test_shows_the_write_key_once_and_lets_in(self, stranger: Any) -> None:
        answer = stranger.sends("/sign-up", on="/sign-up", **fields())
        assert answer.status_code == 200
        assert "wk_" in answer.text
        leads = stranger.opens("/leads")
        assert leads.status_code == 200
        assert "Feldspar Ltd" in leads.text
        assert "wk_" not in leads.text

    def test_the_welcome_page_is_a_page_like_the_others(self, stranger: Any) -> None:
        welcome = stranger.sends("/sign-up", on="/sign-up", **fields()).text
        assert 'href="/models"' in welcome
        token = re.search(r'name="csrf_token" value="([^"]+)"', welcome)
        assert token
        assert stranger.client.post("/log-out", data={"csrf_token": token[1]}).status_code == 303

    @pytest.mark.parametrize(
        ("changed", "field", "sentence"),
        [
            pytest.param({"company": " "}, "company", "Tell us your company", id="no company"),
            pytest.param({"email": "grace"}, "email", "This is not an e-mail address", id="no address"),
            pytest.param({"password": "short"}, "password", "needs 10 to 200 characters", id="short password"),
        ],
    )
    def test_what_is_wrong_stands_beside_its_field(
        self, stranger: Any, changed: dict[str, str], field: str, sentence: str
    ) -> None:
        sent = fields(**changed)
        answer = stranger.sends("/sign-up", on="/sign-up", **sent)
        assert answer.status_code == 422
        assert f'id="{field}-wrong"' in answer.text
        assert sentence in answer.text
        assert f'value="{sent["email"]}"' in answer.text
        assert sent["password"] not in answer.text

    def test_an_address_can_sign_up_once(self, stranger: Any, person: Any) -> None:
        sent = fields()
        stranger.sends("/sign-up", on="/sign-up", **sent)
        stranger.client.delete_cookie("assay_session")
        answer = stranger.sends("/sign-up", on="/sign-up", **sent)
        assert answer.status_code == 409
        assert "Log in instead" in answer.text

    def test_a_hostile_name_is_shown_as_written(self, stranger: Any) -> None:
        answer = stranger.sends("/sign-up", on="/sign-up", **fields(company="<script>alert(1)</script>"))
        assert "<script>alert" not in answer.text
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in answer.text


class TestLogIn:
    def test_goes_on_where_one_wanted_to_go(self, stranger: Any) -> None:
        sent = fields()
        stranger.sends("/sign-up", on="/sign-up", **sent)
        stranger.client.delete_cookie("assay_session")
        wanted = stranger.opens("/models?x=1")
        assert wanted.status_code == 303
        assert wanted.location == "/log-in?next=/models?x%3D1"
        answer = stranger.sends(wanted.location, email=sent["email"], password=sent["password"])
        assert (answer.status_code, answer.location) == (303, "/models?x=1")

    def test_never_goes_to_another_host(self, stranger: Any) -> None:
        sent = fields()
        stranger.sends("/sign-up", on="/sign-up", **sent)
        stranger.client.delete_cookie("assay_session")
        answer = stranger.sends("/log-in?next=//elsewhere.example", email=sent["email"], password=sent["password"])
        assert answer.location == "/leads"

    def test_a_wrong_password_keeps_the_address(self, stranger: Any) -> None:
        answer = stranger.sends("/log-in", email="nobody@feldspar.example.test", password="not the one")
        assert answer.status_code == 401
        assert "nobody@feldspar.example.test" in answer.text
        assert "wrong" in answer.text

    def test_the_session_cookie_is_out_of_reach(self, stranger: Any) -> None:
        answer = stranger.sends("/sign-up", on="/sign-up", **fields())
        cookie = next(line for line in answer.headers.getlist("Set-Cookie") if line.startswith("assay_session="))
        assert "HttpOnly" in cookie
        assert "SameSite=Lax" in cookie


class TestLogIsKept:
    @pytest.mark.parametrize(
        ("password", "status", "action"),
        [
            pytest.param("a long enough password", 303, "login.succeeded", id="right"),
            pytest.param("some other password", 401, "login.failed", id="wrong"),
        ],
    )
    def test_of_each_attempt(self, tenant: Any, stranger: Any, password: str, status: int, action: str) -> None:
        with directory_session() as session:
            email = session.get_one(PersonRow, tenant.person_id).email
        assert stranger.sends("/log-in", email=email, password=password).status_code == status
        with tenant_session(tenant.tenant_id) as session:
            entry = session.execute(
                text("SELECT * FROM tenancy.audit_log WHERE tenant_id = :tenant ORDER BY id DESC LIMIT 1"),
                {"tenant": tenant.tenant_id},
            ).one()
        assert (entry.action, entry.subject, entry.address) == (action, str(tenant.person_id), "127.0.0.1")
        assert password not in str(entry)


class TestLogOut:
    def test_the_old_session_opens_nothing_any_more(self, person: Any) -> None:
        token = person.client.get_cookie("assay_session").value
        answer = person.sends("/log-out", on="/settings")
        assert (answer.status_code, answer.location) == (303, "/log-in")
        person.client.set_cookie("assay_session", token)
        assert person.opens("/leads").location.startswith("/log-in")

    def test_nothing_is_left_in_the_browser(self, person: Any) -> None:
        assert person.sends("/log-out", on="/settings").headers["Clear-Site-Data"] == '"cache", "storage"'


class TestFormTokens:
    @pytest.mark.parametrize(
        "path",
        [
            "/sign-up",
            "/log-in",
            "/log-out",
            "/new-model",
            "/models/any",
            "/models/any/check",
            "/models/any/publish",
            "/imports",
            "/settings/keys/write",
            "/settings/keys/1/rotate",
            "/settings/keys/1/revoke",
        ],
    )
    def test_a_form_from_elsewhere_is_refused(self, person: Any, path: str) -> None:
        answer = person.client.post(path, data={"name": "x"})
        assert answer.status_code == 400
        assert "Load the page again" in answer.text

    def test_htmx_sends_the_token_as_a_header(self, person: Any) -> None:
        page = person.opens("/new-model").text
        assert "hx-headers:inherited" in page
        assert "X-CSRFToken" in page


class TestStrangers:
    @pytest.mark.parametrize(
        "path", ["/leads", "/leads/1", "/models", "/new-model", "/models/any", "/imports", "/imports/1", "/settings"]
    )
    def test_are_asked_to_log_in(self, stranger: Any, path: str) -> None:
        answer = stranger.opens(path)
        assert answer.status_code == 303
        assert answer.location.startswith("/log-in")

    def test_fragments_send_the_whole_page_to_the_log_in(self, stranger: Any) -> None:
        answer = stranger.opens("/leads", HX_Request="true")
        assert (answer.status_code, answer.text) == (401, "")
        assert answer.headers["HX-Redirect"] == "/log-in"


class TestHeaders:
    def test_no_page_lets_in_foreign_or_inline_code(self, person: Any) -> None:
        for path in ("/leads", "/new-model", "/imports", "/settings", "/log-in"):
            answer = person.opens(path)
            policy = answer.headers["Content-Security-Policy"]
            assert "default-src 'self'" in policy
            assert "unsafe" not in policy
            assert answer.headers["Cache-Control"] == "no-store"
            assert " style=" not in answer.text
            assert " onclick=" not in answer.text

    def test_built_files_are_kept_by_the_browser(self, stranger: Any, asset_address: Callable[[str], str]) -> None:
        answer = stranger.opens(asset_address("app.js"))
        assert answer.status_code == 200
        assert "immutable" in answer.headers["Cache-Control"]


class TestErrorPages:
    @pytest.mark.parametrize(
        ("path", "status"),
        [
            pytest.param("/nowhere", 404, id="no such page"),
            pytest.param("/leads/999999999", 404, id="no such lead"),
            pytest.param("/leads/99999999999999999999999", 404, id="an id beyond all ids"),
            pytest.param("/models/none", 404, id="no such model"),
            pytest.param("/leads?model=none", 404, id="no such model to rank by"),
            pytest.param("/leads?cursor=junk", 422, id="a cursor that is none"),
            pytest.param("/imports/999999999", 404, id="no such import"),
            pytest.param("/log-out", 405, id="a form opened as a page"),
        ],
    )
    def test_wear_the_clothes_of_the_house(self, person: Any, path: str, status: int) -> None:
        answer = person.opens(path)
        assert answer.status_code == status
        assert "lost-code" in answer.text
        assert "app-" in answer.text
