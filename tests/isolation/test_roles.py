"""Every page with every role, every route of the API with and without the scope that it states: as the table says."""

from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy import text
from werkzeug.routing import Rule

from assay.api.door import PREFIX
from assay.web.permits import OPEN, OUTSIDE
from assay.web.visitors import COOKIE
from assay_tenants import keys
from assay_tenants.access import open_session
from assay_tenants.database import directory_session
from assay_tenants.permissions import OF_ROLES, PERMISSIONS

#: SCIM proves who asks by tokens of its own, for all of its routes in one place.
OF_THEIR_OWN = ("scim.",)
#: What nobody has: whether it is there is another question than who may ask.
NOBODYS = {
    "name": "nobodys-model",
    "model": "nobodys-model",
    "key": "nobodys",
    "client_id": "app_1_" + "n" * 22,
    "deed": "sync",
}


def stated(app: Flask) -> Iterator[tuple[Rule, str, tuple[str, ...] | None]]:
    """Each route with what its view states; None: nothing."""
    for rule in app.url_map.iter_rules():
        if not rule.endpoint.startswith(OF_THEIR_OWN):
            for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
                yield rule, method, getattr(app.view_functions[rule.endpoint], "needs", None)


def path(rule: Rule) -> str:
    values: dict[str, object] = {}
    for name in rule.arguments:
        kind = type(rule._converters[name]).__name__
        values[name] = 999_999_999 if kind in ("IntegerConverter", "Id") else NOBODYS.get(name, "check")
        if kind == "UUIDConverter":
            values[name] = "0190a3a4-0000-7000-8000-000000000000"
    built = rule.build(values)
    assert built is not None
    return built[1]


def test_each_route_states_what_it_takes_or_is_open_for_a_reason(app) -> None:
    silent = {rule.endpoint for rule, _, needs in stated(app) if needs is None}
    assert silent - OPEN.keys() - OUTSIDE.keys() == set()
    # Nothing that is open states anything, and nothing is declared open that is not there.
    assert OPEN.keys() | OUTSIDE.keys() == silent
    assert all(reason for reason in (*OPEN.values(), *OUTSIDE.values()))


def test_each_route_of_the_api_takes_a_permission(app) -> None:
    for rule, method, needs in stated(app):
        if rule.rule.startswith(PREFIX) and rule.endpoint not in OUTSIDE:
            assert needs, (method, rule.rule)
            assert set(needs) <= PERMISSIONS


def test_the_description_names_the_scopes_and_the_refusals(app) -> None:
    document = app.test_client().get("/api/v1/openapi.json").json
    described = {
        operation["security"][0]["api_key"][0]: operation
        for operations in document["paths"].values()
        for method, operation in operations.items()
        if method != "parameters"
    }
    for operation in described.values():
        assert {"401", "403", "429"} <= operation["responses"].keys()
        assert operation["security"][0]["api_key"] == operation["security"][1]["access_token"]
    taken = {needs[0] for rule, _, needs in stated(app) if needs and rule.rule.startswith(PREFIX)}
    assert described.keys() == taken


def test_without_its_scope_no_route_of_the_api_answers(app, tenant) -> None:
    client, secrets = app.test_client(), {}

    def ask(scopes: frozenset[str], method: str, address: str):
        if scopes not in secrets:
            issued = keys.issue_key(tenant.tenant_id, kind="api", name="Tests", scopes=scopes)
            secrets[scopes] = issued.secret
        return client.open(address, method=method, headers={"Authorization": f"Bearer {secrets[scopes]}"}, json={})

    wrong = {}
    for rule, method, needs in stated(app):
        if not rule.rule.startswith(PREFIX) or not needs:
            continue
        for missing in needs:
            answer = ask(PERMISSIONS - {missing}, method, path(rule))
            if (answer.status_code, answer.json["code"]) != (403, "insufficient_scope") or missing not in answer.text:
                wrong[method, rule.rule, missing] = answer.status_code, answer.text
        answer = ask(frozenset(needs), method, path(rule))
        if answer.status_code in (401, 403) or answer.status_code >= 500:
            wrong[method, rule.rule] = answer.status_code, answer.text
    assert wrong == {}


def test_nothing_of_the_api_is_told_to_strangers(app) -> None:
    client = app.test_client()
    for rule, method, needs in stated(app):
        if rule.rule.startswith(PREFIX) and needs:
            answer = client.open(path(rule), method=method, json={})
            assert (answer.status_code, answer.json["code"]) == (401, "key_missing"), (method, rule.rule)


@pytest.fixture
def _without_form_tokens(app, monkeypatch) -> None:
    # They are a matter of their own: without one, no form would get as far as being asked who sends it.
    monkeypatch.setitem(app.config, "WTF_CSRF_METHODS", set())


def test_what_a_viewer_may_not_do_is_not_offered(app, tenant) -> None:
    browser = app.test_client()
    browser.set_cookie(COOKIE, open_session(tenant.person_id, tenant_id=tenant.tenant_id, proven_by=("password",)))
    offered = {"/leads": 'href="/imports"', "/models": 'href="/new-model"', "/settings": "/settings/keys/write"}
    for page, what in offered.items():
        assert what in browser.get(page).text
    become(tenant, "viewer")
    for page, what in offered.items():
        assert what not in browser.get(page).text, page


def become(tenant, role: str) -> None:
    with directory_session() as session:
        session.execute(
            text("UPDATE tenancy.memberships SET role = :role WHERE tenant_id = :t"),
            {"role": role, "t": tenant.tenant_id},
        )


@pytest.mark.usefixtures("_without_form_tokens")
@pytest.mark.parametrize("role", OF_ROLES)
def test_every_page_is_for_the_roles_that_the_table_names(app, tenant, role) -> None:
    become(tenant, role)
    browser = app.test_client()
    browser.set_cookie(COOKIE, open_session(tenant.person_id, tenant_id=tenant.tenant_id, proven_by=("password",)))
    wrong, asked = {}, 0
    for rule, method, needs in stated(app):
        # What is everybody's own says nothing of roles, and sending it would end this very session.
        if not rule.endpoint.startswith("web.") or needs is None or (not needs and method == "POST"):
            continue
        answer = browser.open(path(rule), method=method)
        asked += 1
        if set(needs) - OF_ROLES[role]:
            if answer.status_code != 403 or f"yours is {role}" not in answer.text:
                wrong[method, rule.rule] = answer.status_code
        elif answer.status_code == 403 or answer.status_code >= 500 or "/log-in" in (answer.location or ""):
            wrong[method, rule.rule] = answer.status_code, answer.location
    assert wrong == {}
    assert asked > 100


def test_strangers_are_led_to_log_in(app, monkeypatch) -> None:
    monkeypatch.setitem(app.config, "WTF_CSRF_METHODS", set())
    browser = app.test_client()
    wrong = {}
    for rule, method, needs in stated(app):
        if rule.endpoint.startswith("web.") and needs is not None:
            answer = browser.open(path(rule), method=method)
            if (answer.status_code, (answer.location or "").partition("?")[0]) != (303, "/log-in"):
                wrong[method, rule.rule] = answer.status_code, answer.location
    assert wrong == {}


def test_what_states_nothing_is_answered_to_nobody(app, tenant, monkeypatch) -> None:
    view = app.view_functions["web.leads.index"]
    monkeypatch.setitem(app.view_functions, "web.leads.index", lambda: view.__wrapped__())
    browser = app.test_client()
    browser.set_cookie(COOKIE, open_session(tenant.person_id, tenant_id=tenant.tenant_id, proven_by=("password",)))
    answer = browser.get("/leads")
    assert answer.status_code == 403
    assert "open to nobody" in answer.text
