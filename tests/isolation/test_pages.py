"""Every page, opened by the neighbour who is logged in."""

import re
from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.routing import Rule

from assay.web.permits import OPEN
from assay.web.visitors import COOKIE
from assay_tenants.access import open_session
from assay_tenants.access.service import SignedUp

MODEL = "{model: secret-model, rules: [{id: a, on: page.viewed, points: 2}]}"
#: Fields that get a form as far as looking for the id.
FIELDS = {"source": MODEL, "role": "viewer", "name": "x", "confirm": "yes"}

#: Their names are the installation's, the same for everybody.
PUBLIC = {"/connections/connect/<plugin>", "/connections/callback/<plugin>"}


def routes(app: Flask) -> Iterator[tuple[Rule, str]]:
    for rule in app.url_map.iter_rules():
        if rule.endpoint.startswith("web.") and rule.endpoint not in OPEN:
            for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
                yield rule, method


def path(rule: Rule, values: dict[str, tuple[object, object]], which: int) -> str:
    built = rule.build({name: values[name][which] for name in rule.arguments})
    assert built is not None
    return built[1]


@pytest.fixture
def enter(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Callable[[SignedUp], FlaskClient]:
    """A browser in which the tenant's first person is logged in."""
    # Form tokens are a matter of their own: without one, no form would get as far as looking for the id.
    monkeypatch.setitem(app.config, "WTF_CSRF_METHODS", set())

    def browser_of(who: SignedUp) -> FlaskClient:
        browser = app.test_client()
        browser.set_cookie(COOKIE, open_session(who.person_id, tenant_id=who.tenant_id, proven_by=("password",)))
        return browser

    return browser_of


def without_token(page: str) -> str:
    """Each page's form tokens tell the second they were made in."""
    return re.sub(r'("X-CSRFToken": "|name="csrf_token" value=")[^"]+', "", page)


def test_the_neighbours_ids_are_answered_like_ids_that_do_not_exist(app, enter, neighbour, values) -> None:
    browser = enter(neighbour)
    told = {}
    for rule, method in routes(app):
        if rule.arguments and rule.rule not in PUBLIC:
            told[method, rule.rule] = [
                browser.open(path(rule, values, which), method=method, data=FIELDS if method == "POST" else None)
                for which in (0, 1)
            ]
    assert {where: theirs.status_code for where, (theirs, _) in told.items() if theirs.status_code != 404} == {}
    for where, (theirs, nobodys) in told.items():
        assert without_token(theirs.text) == without_token(nobodys.text), where
    assert len(told) > 70


def test_the_owners_own_ids_are_found(app, enter, tenant, values) -> None:
    browser = enter(tenant)
    missed = {}
    for rule, method in routes(app):
        if rule.arguments and rule.rule not in PUBLIC and method == "GET":
            answer = browser.get(path(rule, values, 0))
            if answer.status_code != 200:
                missed[rule.rule] = answer.status_code
    assert missed == {}


def test_pages_without_an_id_show_nothing_of_the_neighbours(app, enter, neighbour, victim) -> None:
    browser = enter(neighbour)
    for rule, method in routes(app):
        if not rule.arguments and method == "GET":
            assert "ecret Person" not in browser.get(rule.rule, follow_redirects=True).text, rule.rule


def test_every_statement_behind_the_pages_names_its_tenant(app, enter, tenant, values, watch) -> None:
    browser = enter(tenant)
    for rule, method in routes(app):
        if method == "GET":
            browser.get(path(rule, values, 0))
    assert watch.seen > 20
    assert watch.unfiltered == []
