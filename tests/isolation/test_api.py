"""Every route of the API, asked with the neighbour's key."""

from collections.abc import Iterator
from uuid import UUID

import pytest
from flask import Flask
from werkzeug.routing import Rule

from assay.scoring import cursors

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
    "/api/v1/retention": {"json": {"messages_days": 30, "events_days": 730, "confirm": True}},
}
#: Routes whose names are ours, the same for everybody.
PUBLIC = {"/api/v1/templates/<name>", "/api/v1/templates/<name>/render"}


def routes(app: Flask) -> Iterator[tuple[Rule, str]]:
    for rule in app.url_map.iter_rules():
        if rule.rule.startswith("/api/v1/") and not rule.endpoint.startswith("api."):
            for method in sorted(rule.methods - {"HEAD", "OPTIONS"}):
                yield rule, method


def path(app: Flask, rule: Rule, values: dict[str, object]) -> str:
    _, built = rule.build({name: values[name] for name in rule.arguments})
    return built


@pytest.fixture
def values(victim, kin) -> dict[str, tuple[object, object]]:
    """For each argument in a path: the tenant's own, and one that nobody has."""
    return {
        "lead_id": (victim.lead_id, 999_999_999),
        "model": (victim.model, "nobodys-model"),
        "name": (victim.model, "nobodys-model"),
        "number": (1, 77),
        "import_id": (victim.import_id, 999_999_999),
        "preview_id": (victim.preview_id, 999_999_999),
        "replay_id": (victim.replay_id, 999_999_999),
        "key": (victim.judgement, "nobodys-judgement"),
        "rescore_id": (victim.rescore_id, 999_999_999),
        "merge_id": (kin.merge_id, 999_999_999),
        "decision_id": (kin.decision_id, 999_999_999),
        "rule_id": (kin.rule_id, 999_999_999),
        "other_id": (kin.other_id, 999_999_998),
        "company_id": (victim.company_id, 999_999_999),
        "message_id": (victim.message_id, UUID(int=7)),
        "round_id": (victim.round_id, 999_999_999),
    }


def test_the_neighbours_ids_are_answered_like_ids_that_do_not_exist(api_app, make_caller, neighbour, values) -> None:
    call = make_caller(neighbour.tenant_id)
    asked = 0
    for rule, method in routes(api_app):
        if not rule.arguments or rule.rule in PUBLIC:
            continue
        options = {"query_string": QUERIES.get(rule.rule, {}), **BODIES.get(rule.rule, {})}
        theirs = call(method, path(api_app, rule, {name: each[0] for name, each in values.items()}), **options)
        nobodys = call(method, path(api_app, rule, {name: each[1] for name, each in values.items()}), **options)
        assert theirs.status_code == 404, (method, rule.rule, theirs.text)
        assert (theirs.status_code, theirs.data, theirs.mimetype) == (404, nobodys.data, nobodys.mimetype), rule.rule
        asked += 1
    assert asked >= 10


def test_the_owners_own_ids_are_found(api_app, make_caller, victim, values) -> None:
    # Without this, the test above would also pass with an API that finds nothing.
    call = make_caller(victim.tenant_id)
    for rule, method in routes(api_app):
        if rule.arguments and rule.rule not in PUBLIC:
            options = {"query_string": QUERIES.get(rule.rule, {}), **BODIES.get(rule.rule, {})}
            answer = call(method, path(api_app, rule, {name: each[0] for name, each in values.items()}), **options)
            if answer.status_code == 409 and answer.json["code"] == "wrong_state":
                # Found, but what was asked before has brought it into another state.
                continue
            assert answer.status_code in (200, 201, 202), (method, rule.rule, answer.text)


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
        options = {"query_string": QUERIES.get(rule.rule, {}), **BODIES.get(rule.rule, {})}
        call(method, path(api_app, rule, {name: each[0] for name, each in values.items()}), **options)
    call("GET", "/api/v1/leads?text=secret&stage=Hot&model=secret-model&limit=1")
    assert watch.seen > 20
    assert watch.unfiltered == []
