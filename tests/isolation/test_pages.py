"""Every page, opened by the neighbour who is logged in."""

import re
from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.routing import Rule

from assay.web.visitors import COOKIE
from assay_tenants.access.service import SignedUp, log_in
from assay_tenants.database import directory_session
from assay_tenants.keys import issue_key
from assay_tenants.models import Membership

MODEL = "{model: secret-model, rules: [{id: a, on: page.viewed, points: 2}]}"
NOBODYS_EVENT = "0190a3a4-0000-7000-8000-000000000000"
#: Their argument is a word of ours, not an id.
PUBLIC = {"/settings/keys/<kind>"}


def routes(app: Flask) -> Iterator[tuple[Rule, str]]:
    for rule in app.url_map.iter_rules():
        if rule.endpoint.startswith("web.") and rule.endpoint != "web.static" and rule.rule not in PUBLIC:
            for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
                yield rule, method


def path(rule: Rule, values: dict[str, object]) -> str:
    built = rule.build({name: values[name] for name in rule.arguments})
    assert built is not None
    return built[1]


@pytest.fixture
def enter(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Callable[[SignedUp], FlaskClient]:
    """A browser in which the tenant's first person is logged in."""
    # Form tokens are a matter of their own: without one, no form would get as far as looking for the id.
    monkeypatch.setitem(app.config, "WTF_CSRF_METHODS", set())

    def browser_of(who: SignedUp) -> FlaskClient:
        with directory_session() as session:
            email = session.scalars(select(Membership.email).where(Membership.tenant_id == who.tenant_id)).one()
        browser = app.test_client()
        browser.set_cookie(COOKIE, log_in(email=email, password="a long enough password"))
        return browser

    return browser_of


@pytest.fixture
def values(victim, kin) -> dict[str, tuple[object, object]]:
    """For each argument in a path: the tenant's own, and one that nobody has."""
    return {
        "lead_id": (victim.lead_id, 999_999_999),
        "event_id": (victim.event_id, NOBODYS_EVENT),
        "name": (victim.model, "nobodys-model"),
        "number": (1, 77),
        "import_id": (victim.import_id, 999_999_999),
        "verb": ("check", "check"),
        "preview_id": (victim.preview_id, 999_999_999),
        "replay_id": (victim.replay_id, 999_999_999),
        "key": (victim.judgement, "nobodys-judgement"),
        "rescore_id": (victim.rescore_id, 999_999_999),
        "merge_id": (kin.merge_id, 999_999_999),
        "decision_id": (kin.decision_id, 999_999_999),
        "rule_id": (kin.rule_id, 999_999_999),
        "other_id": (kin.other_id, 999_999_998),
        "company_id": (victim.company_id, 999_999_999),
        "round_id": (victim.round_id, 999_999_999),
        "message_id": (victim.message_id, NOBODYS_EVENT),
        "key_id": (issue_key(victim.tenant_id, kind="api", name="Theirs").id, 999_999_999),
    }


def without_token(page: str) -> str:
    """Each page's form tokens tell the second they were made in."""
    return re.sub(r'("X-CSRFToken": "|name="csrf_token" value=")[^"]+', "", page)


def test_the_neighbours_ids_are_answered_like_ids_that_do_not_exist(app, enter, neighbour, values) -> None:
    browser = enter(neighbour)
    asked = 0
    for rule, method in routes(app):
        if rule.arguments:
            theirs, nobodys = (
                browser.open(path(rule, {name: value[which] for name, value in values.items()}), method=method,
                             data={"source": MODEL} if method == "POST" else None)
                for which in (0, 1)
            )  # fmt: skip
            assert theirs.status_code == 404, (method, rule.rule)
            assert without_token(theirs.text) == without_token(nobodys.text), (method, rule.rule)
            asked += 1
    assert asked >= 8


def test_the_owners_own_ids_are_found(app, enter, tenant, values) -> None:
    browser = enter(tenant)
    for rule, method in routes(app):
        if rule.arguments and method == "GET":
            answer = browser.get(path(rule, {name: value[0] for name, value in values.items()}))
            assert answer.status_code == 200, rule.rule


def test_pages_without_an_id_show_nothing_of_the_neighbours(app, enter, neighbour, victim) -> None:
    browser = enter(neighbour)
    for rule, method in routes(app):
        if not rule.arguments and method == "GET":
            assert "ecret Person" not in browser.get(rule.rule, follow_redirects=True).text, rule.rule


def test_every_statement_behind_the_pages_names_its_tenant(app, enter, tenant, values, watch) -> None:
    browser = enter(tenant)
    for rule, method in routes(app):
        if method == "GET":
            browser.get(path(rule, {name: value[0] for name, value in values.items()}))
    assert watch.seen > 20
    assert watch.unfiltered == []
