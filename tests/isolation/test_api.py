"""Every route of the API, asked with the neighbour's key."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import get_ident

from flask import Flask
from sqlalchemy import event
from werkzeug.routing import Rule

from assay.scoring import cursors
from assay_tenants import database

MODEL = "{model: secret-model, rules: [{id: a, on: page.viewed, points: 2}]}"
YAML = {"Content-Type": "application/yaml"}

#: What a route needs beside its path to get as far as looking for the id.
QUERIES = {f"/api/v1/leads/<id:lead_id>/{what}": {"model": "secret-model"} for what in ("history", "outlook")}
BODIES = {
    "/api/v1/models/<name>/draft": {"data": MODEL, "headers": YAML},
    "/api/v1/leads/<id:lead_id>/judgements": {"json": {"points": 1, "reason": "Theirs"}},
    "/api/v1/leads/<id:lead_id>/apart": {"json": {"identities": [{"kind": "user_id", "value": "secret-third"}]}},
    "/api/v1/imports/<id:import_id>/content": {
        "headers": {"Content-Type": "application/octet-stream", "Upload-Offset": "32"}
    },
    "/api/v1/imports/<id:import_id>/mapping": {"json": {}},
    "/api/v1/fields": {"json": {"sensitive": ["theirs"], "signals": {"at_once": True}}},
    "/api/v1/erasures/<id:erasure_id>/lift": {"json": {"confirm": True}},
    "/api/v1/keys/<id:key_id>/rotate": {"json": {}},
    "/api/v1/members/<id:person_id>/role": {"json": {"role": "viewer"}},
    "/api/v1/connections/<id:connection_id>/push": {"json": {"enabled": True}},
    "/api/v1/connections/<id:connection_id>/reload": {"json": {}},
    "/api/v1/retention": {"json": {"messages_days": 30, "events_days": 730, "confirm": True}},
}
#: Routes whose names are ours, the same for everybody.
PUBLIC = {"/api/v1/templates/<name>", "/api/v1/templates/<name>/render"}


def routes(app: Flask) -> Iterator[tuple[Rule, str]]:
    for rule in app.url_map.iter_rules():
        if rule.rule.startswith("/api/v1/") and not rule.endpoint.startswith("api."):
            for method in sorted(rule.methods - {"HEAD", "OPTIONS"}):
                yield rule, method


def path(app: Flask, rule: Rule, values: dict[str, tuple[object, object]], which: int) -> str:
    _, built = rule.build({name: values[name][which] for name in rule.arguments})
    return built


def options_of(rule: Rule) -> dict[str, object]:
    return {"query_string": QUERIES.get(rule.rule, {}), **BODIES.get(rule.rule, {})}


@contextmanager
def statements() -> Iterator[list[str]]:
    """Those that this thread sends meanwhile."""
    seen: list[str] = []
    here = get_ident()

    def note(_: object, __: object, statement: str, *___: object) -> None:
        if get_ident() == here:
            seen.append(statement)

    event.listen(database.engine(), "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(database.engine(), "before_cursor_execute", note)


def test_the_neighbours_ids_are_answered_like_ids_that_do_not_exist(api_app, make_caller, neighbour, values) -> None:
    call = make_caller(neighbour.tenant_id)
    told = {}
    for rule, method in routes(api_app):
        if rule.arguments and rule.rule not in PUBLIC:
            options = options_of(rule)
            theirs, nobodys = (call(method, path(api_app, rule, values, which), **options) for which in (0, 1))
            told[method, rule.rule] = (
                (theirs.status_code, theirs.data, theirs.mimetype),
                (
                    nobodys.status_code,
                    nobodys.data,
                    nobodys.mimetype,
                ),
            )
    assert {where: theirs for where, (theirs, _) in told.items() if theirs[0] != 404} == {}
    assert {where: both for where, both in told.items() if both[0] != both[1]} == {}
    assert len(told) > 70


def test_the_owners_own_ids_are_found(api_app, make_caller, victim, values) -> None:
    # Without this, the test above would also pass with an API that finds nothing.
    call = make_caller(victim.tenant_id)
    missed = {}
    # What takes things away comes last.
    for rule, method in sorted(routes(api_app), key=lambda each: each[1] == "DELETE"):
        if rule.arguments and rule.rule not in PUBLIC:
            answer = call(method, path(api_app, rule, values, 0), **options_of(rule))
            # Found, but what was asked before has brought it into another state.
            is_found = answer.status_code in (200, 201, 202, 204, 409, 429)
            if not is_found:
                missed[method, rule.rule] = answer.status_code, answer.text
    assert missed == {}


def test_lists_hold_nothing_of_the_neighbours(api_app, make_caller, neighbour, victim) -> None:
    call = make_caller(neighbour.tenant_id)
    for rule, method in routes(api_app):
        if method == "GET" and not rule.arguments:
            answer = call(method, rule.rule)
            assert answer.status_code == 200, rule.rule
            assert "ecret" not in answer.text, rule.rule


def test_a_cursor_of_the_neighbours_is_refused(make_caller, neighbour, victim) -> None:
    stolen = cursors.pack((1, 2, victim.lead_id), of=(victim.tenant_id, None, None, None))
    answer = make_caller(neighbour.tenant_id)("GET", f"/api/v1/leads?cursor={stolen}")
    assert answer.status_code == 422
    assert "ecret" not in answer.text


def test_every_statement_behind_the_api_names_its_tenant(api_app, make_caller, victim, values, watch) -> None:
    call = make_caller(victim.tenant_id)
    for rule, method in routes(api_app):
        call(method, path(api_app, rule, values, 0), **options_of(rule))
    call("GET", "/api/v1/leads?text=secret&stage=Hot&model=secret-model&limit=1")
    assert watch.seen > 20
    assert watch.unfiltered == []
