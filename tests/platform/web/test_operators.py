"""The operators' door: in the tenant's sight, for a while, never to what is kept out of sight."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from flask import Flask
from sqlalchemy import text, update
from sqlalchemy.exc import DBAPIError

from assay_tenants import operators
from assay_tenants.access.service import SignedUp
from assay_tenants.audit.queries import Wanted, list_entries
from assay_tenants.context import Actor, acting
from assay_tenants.database import directory_session, tenant_session, timetable_session
from assay_tenants.errors import BadInput, NotFound
from assay_tenants.operators import NotOpen, Opened, operator_session
from assay_tenants.operators.models import OperatorAccess
from assay_tenants.operators.visiting import LinkSpent

MODEL = "{model: sample, rules: [{id: pricing, on: page.viewed, points: 1}]}"


class Browser:
    """Without JavaScript, and not logged in as anybody."""

    def __init__(self, app: Flask) -> None:
        self.client = app.test_client()

    def opens(self, path: str) -> Any:
        return self.client.get(path)

    def sends(self, path: str, *, on: str, **fields: str) -> Any:
        token = re.search(r'name="csrf_token" value="([^"]+)"', self.client.get(on, follow_redirects=True).text)
        assert token
        return self.client.post(path, data={"csrf_token": token[1], **fields})


@pytest.fixture
def open_access(tenant: SignedUp) -> Callable[..., Opened]:
    def make(**how: Any) -> Opened:
        return operators.open_access(tenant.tenant_id, **{"by": "Ines", "reason": "ticket 4711", **how})

    return make


@pytest.fixture
def entered(app: Flask, open_access: Callable[..., Opened]) -> Callable[..., tuple[Browser, Opened]]:
    def make(**how: Any) -> tuple[Browser, Opened]:
        opened = open_access(**how)
        browser = Browser(app)
        link = f"/operators/{opened.secret}"
        assert browser.sends(link, on=link).status_code == 303
        return browser, opened

    return make


def looked(tenant_id: int) -> list[tuple[str, str]]:
    return [
        (entry.actor_name, entry.subject) for entry in list_entries(tenant_id, Wanted(action="operator.looked")).items
    ]


def run_out(opened: Opened) -> None:
    access = opened.access
    with tenant_session(access.tenant_id) as session:
        over = {"expires_at": datetime.now(UTC) - timedelta(seconds=1)}
        session.execute(update(OperatorAccess).where(OperatorAccess.tenant_id == access.tenant_id).values(over))


class TestLooking:
    def test_the_tenant_sees_who_why_and_what(self, person: Any, entered: Any) -> None:
        browser, opened = entered()
        page = browser.opens("/leads").text
        assert "Ines, you are at Quartz &amp; Co" in page
        assert "You may look and change nothing" in page
        shown = person.opens("/settings/operators").text
        assert "ticket 4711" in shown
        assert "Is open" in shown
        log = person.opens(f"/settings/audit?actor=operator:{opened.access.id}").text
        assert "Ines opened the page /leads" in log
        assert "Ines came in by access" in log

    def test_each_page_is_told_once_a_minute(self, person: Any, entered: Any) -> None:
        browser, _ = entered()
        for path in ("/leads", "/leads?text=ada", "/models", "/leads"):
            assert browser.opens(path).status_code == 200
        assert looked(person.tenant_id) == [("Ines", "/models"), ("Ines", "/leads")]

    def test_nothing_is_changed(self, person: Any, entered: Any) -> None:
        browser, _ = entered(role="admin")
        answer = browser.sends("/new-model", on="/leads", source=MODEL)
        assert answer.status_code == 403
        assert "looking alone" in answer.text
        assert person.opens("/models/sample").status_code == 404

    def test_with_leave_to_write_changes_are_the_operators(self, person: Any, entered: Any) -> None:
        browser, opened = entered(role="editor", may_write=True)
        assert browser.sends("/new-model", on="/new-model", source=MODEL).status_code == 303
        (entry,) = list_entries(person.tenant_id, Wanted(action="model.created")).items
        assert (entry.actor, entry.actor_name, entry.door) == (f"operator:{opened.access.id}", "Ines", "web")

    @pytest.mark.parametrize(
        ("path", "on"),
        [
            pytest.param("/leads/1/masked", "/leads", id="what is kept out of sight"),
            pytest.param("/settings/operators/rule", "/leads", id="the tenant's own rule"),
            pytest.param("/settings/keys/api", "/leads", id="a key that stays"),
        ],
    )
    def test_withheld_from_each(self, person: Any, entered: Any, path: str, on: str) -> None:
        browser, _ = entered(role="admin", may_write=True)
        assert browser.sends(path, on=on, name="x").status_code in (403, 404)

    def test_a_persons_own_pages_stay_shut(self, app: Flask, entered: Any) -> None:
        browser, _ = entered(role="admin", may_write=True)
        paths = {
            rule.rule
            for rule in app.url_map.iter_rules()
            if rule.endpoint.startswith(("web.account.", "web.factors."))
            and not rule.arguments
            and "GET" in rule.methods
        }
        for path in sorted(paths):
            assert browser.opens(path).status_code in (302, 303, 403), path

    def test_settings_show_no_account_of_their_own(self, entered: Any) -> None:
        browser, _ = entered(role="admin")
        page = browser.opens("/settings")
        assert page.status_code in (200, 403)
        assert "/account" not in page.text


class TestLink:
    def test_works_once(self, app: Flask, entered: Any) -> None:
        _, opened = entered()
        again = Browser(app)
        answer = again.opens(f"/operators/{opened.secret}")
        assert answer.status_code == 410
        assert "used already" in answer.text

    def test_looking_at_it_spends_nothing(self, app: Flask, open_access: Any) -> None:
        link = f"/operators/{open_access().secret}"
        browser = Browser(app)
        assert [browser.opens(link).status_code for _ in range(3)] == [200] * 3
        assert browser.sends(link, on=link).status_code == 303

    @pytest.mark.parametrize("secret", ["x", "ol_1_" + "a" * 44, "os_1_" + "a" * 44, "ss_1_" + "a" * 44])
    def test_what_is_none_opens_nothing(self, app: Flask, secret: str) -> None:
        assert Browser(app).opens(f"/operators/{secret}").status_code == 410

    def test_a_link_is_no_session_and_a_session_no_link(self, app: Flask, open_access: Any) -> None:
        secret = open_access().secret
        browser = Browser(app)
        browser.client.set_cookie("assay_session", secret)
        assert browser.opens("/leads").status_code == 303
        token = operators.enter(secret)
        with pytest.raises(LinkSpent):
            operators.enter(token)


class TestEnd:
    def test_by_itself(self, entered: Any) -> None:
        browser, opened = entered(minutes=1)
        run_out(opened)
        assert browser.opens("/leads").status_code == 303
        assert operators.get_access(opened.access.tenant_id, opened.access.id).state == "over"

    def test_by_the_tenant_at_once(self, person: Any, entered: Any) -> None:
        browser, opened = entered()
        answer = person.sends(f"/settings/operators/{opened.access.id}/end", on="/settings/operators")
        assert answer.status_code == 303
        assert browser.opens("/leads").status_code == 303
        assert "Ended" in person.opens("/settings/operators").text

    @pytest.mark.parametrize("path", ["/operators/leave", "/log-out"])
    def test_by_the_operator(self, entered: Any, path: str) -> None:
        browser, opened = entered()
        assert browser.sends(path, on="/leads").status_code == 303
        assert operators.get_access(opened.access.tenant_id, opened.access.id).ended_by == "Ines"
        assert browser.opens("/leads").status_code == 303


class TestConsent:
    @pytest.fixture
    def asking(self, person: Any) -> Any:
        answer = person.sends("/settings/operators/rule", on="/settings/operators", needs_consent="yes")
        assert answer.status_code == 303
        return person

    def test_nobody_comes_in_before_it_is_given(self, app: Flask, asking: Any, open_access: Any) -> None:
        opened = open_access(minutes=7)
        link = f"/operators/{opened.secret}"
        browser = Browser(app)
        assert "has not answered yet" in browser.opens(link).text
        with pytest.raises(NotOpen):
            operators.enter(opened.secret)
        with pytest.raises(NotOpen), operator_session(opened.access.reference):
            pass
        assert "Asks to look" in asking.opens("/settings/operators").text
        answer = asking.sends(f"/settings/operators/{opened.access.id}/allow", on="/settings/operators")
        assert answer.status_code == 303
        allowed = operators.get_access(asking.tenant_id, opened.access.id)
        assert allowed.allowed_by == "Ada Example"
        assert allowed.expires_at - datetime.now(UTC) < timedelta(minutes=7)
        assert browser.sends(link, on=link).status_code == 303
        assert browser.opens("/leads").status_code == 200

    def test_those_who_may_answer_are_asked_by_mail(self, asking: Any, open_access: Any, servers: Any) -> None:
        open_access(reason="ticket 4713")
        with psycopg.connect(servers.places.postgres_url("postgres")) as superuser:
            query = (
                "SELECT recipient, body FROM tenancy.mails WHERE tenant_id = %s AND subject LIKE 'An operator asks%%'"
            )
            ((recipient, body),) = superuser.execute(query, [asking.tenant_id]).fetchall()
        assert recipient.startswith("ada")
        assert "ticket 4713" in body

    def test_refused_it_stays_shut(self, asking: Any, open_access: Any) -> None:
        opened = open_access()
        asking.sends(f"/settings/operators/{opened.access.id}/end", on="/settings/operators")
        with pytest.raises(LinkSpent):
            operators.enter(opened.secret)
        again = asking.sends(f"/settings/operators/{opened.access.id}/allow", on="/settings/operators")
        assert again.status_code == 303
        assert operators.get_access(asking.tenant_id, opened.access.id).state == "ended"

    def test_unanswered_it_lapses(self, asking: Any, open_access: Any) -> None:
        opened = open_access()
        run_out(opened)
        assert operators.get_access(asking.tenant_id, opened.access.id).state == "lapsed"
        with pytest.raises(NotOpen):
            operators.allow(asking.tenant_id, opened.access.id)

    def test_the_rule_is_in_the_log_once(self, asking: Any) -> None:
        asking.sends("/settings/operators/rule", on="/settings/operators", needs_consent="yes")
        (entry,) = list_entries(asking.tenant_id, Wanted(action="operator_rule")).items
        assert (entry.before, entry.after) == ({"needs_consent": False}, {"needs_consent": True})


class TestOpening:
    @pytest.mark.parametrize(
        ("how", "field"),
        [
            pytest.param({"reason": "why"}, "reason", id="no reason"),
            pytest.param({"by": "  "}, "by", id="nobody"),
            pytest.param({"minutes": 0}, "minutes", id="no time"),
            pytest.param({"minutes": 481}, "minutes", id="too long"),
            pytest.param({"role": "owner"}, "role", id="never an owner"),
        ],
    )
    def test_bad_input(self, open_access: Any, how: dict[str, Any], field: str) -> None:
        with pytest.raises(BadInput) as refused:
            open_access(**how)
        assert refused.value.field == field

    def test_no_such_tenant(self, connected: None) -> None:
        with pytest.raises(NotFound):
            operators.open_access(2**40, by="Ines", reason="ticket 4711")


class TestDatabaseDoor:
    def test_looks_and_can_not_write(self, tenant: SignedUp, open_access: Any) -> None:
        reference = open_access().access.reference
        with operator_session(reference) as session:
            assert session.execute(text("SELECT current_setting('app.tenant_id')")).scalar_one() == str(
                tenant.tenant_id
            )
        with pytest.raises(DBAPIError, match="read-only"), operator_session(reference) as session:
            session.execute(text("DELETE FROM profiles.leads WHERE tenant_id = :t"), {"t": tenant.tenant_id})
        entries = list_entries(tenant.tenant_id, Wanted(action="operator.session_opened")).items
        assert [entry.actor_name for entry in entries] == ["Ines", "Ines"]

    def test_writes_with_leave(self, tenant: SignedUp, open_access: Any) -> None:
        with operator_session(open_access(may_write=True).access.reference) as session:
            session.execute(text("DELETE FROM profiles.leads WHERE tenant_id = :t"), {"t": tenant.tenant_id})

    @pytest.mark.parametrize("reference", ["", "7", "1-x", "1-2; DROP"])
    def test_what_is_no_access(self, connected: None, reference: str) -> None:
        with pytest.raises(BadInput), operator_session(reference):
            pass

    def test_is_shut_when_the_access_is_over(self, open_access: Any) -> None:
        opened = open_access()
        with acting(Actor("person", "1", "Ada")):
            operators.end(opened.access.tenant_id, opened.access.id)
        with pytest.raises(NotOpen), operator_session(opened.access.reference):
            pass


class TestNeighbours:
    def test_can_neither_see_allow_nor_end(self, neighbour: SignedUp, person_of: Any, open_access: Any) -> None:
        opened = open_access(reason="a secret reason")
        next_door = person_of(neighbour)
        assert "a secret reason" not in next_door.opens("/settings/operators").text
        for verb in ("allow", "end"):
            path = f"/settings/operators/{opened.access.id}/{verb}"
            assert next_door.sends(path, on="/settings/operators").status_code == 404
        assert operators.get_access(opened.access.tenant_id, opened.access.id).state == "open"

    @pytest.mark.parametrize("door", [directory_session, timetable_session])
    @pytest.mark.parametrize("table", ["operator_accesses", "operator_rules"])
    def test_the_doors_across_tenants_see_none(self, connected: None, door: Any, table: str) -> None:
        with pytest.raises(DBAPIError, match="permission denied"), door() as session:
            session.execute(text(f"SELECT count(*) FROM tenancy.{table}"))
